"""Sweeps: a loss, or anything else, over many values of parameters at once."""

import math
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array

from nmm._custom_types import Key
from nmm.integrate._problem import check_key

from ._axes import KEY, Axes, Layout, Over, make_axes, write
from ._checkpoint import Folder
from ._devices import Devices, check_same, one_by_one
from ._loss import RESIDUALS, Loss, call, check_call, message, outputs
from ._parameters import summary
from ._progress import progress_bar
from ._provenance import gather
from ._sweep_result import SweepResult, nothing


def sweep(
    loss: Loss,
    model: Any,
    over: Over,
    *,
    key: Key | None = None,
    mode: Layout = "grid",
    chunk: int | None = None,
    memory: float | int = 2e9,
    progress: bool = True,
    checkpoint: str | Path | None = None,
) -> SweepResult:
    """Evaluates a loss, or anything else, over values of parameters, many cells at a time.

    ```python
    table = fitting.sweep(loss, net, over={"coupling.G": jnp.linspace(0.1, 2.9, 64)}, key=key)
    table.plot()
    result = fitting.fit(loss, table.model_at(), free=["coupling.G"], key=key)
    ```

    All cells have the same key, so that they differ by their parameters and not by their noise,
    unless keys are swept, too: `over={"coupling.G": values, "key": jax.random.split(key, 8)}`. A
    cell alone gives the same numbers, up to rounding, and so do other chunks and devices.

    The cells of a chunk are spread over all devices, also those of other processes under
    `jax.distributed`, where all processes make the same call and get the same result. The cores of
    a CPU are devices after `jax.config.update("jax_num_cpu_devices", os.cpu_count())`, ahead of
    everything else. Ctrl-C ends the sweep with what was reached.

    A cell that diverges is not finite, and stops no other. That takes `nmm.simulate(...,
    throw=False)` in the loss; where the loss raises instead, all cells of that chunk run again one
    by one, those at fault are NaN, and a warning says so.

    **Arguments:**

    - `loss`: a pure function `loss(model, key)`, or `loss(model)` where there is no key. It may
        return a scalar, an array, or a dict (also as second of a pair, as losses for a fit do).
    - `model`: has the parameters that are not swept.
    - `over`: for each path the values, one a cell, `(cells,)` or `(cells, regions)`. A scalar is
        written to all regions, and to all arrays below the path. See `fitting.fit` for paths, and
        `fitting.draw` for random values. Of a list of dicts, each is an axis, along which the
        values of its paths go side by side: `[fitting.draw(net, free, 64), {"key": keys}]`.
    - `key`: of the random numbers in the loss.
    - `mode`: `"grid"` for all combinations, `"zip"` to take the values of the paths side by side.
    - `chunk`: how many cells run at once. By default as many as have about 32,000 regions
        between them on each device, from where on there is nothing to gain, as far as `memory`
        allows.
    - `memory`: bytes that a chunk may take on a device if `chunk` is not given.
    - `progress`: whether to show a progress bar.
    - `checkpoint`: a folder, to which each chunk is written as soon as it is there. The same call
        with the same folder goes on from there after a kill, with nothing lost or done twice.
        Several processes need to share it.

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
    began = time.perf_counter()
    axes = make_axes(model, over, mode)
    if KEY in axes.coordinates and key is not None:
        raise ValueError(f'`key` should be left out where `over["{KEY}"]` gives the keys.')
    check_call(loss, key is not None or KEY in axes.coordinates)
    check_key(key)
    devices = Devices()
    provenance = gather(loss, model, key, {})
    folder = None
    if checkpoint is not None:
        over_of = (axes.groups, axes.coordinates)
        folder = Folder(checkpoint, provenance.identity(over=over_of, loss=loss), shared=True)

    def run(cells: np.ndarray, size: int) -> dict[str, Any]:
        """The results of some cells, in a batch of the size that is compiled."""
        padded = np.pad(cells, (0, size - len(cells)), mode="edge")
        results = devices.run(_batch, (loss, model, key), axes.cells(padded))
        return {name: result[: len(cells)] for name, result in results.items()}

    def run_one_by_one(cells: np.ndarray) -> dict[str, Any]:
        good, results, found = one_by_one(_batch, (loss, model, key), axes.cells(cells))
        errors.update({int(cells[i]): error for i, error in found.items()})
        whole = {}
        for name, result in (results or {}).items():
            whole[name] = nothing(len(cells), result)
            whole[name][good] = result
        return whole

    def keep(where: np.ndarray, results: dict[str, Any]) -> None:
        for name, result in results.items():
            values.setdefault(name, nothing(axes.size, result))[where] = result

    values, errors, done = {}, {}, np.zeros(axes.size, bool)
    for where, results in _stored(folder):
        keep(where, results)
        done[where] = True
    if folder is not None:
        check_same(done)
    try:
        size = axes.size if chunk is None else chunk
        if chunk is None and not np.all(done):
            size = _automatic_chunk(loss, axes, key, memory, devices)
        size = devices.whole(_even(size, axes.size))
        provenance.options.update(mode=axes.mode, chunk=size, devices=devices.count)
        with progress_bar(axes.size, "sweep", progress, int(np.sum(done))) as bar:
            for cells in _chunks(done, size):
                try:
                    results = run(cells, size)
                except eqx.EquinoxRuntimeError:
                    results = run_one_by_one(cells)
                keep(cells, results)
                done[cells] = True
                if folder is not None:
                    # Of a chunk in which all failed there may be nothing but that.
                    folder.write(
                        f"cells-{cells[0]:09d}",
                        {"cells": cells} | {f"value/{n}": x[cells] for n, x in values.items()},
                    )
                bar.update(len(cells))
    except KeyboardInterrupt:
        warnings.warn(
            f"The sweep was interrupted: {np.sum(done)} of {axes.size} cells are done, the others "
            "are NaN.",
            stacklevel=2,
        )
    if errors:
        _report(errors, axes)
    shaped = {name: x.reshape(*axes.shape, *x.shape[1:]) for name, x in values.items()}
    return SweepResult(axes, shaped, done.reshape(axes.shape), provenance.after(began))


def _stored(folder: Folder | None) -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
    """The cells that a folder holds, and their results."""
    for name in folder.names("cells-") if folder is not None else ():
        arrays = folder.read(name) if folder is not None else None
        if arrays is not None:
            cells = arrays.pop("cells")
            yield cells, {n.removeprefix("value/"): values for n, values in arrays.items()}


def _chunks(done: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """The cells that are not done, by chunks whose places do not depend on what is."""
    for start in range(0, done.size, size):
        missing = start + np.flatnonzero(~done[start : start + size])
        if missing.size:
            yield missing


def _batch(shared: tuple[Loss, Any, Key | None], cells: dict[str, Any]) -> dict[str, Array]:
    """The results of some cells at once."""
    loss, model, key = shared

    def one(cell: dict[str, Any]) -> dict[str, Array]:
        cell_key = cell.pop(KEY, key)
        results = outputs(call(loss, write(model, cell), cell_key))
        results.pop(RESIDUALS, None)
        return results

    count = len(jax.tree.leaves(cells)[0])
    if count == 1:  # As a batch it would take twice as long to compile.
        results = one(jax.tree.map(lambda x: x[0], cells))
        return jax.tree.map(lambda x: x[None], results)
    if jax.default_backend() != "cpu":
        return jax.vmap(one)(cells)
    # One batch after the other, each so small that what a step works on stays in the cache.
    batches = math.ceil(count * _regions(model) / _CACHED)
    size = math.ceil(count / batches)
    rows = np.minimum(np.arange(batches * size), count - 1).reshape(batches, size)
    results = jax.lax.map(jax.vmap(one), jax.tree.map(lambda x: x[rows], cells))
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:])[:count], results)


# Measured on noisy networks of 4 and of 84 regions on a CPU: time a cell falls until a chunk has
# 4,000 and 21,000 regions in all, and is flat from there on.
_NUMBERS = 2**15
# Regions in a batch; twice as many take a fifth longer.
_CACHED = 2**14


def _regions(model: Any) -> int:
    return math.prod(getattr(model, "shape", ()))


def _automatic_chunk(
    loss: Loss, axes: Axes, key: Key | None, memory: float, devices: Devices
) -> int:
    """About as many cells as have `_NUMBERS` regions between them, as far as there is memory."""
    size = _even(devices.count * math.ceil(_NUMBERS / _regions(axes.model)), axes.size)
    while size > devices.count:
        # What is compiled here is what runs afterwards, not compiled again.
        cells = axes.cells(np.zeros(devices.whole(size), int))
        needed = devices.bytes_of(_batch, (loss, axes.model, key), cells)
        if needed is None or needed <= memory:
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
