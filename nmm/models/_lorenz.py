from typing import Any

from .._custom_types import Parameter, Value
from .._declare import param, slot, variable
from ._base import AbstractModel, Inputs, State


class Lorenz(AbstractModel):
    r"""Convection in three numbers: chaos, and a yardstick for solvers.

    $$\dot x = \sigma (y - x) + c, \qquad \dot y = x (\rho - z) - y, \qquad \dot z = x y - \beta z$$

    For $1 < \rho < 24.74$ the two points $(\pm\sqrt{\beta (\rho - 1)}, \pm\sqrt{\beta (\rho - 1)},
    \rho - 1)$ are stable (preset `"fixed_point"`, $\rho$ = 14); at the defaults they are not, and
    runs end on the chaotic attractor, with the largest Lyapunov exponent 0.906. Smooth. One unit of
    time is taken as 1 ms; steps should be 0.01 or less.

    Reference: Lorenz (1963) Journal of the Atmospheric Sciences 20:130.
    """

    sigma: Parameter = param(10.0, unit="1/ms", doc="Prandtl number", bounds=(1.0, 20.0))
    rho: Parameter = param(28.0, unit="1", doc="Rayleigh ratio", bounds=(0.0, 50.0))
    beta: Parameter = param(8 / 3, unit="1/ms", doc="geometry", bounds=(0.5, 5.0))

    class State(State):
        x: Value = variable(1.0, unit="1", doc="convection", start=(-15.0, 15.0))
        y: Value = variable(1.0, unit="1", doc="horizontal temperature", start=(-15.0, 15.0))
        z: Value = variable(1.0, unit="1", doc="vertical temperature", start=(5.0, 40.0))

    class Inputs(Inputs):
        x_inp: Value = slot(unit="1/ms", doc="drive of x")

    source = "x"
    target = "x_inp"
    output = "x"
    category = "phenomenological"
    use = "chaos, tests of solvers"
    reference = "Lorenz (1963) Journal of the Atmospheric Sciences 20:130"
    presets = {"fixed_point": {"rho": 14.0}}

    def vector_field(self, t: Any, state: State, inputs: Inputs) -> State:
        del t  # autonomous
        x, y, z = state.x, state.y, state.z
        return self.State(
            x=self.sigma * (y - x) + inputs.x_inp,
            y=x * (self.rho - z) - y,
            z=x * y - self.beta * z,
        )
