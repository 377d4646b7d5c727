"""Constraints that tie the entries of an array to each other, or hold some of them."""

from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float

from nmm._declare import as_float, is_concrete

from ._constraints import AbstractConstraint, Real, off_limits


class Fixed:
    """An array that is known when a program is compiled, and part of what tells it from others."""

    def __init__(self, values: Any):
        self.values = np.asarray(values)

    def __hash__(self) -> int:
        return hash((self.values.shape, self.values.tobytes()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fixed) and np.array_equal(self.values, other.values)

    def __repr__(self) -> str:
        return f"{self.values.dtype}{list(self.values.shape)}"


def _as_mask(mask: Any) -> Any:
    if mask is None or isinstance(mask, Fixed):
        return mask
    mask = np.asarray(mask)
    if mask.dtype != bool or not mask.any():
        raise ValueError(
            "`mask` should be an array of booleans, True where an entry is free, at least one of "
            f"them; got {mask.dtype} with {np.count_nonzero(mask)} entries other than 0."
        )
    return Fixed(mask)


class Masked(AbstractConstraint):
    """Some entries of an array are free, the others stay bit for bit as they are at the start.

    **Arguments:**

    - `mask`: True where an entry is free, of the shape of the array.
    - `constraint`: of the free entries, `fitting.Real()` by default. With `fitting.Simplex(total)`
        the free entries of each row sum to `total`, so that weights stay normalised and on their
        edges: `fitting.Masked(weights != 0, fitting.Simplex())`.

    **Raises:**

    - `ValueError` if `mask` is not made of booleans, or none of them is True.
    """

    mask: Fixed = eqx.field(static=True, converter=_as_mask)
    constraint: AbstractConstraint = eqx.field(default_factory=Real)
    shape: Literal["region"] | None = eqx.field(default=None, static=True, kw_only=True)
    start: Any = eqx.field(default=None, kw_only=True)

    @property
    def _of_entries(self) -> AbstractConstraint:
        """The constraint of the free entries, one after the other."""
        if isinstance(self.constraint, Simplex) and self.mask.values.ndim > 1:
            return _SharesOfRows(self.constraint.total, self.mask)
        return self.constraint

    def to_unconstrained(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        return self._of_entries.to_unconstrained(value[self.mask.values])

    def from_unconstrained(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        start = jnp.asarray(self.start, x.dtype)
        return start.at[self.mask.values].set(self._of_entries.from_unconstrained(x))

    def contains(self, value: Float[Array, "..."]) -> Bool[Array, "..."]:
        _check_same_shape("mask", self.mask, value)
        inside = self._of_entries.contains(value[self.mask.values])
        return jnp.ones(value.shape, bool).at[self.mask.values].set(inside)

    def starting_at(self, value: Float[Array, "..."]) -> "Masked":
        inner = self.constraint.starting_at(value[self.mask.values])
        return Masked(self.mask, inner, shape=self.shape, start=value)


class Symmetric(AbstractConstraint):
    """A square matrix that stays equal to its transpose; the diagonal stays as it is at the start.

    **Arguments:**

    - `constraint`: of the entries, `fitting.Real()` by default.
    - `mask`: True where an entry is free, equal to its transpose, such as `weights > 0`; by default
        all but the diagonal.

    **Raises:**

    - `ValueError` if `mask` is not made of booleans, none of them is True, or it is not symmetric.
    """

    constraint: AbstractConstraint = eqx.field(default_factory=Real)
    mask: Fixed | None = eqx.field(default=None, static=True, converter=_as_mask)
    shape: Literal["region"] | None = eqx.field(default=None, static=True, kw_only=True)
    start: Any = eqx.field(default=None, kw_only=True)

    def __check_init__(self) -> None:
        mask = self.mask and self.mask.values
        if mask is not None and (mask.ndim != 2 or not np.array_equal(mask, mask.T)):
            raise ValueError(f"`mask` should be a symmetric matrix, got the shape {mask.shape}.")

    def _edges(self, regions: int) -> tuple[np.ndarray, np.ndarray]:
        free = ~np.eye(regions, dtype=bool) if self.mask is None else self.mask.values
        rows, columns = np.nonzero(np.triu(free))
        return rows, columns

    def to_unconstrained(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        return self.constraint.to_unconstrained(value[self._edges(len(value))])

    def from_unconstrained(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        start = jnp.asarray(self.start, x.dtype)
        rows, columns = self._edges(len(start))
        entries = self.constraint.from_unconstrained(x)
        return start.at[rows, columns].set(entries).at[columns, rows].set(entries)

    def contains(self, value: Float[Array, "..."]) -> Bool[Array, "..."]:
        if value.ndim != 2 or value.shape[0] != value.shape[1]:
            raise ValueError(f"`Symmetric` is for square matrices, got the shape {value.shape}.")
        if self.mask is not None:
            _check_same_shape("mask", self.mask, value)
        edges = self._edges(len(value))
        inside = jnp.ones(value.shape, bool).at[edges].set(self.constraint.contains(value[edges]))
        return inside & (value == value.T)

    def starting_at(self, value: Float[Array, "..."]) -> "Symmetric":
        inner = self.constraint.starting_at(value[self._edges(len(value))])
        return Symmetric(inner, self.mask, shape=self.shape, start=value)


class Simplex(AbstractConstraint):
    r"""Positive values whose sum over the last axis is `total`: shares of something.

    $$v = \mathrm{total}\;\mathrm{softmax}(H^\top x)$$

    with an orthonormal basis $H$ of what sums to 0 (isometric log-ratio), so that there is one free
    number less than there are values, and none of them is special.

    Reference: Egozcue et al., Mathematical Geology 35:279 (2003).

    **Arguments:**

    - `total`: the sum.
    - `shape`: `None`, or `"region"` to make a scalar parameter regional.

    **Raises:**

    - `ValueError` if `total` is not positive and finite.
    """

    total: float = eqx.field(default=1.0, converter=float)
    shape: Literal["region"] | None = eqx.field(default=None, static=True, kw_only=True)

    def __check_init__(self) -> None:
        if not 0 < self.total < np.inf:
            raise ValueError(f"`total` should be positive and finite, got {self.total}.")

    def to_unconstrained(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        return jnp.log(value) @ jnp.asarray(_helmert(value.shape[-1]), value.dtype).T

    def from_unconstrained(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        shares = jax.nn.softmax(x @ jnp.asarray(_helmert(x.shape[-1] + 1), x.dtype))
        return off_limits(self.total * shares, 0.0)

    def contains(self, value: Float[Array, "..."]) -> Bool[Array, "..."]:
        if value.ndim == 0 or value.shape[-1] < 2:
            raise ValueError(f"`Simplex` is for 2 values or more, got the shape {value.shape}.")
        tolerance = 100 * jnp.finfo(value.dtype).eps * self.total
        whole = jnp.abs(jnp.sum(value, axis=-1, keepdims=True) - self.total) < tolerance
        return (value > 0) & whole

    def starting_at(self, value: Float[Array, "..."]) -> "Simplex":
        del value
        return self


class _SharesOfRows(AbstractConstraint):
    """The entries of a matrix where a mask is True, one after the other: a `Simplex` in each row.

    An only entry of a row is `total`.
    """

    total: float
    mask: Fixed = eqx.field(static=True)
    shape: Literal["region"] | None = eqx.field(default=None, static=True, init=False)

    def _places(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The row of each entry among those that have any, its rank, and whether there is one."""
        rows = np.nonzero(self.mask.values.reshape(-1, self.mask.values.shape[-1]))[0]
        _, first, row = np.unique(rows, return_index=True, return_inverse=True)
        rank = np.arange(len(row)) - first[row]
        there = np.zeros((len(first), rank.max() + 1), bool)
        there[row, rank] = True
        return row, rank, there

    def to_unconstrained(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        row, rank, there = self._places()
        # The k-th number of the basis is of the first k + 2 entries, so that shorter rows have
        # fewer numbers of the same one.
        logs = jnp.zeros(there.shape, value.dtype).at[row, rank].set(jnp.log(value))
        numbers = logs @ jnp.asarray(_helmert(there.shape[1]), value.dtype).T
        return numbers[row[rank > 0], rank[rank > 0] - 1]

    def from_unconstrained(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        row, rank, there = self._places()
        numbers = jnp.zeros((len(there), there.shape[1] - 1), x.dtype)
        numbers = numbers.at[row[rank > 0], rank[rank > 0] - 1].set(x)
        logs = numbers @ jnp.asarray(_helmert(there.shape[1]), x.dtype)
        shares = jax.nn.softmax(jnp.where(there, logs, -jnp.inf))
        return off_limits(self.total * shares[row, rank], 0.0)

    def contains(self, value: Float[Array, "..."]) -> Bool[Array, "..."]:
        row, rank, there = self._places()
        sums = jnp.zeros(len(there), value.dtype).at[row].add(value)
        tolerance = 100 * jnp.finfo(value.dtype).eps * self.total
        return (value > 0) & (jnp.abs(sums - self.total) < tolerance)[row]

    def starting_at(self, value: Float[Array, "..."]) -> "_SharesOfRows":
        del value
        return self


class Grouped(AbstractConstraint):
    """One value for all regions of a group: of a resting-state network, or of two homologues.

    **Arguments:**

    - `labels`: of the group of each region: numbers or strings.
    - `constraint`: of the values, `fitting.Real()` by default.
    """

    labels: Fixed = eqx.field(
        static=True, converter=lambda x: x if isinstance(x, Fixed) else Fixed(x)
    )
    constraint: AbstractConstraint = eqx.field(default_factory=Real)
    shape: Literal["region"] | None = eqx.field(default="region", static=True, init=False)

    def _members(self) -> tuple[np.ndarray, np.ndarray]:
        """A region of each group, and the group of each region."""
        _, first, group = np.unique(self.labels.values, return_index=True, return_inverse=True)
        return first, group

    def to_unconstrained(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        return self.constraint.to_unconstrained(value[..., self._members()[0]])

    def from_unconstrained(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return self.constraint.from_unconstrained(x)[..., self._members()[1]]

    def contains(self, value: Float[Array, "..."]) -> Bool[Array, "..."]:
        _check_same_shape("labels", self.labels, value)
        first, group = self._members()
        return self.constraint.contains(value) & (value == value[..., first][..., group])

    def starting_at(self, value: Float[Array, "..."]) -> "Grouped":
        return Grouped(self.labels, self.constraint.starting_at(value))


class Regression(AbstractConstraint):
    r"""Regional values that follow maps of the brain, $v = c(a + \sum_k b_k m_k)$.

    The free numbers are $a$ and the $b_k$; $c$ is the constraint of the values, so that with the
    default one it is $a + b\,m$ (in units of its scale), and with an `Interval` the values stay
    inside of it. Tables, `history` and `fitting.uncertainty` have them as `path.a` and `path.b`.

    **Arguments:**

    - `maps`: one value a region, `(regions,)`, or several maps, `(maps, regions)`. Their z-scores
        make steps of all $b_k$ equally large.
    - `constraint`: of the values, `fitting.Real()` by default.

    **Raises:**

    - `ValueError` if `maps` has another rank, is not finite, or a map is constant.
    """

    maps: Float[Array, "maps regions"] = eqx.field(
        converter=lambda maps: jnp.atleast_2d(as_float(maps))
    )
    constraint: AbstractConstraint = eqx.field(default_factory=Real)
    shape: Literal["region"] | None = eqx.field(default="region", static=True, init=False)

    def __check_init__(self) -> None:
        maps = self.maps
        if maps.ndim != 2:
            raise ValueError(f"`maps` should be (regions,) or (maps, regions), got {maps.shape}.")
        if is_concrete(maps) and not np.all(
            np.isfinite(maps).all(axis=1) & (np.ptp(maps, axis=1) > 0)
        ):
            raise ValueError("`maps` should be finite, and each should differ between regions.")

    def _design(self, dtype: Any) -> Float[Array, "coefficients regions"]:
        return jnp.concatenate([jnp.ones_like(self.maps[:1]), self.maps]).astype(dtype)

    def to_unconstrained(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        inner = self.constraint.to_unconstrained(value)
        return jnp.linalg.lstsq(self._design(value.dtype).T, inner)[0]

    def from_unconstrained(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return self.constraint.from_unconstrained(x @ self._design(x.dtype))

    def contains(self, value: Float[Array, "..."]) -> Bool[Array, "..."]:
        _check_same_shape("maps", Fixed(self.maps[0]), value)
        inside = self.constraint.contains(value)
        size = jnp.finfo(value.dtype).eps ** 0.5 * jnp.max(jnp.abs(value))
        follow = jnp.abs(self.from_unconstrained(self.to_unconstrained(value)) - value) <= size
        return jnp.where(jnp.all(inside), follow, inside)

    def starting_at(self, value: Float[Array, "..."]) -> "Regression":
        return Regression(self.maps, self.constraint.starting_at(value))


class Tied(eqx.Module):
    """Follows another free parameter: the two have one value.

    Tied to a scalar it keeps its shape; a scalar that is tied to regional values becomes regional.

    ```python
    free = {"node.tau_e": fitting.Positive(), "node.tau_i": fitting.Tied("node.tau_e")}
    ```

    **Arguments:**

    - `to`: the path of the other one.
    - `scale`: how many times as large as that this one is.

    **Raises:**

    - `ValueError` if `scale` is not finite.
    """

    to: str = eqx.field(static=True)
    scale: float = eqx.field(default=1.0, converter=float)

    def __check_init__(self) -> None:
        if not np.isfinite(self.scale):
            raise ValueError(f"`scale` should be finite, got {self.scale}.")

    def __repr__(self) -> str:
        return f"Tied({self.to!r}{'' if self.scale == 1 else f', scale={self.scale:g}'})"


def _helmert(size: int) -> np.ndarray:
    """An orthonormal basis, in rows, of the vectors of this size that sum to 0."""
    rows = np.tril(np.ones((size, size)), -1)[1:]
    rows[np.arange(size - 1), np.arange(1, size)] = -np.arange(1, size)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _check_same_shape(name: str, given: Fixed, value: ArrayLike) -> None:
    if given.values.shape != jnp.shape(value):
        raise ValueError(
            f"`{name}` should have the shape of the parameter, {jnp.shape(value)}, got "
            f"{given.values.shape}."
        )
