"""Random numbers, white noise and noise with memory, against theory and its standard errors."""

import diffrax
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.stats
from gradients import assert_gradients_match_differences
from tiny import Relax, assert_correlation, assert_variance

import nmm
from nmm._custom_types import Value
from nmm.noise._base import counter_key, counter_normals, open_uniform

both_precisions = pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])


def run(model=None, t1=1.0, dt=0.1, **options):
    """The end of a noisy run of `Relax`."""
    options = {"key": jr.key(0), "save": [], **options}
    return nmm.simulate(Relax() if model is None else model, t1, dt, **options).y1


# Random numbers.


@both_precisions
def test_normals_have_the_moments_and_the_distribution(dtype):
    key = counter_key(jr.key(1), 0)
    x = counter_normals(key, jnp.arange(1000, dtype=jnp.int32), (99,), dtype)
    assert x.dtype == dtype and x.shape == (1000, 99)
    # No standard errors above 4.5; those of the moments of the normal distribution are known.
    x = np.asarray(x, np.float64).ravel()
    for power, mean, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs(np.mean(x**power) - mean) < 4.5 * np.sqrt(variance / x.size), power
    assert scipy.stats.kstest(x, "norm").pvalue > 1e-3


@both_precisions
def test_normals_of_steps_places_and_streams_are_independent(dtype):
    key, n = jr.key(2), jnp.arange(2000, dtype=jnp.int32)
    x = counter_normals(counter_key(key, 0), n, (10,), dtype)
    other = counter_normals(counter_key(key, 1), n, (10,), dtype)
    assert_correlation(x, other, 0.0)
    for lag in (1, 2, 7):
        assert_correlation(x[lag:], x[:-lag], 0.0)
        assert_correlation(x[:, lag:], x[:, :-lag], 0.0)
        assert_correlation(x[lag:] ** 2, x[:-lag] ** 2, 0.0)
    # Both numbers of one hash.
    assert_correlation(x[:, :5], x[:, 5:], 0.0)


@both_precisions
def test_normals_depend_on_key_step_and_place_alone(dtype):
    key = counter_key(jr.key(3), 0)
    n = jnp.array([0, 5, 2**31 - 1], jnp.int32)
    together = counter_normals(key, n, (3, 2), dtype)
    for i in range(3):
        np.testing.assert_array_equal(
            counter_normals(key, n[i : i + 1], (6,), dtype)[0].reshape(3, 2), together[i]
        )
    assert len(np.unique(together)) == together.size


@both_precisions
def test_uniforms_of_the_extreme_bits_stay_within_and_normals_finite(dtype):
    bits = jnp.array([0, 1, 511, 512, 2**31, 2**32 - 513, 2**32 - 1], jnp.uint32)
    uniform = open_uniform(bits, dtype)
    assert uniform.dtype == dtype
    assert np.all(np.abs(uniform) < 1) and np.all(np.isfinite(jax.lax.erf_inv(uniform)))
    np.testing.assert_array_equal(uniform, -open_uniform(~bits, dtype))  # symmetric
    # Place 0 of this step of this key has 23 leading zero bits.
    x = counter_normals(jnp.array([1, 2], jnp.uint32), jnp.array([31291637]), (2,), dtype)
    assert -5.4 < x[0, 0] < -5.2


# White noise.


def test_white_noise_has_its_sigma_for_each_variable_and_region():
    sigma = jnp.array([[0.5], [2.0]])  # Two kinds of regions, and many of each.
    noise = nmm.noise.White(x=jnp.repeat(sigma, 10_000), y=0.3)
    y1 = run(Relax(rate=0.0), t1=2.0, dt=0.25, noise=noise, shape=20_000)
    assert_variance(y1.x[:10_000], 0.5**2 * 2)
    assert_variance(y1.x[10_000:], 2.0**2 * 2)
    assert_variance(y1.y, 0.3**2 * 2)
    assert_correlation(y1.x, y1.y, 0.0)
    assert_correlation(y1.x[:10_000], y1.x[10_000:], 0.0)


@pytest.mark.parametrize("dt", [0.1, 0.05])
def test_variance_of_a_relaxing_variable_whatever_the_step(dt):
    sigma = 0.7
    options = {
        "key": jr.key(5),
        "noise": nmm.noise.White(x=sigma),
        "shape": 10_000,
        "save_every": 1.0,
    }
    sol = nmm.simulate(Relax(), 5.0, dt, **options)
    for t, x in zip(sol.ts, sol["x"], strict=True):
        # Heun's scheme is off by a factor of 1 - dt² / 4 at most, here far below an error.
        assert_variance(x, sigma**2 / 2 * (1 - np.exp(-2 * t)))
    assert_correlation(
        sol["x"][1], sol["x"][2], np.exp(-1) * np.sqrt(np.expm1(4) / np.expm1(6)) * np.e
    )


