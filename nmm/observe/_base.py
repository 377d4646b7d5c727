"""The contract of an observer: what a scanner sees, computed while a run goes on."""

import abc
import math
from typing import Any, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int, Shaped

from .._custom_types import RealScalarLike, Signal
from .._declare import as_float

Axes: TypeAlias = tuple[tuple[str, tuple[str | float, ...] | None], ...]
"""The axes of a sample: the name of each, and its labels or coordinates where it has any."""


class AbstractObserver(eqx.Module):
    """Turns a signal of the model into samples, with a memory of its own and no more.

    An observer takes steps of its own on the mean of the signal over each, and emits a sample
    after every `period`. Window `k` covers the values after the grid steps in
    `((k - 1) period, k period]`, and its sample is stamped with the end of the window.

    **Attributes:**

    - `period`: ms from sample to sample.
    - `signal`: what is observed: a state variable, an observable, a function `f(t, state,
        inputs)`, or `None` for the model's own output.
    """

    period: eqx.AbstractVar[float]
    signal: eqx.AbstractVar[Signal]

    @property
    @abc.abstractmethod
    def longest_step(self) -> float:
        """The longest step of its own, in ms; the actual one divides the period. With 0 it is
        `dt`."""

    @abc.abstractmethod
    def init(self, like: Float[Array, "*shape"]) -> Any:
        """The state at rest, for a signal of this shape."""

    @abc.abstractmethod
    def advance(self, state: Any, mean: Float[Array, "*shape"], duration: float) -> Any:
        """The state after `duration` ms in which the signal was `mean` on average."""

    @abc.abstractmethod
    def sample(self, state: Any, number: Int[ArrayLike, ""]) -> Float[Array, "*sample"]:
        """The sample at the end of a period, whose number is counted from 1."""

    @abc.abstractmethod
    def vector_field(self, state: Any, signal: Float[Array, "*shape"]) -> Any:
        """The derivative per ms of the state that is integrated along where steps adapt."""

    @abc.abstractmethod
    def sample_between(
        self, before: Any, after: Any, number: Int[ArrayLike, ""]
    ) -> Float[Array, "*sample"]:
        """The sample, from the integrated state at the start and the end of a period."""

    def prepare(self, duration: float) -> "AbstractObserver":
        """The observer for steps of its own of `duration` ms: itself, unless there is something to
        compute once for all of them."""
        del duration
        return self

    def unit(self, signal: str | None) -> str | None:
        """The unit of a sample of a signal with this unit; `None` where it is not known."""
        del signal
        return None

    @property
    def axes(self) -> Axes | None:
        """The axes of a sample; `None` where they are those of the signal."""
        return None

    def __check_init__(self) -> None:
        if not 0 < self.period < math.inf:
            raise ValueError(
                f"`period` of `{type(self).__name__}` should be a positive number of ms, got "
                f"{self.period}."
            )

    def __call__(
        self, series: Shaped[ArrayLike, "time *regions"], dt: RealScalarLike
    ) -> Float[Array, "samples *sample"]:
        """Observes a saved signal, from rest; the same numbers as during the run.

        **Arguments:**

        - `series`: the signal after each step of `dt` ms.
        - `dt`: ms from row to row.

        **Returns:**

        A row for each whole period; sample `k`, counted from 1, is at `k * period` ms.

        **Raises:**

        - `ValueError` if `dt` is not positive, or does not divide the period.
        """
        values: Array = as_float(series)
        dt = float(dt)
        if not 0 < dt < math.inf:
            raise ValueError(f"`dt` should be a positive number of ms, got {dt}.")
        per_sample, per_step = observer_steps(self, dt)
        samples = values.shape[0] // per_sample
        steps = values[: samples * per_sample].reshape(
            samples, per_sample // per_step, per_step, *values.shape[1:]
        )
        observer = self.prepare(per_step * dt)

        def one_sample(state, xs):
            def one_step(state, mean):
                return observer.advance(state, mean, per_step * dt), None

            rows, number = xs
            state, _ = jax.lax.scan(one_step, state, rows)
            return state, observer.sample(state, number)

        start = observer.init(jnp.zeros_like(values[0]))
        numbers = jnp.arange(1, samples + 1, dtype=jnp.int32)
        return jax.lax.scan(one_sample, start, (jnp.mean(steps, axis=2), numbers))[1]


def observer_steps(observer: AbstractObserver, dt: float) -> tuple[int, int]:
    """Grid steps in a period, and in a step of the observer's own: the longest that fits.

    Nothing else in a run has a say in it, so that the numbers are those of a saved signal.

    **Raises:**

    - `ValueError` if `dt` does not divide the period.
    """
    per_sample = grid_steps(observer.period, dt, f"`period` of `{type(observer).__name__}`")
    longest = int(observer.longest_step / dt * (1 + 1e-6))
    own = range(min(longest, per_sample), 0, -1)
    return per_sample, next((n for n in own if per_sample % n == 0), 1)


def grid_steps(duration: float, dt: float, name: str) -> int:
    """How many steps of `dt` make `duration`.

    **Raises:**

    - `ValueError`, naming `name`, if that is no whole number, or less than one.
    """
    ratio = duration / dt
    steps = round(ratio)
    if steps < 1 or abs(ratio - steps) > 1e-6 * max(ratio, 1):
        raise ValueError(
            f"{name} should be a multiple of `dt`, got {duration} ms and a `dt` of {dt} ms."
        )
    return steps
