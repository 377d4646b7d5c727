"""Preprocessing against scipy, and on series that hold nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
import scipy.stats
from gradients import assert_gradients_match_differences

from nmm.analysis import Preprocess, bandpass, detrend, fc, regress_global_signal, zscore

tr, band = 720.0, (0.01, 0.1)
steps = {
    "detrend": detrend,
    "bandpass": lambda series: bandpass(series, band, tr),
    "regress_global_signal": regress_global_signal,
    "zscore": zscore,
    "Preprocess": Preprocess(band=band, tr=tr, global_signal=True),
}


def walk(samples=300, regions=4):
    return np.cumsum(np.random.default_rng(0).normal(size=(samples, regions)), axis=0)


def test_detrend_is_that_of_scipy():
    np.testing.assert_allclose(detrend(walk()), scipy.signal.detrend(walk(), axis=0), atol=1e-11)


def test_zscore_is_that_of_scipy():
    np.testing.assert_allclose(zscore(walk()), scipy.stats.zscore(walk(), axis=0), atol=1e-12)


@pytest.mark.parametrize("order", (1, 2, 4))
def test_bandpass_has_the_gain_of_butterworth_there_and_back(order):
    # A sine with a node at both ends is reflected into itself: what comes out is gain times it.
    samples, cycles = 501, np.array([1, 5, 13, 36, 60, 249.5])
    frequency = cycles / ((samples - 1) * tr / 1000)
    sine = np.sin(2 * np.pi * np.outer(np.arange(samples), cycles) / (samples - 1))
    sos = scipy.signal.butter(order, band, "bandpass", fs=1000 / tr, output="sos")
    response = scipy.signal.freqz_sos(sos, frequency, fs=1000 / tr)[1]
    expected = np.abs(response) ** 2 * sine
    np.testing.assert_allclose(bandpass(sine, band, tr, order=order), expected, atol=1e-7)


def test_bandpass_is_filtfilt_with_long_padding():
    sos = scipy.signal.butter(2, band, "bandpass", fs=1000 / tr, output="sos")
    expected = scipy.signal.sosfiltfilt(sos, walk(600), axis=0, padlen=599)
    np.testing.assert_allclose(bandpass(walk(600), band, tr), expected, atol=1e-4)


def test_global_signal_regression_is_least_squares():
    series = walk()
    design = np.stack([np.ones(len(series)), series.mean(axis=1)], axis=1)
    expected = series - design @ np.linalg.lstsq(design, series, rcond=None)[0]
    np.testing.assert_allclose(regress_global_signal(series), expected, atol=1e-10)


def test_preprocess_runs_the_steps_in_order():
    expected = zscore(regress_global_signal(bandpass(detrend(walk()), band, tr)))
    np.testing.assert_array_equal(steps["Preprocess"](walk()), expected)
    np.testing.assert_array_equal(Preprocess(detrend=False, zscore=False)(walk()), walk())


def test_preprocess_under_jit_and_vmap_is_the_plain_one():
    batch = np.stack([walk(), walk()[::-1]])
    expected = [steps["Preprocess"](series) for series in batch]
    batched = jax.jit(lambda prepare, x: jax.vmap(prepare)(x))(steps["Preprocess"], batch)
    np.testing.assert_allclose(batched, expected, atol=1e-12)


@pytest.mark.parametrize("dtype", (np.float32, np.float64))
@pytest.mark.parametrize("name", steps)
def test_constant_region_becomes_zero_with_finite_gradients(name, dtype):
    series = walk().astype(dtype)
    series[:, 1] = 0.1
    result = steps[name](series)
    gradient = jax.jit(jax.grad(lambda s: jnp.sum(fc(steps[name](s)) ** 2)))(series)
    assert result.dtype == dtype
    assert np.all(result[:, 1] == 0) or name == "Preprocess"
    assert np.all(np.isfinite(result)) and np.all(np.isfinite(gradient))


@pytest.mark.parametrize("dtype", (np.float32, np.float64))
@pytest.mark.parametrize("name", ("detrend", "bandpass"))
def test_straight_region_becomes_exactly_zero(name, dtype):
    line = np.outer(np.linspace(0.3, 7.1, 300), [1, -2, 1e3]).astype(dtype)
    np.testing.assert_array_equal(steps[name](line), 0)


def test_regions_that_are_all_the_same_leave_nothing_beside_their_average():
    series = np.outer(walk()[:, 0], [1.0, 1.0, 3.0]).astype(np.float32)
    np.testing.assert_array_equal(regress_global_signal(series), 0)


def test_regions_that_cancel_have_no_global_signal():
    series = np.outer(walk()[:, 0], [0.1, 0.2, -0.3])
    np.testing.assert_allclose(regress_global_signal(series), series - series.mean(axis=0))


@pytest.mark.parametrize("name", ("detrend", "bandpass", "zscore"))
def test_nan_spreads_over_its_region_only(name):
    series = walk()
    series[40, 2] = np.nan
    result = np.array(steps[name](series))
    assert np.all(np.isnan(result[:, 2])) and np.all(np.isfinite(np.delete(result, 2, axis=1)))


@pytest.mark.parametrize("name", steps)
def test_gradient_is_that_of_finite_differences(name):
    assert_gradients_match_differences(steps[name], walk(15, 3))


@pytest.mark.parametrize(
    "call, message",
    (
        (lambda: bandpass(walk(), (0.1, 0.01), tr), r"`band` must be .*0.694.* got \(0.1, 0.01\)"),
        (lambda: bandpass(walk(), (0.01, 0.7), tr), "half the sampling rate"),
        (lambda: bandpass(walk(), band, 0.0), "`tr` must be a positive"),
        (lambda: bandpass(walk(), band, tr, order=0), "`order` must be at least 1"),
        (lambda: bandpass(walk(2), band, tr), "at least 3 samples"),
        (lambda: Preprocess(band=band), "`band` is in Hz and needs `tr`"),
        (lambda: Preprocess(band=(0.0, 0.1), tr=tr), "`band` must be"),
        (lambda: Preprocess()(np.ones(7)), r"`series` must be \(time, regions\)"),
    ),
)
def test_wrong_use_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
