from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from .._custom_types import Parameter, Value
from .._declare import param, slot, variable
from ..units import Hz
from ._base import AbstractModel, Inputs, State, observable
from ._transfer import rectified_exponential


class WongWang(AbstractModel):
    r"""Two selective pools that compete for a decision; motion of some coherence drives both.

    $$\dot S_i = -S_i/\tau_S + (1 - S_i)\,\gamma\,H(x_i), \quad i = 1, 2, \qquad
      H(x) = \frac{a x - b}{1 - e^{-d (a x - b)}}$$
    $$x_1 = J_{11} S_1 - J_{12} S_2 + I_0 + J_{ext}\,\mu_0 (1 + c) + I_1$$
    $$x_2 = J_{22} S_2 - J_{21} S_1 + I_0 + J_{ext}\,\mu_0 (1 - c) + I_2$$

    The coherence $c$, in [-1, 1], is the parameter plus its slot. Without stimulus ($\mu_0$ = 0) a
    spontaneous state of 1.8 Hz and two states of memory are stable; with it, either pool wins, and
    a rate above 15 Hz counts as its decision. Without coherence or noise equal pools stay equal,
    on the ridge between the two outcomes. The paper's noise in $I_1$ and $I_2$ has a standard
    deviation of 0.02/sqrt(2) nA and a correlation time of 2 ms: `nmm.noise.OrnsteinUhlenbeck`. $S$
    is kept in [0, 1]. Smooth; $H$ has its limit $1/d$ at $a x = b$.

    Rates inside are per ms: the paper's $a$ = 270 Hz/nA, $b$ = 108 Hz, $d$ = 0.154 s, $\mu_0$ = 30
    Hz, and $J_{ext}$ = 5.2e-4 nA/Hz, which belongs to these $J$ and $I_0$, without AMPA at the
    recurrent synapses. brainmass 0.1.1 has a rectifier at 0.31 nA for $H$, the limit of large $d$,
    and 2.243e-4 nA/Hz: preset `"brainmass"`, in which both pools win at any coherence. A class that
    was contributed to The Virtual Brain drives $S$ ten thousand times too weakly, and decides
    nothing: preset `"tvb"`.

    Reference: Wong, Wang (2006) Journal of Neuroscience 26:1314; Wong, Huk, Shadlen, Wang (2007)
    Frontiers in Computational Neuroscience 1:6.
    """

    tau_S: Parameter = param(100.0, unit="ms", doc="NMDA decay time", bounds=(50.0, 150.0))
    gamma: Parameter = param(0.641, unit="1", doc="kinetic factor", bounds=(0.0, 1.0))
    a: Parameter = param(0.27, unit="1/(ms nA)", doc="gain of the rate function", bounds=(0.0, 0.5))
    b: Parameter = param(0.108, unit="1/ms", doc="shift of the rate function", bounds=(0.0, 1.0))
    d: Parameter = param(
        154.0, unit="ms", doc="curvature of the rate function", bounds=(1.0, 200.0)
    )
    J_N11: Parameter = param(0.2609, unit="nA", doc="pool 1 onto itself", bounds=(0.0, 0.5))
    J_N22: Parameter = param(0.2609, unit="nA", doc="pool 2 onto itself", bounds=(0.0, 0.5))
    J_N12: Parameter = param(0.0497, unit="nA", doc="inhibition of 1 by 2", bounds=(0.0, 0.2))
    J_N21: Parameter = param(0.0497, unit="nA", doc="inhibition of 2 by 1", bounds=(0.0, 0.2))
    J_A_ext: Parameter = param(0.52, unit="nA ms", doc="stimulus onto a pool", bounds=(0.0, 1.0))
    mu_0: Parameter = param(30 * Hz, unit="1/ms", doc="rate of the stimulus", bounds=(0.0, 0.1))
    I_0: Parameter = param(0.3255, unit="nA", doc="background current", bounds=(0.0, 0.5))
    coherence: Parameter = param(
        0.0, unit="1", doc="coherence of the motion, favours 1 if positive", bounds=(-1.0, 1.0)
    )

    class State(State):
        S1: Value = variable(
            0.1, unit="1", doc="open NMDA channels of pool 1", start=(0.0, 0.2), bounds=(0.0, 1.0)
        )
        S2: Value = variable(
            0.1, unit="1", doc="open NMDA channels of pool 2", start=(0.0, 0.2), bounds=(0.0, 1.0)
        )

    class Inputs(Inputs):
        S1_inp: Value = slot(unit="nA", doc="current into pool 1", bounds=(-0.1, 0.1))
        S2_inp: Value = slot(unit="nA", doc="current into pool 2", bounds=(-0.1, 0.1))
        coherence_inp: Value = slot(unit="1", doc="adds to the coherence", bounds=(-1.0, 1.0))

    source = "S1"
    target = "S1_inp"
    output = "r1"
    category = "physiological"
    use = "decisions between two options"
    reference = "Wong, Wang (2006) Journal of Neuroscience 26:1314"
    presets = {
        "brainmass": {"J_A_ext": 0.2243, "b": 0.27 * 0.31, "d": 1e9},
        "tvb": {"gamma": 0.641e-4, "coherence": 0.51},
    }

    def _rates(self, state: State, inputs: Inputs) -> tuple[Array, Array]:
        coherence = self.coherence + inputs.coherence_inp
        stimulus = self.J_A_ext * self.mu_0
        S1, S2 = state.S1, state.S2
        to_1 = self.J_N11 * S1 - self.J_N12 * S2 + stimulus * (1 + coherence) + inputs.S1_inp
        to_2 = self.J_N22 * S2 - self.J_N21 * S1 + stimulus * (1 - coherence) + inputs.S2_inp
        return self._rate(self.I_0 + to_1), self._rate(self.I_0 + to_2)

    def _rate(self, current: Array) -> Array:
        return rectified_exponential(self.d * (self.a * current - self.b)) / self.d

    def vector_field(self, t: Any, state: State, inputs: Inputs) -> State:
        del t  # autonomous
        rate_1, rate_2 = self._rates(state, inputs)
        return self.State(
            S1=(1 - state.S1) * self.gamma * rate_1 - state.S1 / self.tau_S,
            S2=(1 - state.S2) * self.gamma * rate_2 - state.S2 / self.tau_S,
        )

    @observable(unit="Hz")
    def r1(self, state: State, inputs: Inputs) -> Array:
        """Firing rate of pool 1."""
        return 1000 * self._rates(state, inputs)[0]

    @observable(unit="Hz")
    def r2(self, state: State, inputs: Inputs) -> Array:
        """Firing rate of pool 2."""
        return 1000 * self._rates(state, inputs)[1]

    @observable(unit="1")
    def decision(self, state: State, inputs: Inputs) -> Array:
        """The pool that is the faster and above 15 Hz, 1 or 2; 0 if none is. Not smooth."""
        r1, r2 = self.r1(state, inputs), self.r2(state, inputs)
        winner = jnp.where(r1 >= r2, 1, 2)
        return jnp.where(jnp.maximum(r1, r2) > 15, winner, 0).astype(r1.dtype)
