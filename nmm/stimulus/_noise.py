from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._custom_types import Key, Parameter
from .._declare import check_parameters, param
from ..noise._base import check_positive, counter_key, counter_normals
from ._base import AbstractPattern
from ._clock import flat, latest


def _as_key(key: Any) -> Any:
    is_key = eqx.is_array(key) and (
        jnp.issubdtype(key.dtype, jax.dtypes.prng_key) or key.dtype == jnp.uint32
    )
    if not is_key:
        raise TypeError(
            f"`key` of `Noise` should be a random key, as `jax.random.key(0)`, got {key!r}."
        )
    return key


class Noise(AbstractPattern):
    """Frozen noise: a random signal that is the same in each run, as of one film or one sound.

    A standard normal number every `interval`, connected linearly or held, times the amplitude. It
    is a function of time and its key alone: it needs no memory, and different noise in a run
    (`nmm.noise`) leaves it as it is.

    **Arguments:**

    - `key`: of the random numbers.
    - `regions`: `None` for one signal that all regions share, or a number of independent ones.
    - `hold`: whether a number is kept until the next.

    **Raises:**

    - `TypeError` or `ValueError`, naming the argument, for what does not fit.
    """

    key: Key = eqx.field(converter=_as_key)
    amplitude: Parameter = param(1.0, unit="of the slot", doc="standard deviation")
    interval: Parameter = param(10.0, unit="ms", doc="from number to number", bounds=(0.0, None))
    regions: int | None = eqx.field(default=None, static=True, kw_only=True)
    hold: bool = eqx.field(default=False, static=True, kw_only=True)

    def __check_init__(self) -> None:
        check_parameters(self)
        check_positive(self, "interval")
        if np.ndim(self.interval):
            raise ValueError("`interval` of `Noise` should be one number for all regions.")

    def __call__(self, t: Any, local: Any = 0.0) -> Float[Array, "..."]:
        start = self._start(t, local)
        number = jnp.round((t + start) / self.interval).astype(jnp.int32)
        shape = () if self.regions is None else (self.regions,)
        pair = number + jnp.arange(1 if self.hold else 2, dtype=jnp.int32)
        values = counter_normals(counter_key(self.key, 0), pair, shape, start.dtype)
        if self.hold:
            return self.amplitude * values[0]
        x = (local - start) / self.interval
        return self.amplitude * ((1 - x) * values[0] + x * values[1])

    def breaks(self, t: Any, local: Any = 0.0) -> Float[Array, " _"]:
        start = self._start(t, local)
        return flat(start + self.interval, start + 2 * self.interval)

    def _start(self, t: Any, local: Any) -> Array:
        """The time of the latest number, as the `local` that goes with `t`."""
        return latest(t, local, jnp.zeros_like(self.interval), self.interval)
