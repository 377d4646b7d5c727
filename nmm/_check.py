"""A look at a finished run: is it what one meant to simulate?"""

import inspect
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np

from ._declare import Bounds, declarations, is_concrete
from ._markdown import table
from ._mixed import AbstractMixture
from .integrate import RESULTS, Solution
from .models._base import AbstractDynamics, evaluate, observables

_HZ = {"Hz": 1.0, "1/ms": 1000.0}
_PLAUSIBLE_HZ = (0.01, 200.0)


class Row(NamedTuple):
    """One output of a run, over all samples and regions.

    **Attributes:**

    - `mean`, `low`, `high`: of the mean over time of each region; the smallest and largest value.
    - `deviation`: the standard deviation over time, mean over the regions.
    - `at_bounds`: the share of samples at a declared bound; `None` if there is none.
    """

    name: str
    unit: str
    mean: float
    low: float
    high: float
    deviation: float
    at_bounds: float | None


class Check(eqx.Module):
    """What `nmm.check` found.

    **Attributes:**

    - `rows`: what there is to say about each output.
    - `warnings`: what should be looked at, in words; empty if nothing is suspicious.
    """

    rows: tuple[Row, ...] = eqx.field(static=True)
    warnings: tuple[str, ...] = eqx.field(static=True)

    @property
    def ok(self) -> bool:
        """Whether there is nothing to warn of."""
        return not self.warnings

    def __repr__(self) -> str:
        header = ("output", "unit", "mean", "smallest", "largest", "deviation", "samples at bounds")
        rows = [
            (
                row.name,
                row.unit,
                *(f"{x:.4g}" for x in (row.mean, row.low, row.high, row.deviation)),
                "" if row.at_bounds is None else f"{row.at_bounds:.2%}",
            )
            for row in self.rows
        ]
        lines = [f"- {warning}" for warning in self.warnings] or ["Nothing suspicious."]
        return "\n".join([*([table(header, rows), ""] if rows else []), *lines])

    def _repr_markdown_(self) -> str:
        return repr(self)


def check(
    solution: Solution,
    model: AbstractDynamics | None = None,
    *,
    plausible: Mapping[str, Bounds] | None = None,
) -> Check:
    """Looks at what a run has saved, and warns in words.

    It warns of a run that failed; of values that are not finite; of regions whose mean over time is
    out of the plausible range, whose signal does not change, or whose mean still moves from the
    first half of the run to the second by more than twice its deviation; and of variables at their
    declared bounds. A variable that was clipped after a step is exactly at its bound, so that the
    share of samples there is the share of clipped steps: exactly if every step was saved, else an
    estimate from the samples there are. A run that saves fewer counts every step where it is asked
    to, by `nmm.observe.TemporalAverage(period, clipped)` of a function such as
    `clipped = lambda t, state, inputs: jnp.where(state.S_i == 0.0, 1.0, 0.0)`.

    **Arguments:**

    - `solution`: of `nmm.simulate`, alone or from `jax.vmap`. Only what was saved is looked at.
    - `model`: that was simulated. With it, and if whole states were saved, the firing rates that
        it declares are looked at too: those of the state alone, where what arrived was not saved
        (with delays, with `inputs` of the run, and with noise on a slot).
    - `plausible`: ranges of the mean over time by output, as in `{"H_e": (1.0, 10.0)}`. By default
        every output in Hz or 1/ms should be between 0.01 and 200 Hz.

    **Returns:**

    A `nmm.Check`, which prints a table and the warnings.

    **Raises:**

    - `ValueError` if the solution is not known yet (inside of `jax.jit`), or if `plausible` names
        what was not saved.
    """
    if not is_concrete(solution.stats["non_finite_by"]):
        raise ValueError("`solution` should be known; check it outside of `jax.jit`.")
    signals = _signals(solution, model)
    plausible = dict(plausible or {})
    if unknown := plausible.keys() - signals.keys():
        raise ValueError(
            f"`plausible` should name outputs, some of {list(signals)}; got {sorted(unknown)}."
        )
    bounds = {name: d.bounds for name, d in declarations(type(solution.y1)).items()}
    rows, words = [], list(_failure(solution))
    with warnings.catch_warnings():
        # NumPy warns of the mean of a region that is NaN throughout, which is reported in words.
        warnings.simplefilter("ignore", RuntimeWarning)
        for name, signal in signals.items():
            limits = bounds.get(name)
            rows.append(signal.row(limits))
            words.extend(signal.not_finite())
            words.extend(signal.implausible(plausible.get(name) or signal.usual()))
            words.extend(signal.still_or_drifting())
            words.extend(signal.clipped(limits))
    return Check(tuple(rows), tuple(words))


