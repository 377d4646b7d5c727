"""What a sweep returns."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from nmm._extras import require

from ._axes import KEY, Axes, write
from ._loss import LOSS
from ._parameters import summary
from ._provenance import Provenance


class SweepResult(eqx.Module):
    """The results of a sweep, labelled by the values that made them.

    **Attributes:**

    - `axes`: `axes.model`, from which the sweep began, `axes.coordinates` and `axes.groups`.
    - `values`: the results by name, `"loss"` if the loss gives none, with the axes of the sweep in
        front. A cell that failed, or was not reached, is not finite.
    - `done`: which cells were reached, with the axes of the sweep.
    - `provenance`: versions, key, options, hashes of the data, and the time it took.
    """

    axes: Axes
    values: dict[str, np.ndarray]
    done: np.ndarray
    provenance: Provenance

    @property
    def failed(self) -> np.ndarray:
        """Which cells were reached and are not finite, with the axes of the sweep."""
        failed = np.zeros(self.axes.shape, bool)
        for values in self.values.values():
            extra = tuple(range(len(self.axes.shape), values.ndim))
            failed |= ~np.all(np.isfinite(values), axis=extra)
        return failed & self.done

    @property
    def coordinates(self) -> dict[str, Any]:
        """The values of each path, cells in front."""
        return self.axes.coordinates

    def best(self, name: str = LOSS) -> dict[str, Any]:
        """The coordinates of the cell with the lowest value, those of failed cells aside.

        **Arguments:**

        - `name`: of a result that is one number a cell.

        **Raises:**

        - `ValueError` if there is no such result, or if every cell failed.
        """
        values = self._scalars(name)
        if not np.any(np.isfinite(values)):
            raise ValueError(f"No cell of the sweep has a finite `{name}`.")
        return self.axes.cells(int(np.nanargmin(np.where(np.isfinite(values), values, np.nan))))

    def model_at(self, where: Mapping[str, Any] | int | tuple[int, ...] | None = None) -> Any:
        """The model of a cell.

        **Arguments:**

        - `where`: the indices of the cell, one for each axis; or coordinates by path, whether they
            are in the sweep or not; those of `best()` by default.
        """
        if where is None:
            where = self.best()
        if not isinstance(where, Mapping):
            where = self.axes.cells(
                int(np.ravel_multi_index(np.atleast_1d(where), self.axes.shape))
            )
        return write(self.axes.model, {p: value for p, value in where.items() if p != KEY})

    def to_xarray(self) -> Any:
        """The results as an `xarray.Dataset` with the swept paths as dimensions and coordinates.

        The dimension of values side by side is `"cell"`. Keys, and values that differ between
        regions, are no dimension coordinates: their dimension counts. The coordinate `failed` marks
        the cells that are not finite. `table.to_xarray().to_netcdf("sweep.nc", engine="h5netcdf")`
        saves a sweep, and of what `xarray.open_dataset("sweep.nc")` opens, only the labels are read
        until values are selected; `to_zarr` does, too.

        **Raises:**

        - `ModuleNotFoundError` without xarray: `pip install nmm[data]`.
        """
        xr = require("xarray", "data")
        dims = self.axes.dims
        coordinates: dict[str, Any] = {"failed": (dims, self.failed | ~self.done)}
        for dim, group in zip(dims, self.axes.groups, strict=True):
            for path in group:
                if path == KEY:
                    continue
                values = self.coordinates[path]
                axes = np.ndim(values) - 1
                extra = ["region"] if axes == 1 else [f"{path}_{i}" for i in range(axes)]
                name = f"{path}_values" if extra and dim == path else path
                unit = self.axes.units[path]
                coordinates[name] = ((dim, *extra), values, {"units": unit} if unit else {})
        arrays = {}
        for name, values in self.values.items():
            extra = [f"{name}_{i}" for i in range(values.ndim - len(dims))]
            arrays[name] = ([*dims, *extra], values)
        return xr.Dataset(arrays, coordinates, {"provenance": self.provenance.details()})

    def plot(self, name: str = LOSS, ax: Any = None) -> Any:
        """Draws a result: a line over one axis, a map over two.

        **Arguments:**

        - `name`: of a result that is one number a cell.
        - `ax`: the axes to draw on; a new figure by default.

        **Returns:**

        The figure.

        **Raises:**

        - `ValueError` if there is no such result, or more than two axes.
        - `ModuleNotFoundError` without matplotlib: `pip install nmm[plot]`.
        """
        values = self._scalars(name)
        if values.ndim > 2:
            raise ValueError(
                f"`plot` draws sweeps with one or two axes, this one has {values.ndim}; "
                "`to_xarray()` can select from it."
            )
        if ax is None:
            ax = require("matplotlib.pyplot", "plot").subplots(layout="constrained")[1]
        ticks = [
            self._ticks(dim, *g) for dim, g in zip(self.axes.dims, self.axes.groups, strict=True)
        ]
        if values.ndim == 1:
            ((x, label),) = ticks
            ax.plot(x, values, marker=".")
            ax.set(xlabel=label, ylabel=name)
        else:
            (y, ylabel), (x, xlabel) = ticks
            finite = np.where(np.isfinite(values), values, np.nan)
            picture = ax.pcolormesh(x, y, finite, shading="nearest")
            ax.figure.colorbar(picture, ax=ax, label=name)
            ax.set(xlabel=xlabel, ylabel=ylabel)
        return ax.figure

    def _ticks(self, dim: str, path: str, *others: str) -> tuple[np.ndarray, str]:
        values = self.coordinates[path]
        if others:
            return np.arange(len(values)), dim
        if path == KEY or np.ndim(values) > 1:
            return np.arange(len(values)), f"{path} (number)"
        unit = self.axes.units[path]
        return values, path if unit in ("", "1") else f"{path} ({unit})"

    def _scalars(self, name: str) -> np.ndarray:
        scalars = [n for n, values in self.values.items() if values.shape == self.axes.shape]
        if name not in scalars:
            raise ValueError(
                f"`name` should be a result with one number a cell, one of {scalars}, got {name!r}."
            )
        return self.values[name]

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.axes.shape))
        head = f"SweepResult: {self.axes.size} cells ({self.axes.mode}, {shape})"
        if not np.all(self.done):
            head += f", {np.sum(self.done)} of them done"
        lines = [head]
        for path, values in self.coordinates.items():
            if path == KEY:
                lines.append(f"over {path}: {len(values)} keys")
                continue
            unit = self.axes.units[path]
            lines.append(f"over {path}{f' [{unit}]' if unit else ''}: {summary(values)}")
        for name, values in self.values.items():
            lines.append(f"{name} {values.shape[len(self.axes.shape) :]}: {range_of(values)}")
        return "\n  ".join(lines)


def range_of(values: np.ndarray) -> str:
    """The finite ones of some results, in a few words."""
    finite = values[np.isfinite(values)]
    text = f"{finite.min():.4g} to {finite.max():.4g}" if finite.size else "no finite value"
    return text if finite.size == values.size else f"{text}, {values.size - finite.size} non-finite"


def nothing(cells: int, like: np.ndarray) -> np.ndarray:
    """An array for the results of all cells: NaN, or 0 where there is none."""
    fill = np.nan if jnp.issubdtype(like.dtype, jnp.inexact) else 0
    return np.full((cells, *like.shape[1:]), fill, like.dtype)
