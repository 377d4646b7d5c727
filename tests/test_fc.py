"""FC and FCD against tvboptim 0.4.0, neurolib 0.6.2, numpy, and on signals without variance."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gradients import assert_gradients_match_differences

from nmm import analysis
from nmm.analysis import upper_triangle

fc, fcd = jax.jit(analysis.fc), jax.jit(analysis.fcd, static_argnums=(1, 2))
gradient_of_sum = jax.jit(jax.grad(lambda series: analysis.fc(series).sum()))
golden = np.load(Path(__file__).parent / "golden" / "fc.npz")


def sines(samples=100, regions=4):
    t, i = jnp.arange(samples)[:, None], jnp.arange(regions)
    return jnp.sin(0.1 * t * (i + 1) + 0.3 * i) + 0.2 * jnp.cos(0.37 * t + i)


def test_fc_is_that_of_tvboptim_and_neurolib():
    matrix = fc(golden["timeseries"])
    assert np.all(np.diag(matrix) == 1)
    np.testing.assert_allclose(matrix, golden["neurolib_fc"], atol=1e-12)
    np.testing.assert_allclose(matrix - jnp.eye(12), golden["tvboptim_fc"], atol=1e-12)


def test_fc_of_sines_row_by_row():
    expected = [-0.078102, 0.008329, -0.000988, -0.071905, 0.196253, -0.041946]
    np.testing.assert_allclose(upper_triangle(fc(sines())), expected, atol=6e-7)


def test_upper_triangle_is_row_by_row_and_batched():
    matrix = np.arange(9.0).reshape(3, 3)
    np.testing.assert_array_equal(upper_triangle(matrix), [1, 2, 5])
    np.testing.assert_array_equal(upper_triangle(np.stack([matrix, -matrix]))[1], [-1, -2, -5])


def test_fcd_is_that_of_tvboptim():
    matrix = fcd(golden["timeseries"], 60, 10)
    np.testing.assert_allclose(matrix, golden["tvboptim_fcd"], atol=1e-12)


def test_fcd_of_sines():
    matrix = fcd(sines(), 30, 5)
    assert matrix.shape == (15, 15)
    np.testing.assert_allclose(matrix[0, jnp.array([1, 14])], [0.5310104, -0.3828130], atol=1e-7)
    np.testing.assert_allclose(upper_triangle(matrix).mean(), 0.0311547, atol=1e-7)


@pytest.mark.parametrize("dtype", (jnp.float32, jnp.float64))
@pytest.mark.parametrize("level", (0.0, 0.1, 1e4))
def test_silent_region_correlates_zero_with_finite_gradient(dtype, level):
    # 0.1 is not exact in binary: its mean over 100 samples misses it by rounding.
    series = sines().astype(dtype).at[:, jnp.array([1, 3])].set(level)
    matrix, gradient = fc(series), gradient_of_sum(series)
    assert matrix.dtype == dtype
    np.testing.assert_array_equal(matrix[1], [0, 1, 0, 0])
    assert np.all(np.isfinite(gradient)) and np.all(gradient[:, 1] == 0)
    np.testing.assert_allclose(matrix[0, 2], 0.008329, atol=2e-6)


def test_rounding_of_a_silent_region_is_not_a_signal():
    steps = jnp.array([0, 1, 0, 0, 1] * 20, jnp.float32)
    jitter = jnp.float32(0.3) * (1 + steps * jnp.finfo(jnp.float32).eps)
    series = sines().astype(jnp.float32).at[:, 0].set(jitter)
    assert np.ptp(jitter) > 0
    np.testing.assert_array_equal(fc(series)[0], [1, 0, 0, 0])


@pytest.mark.parametrize("bad", (jnp.nan, jnp.inf))
def test_nan_stays_visible_in_its_row_and_column(bad):
    matrix = np.array(fc(sines().at[7, 2].set(bad).at[:, 1].set(0.5)))
    assert np.all(np.isnan(matrix[2])) and np.all(np.isnan(matrix[:, 2]))
    assert np.all(np.isfinite(np.delete(np.delete(matrix, 2, 0), 2, 1)))


def test_fc_needs_no_unit_and_no_small_mean():
    series = sines().astype(jnp.float32)
    np.testing.assert_allclose(fc(series * 1e-22), fc(series), atol=1e-6)
    np.testing.assert_allclose(fc(series + 1000), fc(series), atol=2e-4)


def test_gradient_of_fc_is_that_of_finite_differences():
    series = sines(12, 3)
    assert_gradients_match_differences(fc, series)
    assert_gradients_match_differences(lambda s: fcd(s, 6, 3), series)


def test_two_samples_give_finite_values_and_gradients():
    series = sines()[:2]
    assert np.all(np.abs(np.abs(fc(series)) - 1) < 1e-12)
    assert np.all(np.isfinite(gradient_of_sum(series)))


def test_jit_and_vmap_give_the_plain_fc():
    batch = jnp.stack([sines(), sines()[::-1] ** 2])
    expected = [analysis.fc(series) for series in batch]
    np.testing.assert_allclose(jax.vmap(fc)(batch), expected, atol=1e-14)


@pytest.mark.parametrize(
    "call, message",
    (
        (lambda: fc(jnp.ones(5)), r"`series` must be \(time, regions\).*got shape \(5,\)"),
        (lambda: fc(jnp.ones((1, 5))), "at least 2 samples"),
        (lambda: fc(jnp.ones((2, 9, 5))), "jax.vmap"),
        (lambda: upper_triangle(jnp.ones((2, 3))), r"`matrix` must be square.*\(2, 3\)"),
        (lambda: fcd(sines(), 101, 5), "`window` must be 2 to 100 samples; got 101"),
        (lambda: fcd(sines(), 30, 0), "`step` must be at least 1"),
        (lambda: fcd(sines(regions=2), 30, 5), "at least 3 regions"),
    ),
)
def test_wrong_use_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
