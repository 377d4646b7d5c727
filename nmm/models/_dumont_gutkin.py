from typing import Any

from jaxtyping import Array

from .._custom_types import Parameter, Value
from .._declare import param, slot, variable
from ._base import AbstractModel, Inputs, State, observable
from ._quadratic import quadratic_mean_field
from ._synchrony import spike_synchrony


def _current(population: str) -> Any:
    return param(0.0, unit="1", doc=f"constant current into {population}", bounds=(-10.0, 10.0))


def _width(population: str) -> Any:
    doc = f"half width of the excitabilities of {population}"
    return param(1.0, unit="1", doc=doc, bounds=(0.0, 10.0))


def _excitability(population: str) -> Any:
    return param(-5.0, unit="1", doc=f"mean excitability of {population}", bounds=(-10.0, 20.0))


def _time_constant(what: str, default: float) -> Any:
    return param(default, unit="ms", doc=f"time constant of {what}", bounds=(0.1, 15.0))


def _weight(which: str, default: float) -> Any:
    return param(default, unit="1", doc=f"strength of {which}", bounds=(-25.0, 25.0))


def _rate(population: str) -> Any:
    doc = f"firing rate of {population}"
    return variable(0.05, unit="1/ms", doc=doc, start=(0.0, 2.0), bounds=(0.0, None))


def _potential(population: str) -> Any:
    doc = f"mean membrane potential of {population}"
    return variable(-1.0, unit="1", doc=doc, start=(-2.0, 1.5))


def _synapse(which: str) -> Any:
    return variable(0.0, unit="1/ms", doc=f"synaptic current {which}", start=(-1.0, 1.0))


class DumontGutkin(AbstractModel):
    r"""Excitatory and inhibitory quadratic integrate-and-fire neurons with synapses: gamma rhythms.

    For the populations $a$ = e, i,

    $$\tau_a \dot r_a = \frac{\Delta_a}{\pi \tau_a} + 2 r_a V_a, \qquad \tau_a \dot V_a = V_a^2
      - (\pi \tau_a r_a)^2 + \eta_a + \tau_a (s_{ae} - s_{ai}) + I_a$$
    $$\tau_s \dot s_{ab} = -s_{ab} + J_{ab} r_b + c_{ab}, \qquad
      c_{ee} = c, \quad c_{ie} = \Gamma c, \quad c_{ei} = c_{ii} = 0$$

    $s_{ab}$ acts on $a$ and comes from $b$; inhibition is subtracted, so that all $J \ge 0$. At the
    defaults nothing excites I, and both populations rest (at 6.7 and 6.5 Hz). The preset `"ping"`
    (E driven, E and I connected both ways) oscillates at 70.6 Hz. Rates are kept at 0 or above.
    Smooth.

    Reference: Dumont, Gutkin (2019) PLoS Computational Biology 15:e1007019.
    """

    I_e: Parameter = _current("E")
    Delta_e: Parameter = _width("E")
    eta_e: Parameter = _excitability("E")
    tau_e: Parameter = _time_constant("the membranes of E", 10.0)
    I_i: Parameter = _current("I")
    Delta_i: Parameter = _width("I")
    eta_i: Parameter = _excitability("I")
    tau_i: Parameter = _time_constant("the membranes of I", 10.0)
    tau_s: Parameter = _time_constant("the synapses", 1.0)
    J_ee: Parameter = _weight("E onto E", 0.0)
    J_ei: Parameter = _weight("I onto E", 10.0)
    J_ie: Parameter = _weight("E onto I", 0.0)
    J_ii: Parameter = _weight("I onto I", 15.0)
    Gamma: Parameter = param(
        5.0, unit="1", doc="other regions onto I, as against E", bounds=(0.0, 10.0)
    )

    class State(State):
        r_e: Value = _rate("E")
        V_e: Value = _potential("E")
        s_ee: Value = _synapse("onto E from E")
        s_ei: Value = _synapse("onto E from I")
        r_i: Value = _rate("I")
        V_i: Value = _potential("I")
        s_ie: Value = _synapse("onto I from E")
        s_ii: Value = _synapse("onto I from I")

    class Inputs(Inputs):
        c: Value = slot(unit="1/ms", doc="rates of other regions, onto E and, times Gamma, onto I")
        I_ext_e: Value = slot(unit="1", doc="adds to I_e")
        I_ext_i: Value = slot(unit="1", doc="adds to I_i")

    source = "r_e"
    target = "c"
    output = "r_e"
    category = "physiological"
    use = "exact mean field, gamma rhythms"
    reference = "Dumont, Gutkin (2019) PLoS Computational Biology 15:e1007019"
    presets = {"ping": {"eta_e": 10.0, "J_ei": 15.0, "J_ie": 15.0, "J_ii": 0.0}}

    def vector_field(self, t: Any, state: State, inputs: Inputs) -> State:
        del t  # autonomous
        y, tau_s = state, self.tau_s
        to_e = self.eta_e + self.tau_e * (y.s_ee - y.s_ei) + self.I_e + inputs.I_ext_e
        to_i = self.eta_i + self.tau_i * (y.s_ie - y.s_ii) + self.I_i + inputs.I_ext_i
        r_e, V_e = quadratic_mean_field(y.r_e, y.V_e, self.tau_e, self.Delta_e, to_e)
        r_i, V_i = quadratic_mean_field(y.r_i, y.V_i, self.tau_i, self.Delta_i, to_i)
        return self.State(
            r_e=r_e,
            V_e=V_e,
            s_ee=(self.J_ee * y.r_e + inputs.c - y.s_ee) / tau_s,
            s_ei=(self.J_ei * y.r_i - y.s_ei) / tau_s,
            r_i=r_i,
            V_i=V_i,
            s_ie=(self.J_ie * y.r_e + self.Gamma * inputs.c - y.s_ie) / tau_s,
            s_ii=(self.J_ii * y.r_i - y.s_ii) / tau_s,
        )

    @observable(unit="1")
    def synchrony_e(self, state: State) -> Array:
        """Kuramoto order parameter of the excitatory spike phases, in [0, 1]."""
        return spike_synchrony(self.tau_e * state.r_e, state.V_e)

    @observable(unit="1")
    def synchrony_i(self, state: State) -> Array:
        """Kuramoto order parameter of the inhibitory spike phases, in [0, 1]."""
        return spike_synchrony(self.tau_i * state.r_i, state.V_i)
