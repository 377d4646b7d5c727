"""Agreement of functional connectivity dynamics: of the distributions of FCD, not its matrices."""

from typing import Any, Literal, TypeAlias

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from nmm.analysis import fcd

from ._agreement import ks_distance, wasserstein
from ._data import Preprocessing, check_finite

_Kind: TypeAlias = Literal["series", "fcd"]


def fcd_ks(
    simulated: ArrayLike,
    empirical: ArrayLike,
    *,
    window: int,
    step: int,
    preprocess: Preprocessing = None,
    empirical_is: _Kind = "series",
    overlapping: bool = True,
) -> Float[Array, ""]:
    """Kolmogorov–Smirnov distance between the distributions of simulated and empirical FCD.

    What papers report; its gradient is 0, so fits need `fcd_wasserstein`. The distance is that of
    the values themselves: packages that smooth them by kernels first report it much smaller. A
    silent region counts as FC 0; a NaN in the simulation gives NaN, one in the data is an error.

    Reference: Hansen et al., NeuroImage 105:525 (2015).

    **Arguments:**

    - `simulated`: series `(time, regions)`.
    - `empirical`: a series of any length, or FCD `(windows, windows)` with `empirical_is="fcd"`.
    - `window`, `step`: in samples, as in `nmm.analysis.fcd`; of both series.
    - `preprocess`: applied to whatever is given as a series.
    - `empirical_is`: `"series"` or `"fcd"`.
    - `overlapping`: whether windows that share samples, and are alike for that alone, are compared.

    **Returns:**

    A distance from 0 to 1.

    **Raises:**

    - `ValueError`: as `nmm.analysis.fcd`; the data hold a NaN; or there are no two windows to
        compare.
    """
    values = _values(simulated, empirical, window, step, preprocess, empirical_is, overlapping)
    return ks_distance(*values)


def fcd_wasserstein(
    simulated: ArrayLike,
    empirical: ArrayLike,
    *,
    window: int,
    step: int,
    preprocess: Preprocessing = None,
    empirical_is: _Kind = "series",
    overlapping: bool = True,
) -> Float[Array, ""]:
    """Wasserstein-1 distance between the distributions of simulated and empirical FCD.

    The one for fits: the gradient says for each pair of windows whether to be more or less alike.
    Piecewise smooth, as `wasserstein` is. Silent regions and NaN are treated as in `fcd_ks`.

    **Arguments:** and **Raises:** as in `fcd_ks`.

    **Returns:**

    A distance from 0 to 2.
    """
    values = _values(simulated, empirical, window, step, preprocess, empirical_is, overlapping)
    return wasserstein(*values)


def _values(
    simulated: ArrayLike,
    empirical: ArrayLike,
    window: int,
    step: int,
    preprocess: Preprocessing,
    empirical_is: _Kind,
    overlapping: bool,
) -> tuple[Array, Array]:
    """The FCD of both between the windows that are compared."""
    check_finite(empirical, "empirical")
    prepare: Any = preprocess or jnp.asarray
    if empirical_is == "series":
        target = fcd(prepare(empirical), window, step)
    elif empirical_is == "fcd":
        target = jnp.asarray(empirical, jnp.result_type(float, empirical))
        if target.ndim != 2 or target.shape[0] != target.shape[1]:
            raise ValueError(f"`empirical` must be FCD, (windows, windows); got {target.shape}.")
    else:
        raise ValueError(f"`empirical_is` must be 'series' or 'fcd'; got {empirical_is!r}.")
    apart = 1 if overlapping else -(-window // step)
    matrices = fcd(prepare(simulated), window, step), target
    values = [matrix[np.triu_indices(len(matrix), k=apart)] for matrix in matrices]
    for name, matrix, kept in zip(("simulated", "empirical"), matrices, values, strict=True):
        if not kept.size:
            raise ValueError(
                f"`{name}` must have windows to compare; its {len(matrix)} are fewer than {apart} "
                "steps apart. Choose a smaller `window`, or compare overlapping ones."
            )
    return values[0], values[1]
