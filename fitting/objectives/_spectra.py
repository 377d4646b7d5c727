"""Agreement of power spectra, and what is read off them."""

from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Complex, Float

from nmm._custom_types import RealScalarLike
from nmm.analysis import power_spectrum
from nmm.analysis._signal import as_series
from nmm.analysis._spectrum import frequencies, segment_samples

from ._agreement import in_units_of, rmse, size_of
from ._data import Preprocessing, as_pair, check_finite

_Band: TypeAlias = tuple[RealScalarLike, RealScalarLike]
_Segment: TypeAlias = RealScalarLike | None

# Relative to the strongest peak: what is below, such as silence or rounding, counts as -80 dB.
_FLOOR = 1e-8


def log_spectral_distance(
    simulated: ArrayLike,
    empirical: ArrayLike | tuple[ArrayLike, ArrayLike],
    dt: RealScalarLike,
    band: _Band,
    *,
    segment: _Segment = None,
    scale_free: bool = False,
    preprocess: Preprocessing = None,
) -> Float[Array, ""]:
    r"""Root mean squared difference of power spectra in decibels, over frequencies and regions.

    $$\sqrt{\langle (10 \log_{10} P(f) - 10 \log_{10} \hat P(f))^2 \rangle_{f, i}}$$

    Smooth away from a perfect fit, where the gradient returned is 0, and down to -80 dB of the
    strongest peak of either side: what is weaker, such as a silent region, counts as that. A NaN in
    the simulation gives NaN, one in the data is an error. Of short series the spectrum is noisy:
    an error of 5.6 dB at each frequency for one window, 5.6 / sqrt(n) for n.

    **Arguments:**

    - `simulated`: series `(time, regions)`.
    - `empirical`: a series of the same regions and `dt`; or a pair `(frequencies, power)` in Hz and
        in the unit of `simulated` squared per Hz, `(frequencies,)` and `(frequencies, regions)`.
        The simulated spectrum is interpolated to those frequencies.
    - `dt`: ms from row to row.
    - `band`: the lowest and the highest frequency that count, in Hz.
    - `segment`: of the windows of Welch's method, in ms, as in `nmm.analysis.power_spectrum`.
    - `scale_free`: whether each region may have a gain of its own, as an unknown lead field has.
    - `preprocess`: applied to whatever is given as a series.

    **Returns:**

    A distance in dB.

    **Raises:**

    - `ValueError`: as `nmm.analysis.power_spectrum`; the regions differ; the data hold a NaN or, as
        power, what is negative; or there is no frequency within the band, or in a pair one above
        half the sampling rate of the simulation.
    """
    if isinstance(empirical, tuple):
        known, target = np.asarray(empirical[0], float), jnp.asarray(empirical[1])
        check_finite(empirical[1], "empirical")
        x = as_series(simulated, "simulated", samples=4)
        x = x if preprocess is None else preprocess(x)
        target = target[:, None] if target.ndim == 1 else target
        if known.ndim != 1 or target.shape != (len(known), x.shape[1]):
            raise ValueError(
                "`empirical` must hold the power at each frequency for each region of `simulated`; "
                f"got shapes {known.shape} and {target.shape} for {x.shape[1]} regions."
            )
        _check_spectrum(known, empirical[1], band, 500 / dt)
    else:
        x, y = as_pair(simulated, empirical, preprocess, samples=4)
        samples = segment_samples(len(y), dt, segment)
        known, target = frequencies(samples, dt), power_spectrum(y, dt, segment=segment)[1]
    inside = _within(known, band)
    known, target = known[inside], target[np.flatnonzero(inside)]
    grid, power = power_spectrum(x, dt, segment=segment)
    _within(np.asarray(frequencies(segment_samples(len(x), dt, segment), dt)), band)
    at = jnp.asarray(known, grid.dtype)
    found = jax.vmap(lambda column: jnp.interp(at, grid, column), 1, 1)(_decibels(power))
    difference = found - _decibels(target)
    if scale_free:
        difference = difference - jnp.mean(difference, axis=0)
    return rmse(difference, jnp.zeros_like(difference))


