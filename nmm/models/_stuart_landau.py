from .._custom_types import Parameter
from .._declare import param
from ._planar import AbstractHopfNormalForm


class StuartLandau(AbstractHopfNormalForm):
    r"""Oscillation whose amplitude one number sets: the Hopf normal form with saturation 1.

    With $z = x + iy$ and the input $I = I_x + i I_y$,

    $$\dot z = (a + i\omega - |z|^2)\,z + I$$

    For $a > 0$ a circle of radius $\sqrt a$ and period $2\pi/\omega$ attracts everything but the
    origin; for $a \le 0$ the origin does. The same vector field as `nmm.Hopf` with $\beta$ = 1, and
    without the shear of the general Stuart–Landau equation. Smooth. Papers that work in seconds:
    $\omega = 2\pi f_{Hz} / 1000$ and $a_{ms} = a_s / 1000$. The preset `"tvb"` has the silent, fast
    defaults of The Virtual Brain and tvboptim.

    Reference: Stuart (1960) Journal of Fluid Mechanics 9:353; Landau (1944) Comptes Rendus de
    l'Académie des Sciences de l'URSS 44:311; Kuramoto (1984) Chemical Oscillations, Waves, and
    Turbulence.
    """

    a: Parameter = param(0.25, unit="1/ms", doc="distance from the bifurcation", bounds=(-1.0, 1.0))
    w: Parameter = param(0.2, unit="rad/ms", doc="angular frequency", bounds=(0.0, 2.0))

    use = "oscillations of controlled amplitude"
    reference = "Stuart (1960) Journal of Fluid Mechanics 9:353"
    presets = {"tvb": {"a": -0.5, "w": 1.0}}

    @property
    def beta(self) -> float:
        return 1.0
