"""Several fits, as starts of one or of several subjects."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from nmm._extras import require

from . import _paths
from ._fit_result import FitResult
from ._loss import LOSS
from ._parameters import summary
from ._structures import Regression
from ._table import as_text


class Fits(eqx.Module):
    """Several fits of the same parameters.

    **Attributes:**

    - `fits`: a `fitting.FitResult` each.
    - `losses`: by which they are compared: with a key, the mean over draws of the noise that no fit
        had, the same draws for all of one loss; else the loss in the last step. NaN where there is
        none, as for a start that was given up.
    - `labels`: of the fits.
    - `dim`: what they are: `"start"` or `"subject"`.
    """

    fits: tuple[FitResult, ...]
    losses: np.ndarray
    labels: tuple[str, ...] = eqx.field(static=True)
    dim: str = eqx.field(static=True)

    @property
    def best(self) -> FitResult:
        """The fit with the lowest of `losses`.

        **Raises:**

        - `ValueError` if none of them is finite.
        """
        if not np.any(np.isfinite(self.losses)):
            raise ValueError("No fit has a finite loss.")
        return self.fits[int(np.nanargmin(np.where(np.isfinite(self.losses), self.losses, np.nan)))]

    def __getitem__(self, label: str | int) -> FitResult:
        if isinstance(label, str) and label not in self.labels:
            raise KeyError(f"There is no {self.dim} {label!r}, but {list(self.labels)}.")
        return self.fits[self.labels.index(label) if isinstance(label, str) else label]

    def __len__(self) -> int:
        return len(self.fits)

    @property
    def values(self) -> dict[str, np.ndarray]:
        """What was reached, by path, the fits in front."""
        paths = self.fits[0].parameters.constraints
        return {
            path: np.stack([np.asarray(_paths.read(fit.model, path)[path]) for fit in self.fits])
            for path in paths
        }

    def agreement(self) -> dict[str, dict[str, float]]:
        """By regional path, how far the fits agree on which region has which value.

        Fits without a loss (given up, or not finite) are left aside.

        **Returns:**

        `"correlation"` over regions, the mean of all pairs of fits; `"between regions"`, the
        standard deviation over regions of the mean of the fits; and `"between fits"`, that over
        fits, the mean over regions. Where the last exceeds the one before, values of single regions
        should not be interpreted.
        """
        report = {}
        for path, of_all in self.values.items():
            values = of_all[np.isfinite(self.losses)]
            if values.ndim != 2 or len(values) < 2:
                continue
            with np.errstate(invalid="ignore"):
                pairs = np.corrcoef(values)[np.triu_indices(len(values), 1)]
            report[path] = {
                "correlation": float(np.mean(pairs)),
                "between regions": float(np.std(values.mean(axis=0))),
                "between fits": float(np.mean(np.std(values, axis=0))),
            }
        return report

    def to_xarray(self) -> Any:
        """The table of the fits as an `xarray.Dataset`: loss, and start and end of each path.

        Values of all regions have the dimension `"region"`, others dimensions of their own. Of a
        `fitting.Regression` there are the intercept and the slopes, too, as `path.a` and `path.b`.

        **Raises:**

        - `ModuleNotFoundError` without xarray: `pip install nmm[data]`.
        """
        xr = require("xarray", "data")
        arrays: dict[str, Any] = {LOSS: (self.dim, self.losses)}
        regions = getattr(self.fits[0].model, "shape", ())
        units = self.fits[0].parameters.units
        for path, values in self.values.items():
            dims = [self.dim, *(f"{path}_{i}" for i in range(values.ndim - 1))]
            if values.shape[1:] == regions:
                dims[1:] = ["region"] * len(regions)
            starts = np.stack([np.asarray(fit.parameters.start[path]) for fit in self.fits])
            attributes = {"units": units[path]} if units[path] else {}
            arrays[path] = (dims, values, attributes)
            arrays[f"{path}_start"] = (dims, starts, attributes)
            constraint = self.fits[0].parameters.constraints[path]
            if isinstance(constraint, Regression):
                x = np.stack([constraint.to_unconstrained(jnp.asarray(one)) for one in values])
                arrays[f"{path}.a"] = (self.dim, x[:, 0])
                arrays[f"{path}.b"] = ([self.dim, f"{path}_map"], x[:, 1:])
        return xr.Dataset(arrays, {self.dim: list(self.labels)})

    def __repr__(self) -> str:
        paths = list(self.fits[0].parameters.constraints)
        rows = [[self.dim, "steps", "loss", *paths, "outcome"]]
        for label, fit, loss in zip(self.labels, self.fits, self.losses, strict=True):
            ends = (summary(_paths.read(fit.model, path)[path]) for path in paths)
            steps = str(len(fit.history.get(LOSS, ())))
            rows.append([label, steps, f"{loss:.4g}", *ends, fit.outcome])
        return "\n  ".join([f"Fits: {len(self.fits)} of a kind", *as_text(rows)])

    def plot(self, ax: Any = None) -> Any:
        """Draws the losses over the steps.

        **Returns:**

        The figure.

        **Raises:**

        - `ModuleNotFoundError` without matplotlib: `pip install nmm[plot]`.
        """
        if ax is None:
            ax = require("matplotlib.pyplot", "plot").subplots(layout="constrained")[1]
        for label, fit in zip(self.labels, self.fits, strict=True):
            ax.plot(fit.history.get(LOSS, ()), linewidth=1, label=f"{self.dim} {label}")
        ax.set(xlabel="step", ylabel=LOSS)
        if len(self.fits) <= 10:
            ax.legend(frameon=False)
        return ax.figure