def band_power_distance(
    simulated: ArrayLike,
    empirical: ArrayLike,
    dt: RealScalarLike,
    bands: list[_Band],
    *,
    segment: _Segment = None,
    relative: bool = False,
    preprocess: Preprocessing = None,
) -> Float[Array, ""]:
    """Root mean squared difference of the power in bands in decibels, over bands and regions.

    Smooth, and with silent regions and NaN treated, as in `log_spectral_distance`; less noisy, as a
    band averages over its frequencies.

    **Arguments:**

    - `simulated`, `empirical`: series `(time, regions)` of the same regions.
    - `dt`, `segment`, `preprocess`: as in `log_spectral_distance`.
    - `bands`: lower and upper edge of each, in Hz.
    - `relative`: whether power is taken as a share of that of all these bands.

    **Returns:**

    A distance in dB.

    **Raises:**

    - `ValueError`: as in `log_spectral_distance`.
    """
    powers = []
    for series in as_pair(simulated, empirical, preprocess, samples=4):
        _, power = power_spectrum(series, dt, segment=segment)
        known = frequencies(segment_samples(len(series), dt, segment), dt)
        parts = jnp.stack(
            [jnp.mean(power[np.flatnonzero(_within(known, b))], axis=0) for b in bands]
        )
        if relative:
            (parts,) = in_units_of(parts, parts)
            total = jnp.sum(parts, axis=0)
            parts = parts / jnp.where(total == 0, 1, total)
        powers.append(_decibels(parts))
    return rmse(powers[0], powers[1])


def peak_frequency(
    series: ArrayLike,
    dt: RealScalarLike,
    band: _Band,
    *,
    segment: _Segment = None,
    sharpness: RealScalarLike = 4.0,
) -> Float[Array, " regions"]:
    r"""Frequency of the strongest peak in a band, smoothly: a mean with the power as weight.

    $$\hat f = \frac{\sum_f f\, P(f)^s}{\sum_f P(f)^s}$$

    The larger the sharpness s, the nearer to the largest value alone, and the rougher. Smooth; a
    silent region gives the middle of the band with zero gradient. A NaN gives NaN. Peaks that are
    narrower than 1 / `segment`, as of a sine, move from one frequency to the next in a step, unless
    s is about 1.

    **Arguments:**

    - `series`: `(time, regions)`.
    - `dt`, `segment`: as in `nmm.analysis.power_spectrum`.
    - `band`: the lowest and the highest frequency, in Hz.
    - `sharpness`: s.

    **Returns:**

    One frequency a region, in Hz.

    **Raises:**

    - `ValueError`: as `nmm.analysis.power_spectrum`, or there is no frequency within the band.
    """
    known, power = _spectrum_within(series, dt, band, segment)
    largest = jax.lax.stop_gradient(jnp.max(power, axis=0))
    silent = largest == 0
    weight = jnp.where(silent, 1, power / jnp.where(silent, 1, largest)) ** sharpness
    return jnp.sum(known[:, None] * weight, axis=0) / jnp.sum(weight, axis=0)


def aperiodic_slope(
    series: ArrayLike, dt: RealScalarLike, band: _Band, *, segment: _Segment = None
) -> Float[Array, " regions"]:
    r"""Slope of the power spectrum on doubly logarithmic axes: $\beta$ of $P \sim f^{\beta}$.

    By least squares over the frequencies of the band, evenly weighted on the logarithmic axis, so
    that the many high ones do not outweigh the others. Peaks bend it: choose a band without one.
    Smooth, and with silent regions (slope 0) treated, as in `log_spectral_distance`. A NaN gives
    NaN.

    **Arguments:**

    - `series`: `(time, regions)`.
    - `dt`, `segment`: as in `nmm.analysis.power_spectrum`.
    - `band`: the lowest and the highest frequency, in Hz; the lowest above 0.

    **Returns:**

    One slope a region, usually negative.

    **Raises:**

    - `ValueError`: as `nmm.analysis.power_spectrum`; there are fewer than 2 frequencies within the
        band, or it begins at 0.
    """
    if not band[0] > 0:
        raise ValueError(f"`band` must begin above 0 Hz, where the logarithm is; got {band}.")
    known, power = _spectrum_within(series, dt, band, segment, least=2)
    x = jnp.log10(known)
    # The spacing on the logarithmic axis is 1 / f.
    weight = 1 / known / jnp.sum(1 / known)
    x = x - weight @ x
    return (weight * x) @ (_decibels(power) / 10) / (weight @ x**2)