def test_same_key_same_path_alone_in_a_batch_and_compiled():
    noise = (
        nmm.noise.White(x=0.5, y=0.1),
        nmm.noise.OrnsteinUhlenbeck(sigma=0.2, tau=3.0, onto="v"),
    )

    def path(key):
        return nmm.simulate(Relax(), 3.0, 0.1, key=key, noise=noise, shape=4).ys

    keys = jr.split(jr.key(6), 3)
    batch = jax.vmap(path)(keys)
    for one, among in zip(jax.tree.leaves(path(keys[1])), jax.tree.leaves(batch), strict=True):
        np.testing.assert_allclose(one, among[1], rtol=1e-13, atol=1e-15)
    for one, again in zip(
        *(jax.tree.leaves(f(keys[2])) for f in (path, jax.jit(path))), strict=True
    ):
        np.testing.assert_allclose(one, again, rtol=1e-13, atol=1e-15)
    assert not np.allclose(batch.x[0], batch.x[1])


def test_same_brownian_path_with_other_steps_of_one_resolution():
    fine = nmm.noise.White(x=0.5, y=1.0, resolution=0.01)
    ends = [run(Relax(rate=0.0), dt=dt, noise=fine, shape=5) for dt in (0.01, 0.1, 1.0)]
    for end in ends[1:]:
        np.testing.assert_allclose(end.x, ends[0].x, rtol=1e-12)
        np.testing.assert_allclose(end.y, ends[0].y, rtol=1e-12)
    alone = run(Relax(rate=0.0), dt=0.01, noise=nmm.noise.White(x=0.5, y=1.0), shape=5)
    np.testing.assert_array_equal(alone.x, ends[0].x)


def test_noise_in_float32_has_the_same_statistics():
    model = Relax(rate=jnp.float32(1.0))
    noise = nmm.noise.White(x=jnp.float32(1.0))
    y1 = run(model, t1=8.0, noise=noise, shape=20_000)
    assert y1.x.dtype == jnp.float32
    h = 0.1
    assert_variance(y1.x, (1 - h / 2) ** 2 * h / (1 - (1 - h + h**2 / 2) ** 2))


# Noise with memory.


@pytest.mark.parametrize("dt", [0.02, 2.0, 10.0])
def test_ornstein_uhlenbeck_is_exact_for_any_step(dt):
    """Seen through an integrator: what it adds in a step is the mean of its two ends."""
    tau, sigma, mean, regions = 2.0, 0.6, 0.25, 20_000
    noise = nmm.noise.OrnsteinUhlenbeck(sigma, tau, mean)
    begin = nmm.simulate(Relax(), dt, dt, key=jr.key(7), noise=noise, shape=regions)
    (first,) = begin.ending.carry.steps.forcing
    (later,) = nmm.simulate(Relax(), 3 * dt, dt, y0=begin, noise=noise).ending.carry.steps.forcing
    deviation = sigma * np.sqrt(tau / 2)
    assert np.isclose(noise.deviation, deviation)
    for value in (first, later):
        assert_variance(value - mean, deviation**2)
        assert abs(np.mean(value) - mean) < 4.5 * deviation / np.sqrt(regions)
    assert_correlation(first, later, np.exp(-3 * dt / tau))


def test_ornstein_uhlenbeck_starts_stationary_and_is_linear_between_steps():
    noise = nmm.noise.OrnsteinUhlenbeck(0.6, 2.0)
    y1 = run(Relax(rate=0.0), t1=0.5, dt=0.5, noise=noise, shape=20_000)
    # Its trapezoid over one step: the mean of two numbers of correlation exp(-dt / tau).
    assert_variance(y1.x, 0.5**2 * 0.36 * (1 + np.exp(-0.25)) / 2)
    assert not np.any(y1.y)


@pytest.mark.parametrize(("ratio", "stronger"), [(1.0, 1.082), (5.0, 2.534)])
def test_slow_drive_by_ornstein_uhlenbeck_is_too_strong_where_steps_are_long(ratio, stronger):
    tau, sigma, steps = 2.0, 0.6, 400
    dt = ratio * tau
    noise = nmm.noise.OrnsteinUhlenbeck(sigma, tau)
    first, *others = np.random.default_rng(0).normal(size=(1 + steps, 10_000))

    def add(carry, normal):
        value, total = carry
        new = noise.advance(value, normal, dt)
        return (new, total + dt * (value + new) / 2), None

    start = noise.start(jnp.asarray(first))
    (_, total), _ = jax.lax.scan(add, (start, jnp.zeros_like(start)), jnp.asarray(others))
    assert np.isclose(ratio / 2 / np.tanh(ratio / 2), stronger, atol=1e-3)
    # Of white noise with the power of the process at 0 Hz; both ends count for a step at most.
    assert_variance(total / np.sqrt(stronger), (sigma * tau) ** 2 * steps * dt, errors=5.0)


