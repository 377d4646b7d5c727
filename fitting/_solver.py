"""Minimisers and methods for least squares of Optimistix."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from ._checkpoint import strong
from ._loop import AbstractMethod, Row
from ._loss import LOSS, RESIDUALS, Loss, mean_over_seeds, split, with_parts
from ._non_finite import OnNonFinite, noted, raised, report, row_of_nan
from ._parameters import Parameters


class _Problem(eqx.Module):
    """The loss as Optimistix calls it."""

    loss: Loss
    parameters: Parameters
    key: Any
    seeds: int
    squares: bool

    def __call__(self, x: PyTree, args: None) -> tuple[Any, Row]:
        del args
        values = self.parameters.reported(x)
        output = mean_over_seeds(self.loss, self.parameters.model_at(x), self.key, self.seeds)
        value, parts = split(output)
        residuals = parts.pop(RESIDUALS, None)
        row = with_parts({LOSS: value, **values}, parts)
        if not self.squares:
            return value, row
        if residuals is None:
            raise ValueError(
                f'`loss` should have a part named "{RESIDUALS}" for a method for least squares, as '
                f"`fitting.objectives.residuals` returns it; its parts are {list(parts)}."
            )
        return residuals, row


@eqx.filter_jit
def _init(solver: Any, problem: _Problem, x: PyTree, options: dict) -> Any:
    shapes = eqx.filter_eval_shape(problem, x, None)
    return solver.init(problem, x, None, options, *shapes, frozenset())


@eqx.filter_jit
def _step(solver: Any, problem: _Problem, x: PyTree, state: Any, options: dict) -> Any:
    x, state, row = solver.step(problem, x, None, options, state, frozenset())
    ending = solver.terminate(problem, x, None, options, state, frozenset())
    # Some methods give the row of the step before, and keep the one of this.
    return x, state, (getattr(state, "aux", row), row), ending


@eqx.filter_jit
def _evaluate(problem: _Problem, x: PyTree) -> Row:
    return problem(x, None)[1]


@dataclasses.dataclass
class Solver(AbstractMethod):
    """Iterations of Optimistix, on one draw of the noise.

    **Attributes:**

    - `loss`, `parameters`, `key`, `seeds`: as in `fitting.fit`.
    - `solver`: an `optimistix.AbstractMinimiser` or `AbstractLeastSquaresSolver`.
    - `mode`: of the gradient or Jacobian; in `"auto"` mode that of Optimistix.
    - `on_non_finite`: `"raise"`, or else it stops.
    """

    loss: Loss
    parameters: Parameters
    solver: Any
    key: Any
    mode: str
    seeds: int
    on_non_finite: OnNonFinite

    def __post_init__(self) -> None:
        import optimistix

        squares = isinstance(self.solver, optimistix.AbstractLeastSquaresSolver)
        if not squares and not isinstance(self.solver, optimistix.AbstractMinimiser):
            raise TypeError(
                "`optimizer` should be one of Optax, a minimiser or method for least squares of "
                f"Optimistix, or a `fitting.CMA`, got {self.solver!r}."
            )
        self._problem = _Problem(self.loss, self.parameters, self.key, self.seeds, squares)
        direction = {"forward": "fwd", "reverse": "bwd"}.get(self.mode)
        name = "jac" if squares else "autodiff_mode"
        self._options = {} if direction is None else {name: direction}

    def init(self) -> Any:
        x = strong(self.parameters.to_unconstrained(self.parameters.start))
        state = _init(self.solver, self._problem, x, self._options)
        # What is no array in the state is the same in every step, and not for a file.
        changing, self._static = eqx.partition(state, eqx.is_array)
        return x, strong(changing), x

    def reached(self, carry: Any) -> PyTree:
        return carry[2]

    def advance(self, carry: Any, n: int, rows: list[Row]) -> tuple[Any, Row, str | None]:
        import optimistix

        x, state, good = carry
        try:
            with noted(n, lambda: self.parameters.from_unconstrained(carry[0])):
                x, state, row, (done, result) = self._step(x, state)
        except eqx.EquinoxRuntimeError as error:
            if self.on_non_finite == "raise" or not rows:
                raise
            values = jax.device_get(self.parameters.from_unconstrained(x))
            ending = report(raised(error), n, values, self.on_non_finite)
            return carry, row_of_nan(rows[-1], values), ending
        moved = all(np.all(np.isfinite(value)) for value in jax.tree.leaves(x))
        if not moved or not np.isfinite(row[LOSS]):
            values = jax.device_get(self.parameters.from_unconstrained(x if moved else carry[0]))
            ending = report(f"The loss became {row[LOSS]}", n, values, self.on_non_finite)
            return (x, state, good), row, ending
        if result != optimistix.RESULTS.successful:
            values = {path: row[path] for path in self.parameters.constraints}
            failure = " ".join(optimistix.RESULTS[result].split()) or "it failed"
            ending = report(f"The solver gave up ({failure})", n, values, self.on_non_finite)
            return (x, state, jax.tree.map(jnp.asarray, x)), row, ending
        return (x, state, jax.tree.map(jnp.asarray, x)), row, "converged" if done else None

    def _step(self, x: PyTree, state: Any) -> tuple[PyTree, Any, Row, Any]:
        """The numbers, the state, and the row and the ending that belong to them."""
        state = eqx.combine(state, self._static)
        x, state, rows_of, ending = _step(self.solver, self._problem, x, state, self._options)
        row = next((row for row in rows_of if self._belongs(row, x)), None)
        if row is None:  # The first row of some methods is empty.
            row = _evaluate(self._problem, x)
        return x, eqx.filter(state, eqx.is_array), jax.device_get(row), ending

    def _belongs(self, row: Row, x: PyTree) -> bool:
        values = self.parameters.from_unconstrained(x)
        return all(np.allclose(row[path], value, equal_nan=True) for path, value in values.items())
