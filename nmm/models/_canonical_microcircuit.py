from typing import Any

import jax
from jaxtyping import Array

from .._custom_types import Parameter, Value
from .._declare import param, slot, variable
from ._base import AbstractModel, Inputs, State, observable


def _strength(which: str, default: float) -> Any:
    return param(default, unit="1/ms", doc=f"strength of {which}", bounds=(0.0, 4 * default))


def _time_constant(population: str, default: float) -> Any:
    doc = f"synaptic time constant of {population}"
    return param(default, unit="ms", doc=doc, bounds=(default / 2, 2 * default))


def _potential(population: str) -> Any:
    return variable(0.0, unit="mV", doc=f"potential of {population}", start=(-0.2, 0.2))


def _current(population: str) -> Any:
    doc = f"derivative of the potential of {population}"
    return variable(0.0, unit="mV/ms", doc=doc, start=(-0.05, 0.05))


class CanonicalMicrocircuit(AbstractModel):
    r"""Four populations of a cortical column with its forward and backward pathways; DCM of M/EEG.

    Of the spiny stellate cells (ss), superficial pyramidal cells (sp), inhibitory interneurons (ii)
    and deep pyramidal cells (dp), each potential follows

    $$\dot V_p = I_p, \qquad \dot I_p = (u_p - 2 I_p - V_p / T_p) / T_p$$

    and with $S_p = 1/(1 + e^{-R V_p}) - 1/2$,

    $$u_{ss} = -g_1 S_{ss} - g_3 S_{ii} - g_2 S_{sp} + E_1 A_1 + U, \qquad
      u_{sp} = g_8 S_{ss} - g_7 S_{sp} - E_3 A_3$$
    $$u_{ii} = g_5 S_{ss} + g_6 S_{dp} - g_4 S_{ii} - E_4 A_4, \qquad
      u_{dp} = -g_{10} S_{dp} - g_9 S_{ii} + E_2 A_2$$

    Regions below send their $S_{sp}$ (`S_sp`, the default source) forward to the slots `A1` and
    `A2`; regions above send their $S_{dp}$ (`S_dp`) backward to `A3` and `A4`, which subtract. At
    the defaults 0 is a stable focus that rings at 16.9 and 7.3 Hz; input `U` shows in $V_{sp}$
    most at 21.7 Hz. Smooth.

    Strengths per ms and time constants in ms are those of SPM (of 2018), which has them per s:
    $g$ = (4, 4, 8, 4, 4, 2, 4, 4, 2, 1) x 200, $E$ = (1, 1/2, 1, 1/2) x 200, $T$ = (2, 2, 16, 28)
    ms, and drives a region with $U$ = 32 per s. Of its options, reciprocal connections (divided by
    5) and the modulation of $g_7$ are left out.

    Reference: Bastos, Usrey, Adams, Mangun, Fries, Friston (2012) Neuron 76:695; Moran, Pinotsis,
    Friston (2013) Frontiers in Computational Neuroscience 7:57.
    """

    g1: Parameter = _strength("ss onto itself, inhibiting", 0.8)
    g2: Parameter = _strength("sp onto ss, inhibiting", 0.8)
    g3: Parameter = _strength("ii onto ss, inhibiting", 1.6)
    g4: Parameter = _strength("ii onto itself, inhibiting", 0.8)
    g5: Parameter = _strength("ss onto ii, exciting", 0.8)
    g6: Parameter = _strength("dp onto ii, exciting", 0.4)
    g7: Parameter = _strength("sp onto itself, inhibiting", 0.8)
    g8: Parameter = _strength("ss onto sp, exciting", 0.8)
    g9: Parameter = _strength("ii onto dp, inhibiting", 0.4)
    g10: Parameter = _strength("dp onto itself, inhibiting", 0.2)
    T_ss: Parameter = _time_constant("ss", 2.0)
    T_sp: Parameter = _time_constant("sp", 2.0)
    T_ii: Parameter = _time_constant("ii", 16.0)
    T_dp: Parameter = _time_constant("dp", 28.0)
    E1: Parameter = _strength("forward connections onto ss", 0.2)
    E2: Parameter = _strength("forward connections onto dp", 0.1)
    E3: Parameter = _strength("backward connections onto sp", 0.2)
    E4: Parameter = _strength("backward connections onto ii", 0.1)
    R: Parameter = param(2 / 3, unit="1/mV", doc="slope of the sigmoid", bounds=(0.1, 2.0))

    class State(State):
        V_ss: Value = _potential("spiny stellate cells")
        I_ss: Value = _current("spiny stellate cells")
        V_sp: Value = _potential("superficial pyramidal cells")
        I_sp: Value = _current("superficial pyramidal cells")
        V_ii: Value = _potential("inhibitory interneurons")
        I_ii: Value = _current("inhibitory interneurons")
        V_dp: Value = _potential("deep pyramidal cells")
        I_dp: Value = _current("deep pyramidal cells")

    class Inputs(Inputs):
        A1: Value = slot(unit="1", doc="forward, S_sp of other regions onto ss")
        A2: Value = slot(unit="1", doc="forward, S_sp of other regions onto dp")
        A3: Value = slot(unit="1", doc="backward, S_dp of other regions onto sp, inhibiting")
        A4: Value = slot(unit="1", doc="backward, S_dp of other regions onto ii, inhibiting")
        U: Value = slot(unit="mV/ms", doc="exogenous drive of ss")

    source = "S_sp"
    target = "A1"
    output = "V_sp"
    category = "physiological"
    use = "EEG and MEG, hierarchies of cortical columns"
    reference = "Bastos et al. (2012) Neuron 76:695"

    def _rate(self, potential: Array) -> Array:
        return jax.nn.sigmoid(self.R * potential) - 0.5

    def vector_field(self, t: Any, state: State, inputs: Inputs) -> State:
        del t  # autonomous
        y = state
        ss, sp, ii, dp = (self._rate(V) for V in (y.V_ss, y.V_sp, y.V_ii, y.V_dp))
        u_ss = inputs.U - self.g1 * ss - self.g3 * ii - self.g2 * sp + self.E1 * inputs.A1
        u_sp = self.g8 * ss - self.g7 * sp - self.E3 * inputs.A3
        u_ii = self.g5 * ss + self.g6 * dp - self.g4 * ii - self.E4 * inputs.A4
        u_dp = self.E2 * inputs.A2 - self.g10 * dp - self.g9 * ii
        return self.State(
            V_ss=y.I_ss,
            I_ss=(u_ss - 2 * y.I_ss - y.V_ss / self.T_ss) / self.T_ss,
            V_sp=y.I_sp,
            I_sp=(u_sp - 2 * y.I_sp - y.V_sp / self.T_sp) / self.T_sp,
            V_ii=y.I_ii,
            I_ii=(u_ii - 2 * y.I_ii - y.V_ii / self.T_ii) / self.T_ii,
            V_dp=y.I_dp,
            I_dp=(u_dp - 2 * y.I_dp - y.V_dp / self.T_dp) / self.T_dp,
        )

    @observable(unit="1")
    def S_sp(self, state: State) -> Array:
        """Output of the superficial pyramidal cells, which goes forward."""
        return self._rate(state.V_sp)

    @observable(unit="1")
    def S_dp(self, state: State) -> Array:
        """Output of the deep pyramidal cells, which goes backward."""
        return self._rate(state.V_dp)
