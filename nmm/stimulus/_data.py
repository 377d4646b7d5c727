from typing import Any, Literal

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from .._custom_types import Parameter
from .._declare import as_float, check_parameters, is_array_like, is_concrete, param
from ..noise._base import check_positive
from ._base import AbstractPattern
from ._clock import local_time, since

Interpolation = Literal["hold", "linear", "cubic"]
Outside = Literal["zero", "hold", "repeat"]


class Data(AbstractPattern):
    """A recorded signal, such as sound, a movement or button presses, in evenly spaced samples.

    Sample `k` is taken at `onset + k * interval`. It is 0 outside of the recording, or keeps its
    first and last value, or repeats itself without end.

    tvboptim: `DataInput`, of times that are evenly spaced; irregular ones first go through
    `Data.resampled`. The place of a time among the samples has the precision of the float type:
    in float32, a hundredth of an interval after 100,000 samples.

    **Arguments:**

    - `values`: `(samples,)`, or `(samples, regions)`.
    - `interval`: ms from sample to sample.
    - `onset`: time of the first one, ms.
    - `amplitude`: a factor.
    - `interpolation`: `"hold"` keeps each sample until the next; `"linear"` connects them; so does
        `"cubic"`, smoothly (Catmull–Rom).
    - `outside`: `"zero"`, `"hold"` or `"repeat"`.

    **Raises:**

    - `ValueError` or `TypeError`, naming the argument, for what does not fit.
    """

    values: Parameter = eqx.field(converter=as_float)
    interval: Parameter = param(1.0, unit="ms", doc="from sample to sample", bounds=(0.0, None))
    onset: Parameter = param(0.0, unit="ms", doc="time of the first sample")
    amplitude: Parameter = param(1.0, unit="of the slot", doc="factor")
    interpolation: Interpolation = eqx.field(default="linear", static=True, kw_only=True)
    outside: Outside = eqx.field(default="zero", static=True, kw_only=True)

    def __check_init__(self) -> None:
        check_parameters(self)
        check_positive(self, "interval")
        if not is_array_like(self.values):
            raise TypeError(f"`values` of `Data` should be numbers, got {self.values!r}.")
        if np.ndim(self.values) not in (1, 2) or np.shape(self.values)[0] < 2:
            raise ValueError(
                "`values` of `Data` should have the shape (samples,) or (samples, regions), with "
                f"two samples or more, got {np.shape(self.values)}."
            )
        if is_concrete(self.values) and not np.all(np.isfinite(self.values)):
            raise ValueError("`values` of `Data` should be finite, got NaN or infinity.")
        for name in ("interval", "onset"):
            if np.ndim(getattr(self, name)):
                raise ValueError(f"`{name}` of `Data` should be one number for all regions.")
        for name, known in (
            ("interpolation", ("hold", "linear", "cubic")),
            ("outside", ("zero", "hold", "repeat")),
        ):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"`{name}` of `Data` should be one of {known}, got {getattr(self, name)!r}."
                )

    @classmethod
    def resampled(
        cls,
        times: ArrayLike | list,
        values: ArrayLike | list,
        interval: float | int,
        **options: Any,
    ) -> "Data":
        """A signal with irregular times, resampled linearly once to this interval in ms.

        **Raises:**

        - `ValueError` if times do not increase, or there is not one for each sample; or if
            `interval` is not positive.
        """
        if not interval > 0:
            raise ValueError(f"`interval` of `Data` should be positive, got {interval}.")
        times, values = np.asarray(times, float), np.asarray(values, float)
        if times.shape != values.shape[:1] or np.any(np.diff(times) <= 0):
            raise ValueError(
                f"`times` should increase, one for each of the {len(values)} samples, got {times}."
            )
        regular = times[0] + interval * np.arange(int((times[-1] - times[0]) / interval + 1e-9) + 1)
        columns = values.reshape(len(values), -1).T
        new = np.stack([np.interp(regular, times, x) for x in columns], axis=-1)
        return cls(new.reshape(-1, *values.shape[1:]), interval, times[0], **options)

    def __call__(self, t: Any, local: Any = 0.0) -> Float[Array, "..."]:
        n = len(self.values)
        number = self._number(t, local)
        x = (local - self._local_time(t, number)) / self.interval
        before = number.astype(int)

        def sample(k: Array) -> Array:
            return self.values[k % n if self.outside == "repeat" else jnp.clip(k, 0, n - 1)]

        if self.interpolation == "hold":
            value = sample(before)
        elif self.interpolation == "linear":
            value = (1 - x) * sample(before) + x * sample(before + 1)
        else:
            a, b, c, d = (sample(before + k) for k in (-1, 0, 1, 2))
            value = b + x / 2 * (
                c - a + x * (2 * a - 5 * b + 4 * c - d + x * (3 * (b - c) + d - a))
            )
        if self.outside == "zero":
            value = jnp.where((number >= 0) & (number + x < self._end), value, 0.0)
        return self.amplitude * value

    def breaks(self, t: Any, local: Any = 0.0) -> Float[Array, " _"]:
        number = self._number(t, local) + jnp.array([1.0, 2.0], self.interval.dtype)
        if self.outside != "repeat":
            number = jnp.where(number < len(self.values), jnp.maximum(number, 0.0), self._end)
        return self._local_time(t, number)

    def _number(self, t: Any, local: Any) -> Array:
        """Of the latest sample."""
        number = jnp.round(since(t, local, self.onset) / self.interval)
        return number - (self._local_time(t, number) > local)

    def _local_time(self, t: Any, number: Array) -> Array:
        """The time of a sample, as the `local` that goes with `t`."""
        # Rounding must not put a sample's own time before it.
        digits = jnp.finfo(number.dtype).eps * jnp.abs(number)
        return local_time(t, self.onset, (number - digits) * self.interval)

    @property
    def _end(self) -> float:
        """Place of the end: samples that are held last an interval each; else one is a point."""
        n = len(self.values)
        return float(n) if self.interpolation == "hold" else n - 1 + 1e-6
