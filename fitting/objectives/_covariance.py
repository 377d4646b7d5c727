"""Agreement of covariances, at once and lagged."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float

from nmm.analysis import lagged_covariance

from ._agreement import in_units_of
from ._data import Preprocessing, check_finite


def covariance_error(
    simulated: ArrayLike,
    empirical: ArrayLike,
    *,
    lags: Sequence[int] = (0, 1),
    preprocess: Preprocessing = None,
    simulated_is: str = "series",
    empirical_is: str = "series",
) -> Float[Array, ""]:
    r"""Squared difference of lagged covariances, relative to the empirical ones.

    $$\frac{1}{L} \sum_\ell \frac{\lVert C(\ell) - \hat C(\ell) \rVert^2}
    {\lVert \hat C(\ell) \rVert^2}$$

    A lag above 0 tells directions apart, which effective connectivity needs. The scale counts: end
    `preprocess` with z-scores to compare correlations. Smooth; a constant region has covariance 0.
    A NaN in the simulation gives NaN, one in the data is an error.

    Reference: Gilson et al., PLOS Computational Biology 12:e1004762 (2016).

    **Arguments:**

    - `simulated`, `empirical`: series `(time, regions)` of any length; or one matrix a lag,
        `(lags, regions, regions)`, row = the region that is later, such as `lagged_covariance` of a
        `nmm.analysis.linear_response`.
    - `lags`: in samples.
    - `preprocess`: applied to whatever is given as a series.
    - `simulated_is`, `empirical_is`: `"series"` or `"covariance"`.

    **Returns:**

    A distance of at least 0; 1 for a silent simulation.

    **Raises:**

    - `ValueError`: as `nmm.analysis.lagged_covariance`; the regions differ; the data hold a NaN or
        are constant, or a covariance is 0 throughout.
    """
    check_finite(empirical, "empirical")
    _check_varies(empirical, empirical_is)
    prepare: Any = preprocess or jnp.asarray
    if not lags:
        raise ValueError("`lags` must hold at least one lag, in samples.")

    def covariances(data: ArrayLike, kind: str, option: str) -> Array:
        if kind not in ("series", "covariance"):
            raise ValueError(f"`{option}` must be 'series' or 'covariance'; got {kind!r}.")
        if kind == "covariance":
            return jnp.asarray(data)
        return jnp.stack([lagged_covariance(prepare(data), lag) for lag in lags])

    found = covariances(simulated, simulated_is, "simulated_is")
    target = covariances(empirical, empirical_is, "empirical_is").astype(found.dtype)
    if target.shape != found.shape:
        raise ValueError(
            "`simulated` and `empirical` must hold the same regions, and one covariance a lag; got "
            f"shapes {found.shape} and {target.shape} of covariances."
        )
    found, target = in_units_of(target, found, target)
    size = jnp.sum(target**2, axis=(1, 2))
    return jnp.mean(jnp.sum((found - target) ** 2, axis=(1, 2)) / jnp.where(size == 0, 1, size))


def _check_varies(empirical: ArrayLike, kind: str) -> None:
    """Refuses data without covariance, which are known while a loss is traced."""
    if isinstance(empirical, Tracer):
        return
    data = np.asarray(empirical)
    if kind == "series":
        data = (data - data[:1])[None]
    if not np.all(np.any(data, axis=tuple(range(1, data.ndim)))):
        raise ValueError("`empirical` must have some covariance at every lag; it is 0.")
