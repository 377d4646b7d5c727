"""Random values of parameters within their ranges, for sweeps and starts."""

from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from jaxtyping import Float

from nmm._extras import require

from ._constraints import Interval
from ._parameters import Free, free_parameters

Design: TypeAlias = Literal["sobol", "latin_hypercube"]


def draw(
    model: Any, free: Free, count: int, *, method: Design = "sobol", seed: int = 0
) -> dict[str, Float[np.ndarray, "count ..."]]:
    """Draws values of parameters that fill their ranges evenly.

    ```python
    values = fitting.draw(net, {"coupling.G": fitting.Interval(0.1, 0.3), "node.w": None}, 64)
    table = fitting.sweep(loss, net, values, mode="zip", key=key)
    ```

    Needs `pip install nmm[data]`.

    **Arguments:**

    - `model`: the model.
    - `free`: as in `fitting.fit`; each constraint should be a `fitting.Interval`, as it is by
        default where a range is declared. With `shape="region"` each region has a value of its own.
    - `count`: how many; for `"sobol"` best a power of 2.
    - `method`: `"sobol"` for a scrambled Sobol sequence; `"latin_hypercube"` for one value in each
        of `count` slices of every range.
    - `seed`: the same seed gives the same values.

    **Returns:**

    The values by path, `(count,)` or `(count, regions)`.

    **Raises:**

    - `ValueError` if `count` is below 1, `method` is none of these, or a path has no range.
    - `ModuleNotFoundError` without scipy: `pip install nmm[data]`.
    """
    if count < 1:
        raise ValueError(f"`count` should be at least 1, got {count}.")
    if method not in get_args(Design):
        raise ValueError(f"`method` should be one of {list(get_args(Design))}, got {method!r}.")
    parameters = free_parameters(model, free)
    intervals: list[Interval] = []
    for path, constraint in parameters.constraints.items():
        if not isinstance(constraint, Interval):
            raise ValueError(
                f"`{path}` should have a `fitting.Interval` to draw from, got {constraint!r}."
            )
        intervals.append(constraint)
    qmc = require("scipy.stats.qmc", "data")
    sizes = [value.size for value in parameters.start.values()]
    design = {"sobol": qmc.Sobol, "latin_hypercube": qmc.LatinHypercube}[method]
    sampler = design(sum(sizes), rng=np.random.default_rng(seed))
    if method == "sobol":
        # Sobol' sequences are balanced at powers of 2; of more points the first ones are taken.
        points = sampler.random_base2((count - 1).bit_length())[:count]
    else:
        points = sampler.random(count)
    columns = np.split(points, np.cumsum(sizes)[:-1], axis=1)
    values = {}
    starts = parameters.start.items()
    for (path, start), interval, column in zip(starts, intervals, columns, strict=True):
        drawn = interval.lower + (interval.upper - interval.lower) * column
        # Off the limits, which the interval excludes, also after rounding to float32.
        middle = (interval.lower + interval.upper) / 2
        drawn = middle + (drawn - middle) * (1 - 1e-6)
        values[path] = drawn.reshape(count, *start.shape).astype(start.dtype)
    return values
