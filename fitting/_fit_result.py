"""What a fit returns."""

import dataclasses
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from nmm._extras import require

from . import _paths
from ._loss import LOSS
from ._parameters import Parameters
from ._provenance import Provenance


class FitResult(eqx.Module):
    """What a fit reached, and how it got there.

    **Attributes:**

    - `parameters`: what was free: `parameters.constraints`, and `parameters.model` at the start.
    - `model`: at the end. After a stop for non-finite numbers, the last one with a finite loss.
    - `best`: the model with the lowest loss seen. With fresh noise in each step the lowest is
        partly luck: compare candidates on noise of their own before preferring it to `model`.
    - `best_loss`: that loss, NaN if there is none.
    - `history`: by name, one entry a step in front: `"loss"`, `"gradient_norm"` (in unconstrained
        numbers), each free path (in its own unit), the coefficients of those that follow
        maps, `path.a` and `path.b`, and the parts that the loss returns. The
        entries of a step belong together: the loss is that of these values.
    - `outcome`: `"completed"`, or why the fit ended before.
    - `provenance`: versions, key, options, hashes of the data, and the time it took.
    - `fresh_loss`: where all steps had the same noise, the loss of `model` for several other draws.
    - `start`: what came of the stage before, from whose best values this fit started; `None`
        without one.
    """

    parameters: Parameters
    model: Any
    best: Any
    best_loss: float
    history: dict[str, Any]
    outcome: str = eqx.field(static=True)
    provenance: Provenance
    fresh_loss: Any = None
    start: "FitResult | None" = None

    @property
    def stages(self) -> tuple["FitResult", ...]:
        """This fit, after all those it started from, first to last."""
        return (*(() if self.start is None else self.start.stages), self)

    def with_fresh_loss(self, values: Any) -> "FitResult":
        return dataclasses.replace(self, fresh_loss=values)

    def __repr__(self) -> str:
        head = "FitResult: " + "; then\n".join(stage._summary() for stage in self.stages)
        models = {"start": self.stages[0].parameters.model}
        if self.start is not None:
            models["then"] = self.parameters.model
        table = self.parameters.table(**models, end=self.model, best=self.best)
        return "\n  ".join([head, *table])

    def _summary(self) -> str:
        losses = self.history.get(LOSS, ())
        text = f"{self.outcome} ({len(losses)} steps)"
        if len(losses):
            text += f"\nloss {losses[0]:.4g} to {losses[-1]:.4g}, lowest {self.best_loss:.4g}"
        if self.fresh_loss is not None:
            mean, spread = np.mean(self.fresh_loss), np.std(self.fresh_loss)
            text += f"; on other noise {mean:.4g} ± {spread:.2g}"
        return text

    def plot(self) -> Any:
        """Draws the loss and each free parameter over the steps.

        Each stage has a panel for its loss; a dotted line parts their parameters.

        **Returns:**

        The figure.

        **Raises:**

        - `ModuleNotFoundError` without matplotlib: `pip install nmm[plot]`.
        """
        pyplot = require("matplotlib.pyplot", "plot")
        stages, paths = self.stages, list(self.parameters.constraints)
        panels = [(LOSS, (stage,)) for stage in stages] + [(path, stages) for path in paths]
        figure, axes = pyplot.subplots(
            1, len(panels), figsize=(3.5 * len(panels), 3), layout="constrained"
        )
        for axis, (name, shown) in zip(np.atleast_1d(axes), panels, strict=True):
            parts = [np.asarray(stage.history.get(name, np.empty(0))) for stage in shown]
            series = [part.reshape(len(part), -1) for part in parts if len(part)]
            axis.plot(np.concatenate(series or [[]]), linewidth=1)
            for end in np.cumsum([len(part) for part in parts])[:-1]:
                axis.axvline(end - 0.5, color="0.6", linestyle=":")
            unit = self.parameters.units.get(name, "1")
            axis.set(xlabel="step", ylabel=name if unit in ("", "1") else f"{name} ({unit})")
        return figure

    def methods(self) -> str:
        """A paragraph for the methods section of a paper."""
        losses = self.history.get(LOSS, np.full(1, np.nan))
        free = ", ".join(
            f"{path} ({constraint!r}{f', in {unit}' if unit not in ('', '1') else ''})"
            for (path, constraint), unit in zip(
                self.parameters.constraints.items(), self.parameters.units.values(), strict=True
            )
        )
        before = "" if self.start is None else f"{self.start.methods()} From its best values on: "
        text = (
            f"{before}{self.provenance.sentence(self.model)} Free were {free}. "
            f"In {len(losses)} steps ({self.outcome}) the loss went from {np.min(losses[0]):.4g} "
            f"to {np.min(losses[-1]):.4g}"
        )
        if self.fresh_loss is not None:
            text += (
                f", and was {np.mean(self.fresh_loss):.4g} ± {np.std(self.fresh_loss):.2g} (mean "
                f"and SD of {len(self.fresh_loss)}) for draws of the noise that were not fitted"
            )
        return f"{text}. {self.provenance.details()}"


def collect(
    parameters: Parameters,
    x: PyTree | None,
    rows: list[dict[str, Any]],
    outcome: str,
    provenance: Provenance,
    start: FitResult | None = None,
) -> FitResult:
    """The result of a fit that reached the free numbers `x` by these rows, after `start`."""
    history = {name: np.stack([row[name] for row in rows]) for name in rows[0]} if rows else {}
    best, best_loss = lowest(parameters, history)
    model = parameters.model if x is None else parameters.model_at(x)
    return FitResult(parameters, model, best, best_loss, history, outcome, provenance, start=start)


def lowest(parameters: Parameters, history: dict[str, Any]) -> tuple[Any, float]:
    """The model with the lowest loss of a history, and that loss."""
    losses = history.get(LOSS, np.empty(0))
    finite = np.flatnonzero(np.isfinite(losses))
    if not finite.size:
        return parameters.model, float("nan")
    n = int(finite[np.argmin(losses[finite])])
    return model_in(parameters, history, n), float(losses[n])


def model_in(parameters: Parameters, history: dict[str, Any], n: int) -> Any:
    """The model of step `n` of a history."""
    values = {path: jnp.asarray(history[path][n]) for path in parameters.constraints}
    return _paths.replace(parameters.model, values)


def last_finite(parameters: Parameters, history: dict[str, Any]) -> Any:
    """The model of the last step of a history with a finite loss, or else that at the start."""
    finite = np.flatnonzero(np.isfinite(history.get(LOSS, np.empty(0))))
    return model_in(parameters, history, int(finite[-1])) if finite.size else parameters.model


def outcome_of(rows: list[dict[str, Any]], outcome: str) -> str:
    """How one of several fits ended: as all did, unless it was not finite from some step on."""
    bad = [not np.isfinite(row[LOSS] + row.get("gradient_norm", 0.0)) for row in rows]
    since = len(bad)
    while since and bad[since - 1]:
        since -= 1
    return outcome if since == len(bad) else f"{outcome}, not finite from step {since} on"
