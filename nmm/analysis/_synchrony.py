"""Phases, and how far they go together."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Complex, Float

from ._signal import as_series, centre

_TRIM = 0.1


def analytic_signal(series: ArrayLike) -> Complex[Array, "time regions"]:
    """The signal with its Hilbert transform as imaginary part, each region without its mean.

    Its angle is the phase and its magnitude the envelope; both mean something in a narrow band
    only, so filter before (`nmm.analysis.bandpass`). By FFT, as `scipy.signal.hilbert`, hence with
    artefacts at the ends. Linear in `series`, hence smooth; a constant region gives 0, and a NaN
    spreads over its region.

    **Arguments:**

    - `series`: `(time, regions)`, at least 2 samples.

    **Returns:**

    `(time, regions)`, complex.

    **Raises:**

    - `ValueError`: `series` has another rank or fewer than 2 samples.
    """
    centred = centre(as_series(series))
    samples = len(centred)
    gain = np.zeros(samples)
    gain[0] = 1
    gain[1 : (samples + 1) // 2] = 2
    if samples % 2 == 0:
        gain[samples // 2] = 1
    spectrum = jnp.fft.fft(centred, axis=0) * jnp.asarray(gain, centred.dtype)[:, None]
    return jnp.fft.ifft(spectrum, axis=0)


def phase_locking(series: ArrayLike, *, trim: float = _TRIM) -> Float[Array, "regions regions"]:
    r"""Phase-locking value of each pair of regions: how constant their difference of phase is.

    $$\mathrm{PLV}_{ij} = \Big|\frac{1}{T} \sum_t e^{i(\theta_i(t) - \theta_j(t))}\Big|$$

    Smooth where no signal vanishes. The diagonal is 1; a silent region has 0 with every other, with
    zero gradient; elsewhere a difference that is spread evenly gives 0, where the gradient returned
    is 0. A NaN gives NaN for its region. Of few samples it is biased upwards.

    Reference: Lachaux et al., Human Brain Mapping 8:194 (1999).

    **Arguments:**

    - `series`: `(time, regions)`, filtered to a narrow band.
    - `trim`: share of the samples that is left out at each end, below 1/2.

    **Returns:**

    `(regions, regions)`, symmetric, from 0 to 1.

    **Raises:**

    - `ValueError`: `series` has another rank or fewer than 2 samples, or `trim` leaves none.
    """
    z = _phasors(series, trim)
    product = jnp.einsum("ti,tj->ij", z, jnp.conj(z)) / len(z)
    square = product.real**2 + product.imag**2
    value = jnp.where(square == 0, 0, jnp.sqrt(jnp.where(square == 0, 1, square)))
    exact = jnp.eye(len(value), dtype=bool) & ~jnp.isnan(value)
    return jnp.where(exact, 1, value)


def kuramoto_order(series: ArrayLike, *, trim: float = _TRIM) -> Float[Array, " time"]:
    r"""Order parameter of the phases at each moment, $R(t) = |N^{-1} \sum_j e^{i\theta_j(t)}|$.

    Its mean over time is the synchrony, its standard deviation the metastability. Smooth where no
    signal vanishes; a silent region contributes nothing. A NaN gives NaN.

    **Arguments:** and **Raises:** as in `nmm.analysis.phase_locking`.

    **Returns:**

    `(time,)` without the samples at the ends, from 0 to 1.
    """
    mean = jnp.mean(_phasors(series, trim), axis=1)
    square = mean.real**2 + mean.imag**2
    return jnp.where(square == 0, 0, jnp.sqrt(jnp.where(square == 0, 1, square)))


def metastability(series: ArrayLike, *, trim: float = _TRIM) -> Float[Array, ""]:
    """Standard deviation over time of the Kuramoto order parameter.

    Smooth, unless the order is constant up to rounding, where the gradient returned is 0. Silent
    regions and NaN are treated as in `nmm.analysis.kuramoto_order`.

    Reference: Shanahan, Chaos 20:013108 (2010).

    **Arguments:** and **Raises:** as in `nmm.analysis.phase_locking`.

    **Returns:**

    From 0 to 1/2.
    """
    order = kuramoto_order(series, trim=trim)
    variance = jnp.var(order)
    silent = variance <= (8 * jnp.finfo(order.dtype).eps) ** 2
    return jnp.where(silent, 0, jnp.sqrt(jnp.where(silent, 1, variance)))


def _phasors(series: ArrayLike, trim: float) -> Complex[Array, "time regions"]:
    """The analytic signal divided by its magnitude: no angle, so no jump from pi to -pi."""
    if not 0 <= trim < 0.5:
        raise ValueError(f"`trim` must be from 0 to below 1/2; got {trim}.")
    z = analytic_signal(series)
    cut = int(trim * len(z))
    z = z[cut : len(z) - cut]
    square = z.real**2 + z.imag**2
    silent = square <= jnp.finfo(square.dtype).tiny
    return jnp.where(silent, 0, z / jnp.sqrt(jnp.where(silent, 1, square)))
