"""Sweeps in which each run begins where the one before ended: hysteresis."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike

from nmm._custom_types import Key
from nmm._extras import require
from nmm.integrate._problem import check_key

from ._axes import Axes, make_axes, write
from ._checkpoint import Folder, from_arrays, strong, to_arrays
from ._loss import LOSS, outputs
from ._parameters import summary
from ._progress import progress_bar
from ._provenance import gather
from ._sweep_result import nothing, range_of
from ._truncated import result_and_state

_FILE = "runs"


class ContinuedSweep(eqx.Module):
    """The results of a sweep up and down.

    **Attributes:**

    - `axes`: the model and the values, upwards.
    - `up`, `down`: the results by name, in the order of the values in either direction.
    """

    axes: Axes
    up: dict[str, np.ndarray]
    down: dict[str, np.ndarray]

    @property
    def path(self) -> str:
        """Of the parameter."""
        return next(iter(self.axes.coordinates))

    @property
    def values(self) -> np.ndarray:
        """Of the parameter."""
        return self.axes.coordinates[self.path]

    def hysteresis(self, name: str = LOSS, *, tolerance: float = 1e-3) -> tuple[float, float]:
        """The range of the parameter in which the result depends on where one comes from.

        Where it is finite in one direction alone, it differs.

        **Arguments:**

        - `name`: of a result that is one number a value.
        - `tolerance`: how far the directions may differ, as a share of the range of the result.

        **Returns:**

        The lowest and the highest of these values; NaN if there is none.

        **Raises:**

        - `ValueError` if there is no such result.
        """
        up, down = self._scalars(name)
        finite = np.isfinite([up, down])
        span = np.ptp(np.array([up, down])[finite]) if finite.any() else 0.0
        with np.errstate(invalid="ignore"):
            differ = np.abs(up - down) > tolerance * span
        apart = self.values[np.where(finite.all(axis=0), differ, finite.any(axis=0))]
        return (float(apart.min()), float(apart.max())) if apart.size else (np.nan, np.nan)

    def plot(self, name: str = LOSS, ax: Any = None) -> Any:
        """Draws a result against the parameter, in both directions.

        **Returns:**

        The figure.

        **Raises:**

        - `ValueError` if there is no such result.
        - `ModuleNotFoundError` without matplotlib: `pip install nmm[plot]`.
        """
        both = self._scalars(name)
        if ax is None:
            ax = require("matplotlib.pyplot", "plot").subplots(layout="constrained")[1]
        for values, label, marker in zip(both, ("up", "down"), "^v", strict=True):
            ax.plot(self.values, values, marker=marker, markersize=4, linewidth=1, label=label)
        unit = self.axes.units[self.path]
        label = self.path if unit in ("", "1") else f"{self.path} ({unit})"
        ax.set(xlabel=label, ylabel=name)
        ax.legend(frameon=False)
        return ax.figure

    def _scalars(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        scalars = [n for n, values in self.up.items() if values.ndim == 1]
        if name not in scalars:
            raise ValueError(
                f"`name` should be a result of one number a value, one of {scalars}, got {name!r}."
            )
        return self.up[name], self.down[name]

    def __repr__(self) -> str:
        unit = self.axes.units[self.path]
        over = f"{self.path}{f' [{unit}]' if unit else ''}: {summary(self.values)}"
        lines = [f"ContinuedSweep: up and down over {over}"]
        for name, up in self.up.items():
            lines.append(
                f"{name} {up.shape[1:]}: up {range_of(up)}, down {range_of(self.down[name])}"
            )
        return "\n  ".join(lines)


def continued_sweep(
    run: Callable[..., tuple[Any, Any]],
    model: Any,
    path: str,
    values: ArrayLike,
    y0: Any,
    *,
    key: Key | None = None,
    progress: bool = True,
    checkpoint: str | Path | None = None,
) -> ContinuedSweep:
    """Takes a parameter up and down again, each run from where the one before ended.

    Where a model has two attractors, the way up and the way down differ.

    ```python
    def run(model, y0):
        sol = nmm.simulate(model, 200.0, 0.1, y0=y0, save=["x"])
        return sol["x"][-1], sol.y1

    values = jnp.linspace(-1, 1, 41)
    loop = fitting.continued_sweep(run, model, "input", values, model.initial_state())
    loop.hysteresis(), loop.plot()
    ```

    A run is compiled once. Ctrl-C ends the sweep with what was reached. On a network with delays,
    `y0=sol.y1` restarts the history.

    **Arguments:**

    - `run`: `run(model, y0)`, or `run(model, y0, key)` with a key, returns results as a loss of
        `fitting.sweep` does, and the state to go on from.
    - `model`: has the other parameters.
    - `path`: of the parameter.
    - `values`: upwards, one a run.
    - `y0`: where the first run begins.
    - `key`: of the noise; each run has its own.
    - `progress`: whether to show a progress bar.
    - `checkpoint`: a folder, to which what there is is written after every run. The same call with
        the same folder goes on from there after a kill.

    **Returns:**

    A `fitting.ContinuedSweep`: `loop.up`, `loop.down`, `loop.hysteresis()`, `loop.plot()`.

    **Raises:**

    - `ValueError`, naming the path, for one that does not exist or values that do not fit.
    - `TypeError` if `run` returns something else.
    """
    axes = make_axes(model, {path: values}, "grid")
    check_key(key)
    order = np.concatenate([np.arange(axes.size), np.arange(axes.size)[::-1]])
    folder = None
    if checkpoint is not None:
        identity = gather(run, model, key, {}).identity(
            over=(axes.groups, axes.coordinates), run=run, y0=y0
        )
        folder = Folder(checkpoint, identity)
    state, found, first = strong(jax.tree.map(jnp.asarray, y0)), {}, 0
    stored = folder.read(_FILE) if folder is not None and folder.names(_FILE) else None
    if stored is not None:
        state, first = from_arrays(state, stored, "state"), int(stored["done"])
        found = {n.removeprefix("value/"): x for n, x in stored.items() if n.startswith("value/")}
    try:
        with progress_bar(order.size, "continued sweep", progress, first) as bar:
            for n in range(first, order.size):
                results, state = _one(run, model, axes.cells(order[n]), state, key, np.asarray(n))
                state = strong(state)
                for name, value in jax.device_get(results).items():
                    found.setdefault(name, nothing(order.size, value[None]))[n] = value
                if folder is not None:
                    reached = {f"value/{name}": x for name, x in found.items()}
                    folder.write(_FILE, {"done": n + 1} | reached | to_arrays(state, "state"))
                bar.update()
                first = n + 1
    except KeyboardInterrupt:
        warnings.warn(
            f"The sweep was interrupted: {first} of {order.size} runs are done, the others are "
            "NaN.",
            stacklevel=2,
        )
    return ContinuedSweep(
        axes,
        {name: x[: axes.size] for name, x in found.items()},
        {name: x[axes.size :][::-1] for name, x in found.items()},
    )


@eqx.filter_jit
def _one(
    run: Callable[..., Any], model: Any, cell: dict[str, Any], y: Any, key: Key | None, n: Any
) -> tuple[dict[str, Any], Any]:
    given = () if key is None else (jax.random.fold_in(key, n),)
    result, y = result_and_state(run(write(model, cell), y, *given), y)
    return outputs(result), y