class _Signal(NamedTuple):
    """An output with its time in front and its regions last; NaN where it is not finite."""

    name: str
    unit: str
    values: np.ndarray
    labels: tuple[str, ...] | None

    def row(self, bounds: Bounds | None) -> Row:
        values = self.values
        return Row(
            name=self.name,
            unit=self.unit,
            mean=float(np.nanmean(values)),
            low=float(np.nanmin(values)),
            high=float(np.nanmax(values)),
            deviation=float(np.nanmean(np.nanstd(values, axis=0))),
            at_bounds=None if bounds is None else float(self._at(bounds).mean()),
        )

    def not_finite(self) -> Iterator[str]:
        bad = ~np.isfinite(self.values)
        if bad.any():
            yield f"`{self.name}` is not finite in {self._where(bad.any(axis=0))}."

    def usual(self) -> Bounds:
        """The range that is plausible by default."""
        if self.unit not in _HZ:
            return None, None
        low, high = _PLAUSIBLE_HZ
        return low / _HZ[self.unit], high / _HZ[self.unit]

    def implausible(self, limits: Bounds) -> Iterator[str]:
        mean = np.nanmean(self.values, axis=0)
        for limit, side, outside, extreme in (
            (limits[0], "below", np.less, np.nanmin),
            (limits[1], "above", np.greater, np.nanmax),
        ):
            if limit is not None and np.any(where := outside(mean, limit)):
                yield (
                    f"The mean of `{self.name}` is {side} {limit:g} {self.unit} in "
                    f"{self._where(where)}, {extreme(mean):.4g} in the farthest."
                )

    def still_or_drifting(self) -> Iterator[str]:
        half = len(self.values) // 2
        if half < 2:
            return
        first, second = self.values[:half], self.values[-half:]
        scale = np.nanmax(np.abs(self.values), axis=0)
        deviation = np.nanstd(self.values, axis=0)
        still = deviation <= 1e-6 * scale
        if still.any():
            yield f"`{self.name}` does not change in {self._where(still)}."
        moved = np.abs(np.nanmean(second, axis=0) - np.nanmean(first, axis=0))
        within = np.maximum(np.nanstd(first, axis=0), np.nanstd(second, axis=0))
        drifting = ~still & (moved > 2 * within)
        if drifting.any():
            yield (
                f"The mean of `{self.name}` still moves in {self._where(drifting)}: from the first "
                "half of the samples to the second by more than twice its deviation. A longer "
                "`transient` or run may be needed."
            )

    def clipped(self, bounds: Bounds | None) -> Iterator[str]:
        if bounds is not None and (at := self._at(bounds)).any():
            yield (
                f"`{self.name}` is at its bound in {at.mean():.2%} of the samples, in "
                f"{self._where(at.any(axis=0))}: clipped after the step, or never off its start."
            )

    def _at(self, bounds: Bounds) -> np.ndarray:
        limits = [self.values.dtype.type(limit) for limit in bounds if limit is not None]
        return np.isin(self.values, limits)

    def _where(self, regions: Any) -> str:
        """Which regions, in words, given `(..., regions)`."""
        number = regions.shape[-1]
        if number == 1:
            return "the region"
        which = np.flatnonzero(regions.reshape(-1, number).any(axis=0))
        labels = self.labels if self.labels and len(self.labels) == number else range(number)
        names = ", ".join(str(labels[i]) for i in which[:5])
        more = f" and {len(which) - 5} more" if len(which) > 5 else ""
        return f"{len(which)} of {number} regions ({names}{more})"


def _signals(solution: Solution, model: AbstractDynamics | None) -> dict[str, _Signal]:
    """What was saved, and the rates that follow from it."""
    units, within = dict(solution.units), dict(solution.within)
    arrays = {k: (v, units.get(k)) for k, v in solution.outputs.items() if eqx.is_array(v)}
    if model is not None and not isinstance(solution.ys, dict):
        rates = _rates(solution, model)
        arrays |= rates
        if isinstance(model.node, AbstractMixture):
            within |= {name: model.node.regions_of(name) for name in rates}
    batch = np.ndim(solution.stats["non_finite_by"])
    signals = {}
    for name, (values, unit) in arrays.items():
        values = np.moveaxis(np.asarray(values), batch, 0)
        values = values if values.ndim > batch + 1 else values[..., None]
        labels = solution.regions
        if (some := within.get(name)) is not None:
            values = values[..., list(some)]
            labels = tuple(str(labels[i] if labels else i) for i in some)
        if values.size:
            values = np.where(np.isfinite(values), values, np.nan)
            signals[name] = _Signal(name, unit or "", values, labels)
    return signals


def _rates(solution: Solution, model: AbstractDynamics) -> dict[str, tuple[Any, str]]:
    """The firing rates that a model declares, from whole states."""
    node = model.node
    # What arrived with delay, or from outside, was not saved.
    unknown = solution.driven or getattr(model, "delayed", False)
    units = {
        name: unit
        for name, (unit, _) in observables(node).items()
        if unit in _HZ and not (unknown and _takes_inputs(node, name))
    }

    def rates(t: Any, state: Any) -> dict[str, Any]:
        def received() -> Any:
            return model.receive(t, state, node.Inputs())

        return {name: evaluate(node, name, state, received) for name in units}

    over = jax.vmap(rates)
    for _ in range(np.ndim(solution.stats["non_finite_by"])):
        over = jax.vmap(over)
    values = jax.jit(over)(solution.ts, solution.ys)
    return {name: (values[name], unit) for name, unit in units.items()}


def _takes_inputs(node: Any, name: str) -> bool:
    return len(inspect.signature(getattr(node, name)).parameters) > 1


def _failure(solution: Solution) -> Iterator[str]:
    result = solution.result
    failed = np.asarray((result != RESULTS.successful) & (result != RESULTS.event_occurred))
    if failed.ndim and failed.any():
        yield f"{failed.sum()} of {failed.size} runs failed."
    elif failed.any():
        yield f"The run failed: {RESULTS[result]}"
