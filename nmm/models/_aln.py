import functools
import pathlib
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._custom_types import Parameter, Value
from .._declare import param, slot, variable
from ._base import AbstractModel, Inputs, State, observable

# The grid of the tables: mean input, mV/ms, and its standard deviation, mV/sqrt(ms).
_MU, _SIGMA = (-1.0, 7.0), (0.5, 5.0)


class Cascade(NamedTuple):
    """What the neurons of a population make of their input: a rate, a potential, a filter."""

    rate: Array
    potential: Array
    time: Array


@functools.cache
def _tables() -> dict[str, np.ndarray]:
    """Rate (1/ms), mean potential (mV) and filter time (ms) on the grid `[mu, sigma]`."""
    with np.load(pathlib.Path(__file__).parent / "data" / "aln.npz") as file:
        return {name: file[name] for name in file.files}


def cascade(mu: Array, sigma: Array, smooth: bool) -> Cascade:
    """The tables at an input of this mean and standard deviation, at the edge if it is outside.

    Between their points they are cubic (Catmull and Rom) if `smooth`, else linear.
    """
    tables = _tables()
    rows, columns = tables["rate"].shape
    i, along_mu = _stencil(mu, _MU, rows, smooth)
    j, along_sigma = _stencil(sigma, _SIGMA, columns, smooth)

    def read(name: str) -> Array:
        table = jnp.asarray(tables[name].ravel(), jnp.result_type(mu, sigma))
        return sum(
            (
                p * q * table[columns * a + b]
                for a, p in zip(i, along_mu, strict=True)
                for b, q in zip(j, along_sigma, strict=True)
            ),
            jnp.zeros_like(mu),
        )

    return Cascade(**{name: read(name) for name in Cascade._fields})


def _stencil(
    x: Array, ends: tuple[float, float], size: int, smooth: bool
) -> tuple[list[Array], list[Array]]:
    """The points of an axis that matter at `x`, and their weights."""
    place = jnp.clip((x - ends[0]) * ((size - 1) / (ends[1] - ends[0])), 0, size - 1)
    first = jnp.minimum(jax.lax.stop_gradient(place).astype(int), size - 2)
    f = place - first
    if smooth:
        offsets = (-1, 0, 1, 2)
        weights = [
            f * (f * (2 - f) - 1) / 2,
            (f**2 * (3 * f - 5) + 2) / 2,
            f * (f * (4 - 3 * f) + 1) / 2,
            f**2 * (f - 1) / 2,
        ]
    else:
        offsets, weights = (0, 1), [1 - f, f]
    return [jnp.clip(first + k, 0, size - 1) for k in offsets], weights


def _contacts(doc: str, default: float) -> Any:
    return param(default, unit="1", doc=f"inputs of a cell, {doc}", bounds=(0.0, 4 * default))


def _strength(doc: str, default: float) -> Any:
    return param(default, unit="mV/ms", doc=f"size of a current, {doc}", bounds=(0.0, 1.5))


def _largest(doc: str, default: float) -> Any:
    bounds = (0.5 * default, 2 * default) if default > 0 else (2 * default, 0.5 * default)
    return param(default, unit="mV/ms", doc=f"largest current, {doc}", bounds=bounds)


def _delay(population: str, default: float) -> Any:
    return param(default, unit="ms", doc=f"local delay of {population}", bounds=(0.5, 10.0))


def _filtered(population: str, default: float) -> Any:
    doc = f"filtered mean input of {population}"
    return variable(default, unit="mV/ms", doc=doc, start=(0.0, 3.0))


def _mean(pair: str) -> Any:
    return variable(0.05, unit="1", doc=f"mean synaptic activation, {pair}", start=(0.0, 0.5))


def _variance(pair: str) -> Any:
    doc = f"variance of synaptic activation, {pair}"
    return variable(5e-4, unit="1", doc=doc, start=(0.0, 0.01), bounds=(0.0, None))


def _heard(population: str) -> Any:
    doc = f"rate of {population} as it arrives locally"
    return variable(0.002, unit="1/ms", doc=doc, start=(0.0, 0.01), bounds=(0.0, None))


