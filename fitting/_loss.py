"""How a loss is called, and what it may return."""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nmm._custom_types import Key
from nmm._declare import is_array_like

Loss: TypeAlias = Callable[..., Any]
"""`loss(model, key)`, or `loss(model)` where there is no key."""


def call(loss: Loss, model: Any, key: Key | None) -> Any:
    """What the loss returns."""
    return loss(model) if key is None else loss(model, key)


def split(output: Any) -> tuple[Float[Array, ""], dict[str, Any]]:
    """The loss, and its parts by name if it returns them, too.

    **Raises:**

    - `TypeError` if it is neither a real scalar nor a pair of that and a dict.
    """
    value, parts = output if isinstance(output, tuple) and len(output) == 2 else (output, {})
    if not is_array_like(value) or jnp.shape(value) != () or not isinstance(parts, dict):
        raise TypeError(
            "`loss` should return a real scalar, or a pair of that and a dict of parts, got "
            f"{jax.tree.map(jnp.shape, output)} (the shapes of what it returned)."
        )
    return jnp.asarray(value), jax.tree.map(jnp.asarray, parts)
