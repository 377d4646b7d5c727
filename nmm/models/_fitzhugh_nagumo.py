from typing import Any

from .._custom_types import Parameter, Value
from .._declare import param, slot, variable
from ._base import AbstractModel, Inputs, State

_CLASSICAL = {
    "alpha": 1 / 3,
    "beta": 0.0,
    "gamma": 1.0,
    "delta": -0.7,
    "epsilon": 0.8,
    "tau": 12.5,
}


class FitzHughNagumo(AbstractModel):
    r"""Excitability and spiking: a cubic fast variable and a slow linear recovery.

    $$\dot V = -\alpha V^3 + \beta V^2 + \gamma V - w + I + I_V$$
    $$\dot w = (V - \delta - \epsilon w)/\tau + I_w$$

    At the defaults, which are neurolib's without its drive, $V = 0$ attracts and no kick makes a
    spike; for $I$ between 0.726 and 1.332 there is a limit cycle (preset `"neurolib"`, $I$ = 1,
    32.7 Hz). The preset `"fitzhugh1961"` is the classical $\dot v = v - v^3/3 - w + I$,
    $\dot w = (v + 0.7 - 0.8 w)/12.5$: excitable at $I$ = 0, with a limit cycle between 0.331 and
    1.419 (preset `"fitzhugh1961_spiking"`, $I$ = 0.5). Smooth. One unit of time is taken as 1 ms.

    The form $\epsilon V (V - \lambda)(1 - V)$ of Kostova et al. is $\alpha = \epsilon$, $\beta =
    \epsilon (1 + \lambda)$, $\gamma = -\lambda \epsilon$; the defaults are none of it.

    Reference: FitzHugh (1961) Biophysical Journal 1:445; Nagumo, Arimoto, Yoshizawa (1962)
    Proceedings of the IRE 50:2061; Kostova, Ravindran, Schonbek (2004) International Journal of
    Bifurcation and Chaos 14:913.
    """

    alpha: Parameter = param(3.0, unit="1/ms", doc="cubic coefficient", bounds=(0.1, 5.0))
    beta: Parameter = param(4.0, unit="1/ms", doc="quadratic coefficient", bounds=(-1.0, 6.0))
    gamma: Parameter = param(-1.5, unit="1/ms", doc="linear coefficient", bounds=(-3.0, 3.0))
    delta: Parameter = param(0.0, unit="1", doc="offset of the recovery", bounds=(-1.0, 1.0))
    epsilon: Parameter = param(
        0.5, unit="1", doc="decay of the recovery, times tau", bounds=(0.0, 1.0)
    )
    tau: Parameter = param(20.0, unit="ms", doc="time constant of the recovery", bounds=(1.0, 50.0))
    I: Parameter = param(0.0, unit="1/ms", doc="constant drive", bounds=(-2.0, 2.0))

    class State(State):
        V: Value = variable(0.05, unit="1", doc="activity", start=(-0.5, 1.0))
        w: Value = variable(0.0, unit="1", doc="recovery", start=(-0.5, 1.0))

    class Inputs(Inputs):
        V_inp: Value = slot(unit="1/ms", doc="drive of V")
        w_inp: Value = slot(unit="1/ms", doc="drive of w")

    source = "V"
    target = "V_inp"
    output = "V"
    category = "phenomenological"
    use = "excitability, spikes"
    reference = "FitzHugh (1961) Biophysical Journal 1:445"
    presets = {
        "neurolib": {"I": 1.0},
        "fitzhugh1961": _CLASSICAL,
        "fitzhugh1961_spiking": {**_CLASSICAL, "I": 0.5},
    }

    def vector_field(self, t: Any, state: State, inputs: Inputs) -> State:
        del t  # autonomous
        V, w = state.V, state.w
        cubic = -self.alpha * V**3 + self.beta * V**2 + self.gamma * V
        return self.State(
            V=cubic - w + self.I + inputs.V_inp,
            w=(V - self.delta - self.epsilon * w) / self.tau + inputs.w_inp,
        )
