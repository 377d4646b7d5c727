"""Objectives of dynamics (FCD, covariances, spectra, phases) against known numbers."""

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
import scipy.signal
import scipy.stats

from fitting import objectives
from nmm import analysis

rng = np.random.default_rng(0)
t, i = np.arange(100)[:, None], np.arange(4)
simulated = np.sin(0.1 * t * (i + 1) + 0.3 * i) + 0.2 * np.cos(0.37 * t + i)
recorded = np.sin(0.1 * t * (i + 1) + 0.1 * i) + 0.5 * np.cos(0.37 * t + 0.5 * i)
# Noise, coupled by its own past, at 100 Hz.
noise = scipy.signal.lfilter([1], [1, -0.5], rng.normal(size=(256, 3)), axis=0)
other = noise + 0.7 * rng.normal(size=(256, 3))

distances = {
    "fc_fisher_z": lambda x, y: objectives.fc_fisher_z(x, y, empirical_is="series"),
    "fcd_wasserstein": lambda x, y: objectives.fcd_wasserstein(x, y, window=12, step=6),
    "covariance_error": objectives.covariance_error,
    "time_series_correlation": objectives.time_series_correlation,
    "time_series_cosine": objectives.time_series_cosine,
    "unexplained_variance": objectives.unexplained_variance,
    "log_spectral_distance": lambda x, y: objectives.log_spectral_distance(x, y, 10.0, (5, 40)),
    "band_power_distance": lambda x, y: objectives.band_power_distance(
        x, y, 10.0, [(4, 13), (13, 40)], relative=True
    ),
    "cross_spectral_error": lambda x, y: objectives.cross_spectral_error(x, y, 10.0, (5, 40)),
    "phase_locking_rmse": objectives.phase_locking_rmse,
    "synchrony_error": objectives.synchrony_error,
}
features = {
    "peak_frequency": lambda x: objectives.peak_frequency(x, 10.0, (5, 40)),
    "aperiodic_slope": lambda x: objectives.aperiodic_slope(x, 10.0, (5, 40)),
    "target_rates": lambda x: objectives.target_rates(x.mean(axis=0), 2.0),
    "metastability": analysis.metastability,
    "evoked": lambda x: analysis.evoked_response(x, [5, 20, 21], 4, 6),
}


def test_distances_of_fcd_are_those_of_the_values_themselves():
    options = {"window": 30, "step": 5}
    matrices = [jax.jit(lambda x: analysis.fcd(x, 30, 5))(x) for x in (simulated, recorded)]

    @jax.jit
    def distances():
        given = (simulated, matrices[1])
        return (
            objectives.fcd_ks(simulated, recorded, **options),
            objectives.fcd_wasserstein(*given, empirical_is="fcd", **options),
            objectives.fcd_wasserstein(*given, empirical_is="fcd", overlapping=False, **options),
        )

    apart = [matrix[np.triu_indices(15, 6)] for matrix in matrices]
    expected = (0.0952381, 0.0655416, scipy.stats.wasserstein_distance(*apart))
    np.testing.assert_allclose(distances(), expected, atol=1e-7)


def test_distances_of_samples_are_those_of_scipy():
    x, y = rng.normal(size=31), np.round(rng.normal(size=17), 1)
    np.testing.assert_allclose(objectives.ks_distance(x, y), scipy.stats.ks_2samp(x, y).statistic)
    far = jax.jit(jax.value_and_grad(lambda d: objectives.wasserstein(x + d, y)))
    np.testing.assert_allclose(far(0.0)[0], scipy.stats.wasserstein_distance(x, y), rtol=1e-12)
    np.testing.assert_allclose(far(-9.0)[1], -1.0, rtol=1e-9)
    assert np.isnan(objectives.ks_distance(np.array([1.0, np.nan]), y))


def test_lagged_covariance_tells_who_follows_whom():
    x = rng.normal(size=(50_000, 2))
    x[1:, 1] += 0.5 * x[:-1, 0]
    covariance = analysis.lagged_covariance(x, 1)
    np.testing.assert_allclose(covariance, [[0, 0], [0.5, 0]], atol=0.02)
    np.testing.assert_allclose(
        analysis.lagged_covariance(noise), np.cov(noise.T, ddof=0), rtol=1e-9
    )
    stacked = np.stack([analysis.lagged_covariance(other, lag) for lag in (0, 1)])
    error = objectives.covariance_error(noise, stacked, empirical_is="covariance")
    np.testing.assert_allclose(error, objectives.covariance_error(noise, other), rtol=1e-12)


