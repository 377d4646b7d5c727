"""Steps that adapt end where a stimulus jumps, bends or begins, and start anew behind it."""

from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from ..stimulus._base import AbstractStimulus, Stimulus


class ClipAtBreaks(diffrax.AbstractAdaptiveStepSizeController):
    """Ends steps right before the breaks of stimuli, and goes on right behind them.

    As `diffrax.ClipStepSizeController` does with an array of times. But a train of pulses has no
    end, and of how many there are within a run nothing is known while its period is traced: so
    each step asks for its next one.

    **Attributes:**

    - `controller`: chooses the steps in between.
    - `stimuli`: what has breaks.
    - `begin`: when the run starts, ms; Diffrax counts from there.
    """

    controller: diffrax.AbstractAdaptiveStepSizeController
    stimuli: tuple[AbstractStimulus, ...]
    begin: Array

    @property
    def rtol(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.controller.rtol

    @property
    def atol(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.controller.atol

    @property
    def norm(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self.controller.norm

    def wrap(self, direction: Any) -> "ClipAtBreaks":
        # Runs go forward, also those of an adjoint.
        return eqx.tree_at(lambda c: c.controller, self, self.controller.wrap(direction))

    def init(
        self,
        terms: Any,
        t0: Any,
        t1: Any,
        y0: Any,
        dt0: Any,
        args: Any,
        func: Any,
        error_order: Any,
    ) -> tuple[Any, Any]:
        t1, state = self.controller.init(terms, t0, t1, y0, dt0, args, func, error_order)
        return self._clip(t0, t1)[1], state

    def adapt_step_size(
        self,
        t0: Any,
        t1: Any,
        y0: Any,
        y1_candidate: Any,
        args: Any,
        y_error: Any,
        error_order: Any,
        controller_state: Any,
    ) -> tuple[Any, ...]:
        keep, next_t0, next_t1, jumped, state, result = self.controller.adapt_step_size(
            t0, t1, y0, y1_candidate, args, y_error, error_order, controller_state
        )
        next_t0, next_t1, reached = self._clip(next_t0, next_t1)
        return keep, next_t0, next_t1, jumped | reached, state, result

    def _clip(self, t0: Any, t1: Any) -> tuple[Any, Any, Any]:
        """A step that starts behind a break that it had reached, and ends before the next one."""
        breaks = jnp.concatenate([s.breaks(self.begin, t0) for s in self.stimuli])
        breaks, margin = breaks.astype(jnp.result_type(t0)), rounding(t0)
        reached = (breaks >= t0) & (breaks < t0 + 2 * margin)
        behind = jnp.max(jnp.where(reached, breaks + margin, -jnp.inf))
        t0 = jnp.maximum(t0, behind)
        ahead = jnp.min(jnp.where(breaks >= t0 + 2 * margin, breaks, jnp.inf))
        return t0, jnp.minimum(jnp.maximum(t1, t0 + margin), ahead - margin), jnp.any(reached)


def end_at_breaks(controller: Any, stimuli: tuple[Stimulus, ...], begin: Array) -> Any:
    """This controller, with steps that end at the breaks of stimuli.

    It remains as it is if its steps are fixed, or if it has jumps of its own.
    """
    adapts = isinstance(controller, diffrax.AbstractAdaptiveStepSizeController)
    breaking = with_breaks(stimuli)
    if not adapts or not breaking or getattr(controller, "jump_ts", None) is not None:
        return controller
    return ClipAtBreaks(controller, breaking, begin)  # pyright: ignore[reportCallIssue]


def with_breaks(stimuli: tuple[Stimulus, ...]) -> tuple[AbstractStimulus, ...]:
    """Those of the stimuli that jump or bend anywhere."""
    patterns = [s for s in stimuli if isinstance(s, AbstractStimulus)]
    return tuple(s for s in patterns if jax.eval_shape(s.breaks, jnp.zeros(()), jnp.zeros(())).size)


def rounding(t: Any) -> Array:
    """Some last digits of a time, ms."""
    return 4 * jnp.finfo(jnp.result_type(t)).eps * (jnp.abs(t) + 1)
