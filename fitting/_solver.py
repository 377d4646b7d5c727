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
from ._loss import LOSS, RESIDUALS, Loss, mean_over_seeds, split
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
        values = self.parameters.from_unconstrained(x)
        output = mean_over_seeds(self.loss, self.parameters.model_at(x), self.key, self.seeds)
        value, parts = split(output)
        residuals = parts.pop(RESIDUALS, None)
        row = {LOSS: value, **values, **parts}
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
    done = solver.terminate(problem, x, None, options, state, frozenset())[0]
    # Some methods give the row of the step before, and keep the one of this.
    return x, state, (getattr(state, "aux", row), row), done


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
    """

    loss: Loss
    parameters: Parameters
    solver: Any
    key: Any
    mode: str
    seeds: int

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
        x, state, good = carry
        state = eqx.combine(state, self._static)
        x, state, rows_of, done = _step(self.solver, self._problem, x, state, self._options)
        row = next((row for row in rows_of if self._belongs(row, x)), None)
        if row is None:  # The first row of some methods is empty.
            row = _evaluate(self._problem, x)
        state, row = eqx.filter(state, eqx.is_array), jax.device_get(row)
        finite = np.isfinite(row[LOSS]) and all(
            np.all(np.isfinite(value)) for value in jax.tree.leaves(x)
        )
        if not finite and not rows:
            return (x, state, good), row, "stopped: The loss at the start is not finite."
        good = jax.tree.map(jnp.asarray, x) if finite else good
        return (x, state, good), row, "converged" if done else None

    def _belongs(self, row: Row, x: PyTree) -> bool:
        values = self.parameters.from_unconstrained(x)
        return all(np.allclose(row[path], value, equal_nan=True) for path, value in values.items())
