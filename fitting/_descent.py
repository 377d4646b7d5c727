"""Descent along the gradient by an optimiser of Optax, and what to do where it is not finite."""

import contextlib
import dataclasses
import warnings
from typing import Any, Literal, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from ._checkpoint import strong
from ._gradient import forward_is_faster
from ._loop import AbstractMethod, Row
from ._loss import LOSS, message
from ._parameters import summary
from ._training import Record, Training

OnNonFinite: TypeAlias = Literal["stop", "skip", "shrink", "raise"]

# Compiled once for all fits that differ in numbers alone.
_step: Any = eqx.filter_jit(Training.step)

_ADVICE = "Try a smaller learning rate, or tighter constraints."

_MOST_HALVINGS = 20


@dataclasses.dataclass
class Descent(AbstractMethod):
    """Steps of an optimiser of Optax.

    **Attributes:**

    - `training`: the step.
    - `key`: of the random numbers in the loss.
    - `on_non_finite`: what to do where anything is not finite.
    - `memory`: if given, the mode is the one expected to be faster, as far as there is memory.
    """

    training: Training
    key: Any
    on_non_finite: OnNonFinite
    memory: float | None

    def init(self) -> Any:
        x, state = strong(self.training.init())
        if self.memory is not None:
            self.training = _choose_mode(self.training, x, state, self.key, self.memory)
            self.memory = None
        return x, state, x, np.zeros((), int)

    def reached(self, carry: Any) -> PyTree:
        return carry[0]

    def advance(self, carry: Any, n: int, rows: list[Row]) -> tuple[Any, Row, str | None]:
        x, state, good_x, failures = carry
        try:
            new_x, new_state, record = _step(self.training, x, state, self.key, jnp.asarray(n))
        except eqx.EquinoxRuntimeError as error:
            values = jax.device_get(self.training.parameters.from_unconstrained(x))
            error.add_note(f"This was in step {n}, at {listed(values)}.")
            if self.on_non_finite == "raise" or not rows:
                raise
            new_x, new_state = x, state
            row = _row_of_nan(rows[-1]) | values
            problem = f"The loss raised an error ({message(error)})"
        else:
            row = jax.device_get(record.row)
            problem = _problem(record)
        if not problem:
            return (new_x, new_state, x, np.zeros((), int)), row, None
        values = {path: row[path] for path in self.training.parameters.constraints}
        problem = f"{problem} in step {n}, at {listed(values)}."
        if self.on_non_finite == "raise":
            raise FloatingPointError(f"{problem} {_ADVICE}")
        warnings.warn(f"{problem} {_ADVICE}", stacklevel=4)
        if self.on_non_finite == "skip" and self.training.fresh_noise and self.key is not None:
            return (new_x, new_state, good_x, failures + 1), row, None
        moved = any(map(np.any, jax.tree.leaves(jax.tree.map(jnp.not_equal, x, good_x))))
        if self.on_non_finite == "shrink" and moved and failures < _MOST_HALVINGS:
            half = jax.tree.map(lambda good, bad: good + (bad - good) / 2, good_x, x)
            return (half, new_state, good_x, failures + 1), row, None
        return (good_x, new_state, good_x, failures + 1), row, f"stopped: {problem}"


def _choose_mode(training: Training, x: PyTree, state: PyTree, key: Any, memory: float) -> Training:
    """The step in the mode that is expected to be faster, and that has the memory it needs."""
    if forward_is_faster(x) or not _fits(training, x, state, key, memory):
        forward = dataclasses.replace(training, mode="forward")
        # Some losses have no forward mode: those with an adjoint of Diffrax, say.
        with contextlib.suppress(TypeError):
            # What is traced here is what runs afterwards, not traced again.
            _step.lower(forward, x, state, key, jnp.asarray(0))
            return forward
    return training


def _fits(training: Training, x: PyTree, state: PyTree, key: Any, memory: float) -> bool:
    if memory == np.inf:
        return True
    compiled = _step.lower(training, x, state, key, jnp.asarray(0)).compile().compiled
    usage = compiled.memory_analysis()  # Not every backend tells.
    return usage is None or usage.temp_size_in_bytes <= memory


def listed(values: dict[str, Any]) -> str:
    """Values by path, in a few words."""
    return ", ".join(f"{path} = {summary(value)}" for path, value in values.items())


def _problem(record: Record) -> str:
    """What was non-finite, if anything."""
    finite = jax.device_get(record.finite)
    if not finite["loss"]:
        return f"The loss became {record.row[LOSS]}"
    for what in ("gradient", "update"):
        bad = [f"`{path}`" for path, good in finite[what].items() if not good]
        if bad:
            return f"The {what} of {', '.join(bad)} became non-finite"
    return ""


def _row_of_nan(like: Row) -> Row:
    """The row of a step that reported nothing."""
    return {name: np.full(np.shape(entry), np.nan) for name, entry in like.items()}
