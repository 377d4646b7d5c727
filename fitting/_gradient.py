"""Value and gradient of a loss, by forward or reverse mode."""

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

Mode: TypeAlias = Literal["auto", "forward", "reverse"]

_FORWARD_UP_TO = 4


def value_and_gradient(
    function: Callable[[PyTree], tuple[Float[Array, ""], Any]], x: PyTree, mode: Mode
) -> tuple[Float[Array, ""], Any, PyTree]:
    """Value, auxiliary output and gradient of `function` at `x`.

    **Arguments:**

    - `function`: returns a scalar and auxiliary output.
    - `x`: a PyTree of arrays of floats.
    - `mode`: `"forward"`, `"reverse"`, or `"auto"` for the one that is expected to be faster. Forward
        mode costs the same again for every number in `x`, and no memory for the past.
    """
    flat, unravel = ravel_pytree(x)
    if mode == "auto":
        mode = "forward" if flat.size <= _FORWARD_UP_TO else "reverse"
    if mode == "reverse":
        (value, aux), gradient = jax.value_and_grad(function, has_aux=True)(x)
        return value, aux, gradient

    def push(tangent: Float[Array, " numbers"]) -> Any:
        return jax.jvp(lambda y: function(unravel(y)), (flat,), (tangent,), has_aux=True)

    # The value and the auxiliary output do not depend on the tangent, and are not batched inside.
    value, gradient, aux = jax.vmap(push)(jnp.eye(flat.size, dtype=flat.dtype))
    return value[0], jax.tree.map(lambda a: a[0], aux), unravel(gradient)
