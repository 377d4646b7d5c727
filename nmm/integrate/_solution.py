"""What a run returns."""

from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.core
import numpy as np

from .. import plot
from .._declare import is_concrete
from .._extras import require
from ..observe._base import Axes


class RESULTS(diffrax.RESULTS):  # pyright: ignore[reportGeneralTypeIssues]
    """Outcome of a run: those of Diffrax, and what a grid can add to them."""

    non_finite = (
        "The run became non-finite. Try a smaller `dt`, or parameters nearer to their plausible "
        "range."
    )
    delay_outside = (
        "`speed` and `delays` should be within the range known or declared when the network was "
        "built (`speed_range`, `delay_range`), and weights 0 where they were 0 then."
    )


class DivergenceError(ArithmeticError):
    """A run became non-finite; the message says when, and in which variables and regions."""


class Ending(eqx.Module):
    """All that another run needs to go on as if there had been no end.

    **Attributes:**

    - `carry`: the state of everything that evolves.
    - `key`: the key of the noise, or `None`.
    - `step`: steps since the first of the connected runs began; the number of runs, where steps
        adapt.
    - `dt`: the step in ms; `None` where steps adapt.
    - `time`: ms since the first of the connected runs began.
    """

    carry: Any
    key: Any
    step: int = eqx.field(static=True)
    dt: float | None = eqx.field(static=True)
    time: float = eqx.field(static=True)


