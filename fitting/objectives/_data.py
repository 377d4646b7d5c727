"""What every objective asks of the data it is given."""

import numpy as np
from jax.core import Tracer
from jaxtyping import ArrayLike


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
