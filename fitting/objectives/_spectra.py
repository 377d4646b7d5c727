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
_Data: TypeAlias = ArrayLike | tuple[ArrayLike, ArrayLike]
"""A series, or a pair of frequencies and what is known at each of them."""

# Relative to the strongest peak: what is below, such as silence or rounding, counts as -80 dB.
_FLOOR = 1e-8


def log_spectral_distance(
    simulated: _Data,
    empirical: _Data,
    dt: RealScalarLike | None,
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
    an error of 5.6 dB at each frequency for one window, 5.6 / sqrt(n) for n. A spectrum in closed
    form has no such error: give `(hertz, response.spectrum(hertz))` of a
    `nmm.analysis.linear_response`.

    **Arguments:**

    - `simulated`, `empirical`: series `(time, regions)` of the same regions and `dt`; or, each of
        them, a pair `(frequencies, power)` in Hz and in the unit of the other squared per Hz,
        `(frequencies,)` and `(frequencies, regions)`. The simulated spectrum is interpolated to
        the frequencies of the empirical one.
    - `dt`: ms from row to row; `None` if both are spectra.
    - `band`: the lowest and the highest frequency that count, in Hz.
    - `segment`: of the windows of Welch's method, in ms, as in `nmm.analysis.power_spectrum`.
    - `scale_free`: whether each region may have a gain of its own, as an unknown lead field has.
    - `preprocess`: applied to whatever is given as a series.

    **Returns:**

    A distance in dB.

    **Raises:**

    - `ValueError`: as `nmm.analysis.power_spectrum`; the regions differ; the data hold a NaN or, as
        power, what is negative; or there is no frequency within the band, or in a pair one above
        what is known of the simulation.
    """
    if not isinstance(simulated, tuple) and not isinstance(empirical, tuple):
        as_pair(simulated, empirical, None, samples=4)
    grid, power = _spectrum(simulated, "simulated", dt, segment, preprocess)
    known, target = _spectrum(empirical, "empirical", dt, segment, preprocess)
    if target.shape[1] != power.shape[1]:
        raise ValueError(
            "`empirical` must hold the power at each frequency for each region of `simulated`; "
            f"got {target.shape[1]} regions for {power.shape[1]}."
        )
    _check_spectrum(simulated, "simulated")
    _check_spectrum(empirical, "empirical")
    inside = _within(known, band)
    _within(grid, band)
    at, target = known[inside], target[np.flatnonzero(inside)]
    closed = isinstance(simulated, tuple)
    lowest, highest = (grid[0], grid[-1]) if closed else (0, 500 / _step(dt, "simulated"))
    if at[-1] > highest * (1 + 1e-6):
        raise ValueError(
            f"`band` must end at or below {highest:.4g} Hz, half the sampling rate of `simulated` "
            f"or the last of its frequencies, where `empirical` goes on; got {band} Hz."
        )
    if at[0] < lowest * (1 - 1e-6):
        raise ValueError(
            f"`band` must begin at or above {lowest:.4g} Hz, the first frequency of `simulated`, "
            f"below which `empirical` has others; got {band} Hz."
        )
    at, grid = jnp.asarray(at, power.dtype), jnp.asarray(grid, power.dtype)
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
    simulated: _Data,
    empirical: _Data,
    dt: RealScalarLike | None,
    band: _Band,
    *,
    segment: _Segment = None,
    preprocess: Preprocessing = None,
) -> Float[Array, ""]:
    r"""Squared difference of cross-spectra, relative to the empirical ones.

    $$\frac{\sum_f \lVert S(f) - \hat S(f) \rVert^2}{\sum_f \lVert \hat S(f) \rVert^2}$$

    over the frequencies of the band: power, coherence and delays of phase together, strong
    frequencies foremost. Smooth; a constant region has 0. A NaN in the simulation gives NaN, one in
    the data is an error. In closed form, `(hertz, response.cross_spectrum(hertz))`, this is dynamic
    causal modelling of cross-spectra.

    **Arguments:**

    - `simulated`, `empirical`: series `(time, regions)` of the same regions, which may differ in
        length if `segment` is given; or, each of them, a pair `(frequencies, densities)`, such as
        `fitting.objectives.cross_spectrum` returns, at the frequencies of the other.
    - `dt`, `band`, `segment`, `preprocess`: as in `log_spectral_distance`.

    **Returns:**

    A distance of at least 0; 1 for a silent simulation.

    **Raises:**

    - `ValueError`: as in `log_spectral_distance`, or the frequencies differ.
    """
    if not isinstance(simulated, tuple) and not isinstance(empirical, tuple):
        x, y = as_pair(simulated, empirical, None, samples=4)
        dt = _step(dt, "simulated")
        lengths = [segment_samples(len(series), dt, segment) for series in (x, y)]
        if lengths[0] != lengths[1]:
            raise ValueError(
                "`segment` must be given for series of different lengths, got windows of "
                f"{lengths[0]} and {lengths[1]} samples."
            )
    (grid, found), (known, target) = (
        _spectrum(data, name, dt, segment, preprocess, cross=True)
        for data, name in ((simulated, "simulated"), (empirical, "empirical"))
    )
    if found.shape != target.shape or not np.allclose(grid, known, rtol=1e-6):
        raise ValueError(
            "`simulated` and `empirical` must be of the same regions, at the same frequencies; got "
            f"shapes {found.shape} and {target.shape} of cross-spectra."
        )
    inside = np.flatnonzero(_within(known, band))
    found, target = in_units_of(target, found[inside], target[inside])
    total = jnp.sum(_square(target))
    return jnp.sum(_square(found - target)) / jnp.where(total == 0, 1, total)


def _spectrum(
    data: _Data,
    name: str,
    dt: RealScalarLike | None,
    segment: _Segment,
    preprocess: Preprocessing,
    cross: bool = False,
) -> tuple[np.ndarray, Array]:
    """The frequencies and the power, or the cross-spectra, of a series or as they are given."""
    if name == "empirical":
        for part in data if isinstance(data, tuple) else (data,):
            check_finite(part, name)
    if isinstance(data, tuple):
        known, density = np.asarray(data[0], float), jnp.asarray(data[1])
        density = density[:, None] if density.ndim == 1 else density
        if known.ndim != 1 or density.ndim != 2 + cross or len(density) != len(known):
            raise ValueError(
                f"`{name}` must hold the power at each frequency for each region; got shapes "
                f"{known.shape} and {density.shape}."
            )
        return known, density
    dt, series = _step(dt, name), as_series(data, name, samples=4)
    series = series if preprocess is None else preprocess(series)
    known = frequencies(segment_samples(len(series), dt, segment), dt)
    return known, (cross_spectrum if cross else power_spectrum)(series, dt, segment=segment)[1]


def _step(dt: RealScalarLike | None, name: str) -> RealScalarLike:
    if dt is None:
        raise ValueError(f"`dt` must be given, since `{name}` is a series.")
    return dt


def _check_spectrum(data: _Data, name: str) -> None:
    """Refuses what is given as a spectrum and is none."""
    if not isinstance(data, tuple):
        return
    known, power = np.asarray(data[0], float), data[1]
    if not np.all(np.diff(known) > 0) or not known[0] >= 0:
        raise ValueError(f"`{name}` must hold increasing frequencies in Hz; got {known}.")
    if not isinstance(power, Tracer) and np.any(np.asarray(power) < 0):
        raise ValueError(f"`{name}` must hold power, not below 0; decibels go back by 10^(x/10).")


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