class Solution(eqx.Module):
    """What a run returns.

    **Attributes:**

    - `ys`: the model's State with leaves `(time, ...)`, or the dict that `save` asked for.
    - `y1`: the State at the end. `y0=sol.y1` restarts from it; `y0=sol` continues the run.
    - `times`: the times in ms of each output, by name. A window or step is stamped with its end.
        Statistics of a whole run have none.
    - `stats`: `num_steps`; `non_finite_by`: the time in ms of the check at which the run was first
        seen to be non-finite, infinity if it never was; `check_interval`: ms between checks;
        `non_finite`: which state variables were. Where steps adapt, also those of Diffrax.
    - `result`: `nmm.RESULTS.successful`, or why the run failed.
    - `units`: of the outputs, as far as they are declared.
    - `axes`: of the outputs that are not by region, such as sensors: names and labels.
    - `regions`: the region labels.
    - `within`: of outputs that only some regions have, in a mixture of models, which.
    - `driven`: whether inputs, or noise on a slot, arrived beside what the model itself receives.
    """

    ys: Any
    y1: Any
    times: dict[str, Any]
    stats: dict[str, Any]
    result: Any
    ending: Ending
    units: tuple[tuple[str, str | None], ...] = eqx.field(static=True)
    axes: tuple[tuple[str, Axes], ...] = eqx.field(static=True)
    regions: tuple[str, ...] | None = eqx.field(static=True)
    within: tuple[tuple[str, tuple[int, ...]], ...] = eqx.field(static=True)
    driven: bool = eqx.field(static=True)

    @property
    def ts(self) -> Any:
        """The times of the outputs, ms, `(time,)`; after `jax.vmap` with the batch axes in front.

        **Raises:**

        - `ValueError` if outputs have different times; `sol.times[name]` has those of each; or
            if nothing was saved.
        """
        if not self.times:
            raise ValueError("There are no times, since `save` asked for nothing.")
        first, *others = self.times.values()
        if isinstance(self.ys, dict) and not all(_same(first, other) for other in others):
            raise ValueError(
                "The outputs have different times; `sol.times[name]` has those of each of "
                f"{list(self.times)}."
            )
        return first

    def __getitem__(self, name: str) -> Any:
        """The output or state variable of this name.

        **Raises:**

        - `KeyError` if nothing of that name was saved.
        """
        outputs = self.outputs
        if name not in outputs:
            raise KeyError(f"{name!r} was not saved; what was is {list(outputs)}.")
        return outputs[name]

    @property
    def outputs(self) -> dict[str, Any]:
        """Every output by name."""
        values = self.ys if isinstance(self.ys, dict) else vars(self.ys)
        # JAX sorts the keys of a dict; the units still have the order that was asked for.
        return {name: values[name] for name, _ in self.units}

    def __repr__(self) -> str:
        lines = [f"Solution: {self._outcome()}"]
        units = dict(self.units)
        for name, values in self.outputs.items():
            unit = f" [{units[name]}]" if units.get(name) else ""
            shapes = ", ".join(str(x.shape) for x in jax.tree.leaves(values))
            times = _one_of_batch(self.times[name]) if name in self.times else None
            if times is None:
                span = "of all samples"
            elif not len(times):
                span = "no samples"
            elif not is_concrete(times):
                span = f"{len(times)} samples"
            else:
                span = f"{times[0]:g} to {times[-1]:g} ms"
            lines.append(f"  {name}{unit}: {shapes}, {span}")
        return "\n".join(lines)

    @property
    def _batch(self) -> tuple[int, ...]:
        """The axes that `jax.vmap` put in front of everything."""
        return np.shape(self.stats["non_finite_by"])

    def _outcome(self) -> str:
        succeeded = self.result == RESULTS.successful
        if not is_concrete(succeeded):
            return "inside of a compiled function"
        if self._batch:
            succeeded = np.asarray(succeeded)
            return f"batch of {self._batch}, {np.sum(succeeded)} of {succeeded.size} successful"
        return "successful" if succeeded else str(self.result)

    def to_xarray(self) -> Any:
        """The outputs as an `xarray.Dataset`, with named dimensions, coordinates and units.

        The dimensions are `time` (`time_<output>` of outputs with times of their own, which are
        not those of the longest) and `region`; in front of them `batch` after `jax.vmap`
        (`batch_0`, `batch_1` after several). Sensors, groups and frequencies have dimensions and
        coordinates of their own.

        `sol.to_xarray().to_netcdf("run.nc", engine="h5netcdf")` saves a run, and
        `xarray.open_dataset("run.nc")` reads it; with Zarr it is `to_zarr("run.zarr",
        zarr_format=2)` and `xarray.open_zarr`.

        **Raises:**

        - `ModuleNotFoundError` without xarray: `pip install nmm[data]`.
        """
        xr = require("xarray", "data")
        units = dict(self.units)
        longest = max(self.times.values(), key=np.size, default=None)
        batch = [f"batch_{i}" for i in range(len(self._batch))]
        batch = ["batch"] if len(batch) == 1 else batch
        arrays = {}
        for name, values in self.outputs.items():
            values = np.asarray(values)
            coordinates: dict[str, Any] = {}
            dims = list(batch)
            if name in self.times:
                dims.append("time" if _same(self.times[name], longest) else f"time_{name}")
                times = np.asarray(_one_of_batch(self.times[name]))
                coordinates[dims[-1]] = (dims[-1], times, {"units": "ms"})
            for axis, labels in self._axes(name, values.shape[len(dims) :]):
                dims.append(axis)
                if labels is not None:
                    coordinates[axis] = (axis, list(labels), _AXIS_UNITS.get(axis, {}))
            attributes = {"units": units[name]} if units.get(name) else {}
            arrays[name] = xr.DataArray(values, coordinates, dims, attrs=attributes)
        return xr.Dataset(arrays)

    def _axes(self, name: str, shape: tuple[int, ...]) -> Axes:
        """Names and labels of the axes that come after the time in an output."""
        known = dict(self.axes).get(name)
        if known is not None and len(known) == len(shape):
            clashes = {
                axis
                for other, axes in self.axes
                for axis, labels in axes
                if other != name and (axis, labels) not in known
            }
            return tuple(
                (
                    f"{axis}_{name}" if axis in clashes else axis,
                    self.regions if labels is None and axis.startswith("region") else labels,
                )
                for axis, labels in known
            )
        state = np.shape(jax.tree.leaves(self.y1)[0])[len(self._batch) :]
        prefix = "axis" if shape == state else f"{name}_axis"
        axes: list[Any] = [(f"{prefix}_{i}", None) for i in range(len(shape))]
        if shape and shape[-1:] == state[-1:]:
            axes[-1] = ("region", self.regions)
        return tuple(axes)

    def plot(self, names: list[str] | None = None, **options: Any) -> Any:
        """Draws the outputs against time; see `nmm.plot.time_series`."""
        return plot.time_series(self, names, **options)


_AXIS_UNITS = {"frequency": {"units": "Hz"}}


def _same(times: Any, others: Any) -> bool:
    return times.shape == others.shape and np.allclose(times, others)


def _one_of_batch(times: Any) -> Any:
    """Times as `(time,)`: every run of a batch has the same."""
    return times[(0,) * (times.ndim - 1)]
