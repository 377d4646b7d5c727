"""Phases and their coupling: locking, lag, divisors, the onset of synchrony."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import field, solve

import nmm


def network(omega, G, weights=None, **options):
    weights = np.ones((len(omega),) * 2) if weights is None else weights
    coupling = nmm.coupling.Kuramoto(G=G, **options)
    return nmm.Network(nmm.Kuramoto(omega=omega), jnp.asarray(weights, float), coupling)


def phases(theta):
    return nmm.Kuramoto.State(theta=jnp.asarray(theta, float))


def others(n):
    """Everybody hears everybody else, and not itself."""
    return 1 - np.eye(n)


@pytest.mark.parametrize("difference, locked", ((0.5, 0.523599), (0.99, 1.429257)))
def test_two_phases_lock_at_the_known_difference(difference, locked):
    net = network([0.0, difference], 1.0, divisor="regions")
    theta = solve(net, phases([0.0, 0.0]), jnp.array([0.0, 500.0])).theta[-1]
    assert abs((theta[1] - theta[0]) - locked) < 1e-6


def test_two_phases_drift_apart_past_the_critical_difference():
    net = network([0.0, 1.01], 1.0, divisor="regions")
    beat = 2 * math.pi / math.sqrt(1.01**2 - 1)
    ts = jnp.asarray([0.0, 100 * beat, 200 * beat])
    theta = solve(net, phases([0.0, 0.0]), ts, tol=1e-12).theta
    drift = (theta[2, 1] - theta[2, 0] - theta[1, 1] + theta[1, 0]) / (ts[2] - ts[1])
    assert abs(drift - 0.141774) < 3e-6


@pytest.mark.parametrize("with_self, frequency", ((False, 0.0247617), (True, 0.0052908)))
def test_identical_phases_with_a_lag_rotate_at_the_known_frequency(with_self, frequency):
    weights = np.ones((10, 10)) if with_self else others(10)
    net = network([0.2] * 10, 0.5, weights, alpha=0.4, divisor="regions")
    assert np.allclose(field(net, phases(np.full(10, 1.3))).theta, frequency, atol=6e-8)


def test_lag_is_that_of_the_region_that_receives():
    alpha, theta = np.array([0.1, 0.5, -0.3]), np.array([0.2, 2.0, 4.0])
    net = network([0.0] * 3, 0.7, others(3), alpha=alpha)
    expected = 0.7 * np.sum(others(3) * np.sin(theta - theta[:, None] - alpha[:, None]), axis=1)
    assert np.allclose(field(net, phases(theta)).theta, expected)


def test_divisors_differ_by_regions_and_by_strength():
    rng = np.random.default_rng(0)
    weights, theta = rng.uniform(size=(5, 5)), rng.uniform(0, 6, 5)
    weights[2] = 0.0
    one, regions, strength = (
        field(network([0.0] * 5, 1.0, weights, divisor=d), phases(theta)).theta
        for d in ("one", "regions", "strength")
    )
    assert np.allclose(regions, one / 5)
    assert strength[2] == 0.0
    connected = np.array([0, 1, 3, 4])
    assert np.allclose(strength[connected], one[connected] / weights[connected].sum(axis=1))
    with pytest.raises(ValueError, match="`divisor` should be one of .*, got 'degree'"):
        nmm.coupling.Kuramoto(divisor="degree")


def test_phases_of_symmetric_networks_advance_at_their_mean_frequency():
    rng = np.random.default_rng(1)
    omega, weights = rng.uniform(0, 0.1, 6), rng.uniform(size=(6, 6))
    net = network(omega, 0.3, weights + weights.T)
    slope = field(net, phases(rng.uniform(0, 6, 6))).theta
    assert abs(np.sum(slope) - np.sum(omega)) < 1e-14


def test_synchrony_sets_in_at_twice_the_width_of_lorentzian_frequencies():
    # An even spread over the quantiles of a Lorentzian of half width 0.05 per ms.
    n, strengths = 600, jnp.array([0.05, 0.15, 0.2, 0.4])
    omega = 0.05 * np.tan(np.pi * ((np.arange(n) + 0.5) / n - 0.5))
    starts = phases(np.random.default_rng(2).uniform(0, 2 * np.pi, n))

    @jax.jit
    @jax.vmap
    def synchrony(G):
        return nmm.simulate(
            network(omega, G, divisor="regions"),
            t1=800.0,
            dt=0.5,
            transient=400.0,
            y0=starts,
            solver=nmm.RungeKutta4(),
            save=["order_parameter"],
            throw=False,
        )["order_parameter"]

    found = np.mean(synchrony(strengths), axis=1)
    expected = np.sqrt(1 - 0.1 / np.array([0.15, 0.2, 0.4]))  # 0.57735, 0.70711, 0.86603
    assert found[0] < 0.06 and np.allclose(found[1:], expected, atol=2e-3)


def test_order_parameter_is_one_in_phase_and_zero_and_smooth_when_spread_out():
    model = nmm.Kuramoto()
    assert np.allclose(model.order_parameter(phases(np.full(7, 2.0))), 1.0)
    spread = phases([0.0, math.pi])
    order, slope = jax.value_and_grad(model.order_parameter)(spread)
    assert order < 1e-15 and np.all(np.isfinite(slope.theta))
    batch = phases(np.random.default_rng(3).uniform(0, 6, (4, 7)))
    assert model.order_parameter(batch).shape == (4,)
    assert model.order_parameter(phases(0.3)).shape == ()


def test_wrapped_phase_and_signal_do_not_care_about_whole_turns():
    model, theta = nmm.Kuramoto(), np.linspace(-3, 3, 7)
    for turns in (0, 3):
        state = phases(theta + 2 * math.pi * turns)
        assert np.allclose(model.phase(state), theta)
        assert np.allclose(model.signal(state), np.sin(theta))