class ALN(AbstractModel):
    r"""Adaptive linear-nonlinear cascade: exponential integrate-and-fire cells, E and I.

    Mean inputs $\mu$ and adaptation $I_A$, with rate $r$, potential $\bar V$ and filter time
    $\tau$ read from tables at $(\mu_e - I_A/C, \sigma_e)$ and $(\mu_i, \sigma_i)$:

    $$\tau_a \dot\mu_a = J_{ae} s_{ae} + J_{ai} s_{ai} + \mu^{ext}_a - \mu_a, \qquad
      \dot I_A = \frac{a (\bar V_e - E_A) - I_A}{\tau_A} + b\,r_e$$

    The mean $s$ and the variance $v$ of each of the four synapses (target, then source) follow

    $$\tau \dot s = (1 - s)\,z - s, \qquad \tau^2 \dot v = (1 - s)^2 y + (y - 2 \tau (z + 1))\,v$$

    with $\tau$ of the source. With the weights $\tilde c_{ab} = c_{ab} \tau_b / |J_{ab}|$ and
    $\tilde c_{gl} = c_{gl} \tau_{se} / J_{ee}$,

    $$z_{ee} = \tilde c_{ee} K_e r_e + \tilde c_{gl} K_{gl}\,(c + r_{e,ext}), \qquad
      z_{ei} = \tilde c_{ei} K_i r_i$$
    $$z_{ie} = \tilde c_{ie} K_e r_e + \tilde c_{gl} K_{gl}\,r_{i,ext}, \qquad
      z_{ii} = \tilde c_{ii} K_i r_i$$

    and $y$ is the same with the squares of these weights, and with $c_2$ for $c$: E hears other
    regions, both hear external rates. With $\tau_m = C/g_L$,

    $$\sigma_a^2 = \sum_b \frac{2 J_{ab}^2 v_{ab} \tau_b \tau_m}{(1 + z_{ab}) \tau_m + \tau_b}
      + \sigma_{a,ext}^2$$

    The external inputs $\mu^{ext}_a$ are the currents at `ext_exc_current` and `ext_inh_current`
    plus the variables `mue_ou` and `mui_ou`, Ornstein-Uhlenbeck processes if noise is put on them:
    $\dot\mu_{ou} = (\bar\mu - \mu_{ou})/\tau_{ou} + \sigma_{ou} \xi$, around the means
    `mue_ext_mean` and `mui_ext_mean`.

    What arrives at `c` is the sum of the rates of others over $W_{ij}$, at `c2` that over
    $W_{ij}^2$: two couplings of one source, `nmm.coupling.Linear()` over `W` and
    `nmm.coupling.Linear(target="c2")` over `W**2`. Local rates arrive after $d_e$ and $d_i$: here
    as `re_local` and `ri_local`, which follow the rates with these time constants, so that delays
    are spread around the mean $d$ and not fixed. Other regions hear `re_local` too, so $d_e$ adds
    to the delays of a network: the rate itself depends on what arrives at the same moment.

    At the defaults it oscillates at 14.7 Hz, the rate of E from 0.04 to 7.2 Hz, and with external
    means of 1 and 0.3 mV/ms (preset `"fast"`) at 23.8 Hz, from 1.1 to 48.8 Hz; with fixed delays
    it would be 14.0 and 22.5 Hz. At 1.6 and 0.8 it is steady at 7.9 and 21.5 Hz (`"irregular"`),
    at 2 and 0.5 at 38 and 35 Hz (`"up"`), and there with $b$ = 20 pA at 20 and 27 Hz. The preset
    `"adaptive"` has $a$ = 15 nS, $b$ = 40 pA, $c_{gl}$ = 0.4 mV/ms, as the builder of neurolib. It
    needs more drive: alone it is silent, with `mue_ext_mean` = 2 it oscillates at 17.2 Hz.

    The tables are those of neurolib, 0.5 to 5 mV/sqrt(ms) and -1 to 7 mV/ms, for $E_L$ = -65, $V_T$
    = -50, $\Delta_T$ = 1.5, $V_r$ = -70, $V_s$ = -40 mV, $T_{ref}$ = 1.5 ms, $C$ = 200 pF, $g_L$ =
    10 nS; outside, they count as at the edge. They are read with cubic interpolation, for smooth
    gradients; `smooth` = False is neurolib's linear one (preset `"neurolib"`), which has kinks.

    Reference: Augustin, Ladenbauer, Baumann, Obermayer (2017) PLoS Computational Biology
    13:e1005545; Cakan, Obermayer (2020) PLoS Computational Biology 16:e1007822.
    """

    Ke: Parameter = _contacts("from E", 800.0)
    Ki: Parameter = _contacts("from I", 200.0)
    de: Parameter = _delay("E", 4.0)
    di: Parameter = _delay("I", 2.0)
    tau_se: Parameter = param(2.0, unit="ms", doc="decay of excitation", bounds=(0.5, 10.0))
    tau_si: Parameter = param(5.0, unit="ms", doc="decay of inhibition", bounds=(0.5, 20.0))
    cee: Parameter = _strength("E onto E", 0.3)
    cie: Parameter = _strength("E onto I", 0.3)
    cei: Parameter = _strength("I onto E", 0.5)
    cii: Parameter = _strength("I onto I", 0.5)
    Jee_max: Parameter = _largest("E onto E", 2.43)
    Jie_max: Parameter = _largest("E onto I", 2.60)
    Jei_max: Parameter = _largest("I onto E", -3.3)
    Jii_max: Parameter = _largest("I onto I", -1.64)
    C: Parameter = param(200.0, unit="pF", doc="capacitance", bounds=(100.0, 400.0))
    gL: Parameter = param(10.0, unit="nS", doc="leak conductance", bounds=(5.0, 20.0))
    a: Parameter = param(0.0, unit="nS", doc="adaptation by the potential", bounds=(0.0, 40.0))
    b: Parameter = param(0.0, unit="pA", doc="adaptation by spikes", bounds=(0.0, 100.0))
    EA: Parameter = param(-80.0, unit="mV", doc="reversal of the adaptation", bounds=(-100, -60))
    tauA: Parameter = param(
        200.0, unit="ms", doc="time constant of the adaptation", bounds=(50.0, 2000.0)
    )
    mue_ext_mean: Parameter = param(0.4, unit="mV/ms", doc="mean input of E", bounds=(0.0, 4.0))
    mui_ext_mean: Parameter = param(0.3, unit="mV/ms", doc="mean input of I", bounds=(0.0, 4.0))
    sigmae_ext: Parameter = param(
        1.5, unit="mV/sqrt(ms)", doc="fluctuations of the input of E", bounds=(0.6, 3.0)
    )
    sigmai_ext: Parameter = param(
        1.5, unit="mV/sqrt(ms)", doc="fluctuations of the input of I", bounds=(0.6, 3.0)
    )
    tau_ou: Parameter = param(
        5.0, unit="ms", doc="correlation time of the mean inputs", bounds=(1.0, 100.0)
    )
    c_gl: Parameter = _strength("other regions onto E", 0.3)
    Ke_gl: Parameter = _contacts("from other regions", 250.0)
    smooth: bool = eqx.field(default=True, static=True)

    class State(State):
        mufe: Value = _filtered("E", 0.4)
        mufi: Value = _filtered("I", 0.3)
        IA: Value = variable(0.0, unit="pA", doc="adaptation of E", start=(0.0, 50.0))
        seem: Value = _mean("E from E")
        seim: Value = _mean("E from I")
        siem: Value = _mean("I from E")
        siim: Value = _mean("I from I")
        seev: Value = _variance("E from E")
        seiv: Value = _variance("E from I")
        siev: Value = _variance("I from E")
        siiv: Value = _variance("I from I")
        mue_ou: Value = variable(0.4, unit="mV/ms", doc="external input of E", start=(0.0, 1.0))
        mui_ou: Value = variable(0.3, unit="mV/ms", doc="external input of I", start=(0.0, 1.0))
        re_local: Value = _heard("E")
        ri_local: Value = _heard("I")

    class Inputs(Inputs):
        c: Value = slot(unit="1/ms", doc="rates of others over their weights", bounds=(0.0, 0.05))
        c2: Value = slot(
            unit="1/ms", doc="rates of others over their weights squared", bounds=(0.0, 0.05)
        )
        ext_exc_current: Value = slot(unit="mV/ms", doc="input of E", bounds=(-0.5, 0.5))
        ext_inh_current: Value = slot(unit="mV/ms", doc="input of I", bounds=(-0.5, 0.5))
        ext_exc_rate: Value = slot(
            unit="1/ms", doc="external rate onto E, as of another region", bounds=(0.0, 0.05)
        )
        ext_inh_rate: Value = slot(
            unit="1/ms", doc="external rate onto I, as of another region", bounds=(0.0, 0.05)
        )

    source = "re_local"
    target = "c"
    output = "rates_exc"
    category = "physiological"
    use = "biophysical E and I, slow waves, stimulation"
    reference = "Augustin et al. (2017) PLoS Computational Biology 13:e1005545"
    presets = {
        "fast": {"mue_ext_mean": 1.0, "mui_ext_mean": 0.3},
        "irregular": {"mue_ext_mean": 1.6, "mui_ext_mean": 0.8},
        "up": {"mue_ext_mean": 2.0, "mui_ext_mean": 0.5},
        "adaptive": {"a": 15.0, "b": 40.0, "c_gl": 0.4},
        "neurolib": {"Ke": 800.0, "smooth": False},
    }

    def _synapses(self, state: State, inputs: Inputs) -> dict[str, tuple[Array, Array]]:
        """What drives mean and variance of each synapse, z and y."""
        r_e, r_i = state.re_local, state.ri_local
        far = self.c_gl * self.tau_se / self.Jee_max

        def local(c: Array, tau: Array, J: Array, K: Array, r: Array) -> tuple[Array, Array]:
            strength = c * tau / jnp.abs(J)
            return strength * K * r, strength**2 * K * r

        ee = local(self.cee, self.tau_se, self.Jee_max, self.Ke, r_e)
        ie = local(self.cie, self.tau_se, self.Jie_max, self.Ke, r_e)
        onto_e = inputs.c + inputs.ext_exc_rate, inputs.c2 + inputs.ext_exc_rate
        onto_i = inputs.ext_inh_rate, inputs.ext_inh_rate
        scale = far * self.Ke_gl, far**2 * self.Ke_gl
        return {
            "ee": (ee[0] + scale[0] * onto_e[0], ee[1] + scale[1] * onto_e[1]),
            "ei": local(self.cei, self.tau_si, self.Jei_max, self.Ki, r_i),
            "ie": (ie[0] + scale[0] * onto_i[0], ie[1] + scale[1] * onto_i[1]),
            "ii": local(self.cii, self.tau_si, self.Jii_max, self.Ki, r_i),
        }

    def _cascades(
        self, y: State, synapses: dict[str, tuple[Array, Array]]
    ) -> tuple[Cascade, Cascade]:
        """The tables at the present inputs of E and of I."""
        tau_m = self.C / self.gL

        def spread(J: Array, v: Array, z: Array, tau: Array) -> Array:
            return 2 * J**2 * v * tau * tau_m / ((1 + z) * tau_m + tau)

        z = {name: pair[0] for name, pair in synapses.items()}
        of_e = spread(self.Jee_max, y.seev, z["ee"], self.tau_se)
        of_e += spread(self.Jei_max, y.seiv, z["ei"], self.tau_si) + self.sigmae_ext**2
        of_i = spread(self.Jie_max, y.siev, z["ie"], self.tau_se)
        of_i += spread(self.Jii_max, y.siiv, z["ii"], self.tau_si) + self.sigmai_ext**2
        return (
            cascade(y.mufe - y.IA / self.C, jnp.sqrt(of_e), self.smooth),
            cascade(y.mufi, jnp.sqrt(of_i), self.smooth),
        )

    def vector_field(self, t: Any, state: State, inputs: Inputs) -> State:
        del t  # autonomous
        y, synapses = state, self._synapses(state, inputs)
        e, i = self._cascades(state, synapses)
        to_e = self.Jee_max * y.seem + self.Jei_max * y.seim + y.mue_ou + inputs.ext_exc_current
        to_i = self.Jie_max * y.siem + self.Jii_max * y.siim + y.mui_ou + inputs.ext_inh_current

        def mean(name: str, m: Array, tau: Array) -> Array:
            return ((1 - m) * synapses[name][0] - m) / tau

        def variance(name: str, m: Array, v: Array, tau: Array) -> Array:
            z, drive = synapses[name]
            return ((1 - m) ** 2 * drive + (drive - 2 * tau * (z + 1)) * v) / tau**2

        return self.State(
            mufe=(to_e - y.mufe) / e.time,
            mufi=(to_i - y.mufi) / i.time,
            IA=(self.a * (e.potential - self.EA) - y.IA) / self.tauA + self.b * e.rate,
            seem=mean("ee", y.seem, self.tau_se),
            seim=mean("ei", y.seim, self.tau_si),
            siem=mean("ie", y.siem, self.tau_se),
            siim=mean("ii", y.siim, self.tau_si),
            seev=variance("ee", y.seem, y.seev, self.tau_se),
            seiv=variance("ei", y.seim, y.seiv, self.tau_si),
            siev=variance("ie", y.siem, y.siev, self.tau_se),
            siiv=variance("ii", y.siim, y.siiv, self.tau_si),
            mue_ou=(self.mue_ext_mean - y.mue_ou) / self.tau_ou,
            mui_ou=(self.mui_ext_mean - y.mui_ou) / self.tau_ou,
            re_local=(e.rate - y.re_local) / self.de,
            ri_local=(i.rate - y.ri_local) / self.di,
        )

    @observable(unit="Hz")
    def rates_exc(self, state: State, inputs: Inputs) -> Array:
        """Firing rate of E."""
        return 1000 * self._cascades(state, self._synapses(state, inputs))[0].rate

    @observable(unit="Hz")
    def rates_inh(self, state: State, inputs: Inputs) -> Array:
        """Firing rate of I."""
        return 1000 * self._cascades(state, self._synapses(state, inputs))[1].rate
