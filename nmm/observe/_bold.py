import math
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float

from .._custom_types import RealScalarLike, Signal
from ._balloon_windkessel import BalloonWindkessel, HaemodynamicState
from ._base import AbstractObserver


class BOLD(AbstractObserver):
    """The BOLD signal of each region, one sample a repetition time: 0.01 is 1 % above rest.

    The haemodynamics take steps of their own, of at most `step` ms, on the mean activity over
    each, so that they add little to a run. Activity that comes in longer steps is held over them.

    **Arguments:**

    - `tr`: repetition time in ms, the `period` of the samples.
    - `signal`: the activity that drives the vessels; see `nmm.observe.AbstractObserver`. It should
        be of order 0.1 to 1, such as a gating variable.
    - `haemodynamics`: a `nmm.observe.BalloonWindkessel`; a published set of constants by
        `BalloonWindkessel.preset`.
    - `step`: longest haemodynamic step in ms.
    """

    period: float = eqx.field(static=True)
    signal: Signal = eqx.field(static=True)
    haemodynamics: BalloonWindkessel
    step: float = eqx.field(static=True)

    def __init__(
        self,
        tr: RealScalarLike,
        signal: Signal = None,
        *,
        haemodynamics: BalloonWindkessel | None = None,
        step: RealScalarLike = 8.0,
    ):
        self.period = float(tr)
        self.signal = signal
        self.haemodynamics = BalloonWindkessel() if haemodynamics is None else haemodynamics
        self.step = float(step)

    def __check_init__(self) -> None:
        if not isinstance(self.haemodynamics, BalloonWindkessel):
            raise TypeError(
                "`haemodynamics` should be a `nmm.observe.BalloonWindkessel`, such as "
                f"`BalloonWindkessel.preset('friston2003')`; got {self.haemodynamics!r}."
            )
        if not self.step > 0:
            raise ValueError(f"`step` should be a positive number of ms, got {self.step}.")

    def unit(self, signal: str | None) -> str | None:
        del signal
        return "1"  # the change relative to the signal at rest

    @property
    def longest_step(self) -> float:
        return self.step

    def init(self, like: Float[Array, "*shape"]) -> HaemodynamicState:
        return self.haemodynamics.init(like)

    def advance(
        self, state: HaemodynamicState, mean: Float[Array, "*shape"], duration: float
    ) -> HaemodynamicState:
        steps = math.ceil(duration / self.step * (1 - 1e-6))
        if steps == 1:
            return self.haemodynamics.advance(state, mean, duration)

        def one(state: HaemodynamicState, _: None) -> tuple[HaemodynamicState, None]:
            return self.haemodynamics.advance(state, mean, duration / steps), None

        return jax.lax.scan(one, state, length=steps)[0]

    def sample(self, state: HaemodynamicState, number: Any) -> Float[Array, "*shape"]:
        del number
        return self.haemodynamics.output(state)

    def vector_field(
        self, state: HaemodynamicState, signal: Float[Array, "*shape"]
    ) -> HaemodynamicState:
        per_second = self.haemodynamics.vector_field(state, signal)
        return jax.tree.map(lambda x: x / 1000, per_second)

    def sample_between(
        self, before: Any, after: HaemodynamicState, number: Any
    ) -> Float[Array, "*shape"]:
        del before
        return self.sample(after, number)
