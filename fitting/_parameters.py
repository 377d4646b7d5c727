"""What is free in a fit: which arrays, under which constraints, from where."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from . import _paths
from ._constraints import AbstractConstraint, Interval, Positive, Real

Free: TypeAlias = Mapping[str, AbstractConstraint | None] | Iterable[str] | str


class Parameters(eqx.Module):
    """A model, and which of its arrays are free.

    **Attributes:**

    - `model`: at the start, with parameters made regional where that was asked for.
    - `constraints`: of each free array, by its path.
    - `units`: of the free arrays that declare one, by path.
    """

    model: Any
    constraints: dict[str, AbstractConstraint]
    units: dict[str, str] = eqx.field(static=True)

    @property
    def start(self) -> dict[str, Array]:
        """The values at the start, by path."""
        return {path: _paths.read(self.model, path)[path] for path in self.constraints}

    def to_unconstrained(self, values: Mapping[str, Array]) -> dict[str, Array]:
        """Numbers without limits that stand for these values."""
        return {p: c.to_unconstrained(values[p]) for p, c in self.constraints.items()}

    def from_unconstrained(self, x: Mapping[str, Array]) -> dict[str, Array]:
        """The values that these numbers stand for."""
        return {p: c.from_unconstrained(x[p]) for p, c in self.constraints.items()}

    def model_at(self, x: Mapping[str, Array]) -> Any:
        """The model with the values that these numbers stand for."""
        return _paths.replace(self.model, self.from_unconstrained(x))


def free_parameters(model: Any, free: Free) -> Parameters:
    """Frees arrays of a model by path.

    **Arguments:**

    - `model`: a model, network or any other PyTree.
    - `free`: a dict from path to constraint, or paths alone, whose constraints then follow from
        the declared ranges (also for `None` in a dict): `Interval` for a range with two ends,
        `Positive` for one without an upper end, else `Real`.

    **Raises:**

    - `ValueError` if nothing is free, a path does not exist or is given twice, a value at the start
        is outside of its constraint, or a parameter without regions should become regional.
    - `TypeError` if a constraint is none.
    """
    if isinstance(free, str):
        free = [free]
    wanted = free if isinstance(free, Mapping) else dict.fromkeys(free)
    constraints, start, units = {}, {}, {}
    for given, constraint in wanted.items():
        if not isinstance(constraint, AbstractConstraint | None):
            raise TypeError(
                f"`free[{given!r}]` should be a constraint, such as `fitting.Positive()`, or None, "
                f"got {constraint!r}."
            )
        for path, value in _paths.read(model, given).items():
            if path in constraints:
                raise ValueError(f"`free` should name each array once, got `{path}` twice.")
            declared = _paths.declaration(model, path)
            chosen = _default(declared and declared.bounds) if constraint is None else constraint
            if chosen.shape == "region":
                value = _regional(model, path, value, declared.shape if declared else ())
            _check_start(path, value, chosen)
            start[path], constraints[path] = value, chosen.starting_at(value)
            units[path] = declared.unit if declared else ""
    if not constraints:
        raise ValueError('`free` should name at least one parameter, such as `["coupling.G"]`.')
    return Parameters(_paths.replace(model, start), constraints, units)


def _default(bounds: tuple[float | None, float | None] | None) -> AbstractConstraint:
    lower, upper = bounds or (None, None)
    if lower is None:
        return Real()
    return Positive(lower) if upper is None else Interval(lower, upper)


def _regional(model: Any, path: str, value: Array, core: tuple[int, ...]) -> Array:
    regions = getattr(model, "shape", ())
    if not regions:
        raise ValueError(
            f"`{path}` cannot be made regional, since the model does not say how many regions "
            "there are: make it a `nmm.Network`, or give the parameter one value a region."
        )
    if value.ndim > len(core):
        return value
    return jnp.broadcast_to(value[..., None], (*value.shape, *regions))


def _check_start(path: str, value: Array, constraint: AbstractConstraint) -> None:
    outside = np.asarray(value)[~np.asarray(constraint.contains(value))]
    if outside.size:
        raise ValueError(
            f"`{path}` should start inside of {constraint}, limits excluded, got "
            f"{summary(outside)}. Give the model another value, or the path another constraint."
        )


def summary(value: Any) -> str:
    """A number, or what there is to say about several, in a few words."""
    value = np.asarray(value)
    low, high = f"{value.min():.4g}", f"{value.max():.4g}"
    if value.size == 1:
        return low
    if low == high:
        return f"{low} ({value.size} times)"
    return f"{value.mean():.4g} ({low} to {high}, {value.size} values)"