def test_analytic_signal_is_that_of_scipy():
    for series in (noise, noise[:-1]):
        expected = scipy.signal.hilbert(series - series.mean(axis=0), axis=0)
        np.testing.assert_allclose(analysis.analytic_signal(series), expected, atol=1e-12)


def test_order_and_locking_of_oscillators_of_known_phases():
    time = np.arange(400)[:, None]
    together = np.cos(2 * np.pi * (time / 20 + np.array([0, 1 / 8, 1 / 4])))
    expected = abs(np.mean(np.exp(2j * np.pi * np.array([0, 1 / 8, 1 / 4]))))
    measures = jax.jit(
        lambda x: (analysis.kuramoto_order(x), analysis.phase_locking(x), analysis.metastability(x))
    )
    order, locking, spread = measures(together)
    np.testing.assert_allclose(order, expected, rtol=1e-9)
    np.testing.assert_allclose(locking, 1, rtol=1e-9)
    np.testing.assert_allclose(spread, 0, atol=1e-12)
    # Over 320 samples the difference of 1/20 and 1/16 turns 4 times.
    apart = np.concatenate([together[:, :2], np.cos(2 * np.pi * time / 16)], axis=1)
    _, locking, _ = measures(apart)
    np.testing.assert_allclose(locking[:2, 2], 0, atol=1e-9)


def test_a_gain_is_so_many_decibels_unless_it_is_to_be_ignored():
    distance, options = objectives.log_spectral_distance, (10.0, (5, 40))
    bands = [(4, 13), (13, 40)]

    @jax.jit
    def distances():
        spectrum = scipy.signal.welch(other, 100.0, nperseg=64, axis=0)
        return (
            distance(10 * noise, noise, *options),
            distance(10 * noise, noise, *options, scale_free=True),
            distance(noise, spectrum, *options) - distance(noise, other, *options),
            objectives.band_power_distance(3 * noise, noise, 10.0, bands, relative=True),
        )

    np.testing.assert_allclose(distances(), (20, 0, 0, 0), atol=1e-7)


def test_cross_spectrum_is_that_of_scipy():
    frequency, density = objectives.cross_spectrum(noise, 10.0, segment=640.0)
    f, expected = scipy.signal.csd(noise[:, 1], noise[:, 0], 100.0, nperseg=64)
    np.testing.assert_allclose(frequency, f)
    np.testing.assert_allclose(density[:, 0, 1], expected, atol=1e-12)
    power = analysis.power_spectrum(noise, 10.0, segment=640.0)[1]
    np.testing.assert_allclose(np.einsum("fii->fi", density), power, rtol=1e-9, atol=1e-15)


def test_peak_and_slope_of_known_signals():
    time = np.arange(4000) / 1000

    def peak(hertz):
        tone = jnp.sin(2 * jnp.pi * hertz * time)[:, None]
        return objectives.peak_frequency(tone, 1.0, (4, 16), sharpness=1.0)[0]

    value, slope = jax.jit(jax.value_and_grad(peak))(10.0)
    np.testing.assert_allclose([value, slope], [10.0, 1.0], atol=0.1)
    brown = np.cumsum(rng.normal(size=(20_000, 3)), axis=0)
    slope = jax.jit(lambda x: objectives.aperiodic_slope(x, 1.0, (5, 100), segment=2000.0))(brown)
    np.testing.assert_allclose(slope, -2, atol=0.15)


def test_evoked_response_is_the_average_after_events():
    response = np.array([0.0, 0.0, 3.0, 1.0])
    series = np.full((40, 1), 5.0)
    for onset in (10, 25):
        series[onset - 2 : onset + 2, 0] += response
    found = analysis.evoked_response(series, [10, 25], 2, 2)
    np.testing.assert_allclose(found[:, 0], response, atol=1e-12)
    np.testing.assert_allclose(objectives.unexplained_variance(0 * found, found), 10 / 6)


NORMAL, TARGET = noise[:48] + 1, other[:48]
DIRECTION, STEP = rng.normal(size=NORMAL.shape), 1e-6
SILENT = np.where(np.arange(3) == 1, 0.1, NORMAL)
SERIES = {
    "normal": NORMAL,
    "before": NORMAL - STEP * DIRECTION,
    "after": NORMAL + STEP * DIRECTION,
    "one silent": SILENT,
    "all silent": np.full_like(NORMAL, 0.1),
    "perfect": TARGET,
    "twins": np.repeat(NORMAL[:, :1], 3, axis=1),
    "NaN": np.where(np.arange(48)[:, None] == 8, np.nan, NORMAL),
}


