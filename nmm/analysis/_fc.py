"""Functional connectivity, and how it changes over time."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from ._signal import as_series, centre, zscore


def fc(series: ArrayLike) -> Float[Array, "regions regions"]:
    r"""Functional connectivity: the Pearson correlation of each pair of regions.

    $$\mathrm{FC}_{ij} = \frac{1}{T} \sum_t z_i(t)\, z_j(t), \quad
    z_i = (x_i - \bar x_i) / \sigma_i.$$

    The diagonal is exactly 1. A silent region (constant up to rounding) correlates 0 with every
    other and has zero gradient; elsewhere FC is smooth. A NaN or infinity in a region makes its row
    and column NaN, diagonal included: it is not turned into a number.

    **Arguments:**

    - `series`: `(time, regions)`, at least 2 samples. For a batch use `jax.vmap`.

    **Returns:**

    `(regions, regions)`, symmetric.

    **Raises:**

    - `ValueError`: `series` has another rank or fewer than 2 samples.
    """
    scores = zscore(series)
    # Some accelerators multiply float32 matrices with three digits unless told otherwise.
    product = jnp.matmul(scores.T, scores, precision=jax.lax.Precision.HIGHEST) / len(scores)
    exact = jnp.eye(len(product), dtype=bool) & ~jnp.isnan(product)
    return jnp.where(exact, 1, product)


def fcd(series: ArrayLike, window: int, step: int) -> Float[Array, "windows windows"]:
    """Functional connectivity dynamics: the correlation between the FC of sliding windows.

    The FC of each window is compared over its upper triangle, without the diagonal (some packages
    include it, which inflates the values). The last window that fits is kept. Smooth where FC is;
    NaN and silent regions are treated as in `nmm.analysis.fc`.

    Reference: Hansen et al., NeuroImage 105:525 (2015).

    **Arguments:**

    - `series`: `(time, regions)`, at least 3 regions.
    - `window`: length of a window, in samples.
    - `step`: distance between the starts of windows, in samples.

    **Returns:**

    `(windows, windows)`, symmetric, diagonal 1.

    **Raises:**

    - `ValueError`: `series` is of another rank or has fewer than 3 regions, `window` is not between
        2 and the length of `series`, or `step` is below 1.
    """
    series = as_series(series)
    samples, regions = series.shape
    if regions < 3:
        raise ValueError(f"`series` must have at least 3 regions; got shape {series.shape}.")
    if not 2 <= window <= samples:
        raise ValueError(f"`window` must be 2 to {samples} samples; got {window}.")
    if step < 1:
        raise ValueError(f"`step` must be at least 1 sample; got {step}.")

    def edges(start):
        return upper_triangle(fc(jax.lax.dynamic_slice_in_dim(series, start, window)))

    starts = jnp.arange(0, samples - window + 1, step)
    # A few windows at a time: of all, only the edges are kept.
    return fc(jax.lax.map(edges, starts, batch_size=8).T)


def lagged_covariance(series: ArrayLike, lag: int = 0) -> Float[Array, "later earlier"]:
    r"""Covariance of each region, `lag` samples later, with each other one.

    $$C_{ij}(\ell) = \frac{1}{T - \ell} \sum_t (x_i(t + \ell) - \bar x_i)(x_j(t) - \bar x_j)$$

    with the mean over all samples. For a lag above 0 it is not symmetric, which tells directions
    apart: row = the region that follows, as the rows of weights are the targets.

    Quadratic in `series`, hence smooth; a constant region has covariance 0. A NaN spreads over its
    row and column.

    **Arguments:**

    - `series`: `(time, regions)`, more than `lag` samples and at least 2.
    - `lag`: in samples, at least 0.

    **Returns:**

    `(regions, regions)`, in the unit of `series` squared.

    **Raises:**

    - `ValueError`: `series` has another rank or too few samples, or `lag` is negative.
    """
    if lag < 0:
        raise ValueError(f"`lag` must be at least 0 samples; got {lag}.")
    centred = centre(as_series(series, samples=max(2, lag + 1)))
    later, earlier = centred[lag:], centred[: len(centred) - lag]
    return jnp.matmul(later.T, earlier, precision=jax.lax.Precision.HIGHEST) / len(later)


def upper_triangle(matrix: ArrayLike) -> Float[Array, "*batch edges"]:
    """The entries above the diagonal, row by row: each undirected edge once.

    **Arguments:**

    - `matrix`: `(regions, regions)`, batch axes in front.

    **Returns:**

    `(edges,)`, `regions * (regions - 1) / 2` of them, batch axes in front.

    **Raises:**

    - `ValueError`: `matrix` is not square.
    """
    shape = jnp.shape(matrix)
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise ValueError(f"`matrix` must be square, (regions, regions); got shape {shape}.")
    rows, columns = np.triu_indices(shape[-1], k=1)
    return jnp.asarray(matrix, jnp.result_type(float, matrix))[..., rows, columns]
