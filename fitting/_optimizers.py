"""Optimisers in a few words: for tables, methods paragraphs and the identity of a fit."""

import dataclasses
import functools
import inspect
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import optax

from ._cma import CMA


@functools.cache
def default_optimizer() -> optax.GradientTransformation:
    return optax.adam(0.05)


def name_of_optimizer(optimizer: Any) -> str:
    """What it is, with its settings as far as they are numbers."""
    if isinstance(optimizer, optax.GradientTransformation):
        return f"Optax's {', '.join(_transformations(optimizer.update))}"
    if isinstance(optimizer, CMA):
        return repr(optimizer)
    named = type(optimizer).__name__
    if not dataclasses.is_dataclass(optimizer):
        return named
    fields = {f.name: getattr(optimizer, f.name, None) for f in dataclasses.fields(optimizer)}
    return f"Optimistix's {named}{_settings(fields)}"


def _transformations(update: Any) -> list[str]:
    """The parts of an update, found in what its function closes over."""
    try:
        inside = inspect.getclosurevars(update).nonlocals
    except TypeError:  # No function of Python.
        return [type(update).__name__]
    if "update_fns" in inside:
        return [name for part in inside["update_fns"] for name in _transformations(part)]
    if isinstance(inside.get("tx"), optax.GradientTransformation):
        return _transformations(inside["tx"].update)
    name = getattr(update, "__qualname__", type(update).__name__).partition(".<locals>")[0]
    if name in ("scale", "scale_by_schedule"):
        step = inside.get("step_size")
        return ["learning rate by a schedule" if step is None else f"learning rate {-step:.3g}"]
    return [] if name == "identity" else [name.removeprefix("scale_by_") + _settings(inside)]


def _settings(values: Mapping[str, Any]) -> str:
    numbers = {
        name: f"{float(value):.3g}"
        for name, value in values.items()
        if isinstance(value, int | float | np.ndarray | jax.Array)
        and not isinstance(value, bool)
        and np.ndim(value) == 0
    }
    return f"({', '.join(f'{name}={number}' for name, number in numbers.items())})"
