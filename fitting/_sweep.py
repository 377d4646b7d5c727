"""Sweeps: a loss, or anything else, over many values of parameters at once."""

import math
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from nmm._custom_types import Key

from ._axes import KEY, Axes, Layout, make_axes, write
from ._loss import Loss, call, message, outputs
from ._parameters import summary
from ._progress import progress_bar
from ._sweep_result import SweepResult


def sweep(
    loss: Loss,
    model: Any,
    over: Mapping[str, Any],
    *,
    key: Key | None = None,
    mode: Layout = "grid",
    chunk: int | None = None,
    memory: float = 2e9,
    progress: bool = True,
) -> SweepResult:
    """Evaluates a loss, or anything else, over values of parameters, many cells at a time.

    ```python
    table = fitting.sweep(loss, net, over={"coupling.G": jnp.linspace(0.1, 2.9, 64)}, key=key)
    table.plot()
    result = fitting.fit(loss, table.model_at(), free=["coupling.G"], key=key)
    ```

    All cells have the same key, so that they differ by their parameters and not by their noise,
    unless keys are swept, too: `over={"coupling.G": values, "key": jax.random.split(key, 8)}`. A
    cell alone gives the same numbers, up to rounding.

    A cell that diverges is not finite, and stops no other. That takes `nmm.simulate(...,
    throw=False)` in the loss; where the loss raises instead, all cells of that chunk run again one
    by one, those at fault are NaN, and a warning says so.

    **Arguments:**

    - `loss`: a pure function `loss(model, key)`, or `loss(model)` where there is no key. It may
        return a scalar, an array, or a dict (also as second of a pair, as losses for a fit do).
    - `model`: has the parameters that are not swept.
    - `over`: for each path the values, one a cell, `(cells,)` or `(cells, regions)`. A scalar is
        written to all regions, and to all arrays below the path. See `fitting.fit` for paths.
    - `key`: of the random numbers in the loss.
    - `mode`: `"grid"` for all combinations, `"zip"` to take the values of the paths side by side.
    - `chunk`: how many cells run at once. By default as many as have about 32,000 regions
        between them, from where on there is nothing to gain, as far as `memory` allows.
    - `memory`: bytes that a chunk may take if `chunk` is not given.
    - `progress`: whether to show a progress bar.

    **Returns:**

    A `fitting.SweepResult`: `table.values`, `table.coordinates`, `table.best()`, `table.plot()`.

    **Raises:**

    - `ValueError`, naming the argument or path, for what does not fit.
    - The error of the compiled loss, if it raises in every cell.
    """
    if mode not in get_args(Layout):
        raise ValueError(f"`mode` should be one of {list(get_args(Layout))}, got {mode!r}.")
    if chunk is not None and chunk < 1:
        raise ValueError(f"`chunk` should be at least 1, got {chunk}.")
    if not memory > 0:
        raise ValueError(f"`memory` should be a positive number of bytes, got {memory}.")
    if KEY in over and key is not None:
        raise ValueError(f'`key` should be left out where `over["{KEY}"]` gives the keys.')
    axes = make_axes(model, over, mode)

    def run(cells: np.ndarray, size: int) -> dict[str, Any]:
        """The results of some cells, in a batch of the size that is compiled."""
        padded = np.pad(cells, (0, size - len(cells)), mode="edge")
        results = jax.device_get(_run(loss, model, key, axes.cells(padded)))
        return {name: result[: len(cells)] for name, result in results.items()}

    def run_one_by_one(cells: np.ndarray) -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
        for cell in cells[:, None]:
            try:
                yield cell, run(cell, 1)
            except eqx.EquinoxRuntimeError as error:
                errors[int(cell[0])] = error

    size = _automatic_chunk(loss, axes, key, memory) if chunk is None else chunk
    size = _even(size, axes.size)
    values, errors = {}, {}
    with progress_bar(axes.size, "sweep", progress) as bar:
        for cells in np.split(np.arange(axes.size), range(size, axes.size, size)):
            try:
                done = [(cells, run(cells, size))]
            except eqx.EquinoxRuntimeError:
                done = run_one_by_one(cells)
            for where, results in done:
                for name, result in results.items():
                    values.setdefault(name, _nothing(axes.size, result))[where] = result
            bar.update(len(cells))
    if errors:
        _report(errors, axes)
    return SweepResult(
        axes, {name: x.reshape(*axes.shape, *x.shape[1:]) for name, x in values.items()}
    )


def _batch(loss: Loss, model: Any, key: Key | None, cells: dict[str, Any]) -> dict[str, Array]:
    """The results of some cells at once."""

    def one(cell: dict[str, Any]) -> dict[str, Array]:
        cell_key = cell.pop(KEY, key)
        return outputs(call(loss, write(model, cell), cell_key))

    return jax.vmap(one)(cells)


_run: Any = eqx.filter_jit(_batch)


def _nothing(cells: int, like: np.ndarray) -> np.ndarray:
    """An array for the results of all cells: NaN, or 0 where there is none."""
    fill = np.nan if jnp.issubdtype(like.dtype, jnp.inexact) else 0
    return np.full((cells, *like.shape[1:]), fill, like.dtype)


# Measured on noisy networks of 4 and of 84 regions on a CPU: time a cell falls until a chunk has
# 4,000 and 21,000 regions in all, and is flat from there on.
_NUMBERS = 2**15


def _automatic_chunk(loss: Loss, axes: Axes, key: Key | None, memory: float) -> int:
    """About as many cells as have `_NUMBERS` regions between them, as far as there is memory."""
    regions = math.prod(getattr(axes.model, "shape", ()))
    size = _even(math.ceil(_NUMBERS / regions), axes.size)
    while size > 1:
        # What is compiled here is what runs afterwards, not compiled again.
        lowered = _run.lower(loss, axes.model, key, axes.cells(np.zeros(size, int)))
        usage = lowered.compile().compiled.memory_analysis()
        if usage is None:  # Not every backend tells.
            break
        needed = usage.temp_size_in_bytes + usage.output_size_in_bytes
        if needed <= memory:
            break
        size = _even(max(1, min(size // 2, int(size * memory / needed))), axes.size)
    return size


def _even(size: int, cells: int) -> int:
    """The size of equal chunks that are no larger than `size`, the last one almost full."""
    return math.ceil(cells / math.ceil(cells / size))


def _report(errors: dict[int, Exception], axes: Axes) -> None:
    cell, error = next(iter(errors.items()))
    if len(errors) == axes.size:
        error.add_note("It was raised in every cell of the sweep.")
        raise error
    where = ", ".join(
        f"{path} = {summary(value)}" for path, value in axes.cells(cell).items() if path != KEY
    )
    warnings.warn(
        f"{len(errors)} of {axes.size} cells raised an error and are NaN, the first at {where}: "
        f"{message(error)} Pass `throw=False` to `nmm.simulate` in the loss: it is faster, since "
        "no cell has to run twice.",
        stacklevel=3,
    )
