"""What a run returns."""

from typing import Any

import diffrax
import equinox as eqx
import jax
import numpy as np


class RESULTS(diffrax.RESULTS):
    """Outcome of a run: those of Diffrax, and what a grid can add to them."""

    non_finite = (
        "The run became non-finite. Try a smaller `dt`, or parameters nearer to their plausible "
        "range."
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
    - `stats`: `num_steps`; `non_finite_by`: the time in ms of the check at which the run was first
        seen to be non-finite, infinity if it never was; `check_interval`: ms between checks;
        `non_finite`: which state variables were. Where steps adapt, also those of Diffrax.
    - `result`: `nmm.RESULTS.successful`, or why the run failed.
    - `units`, `regions`: of the outputs, as far as they are declared, and the region labels.
    """

    ys: Any
    y1: Any
    times: dict[str, Any]
    stats: dict[str, Any]
    result: Any
    ending: Ending
    units: tuple[tuple[str, str | None], ...] = eqx.field(static=True)
    regions: tuple[str, ...] | None = eqx.field(static=True)

    @property
    def ts(self) -> Any:
        """The times of the outputs, ms, `(time,)`.

        **Raises:**

        - `ValueError` if outputs have different times; `sol.times[name]` has those of each; or
            if nothing was saved.
        """
        if not self.times:
            raise ValueError("There are no times, since `save` asked for nothing.")
        first, *others = self.times.values()
        for other in others:
            if len(other) != len(first) or not np.allclose(first, other):
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
            raise KeyError(f"{name!r} was not saved; `save` asked for {list(outputs)}.")
        return outputs[name]

    @property
    def outputs(self) -> dict[str, Any]:
        """Every output by name."""
        return self.ys if isinstance(self.ys, dict) else dict(vars(self.ys))

    def __repr__(self) -> str:
        lines = [f"Solution: {self._outcome()}"]
        units = dict(self.units)
        for name, values in self.outputs.items():
            times = self.times[name]
            span = f"{times[0]:g} to {times[-1]:g} ms" if len(times) else "no samples"
            unit = f" [{units[name]}]" if units.get(name) else ""
            leaves = jax.tree.leaves(values)
            lines.append(f"  {name}{unit}: {', '.join(str(x.shape) for x in leaves)}, {span}")
        return "\n".join(lines)

    def _outcome(self) -> str:
        try:
            succeeded = bool(self.result == RESULTS.successful)
        except jax.errors.ConcretizationTypeError:
            return "of a compiled function"
        except ValueError:
            return "of a batch"
        return "successful" if succeeded else str(self.result)

    def to_xarray(self) -> Any:
        """The outputs as an `xarray.Dataset` with named dimensions, coordinates and units.

        **Raises:**

        - `ModuleNotFoundError` without xarray: `pip install nmm[data]`.
        """
        from .._extras import require

        xr = require("xarray", "data")
        units = dict(self.units)
        shared = len({len(t) for t in self.times.values()}) == 1 and _same(self.times)
        arrays = {}
        for name, values in self.outputs.items():
            values = np.asarray(values)
            time = "time" if shared else f"time_{name}"
            axes = [time, *(["region"] if values.ndim > 1 else [])]
            axes += [f"axis_{i}" for i in range(values.ndim - len(axes))]
            coordinates: dict[str, Any] = {time: (time, self.times[name], {"units": "ms"})}
            if self.regions is not None and values.ndim > 1:
                coordinates["region"] = list(self.regions)
            attributes = {"units": units[name]} if units.get(name) else {}
            arrays[name] = xr.DataArray(values, coordinates, axes, attrs=attributes)
        return xr.Dataset(arrays)

    def plot(self, names: list[str] | None = None, **options: Any) -> Any:
        """Draws the outputs against time; see `nmm.plot.time_series`."""
        from .. import plot

        return plot.time_series(self, names, **options)


def _same(times: dict[str, Any]) -> bool:
    first, *others = times.values()
    return all(np.allclose(first, other) for other in others)
