from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._custom_types import Signal
from ._base import AbstractObserver


class TemporalAverage(AbstractObserver):
    """The mean of a signal over consecutive windows.

    **Arguments:**

    - `period`: length of a window in ms.
    - `signal`: see `nmm.observe.AbstractObserver`.
    """

    period: float = eqx.field(static=True, converter=float)
    signal: Signal = eqx.field(default=None, static=True)

    @property
    def longest_step(self) -> float:
        return self.period

    def init(self, like: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        return jnp.zeros_like(like)

    def advance(self, state: Any, mean: Float[Array, "*shape"], duration: float) -> Any:
        del state, duration
        return mean

    def sample(self, state: Any) -> Float[Array, "*shape"]:
        return state

    def vector_field(self, state: Any, signal: Float[Array, "*shape"]) -> Any:
        del state  # The integral of the signal.
        return signal

    def sample_between(self, before: Any, after: Any) -> Float[Array, "*shape"]:
        return (after - before) / self.period
