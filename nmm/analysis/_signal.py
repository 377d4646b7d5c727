"""Preprocessing of `(time, regions)` series, the same for simulated and recorded ones."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from .._custom_types import Series


def as_series(series: ArrayLike, name: str = "series", *, samples: int = 2) -> Series:
    """Floating-point array of `series`, refused unless it is `(time, regions)` and long enough."""
    shape = jnp.shape(series)
    if len(shape) != 2 or shape[0] < samples:
        raise ValueError(
            f"`{name}` must be (time, regions) with at least {samples} samples; got shape {shape}. "
            "For a batch of series use `jax.vmap`."
        )
    return jnp.asarray(series, dtype=jnp.result_type(float, series))


def check_band(band: tuple[float, float], tr: float) -> None:
    """Refuses a band that cannot be realised at one sample every `tr` ms."""
    if not (math.isfinite(tr) and tr > 0):
        raise ValueError(f"`tr` must be a positive sampling period in ms; got {tr}.")
    low, high = band
    nyquist = 500 / tr
    if not 0 < low < high < nyquist:
        raise ValueError(
            f"`band` must be (low, high) in Hz with 0 < low < high < {nyquist:g} Hz, half the "
            f"sampling rate at `tr` = {tr} ms; got {band}."
        )


def detrend(series: ArrayLike) -> Series:
    """Removes the least-squares straight line, mean included, from each region.

    Linear in `series`, hence smooth. A constant or straight series gives exactly 0; a NaN spreads
    over its region.

    **Arguments:**

    - `series`: `(time, regions)`, at least 2 samples.

    **Returns:**

    The residuals, of the same shape.

    **Raises:**

    - `ValueError`: `series` has another rank or fewer than 2 samples.
    """
    series = as_series(series)
    centred = centre(series)
    time = jnp.linspace(-1, 1, series.shape[0], dtype=series.dtype)
    line = jnp.outer(time, time @ centred / (time @ time))
    return _drop_rounding(centred - line, series)


def bandpass(series: ArrayLike, band: tuple[float, float], tr: float, *, order: int = 2) -> Series:
    r"""Butterworth band-pass without phase shift, as if run forwards and backwards.

    Each frequency is multiplied by the squared magnitude of the digital Butterworth filter
    (bilinear transform, edges pre-warped), so the gain is 1/2 at both edges:

    $$|H(f)|^2 = \frac{1}{1 + \Omega^{2n}}, \quad
    \Omega = \frac{w^2 - w_1 w_2}{w (w_2 - w_1)}, \quad w = \tan(\pi f\,\mathrm{tr}).$$

    It is applied by FFT to the series reflected through its end points again and again: what
    `scipy.signal.filtfilt` tends to with long padding, without its start-up transients.

    Linear in `series`, hence smooth. Mean and straight line are removed, so a constant or straight
    region gives exactly 0; a NaN spreads over its region. In a recording shorter than `1 / low`
    the low edge has little to act on.

    **Arguments:**

    - `series`: `(time, regions)`, at least 3 samples.
    - `band`: lower and upper edge, in Hz.
    - `tr`: sampling period, in ms.
    - `order`: n, as in `scipy.signal.butter(n, band, "bandpass")`.

    **Returns:**

    The filtered series, of the same shape.

    **Raises:**

    - `ValueError`: `series` has another rank or fewer than 3 samples, `band` does not lie between
        0 and half the sampling rate, `tr` is not positive, or `order` is below 1.
    """
    series = as_series(series, samples=3)
    check_band(band, tr)
    if order < 1:
        raise ValueError(f"`order` must be at least 1; got {order}.")
    # A band-pass of zero phase turns every straight line into 0. Without the line between its ends
    # a series reflected through them is periodic, so the FFT meets no jump.
    shifted = series - series[0]
    chord = jnp.outer(jnp.linspace(0, 1, len(series), dtype=series.dtype), shifted[-1])
    inside = (shifted - chord)[:-1]
    reflected = jnp.concatenate([inside, jnp.zeros_like(inside[:1]), -inside[:0:-1]])
    gain = jnp.asarray(_butterworth_gain(len(reflected), band, tr, order), series.dtype)
    spectrum = jnp.fft.rfft(reflected, axis=0) * gain[:, None]
    filtered = jnp.fft.irfft(spectrum, n=len(reflected), axis=0)[: len(series)]
    return _drop_rounding(filtered, series)


def regress_global_signal(series: ArrayLike) -> Series:
    r"""Removes from each region its mean and what the average over regions explains of it.

    With $g(t)$ the centred average over regions, $x_i \mapsto x_i - \bar x_i - \beta_i g$,
    $\beta_i = \langle g, x_i\rangle / \langle g, g\rangle$.

    Smooth wherever the average fluctuates; where it does not, only the mean is removed. A constant
    region gives exactly 0; a NaN anywhere reaches every region, because they share the average.

    **Arguments:**

    - `series`: `(time, regions)`, at least 2 samples.

    **Returns:**

    The residuals, of the same shape.

    **Raises:**

    - `ValueError`: `series` has another rank or fewer than 2 samples.
    """
    series = as_series(series)
    centred = centre(series)
    average = _drop_rounding(centred.mean(axis=1), jnp.abs(centred).max(axis=1))
    power = average @ average
    share = average @ centred / jnp.where(power == 0, 1, power)
    return _drop_rounding(centred - jnp.outer(average, share), series)


def zscore(series: ArrayLike) -> Series:
    """Subtracts the mean and divides by the standard deviation (of the population) of each region.

    Smooth, except that a region which is constant up to rounding gives exactly 0 with zero
    gradient. A NaN spreads over its region.

    **Arguments:**

    - `series`: `(time, regions)`, at least 2 samples.

    **Returns:**

    The scores, of the same shape.

    **Raises:**

    - `ValueError`: `series` has another rank or fewer than 2 samples.
    """
    series = as_series(series)
    centred = _drop_rounding(centre(series), series)
    # Scores do not depend on the unit. Dividing by the peak first keeps squares of very small
    # signals (MEG in tesla) from vanishing in float32.
    peak = jax.lax.stop_gradient(jnp.abs(centred).max(axis=0))
    scaled = centred / jnp.where(peak == 0, 1, peak)
    variance = jnp.mean(scaled**2, axis=0)
    return scaled / jnp.sqrt(jnp.where(variance == 0, 1, variance))


def evoked_response(
    series: ArrayLike, onsets: Sequence[int] | np.ndarray, before: int, after: int
) -> Series:
    """Average of what follows each event, less the mean of what came before.

    Linear in `series`, hence smooth; a constant region gives 0, and a NaN within a window spreads
    over its region.

    **Arguments:**

    - `series`: `(time, regions)`.
    - `onsets`: the sample at which each event begins.
    - `before`: samples before it, whose mean is the baseline; 0 for none.
    - `after`: samples from the event on.

    **Returns:**

    `(before + after, regions)`, the event at row `before`.

    **Raises:**

    - `ValueError`: `series` has another rank; there is no event; or a window does not fit.
    """
    series = as_series(series)
    events = np.asarray(onsets)
    if events.ndim != 1 or not events.size or before < 0 or after < 1:
        raise ValueError(
            "`onsets` must hold the sample of each event, `before` be at least 0 and `after` at "
            f"least 1; got {events}, {before} and {after}."
        )
    if events.min() < before or events.max() + after > len(series):
        raise ValueError(
            f"`onsets` must leave {before} samples before and {after} after each event within the "
            f"{len(series)} samples; got {events.min()} to {events.max()}."
        )
    average = jnp.mean(series[events[:, None] + np.arange(-before, after)], axis=0)
    return average - jnp.mean(average[:before], axis=0) if before else average


def centre(series: Series) -> Series:
    """Subtracts the mean of each region."""
    # The first sample goes before the mean: a constant then becomes exactly 0, and a large offset
    # costs no digits.
    shifted = series - series[0]
    return shifted - shifted.mean(axis=0)


def _drop_rounding(
    remainder: Float[Array, "time *regions"], original: Float[Array, "time *regions"]
) -> Float[Array, "time *regions"]:
    # A few units in the last place of the original are not a signal; normalised later on, they
    # would become one, with gradients as large as it is small. NaN compares false and stays.
    unit = 8 * jnp.finfo(original.dtype).eps * jnp.abs(original).max(axis=0)
    return jnp.where(jnp.abs(remainder).max(axis=0) <= unit, 0, remainder)


def _butterworth_gain(
    samples: int, band: tuple[float, float], tr: float, order: int
) -> Float[np.ndarray, " frequencies"]:
    low, high = (math.tan(math.pi * edge * tr / 1000) for edge in band)
    angle = np.pi * np.fft.rfftfreq(samples)
    # Omega multiplied out by cos^2, which is finite at half the sampling rate and at 0.
    distance = np.sin(angle) ** 2 - low * high * np.cos(angle) ** 2
    width = np.sin(angle) * np.cos(angle) * (high - low)
    return width ** (2 * order) / (width ** (2 * order) + distance ** (2 * order))
