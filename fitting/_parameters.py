"""What is free in a fit: which arrays, under which constraints, from where."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from nmm._connectome import AbstractConnectome
from nmm._network import Network

from . import _paths
from ._constraints import AbstractConstraint, Interval, Positive, Real
from ._structures import Masked, Regression, Tied
from ._table import as_text

Constraint: TypeAlias = AbstractConstraint | Tied
Free: TypeAlias = (
    Mapping[str, Constraint | None] | Iterable[str] | str | eqx.Module | Callable[[Any], bool]
)


class Parameters(eqx.Module):
    """A model, and which of its arrays are free. It prints as a table.

    **Attributes:**

    - `model`: at the start, with parameters made regional where that was asked for.
    - `constraints`: of each free array, by its path.
    - `units`: of the free arrays that declare one, by path.
    """

    model: Any
    constraints: dict[str, Constraint]
    units: dict[str, str] = eqx.field(static=True)

    @property
    def start(self) -> dict[str, Array]:
        """The values at the start, by path."""
        return {path: _paths.read(self.model, path)[path] for path in self.constraints}

    @property
    def moved(self) -> dict[str, AbstractConstraint]:
        """The constraints of the arrays that an optimiser moves: all but those tied to others."""
        return {p: c for p, c in self.constraints.items() if not isinstance(c, Tied)}

    def to_unconstrained(self, values: Mapping[str, Array]) -> dict[str, Array]:
        """Numbers without limits that stand for these values."""
        return {p: c.to_unconstrained(values[p]) for p, c in self.moved.items()}

    def from_unconstrained(self, x: Mapping[str, Array]) -> dict[str, Array]:
        """The values that these numbers stand for."""
        values = {p: c.from_unconstrained(x[p]) for p, c in self.moved.items()}
        return {
            p: self._follow(p, c, values[c.to]) if isinstance(c, Tied) else values[p]
            for p, c in self.constraints.items()
        }

    def _follow(self, path: str, tied: Tied, value: Array) -> Array:
        return jnp.broadcast_to(tied.scale * value, _paths.read(self.model, path)[path].shape)

    def reported(self, x: Mapping[str, Array]) -> dict[str, Array]:
        """The values, and the coefficients of those that follow maps, as `path.a` and `path.b`."""
        coefficients = {}
        for path, constraint in self.moved.items():
            if isinstance(constraint, Regression):
                coefficients |= {f"{path}.a": x[path][0], f"{path}.b": x[path][1:]}
        return self.from_unconstrained(x) | coefficients

    def model_at(self, x: Mapping[str, Array]) -> Any:
        """The model with the values that these numbers stand for."""
        return _paths.replace(self.model, self.from_unconstrained(x))

    def table(self, **models: Any) -> list[str]:
        """Lines of a table of what is free, with its values in each of some models."""
        rows = [["path", "constraint", "unit", *models]]
        for path, constraint in self.constraints.items():
            values = (summary(_paths.read(model, path)[path]) for model in models.values())
            rows.append([path, repr(constraint), self.units[path], *values])
            if isinstance(constraint, Regression):
                each = [
                    constraint.to_unconstrained(_paths.read(model, path)[path])
                    for model in models.values()
                ]
                rows.append([f"{path}.a", "", "", *(summary(x[0]) for x in each)])
                rows.append([f"{path}.b", "", "", *(summary(x[1:]) for x in each)])
        return as_text(rows)

    def __repr__(self) -> str:
        return "\n".join(self.table(start=self.model))


def free_parameters(model: Any, free: Free) -> Parameters:
    """Frees arrays of a model.

    **Arguments:**

    - `model`: a model, network or any other PyTree.
    - `free`: a dict from path to constraint, or paths alone, whose constraints then follow from
        the declared ranges (also for `None` in a dict): `Interval` for a range with two ends,
        `Positive` for one without an upper end, else `Real`. Of the weights of a connectome, edges
        that exist are free, and stay positive if all are. A path may stand for several arrays:
        `"noise.sigma"` for those below it, `"node.tau_*"` for those that match. Or a filter of
        Equinox instead of paths: a function of an array, or a model with booleans for arrays.

    **Returns:**

    A `fitting.Parameters`, which prints as a table.

    **Raises:**

    - `ValueError` if nothing is free, a path does not exist or is given twice, a value at the start
        is outside of its constraint, or a parameter without regions should become regional.
    - `TypeError` if a constraint is none.
    """
    constraints, start, units = {}, {}, {}
    for given, constraint in _wanted(model, free).items():
        if not isinstance(constraint, Constraint | None):
            raise TypeError(
                f"`free[{given!r}]` should be a constraint, such as `fitting.Positive()`, or None, "
                f"got {constraint!r}."
            )
        for path, value in _paths.read(model, given).items():
            if path in constraints:
                raise ValueError(f"`free` should name each array once, got `{path}` twice.")
            declared = _paths.declaration(model, path)
            units[path] = declared.unit if declared else ""
            if isinstance(constraint, Tied):
                constraints[path] = constraint
                continue
            chosen = _default(model, path, value) if constraint is None else constraint
            if chosen.shape == "region":
                value = _regional(model, path, value, declared.shape if declared else ())
            _check_start(path, value, chosen)
            start[path], constraints[path] = value, chosen.starting_at(value)
    if not constraints:
        raise ValueError('`free` should name at least one parameter, such as `["coupling.G"]`.')
    for path, constraint in constraints.items():
        if isinstance(constraint, Tied):
            if constraint.to not in start:
                raise ValueError(
                    f"`{path}` should be tied to a free parameter, one of {list(start)}, got "
                    f"{constraint.to!r}."
                )
            own, value = _paths.read(model, path)[path], start[constraint.to]
            if own.ndim and value.ndim and own.shape != value.shape:
                raise ValueError(
                    f"`{path}` should have the shape of `{constraint.to}` that it is tied to, "
                    f"{value.shape}, or one of the two should be a scalar, got {own.shape}."
                )
            shape = jnp.broadcast_shapes(own.shape, value.shape)
            start[path] = jnp.broadcast_to(constraint.scale * value, shape)
    return Parameters(_paths.replace(model, start), constraints, units)


def _wanted(model: Any, free: Any) -> Mapping[str, Constraint | None]:
    """The constraints by path or pattern."""
    if isinstance(free, str):
        return {free: None}
    if isinstance(free, Mapping):
        return free
    if callable(free) or isinstance(free, eqx.Module):
        return dict.fromkeys(_paths.matching(model, free))
    return dict.fromkeys(free)


def _default(model: Any, path: str, value: Array) -> AbstractConstraint:
    owner, field = _paths.owner_of(model, path)
    if field == "weights" and isinstance(owner, AbstractConnectome):
        edges = np.asarray(value) != 0
        within = Positive() if np.all(np.asarray(value) >= 0) else Real()
        return Masked(edges, within) if edges.any() else Real()
    if field in ("speed", "delays") and isinstance(owner, Network):
        return Positive()
    declared = _paths.declaration(model, path)
    lower, upper = (declared and declared.bounds) or (None, None)
    if lower is None:
        return Real()
    return Positive(lower) if upper is None else Interval(lower, upper)


def _regional(model: Any, path: str, value: Array, core: tuple[int, ...]) -> Array:
    if value.ndim > len(core):
        return value
    regions = getattr(model, "shape", ())
    if not regions:
        raise ValueError(
            f"`{path}` cannot be made regional, since the model does not say how many regions "
            "there are: make it a `nmm.Network`, or give the parameter one value a region."
        )
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
