"""What to say and to do where a fit is not finite."""

import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, TypeAlias

import equinox as eqx
import jax
import numpy as np

from ._loss import message
from ._parameters import summary

OnNonFinite: TypeAlias = Literal["stop", "skip", "shrink", "raise"]

_ADVICE = "Try a smaller learning rate, or tighter constraints."
_ADVICE_AT_START = "Try another start, a smaller learning rate, or tighter constraints."


def listed(values: Mapping[str, Any]) -> str:
    """Values by path, in a few words."""
    return ", ".join(f"{path} = {summary(value)}" for path, value in values.items())


def report(problem: str, n: int, values: Mapping[str, Any], do: OnNonFinite) -> str:
    """Warns of a problem in step `n`, at these values of the parameters.

    **Returns:**

    How the fit ends, if it does.

    **Raises:**

    - `FloatingPointError` instead, if that was asked for.
    """
    problem = f"{problem} in step {n}, at {listed(values)}."
    advice = _ADVICE if n else _ADVICE_AT_START
    if do == "raise":
        raise FloatingPointError(f"{problem} {advice}")
    warnings.warn(f"{problem} {advice}", stacklevel=5)
    return f"stopped: {problem}"


def raised(error: eqx.EquinoxRuntimeError) -> str:
    """The problem that a loss raised."""
    return f"The loss raised an error ({message(error)})"


@contextlib.contextmanager
def noted(n: int, values: Callable[[], Mapping[str, Any]]) -> Iterator[None]:
    """Errors of the loss say in which step they were raised, and at which values."""
    try:
        yield
    except eqx.EquinoxRuntimeError as error:
        error.add_note(f"This was in step {n}, at {listed(jax.device_get(values()))}.")
        raise


def row_of_nan(like: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The row of a step that reported nothing but where it was."""
    return {name: np.full(np.shape(entry), np.nan) for name, entry in like.items()} | {**values}
