"""Power spectra against scipy, and on series that hold nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
from gradients import assert_gradients_match_differences

from nmm.analysis import band_power, power_spectrum

dt = 2.0


def noise(samples=1000, regions=3):
    return np.random.default_rng(0).normal(size=(samples, regions)) + np.arange(regions)


@pytest.mark.parametrize("segment", (200.0, 202.0, 2000.0))
def test_power_spectrum_is_that_of_scipy(segment):
    n = round(segment / dt)
    expected = scipy.signal.welch(noise(), 1000 / dt, nperseg=n, noverlap=n // 2, axis=0)
    for ours, theirs in zip(power_spectrum(noise(), dt, segment=segment), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-15)


def test_sine_has_its_power_at_its_frequency():
    t = np.arange(2000) * dt / 1000
    series = 3 * np.sin(2 * np.pi * 10 * t)
    frequencies, power = power_spectrum(series, dt, segment=1000.0)
    assert frequencies[np.argmax(power)] == 10
    # 3 squared over 2; a Hann window spreads it over the two neighbours.
    assert band_power(series, dt, (9, 12), segment=1000.0) == pytest.approx(4.5, rel=1e-6)


def test_bands_that_touch_add_up_to_the_variance():
    parts = [band_power(noise(), dt, band) for band in ((0, 30), (30, 80), (80, 251))]
    _, power = power_spectrum(noise(), dt)
    np.testing.assert_allclose(sum(parts), np.sum(power, axis=0) * 2.0, rtol=1e-12)
    np.testing.assert_allclose(sum(parts), noise().var(axis=0), rtol=0.1)
    share = band_power(noise(), dt, (0, 30), relative=True)
    np.testing.assert_allclose(share, parts[0] / sum(parts), rtol=1e-12)


@pytest.mark.parametrize("dtype", (np.float32, np.float64))
def test_constant_region_has_no_power_and_a_finite_gradient(dtype):
    series = noise(100).astype(dtype)
    series[:, 1] = 0.1

    @jax.jit
    def total(x):
        return jnp.sum(power_spectrum(x, dt)[1]) + jnp.sum(
            band_power(x, dt, (0, 90), relative=True)
        )

    _, power = power_spectrum(series, dt)
    gradient = jax.grad(total)(jnp.asarray(series))
    assert power.dtype == dtype and np.all(power[:, 1] == 0)
    assert np.all(np.isfinite(gradient)) and np.all(gradient[:, 1] == 0)


def test_gradient_is_that_of_differences():
    assert_gradients_match_differences(lambda x: power_spectrum(x, dt)[1], noise(40))


@pytest.mark.parametrize(
    "call, message",
    (
        (lambda: power_spectrum(noise(), 0.0), "`dt` should be a positive"),
        (lambda: power_spectrum(noise(), dt, segment=6.0), "`segment` should be from 8 to 2000 ms"),
        (lambda: power_spectrum(noise(), dt, segment=2002.0), "got 2002 ms"),
        (lambda: band_power(noise(), dt, (300, 400)), "`band` should hold frequencies"),
        (lambda: band_power(noise(), dt, (10.1, 10.2)), "which are 2 Hz apart up to 250 Hz"),
    ),
)
def test_wrong_use_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
