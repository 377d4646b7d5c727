"""Mean fields of adaptive exponential integrate-and-fire neurons, of first and second order."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._custom_types import Parameter, Value
from .._declare import param, slot, variable
from ._base import AbstractModel, Inputs, State, observable

# Fits of the threshold to simulations of single neurons, of di Volo et al. (2019), V.
_P_E = [
    -0.04983106, 0.005063550882777035, -0.023470121807314552, 0.0022951513725067503,
    -0.0004105302652029825, 0.010547051343547399, -0.03659252821136933, 0.007437487505797858,
    0.001265064721846073, -0.04072161294490446,
]  # fmt: skip
_P_I = [
    -0.05149122024209484, 0.004003689190271077, -0.008352013668528155, 0.0002414237992765705,
    -0.0005070645080016026, 0.0014345394104282397, -0.014686689498949967, 0.004502706285435741,
    0.0028472190352532454, -0.015357804594594548,
]  # fmt: skip
_ASYNCHRONOUS = {"external_input_ex_ex": 0.004, "external_input_in_ex": 0.004}


class Membrane(NamedTuple):
    """Mean, standard deviation (mV) and correlation time (ms) of the potential of neurons."""

    mu_V: Array
    sigma_V: Array
    T_V: Array


def _threshold(default: list[float], population: str) -> Any:
    doc = f"polynomial of the threshold of {population}"
    return param(default, unit="V", doc=doc, bounds=(-0.06, 0.02), shape=(10,))


def _adaptation(default: float, unit: str, doc: str, high: float) -> Any:
    return param(default, unit=unit, doc=doc, bounds=(0.0, high))


def _external(target: str, source: str) -> Any:
    doc = f"external {source} rate onto {target}"
    return param(0.0, unit="1/ms", doc=doc, bounds=(0.0, 0.1))


def _rate(population: str, default: float) -> Any:
    doc = f"firing rate of {population}"
    return variable(default, unit="1/ms", doc=doc, start=(0.001, 0.25), bounds=(0.0, None))


def _variance(population: str) -> Any:
    doc = f"variance of the rate of {population}"
    return variable(0.0, unit="1/ms^2", doc=doc, start=(0.0, 5e-4), bounds=(0.0, None))


def _current(population: str, high: float, default: float = 0.0) -> Any:
    return variable(default, unit="pA", doc=f"adaptation of {population}", start=(0.0, high))


def _noise() -> Any:
    doc = "noise of the input, over weight_noise"
    return variable(0.0, unit="1/ms", doc=doc, start=(-0.002, 0.002))


class AbstractZerlaut(AbstractModel):
    """Adaptive exponential integrate-and-fire neurons by their transfer function."""

    rectifies_first: eqx.AbstractVar[Any]
    g_L: Parameter = param(10.0, unit="nS", doc="leak conductance", bounds=(1.0, 100.0))
    E_L_e: Parameter = param(-65.0, unit="mV", doc="leak reversal of E", bounds=(-90.0, -60.0))
    E_L_i: Parameter = param(-65.0, unit="mV", doc="leak reversal of I", bounds=(-90.0, -60.0))
    C_m: Parameter = param(200.0, unit="pF", doc="capacitance", bounds=(10.0, 500.0))
    b_e: Parameter = _adaptation(60.0, "pA", "adaptation of E by spikes", 150.0)
    a_e: Parameter = _adaptation(4.0, "nS", "adaptation of E by the potential", 20.0)
    b_i: Parameter = _adaptation(0.0, "pA", "adaptation of I by spikes", 100.0)
    a_i: Parameter = _adaptation(0.0, "nS", "adaptation of I by the potential", 20.0)
    tau_w_e: Parameter = param(
        500.0, unit="ms", doc="time constant of adaptation of E", bounds=(1.0, 1000.0)
    )
    tau_w_i: Parameter = param(
        1.0, unit="ms", doc="time constant of adaptation of I", bounds=(0.5, 1000.0)
    )
    E_e: Parameter = param(0.0, unit="mV", doc="reversal of excitation", bounds=(-20.0, 20.0))
    E_i: Parameter = param(-80.0, unit="mV", doc="reversal of inhibition", bounds=(-100.0, -60.0))
    Q_e: Parameter = param(1.5, unit="nS", doc="quantum of excitation", bounds=(0.1, 5.0))
    Q_i: Parameter = param(5.0, unit="nS", doc="quantum of inhibition", bounds=(0.1, 10.0))
    tau_e: Parameter = param(5.0, unit="ms", doc="decay of excitation", bounds=(1.0, 10.0))
    tau_i: Parameter = param(5.0, unit="ms", doc="decay of inhibition", bounds=(0.5, 10.0))
    N_tot: Parameter = param(1e4, unit="1", doc="cells", bounds=(1000.0, 50_000.0))
    p_connect_e: Parameter = param(
        0.05, unit="1", doc="probability of excitatory contacts", bounds=(0.001, 0.2)
    )
    p_connect_i: Parameter = param(
        0.05, unit="1", doc="probability of inhibitory contacts", bounds=(0.001, 0.2)
    )
    g: Parameter = param(0.2, unit="1", doc="share of inhibitory cells", bounds=(0.01, 0.4))
    K_ext_e: Parameter = param(
        400.0, unit="1", doc="external excitatory contacts", bounds=(0.0, 10_000.0)
    )
    K_ext_i: Parameter = param(
        0.0, unit="1", doc="external inhibitory contacts", bounds=(0.0, 10_000.0)
    )
    T: Parameter = param(20.0, unit="ms", doc="time scale of the rates", bounds=(1.0, 40.0))
    P_e: Parameter = _threshold(_P_E, "E")
    P_i: Parameter = _threshold(_P_I, "I")
    external_input_ex_ex: Parameter = _external("E", "excitatory")
    external_input_ex_in: Parameter = _external("E", "inhibitory")
    external_input_in_ex: Parameter = _external("I", "excitatory")
    external_input_in_in: Parameter = _external("I", "inhibitory")
    tau_OU: Parameter = param(
        5.0, unit="ms", doc="correlation time of the noise", bounds=(0.1, 10.0)
    )
    weight_noise: Parameter = param(10.5, unit="1", doc="weight of the noise", bounds=(0.0, 50.0))
    S_i: Parameter = param(
        1.0, unit="1", doc="other regions onto I, as against E", bounds=(0.0, 2.0)
    )

    class Inputs(Inputs):
        c: Value = slot(
            unit="1/ms", doc="excitatory rates of other regions, times K_ext_e", bounds=(0.0, 0.1)
        )
        nu_e: Value = slot(unit="1/ms", doc="adds to external_input_ex_ex", bounds=(0.0, 0.1))
        nu_i: Value = slot(unit="1/ms", doc="adds to external_input_in_ex", bounds=(0.0, 0.1))

    source = "E"
    target = "c"
    output = "E"
    category = "physiological"
    reference = "di Volo et al. (2019) Neural Computation 31:653"

    def _drives(self, state: Any, inputs: Any) -> tuple[Array, Array]:
        """The external excitatory rates of E and of I, which are at least 0."""
        noise = self.weight_noise * state.ou_drift
        external_e = self.external_input_ex_ex + inputs.nu_e
        external_i = self.external_input_in_ex + inputs.nu_i
        if self.rectifies_first:
            heard = jax.nn.relu(inputs.c + noise)
            return heard + external_e, heard + external_i
        to_e = jax.nn.relu(inputs.c + noise + external_e)
        return to_e, jax.nn.relu(self.S_i * inputs.c + noise + external_i)

    def _membrane(
        self, E: Array, I: Array, E_x: Array, I_x: Array, W: Array, E_L: Array
    ) -> Membrane:
        """The potential of neurons that are bombarded at these rates."""
        # The floor keeps sigma_V above 0, also at the trial state of a step that leaves E, I >= 0.
        E, I = jnp.maximum(E, 0) + 1e-6, jnp.maximum(I, 0) + 1e-6
        f_e = E * (1 - self.g) * self.p_connect_e * self.N_tot + E_x * self.K_ext_e
        f_i = I * self.g * self.p_connect_i * self.N_tot + I_x * self.K_ext_i
        G_e, G_i = self.Q_e * self.tau_e * f_e, self.Q_i * self.tau_i * f_i
        G = self.g_L + G_e + G_i
        T_m = self.C_m / G
        mu_V = (G_e * self.E_e + G_i * self.E_i + self.g_L * E_L - W) / G
        q_e = f_e * (self.Q_e / G * (self.E_e - mu_V) * self.tau_e) ** 2
        q_i = f_i * (self.Q_i / G * (self.E_i - mu_V) * self.tau_i) ** 2
        # At a reversal potential synapses make no noise; the powers of its inverse in derivatives
        # would overflow in float32.
        q_e, q_i = jnp.maximum(q_e, 1e-4), jnp.maximum(q_i, 1e-4)
        D = q_e / (self.tau_e + T_m) + q_i / (self.tau_i + T_m)
        return Membrane(mu_V, jnp.sqrt(D / 2), (q_e + q_i) / D)

    def _transfer(self, membrane: Membrane, P: Array) -> Array:
        """The rate of neurons with that potential."""
        mu_V, sigma_V, T_V = membrane
        v, s = (mu_V + 60) / 10, (sigma_V - 4) / 6
        n = T_V * self.g_L / self.C_m - 0.5
        linear = P[0] + P[1] * v + P[2] * s + P[3] * n
        square = P[4] * v**2 + P[5] * s**2 + P[6] * n**2
        mixed = P[7] * v * s + P[8] * v * n + P[9] * s * n
        threshold = 1000 * (linear + square + mixed)
        distance = (threshold - mu_V) / (math.sqrt(2) * sigma_V)
        # Beyond, erfc is 0 or 2 but for 1e-43; the powers of a large distance in its derivatives
        # would overflow in float32.
        return jax.scipy.special.erfc(jnp.clip(distance, -10, 10)) / (2 * T_V)

    def _populations(
        self, state: Any, inputs: Any
    ) -> tuple[Callable[[Array, Array], Membrane], Callable[[Array, Array], Membrane]]:
        """The potentials of E and of I as functions of the rates, at the present inputs."""
        to_e, to_i = self._drives(state, inputs)

        def membrane_e(E: Array, I: Array) -> Membrane:
            return self._membrane(E, I, to_e, self.external_input_ex_in, state.W_e, self.E_L_e)

        def membrane_i(E: Array, I: Array) -> Membrane:
            return self._membrane(E, I, to_i, self.external_input_in_in, state.W_i, self.E_L_i)

        return membrane_e, membrane_i

    def _adaptation(self, y: Any, mu_e: Array, mu_i: Array) -> dict[str, Array]:
        """The derivatives of the adaptation of both populations, and of the noise."""
        rising_e, rising_i = self.a_e * (mu_e - self.E_L_e), self.a_i * (mu_i - self.E_L_i)
        return {
            "W_e": (rising_e - y.W_e) / self.tau_w_e + self.b_e * y.E,
            "W_i": (rising_i - y.W_i) / self.tau_w_i + self.b_i * y.I,
            "ou_drift": -y.ou_drift / self.tau_OU,
        }

    @observable(unit="Hz")
    def rate_e(self, state: Any) -> Array:
        """Firing rate of E."""
        return 1000 * state.E

    @observable(unit="Hz")
    def rate_i(self, state: Any) -> Array:
        """Firing rate of I."""
        return 1000 * state.I

    @observable(unit="mV")
    def mu_V(self, state: Any, inputs: Any) -> Array:
        """Mean potential of E."""
        return self._populations(state, inputs)[0](state.E, state.I).mu_V

    @observable(unit="mV")
    def sigma_V(self, state: Any, inputs: Any) -> Array:
        """Standard deviation of the potential of E."""
        return self._populations(state, inputs)[0](state.E, state.I).sigma_V


class ZerlautAdaptationFirstOrder(AbstractZerlaut):
    r"""Mean field of adaptive exponential integrate-and-fire neurons: sleep, waking, anaesthesia.

    For the populations $a$ = e, i of rates $\nu_e$ = `E` and $\nu_i$ = `I`,

    $$T \dot\nu_a = F_a - \nu_a, \qquad
      \dot W_a = \frac{a_a (\mu_V - E_{L a}) - W_a}{\tau_{wa}} + b_a \nu_a$$
    $$F = \frac{1}{2 T_V}\,\mathrm{erfc}\Big(\frac{V_{thr} - \mu_V}{\sqrt2\,\sigma_V}\Big)$$

    where mean $\mu_V$, standard deviation $\sigma_V$ and correlation time $T_V$ of the potential
    follow from shot noise through conductances: with the rates of all synapses of a neuron $f_s$,
    $G_s = Q_s \tau_s f_s$, $G = g_L + G_e + G_i$, $T_m = C_m/G$, $U_s = Q_s (E_s - \mu_V)/G$ and
    $q_s = f_s (U_s \tau_s)^2$,

    $$f_e = (\nu_e + 10^{-6})(1 - g)\,p_e N + K_e \nu_{xe}, \qquad
      f_i = (\nu_i + 10^{-6})\,g\,p_i N + K_i \nu_{xi}$$
    $$\mu_V = (G_e E_e + G_i E_i + g_L E_L - W)/G, \qquad
      2 \sigma_V^2 = \sum_s \frac{q_s}{\tau_s + T_m}, \qquad
      T_V = \frac{q_e + q_i}{2 \sigma_V^2}$$

    The threshold is a polynomial in $v = (\mu_V + 60)/10$, $s = (\sigma_V - 4)/6$ and $n = T_V
    g_L/C_m - 1/2$, with the coefficients `P_e` or `P_i` in V,

    $$V_{thr} = 1000\,(P_0 + P_1 v + P_2 s + P_3 n + P_4 v^2 + P_5 s^2 + P_6 n^2
      + P_7 v s + P_8 v n + P_9 s n)$$

    Both populations hear $\nu_{xe} = [c + \nu_{ext} + w\,ou]_+$, I with $S_i c$; `ou_drift` is
    $ou$, an Ornstein-Uhlenbeck process if noise is put on it, $\nu_{ext}$ is `external_input_ex_ex`
    for E and `external_input_in_ex` for I, $\nu_{xi}$ is `external_input_ex_in`, onto E from
    inhibitory cells, and `external_input_in_in`.

    Without input it is silent; external excitation of both by 4 Hz (preset `"asynchronous"`) gives
    2.05 and 13.7 Hz. Without adaptation ($b_e$ = 0) the same input ends in an unphysiological state
    at 193 Hz. Rates are kept at 0 or above. Smooth but for the rectified input. Rates are per ms,
    and 1e-6 of it keeps $\sigma_V$ above 0.

    `compat` = True is the class of The Virtual Brain (preset `"tvb"`): $[c + w\,ou]_+ + \nu_{ext}$,
    without effect of $S_i$.

    Reference: Zerlaut, Chemla, Chavane, Destexhe (2018) Journal of Computational Neuroscience
    44:45; di Volo, Romagnoni, Capone, Destexhe (2019) Neural Computation 31:653.
    """

    compat: bool = eqx.field(default=False, static=True)

    class State(State):
        E: Value = _rate("E", 0.005)
        I: Value = _rate("I", 0.01)
        W_e: Value = _current("E", 200.0)
        W_i: Value = _current("I", 10.0)
        ou_drift: Value = _noise()

    use = "asynchronous and slow-wave states of cortex"
    presets = {"asynchronous": _ASYNCHRONOUS, "tvb": {"S_i": 1.0, "compat": True}}

    @property
    def rectifies_first(self) -> bool:
        return self.compat

    def vector_field(self, t: Any, state: State, inputs: AbstractZerlaut.Inputs) -> State:
        del t  # autonomous
        of_e, of_i = (m(state.E, state.I) for m in self._populations(state, inputs))
        return self.State(
            E=(self._transfer(of_e, self.P_e) - state.E) / self.T,
            I=(self._transfer(of_i, self.P_i) - state.I) / self.T,
            **self._adaptation(state, of_e.mu_V, of_i.mu_V),
        )


class ZerlautAdaptationSecondOrder(AbstractZerlaut):
    r"""Mean field of adaptive exponential neurons with the fluctuations of a finite population.

    The rates $\nu_e$, $\nu_i$ and the covariances $C$ of a population of $N_e$ and $N_i$ cells,
    with the transfer functions $F$, the adaptation and the input of
    `nmm.ZerlautAdaptationFirstOrder`, and with $\partial$ for derivatives by the rates,

    $$T \dot\nu_a = F_a - \nu_a + \tfrac12 \textstyle\sum_{kl} C_{kl}\,\partial_k \partial_l F_a$$
    $$T \dot C_{ab} = \delta_{ab} F_a (1/T - F_a)/N_a + (F_a - \nu_a)(F_b - \nu_b)
      + \textstyle\sum_k (C_{ak} \partial_k F_b + C_{kb} \partial_k F_a) - 2 C_{ab}$$

    The derivatives are exact. With external excitation of both by 4 Hz (preset `"asynchronous"`):
    2.05 and 13.7 Hz, variances of 0.033 and 0.146 Hz$^2$. The expansion holds near such a state:
    from far away, as from silence under that input, covariances may diverge. Rates and variances
    are kept at 0 or above. Smooth but for the rectified input.

    `compat` = True is the class of The Virtual Brain (preset `"tvb"`): its first derivatives are a
    thousandth, its second a millionth of these, which nearly switches the covariances off, and in
    $\dot C_{ei}$ the terms $C_{ei} \partial_i F_e$ and $C_{ei} \partial_e F_i$ take the place of
    $C_{ei} (\partial_i F_i + \partial_e F_e)$, with $C_{ee} \partial_e F_e$ and $C_{ii} \partial_i
    F_i$ for the rest.

    Reference: El Boustani, Destexhe (2009) Neural Computation 21:46; di Volo, Romagnoni, Capone,
    Destexhe (2019) Neural Computation 31:653.
    """

    compat: bool = eqx.field(default=False, static=True)

    class State(State):
        E: Value = _rate("E", 0.002)
        I: Value = _rate("I", 0.014)
        C_ee: Value = _variance("E")
        C_ei: Value = variable(0.0, unit="1/ms^2", doc="covariance of E and I", start=(-5e-4, 5e-4))
        C_ii: Value = _variance("I")
        W_e: Value = _current("E", 200.0, 100.0)
        W_i: Value = _current("I", 10.0)
        ou_drift: Value = _noise()

    use = "fluctuations of asynchronous and slow-wave states"
    presets = {"asynchronous": _ASYNCHRONOUS, "tvb": {"S_i": 1.0, "compat": True}}

    @property
    def rectifies_first(self) -> bool:
        return False

    def vector_field(self, t: Any, state: State, inputs: AbstractZerlaut.Inputs) -> State:
        del t  # autonomous
        E, I, C_ee, C_ei, C_ii = state.E, state.I, state.C_ee, state.C_ei, state.C_ii
        of_e, of_i = self._populations(state, inputs)
        scale = 1e-3 if self.compat else 1.0
        of_E = _expand(lambda E, I: self._transfer(of_e(E, I), self.P_e), E, I, scale)
        of_I = _expand(lambda E, I: self._transfer(of_i(E, I), self.P_i), E, I, scale)
        F_e, F_i = of_E.value, of_I.value
        e_e, i_e, e_i, i_i = of_E.by_e, of_E.by_i, of_I.by_e, of_I.by_i  # by whom, of whom
        if self.compat:
            mixed = C_ee * e_e + C_ei * e_i + C_ei * i_e + C_ii * i_i
        else:
            mixed = C_ee * e_i + C_ei * i_i + C_ei * e_e + C_ii * i_e
        off_e, off_i, T = F_e - E, F_i - I, self.T
        N_e, N_i = self.N_tot * (1 - self.g), self.N_tot * self.g
        finite_e, finite_i = F_e * (1 / T - F_e) / N_e, F_i * (1 / T - F_i) / N_i
        return self.State(
            E=(off_e + C_ee * of_E.ee / 2 + C_ei * of_E.ei + C_ii * of_E.ii / 2) / T,
            I=(off_i + C_ee * of_I.ee / 2 + C_ei * of_I.ei + C_ii * of_I.ii / 2) / T,
            C_ee=(finite_e + off_e**2 + 2 * (C_ee * e_e + C_ei * i_e - C_ee)) / T,
            C_ei=(off_e * off_i + mixed - 2 * C_ei) / T,
            C_ii=(finite_i + off_i**2 + 2 * (C_ii * i_i + C_ei * e_i - C_ii)) / T,
            **self._adaptation(state, of_e(E, I).mu_V, of_i(E, I).mu_V),
        )


class Expansion(NamedTuple):
    """Value and derivatives of a function of the rates E and I."""

    value: Array
    by_e: Array
    by_i: Array
    ee: Array
    ei: Array
    ii: Array


def _expand(f: Callable[[Array, Array], Array], E: Array, I: Array, scale: float) -> Expansion:
    """All derivatives up to the second, per derivative times `scale`."""

    # Along three lines at once, since a graph for each derivative takes minutes to compile.
    def lines(e: float, i: float, both: float) -> Array:
        directions = jnp.asarray([e, i, both], E.dtype)
        return jnp.broadcast_to(directions.reshape(3, *(1 for _ in E.shape)), (3, *E.shape))

    tangents = lines(scale, 0.0, scale), lines(0.0, scale, scale)

    def along(E: Array, I: Array) -> tuple[Array, Array]:
        return jax.jvp(f, (E, I), tangents)

    start = lines(1.0, 1.0, 1.0) * E, lines(1.0, 1.0, 1.0) * I
    (value, slope), (_, (ee, ii, both)) = jax.jvp(along, start, tangents)
    return Expansion(value[0], slope[0], slope[1], ee, (both - ee - ii) / 2, ii)
