"""How well data determine what was fitted: standard errors from the curvature of a likelihood."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from nmm._custom_types import Key

from . import _paths
from ._fit_result import FitResult
from ._loss import Loss, call, split
from ._table import as_text


class Uncertainty(eqx.Module):
    """The normal distribution about a fit that its likelihood has. It prints as a table.

    **Attributes:**

    - `values`: what was fitted, by path; of a `fitting.Regression` also `path.a` and `path.b`.
    - `standard_errors`: of each value, by path, in its unit. NaN where the curvature is not
        positive: the data do not determine the parameters, or the fit is not at the minimum.
    - `covariance`: of all values, paths in alphabetical order, `(values, values)`.
    - `hessian`: of the negative log-likelihood, in the unconstrained numbers that the optimiser
        moves, `(numbers, numbers)`.
    - `units`: by path.
    """

    values: dict[str, np.ndarray]
    standard_errors: dict[str, np.ndarray]
    covariance: np.ndarray
    hessian: np.ndarray
    units: dict[str, str] = eqx.field(static=True)

    @property
    def correlation(self) -> np.ndarray:
        """Of the errors of all values, `(values, values)`."""
        errors = np.sqrt(np.diagonal(self.covariance))
        return self.covariance / np.outer(errors, errors)

    @property
    def eigenvalues(self) -> np.ndarray:
        """Of the Hessian, the largest first. What spans many decades is not determined by all."""
        return np.linalg.eigvalsh(self.hessian)[::-1]

    def __repr__(self) -> str:
        rows = [["value", "unit", "estimate", "standard error"]]
        for path, values in self.values.items():
            errors = np.ravel(self.standard_errors[path])
            for i, (value, error) in enumerate(zip(np.ravel(values), errors, strict=True)):
                name = path if np.ndim(values) == 0 else f"{path}[{i}]"
                rows.append([name, self.units.get(path, ""), f"{value:.4g}", f"{error:.2g}"])
        largest, *_, smallest = (*self.eigenvalues, self.eigenvalues[-1])
        head = f"Uncertainty: eigenvalues of the Hessian {largest:.3g} to {smallest:.3g}"
        if not smallest > 0:
            head += "; not at a minimum, or not determined by the data"
        return "\n  ".join([head, *as_text(rows)])


def uncertainty(loss: Loss, fit: FitResult, *, key: Key | None = None) -> Uncertainty:
    r"""Standard errors of what was fitted, from the Hessian of a negative log-likelihood.

    $$\mathrm{cov} = J H^{-1} J^T$$

    with the Hessian $H$ in unconstrained numbers, and the derivative $J$ of the values by them.
    For large samples it is the covariance of the maximum-likelihood estimate (and Laplace's
    approximation of the posterior). The Fisher information is the same Hessian with data that are
    what the fitted model expects: give the loss the prediction in place of the data.

    ```python
    def loss(net):
        response = nmm.analysis.linear_response(net, save=["S"])
        return fitting.objectives.wishart(response.covariance(), empirical, samples)

    fit = fitting.fit(loss, net, free=["coupling.G"])
    print(fit, fitting.uncertainty(loss, fit))
    ```

    **Arguments:**

    - `loss`: the negative log-likelihood, in full and without penalties, such as
        `fitting.objectives.wishart` or `whittle`; as in `fitting.fit`.
    - `fit`: what was fitted; the Hessian is taken at `fit.model`.
    - `key`: of the random numbers in the loss, if it has any.

    **Returns:**

    A `fitting.Uncertainty`.
    """
    parameters = fit.parameters
    values = {path: _paths.read(fit.model, path)[path] for path in parameters.constraints}
    numbers = parameters.to_unconstrained(values)
    x, unravel = ravel_pytree(numbers)
    values |= {n: v for n, v in parameters.reported(numbers).items() if n not in values}
    hessian, slope = jax.device_get(_curvature(loss, parameters, x, unravel, key))
    errors = np.full(len(slope), np.nan)
    covariance = np.full((len(slope), len(slope)), np.nan)
    eigenvalues, directions = np.linalg.eigh(hessian)
    if np.all(np.isfinite(hessian)) and eigenvalues[0] > 0:
        half = slope @ directions / np.sqrt(eigenvalues)
        covariance = half @ half.T
        errors = np.sqrt(np.diagonal(covariance))
    _, back = ravel_pytree(values)
    by_path = {path: np.asarray(e) for path, e in back(jnp.asarray(errors, x.dtype)).items()}
    known = {path: np.asarray(value) for path, value in values.items()}
    return Uncertainty(known, by_path, covariance, hessian, parameters.units)


@eqx.filter_jit
def _curvature(
    loss: Loss, parameters: Any, x: Float[Array, " numbers"], unravel: Any, key: Key | None
) -> tuple[Float[Array, "numbers numbers"], Float[Array, "values numbers"]]:
    """The Hessian of the loss, and the derivatives of the values by the unconstrained numbers."""

    def objective(x: Array) -> Array:
        return split(call(loss, parameters.model_at(unravel(x)), key))[0]

    def values(x: Array) -> Array:
        return ravel_pytree(parameters.reported(unravel(x)))[0]

    hessian = jax.hessian(objective)(x)
    return (hessian + hessian.T) / 2, jax.jacfwd(values)(x)
