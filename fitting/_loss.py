"""How a loss is called, and what it may return."""

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nmm._custom_types import Key
from nmm._declare import is_array_like

from ._paths import flatten

LOSS = "loss"
"""The name of what a loss returns, where it gives none."""

RESIDUALS = "residuals"
"""The part of a loss that methods for least squares work on, and that no history keeps."""

Loss: TypeAlias = Callable[..., Any]
"""`loss(model, key)`, or `loss(model)` where there is no key."""


def call(loss: Loss, model: Any, key: Key | None) -> Any:
    """What the loss returns."""
    return loss(model) if key is None else loss(model, key)


def check_call(loss: Loss, has_key: bool, *given: str) -> None:
    """Refuses a loss that does not take what it is going to be given.

    **Raises:**

    - `TypeError` if it does not.
    """
    try:
        signature = inspect.signature(loss)
    except (TypeError, ValueError):  # Some callables have none.
        return
    given = (*(given or ("model",)), *(["key"] if has_key else []))
    try:
        signature.bind(*given)
    except TypeError as error:
        hint = "leave out `key`" if has_key else "pass `key`"
        raise TypeError(
            f"`loss` should be called as loss({', '.join(given)}), got loss{signature}; or {hint}."
        ) from error


def mean_over_seeds(loss: Loss, model: Any, key: Key | None, seeds: int) -> Any:
    """What the loss returns, averaged over as many keys split from `key`.

    Of residuals all are kept, such that the sum of their squares is the average of the sums.
    """
    if key is None or seeds == 1:
        return call(loss, model, key)
    each = jax.vmap(lambda key: call(loss, model, key))(jax.random.split(key, seeds))
    mean = jax.tree.map(lambda values: jnp.mean(values, axis=0), each)
    if _is_pair(each) and RESIDUALS in each[1]:
        mean[1][RESIDUALS] = jnp.ravel(each[1][RESIDUALS]) / math.sqrt(seeds)
    return mean


def split(output: Any) -> tuple[Float[Array, ""], dict[str, Array]]:
    """The loss, and its parts by name if it returns them, too.

    **Raises:**

    - `TypeError` if it is neither a real scalar nor a pair of that and a dict.
    """
    value, parts = output if _is_pair(output) else (output, {})
    if not is_array_like(value) or jnp.shape(value) != ():
        raise TypeError(
            "`loss` should return a real scalar, a float, or a pair of that and a dict of arrays, "
            f"got {eqx.tree_pformat(output)}."
        )
    return jnp.asarray(value), flatten(parts, LOSS)


def outputs(output: Any) -> dict[str, Array]:
    """All that a loss returns, by name; it may return anything made of arrays.

    **Raises:**

    - `TypeError` if there is none.
    """
    if _is_pair(output):
        value, parts = output
        return with_parts({LOSS: jnp.asarray(value)}, flatten(parts, LOSS))
    named = flatten(output, LOSS)
    if not named:
        raise TypeError(f"`loss` should return at least one array, got {output!r}.")
    return named


def with_parts(
    own: Mapping[str, Array], parts: Mapping[str, Array], *others: str
) -> dict[str, Array]:
    """A row of what a fit reports of its own, and of the parts of the loss.

    **Raises:**

    - `ValueError` if a part has a name of these, or of `others`.
    """
    taken = [*own, *others]
    if not parts.keys().isdisjoint(taken):
        raise ValueError(
            f"The parts of the loss should have names of their own, other than {taken}, got "
            f"{list(parts)}."
        )
    return {**own, **parts}


def message(error: Exception) -> str:
    """Of an error of compiled code, what it says, without the stack."""
    _, _, text = str(error).rpartition("EquinoxRuntimeError: ")
    return text.partition("----")[0].strip()


def _is_pair(output: Any) -> bool:
    return isinstance(output, tuple) and len(output) == 2 and isinstance(output[1], dict)
