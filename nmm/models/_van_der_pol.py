from typing import Any

from .._custom_types import Parameter
from .._declare import param
from ._planar import AbstractPlanarOscillator


class VanDerPol(AbstractPlanarOscillator):
    r"""Self-sustained oscillation, from nearly harmonic to relaxation, in Liénard's plane.

    $$\dot x = \mu\,(x - x^3/3 - y) + I_x, \qquad \dot y = x/\mu + I_y$$

    which without input is $\ddot x - \mu (1 - x^2)\,\dot x + x = 0$. For every $\mu > 0$ a limit
    cycle of amplitude about 2 attracts everything but the origin; its period grows from $2\pi (1 +
    \mu^2/16)$ at small $\mu$ (preset `"harmonic"`, 0.1: 6.29 ms) to $(3 - 2 \ln 2)\,\mu +
    7.014\,\mu^{-1/3}$ at large (preset `"relaxation"`, 10: 19.1 ms). Inputs are not multiplied by
    $\mu$. Smooth for $\mu > 0$. One unit of time is taken as 1 ms.

    The other planar form, $\dot x = y$, has the same $x(t)$ and another second variable.

    Reference: van der Pol (1926) Philosophical Magazine 2:978; Kaplan, Glass (1995) Understanding
    Nonlinear Dynamics.
    """

    mu: Parameter = param(1.0, unit="1/ms", doc="nonlinear damping", bounds=(0.05, 20.0))

    use = "self-sustained and relaxation oscillations"
    reference = "van der Pol (1926) Philosophical Magazine 2:978"
    presets = {"harmonic": {"mu": 0.1}, "relaxation": {"mu": 10.0}}

    def vector_field(
        self,
        t: Any,
        state: AbstractPlanarOscillator.State,
        inputs: AbstractPlanarOscillator.Inputs,
    ) -> AbstractPlanarOscillator.State:
        del t  # autonomous
        x, y = state.x, state.y
        return self.State(
            x=self.mu * (x - x**3 / 3 - y) + inputs.x_inp, y=x / self.mu + inputs.y_inp
        )
