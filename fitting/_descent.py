"""Descent along the gradient by an optimiser of Optax, and what to do where it is not finite."""

import contextlib
import dataclasses
import warnings
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from ._checkpoint import strong
from ._gradient import Mode, forward_is_faster
from ._loop import AbstractMethod, Row
from ._loss import LOSS
from ._non_finite import OnNonFinite, noted, raised, report, row_of_nan
from ._training import Record, Training

# Compiled once for all fits that differ in numbers alone.
_step: Any = eqx.filter_jit(Training.step)

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
            arguments = (x, state, self.key, jnp.asarray(0))
            # What is traced, or compiled, here is what runs afterwards, not once more.
            self.training = choose_mode(
                self.training, x, lambda training: _step.lower(training, *arguments), self.memory
            )
            self.memory = None
        return x, state, x, np.zeros((), int)

    def reached(self, carry: Any) -> PyTree:
        return carry[0]

    def advance(self, carry: Any, n: int, rows: list[Row]) -> tuple[Any, Row, str | None]:
        x, state, good_x, failures = carry
        try:
            with noted(n, lambda: self.training.parameters.from_unconstrained(x)):
                new_x, new_state, record = _step(self.training, x, state, self.key, jnp.asarray(n))
        except eqx.EquinoxRuntimeError as error:
            if self.on_non_finite == "raise" or not rows:
                raise
            new_x, new_state = x, state
            values = jax.device_get(self.training.parameters.from_unconstrained(x))
            row, problem = row_of_nan(rows[-1], values), raised(error)
        else:
            row = jax.device_get(record.row)
            problem = _problem(record)
        if not problem:
            return (new_x, new_state, x, np.zeros((), int)), row, None
        values = {path: row[path] for path in self.training.parameters.constraints}
        ending = report(problem, n, values, self.on_non_finite)
        if self.on_non_finite == "skip" and self.training.fresh_noise and self.key is not None:
            return (new_x, new_state, good_x, failures + 1), row, None
        moved = any(map(np.any, jax.tree.leaves(jax.tree.map(jnp.not_equal, x, good_x))))
        if self.on_non_finite == "shrink" and moved and failures < _MOST_HALVINGS:
            half = jax.tree.map(lambda good, bad: good + (bad - good) / 2, good_x, x)
            return (half, new_state, good_x, failures + 1), row, None
        return (good_x, new_state, good_x, failures + 1), row, ending


def choose_mode(
    training: Training, x: PyTree, lower: Callable[[Training], Any], memory: float = np.inf
) -> Training:
    """The step in the mode that is expected to be faster, of those that fit the memory.

    **Arguments:**

    - `training`: in any mode.
    - `x`: the free numbers of one fit.
    - `lower`: lowers what is to run.
    - `memory`: bytes. Where no mode fits, the one that takes less is used, with a warning.
    """
    modes: tuple[Mode, ...] = ("forward", "reverse")
    needs: dict[Mode, float] = {}
    for mode in modes if forward_is_faster(x) else modes[::-1]:
        chosen = dataclasses.replace(training, mode=mode)
        # Some losses have no forward mode: those with an adjoint of Diffrax, say.
        with contextlib.suppress(*((TypeError,) if mode == "forward" else ())):
            lowered = lower(chosen)
            if memory == np.inf:
                return chosen
            usage = lowered.compile().compiled.memory_analysis()  # Not every backend tells.
            needs[mode] = 0 if usage is None else usage.temp_size_in_bytes
            if needs[mode] <= memory:
                return chosen
    least = min(needs, key=lambda mode: needs[mode])
    warnings.warn(
        f"`memory` is {memory:.4g} bytes, but a step takes "
        f"{' and '.join(f'{needs[mode]:.4g} in {mode} mode' for mode in needs)}; the {least} mode "
        "is used. Shorter runs, fewer `seeds` or checkpoints in the run take less.",
        stacklevel=5,
    )
    return dataclasses.replace(training, mode=least)


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
