"""The axes of a sweep: which values each path takes, and how they are combined."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from . import _paths

Layout: TypeAlias = Literal["grid", "zip"]
Over: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]]

KEY = "key"
"""The axis of random keys, beside those of paths."""


class Axes(eqx.Module):
    """A model, and the values that its parameters take.

    **Attributes:**

    - `model`: whose parameters these are.
    - `coordinates`: the values by path, cells in front.
    - `units`: of the paths, empty where none is declared.
    - `groups`: the paths of each axis; values of several paths on one axis go side by side. All
        combinations of axes are cells, the last axis fastest.
    """

    model: Any
    coordinates: dict[str, Any]
    units: dict[str, str] = eqx.field(static=True)
    groups: tuple[tuple[str, ...], ...] = eqx.field(static=True)

    def __check_init__(self) -> None:
        if not self.groups or not all(self.groups):
            raise ValueError('`over` should name at least one path, as in {"coupling.G": values}.')
        for group in self.groups:
            lengths = {path: len(self.coordinates[path]) for path in group}
            if len(set(lengths.values())) > 1:
                raise ValueError(
                    'With `mode="zip"`, and in one dict of several, all paths should have as many '
                    f"values, got {lengths}."
                )

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the sweep."""
        return tuple(len(self.coordinates[group[0]]) for group in self.groups)

    @property
    def dims(self) -> tuple[str, ...]:
        """The names of the axes: the path where there is one, else `"cell"`, with a number."""
        several = [group for group in self.groups if len(group) > 1]
        numbered: dict[tuple[str, ...], str] = {
            g: f"cell_{i}" if len(several) > 1 else "cell" for i, g in enumerate(several)
        }
        return tuple(numbered.get(group, group[0]) for group in self.groups)

    @property
    def mode(self) -> str:
        """In a word."""
        return "zip" if len(self.groups) == 1 < len(self.groups[0]) else "grid"

    @property
    def size(self) -> int:
        """How many cells there are."""
        return math.prod(self.shape)

    def cells(self, flat: Any) -> dict[str, Any]:
        """The values in cells by path, given the numbers of the cells in order."""
        indices = np.unravel_index(flat, self.shape)
        return {
            path: self.coordinates[path][index]
            for group, index in zip(self.groups, indices, strict=True)
            for path in group
        }


def make_axes(model: Any, over: Over, mode: Layout) -> Axes:
    """Checks the values of a sweep against the model.

    **Raises:**

    - `ValueError`, naming the path, for one that does not exist or for values that do not fit.
    """
    if not isinstance(over, Mapping):
        groups = tuple(map(tuple, over))
        over = {path: values for group in over for path, values in group.items()}
        if len(over) < sum(map(len, groups)):
            raise ValueError(f"`over` should name each path once, got {groups}.")
    else:
        groups = (tuple(over),) if mode == "zip" else tuple((path,) for path in over)
    coordinates, units, written = {}, {}, set()
    for path, values in over.items():
        shape = np.shape(values)
        if path == KEY:
            coordinates[path] = _check_keys(values)
            continue
        if len(shape) == 0 or shape[0] == 0:
            raise ValueError(
                f"`over[{path!r}]` should hold one value a cell, got the shape {shape}."
            )
        for name, leaf in _paths.read(model, path).items():
            if name in written:
                raise ValueError(f"`over` should lead to each array once, got `{name}` twice.")
            written.add(name)
            _written_shape(model, name, leaf, shape[1:])
            values = np.asarray(values, leaf.dtype)
            declared = _paths.declaration(model, name)
            units[path] = declared.unit if declared else ""
        if not np.all(np.isfinite(values)):
            raise ValueError(f"`over[{path!r}]` should be finite, got {values}.")
        coordinates[path] = values
    return Axes(model, coordinates, units, groups)


def write(model: Any, cell: Mapping[str, Any]) -> Any:
    """The model with the values of a cell, at every array at or below their paths."""
    new = {}
    for path, value in cell.items():
        for name, leaf in _paths.read(model, path).items():
            value = jnp.asarray(value, leaf.dtype)
            new[name] = jnp.broadcast_to(value, _written_shape(model, name, leaf, value.shape))
    return _paths.replace(model, new)


def _written_shape(model: Any, name: str, leaf: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of an array once a cell's value is written to it: its own, or made regional."""
    if shape == ():
        return leaf.shape
    declared = _paths.declaration(model, name)
    options = [leaf.shape]
    if leaf.ndim == len(declared.shape if declared else ()):
        options.append((*leaf.shape, *(getattr(model, "shape", ()) or shape[-1:])))
    if shape not in options:
        raise ValueError(
            f"The values of a sweep over `{name}` should have, beside the axis of cells, one of "
            f"the shapes {sorted({(), *options})}, got {shape}."
        )
    return shape


def _check_keys(keys: Any) -> Any:
    typed = eqx.is_array(keys) and jnp.issubdtype(keys.dtype, jax.dtypes.prng_key)
    shape = np.shape(keys)
    if not (len(shape) == 1 if typed else len(shape) == 2 and keys.dtype == jnp.uint32):
        raise ValueError(
            f'`over["{KEY}"]` should be an array of keys, such as `jax.random.split(key, 10)`, '
            f"got {keys!r}."
        )
    return keys