def test_ornstein_uhlenbeck_goes_onto_a_slot_or_onto_a_derivative():
    at = {onto: run(noise=nmm.noise.OrnsteinUhlenbeck(onto=onto), shape=3) for onto in "uvxy"}
    np.testing.assert_allclose(at["x"].x, at["u"].x, rtol=1e-12)
    np.testing.assert_allclose(at["y"].y, at["v"].y, rtol=1e-12)
    np.testing.assert_array_equal(at["v"].y, at["u"].x)
    assert not np.any(at["u"].y) and not np.any(at["v"].x) and np.all(at["u"].x != 0)


def test_coarse_path_of_ornstein_uhlenbeck_lies_on_the_fine_one():
    noise = nmm.noise.OrnsteinUhlenbeck(
        sigma=jnp.array([0.5, 1.0]), tau=jnp.array([0.3, 5.0]), mean=1.0, resolution=0.05
    )
    options = {"key": jr.key(8), "noise": noise, "shape": 2, "save": []}
    fine, coarse, coarsest = (
        nmm.simulate(Relax(), 4.0, dt, **options).ending.carry.steps.forcing[0]
        for dt in (0.05, 0.25, 4.0)
    )
    np.testing.assert_allclose(coarse, fine, rtol=1e-11)
    np.testing.assert_allclose(coarsest, fine, rtol=1e-11)


def test_response_to_ornstein_uhlenbeck_has_the_variance_of_theory():
    tau, sigma, rate = 2.0, 0.5, 1.0
    noise = nmm.noise.OrnsteinUhlenbeck(sigma, tau)
    y1 = run(t1=15.0, dt=0.1, noise=noise, shape=20_000)
    # White noise through two relaxations, of rates 1 / tau and `rate`.
    assert_variance(y1.x, sigma**2 / (2 * rate / tau * (1 / tau + rate)))


def test_ornstein_uhlenbeck_from_a_wanted_standard_deviation():
    noise = nmm.noise.OrnsteinUhlenbeck.from_standard_deviation(0.3, 7.0, onto="y")
    np.testing.assert_allclose(noise.deviation, 0.3)
    assert noise.onto == "y"


def test_gradients_in_the_parameters_of_noise():
    def end(x):
        noise = (
            nmm.noise.White(y=x[0], resolution=0.1),
            nmm.noise.OrnsteinUhlenbeck(x[1], x[2], x[3], resolution=0.1),
        )
        y1 = run(dt=0.2, t1=2.0, noise=noise, shape=3)
        return jnp.concatenate([y1.x, y1.y])

    assert_gradients_match_differences(end, jnp.array([0.5, 0.3, 2.0, 0.1]))


def test_several_noises_add_up():
    white = nmm.noise.White(x=0.5)
    slow, fast = (nmm.noise.OrnsteinUhlenbeck(0.5, tau, onto="v") for tau in (5.0, 1.0))
    both = run(noise=(slow, fast, white), shape=20_000, t1=4.0)
    assert_variance(both.x, 0.5**2 / 2 * (1 - np.exp(-8)) * 1.0025)
    apart = [run(noise=(slow,), shape=20_000, t1=4.0), run(noise=(fast,), shape=20_000, t1=4.0)]
    assert_correlation(apart[0].y, both.y - apart[0].y, 0.0)
    assert_variance(both.y - apart[0].y, float(np.var(apart[1].y)), errors=6.0)


class NamedLikeIncrements(nmm.AbstractModel):
    """Variables with the names that Diffrax has for what a Brownian motion adds in a step."""

    class State(nmm.State):
        W: Value = nmm.variable(0.0, unit="1", doc="of a slow variable, often")
        H: Value = nmm.variable(0.0, unit="1", doc="of a gate, often")

    class Inputs(nmm.Inputs):
        u: Value = nmm.slot(unit="1/ms", doc="input")

    source = output = "W"
    target = "u"

    def vector_field(self, t, state, inputs):
        return self.State(inputs.u - state.W, 0.0 * state.H)


@pytest.mark.parametrize("solver", (nmm.Heun(), diffrax.ShARK()), ids=["Heun", "ShARK"])
def test_noise_acts_on_variables_of_any_name(solver):
    y1 = run(NamedLikeIncrements(), noise=nmm.noise.White(W=0.5, H=0.2), solver=solver)
    expected = run(Relax(), noise=nmm.noise.White(x=0.5, y=0.2), solver=solver)
    np.testing.assert_allclose(y1.W, expected.x, rtol=1e-12)
    # The other variable of `Relax` relaxes, this one adds up.
    total = run(Relax(rate=0.0), noise=nmm.noise.White(x=0.5, y=0.2), solver=solver)
    np.testing.assert_allclose(y1.H, total.y, rtol=1e-12)
