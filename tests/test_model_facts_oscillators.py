"""Known numbers of the phenomenological models: fixed points, bifurcations, periods, laws."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import (
    eigenvalues,
    field,
    fixed_point,
    jacobian,
    lyapunov_exponent,
    period_of,
    solve,
)
from scipy.optimize import brentq

import nmm


def at(model, *values):
    """A state of a model, its variables in order."""
    return model.State(*(jnp.asarray(x, float) for x in values))


def run(model, y0, ts, inputs=None, tol=1e-10):
    """The variables of a run from 0, sampled at `ts`, each (time, regions)."""
    states = solve(model, y0, jnp.asarray(np.concatenate([[0.0], ts])), inputs, tol=tol)
    return [np.asarray(x[1:]) for x in jax.tree.leaves(states)]


# Stuart–Landau


def test_stuart_landau_is_hopf_of_saturation_one_bit_for_bit():
    x, y = jnp.asarray(np.random.default_rng(0).normal(size=(2, 100)))
    ours = field(nmm.StuartLandau(a=0.3, w=0.7), nmm.StuartLandau.State(x=x, y=y))
    hopf = field(nmm.Hopf(a=0.3, w=0.7, beta=1.0), nmm.Hopf.State(x=x, y=y))
    assert np.array_equal(ours.x, hopf.x) and np.array_equal(ours.y, hopf.y)


def test_stuart_landau_follows_the_law_of_its_radius():
    model = nmm.StuartLandau(a=[0.25, 0.0, -0.5], w=0.2)
    ts = np.array([2.0, 5.0, 10.0, 150.0, 300.0])
    x, y = run(model, at(model, [0.1] * 3, [0.0] * 3), ts)
    r = np.hypot(x, y)
    assert np.allclose(r[:3, 0], [0.159482, 0.290127, 0.463896], atol=5e-7)
    assert np.allclose(r[3:, 0], 0.5) and np.allclose(r[3:, 1], [0.05, 0.037796], atol=5e-7)
    assert abs(r[1, 2] / 0.1 - 0.08208) < 2e-3  # exp(-2.5), but for the cubic term
    origin = at(model, 0.0, 0.0)
    assert np.allclose(eigenvalues(nmm.StuartLandau(a=-0.5), origin), [-0.5 + 0.2j, -0.5 - 0.2j])


def test_amplitude_and_phase_are_polar_coordinates_even_at_the_origin():
    model = nmm.StuartLandau()
    state = at(model, [0.3, 0.0, -0.3], [0.4, 0.0, 0.0])
    assert np.allclose(model.amplitude(state), [0.5, 0.0, 0.3])
    assert np.allclose(model.phase(state), [math.atan2(0.4, 0.3), 0.0, math.pi])
    slopes = jax.grad(lambda s: jnp.sum(model.amplitude(s) + model.phase(s)))(state)
    assert np.all(np.isfinite(jax.tree.leaves(slopes)))


# Van der Pol


def test_van_der_pol_cycles_have_the_known_periods_and_amplitudes():
    mu = np.array([0.1, 0.5, 1.0, 2.0, 5.0, 10.0])
    model = nmm.VanDerPol(mu=mu)
    ts = np.arange(200.0, 300.0, 0.005)
    x, _ = run(model, model.initial_state(), ts)
    periods = np.array([period_of(ts, signal) for signal in x.T])
    assert np.allclose(periods, [6.28711, 6.38068, 6.66329, 7.62987, 11.61223, 19.07837], atol=3e-5)
    peaks = [2.0001, 2.0025, 2.00862, 2.01989, 2.02151, 2.01429]
    assert np.allclose(x.max(axis=0), peaks, atol=6e-5)
    assert abs(periods[0] - 2 * math.pi * (1 + 0.1**2 / 16)) < 1e-4
    large = (3 - 2 * math.log(2)) * 10 + 7.0143 * 10 ** (-1 / 3)
    assert abs(large / periods[-1] - 1.017) < 1e-3


@pytest.mark.parametrize("mu", (0.5, 1.0, 3.0))
def test_van_der_pol_origin_is_unstable_with_the_known_eigenvalues(mu):
    model = nmm.VanDerPol(mu=mu)
    root = np.emath.sqrt(mu**2 - 4)
    found = eigenvalues(model, at(model, 0.0, 0.0))
    assert np.allclose(found, [(mu + root) / 2, (mu - root) / 2]) and np.all(found.real > 0)


def test_van_der_pol_is_a_generic_2d_oscillator():
    x, y = jnp.asarray(np.random.default_rng(1).normal(size=(2, 100)))
    vdp, mu = nmm.VanDerPol(mu=1.7), 1.7
    generic = nmm.Generic2dOscillator(
        d=1.0, tau=mu, f=1 / 3, e=0.0, g=1.0, alpha=-1.0, a=0.0, b=1.0, c=0.0, beta=0.0
    )
    ours, other = field(vdp, at(vdp, x, y)), field(generic, at(generic, x, y))
    assert np.allclose([ours.x, ours.y], [other.V, other.W], rtol=1e-13, atol=1e-14)


# FitzHugh–Nagumo


def test_fitzhugh_nagumo_rests_without_drive_and_no_kick_makes_a_spike():
    model = nmm.FitzHughNagumo()
    rest = at(model, 0.0, 0.0)
    assert np.allclose(jax.tree.leaves(field(model, rest)), 0.0)
    assert np.allclose(eigenvalues(model, rest), [-0.05972, -1.46528], atol=6e-6)
    kicks = np.linspace(0.2, 1.0, 9)
    V, _ = run(model, at(model, kicks, 0 * kicks), np.arange(0.01, 3.0, 0.05))
    assert np.all(kicks > V) and np.all(np.diff(V, axis=0)[V[:-1] > 0.02] < 0)


def fitzhugh_nagumo_hopf(preset, low, high):
    """Drive and V at which the leading pair crosses into the right half plane, or back."""
    usual = nmm.FitzHughNagumo.preset(preset) if preset else nmm.FitzHughNagumo()

    def on_nullcline(V):
        return at(usual, V, (V - usual.delta) / usual.epsilon)

    V = brentq(lambda V: eigenvalues(usual, on_nullcline(V))[0].real, low, high, xtol=1e-9)
    return V, -float(field(usual, on_nullcline(V)).V)


@pytest.mark.parametrize(
    "preset, low, high, expected",
    (
        (None, 0.2, 0.35, (0.276854, 0.726058)),
        (None, 0.55, 0.7, (0.612034, 1.331555)),
        ("fitzhugh1961", -1.1, -0.9, (-0.967471, 0.331281)),
        ("fitzhugh1961", 0.9, 1.1, (0.967471, 1.418719)),
    ),
)
def test_fitzhugh_nagumo_starts_to_oscillate_at_the_known_drives(preset, low, high, expected):
    assert np.allclose(fitzhugh_nagumo_hopf(preset, low, high), expected, atol=2e-6)


def test_fitzhugh_nagumo_cycles_have_the_known_periods_and_ranges():
    model = nmm.FitzHughNagumo(I=[0.8, 1.0, 1.25])
    ts = np.arange(1000.0, 1400.0, 0.02)
    V, w = run(model, model.initial_state(), ts)
    assert np.allclose([period_of(ts, v) for v in V.T], [34.7, 30.545, 34.414], atol=6e-4)
    ranges = (V[:, 1].min(), V[:, 1].max(), w[:, 1].min(), w[:, 1].max())
    assert np.allclose(ranges, [0.1018, 0.7717, 0.782, 0.944], atol=5e-4)
    for drive in (0.7, 1.4):
        quiet = nmm.FitzHughNagumo(I=drive)
        leading = eigenvalues(quiet, fixed_point(quiet, at(quiet, 0.4, 0.8)))[0]
        assert leading.real < 0 and leading.imag > 0


def test_classical_fitzhugh_nagumo_is_excitable_and_spikes_when_driven():
    preset = functools.partial(nmm.FitzHughNagumo.preset, "fitzhugh1961")
    model = preset()
    rest = fixed_point(model, at(model, -1.2, -0.6))
    assert np.allclose(jax.tree.leaves(rest), [-1.199408, -0.624260], atol=1e-6)
    assert np.allclose(eigenvalues(model, rest)[0], -0.25129 + 0.21195j, atol=1e-5)
    V, _ = run(model, at(model, [-0.8, -0.6], [rest.w] * 2), np.arange(0.05, 60.0, 0.05))
    assert V[:, 0].max() < 0 and abs(V[:, 1].max() - 1.713) < 1e-3
    driven = preset(I=[0.5, 1.0])
    ts = np.arange(1000.0, 1400.0, 0.02)
    V, _ = run(driven, driven.initial_state(), ts)
    assert np.allclose([period_of(ts, v) for v in V.T], [39.474, 36.699], atol=6e-4)
    assert np.allclose([V[:, 0].min(), V[:, 0].max()], [-1.9704, 1.8521], atol=1e-4)


def test_fitzhugh_nagumo_is_a_generic_2d_oscillator():
    V, W = jnp.asarray(np.random.default_rng(2).normal(size=(2, 100)))
    fhn, root = nmm.FitzHughNagumo(delta=0.3, I=0.4), math.sqrt(20.0)
    generic = nmm.Generic2dOscillator(
        **{"d": 1 / root, "tau": root, "f": 3.0, "e": 4.0, "g": -1.5, "alpha": -1.0},
        **{"a": -0.3, "b": 1.0, "c": 0.0, "beta": 0.5, "I": 0.4},
    )
    ours, other = field(fhn, at(fhn, V, W)), field(generic, at(generic, V, W))
    assert np.allclose([ours.V, ours.w], [other.V, other.W], rtol=1e-12, atol=1e-13)


# Generic 2d oscillator


def generic_equilibria(model):
    """All equilibria: roots of a cubic in V, sorted, each with its leading eigenvalue."""
    f, e, g, I = (float(x) for x in (model.f, model.e, model.g, model.gamma * model.I))
    a, b, c = (float(model.alpha / model.beta * x) for x in (model.a, model.b, model.c))
    roots = np.roots([-f, e + c, g + b, a + I])
    V = np.sort(roots[np.abs(roots.imag) < 1e-9].real)
    W = (model.a + model.b * V + model.c * V**2) / model.beta
    states = [at(model, *vw) for vw in zip(V, W, strict=True)]
    for state in states:
        assert np.allclose(jax.tree.leaves(field(model, state)), 0, atol=1e-9)
    return V, np.asarray(W), np.array([eigenvalues(model, state)[0] for state in states])


@pytest.mark.parametrize(
    "parameters, point, leading",
    (
        ({}, (-0.18865, -0.11348), -0.02239 + 0.06320j),
        ({"a": -0.5}, None, -0.01303 + 0.06286j),
        ({"d": 0.1}, (-0.18865, -0.11348), 5 * (-0.02239 + 0.06320j)),
    ),
)
def test_generic_2d_rings_at_ten_hertz_times_its_rate(parameters, point, leading):
    V, W, values = generic_equilibria(nmm.Generic2dOscillator(**parameters))
    assert len(V) == 1 and np.allclose(values[0], leading, atol=3e-5)
    if point:
        assert np.allclose([V[0], W[0]], point, atol=6e-6)


def test_generic_2d_ghosh_set_rings_at_15_7_hertz():
    model = nmm.Generic2dOscillator.preset("ghosh2008")
    V, W, values = generic_equilibria(model)
    assert np.allclose([V[0], W[0]], [1.17672, -0.63360], atol=6e-6) and values[0].real < 0
    assert abs(1000 * values[0].imag / (2 * math.pi) - 15.71) < 6e-3


def test_generic_2d_starts_to_oscillate_at_the_known_shift():
    def largest(a):
        return generic_equilibria(nmm.Generic2dOscillator(a=a))[2][0].real

    assert abs(brentq(largest, 1.5, 2.0, xtol=1e-9) - 1.740193) < 1e-6
    assert abs(brentq(largest, 14.0, 14.5, xtol=1e-9) - 14.259807) < 1e-6
    V, _, _ = generic_equilibria(nmm.Generic2dOscillator(a=1.740193))
    assert abs(V[0] - (1 - math.sqrt(2 / 3))) < 1e-6


@functools.cache
def generic_2d_runs():
    """V after 20 s, for starts and parameters of the tests below, each a region of its own."""
    bistable = {"a": 1.0, "b": 0.0, "c": -5.0}
    oscillating = {"a": 0.5, "b": 0.4, "c": -4.0}
    cases = {
        "oscillating": ({"a": 2.0}, (0.0, 0.0)),
        "bistable, 0": (bistable, (0.0, 0.0)),
        "bistable, 1": (bistable, (-1.0, 1.0)),
        "bistable, 2": (bistable, (2.0, -5.0)),
        "bistable, 3": (bistable, (0.5, 0.5)),
        "bistable, I = 1": ({**bistable, "I": 1.0}, (0.0, 0.0)),
        "bistable, I = 2": ({**bistable, "I": 2.0}, (0.0, 0.0)),
        "bistable, I = -0.1": ({**bistable, "I": -0.1}, (0.0, 0.0)),
        "slow": (oscillating, (0.0, 0.0)),
    }
    usual = {"a": -2.0, "b": -10.0, "c": 0.0, "I": 0.0}
    sets = [{**usual, **parameters} for parameters, _ in cases.values()]
    model = nmm.Generic2dOscillator(**{k: [s[k] for s in sets] for k in usual})
    ts = np.arange(20_000.0, 36_000.0, 0.5)
    V, W = run(model, at(model, *np.transpose([y for _, y in cases.values()])), ts, tol=1e-9)
    return ts, dict(zip(cases, V.T, strict=True)), dict(zip(cases, W.T, strict=True))


def test_generic_2d_cycles_have_the_known_periods_and_ranges():
    ts, V, _ = generic_2d_runs()
    for case, period, low, high in (
        ("oscillating", 108.550, -0.3358, 0.8234),
        ("bistable, 0", 931.74, -0.9310, 1.6860),
        ("bistable, 1", 931.74, -0.9310, 1.6860),
        ("bistable, 3", 931.74, -0.9310, 1.6860),
        ("bistable, I = 1", 310.22, None, None),
        ("bistable, I = 2", 216.88, None, None),
        ("slow", 2713.7, -0.948, 1.842),
    ):
        assert abs(period_of(ts, V[case]) / period - 1) < 5e-5, case
        if low is not None:
            assert np.allclose([V[case].min(), V[case].max()], [low, high], atol=6e-4), case


def test_generic_2d_bistable_set_is_a_node_beside_a_cycle():
    V, W, values = generic_equilibria(nmm.Generic2dOscillator.preset("bistable"))
    assert np.allclose(V, [-1.618034, -1.0, 0.618034]) and np.allclose(W[:2], [-12.0902, -4.0])
    assert values[0].real < 0 < values[1].real and values[0].imag == values[1].imag == 0
    assert np.allclose(values[2], 0.01562 + 0.03469j, atol=6e-6)
    _, runs, _ = generic_2d_runs()
    assert np.allclose(runs["bistable, 2"], -1.618034, atol=1e-6)
    assert np.ptp(runs["bistable, I = -0.1"]) < 1e-6  # the cycle is gone
    V, W, values = generic_equilibria(nmm.Generic2dOscillator.preset("bistable", I=-2.0))
    assert np.allclose([V, W], [[-2.20557], [-23.3227]], atol=6e-5) and values[0].real < 0
    V, W, _ = generic_equilibria(nmm.Generic2dOscillator.preset("bistable", I=-1.001))
    assert len(V) == 1 and np.allclose([V[0], W[0]], [-2.0, -19.0], atol=5e-3)
    double = at(nmm.Generic2dOscillator(), 0.0, 1.0)
    node = nmm.Generic2dOscillator.preset("bistable", I=-1.0)
    assert np.allclose(jax.tree.leaves(field(node, double)), 0.0)
    assert np.min(np.abs(eigenvalues(node, double))) < 1e-12


def test_generic_2d_excitable_set_has_a_node_a_saddle_and_a_focus():
    V, W, values = generic_equilibria(nmm.Generic2dOscillator.preset("excitable"))
    assert np.allclose(V, [-1.14201, -0.59448, 0.73649], atol=6e-6)
    assert abs(W[0] + 5.40194) < 6e-6
    assert values[0].real < 0 < values[1].real and values[2].real > 0 != values[2].imag


# Threshold-linear


def test_threshold_linear_approaches_its_drive_exponentially():
    model = nmm.ThresholdLinear.preset("brainmass")
    inputs = model.Inputs(E_inp=jnp.array([100.0, -100.0]), I_inp=jnp.array([100.0, -100.0]))
    E, I = run(model, model.initial_state((2,)), np.array([10.0, 100.0]), inputs)
    assert np.allclose(E[:, 0], [2.59690, 6.55553], atol=6e-6) and np.all(E[:, 1] == 0)
    assert np.allclose(I[:, 0], 35.1 * (1 - np.exp([-1.0, -10.0]))) and np.all(I[:, 1] == 0)


def test_threshold_linear_area_rests_at_10_and_35_hz_with_known_time_constants():
    model = nmm.ThresholdLinear()
    rest = fixed_point(model, at(model, 8.0, 30.0))
    assert np.allclose(jax.tree.leaves(rest), [10.0, 35.0], atol=2e-4)
    values = eigenvalues(model, rest)
    assert np.allclose(values, [-0.023879, -0.484681], atol=6e-7)
    assert np.allclose(-1 / values.real, [41.88, 2.063], atol=6e-3)


# Linear


def test_linear_decays_exactly_and_a_network_is_stable_up_to_the_largest_eigenvalue():
    model = nmm.Linear()
    assert np.allclose(run(model, model.initial_state(), np.array([0.1])), 0.00367879, atol=6e-9)
    limit = fixed_point(model, model.initial_state(), model.Inputs(x_inp=0.5))
    assert np.allclose(limit.x, 0.05)
    weights = np.random.default_rng(3).uniform(size=(5, 5))
    critical = 10 / np.max(np.linalg.eigvals(weights).real)
    for G, stable in ((0.99 * critical, True), (1.01 * critical, False)):
        net = nmm.Network(model, jnp.asarray(weights), nmm.coupling.Linear(G=G))
        assert (eigenvalues(net, net.initial_state())[0].real < 0) == stable


# Lorenz


@pytest.mark.parametrize("sign", (1, -1))
def test_lorenz_fixed_points_lose_stability_at_the_known_rho(sign):
    model = nmm.Lorenz()
    side = sign * math.sqrt(8 / 3 * 27)
    assert abs(abs(side) - 8.485281) < 1e-6
    point = at(model, side, side, 27.0)
    assert np.allclose(jax.tree.leaves(field(model, point)), 0.0, atol=1e-12)
    expected = [0.09396 + 10.19451j, 0.09396 - 10.19451j, -13.85458]
    assert np.allclose(eigenvalues(model, point), expected, atol=6e-6)
    origin = eigenvalues(model, at(model, 0.0, 0.0, 0.0))
    assert np.allclose(origin, [11.82772, -2.66667, -22.82772], atol=6e-6)
    critical = 10 * (10 + 8 / 3 + 3) / (10 - 8 / 3 - 1)
    assert abs(critical - 24.736842) < 1e-6
    for rho, stable in ((critical - 0.01, True), (critical + 0.01, False)):
        side = sign * math.sqrt(8 / 3 * (rho - 1))
        near = nmm.Lorenz(rho=rho)
        assert (eigenvalues(near, at(near, side, side, rho - 1))[0].real < 0) == stable


def test_lorenz_run_passes_through_the_known_points():
    model = nmm.Lorenz(rho=[28.0, 14.0])
    states = run(model, model.initial_state(), np.array([1.0, 5.0, 60.0]), tol=1e-12)
    x, y, z = states
    assert np.allclose([x[0, 0], y[0, 0], z[0, 0]], [-9.378570, -8.357033, 29.362325], atol=1e-6)
    assert np.allclose([x[1, 0], y[1, 0], z[1, 0]], [-6.512114, -6.974043, 23.924130], atol=2e-6)
    assert np.allclose([x[2, 1], y[2, 1], z[2, 1]], [5.887841, 5.887841, 13.0], atol=1e-6)
    sol = nmm.simulate(nmm.Lorenz(), t1=1.0, dt=0.01, solver=nmm.RungeKutta4())
    assert abs(float(sol.y1.x) + 9.378570) < 1e-4


def test_lorenz_attractor_has_the_known_exponent_size_and_symmetry():
    model = nmm.Lorenz()
    starts = model.initial_state((20,), key=jax.random.key(0))
    exponents = lyapunov_exponent(model, starts, 0.01, 30_000, 2_000)
    assert abs(np.mean(exponents) - 0.9056) < 0.01
    x, y, z = jnp.asarray(np.random.default_rng(4).normal(size=3))
    assert np.allclose(np.trace(jacobian(model, at(model, x, y, z))), -(10 + 1 + 8 / 3))
    one, other = field(model, at(model, x, y, z)), field(model, at(model, -x, -y, z))
    assert np.allclose([one.x, one.y, one.z], [-other.x, -other.y, other.z])
    x, _, z = run(model, starts, np.arange(20.0, 100.0, 0.05), tol=1e-8)
    assert np.allclose([x.min(), x.max(), z.min(), z.max()], [-18.9, 18.9, 3.07, 46.5], atol=1.0)
    assert abs(z.mean() - 23.54) < 0.1 and abs(x.std() - 7.92) < 0.1