@pytest.fixture(scope="module")
def scores():
    """Values of all objectives for each kind of series, and their gradients, by name."""

    def every(series):
        values = {name: distance(series, TARGET) for name, distance in distances.items()}
        return values | {name: jnp.sum(feature(series)) for name, feature in features.items()}

    def one(series):
        values, pull = jax.vjp(every, series)
        names = list(values)
        alone = {name: jnp.eye(len(names))[:, n] for n, name in enumerate(names)}
        (gradients,) = jax.vmap(pull)(alone)
        return values, dict(zip(names, gradients, strict=True))

    found = jax.jit(lambda stack: jax.lax.map(one, stack))(np.stack(list(SERIES.values())))
    return {
        kind: jax.tree.map(lambda x, n=n: np.asarray(x[n]), found) for n, kind in enumerate(SERIES)
    }


@pytest.mark.parametrize("name", (*distances, *features))
def test_each_gradient_is_that_of_finite_differences(name, scores):
    before, after = scores["before"][0][name], scores["after"][0][name]
    along = (after - before) / (2 * STEP)
    assert abs(along) > 1e-4, "it does not depend on the series"
    slope = np.sum(scores["normal"][1][name] * DIRECTION)
    np.testing.assert_allclose(slope, along, rtol=1e-5)


@pytest.mark.parametrize("name", (*distances, *features))
def test_degenerate_series_give_finite_values_and_gradients(name, scores):
    for kind in ("one silent", "all silent", "perfect", "twins"):
        value, gradient = (part[name] for part in scores[kind])
        assert np.isfinite(value) and np.all(np.isfinite(gradient)), kind
    if name in distances:
        perfect = name in ("time_series_correlation", "time_series_cosine")
        np.testing.assert_allclose(scores["perfect"][0][name], perfect, atol=1e-7)
    assert np.isnan(scores["NaN"][0][name])


def test_objectives_of_oracle_series():
    measures = jax.jit(
        lambda x, y: (
            objectives.time_series_cosine(x, y),
            objectives.time_series_rmse(x, y),
            objectives.unexplained_variance(x, y),
            objectives.time_series_correlation(x, y),
            objectives.fc_fisher_z(x, y, empirical_is="series"),
            objectives.covariance_error(x, y, lags=(0,)),
        )
    )
    x, y = simulated, recorded
    r = [np.corrcoef(s.T)[np.triu_indices(4, 1)] for s in (x, y)]
    c = [np.cov(s.T, ddof=0) for s in (x, y)]
    expected = (
        0.9002664,
        0.3448412,
        np.sum((x - y) ** 2) / np.sum((y - y.mean(axis=0)) ** 2),
        np.mean([np.corrcoef(x[:, n], y[:, n])[0, 1] for n in range(4)]),
        np.sqrt(np.mean((np.arctanh(r[0]) - np.arctanh(r[1])) ** 2)),
        np.sum((c[0] - c[1]) ** 2) / np.sum(c[1] ** 2),
    )
    np.testing.assert_allclose(measures(x, y), expected, atol=1e-7)


WINDOWED = (
    "fcd_wasserstein", "log_spectral_distance", "band_power_distance", "cross_spectral_error",
)  # fmt: skip


@pytest.mark.parametrize("name", WINDOWED)
def test_two_samples_are_refused_where_they_make_no_window(name, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match="samples"):
        distances[name](noise[:2], other[:2])


@pytest.mark.thorough
def test_two_samples_are_enough_for_the_others():
    for name in distances.keys() - set(WINDOWED):
        value, gradient = jax.jit(jax.value_and_grad(distances[name]))(noise[:2], other[:2])
        assert np.isfinite(value) and np.all(np.isfinite(gradient)), name


UNITLESS = {name: distances[name] for name in distances if not name.startswith("fc")} | {
    "concordance": objectives.concordance,
    "correlation": objectives.correlation,
    "rmse": lambda x, y: objectives.rmse(x, y) / jnp.max(jnp.abs(y)),
}
COMMON = ("concordance", "rmse", "cross_spectral_error")


