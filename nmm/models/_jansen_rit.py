from typing import Any

import jax
from jaxtyping import Array

from .._custom_types import Parameter, Value
from .._declare import param, slot, variable
from ..units import Hz
from ._base import AbstractModel, Inputs, State, observable


class JansenRit(AbstractModel):
    r"""Cortical column of pyramidal cells and excitatory and inhibitory interneurons; EEG, alpha.

    With the rate $S(v) = s_{max} / (1 + e^{r (v_0 - v)})$,

    $$\ddot M = A_e b_e S(E - I + I_M) - 2 b_e \dot M - b_e^2 M$$
    $$\ddot E = A_e b_e (p + I_E + a_2 C\,S(a_1 C M)) - 2 b_e \dot E - b_e^2 E$$
    $$\ddot I = A_i b_i\,a_4 C\,S(a_3 C M + I_I) - 2 b_i \dot I - b_i^2 I$$

    as six first-order equations. The EEG is $E - I$. Between $p$ = 89.83 and 315.70 Hz a limit
    cycle gives alpha (10.9 Hz at 220 Hz); between 113.6 and 137 Hz it coexists with large slow
    spikes, where a run from 0 ends. Smooth.

    Papers count in seconds; here rates are per ms, so that $s_{max}$ = 5 Hz = 0.005 per ms and
    $p$ = 220 Hz = 0.22 per ms. $s_{max}$ is the full $2 e_0$. The Virtual Brain uses $v_0$ = 5.52
    mV, which gives 6.8 Hz instead of alpha: preset `"tvb"`. Further presets: `"alpha"`, the
    defaults; `"slow_spikes"`, 2.4 Hz from 0, at 120 Hz; `"spike_wave"`, 3.8 Hz, with stronger
    excitation and slower, weaker inhibition; `"reduced_inhibition"`, 1.7 Hz; `"brainmass"`, where
    all input comes through the slot. To each belongs an input rate `p`; noise on it, of $\sigma$ Hz
    sqrt(s), is white noise on `Ev`, of $A_e b_e \sigma / \sqrt{1000}$.

    Reference: Jansen, Rit (1995) Biological Cybernetics 73:357; Grimbert, Faugeras (2006) Neural
    Computation 18:3052.
    """

    Ae: Parameter = param(3.25, unit="mV", doc="excitatory gain A", bounds=(2.6, 9.75))
    Ai: Parameter = param(22.0, unit="mV", doc="inhibitory gain B", bounds=(10.0, 110.0))
    be: Parameter = param(
        0.1, unit="1/ms", doc="excitatory inverse time constant a", bounds=(0.05, 0.15)
    )
    bi: Parameter = param(
        0.05, unit="1/ms", doc="inhibitory inverse time constant b", bounds=(0.025, 0.075)
    )
    C: Parameter = param(135.0, unit="1", doc="connectivity", bounds=(65.0, 1350.0))
    a1: Parameter = param(1.0, unit="1", doc="pyramidal to excitatory, C1/C", bounds=(0.5, 1.5))
    a2: Parameter = param(0.8, unit="1", doc="excitatory to pyramidal, C2/C", bounds=(0.4, 1.2))
    a3: Parameter = param(
        0.25, unit="1", doc="pyramidal to inhibitory, C3/C", bounds=(0.125, 0.375)
    )
    a4: Parameter = param(
        0.25, unit="1", doc="inhibitory to pyramidal, C4/C", bounds=(0.125, 0.375)
    )
    s_max: Parameter = param(0.005, unit="1/ms", doc="maximal rate 2 e0", bounds=(0.0025, 0.0075))
    v0: Parameter = param(6.0, unit="mV", doc="midpoint of the sigmoid", bounds=(3.0, 7.0))
    r: Parameter = param(0.56, unit="1/mV", doc="slope of the sigmoid", bounds=(0.28, 0.84))
    p: Parameter = param(220 * Hz, unit="1/ms", doc="mean input rate", bounds=(0.0, 0.4))

    class State(State):
        M: Value = variable(0.0, unit="mV", doc="pyramidal PSP", start=(0.0, 0.2))
        E: Value = variable(0.0, unit="mV", doc="excitatory PSP", start=(10.0, 30.0))
        I: Value = variable(0.0, unit="mV", doc="inhibitory PSP", start=(5.0, 25.0))
        Mv: Value = variable(0.0, unit="mV/ms", doc="derivative of M", start=(-0.01, 0.01))
        Ev: Value = variable(0.0, unit="mV/ms", doc="derivative of E", start=(-1.0, 1.0))
        Iv: Value = variable(0.0, unit="mV/ms", doc="derivative of I", start=(-1.0, 1.0))

    class Inputs(Inputs):
        M_inp: Value = slot(unit="mV", doc="shift of the pyramidal potential")
        E_inp: Value = slot(unit="1/ms", doc="rate that adds to p", bounds=(0.0, 0.1))
        I_inp: Value = slot(unit="mV", doc="shift of the inhibitory potential")

    source = "rate"
    target = "E_inp"
    output = "eeg"
    category = "physiological"
    use = "EEG, alpha rhythm, spikes"
    reference = "Jansen, Rit (1995) Biological Cybernetics 73:357"
    presets = {
        "alpha": {"p": 220 * Hz},
        "slow_spikes": {"p": 120 * Hz},
        "spike_wave": {"Ae": 4.5, "Ai": 18.0, "bi": 40 * Hz, "p": 90 * Hz},
        "reduced_inhibition": {"Ai": 15.0, "bi": 40 * Hz, "p": 100 * Hz},
        "tvb": {"v0": 5.52},
        "brainmass": {"p": 0.0},
    }

    def sigmoid(self, v: Array) -> Array:
        """The rate S(v), per ms, at the potential `v`, mV."""
        return self.s_max * jax.nn.sigmoid(self.r * (v - self.v0))

    def vector_field(self, t: Any, state: State, inputs: Inputs) -> State:
        del t  # autonomous
        S, be, bi = self.sigmoid, self.be, self.bi
        rate_M = S(state.E - state.I + inputs.M_inp)
        rate_E = self.p + inputs.E_inp + self.a2 * self.C * S(self.a1 * self.C * state.M)
        rate_I = self.a4 * self.C * S(self.a3 * self.C * state.M + inputs.I_inp)
        return self.State(
            M=state.Mv,
            E=state.Ev,
            I=state.Iv,
            Mv=self.Ae * be * rate_M - 2 * be * state.Mv - be**2 * state.M,
            Ev=self.Ae * be * rate_E - 2 * be * state.Ev - be**2 * state.E,
            Iv=self.Ai * bi * rate_I - 2 * bi * state.Iv - bi**2 * state.I,
        )

    @observable(unit="mV")
    def eeg(self, state: State) -> Array:
        """Potential of the pyramidal cells, E - I."""
        return state.E - state.I

    @observable(unit="1/ms")
    def rate(self, state: State) -> Array:
        """Firing rate of the pyramidal cells, S(E - I)."""
        return self.sigmoid(state.E - state.I)
