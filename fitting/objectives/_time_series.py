"""Distance between series, sample by sample."""

from collections.abc import Callable

from jaxtyping import Array, ArrayLike, Float

from nmm.analysis._signal import as_series

from ._agreement import rmse
from ._data import check_finite


def time_series_rmse(
    simulated: ArrayLike,
    empirical: ArrayLike,
    *,
    preprocess: Callable[[Array], Array] | None = None,
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
    check_finite(empirical, "empirical")
    x, y = as_series(simulated, "simulated"), as_series(empirical, "empirical")
    if x.shape != y.shape:
        raise ValueError(
            "`simulated` and `empirical` must hold the same samples and regions; got shapes "
            f"{x.shape} and {y.shape}."
        )
    return rmse(x, y) if preprocess is None else rmse(preprocess(x), preprocess(y))