@pytest.mark.parametrize("names", (COMMON, pytest.param(UNITLESS, marks=pytest.mark.thorough)))
def test_units_so_small_that_float32_has_no_place_for_squares_change_nothing(names):
    direction = jnp.asarray(DIRECTION, jnp.float32)

    def all_of(unit):
        x, y = (jnp.asarray(series, jnp.float32) * unit for series in (NORMAL, TARGET))

        def along(step):
            return {name: UNITLESS[name](x + step * unit * direction, y) for name in names}

        return jax.jvp(along, (jnp.float32(0),), (jnp.float32(1),))

    units = jnp.array([1, 1e-13], jnp.float32)
    values, slopes = jax.jit(lambda units: jax.lax.map(all_of, units))(units)
    for name in names:
        for value in (values[name], slopes[name]):
            assert value.dtype == jnp.float32
            np.testing.assert_allclose(value[1], value[0], rtol=1e-3, err_msg=name)


def test_residuals_are_scaled_and_kept_apart():
    value, parts = objectives.residuals(a=(2.0, jnp.array([2.0, 4.0])), b=(1.0, 3.0))
    np.testing.assert_allclose(parts["residuals"], [1, 2, 3])
    np.testing.assert_allclose([value, parts["a"], parts["b"]], [7, 2.5, 9])


def spectral(empirical, band):
    return objectives.log_spectral_distance(noise, empirical, 10.0, band)


@pytest.mark.parametrize(
    "call, message",
    (
        (lambda: objectives.fcd_ks(noise, other, window=250, step=50), "must have windows to comp"),
        (
            lambda: objectives.fcd_ks(noise, other, window=20, step=5, empirical_is="fcd"),
            r"`empirical` must be FCD, \(windows, windows\)",
        ),
        (lambda: objectives.covariance_error(noise, 0 * other), "must have some covariance"),
        (
            lambda: objectives.phase_locking_rmse(noise[:, :1], other[:, :1]),
            "must hold at least 2 regions",
        ),
        (
            lambda: jax.jit(lambda x: objectives.covariance_error(x, 0 * other + 0.1))(noise),
            "must have some covariance",
        ),
        (lambda: objectives.covariance_error(noise, other[:, :2]), "must hold the same regions"),
        (lambda: objectives.covariance_error(noise, other, lags=()), "at least one lag"),
        (lambda: analysis.lagged_covariance(noise, -1), "`lag` must be at least 0"),
        (lambda: analysis.lagged_covariance(noise[:3], 3), "at least 4 samples"),
        (lambda: analysis.phase_locking(noise, trim=0.5), "`trim` must be from 0"),
        (lambda: analysis.evoked_response(noise, [2], 3, 4), "`onsets` must leave 3 samples"),
        (lambda: analysis.evoked_response(noise, [], 3, 4), "`onsets` must hold the sample of"),
        (
            lambda: objectives.log_spectral_distance(noise, other, 10.0, (60, 70)),
            "`band` must hold at least 1 of the frequencies",
        ),
        (
            lambda: objectives.log_spectral_distance(noise, (np.ones(3), np.ones(3)), 10.0, (0, 9)),
            "`empirical` must hold the power at each frequency",
        ),
        (
            lambda: spectral((np.array([5.0, 60.0]), np.ones((2, 3))), (0, 80)),
            r"`band` must end at or below 50 Hz, half the sampling rate",
        ),
        (
            lambda: spectral((np.array([5.0, 9.0]), -np.ones((2, 3))), (0, 20)),
            "`empirical` must hold power, not below 0",
        ),
        (
            lambda: spectral((np.array([9.0, 5.0]), np.ones((2, 3))), (0, 20)),
            "`empirical` must hold increasing frequencies",
        ),
        (
            lambda: spectral((np.array([5.0, np.nan]), np.ones((2, 3))), (0, 20)),
            "`empirical` must be finite",
        ),
        (lambda: objectives.aperiodic_slope(noise, 10.0, (0, 9)), "`band` must begin above 0"),
        (
            lambda: objectives.cross_spectral_error(noise, other[:90], 10.0, (5, 40)),
            "`segment` must be given for series of different lengths",
        ),
        (lambda: objectives.phase_locking_rmse(noise, other[:, :2]), "same regions in the same"),
        (lambda: objectives.synchrony_error(noise, other * np.nan), "`empirical` must be finite"),
        (lambda: objectives.target_rates(jnp.ones(3), 0.0), "`scale` must be positive"),
        (lambda: objectives.target_rates(jnp.ones(0), 1.0), "`rates` must not be empty"),
        (lambda: objectives.wasserstein(jnp.ones(0), jnp.ones(2)), "`x` must not be empty"),
        (lambda: objectives.residuals(), "at least one term"),
    ),
)
def test_wrong_use_is_named(call, message, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=message):
        call()
