from typing import Any

import equinox as eqx

from .._custom_types import Parameter, Value
from .._declare import param, slot, variable
from ._base import AbstractModel, Inputs, State
from ._transfer import Sigmoid


class WilsonCowan(AbstractModel):
    r"""Rates of an excitatory and an inhibitory population.

    $$\tau_E \dot r_E = -r_E + (k_E - \rho_E r_E)\,F_E(w_{EE} r_E - w_{EI} r_I + P + I_E)$$
    $$\tau_I \dot r_I = -r_I + (k_I - \rho_I r_I)\,F_I(w_{IE} r_E - w_{II} r_I + Q + I_I)$$

    `weights[target, source]` holds strengths in the order E, I; what comes from I is subtracted.
    $F$ is a `nmm.Sigmoid`, shifted so that $F(0) = 0$ unless told otherwise. At the defaults a
    stable rest and a stable active state coexist; the preset `"limit_cycle"` (weights 16, 12, 15,
    3, drive 1.25) oscillates at 25 Hz with $\tau$ = 8 ms. Smooth; rates may fall slightly below 0,
    since the shifted sigmoid does.

    Sources differ in $\tau$ (paper 8 ms, The Virtual Brain 10 ms, the default here 1 ms) and in
    $k$ (paper: the largest value of $F$; here and in The Virtual Brain 1).

    Reference: Wilson, Cowan (1972) Biophysical Journal 12:1; Daffertshofer, van Wijk (2011)
    Frontiers in Neuroinformatics 5:6.
    """

    tau_E: Parameter = param(1.0, unit="ms", doc="excitatory time constant", bounds=(0.1, 150.0))
    tau_I: Parameter = param(1.0, unit="ms", doc="inhibitory time constant", bounds=(0.1, 150.0))
    weights: Parameter = param(
        [[12.0, 4.0], [13.0, 11.0]],
        unit="1",
        doc="strengths [target, source], order E, I",
        bounds=(0.0, 30.0),
        shape=(2, 2),
    )
    P: Parameter = param(0.0, unit="1", doc="constant drive of E", bounds=(0.0, 20.0))
    Q: Parameter = param(0.0, unit="1", doc="constant drive of I", bounds=(0.0, 20.0))
    k_E: Parameter = param(1.0, unit="1", doc="largest excitatory response", bounds=(0.5, 2.0))
    k_I: Parameter = param(1.0, unit="1", doc="largest inhibitory response", bounds=(0.0, 2.0))
    r_E: Parameter = param(1.0, unit="1", doc="excitatory refractoriness", bounds=(0.0, 2.0))
    r_I: Parameter = param(1.0, unit="1", doc="inhibitory refractoriness", bounds=(0.0, 2.0))
    transfer_E: Sigmoid = eqx.field(default_factory=Sigmoid)
    transfer_I: Sigmoid = eqx.field(default_factory=lambda: Sigmoid(a=1.0, theta=4.0))

    class State(State):
        rE: Value = variable(0.0, unit="1", doc="excitatory rate", start=(0.0, 0.5))
        rI: Value = variable(0.0, unit="1", doc="inhibitory rate", start=(0.0, 0.5))

    class Inputs(Inputs):
        rE_inp: Value = slot(unit="1", doc="drive of E, inside its transfer function")
        rI_inp: Value = slot(unit="1", doc="drive of I, inside its transfer function")

    source = "rE"
    target = "rE_inp"
    output = "rE"
    reference = "Wilson, Cowan (1972) Biophysical Journal 12:1"
    presets = {
        "limit_cycle": {
            "tau_E": 8.0,
            "tau_I": 8.0,
            "weights": [[16.0, 12.0], [15.0, 3.0]],
            "P": 1.25,
            "transfer_E": lambda: Sigmoid(a=1.3, theta=4.0),
            "transfer_I": lambda: Sigmoid(a=2.0, theta=3.7),
        },
    }

    def vector_field(self, t: Any, state: State, inputs: Inputs) -> State:
        del t  # autonomous
        (w_EE, w_EI), (w_IE, w_II) = self.weights
        to_E = w_EE * state.rE - w_EI * state.rI + self.P + inputs.rE_inp
        to_I = w_IE * state.rE - w_II * state.rI + self.Q + inputs.rI_inp
        response_E = (self.k_E - self.r_E * state.rE) * self.transfer_E(to_E)
        response_I = (self.k_I - self.r_I * state.rI) * self.transfer_I(to_I)
        return self.State(
            rE=(response_E - state.rE) / self.tau_E,
            rI=(response_I - state.rI) / self.tau_I,
        )
