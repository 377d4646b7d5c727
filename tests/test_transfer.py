"""The rate function of Abbott and Chance: value, slope, and its removable singularity."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nmm
from nmm.models._expm1 import expm1
from nmm.models._transfer import rectified_exponential


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


def test_a_large_batch_has_the_values_of_each_of_its_numbers():
    z = jnp.linspace(-100.0, 100.0, 50 * 84).reshape(50, 84)
    one_by_one = jnp.stack([rectified_exponential(row) for row in z])
    np.testing.assert_allclose(jax.vmap(rectified_exponential)(z), one_by_one, rtol=1e-12)
    slope = jax.vmap(jax.vmap(jax.grad(rectified_exponential)))
    np.testing.assert_allclose(jax.jit(slope)(z), slope(z), rtol=1e-12)


@pytest.mark.parametrize("dtype", (jnp.float64, jnp.float32))
def test_exponential_minus_1_keeps_its_digits(dtype):
    sizes = np.concatenate([np.logspace(-30, 0, 3001), np.linspace(0.3, 80, 5001)])
    x = jnp.asarray(np.concatenate([-sizes[::-1], sizes]), dtype)
    exact = np.expm1(np.asarray(x, np.longdouble))
    error = np.abs(np.asarray(jax.jit(expm1)(x)) / exact - 1)
    assert np.max(error) <= 2 * jnp.finfo(dtype).eps
    assert expm1(jnp.zeros((), dtype)) == 0
    assert np.isnan(expm1(jnp.array(np.nan, dtype)))


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
