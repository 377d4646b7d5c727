from typing import Any

import equinox as eqx
from jaxtyping import Array

from .._custom_types import Parameter, Value
from .._declare import param, slot, variable
from ._base import AbstractModel, Inputs, State, observable
from ._transfer import rectified_exponential


class AbstractWongWangExcInh(AbstractModel):
    """Excitatory and inhibitory gating with feedback inhibition and a gain of both rates."""

    M_i: eqx.AbstractVar[Any]
    a_e: Parameter = param(310.0, unit="Hz/nA", doc="excitatory gain", bounds=(0.0, 500.0))
    b_e: Parameter = param(125.0, unit="Hz", doc="excitatory shift", bounds=(0.0, 200.0))
    d_e: Parameter = param(0.16, unit="s", doc="excitatory curvature", bounds=(0.01, 0.2))
    gamma_e: Parameter = param(
        0.641e-3, unit="1/(ms Hz)", doc="excitatory kinetic factor", bounds=(0.0, 0.001)
    )
    tau_e: Parameter = param(100.0, unit="ms", doc="NMDA decay time", bounds=(50.0, 150.0))
    w_p: Parameter = param(1.4, unit="1", doc="local recurrence", bounds=(0.0, 2.0))
    W_e: Parameter = param(1.0, unit="1", doc="share of I_o that reaches E", bounds=(0.0, 2.0))
    a_i: Parameter = param(615.0, unit="Hz/nA", doc="inhibitory gain", bounds=(0.0, 1000.0))
    b_i: Parameter = param(177.0, unit="Hz", doc="inhibitory shift", bounds=(0.0, 200.0))
    d_i: Parameter = param(0.087, unit="s", doc="inhibitory curvature", bounds=(0.01, 0.2))
    gamma_i: Parameter = param(
        1e-3, unit="1/(ms Hz)", doc="inhibitory kinetic factor", bounds=(0.0, 0.002)
    )
    tau_i: Parameter = param(10.0, unit="ms", doc="GABA decay time", bounds=(5.0, 100.0))
    W_i: Parameter = param(0.7, unit="1", doc="share of I_o that reaches I", bounds=(0.0, 1.0))
    J_N: Parameter = param(0.15, unit="nA", doc="NMDA coupling", bounds=(0.001, 0.5))
    J_i: Parameter = param(1.0, unit="nA", doc="feedback inhibition", bounds=(0.001, 2.0))
    I_o: Parameter = param(0.382, unit="nA", doc="background current", bounds=(0.0, 1.0))
    lamda: Parameter = param(
        0.0, unit="1", doc="long-range feed-forward inhibition", bounds=(-0.1, 1.0)
    )

    class State(State):
        S_e: Value = variable(
            0.001, unit="1", doc="excitatory gating", start=(0.0, 0.2), bounds=(0.0, 1.0)
        )
        S_i: Value = variable(
            0.001, unit="1", doc="inhibitory gating", start=(0.0, 0.1), bounds=(0.0, 1.0)
        )

    class Inputs(Inputs):
        c: Value = slot(
            unit="1", doc="synaptic drive of other regions, times J_N", bounds=(0.0, 1.0)
        )
        I_ext: Value = slot(unit="nA", doc="external current onto E", bounds=(0.0, 1.0))
        I_ext_i: Value = slot(unit="nA", doc="external current onto I", bounds=(0.0, 1.0))

    source = "S_e"
    target = "c"
    output = "S_e"
    category = "physiological"

    def vector_field(self, t: Any, state: State, inputs: Inputs) -> State:
        del t  # autonomous
        rate_e, rate_i = self.H_e(state, inputs), self.H_i(state, inputs)
        return self.State(
            S_e=(1 - state.S_e) * self.gamma_e * rate_e - state.S_e / self.tau_e,
            S_i=self.gamma_i * rate_i - state.S_i / self.tau_i,
        )

    @observable(unit="Hz")
    def H_e(self, state: State, inputs: Inputs) -> Array:
        """Excitatory firing rate."""
        current = (
            self.w_p * self.J_N * state.S_e
            - self.J_i * state.S_i
            + self.W_e * self.I_o
            + self.J_N * inputs.c
            + inputs.I_ext
        )
        net = self.M_i * (self.a_e * current - self.b_e)
        return rectified_exponential(self.d_e * net) / self.d_e

    @observable(unit="Hz")
    def H_i(self, state: State, inputs: Inputs) -> Array:
        """Inhibitory firing rate."""
        current = (
            self.J_N * state.S_e
            - state.S_i
            + self.W_i * self.I_o
            + self.lamda * self.J_N * inputs.c
            + inputs.I_ext_i
        )
        net = self.M_i * (self.a_i * current - self.b_i)
        return rectified_exponential(self.d_i * net) / self.d_i


