from typing import Any

import jax

from .._custom_types import Parameter, Value
from .._declare import param, slot, variable
from ._base import AbstractModel, Inputs, State


class ThresholdLinear(AbstractModel):
    r"""Fast excitatory and inhibitory rates with a rectified drive; hierarchies of areas.

    With $[x]_+ = \max(x, 0)$ and the input $c = \sum_j F_{ij} E_j$ of other areas,

    $$\tau_E \dot E = -E + \beta_E [(1 + \eta h)(w_{EE} E + \mu_{EE} c) - w_{EI} I + B_E + I_E]_+$$
    $$\tau_I \dot I = -I + \beta_I [(1 + \eta h)(w_{IE} E + \mu_{IE} c) - w_{II} I + B_I + I_I]_+$$

    `weights[target, source]` holds strengths in the order E, I; what comes from I is subtracted.
    $h$, from 0 to 1, is an area's place in the cortical hierarchy. At the defaults, an area alone
    rests at 10 and 35 Hz and forgets a pulse within 41.9 ms. Rates are kept at 0 or above.
    Piecewise linear: it has a kink where a drive crosses 0, below which gradients with respect to
    drive and weights are 0. The paper's time constants are 0.02 and 0.01 s.

    The preset `"brainmass"` has no recurrence and no background, so that `E_inp` and `I_inp` are
    all of the drive. brainmass 0.1.1 itself has the wrong sign in front of the whole of $\dot I$.

    Reference: Chaudhuri, Knoblauch, Gariel, Kennedy, Wang (2015) Neuron 88:419.
    """

    tau_E: Parameter = param(20.0, unit="ms", doc="excitatory time constant", bounds=(1.0, 100.0))
    tau_I: Parameter = param(10.0, unit="ms", doc="inhibitory time constant", bounds=(1.0, 100.0))
    beta_E: Parameter = param(0.066, unit="Hz/pA", doc="excitatory slope", bounds=(0.0, 0.2))
    beta_I: Parameter = param(0.351, unit="Hz/pA", doc="inhibitory slope", bounds=(0.0, 1.0))
    weights: Parameter = param(
        [[24.3, 19.7], [12.2, 12.5]],
        unit="pA/Hz",
        doc="strengths [target, source], order E, I",
        bounds=(0.0, 50.0),
        shape=(2, 2),
    )
    mu_EE: Parameter = param(33.7, unit="pA/Hz", doc="other areas onto E", bounds=(0.0, 60.0))
    mu_IE: Parameter = param(25.3, unit="pA/Hz", doc="other areas onto I", bounds=(0.0, 60.0))
    B_E: Parameter = param(598.015, unit="pA", doc="background of E", bounds=(0.0, 1000.0))
    B_I: Parameter = param(415.215, unit="pA", doc="background of I", bounds=(0.0, 1000.0))
    eta: Parameter = param(0.68, unit="1", doc="gradient along the hierarchy", bounds=(0.0, 1.0))
    h: Parameter = param(0.0, unit="1", doc="place in the hierarchy, 0 to 1", bounds=(-0.2, 1.2))

    class State(State):
        E: Value = variable(
            0.0, unit="Hz", doc="excitatory rate", start=(0.0, 20.0), bounds=(0.0, None)
        )
        I: Value = variable(
            0.0, unit="Hz", doc="inhibitory rate", start=(0.0, 50.0), bounds=(0.0, None)
        )

    class Inputs(Inputs):
        c: Value = slot(
            unit="Hz", doc="rates of other areas, times mu_EE and mu_IE", bounds=(0.0, 50.0)
        )
        E_inp: Value = slot(unit="pA", doc="drive of E", bounds=(-500.0, 500.0))
        I_inp: Value = slot(unit="pA", doc="drive of I", bounds=(-500.0, 500.0))

    source = "E"
    target = "c"
    output = "E"
    category = "phenomenological"
    use = "fast responses, hierarchies of time scales"
    reference = "Chaudhuri et al. (2015) Neuron 88:419"
    presets = {"brainmass": {"weights": [[0.0, 0.0], [0.0, 0.0]], "B_E": 0.0, "B_I": 0.0}}

    def vector_field(self, t: Any, state: State, inputs: Inputs) -> State:
        del t  # autonomous
        (w_EE, w_EI), (w_IE, w_II) = self.weights
        E, I, c = state.E, state.I, inputs.c
        gain = 1 + self.eta * self.h
        to_E = gain * (w_EE * E + self.mu_EE * c) - w_EI * I + self.B_E + inputs.E_inp
        to_I = gain * (w_IE * E + self.mu_IE * c) - w_II * I + self.B_I + inputs.I_inp
        return self.State(
            E=(self.beta_E * jax.nn.relu(to_E) - E) / self.tau_E,
            I=(self.beta_I * jax.nn.relu(to_I) - I) / self.tau_I,
        )