def cross_spectrum(
    series: ArrayLike, dt: RealScalarLike, *, segment: _Segment = None
) -> tuple[Float[Array, " frequencies"], Complex[Array, "frequencies regions regions"]]:
    r"""Cross-spectral density of all pairs of regions, by Welch's method.

    $S_{ij}(f) = \langle X_i X_j^* \rangle$ with the windows and scale of
    `nmm.analysis.power_spectrum`, which is its diagonal. Quadratic in `series`, hence smooth; a
    constant region has 0. A NaN spreads over its row and column. Of one window alone every
    coherence is 1.

    **Arguments:** and **Raises:** as in `nmm.analysis.power_spectrum`.

    **Returns:**

    The frequencies in Hz, and the densities, in the unit of `series` squared per Hz.
    """
    values = as_series(series, samples=4)
    samples = segment_samples(len(values), dt, segment)
    starts = np.arange(0, len(values) - samples + 1, samples - samples // 2)
    window = jnp.asarray(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(samples) / samples), values.dtype)
    segments = values[starts[:, None] + np.arange(samples)]
    shifted = segments - segments[:, :1]
    centred = shifted - jnp.mean(shifted, axis=1, keepdims=True)
    spectra = jnp.fft.rfft(window[:, None] * centred, axis=1)
    scale = np.full(samples // 2 + 1, 2.0)
    scale[0] = 1.0
    if samples % 2 == 0:
        scale[-1] = 1.0
    scale = jnp.asarray(scale * dt / 1000, values.dtype) / jnp.sum(window**2)
    density = jnp.einsum("sfi,sfj->fij", spectra, jnp.conj(spectra)) / len(starts)
    return jnp.asarray(frequencies(samples, dt), values.dtype), scale[:, None, None] * density


def cross_spectral_error(
    simulated: ArrayLike,
    empirical: ArrayLike,
    dt: RealScalarLike,
    band: _Band,
    *,
    segment: _Segment = None,
    preprocess: Preprocessing = None,
) -> Float[Array, ""]:
    r"""Squared difference of cross-spectra, relative to the empirical ones.

    $$\frac{\sum_f \lVert S(f) - \hat S(f) \rVert^2}{\sum_f \lVert \hat S(f) \rVert^2}$$

    over the frequencies of the band: power, coherence and delays of phase together, strong
    frequencies foremost. Smooth; a constant region has 0. A NaN in the simulation gives NaN, one in
    the data is an error.

    **Arguments:**

    - `simulated`, `empirical`: series `(time, regions)` of the same regions; they may differ in
        length if `segment` is given.
    - `dt`, `band`, `segment`, `preprocess`: as in `log_spectral_distance`.

    **Returns:**

    A distance of at least 0; 1 for a silent simulation.

    **Raises:**

    - `ValueError`: as in `log_spectral_distance`, or the windows differ in length.
    """
    x, y = as_pair(simulated, empirical, preprocess, samples=4)
    lengths = [segment_samples(len(series), dt, segment) for series in (x, y)]
    if lengths[0] != lengths[1]:
        raise ValueError(
            "`segment` must be given for series of different lengths, got windows of "
            f"{lengths[0]} and {lengths[1]} samples."
        )
    inside = np.flatnonzero(_within(frequencies(lengths[0], dt), band))
    found, target = (cross_spectrum(s, dt, segment=segment)[1][inside] for s in (x, y))
    found, target = in_units_of(target, found, target)
    total = jnp.sum(_square(target))
    return jnp.sum(_square(found - target)) / jnp.where(total == 0, 1, total)


def _check_spectrum(known: np.ndarray, power: ArrayLike, band: _Band, nyquist: float) -> None:
    """Refuses what is no spectrum, or what the simulation has no spectrum for."""
    check_finite(known, "empirical")
    if np.any(np.diff(known) <= 0) or known[0] < 0:
        raise ValueError(f"`empirical` must hold increasing frequencies in Hz; got {known}.")
    if not isinstance(power, Tracer) and np.any(np.asarray(power) < 0):
        raise ValueError("`empirical` must hold power, not below 0; decibels go back by 10^(x/10).")
    if np.any(known[known <= band[1]] > nyquist * (1 + 1e-9)):
        raise ValueError(
            f"`band` must end at or below {nyquist:.4g} Hz, half the sampling rate of `simulated`, "
            f"where `empirical` goes on; got {band} Hz."
        )


def _square(z: Array) -> Array:
    return z.real**2 + z.imag**2


def _decibels(power: Array) -> Array:
    unit = size_of(power)
    return 10 * (jnp.log10(jnp.maximum(power / unit, _FLOOR)) + jnp.log10(unit))


def _spectrum_within(
    series: ArrayLike, dt: RealScalarLike, band: _Band, segment: _Segment, least: int = 1
) -> tuple[Float[Array, " frequencies"], Float[Array, "frequencies regions"]]:
    values = as_series(series, samples=4)
    _, power = power_spectrum(values, dt, segment=segment)
    known = frequencies(segment_samples(len(values), dt, segment), dt)
    inside = np.flatnonzero(_within(known, band, least))
    return jnp.asarray(known[inside], power.dtype), power[inside]


def _within(known: np.ndarray, band: _Band, least: int = 1) -> np.ndarray:
    """Which frequencies are within the band, both edges included."""
    inside = (band[0] <= known) & (known <= band[1])
    if np.count_nonzero(inside) < least:
        raise ValueError(
            f"`band` must hold at least {least} of the frequencies of the spectrum, which go up to "
            f"{known[-1]:.4g} Hz, {known[1] - known[0]:.4g} Hz apart; got {band} Hz."
        )
    return inside