class WongWangExcInh(AbstractWongWangExcInh):
    r"""Excitatory and inhibitory synaptic gating with feedback inhibition; resting BOLD.

    $$x_e = w_p J_N S_e - J_i S_i + W_e I_o + J_N c + I_{ext}$$
    $$x_i = J_N S_e - S_i + W_i I_o + \lambda J_N c + I_{ext,i}$$
    $$H_k(x) = \frac{a_k x - b_k}{1 - e^{-d_k (a_k x - b_k)}}, \quad k = e, i$$
    $$\dot S_e = -S_e/\tau_e + (1 - S_e)\,\gamma_e H_e(x_e), \qquad
      \dot S_i = -S_i/\tau_i + \gamma_i H_i(x_i)$$

    The global coupling is in the coupling, never here. $J_i$ sets the balance: 1.0107 gives 3 Hz to
    an uncoupled region, and with coupling each region needs its own. Both gatings are kept in
    [0, 1]. Smooth; $H$ has its limit $1/d$ at $a x = b$. Rates are in Hz and $\gamma$ in
    1/(ms Hz).

    The `WWModel` of neurolib is this model in other units (`a_exc` and `b_exc` per ms, `d_exc` in
    ms, rates in kHz), with `K_gl` for the global coupling, external currents times `w_exc` and
    `w_inh`, and an Ornstein-Uhlenbeck process in each derivative: preset `"neurolib"`, the same
    numbers. The regional gain of `nmm.DecoBalancedExcInh` is 1 here.

    Reference: Deco, Ponce-Alvarez, Hagmann, Romani, Mantini, Corbetta (2014) Journal of
    Neuroscience 34:7886.
    """

    use = "resting BOLD, balanced by inhibition"
    reference = "Deco et al. (2014) Journal of Neuroscience 34:7886"
    presets = {"neurolib": {"w_p": 1.4, "J_i": 1.0, "J_N": 0.15, "I_o": 0.382}}

    @property
    def M_i(self) -> float:
        return 1.0


class DecoBalancedExcInh(AbstractWongWangExcInh):
    r"""Feedback inhibition with a gain of each region: maps of heterogeneity in resting BOLD.

    `nmm.WongWangExcInh`, whose equations these are, with a gain $M$ of both populations,

    $$H_k(x) = \frac{u}{1 - e^{-d_k u}}, \quad u = M (a_k x - b_k), \quad k = e, i$$

    that follows a map of the cortex, such as T1w/T2w or the expression of genes: `M_i` with one
    value a region. An uncoupled region rests at 3.08 Hz at $M$ = 1, at 2.88 Hz at 1.2. It does not
    balance itself: $J_i$ has to be tuned for a rate of about 3 Hz. Both gatings are kept in [0, 1].
    Smooth; $H$ has its limit $1/d$ at $u$ = 0. The class of The Virtual Brain has the global
    coupling `G` = 2 inside of the node; here it is in the coupling alone, and its `I_ext` is the
    slot of that name.

    Reference: Deco, Kringelbach, Arnatkeviciute, Oldham, Sabaroedin, Rogasch, Aquino, Fornito
    (2021) Science Advances 7:eabf4752; Deco et al. (2014) Journal of Neuroscience 34:7886.
    """

    M_i: Parameter = param(1.0, unit="1", doc="gain of the region", bounds=(0.5, 10.0))

    use = "regional heterogeneity in resting BOLD"
    reference = "Deco et al. (2021) Science Advances 7:eabf4752"
