"""What every objective asks of the data it is given."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike

from nmm._custom_types import Series
from nmm.analysis._signal import as_series

Preprocessing: TypeAlias = Callable[[Array], Array] | None
"""Applied to series, simulated and recorded ones alike, such as an `nmm.analysis.Preprocess`."""


def check_finite(data: ArrayLike, name: str) -> None:
    """Refuses data that hold a NaN or an infinity, which would make every loss NaN.

    Data are known while a loss is traced, so this also works under `jit` and `grad`; only data
    that are themselves traced pass unseen.
    """
    if isinstance(data, Tracer):
        return
    bad = np.count_nonzero(~np.isfinite(np.asarray(data)))
    if bad:
        raise ValueError(
            f"`{name}` must be finite; got {bad} of {np.size(data)} values NaN or infinite. "
            "Interpolate them, or leave those regions out of the data and the model."
        )


def as_pair(
    simulated: ArrayLike,
    empirical: ArrayLike,
    preprocess: Preprocessing,
    *,
    samples: int = 2,
    same_length: bool = False,
) -> tuple[Series, Series]:
    """Both series, preprocessed; refused unless they hold the same regions.

    **Raises:**

    - `ValueError`: one is not `(time, regions)` or too short; the regions differ, or the lengths
        where they should not; the data hold a NaN.
    """
    check_finite(empirical, "empirical")
    x = as_series(simulated, "simulated", samples=samples)
    y = as_series(empirical, "empirical", samples=samples)
    if x.shape[1] != y.shape[1] or (same_length and len(x) != len(y)):
        what = "samples and regions" if same_length else "regions in the same order"
        raise ValueError(
            f"`simulated` and `empirical` must hold the same {what}; got shapes {x.shape} and "
            f"{y.shape}."
        )
    return (x, y) if preprocess is None else (preprocess(x), preprocess(y))
