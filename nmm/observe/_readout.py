"""Observers without memory: the mean of a signal over each window, and what is read off it."""

import abc
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int

from .._custom_types import Signal
from .._declare import as_float, is_concrete
from ._base import AbstractObserver, Axes


class Window(eqx.Module):
    """What a readout keeps.

    **Attributes:**

    - `start`: the signal where the run began.
    - `seen`: the mean of the last window. Where steps adapt, the integral of the signal less its
        start: that of the signal itself would grow, and take the digits of later windows.
    """

    start: Array
    seen: Array


class AbstractReadout(AbstractObserver):
    """An observer that sees the mean of the signal over each window, and nothing older."""

    @abc.abstractmethod
    def readout(self, mean: Float[Array, "*shape"]) -> Float[Array, "*sample"]:
        """What is seen of the mean of a window."""

    @abc.abstractmethod
    def disturb(
        self, sample: Float[Array, "*sample"], number: Int[ArrayLike, ""]
    ) -> Float[Array, "*sample"]:
        """The sample with the noise of the measurement, if there is any."""

    @property
    def longest_step(self) -> float:
        return self.period

    def init(self, like: Float[Array, "*shape"]) -> Window:
        self.readout(like)  # Refuses a signal that does not fit, early.
        return Window(like, jnp.zeros_like(like))

    def advance(self, state: Window, mean: Float[Array, "*shape"], duration: float) -> Window:
        del duration
        return Window(state.start, mean)

    def sample(self, state: Window, number: Int[ArrayLike, ""]) -> Float[Array, "*sample"]:
        return self.disturb(self.readout(state.seen), number)

    def vector_field(self, state: Window, signal: Float[Array, "*shape"]) -> Window:
        return Window(jnp.zeros_like(state.start), signal - state.start)

    def sample_between(
        self, before: Window, after: Window, number: Int[ArrayLike, ""]
    ) -> Float[Array, "*sample"]:
        mean = before.start + (after.seen - before.seen) / self.period
        return self.disturb(self.readout(mean), number)


class TemporalAverage(AbstractReadout):
    """The mean of a signal over consecutive windows.

    **Arguments:**

    - `period`: length of a window in ms.
    - `signal`: see `nmm.observe.AbstractObserver`.
    """

    period: float = eqx.field(static=True, converter=float)
    signal: Signal = eqx.field(default=None, static=True)

    def readout(self, mean: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        return mean

    def disturb(self, sample: Any, number: Any) -> Any:
        del number
        return sample

    def unit(self, signal: str | None) -> str | None:
        return signal


class SpatialAverage(AbstractReadout):
    r"""The weighted mean over groups of regions, and over consecutive windows.

    $$y_g = \sum_i M_{gi}\, x_i \Big/ \sum_i M_{gi}$$

    **Arguments:**

    - `period`: length of a window in ms.
    - `groups`: the group of each region, as labels or numbers (`None` or -1: in none); or a map of
        weights, `(groups, regions)`, such as the sizes of the regions.
    - `signal`: see `nmm.observe.AbstractObserver`.
    - `names`: of the groups of a map.

    `SpatialAverage(period, ["all"] * regions)` is the global average.
    """

    period: float = eqx.field(static=True)
    weights: Float[Array, "groups regions"]
    signal: Signal = eqx.field(static=True)
    names: tuple[str, ...] | None = eqx.field(static=True)

    def __init__(
        self,
        period: float | int,
        groups: Any,
        signal: Signal = None,
        *,
        names: Any = None,
    ):
        self.period = float(period)
        self.signal = signal
        if np.ndim(groups) == 1:
            groups, found = _one_hot(groups)
            names = found if names is None else names
        self.weights = as_float(groups)
        self.names = None if names is None else tuple(str(name) for name in names)

    def __check_init__(self) -> None:
        shape = np.shape(self.weights)
        if len(shape) != 2:
            raise ValueError(
                "`groups` should be the group of each region, or weights (groups, regions); got "
                f"the shape {shape}."
            )
        if self.names is not None and len(self.names) != shape[0]:
            raise ValueError(f"`names` should be {shape[0]}, one a group; got {len(self.names)}.")
        if is_concrete(self.weights):
            total = np.sum(self.weights, axis=1)
            if not np.all(np.isfinite(total) & (total > 0)):
                bad = int(np.flatnonzero(~(np.isfinite(total) & (total > 0)))[0])
                raise ValueError(
                    "`groups` should give every group a positive, finite weight; the weights of "
                    f"group {bad} add up to {total[bad]}."
                )

    def readout(self, mean: Float[Array, " *shape"]) -> Float[Array, "*batch groups"]:
        if mean.shape[-1:] != self.weights.shape[1:]:
            raise ValueError(
                f"`groups` of `SpatialAverage` is for {self.weights.shape[1]} regions, the signal "
                f"has the shape {mean.shape}."
            )
        return mean @ (self.weights / jnp.sum(self.weights, axis=1, keepdims=True)).T

    def disturb(self, sample: Any, number: Any) -> Any:
        del number
        return sample

    def unit(self, signal: str | None) -> str | None:
        return signal

    @property
    def axes(self) -> Axes:
        return (("group", self.names),)


class SubSample(AbstractObserver):
    """The value of a signal at the end of every period, not averaged.

    For fixed steps; where steps adapt, `save_every` of `nmm.simulate` has such values.

    **Arguments:**

    - `period`: ms from sample to sample.
    - `signal`: see `nmm.observe.AbstractObserver`.
    """

    period: float = eqx.field(static=True, converter=float)
    signal: Signal = eqx.field(default=None, static=True)

    @property
    def longest_step(self) -> float:
        return 0.0

    def init(self, like: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        return jnp.zeros_like(like)

    def advance(self, state: Any, mean: Float[Array, "*shape"], duration: float) -> Any:
        del state, duration
        return mean

    def sample(self, state: Any, number: Any) -> Float[Array, "*shape"]:
        del number
        return state

    def vector_field(self, state: Any, signal: Float[Array, "*shape"]) -> Any:
        raise ValueError(
            "`SubSample` should be used with a fixed step; where steps adapt, `save_every` gives "
            "values at instants."
        )

    def sample_between(self, before: Any, after: Any, number: Any) -> Any:
        return self.vector_field(before, after)

    def unit(self, signal: str | None) -> str | None:
        return signal


def _one_hot(groups: Any) -> tuple[np.ndarray, tuple[str, ...]]:
    """Weights and names of the groups, in the order in which they first come."""
    chosen = [None if g is None or g == -1 else str(g) for g in groups]
    names = tuple(dict.fromkeys(name for name in chosen if name is not None))
    return np.array([[name == g for g in chosen] for name in names], float), names
