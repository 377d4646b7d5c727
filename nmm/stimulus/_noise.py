from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._custom_types import Key, Parameter
from .._declare import check_parameters, param
from ..noise._base import check_positive, counter_key, counter_normals
from ._base import AbstractPattern


class Noise(AbstractPattern):
    """Frozen noise: a random signal that is the same in each run, as of one film or one sound.

    A standard normal number every `interval`, connected linearly or held, times the amplitude. It
    is a function of time and its key alone: it needs no memory, and different noise in a run
    (`nmm.noise`) leaves it as it is.

    **Arguments:**

    - `key`: of the random numbers.
    - `regions`: `None` for one signal that all regions share, or a number of independent ones.
    - `hold`: whether a number is kept until the next.
    """

    key: Key
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
        place = (t + local) / self.interval
        place = place + jnp.finfo(place.dtype).eps * (jnp.abs(place) + 2)
        before = jnp.floor(place).astype(jnp.int32)
        shape = () if self.regions is None else (self.regions,)
        pair = before + jnp.arange(1 if self.hold else 2, dtype=jnp.int32)
        values = counter_normals(counter_key(self.key, 0), pair, shape, place.dtype)
        if self.hold:
            return self.amplitude * values[0]
        x = place - before
        return self.amplitude * ((1 - x) * values[0] + x * values[1])
