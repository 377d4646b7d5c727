"""Known numbers of threshold-linear, linear and Lorenz models."""

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
    jacobian,
    lyapunov_exponent,
    run,
    together,
)

import nmm

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


def test_threshold_linear_field_is_its_equation():
    rng = np.random.default_rng(0)
    E, I, c, h, to_E, to_I = rng.uniform(0, 1, (6, 100)) * [[20], [50], [20], [1], [900], [900]]
    model = nmm.ThresholdLinear(h=h, eta=0.5, mu_EE=30.0, mu_IE=20.0)
    hierarchy = 1 + 0.5 * h
    drive_E = hierarchy * (24.3 * E + 30.0 * c) - 19.7 * I + 598.015 - to_E
    drive_I = hierarchy * (12.2 * E + 20.0 * c) - 12.5 * I + 415.215 - to_I
    for drive in (drive_E, drive_I):
        assert 5 < np.sum(drive < 0) < 95  # both sides of the threshold
    found = field(model, at(model, E, I), model.Inputs(c=c, E_inp=-to_E, I_inp=-to_I))
    assert np.allclose(found.E, (0.066 * np.maximum(drive_E, 0) - E) / 20.0, rtol=1e-12)
    assert np.allclose(found.I, (0.351 * np.maximum(drive_I, 0) - I) / 10.0, rtol=1e-12)


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


def test_linear_by_exponential_euler_is_exact():
    start = nmm.Linear().initial_state()
    sol = nmm.simulate(nmm.Linear(), 0.3, 0.1, y0=start, solver=nmm.ExponentialEuler())
    assert np.allclose(sol["x"], start.x * np.exp(-10 * np.array([0.1, 0.2, 0.3])), rtol=1e-12)


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
    model = together(nmm.Lorenz(), nmm.Lorenz.preset("fixed_point"))
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
