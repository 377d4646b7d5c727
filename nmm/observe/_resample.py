"""Samples at a period that no step divides."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Shaped

from .._custom_types import RealScalarLike
from .._declare import as_float


def resample(
    samples: Shaped[ArrayLike, "time *sample"], period: RealScalarLike, tr: RealScalarLike
) -> Float[Array, "samples *sample"]:
    r"""Samples at every multiple of a `tr` that is no multiple of `dt`, by cubic interpolation.

    Observe at a short period that `dt` divides, then resample: BOLD at 40 ms to some millionths of
    its range. Each value is that of the cubic polynomial through the four nearest
    samples, exact for cubics; at the ends, through the four outermost. For signals that are
    smooth from sample to sample: a mean over each `tr` is another thing than what this gives.

    **Arguments:**

    - `samples`: row `k`, counted from 1, is at `k * period` ms, as without a transient.
    - `period`: ms from row to row.
    - `tr`: ms from sample to sample, at least `period`.

    **Returns:**

    Row `k`, counted from 1, is at `k * tr` ms.

    **Raises:**

    - `ValueError` if there are fewer than 4 samples, or `tr` is shorter than `period`.
    """
    values: Array = as_float(samples)
    period, tr = float(period), float(tr)
    rows = values.shape[0]
    if rows < 4:
        raise ValueError(f"`samples` should be at least 4, got {rows}.")
    if not tr >= period > 0:
        raise ValueError(
            f"`tr` should be at least the `period` of the samples, {period} ms; got {tr} ms."
        )
    # Of the first of the four samples on, in periods.
    places = np.arange(1, int(rows * period / tr * (1 + 1e-9)) + 1) * tr / period - 1
    first = np.clip(np.floor(places).astype(int) - 1, 0, rows - 4)
    x = places - first
    weights = np.stack(
        [
            -(x - 1) * (x - 2) * (x - 3) / 6,
            x * (x - 2) * (x - 3) / 2,
            -x * (x - 1) * (x - 3) / 2,
            x * (x - 1) * (x - 2) / 6,
        ]
    )
    columns = weights.reshape(*weights.shape, *[1] * (values.ndim - 1)).astype(values.dtype)
    return jnp.sum(jnp.stack([w * values[first + i] for i, w in enumerate(columns)]), axis=0)
