"""Distance between series, sample by sample."""

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from nmm.analysis import zscore

from ._agreement import cosine, rmse, size_of
from ._data import Preprocessing, as_pair


def time_series_rmse(
    simulated: ArrayLike,
    empirical: ArrayLike,
    *,
    preprocess: Preprocessing = None,
) -> Float[Array, ""]:
    """Root mean squared difference between two series, over all samples and regions.

    For signals that are locked in time, such as evoked responses: two runs with different noise
    are far apart even when their dynamics are the same. Smooth away from a perfect fit, where the
    gradient returned is 0. Constant regions are nothing special. A NaN in the simulation gives NaN;
    one in the data is an error (unless the data are traced).

    **Arguments:**

    - `simulated`: `(time, regions)`.
    - `empirical`: the same samples of the same regions.
    - `preprocess`: applied to both, such as an `nmm.analysis.Preprocess`.

    **Returns:**

    A distance, in the unit of the (preprocessed) series.

    **Raises:**

    - `ValueError`: the shapes differ, are not `(time, regions)` or have fewer than 2 samples; the
        data hold a NaN.
    """
    return rmse(*as_pair(simulated, empirical, preprocess, same_length=True))


def time_series_correlation(
    simulated: ArrayLike, empirical: ArrayLike, *, preprocess: Preprocessing = None
) -> Float[Array, ""]:
    """Pearson correlation over time of each region with its recording, the mean over regions.

    Blind to the mean and scale of each region. Smooth, except that a region that is constant up to
    rounding counts as 0 with zero gradient. NaN as in `time_series_rmse`. Two samples are accepted,
    but correlate -1, 0 or 1.

    **Arguments:** and **Raises:** as in `time_series_rmse`.

    **Returns:**

    A similarity from -1 to 1.
    """
    x, y = as_pair(simulated, empirical, preprocess, same_length=True)
    return jnp.mean(zscore(x) * zscore(y))


def time_series_cosine(
    simulated: ArrayLike, empirical: ArrayLike, *, preprocess: Preprocessing = None
) -> Float[Array, ""]:
    r"""Cosine of the angle between two series, over all samples and regions together.

    Blind to a common scale, but not to the means: $\sum xy / \sqrt{\sum x^2 \sum y^2}$. Smooth,
    unless a series is 0 throughout, where it is 0 with zero gradient. Constant regions are nothing
    special. NaN as in `time_series_rmse`.

    **Arguments:** and **Raises:** as in `time_series_rmse`.

    **Returns:**

    A similarity from -1 to 1.
    """
    return cosine(*as_pair(simulated, empirical, preprocess, same_length=True))


def unexplained_variance(
    simulated: ArrayLike, empirical: ArrayLike, *, preprocess: Preprocessing = None
) -> Float[Array, ""]:
    r"""Share of the variance of a recording that a simulation of it leaves over.

    $$\frac{\sum (x - y)^2}{\sum (y - \bar y)^2}$$

    with the mean over time of each region: for evoked responses, where amplitude and time course
    both count, see `nmm.analysis.evoked_response`. Smooth; 0 for a perfect fit, 1 for a simulation
    that stays at the mean, more where it is worse than that. Constant regions of the simulation are
    nothing special; where the whole recording is constant, the sum itself is returned. NaN as in
    `time_series_rmse`.

    **Arguments:** and **Raises:** as in `time_series_rmse`.

    **Returns:**

    A distance of at least 0.
    """
    x, y = as_pair(simulated, empirical, preprocess, same_length=True)
    spread = y - jnp.mean(y, axis=0)
    unit = size_of(spread)
    total = jnp.sum((spread / unit) ** 2)
    return jnp.sum(((x - y) / unit) ** 2) / jnp.where(total == 0, 1, total)
