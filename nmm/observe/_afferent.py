"""What each region hears, as a signal."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array


@dataclasses.dataclass(frozen=True)
class AfferentInput:
    """All that arrives at an input slot: coupling, stimulus, inputs and noise with memory.

    A signal, to be saved or observed: `save={"heard": AfferentInput("I_ext")}` or
    `TemporalAverage(10.0, AfferentInput("I_ext"))`.

    **Arguments:**

    - `slot`: of the model's `Inputs`.
    """

    slot: str

    def __call__(self, t: Any, state: Any, inputs: Any) -> Array:
        del t
        leaf = jax.tree.leaves(state)[0]
        return jnp.broadcast_to(getattr(inputs, self.slot), leaf.shape).astype(leaf.dtype)
