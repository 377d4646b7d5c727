"""Power spectra by Welch's method, differentiable; what monitors and objectives share."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Shaped

from .._custom_types import RealScalarLike


def power_spectrum(
    series: Shaped[ArrayLike, "time *regions"],
    dt: RealScalarLike,
    *,
    segment: RealScalarLike | None = None,
) -> tuple[Float[Array, " frequencies"], Float[Array, "frequencies *regions"]]:
    r"""Power spectral density, by Welch's method: one-sided, per Hz.

    $$P(f) = \frac{2\,\Delta t}{S \sum_n w_n^2} \sum_{s=1}^{S}
      \Big| \sum_n w_n\,(x_{s,n} - \bar x_s)\, e^{-2\pi i f n \Delta t} \Big|^2$$

    over Hann windows $w$ that overlap by half, each without its mean; 0 Hz and Nyquist's frequency
    lack the factor 2. Its sum times the resolution is the variance. The same numbers as
    `scipy.signal.welch(..., noverlap=n // 2)`. Samples after the last whole window are not used.

    Quadratic in `series`, hence smooth; a constant region has power 0 with zero gradient, and a NaN
    spreads over its region. A logarithm of it needs power everywhere: 0 Hz has next to none.

    **Arguments:**

    - `series`: one row a sample, `(time,)` or `(time, regions)`. For a batch use `jax.vmap`.
    - `dt`: ms from row to row.
    - `segment`: length of the windows in ms, a quarter of the series by default; its inverse is
        the resolution. As long as the series: one window.

    **Returns:**

    The frequencies in Hz, from 0 on, and the power at each, in the unit of `series` squared per Hz.

    **Raises:**

    - `ValueError`: `segment` is shorter than 4 samples or longer than the series, or `dt` is not
        positive.
    """
    values = jnp.asarray(series, jnp.result_type(float, series))
    samples = segment_samples(len(values), dt, segment)
    hop = samples - samples // 2
    starts = np.arange(0, len(values) - samples + 1, hop)
    segments = values[starts[:, None] + np.arange(samples)]
    power = jnp.mean(jax.vmap(lambda x: periodogram(x, dt))(segments), axis=0)
    return jnp.asarray(frequencies(samples, dt), values.dtype), power


def band_power(
    series: Shaped[ArrayLike, "time *regions"],
    dt: RealScalarLike,
    band: tuple[RealScalarLike, RealScalarLike],
    *,
    segment: RealScalarLike | None = None,
    relative: bool = False,
) -> Float[Array, "*regions"]:
    r"""Power within a band: the sum of the power spectrum over low <= f < high, times its
    resolution.

    Bands that touch add up, and all frequencies together have the variance. Smooth; a constant
    region has power 0 with zero gradient, also relative.

    **Arguments:**

    - `series`, `dt`, `segment`: as in `nmm.analysis.power_spectrum`.
    - `band`: lower and upper edge, in Hz.
    - `relative`: whether to divide by the power at all frequencies.

    **Returns:**

    One value a region, in the unit of `series` squared; relative ones from 0 to 1.

    **Raises:**

    - `ValueError`: as `power_spectrum`; or there is no frequency within the band.
    """
    _, power = power_spectrum(series, dt, segment=segment)
    samples = segment_samples(jnp.shape(series)[0], dt, segment)
    known = frequencies(samples, dt)
    low, high = band
    inside = (low <= known) & (known < high)
    if not inside.any():
        raise ValueError(
            f"`band` should hold frequencies of the spectrum, which are {known[1]:.4g} Hz apart up "
            f"to {known[-1]:.4g} Hz; got {band} Hz."
        )
    total = jnp.sum(power, axis=0)
    # The place of the band is known in advance, so that the sum is over a slice.
    first, last = np.flatnonzero(inside)[[0, -1]]
    within = jnp.sum(power[first : last + 1], axis=0)
    if relative:
        return within / jnp.where(total == 0, 1, total)
    return within * (1000 / (samples * dt))


def segment_samples(
    length: int, dt: RealScalarLike, segment: RealScalarLike | None, least: int = 4
) -> int:
    """Samples in a window, for a series of `length` samples.

    **Raises:**

    - `ValueError` if that is too short or longer than the series.
    """
    if not 0 < dt < math.inf:
        raise ValueError(f"`dt` should be a positive number of ms, got {dt}.")
    samples = length // 4 if segment is None else round(segment / dt)
    if not least <= samples <= length:
        raise ValueError(
            f"`segment` should be from {least * dt:g} to {length * dt:g} ms, the length of the "
            f"series, got {samples * dt:g} ms."
        )
    return samples


def frequencies(samples: int, dt: RealScalarLike) -> Float[np.ndarray, " frequencies"]:
    """The frequencies of a window of this many samples, in Hz."""
    return np.fft.rfftfreq(samples, dt / 1000)


def periodogram(
    segment: Float[Array, "time *regions"], dt: RealScalarLike
) -> Float[Array, "frequencies *regions"]:
    """Power spectral density of one Hann window, without its mean."""
    samples = len(segment)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(samples) / samples)
    scale = np.full(samples // 2 + 1, 2.0)
    scale[0] = 1.0
    if samples % 2 == 0:
        scale[-1] = 1.0
    scale *= dt / 1000 / np.sum(window**2)
    tail = (1,) * (segment.ndim - 1)

    def column(x: np.ndarray) -> Array:
        return jnp.asarray(x, segment.dtype).reshape(-1, *tail)

    # The first value goes before the mean: a constant becomes exactly 0.
    shifted = segment - segment[0]
    spectrum = jnp.fft.rfft(column(window) * (shifted - jnp.mean(shifted, axis=0)), axis=0)
    return column(scale) * (spectrum.real**2 + spectrum.imag**2)
