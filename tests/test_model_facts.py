"""Known numbers of each model: fixed points, eigenvalues, bifurcations, periods, laws."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import eigenvalues, field, fixed_point, jacobian, period_of, solve
from scipy.optimize import brentq

import nmm
from nmm.models._transfer import rectified_exponential


def frequencies(ts, signals):
    """Frequency in Hz of each column of an oscillation, in ms."""
    return np.array([1000 / period_of(ts, x) for x in np.asarray(signals).T])


# The rate function of Wong and Wang


def exact_rectified_exponential(z):
    """Value and derivative in extended precision."""
    z = np.asarray(z, np.longdouble)
    size = np.abs(z)
    decay, complement = np.exp(-size), -np.expm1(-size)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(z > 0, 1, decay) * size / complement
        rising = (complement - size * decay) / complement**2
        falling = decay * (size - complement) / complement**2
    series = (
        1 + z / 2 + z**2 / 12 - z**4 / 720 + z**6 / 30240 - z**8 / 1209600,
        1 / 2 + z / 6 - z**3 / 180 + z**5 / 5040 - z**7 / 151200,
    )
    near = size < 0.02
    return np.where(near, series[0], value), np.where(
        near, series[1], np.where(z > 0, rising, falling)
    )


@pytest.mark.parametrize("dtype", (jnp.float64, jnp.float32))
def test_rectified_exponential_is_exact_on_a_wide_grid(dtype):
    sizes = np.concatenate([[0.0], np.logspace(-30, 4, 2000), np.linspace(9e-4, 1.1e-3, 101)])
    z = jnp.asarray(np.concatenate([sizes, -sizes]), dtype)
    both = jax.jit(jax.vmap(jax.value_and_grad(rectified_exponential)))
    value, slope = (np.asarray(x) for x in both(z))
    exact_value, exact_slope = exact_rectified_exponential(z)
    least, rounding = 1e-31, float(jnp.finfo(dtype).eps)
    assert value.dtype == slope.dtype == dtype
    assert np.all(np.abs(value - exact_value) <= 10 * rounding * exact_value + least)
    assert np.all(np.abs(slope - exact_slope) <= 100 * rounding * exact_slope + least)
    ends = jnp.array([jnp.finfo(dtype).max, jnp.finfo(dtype).min], dtype)
    assert np.all(np.isfinite(both(ends)))


def test_curvature_of_the_rectified_exponential_is_right_too():
    z = jnp.array([-20.0, -1.0, -0.1001, -0.0999, 0.0, 1e-6, 0.0999, 0.1001, 1.0, 20.0])
    slope = jax.vmap(jax.grad(rectified_exponential))
    curvature = jax.vmap(jax.grad(jax.grad(rectified_exponential)))(z)
    differences = (slope(z + 1e-5) - slope(z - 1e-5)) / 2e-5
    assert np.allclose(curvature, differences, rtol=1e-6, atol=1e-8)
    assert np.allclose(curvature[4], 1 / 6)


@pytest.mark.parametrize("dtype", (jnp.float32, jnp.float64))
@pytest.mark.parametrize("cls, rate", ((nmm.ReducedWongWang, "H"), (nmm.WongWangExcInh, "H_e")))
def test_firing_rate_has_its_limit_at_the_removable_singularity(cls, rate, dtype):
    model = jax.tree.map(lambda x: x.astype(dtype), cls())
    gain, shift, curvature, scale = (
        (model.a, model.b, model.d, 1000.0)
        if cls is nmm.ReducedWongWang
        else (model.a_e, model.b_e, model.d_e, 1.0)
    )
    state = jax.tree.map(lambda x: jnp.zeros((), dtype), model.initial_state())
    offsets = jnp.asarray(np.concatenate([np.linspace(-1e-4, 1e-4, 201), [0.0]]), dtype)

    def of_current(offset):
        return getattr(model, rate)(
            state, model.Inputs(I_ext=shift / gain - model.I_o + offset, c=jnp.zeros((), dtype))
        )

    values, slopes = jax.jit(jax.vmap(jax.value_and_grad(of_current)))(offsets)
    # Half of the slope of the line that it approaches for large currents.
    expected = scale * (1 / curvature + gain * offsets / 2)
    assert np.allclose(values, expected, rtol=1e-4)
    assert np.allclose(slopes, scale * gain / 2, rtol=2e-3)


# Hopf


def hopf_radius(r0, a, beta, t):
    """Solution of dr/dt = a r - beta r^3."""
    safe = np.where(a == 0, 1.0, a)
    growth = np.exp(-2 * safe * t)
    grown = np.sqrt(safe / (beta + (safe / r0**2 - beta) * growth))
    return np.where(a == 0, 1 / np.sqrt(1 / r0**2 + 2 * beta * t), grown)


def test_hopf_amplitude_follows_its_law_on_both_sides_of_the_bifurcation():
    a, beta = np.array([0.25, 0.25, 0.0, -0.5]), np.array([1.0, 4.0, 1.0, 1.0])
    model = nmm.Hopf(a=a, beta=beta)
    ts = np.array([0.0, 2.0, 5.0, 10.0, 150.0, 300.0])
    states = solve(model, model.initial_state(), jnp.asarray(ts))
    radius = np.hypot(states.x, states.y)
    assert np.allclose(radius, hopf_radius(0.1, a, beta, ts[:, None]), rtol=1e-7, atol=1e-9)
    assert np.allclose(radius[1:4, 0], [0.159482, 0.290127, 0.463896], atol=5e-7)
    assert np.allclose(radius[-1, :2], [0.5, 0.25], rtol=1e-8)  # sqrt(a / beta)
    assert np.allclose(radius[-2:, 2], [0.05, 0.037796], atol=5e-7)
    assert np.allclose(radius[2, 3] / 0.1, math.exp(-2.5), rtol=1e-2)


def test_hopf_period_is_two_pi_over_omega():
    model = nmm.Hopf(w=[0.05, 0.2, 1.0])
    ts = 200 + np.arange(0, 400, 0.1)
    states = solve(model, model.initial_state(), jnp.asarray(np.concatenate([[0.0], ts])))
    assert np.allclose(
        frequencies(ts, states.x[1:]), 1000 * np.array([0.05, 0.2, 1.0]) / (2 * np.pi), rtol=1e-5
    )


@pytest.mark.parametrize("a", (-0.5, 0.25))
def test_hopf_origin_has_eigenvalues_a_plus_minus_i_omega(a):
    model = nmm.Hopf(a=a, w=0.3)
    origin = model.State(x=jnp.array(0.0), y=jnp.array(0.0))
    assert np.allclose(eigenvalues(model, origin), [a + 0.3j, a - 0.3j], atol=1e-14)


def test_hopf_preset_of_whole_brain_studies_is_ten_millihertz_scale_in_ms():
    model = nmm.Hopf.preset("deco2017")
    assert np.allclose(1000 * model.w / (2 * np.pi), 0.05)  # Hz
    assert np.allclose(model.a * 1000, -0.02)  # per second


# Wilson–Cowan


def wilson_cowan_state(rE, rI):
    return nmm.WilsonCowan.State(rE=jnp.array(rE), rI=jnp.array(rI))


@pytest.mark.parametrize(
    "point, values",
    (
        ((0.0, 0.0), (-0.5922, -1.1349)),
        ((0.17804, 0.06280), (0.7343, -1.5994)),
        ((0.46246, 0.24336), (-1.434, -2.881)),
    ),
)
def test_wilson_cowan_has_two_stable_states_and_a_saddle(point, values):
    model = nmm.WilsonCowan()
    found = fixed_point(model, wilson_cowan_state(*point))
    assert np.allclose([found.rE, found.rI], point, atol=5e-6)
    assert np.allclose(eigenvalues(model, found), values, atol=5e-4)


def test_wilson_cowan_basins_and_driven_states():
    model = nmm.WilsonCowan(P=[0.0] * 4 + [1.0, 2.0], Q=[0.0] * 5 + [0.5])
    y0 = wilson_cowan_state([0.1, 0.17, 0.2, 0.3, 0.0, 0.0], [0.05, 0.06, 0.06, 0.1, 0.0, 0.0])
    end = solve(model, y0, jnp.array([0.0, 200.0]))
    rest, up = (0.0, 0.0), (0.46246, 0.24336)
    expected = np.array([rest, rest, up, up, (0.484306, 0.258463), (0.489123, 0.288168)])
    assert np.allclose(end.rE[-1], expected[:, 0], atol=5e-6)
    assert np.allclose(end.rI[-1], expected[:, 1], atol=5e-6)


def test_wilson_cowan_limit_cycle_has_the_known_period_range_and_drive():
    # By region: six drives; the paper's k = sup F; two other time constants.
    P = np.array([1.05, 1.1, 1.25, 1.5, 1.8, 2.0, 1.25, 1.25, 1.25])
    tau = np.array([8.0] * 7 + [10.0, 1.0])
    k_E, k_I = np.ones(9), np.ones(9)
    k_E[6], k_I[6] = 1 - 1 / (1 + math.exp(1.3 * 4.0)), 1 - 1 / (1 + math.exp(2.0 * 3.7))
    model = nmm.WilsonCowan.preset("limit_cycle", P=P, tau_E=tau, tau_I=tau, k_E=k_E, k_I=k_I)
    ts = np.arange(2000.0, 2500.0, 0.02)
    states = solve(model, model.initial_state(), jnp.asarray(np.concatenate([[0.0], ts])))
    rE, rI = np.asarray(states.rE[1:]), np.asarray(states.rI[1:])
    cycling = [1, 2, 3, 4, 7, 8]
    periods = [period_of(ts, rE[:, i]) for i in cycling]
    assert np.allclose(periods, [74.85, 40.027, 26.709, 20.174, 50.034, 5.0034], rtol=1e-4)
    assert np.all(np.ptp(rE[:, [0, 5]], axis=0) < 1e-3)  # no cycle on either side
    assert np.allclose([rE[:, 2].min(), rE[:, 2].max()], [0.10152, 0.27149], atol=1e-5)
    assert np.allclose([rI[:, 2].min(), rI[:, 2].max()], [0.02141, 0.19745], atol=1e-5)
    assert 1e-4 < abs(period_of(ts, rE[:, 6]) / periods[1] - 1) < 3e-3


def test_wilson_cowan_cycle_ends_in_a_hopf_bifurcation():
    def largest(P):
        model = nmm.WilsonCowan.preset("limit_cycle", P=P)
        return eigenvalues(model, fixed_point(model, wilson_cowan_state(0.22, 0.12)))[0]

    P = brentq(lambda P: largest(P).real, 1.85, 2.0, xtol=1e-9)
    assert abs(P - 1.909) < 5e-4
    assert abs(largest(P).imag - 0.3369) < 5e-5  # rad/ms, a period of 18.65 ms


# Jansen–Rit


def test_jansen_rit_sigmoid_is_half_at_its_midpoint():
    model = nmm.JansenRit()
    assert np.allclose(model.sigmoid(jnp.array([6.0, 0.0])) * 1000, [2.5, 0.167846], atol=5e-7)


def test_jansen_rit_synapses_have_the_known_impulse_response_and_gain():
    model = nmm.JansenRit(s_max=0.0, p=0.0)  # nothing but the synapses
    kick = {"Mv": model.Ae * model.be, "Ev": model.Ae * model.be, "Iv": model.Ai * model.bi}
    at_rest = {name: jnp.array(0.0) for name in ("M", "E", "I")}
    ts = np.array([0.0, 5.0, 10.0, 20.0, 60.0])
    states = solve(model, model.State(**at_rest, **kick), jnp.asarray(ts))
    for signal, gain, rate in ((states.M, 3.25, 0.1), (states.E, 3.25, 0.1), (states.I, 22, 0.05)):
        assert np.allclose(signal, gain * rate * ts * np.exp(-rate * ts), atol=1e-8)
    assert np.allclose([states.E[2], states.I[3]], [1.1956, 8.0933], atol=5e-5)  # the peaks
    steady = fixed_point(nmm.JansenRit(s_max=0.0, p=0.001), model.initial_state())
    assert np.allclose(steady.E, 0.0325)  # mV per Hz
    steady = fixed_point(nmm.JansenRit(C=1.0, a3=0.0), model.initial_state())
    assert np.allclose(steady.I / (0.25 * nmm.JansenRit().sigmoid(jnp.array(0.0))), 440.0)


def jansen_rit_equilibrium(model, eeg):
    """The state at rest with this EEG, and the input that it takes: all equilibria, in one line."""
    A, B, S, C = model.Ae / model.be, model.Ai / model.bi, model.sigmoid, model.C
    M = A * S(eeg)
    I = B * model.a4 * C * S(model.a3 * C * M)
    E = eeg + I
    p = E / A - model.a2 * C * S(model.a1 * C * M)
    zero = jnp.zeros_like(eeg)
    return model.State(M=M, E=E, I=I, Mv=zero, Ev=zero, Iv=zero), p


def jansen_rit_bifurcations(v0):
    """Saddle-nodes, and Hopf bifurcations with their frequencies, in Hz, in order."""
    model = nmm.JansenRit(v0=v0)

    @jax.jit
    def at(eeg):
        state, p = jansen_rit_equilibrium(model, eeg)
        slope = jax.grad(lambda x: jansen_rit_equilibrium(model, x)[1])(eeg)
        return p, slope, jacobian(model, state)

    def leading_pair(eeg):
        values = np.linalg.eigvals(np.asarray(at(eeg)[2]))
        pairs = values[values.imag > 1e-9]
        return pairs[np.argmax(pairs.real)]

    grid = np.linspace(-5.0, 15.0, 801)
    slopes = np.array([at(x)[1] for x in grid])
    reals = np.array([leading_pair(x).real for x in grid])

    def roots(function, samples):
        at_sign_changes = np.flatnonzero(np.diff(np.sign(samples)))
        return [brentq(function, grid[k], grid[k + 1], xtol=1e-10) for k in at_sign_changes]

    nodes = sorted(1000 * float(at(x)[0]) for x in roots(lambda x: float(at(x)[1]), slopes))
    # Where two real eigenvalues meet, the leading pair is another one and its sign may jump.
    crossings = [
        x for x in roots(lambda x: leading_pair(x).real, reals) if abs(leading_pair(x).real) < 1e-8
    ]
    hopf = [(1000 * float(at(x)[0]), 1000 * leading_pair(x).imag / 2 / np.pi) for x in crossings]
    return nodes, sorted(hopf)


@pytest.mark.parametrize(
    "v0, nodes, hopf",
    (
        (6.0, (-41.30, 113.59), ((-12.147, 7.239), (89.829, 10.377), (315.696, 11.164))),
        (5.52, (-13.82, 111.79), ((516.07, None),)),
        (5.9, None, ((3.14, None), (65.39, None), (364.25, None))),
    ),
)
def test_jansen_rit_bifurcates_at_the_published_inputs(v0, nodes, hopf):
    found_nodes, found_hopf = jansen_rit_bifurcations(v0)
    if nodes is not None:
        assert np.allclose(found_nodes, nodes, atol=0.006)
    assert np.allclose([p for p, _ in found_hopf], [p for p, _ in hopf], atol=0.01)
    for (_, found), (_, frequency) in zip(found_hopf, hopf, strict=True):
        assert frequency is None or abs(found - frequency) < 6e-4


def test_jansen_rit_equilibria_without_input_and_in_the_alpha_cycle():
    quiet, driven = nmm.JansenRit(p=0.0), nmm.JansenRit()
    state = fixed_point(quiet, quiet.initial_state())
    assert np.allclose([state.M, state.E, state.I], [0.00192064, 0.677651, 2.581452], rtol=5e-6)
    assert np.allclose(quiet.eeg(state), -1.903802, atol=5e-7)
    assert np.all(eigenvalues(quiet, state).real < 0)
    state, p = jansen_rit_equilibrium(driven, jnp.array(7.520290))
    assert abs(1000 * p - 220) < 1e-4
    assert np.allclose([state.M, state.E, state.I], [0.113889, 24.608385, 17.088095], rtol=5e-6)
    assert eigenvalues(driven, state)[0].real > 0


@functools.cache
def jansen_rit_runs():
    """EEG after 10 s, for the inputs of the table below, each a region of its own."""
    cases = [
        # p in Hz, v0, frequency in Hz, least and largest EEG
        (150, 6.0, 10.623, 5.794, 8.434),
        (180, 6.0, 10.775, 5.852, 8.763),
        (220, 6.0, 10.938, 6.088, 9.034),
        (250, 6.0, 11.030, 6.382, 9.102),
        (300, 6.0, 11.137, 7.243, 8.772),
        (114, 6.0, 0.944, 0.90, 10.99),
        (120, 6.0, 2.385, 1.226, 11.170),
        (130, 6.0, 3.170, None, None),
        (135, 6.0, 3.706, None, None),
        (137, 6.0, 4.283, None, None),
        (138, 6.0, 10.55, None, None),
        (112.5, 5.52, 1.34, None, None),
        (150, 5.52, 4.10, None, None),
        (180, 5.52, 4.87, None, None),
        (220, 5.52, 6.801, 2.149, 11.902),
        (300, 5.52, 10.61, 3.99, 10.23),
        (400, 5.52, 11.04, None, None),
        (330, 6.0, None, None, None),
        (120, 6.0, 10.468, 5.890, 7.956),  # the one that starts on the alpha cycle
    ]
    p, v0 = np.array([case[:2] for case in cases]).T
    model = nmm.JansenRit(p=p * nmm.units.Hz, v0=v0)
    y0 = model.initial_state()
    elsewhere = {"M": 0.12, "E": 20.0, "I": 12.8}
    y0 = model.State(
        **{
            name: getattr(y0, name).at[-1].set(elsewhere.get(name, 0.0))
            for name in model.State.__dataclass_fields__
        }
    )
    ts = np.arange(12_000.0, 20_000.0, 0.5)
    eeg = solve(
        model,
        y0,
        jnp.asarray(np.concatenate([[0.0], ts])),
        None,
        lambda model, y: model.eeg(y),
        1e-8,
    )
    return cases, ts, np.asarray(eeg[1:])


def test_jansen_rit_cycles_have_the_known_frequencies_and_ranges():
    cases, ts, eeg = jansen_rit_runs()
    for (p, v0, frequency, low, high), signal in zip(cases, eeg.T, strict=True):
        if frequency is None:
            # Past the upper Hopf bifurcation, the oscillation dies out, slowly.
            assert np.ptp(signal[-4000:]) < 0.5 * np.ptp(signal[:4000])
            continue
        found = 1000 / period_of(ts, signal)
        assert abs(found / frequency - 1) < 3e-3, (p, v0)
        if low is not None:
            assert np.allclose([signal.min(), signal.max()], [low, high], atol=6e-3), (p, v0)


# Reduced Wong–Wang


def test_reduced_wong_wang_rests_at_its_known_rates():
    model = nmm.ReducedWongWang(w=[0.6, 0.9], I_o=[0.33, 0.30])  # the defaults and "deco2013"
    rest = fixed_point(model, model.initial_state())
    assert np.allclose(model.H(rest, model.Inputs()), [1.695, 0.55], atol=6e-3)
    assert np.allclose(rest.S[0], 0.0980, atol=5e-5)
    assert np.all(np.diag(jacobian(model, rest)) < 0)


@pytest.mark.parametrize("w, I_o, counts", ((0.6, 0.33, (1, 1, 1)), (0.9, 0.30, (1, 3, 1))))
def test_reduced_wong_wang_is_bistable_only_with_the_papers_constants_and_coupling(w, I_o, counts):
    model = nmm.ReducedWongWang(w=w, I_o=I_o)
    S = model.State(S=jnp.linspace(0.0, 1.0, 4001))
    for strength, count in zip((0.0, 0.5, 1.0), counts, strict=True):
        slope = field(model, S, model.Inputs(c=strength * S.S)).S
        assert np.sum(np.diff(np.sign(slope)) != 0) == count


# Wong–Wang with feedback inhibition


def test_wong_wang_exc_inh_has_the_known_fixed_points():
    # The papers' coupling of 0.05 and 0.1 times G = 2; here G is in what arrives.
    model = nmm.WongWangExcInh(J_i=[1.0, 0.5, 1.5, 1.010730, 1.0, 1.0])
    inputs = model.Inputs(c=jnp.array([0.0, 0.0, 0.0, 0.0, 0.1, 0.2]))
    end = solve(model, model.initial_state(), jnp.array([0.0, 10_000.0]), inputs)
    state = fixed_point(model, jax.tree.map(lambda x: x[-1], end), inputs)
    H_e, H_i = model.H_e(state, inputs), model.H_i(state, inputs)
    assert np.allclose(H_e, [3.07733, 17.8102, 1.27575, 3.0, 7.7344, 14.5298], rtol=1e-5)
    assert np.allclose(state.S_e[:3], [0.164757, 0.533066, 0.075594], atol=5e-7)
    assert np.allclose([state.S_i[0], H_i[0]], [0.039218, 3.92184], rtol=2e-5)
    assert np.allclose(state.S_i, model.gamma_i * model.tau_i * H_i, rtol=1e-10)
    drive = model.gamma_e * model.tau_e * H_e
    assert np.allclose(state.S_e, drive / (1 + drive), rtol=1e-10)


def test_wong_wang_exc_inh_relaxes_with_a_slow_time_of_167_ms():
    model = nmm.WongWangExcInh()
    rest = fixed_point(model, model.State(S_e=jnp.array(0.16), S_i=jnp.array(0.04)))
    values = eigenvalues(model, rest)
    assert np.allclose(values, [-0.00598, -0.23145], atol=6e-6)
    assert abs(-1 / values[0].real - 167) < 0.5


# Montbrio–Pazo–Roxin


def mpr_state(r, v):
    return nmm.MontbrioPazoRoxin.State(r=jnp.array(r), v=jnp.array(v))


@pytest.mark.parametrize("tau", (1.0, 10.0))
@pytest.mark.parametrize(
    "point, values, order",
    (
        ((0.081134, -1.961620), (-2.449, -5.398), 0.9011),
        ((0.472980, -0.336494), (1.642, -2.988), None),
        ((1.030597, -0.154430), (-0.30886 + 3.31863j, -0.30886 - 3.31863j), 0.5290),
    ),
)
def test_montbrio_pazo_roxin_is_bistable_and_scales_with_tau(tau, point, values, order):
    model = nmm.MontbrioPazoRoxin(tau=tau)
    found = fixed_point(model, mpr_state(point[0] / tau, point[1]))
    assert np.allclose([found.r * tau, found.v], point, atol=1e-6)
    assert np.allclose(eigenvalues(model, found) * tau, values, atol=6e-4)
    if order is not None:
        assert abs(float(model.synchrony(found)) - order) < 5e-5


def test_montbrio_pazo_roxin_is_switched_by_a_pulse_of_current_and_stays():
    model = nmm.MontbrioPazoRoxin()
    state, rates = mpr_state(0.081134, -1.961620), []
    for current, duration in ((3.0, 30.0), (0.0, 60.0), (-3.0, 30.0), (0.0, 60.0)):
        inputs = model.Inputs(v_inp=current)
        run = solve(model, state, jnp.array([0.0, duration]), inputs)
        state = jax.tree.map(lambda x: x[-1], run)
        rates.append(float(state.r))
    assert np.allclose(rates[1::2], [1.030597, 0.081134], atol=2e-6)


def test_montbrio_pazo_roxin_folds_where_the_equilibrium_curve_turns():
    def eta(rate, J=15.0, Delta=1.0):
        """The excitability of which this tau r is an equilibrium."""
        return (math.pi * rate) ** 2 - J * rate - Delta**2 / (2 * math.pi * rate) ** 2

    slope = jax.grad(eta)
    for low, high, rate, fold in ((0.5, 1.0, 0.753919, -5.743527), (0.1, 0.3, 0.162570, -3.136134)):
        found = brentq(slope, low, high)
        assert abs(found - rate) < 1e-6 and abs(eta(found) - fold) < 1e-6
        # The vector field agrees: at rest there, with an eigenvalue of 0.
        model, state = nmm.MontbrioPazoRoxin(eta=fold), mpr_state(rate, -1 / (2 * math.pi * rate))
        assert np.allclose(jax.tree.leaves(field(model, state)), 0, atol=1e-5)
        assert np.min(np.abs(eigenvalues(model, state))) < 1e-4
    # The folds meet in a cusp: the least J at which the slope reaches 0.
    rates = np.linspace(0.1, 1.0, 200_001)
    cusp = np.min(2 * math.pi**2 * rates + 1 / (2 * math.pi**2 * rates**3))
    assert abs(cusp - 7.7962) < 5e-5


@pytest.mark.parametrize(
    "eta, point", ((2.0, (0.463251, -0.343561)), (-5.0, (0.0708265, -2.247111)))
)
def test_montbrio_pazo_roxin_without_recurrence_is_known_in_closed_form(eta, point):
    model = nmm.MontbrioPazoRoxin(eta=eta, J=0.0)
    r = math.sqrt((eta + math.hypot(eta, 1.0)) / 2) / math.pi
    v = -1 / (2 * math.pi * r)
    assert np.allclose([r, v], point, atol=5e-7)
    assert all(abs(x) < 1e-12 for x in jax.tree.leaves(field(model, mpr_state(r, v))))
    expected = 2 * v + 2 * math.pi * r * 1j
    assert np.allclose(eigenvalues(model, mpr_state(r, v)), [expected, expected.conjugate()])


def test_montbrio_pazo_roxin_at_a_thousandth_of_the_width_is_that_of_brainmass():
    model = nmm.MontbrioPazoRoxin(Delta=0.001)
    low = fixed_point(model, mpr_state(7.1e-5, -2.2358))
    high = fixed_point(model, mpr_state(1.026, -0.00016))
    assert np.allclose([low.r, low.v], [7.1e-5, -2.2358], rtol=5e-3)
    assert abs(float(high.r) - 1.026096) < 1e-6
    assert np.allclose(eigenvalues(model, high)[0], -0.00031 + 3.28373j, atol=5e-6)


def test_montbrio_pazo_roxin_rate_cannot_cross_zero():
    model = nmm.MontbrioPazoRoxin(tau=[0.5, 1.0, 10.0])
    slope = field(model, mpr_state(np.zeros(3), np.array([-3.0, 0.0, 2.0]))).r
    assert np.allclose(slope, 1 / (math.pi * np.array([0.5, 1.0, 10.0]) ** 2))


def test_order_parameter_is_zero_and_smoothly_so_at_complete_asynchrony():
    model = nmm.MontbrioPazoRoxin()
    order, slope = jax.value_and_grad(model.synchrony)(mpr_state(1 / math.pi, 0.0))
    assert order < 1e-8 and np.all(np.isfinite(jax.tree.leaves(slope)))
