"""What a fit returns."""

from typing import Any

import equinox as eqx
import numpy as np

from nmm._extras import require

from . import _paths
from ._loss import LOSS
from ._parameters import Parameters, summary


class FitResult(eqx.Module):
    """What a fit reached, and how it got there.

    **Attributes:**

    - `parameters`: what was free: `parameters.constraints`, and `parameters.model` at the start.
    - `model`: at the end. After a stop for non-finite numbers, the last one with a finite loss.
    - `best`: the model with the lowest loss seen. With fresh noise in each step the lowest is
        partly luck: compare candidates on noise of their own before preferring it to `model`.
    - `best_loss`: that loss, NaN if there is none.
    - `history`: by name, one entry a step in front: `"loss"`, `"gradient_norm"` (in unconstrained
        numbers), each free path (in its own unit), and the parts that the loss returns. The
        entries of a step belong together: the loss is that of these values.
    - `outcome`: `"completed"`, or why the fit ended before.
    """

    parameters: Parameters
    model: Any
    best: Any
    best_loss: float
    history: dict[str, Any]
    outcome: str = eqx.field(static=True)

    def __repr__(self) -> str:
        losses = self.history.get(LOSS, ())
        head = f"FitResult: {self.outcome} ({len(losses)} steps)"
        if len(losses):
            head += f"\nloss {losses[0]:.4g} to {losses[-1]:.4g}, lowest {self.best_loss:.4g}"
        rows = [["path", "constraint", "unit", "start", "end", "best"]]
        for path, constraint in self.parameters.constraints.items():
            values = (
                summary(_paths.read(model, path)[path])
                for model in (self.parameters.model, self.model, self.best)
            )
            rows.append([path, repr(constraint), self.parameters.units[path], *values])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
        return "\n  ".join([head, *lines])

    def plot(self) -> Any:
        """Draws the loss and each free parameter over the steps.

        **Returns:**

        The figure.

        **Raises:**

        - `ModuleNotFoundError` without matplotlib: `pip install nmm[plot]`.
        """
        pyplot = require("matplotlib.pyplot", "plot")
        paths = list(self.parameters.constraints)
        figure, axes = pyplot.subplots(
            1, 1 + len(paths), figsize=(3.5 * (1 + len(paths)), 3), layout="constrained"
        )
        for axis, name in zip(np.atleast_1d(axes), [LOSS, *paths], strict=True):
            values = np.asarray(self.history.get(name, np.empty(0)))
            axis.plot(values.reshape(len(values), -1), linewidth=1)
            unit = self.parameters.units.get(name, "1")
            axis.set(xlabel="step", ylabel=name if unit in ("", "1") else f"{name} ({unit})")
        return figure
