from typing import Any

from .._custom_types import Parameter, Value
from .._declare import param, slot, variable
from ._base import AbstractModel, Inputs, State


class Generic2dOscillator(AbstractModel):
    r"""A node with polynomial nullclines: excitable, bistable or oscillating.

    $$\dot V = d\,\tau\,(-f V^3 + e V^2 + g V + \alpha W + \gamma (I + c) + I_V)$$
    $$\dot W = \frac{d}{\tau}\,(a + b V + c_2 V^2 - \beta W)$$

    $c$ is what arrives at `V_inp`, $I_V$ at `V_local`, and $c_2$ the parameter `c`. At the defaults
    a stable focus rings at 10 Hz. Presets: `"excitable"` (a node, a saddle, an unstable focus),
    `"bistable"` (a stable node beside a limit cycle of 0.93 s, where runs from the default start
    end), `"oscillating"` (a limit cycle of 9.2 Hz; the Hopf bifurcation is at $a$ = 1.74) and
    `"ghosh2008"` (a focus that rings at 15.7 Hz). Smooth. One unit of time is 1 ms: all rates scale
    with $d$.

    `gamma` scales the drive and what arrives from far, but not local input, as in The Virtual
    Brain; tvboptim scales both. `nmm.VanDerPol` and `nmm.FitzHughNagumo` are special cases.

    Reference: Sanz-Leon, Knock, Spiegler, Jirsa (2015) NeuroImage 111:385; FitzHugh (1961)
    Biophysical Journal 1:445; Stefanescu, Jirsa (2008) PLoS Computational Biology 4:e1000219;
    Ghosh et al. (2008) PLoS Computational Biology 4:e1000196.
    """

    a: Parameter = param(-2.0, unit="1", doc="shift of the W nullcline", bounds=(-5.0, 15.0))
    b: Parameter = param(-10.0, unit="1", doc="slope of the W nullcline", bounds=(-20.0, 15.0))
    c: Parameter = param(0.0, unit="1", doc="parabola of the W nullcline", bounds=(-10.0, 10.0))
    d: Parameter = param(0.02, unit="1/ms", doc="rate of everything", bounds=(0.0001, 1.0))
    e: Parameter = param(3.0, unit="1", doc="quadratic term of V", bounds=(-5.0, 5.0))
    f: Parameter = param(1.0, unit="1", doc="cubic term of V", bounds=(0.1, 5.0))
    g: Parameter = param(0.0, unit="1", doc="linear term of V", bounds=(-5.0, 5.0))
    alpha: Parameter = param(1.0, unit="1", doc="W onto V", bounds=(-5.0, 5.0))
    beta: Parameter = param(1.0, unit="1", doc="decay of W", bounds=(0.0, 5.0))
    gamma: Parameter = param(1.0, unit="1", doc="scale of I and of coupling", bounds=(-2.0, 2.0))
    I: Parameter = param(0.0, unit="1", doc="constant drive", bounds=(-5.0, 5.0))
    tau: Parameter = param(1.0, unit="1", doc="separation of time scales", bounds=(0.5, 5.0))

    class State(State):
        V: Value = variable(0.0, unit="1", doc="fast variable", start=(-2.0, 4.0))
        W: Value = variable(0.0, unit="1", doc="slow variable", start=(-6.0, 6.0))

    class Inputs(Inputs):
        V_inp: Value = slot(unit="1", doc="coupling, scaled by gamma")
        V_local: Value = slot(unit="1", doc="local input to V, not scaled by gamma")

    source = "V"
    target = "V_inp"
    output = "V"
    category = "phenomenological"
    use = "excitable, bistable or oscillating node"
    reference = "Sanz-Leon et al. (2015) NeuroImage 111:385"
    presets = {
        "excitable": {"a": 0.5, "b": 0.6, "c": -4.0},
        "bistable": {"a": 1.0, "b": 0.0, "c": -5.0},
        "oscillating": {"a": 2.0},
        "ghosh2008": {
            "a": 1.05,
            "b": -1.0,
            "d": 0.1,
            "beta": 0.2,
            "gamma": -1.0,
            "e": 0.0,
            "g": 1.0,
            "f": 1 / 3,
            "tau": 1.25,
        },
    }

    def vector_field(self, t: Any, state: State, inputs: Inputs) -> State:
        del t  # autonomous
        V, W = state.V, state.W
        cubic = -self.f * V**3 + self.e * V**2 + self.g * V
        drive = self.gamma * (self.I + inputs.V_inp) + inputs.V_local
        return self.State(
            V=self.d * self.tau * (cubic + self.alpha * W + drive),
            W=self.d / self.tau * (self.a + self.b * V + self.c * V**2 - self.beta * W),
        )
