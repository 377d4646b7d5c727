"""Connections of which most are missing: lists of edges, and parcels of many nodes."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Scalar

from ._connectome import AbstractConnectome, Connectome
from ._custom_types import Value
from ._declare import as_float, is_array_like, is_concrete
from ._extras import require

Kernel = Callable[[Array], Array]


class Edges(eqx.Module):
    """A sparse matrix, in rows of equal length that a sum runs over without any search.

    The edges of each target fill rows of `width` places; a target with more edges has several rows.
    The width is the mean number of edges, so that there are at most twice as many places as edges
    and targets. The places left over hold a copy of a weight and read a source that is always 0,
    so that neither their value nor their gradient matters. (On 20,000 nodes with 50 edges each this
    takes a third of the time of a segment sum, and half of that of a `BCOO` matrix.)

    **Attributes:**

    - `sources`: of each place; `n_sources` for those left over.
    - `targets`: of each row, ascending; `None` if row i belongs to target i.
    """

    sources: Int[Array, "row width"]
    targets: Int[Array, " row"] | None
    n_targets: int = eqx.field(static=True)
    n_sources: int = eqx.field(static=True)

    @classmethod
    def of(
        cls, targets: np.ndarray, sources: np.ndarray, n_targets: int, n_sources: int
    ) -> tuple["Edges", np.ndarray]:
        """The layout of these edges, and for each of its places the number of an edge."""
        edge, owner = fill_rows(targets, n_targets, max(1, -(-len(targets) // n_targets)))
        read = np.where(edge < 0, n_sources, sources[edge])
        layout = cls(
            jnp.asarray(read, jnp.int32),
            None if owner is None else jnp.asarray(owner, jnp.int32),
            n_targets,
            n_sources,
        )
        return layout, np.maximum(edge, 0)

    @property
    def known(self) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
        """Target and source of each edge by target, and its row and place."""
        read = np.asarray(self.sources)
        row, place = np.nonzero(read < self.n_sources)
        targets = row if self.targets is None else np.asarray(self.targets)[row]
        return targets, read[row, place], (row, place)

    def sums(self, weights: Float[Array, "row width"], features: Value) -> Value:
        """The weighted sum over the sources of each target; axes in front are batches."""
        pad = [(0, 0)] * (features.ndim - 1) + [(0, 1)]
        return self._by_target(
            jnp.sum(weights * jnp.pad(features, pad)[..., self.sources], axis=-1)
        )

    def pair_sums(
        self, weights: Float[Array, "row width"], pair: Callable[[Array, Array], Value]
    ) -> Value:
        """The weighted sum of what `pair` makes of the numbers of source and target of an edge."""
        rows = jnp.arange(self.n_targets) if self.targets is None else self.targets
        there = self.sources < self.n_sources
        values = pair(jnp.where(there, self.sources, 0), rows[:, None])
        return self._by_target(jnp.sum(jnp.where(there, weights, 0) * values, axis=-1))

    def _by_target(self, sums: Value) -> Value:
        """The sums of the rows of each target."""
        if self.targets is None:
            return sums
        by_row = jnp.moveaxis(sums, -1, 0)
        return jnp.moveaxis(add_rows(by_row, self.targets, self.n_targets), 0, -1)


def fill_rows(
    targets: np.ndarray, n_targets: int, width: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Lays edges out in rows of `width` places, at least one row for each target.

    **Returns:**

    The number of the edge in each place, -1 where there is none, and the target of each row, or
    `None` if row i belongs to target i.
    """
    order = np.argsort(targets, kind="stable")
    degree = np.bincount(targets, minlength=n_targets)
    rows = np.maximum(-(-degree // width), 1)
    first_row, first_edge = np.cumsum(rows) - rows, np.cumsum(degree) - degree
    target = targets[order]
    rank = np.arange(len(order)) - first_edge[target]
    edge = np.full((rows.sum(), width), -1)
    edge[first_row[target] + rank // width, rank % width] = order
    return edge, None if len(edge) == n_targets else np.repeat(np.arange(n_targets), rows)


def add_rows(rows: Float[Array, "row *rest"], targets: Any, n_targets: int) -> Array:
    """The sum of the rows of each target."""
    # Sorted by target, but only known to be so.
    return jax.ops.segment_sum(rows, targets, num_segments=n_targets, indices_are_sorted=True)


class SparseConnectome(AbstractConnectome):
    r"""The connections between many nodes, as a list of edges; memory and time follow their number.

    It takes the place of a `nmm.Connectome` in a `nmm.Network`, also with delays.

    **Arguments:**

    - `targets`, `sources`: the two ends of each edge, numbers from 0; each pair once.
    - `weights`: of each edge.
    - `n_regions`: how many nodes there are.
    - `lengths`: of each edge in mm, for `reweight` and for delays, `lengths / speed`.

    **Attributes:**

    - `weights`: the weights in rows of places, `(row, place)`, which can be fitted; `edges` has
        them by edge, and `place` puts values by edge into such places.
    - `lengths`, `tract_lengths`: the lengths in the same places.

    **Raises:**

    - `ValueError` if ends, weights or lengths do not fit to each other, an end is no node, an edge
        is given twice, or a length is negative.
    """

    weights: Float[Array, "row place"]
    lengths: Float[Array, "row place"] | None
    layout: Edges
    labels: tuple[str, ...] | None = eqx.field(default=None, static=True)

    def __init__(
        self, targets: Any, sources: Any, weights: Any, n_regions: int, *, lengths: Any = None
    ):
        targets, sources = _ends(targets, sources, n_regions)
        weights = _per_edge("weights", weights, len(targets))
        self.layout, place = Edges.of(targets, sources, n_regions, n_regions)
        self.weights = weights[place]
        self.lengths = None
        if lengths is not None:
            lengths = _per_edge("lengths", lengths, len(targets))
            if is_concrete(lengths) and (np.asarray(lengths) < 0).any():
                raise ValueError(
                    f"`lengths` should not be negative, in mm; the smallest is {lengths.min():.4g}."
                )
            self.lengths = lengths[place]
        self.labels = None

    @classmethod
    def from_dense(
        cls, weights: Connectome | Any, *, lengths: Any = None, threshold: float = 0.0
    ) -> "SparseConnectome":
        """The edges of a known matrix whose magnitude is above `threshold`.

        **Arguments:**

        - `weights`: a matrix, `[target, source]`; or a `nmm.Connectome`, with its tract lengths.
        - `lengths`: a matrix in mm; `None` for those of the connectome, if it has any.
        - `threshold`: weights of at most this magnitude are no edges.

        **Raises:**

        - `ValueError` if the matrices are not square, or differ in their shape.
        """
        if isinstance(weights, Connectome):
            lengths = weights.tract_lengths if lengths is None else lengths
            weights = weights.weights
        matrix = np.asarray(weights)
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
            raise ValueError(f"`weights` should be a square matrix, got the shape {matrix.shape}.")
        if lengths is not None and np.shape(lengths) != matrix.shape:
            raise ValueError(
                f"`lengths` should have the shape of the weights, {matrix.shape}, got "
                f"{np.shape(lengths)}."
            )
        targets, sources = np.nonzero(np.abs(matrix) > threshold)
        along = None if lengths is None else np.asarray(lengths)[targets, sources]
        return cls(targets, sources, matrix[targets, sources], len(matrix), lengths=along)

    @classmethod
    def local(cls, positions: Any, kernel: Kernel, *, cutoff: float) -> "SparseConnectome":
        """Connects all nodes that are near to each other, by a kernel of their distance.

        **Arguments:**

        - `positions`: x, y, z of each node in mm, or of fewer dimensions. (For distances along a
            surface, give the edges and their `lengths` instead, and `reweight`.)
        - `kernel`: from distance to weight, such as `nmm.Gaussian(10.0)`.
        - `cutoff`: the largest distance in mm.

        **Raises:**

        - `ModuleNotFoundError` without SciPy: `pip install nmm[data]`.
        - `ValueError` if no two nodes are near enough.
        """
        positions = np.asarray(positions, float)
        if positions.ndim != 2 or not np.all(np.isfinite(positions)):
            raise ValueError(
                "`positions` should be finite numbers, (nodes, dimensions); got the shape "
                f"{positions.shape}."
            )
        pairs = (
            require("scipy.spatial", "data")
            .cKDTree(positions)
            .query_pairs(cutoff, output_type="ndarray")
        )
        if not len(pairs):
            raise ValueError(f"`cutoff` should reach some neighbour, got {cutoff} mm.")
        targets, sources = np.concatenate([pairs, pairs[:, ::-1]]).T
        lengths = np.linalg.norm(positions[targets] - positions[sources], axis=-1)
        conn = cls(targets, sources, np.ones(len(targets)), len(positions), lengths=lengths)
        return conn.reweight(kernel)

    @property
    def n_regions(self) -> int:
        """The number of nodes."""
        return self.layout.n_targets

    @property
    def n_edges(self) -> int:
        """The number of edges."""
        return int(np.sum(np.asarray(self.layout.sources) < self.n_regions))

    @property
    def edges(self) -> tuple[np.ndarray, np.ndarray, Array]:
        """Target, source and weight of each edge, by target."""
        targets, sources, where = self.layout.known
        return targets, sources, self.weights[where]

    def place(self, values: Any) -> Any:
        """Values by edge, in the order of `edges`, in the places of the weights.

        Places left over are 0. Delays by edge, `(n_edges,)`, go into a `nmm.Network` as they are.

        **Raises:**

        - `ValueError` if there is not one for each edge.
        """
        _, _, where = self.layout.known
        if np.shape(values) != (len(where[0]),):
            raise ValueError(
                f"Values by edge should have the shape ({len(where[0])},), one for each edge in "
                f"the order of `edges`; got {np.shape(values)}."
            )
        if is_concrete(values):
            placed = np.zeros(self.weights.shape, np.asarray(values).dtype)
            placed[where] = values
            return placed
        return jnp.zeros(self.weights.shape, values.dtype).at[where].set(values)

    @property
    def tract_lengths(self) -> Any:
        return self.lengths

    @property
    def strength(self) -> Float[Array, " target"]:
        """What each node receives in all."""
        return self.weighted_sum(jnp.ones(self.n_regions, self.weights.dtype))

    @property
    def spectral_radius(self) -> float:
        """The largest magnitude among the eigenvalues; needs known weights and SciPy."""
        if self.n_regions < 3:  # Too few for an iteration.
            return float(self.to_dense().spectral_radius)
        linalg = require("scipy.sparse.linalg", "data")
        sums = jax.jit(lambda x: self.weighted_sum(x))
        operator = linalg.LinearOperator(
            (self.n_regions,) * 2,
            matvec=lambda x: np.asarray(sums(jnp.asarray(x.ravel(), self.weights.dtype))),
            dtype=self.weights.dtype,
        )
        (largest,) = linalg.eigs(operator, k=1, v0=np.ones(self.n_regions), tol=1e-6)[0]
        return float(np.abs(largest))

    def weighted_sum(self, features: Value) -> Value:
        """What each node receives of what all send; axes in front of the nodes are batches."""
        return self.layout.sums(self.weights, features)

    def scale(self, factor: Any) -> "SparseConnectome":
        """All weights times a factor, such as `1 / conn.spectral_radius`.

        **Raises:**

        - `TypeError` if the factor is no number.
        """
        if not is_array_like(as_float(factor)):
            raise TypeError(
                "`factor` should be a number, such as `1 / conn.spectral_radius` or `1 / "
                f"conn.weights.max()`; got {factor!r}."
            )
        return eqx.tree_at(lambda conn: conn.weights, self, self.weights * factor)

    def reweight(self, kernel: Kernel) -> "SparseConnectome":
        """New weights from the lengths, in which the parameters of the kernel can be fitted."""
        if self.lengths is None:
            raise ValueError("`lengths` should have been given, for weights that follow from them.")
        return eqx.tree_at(lambda conn: conn.weights, self, kernel(self.lengths))

    def to_dense(self) -> Connectome:
        """The same connections as a matrix."""
        targets, sources, where = self.layout.known

        def matrix(placed: Array) -> Array:
            empty = jnp.zeros((self.n_regions,) * 2, placed.dtype)
            return empty.at[targets, sources].set(placed[where])

        lengths = None if self.lengths is None else matrix(self.lengths)
        return Connectome(matrix(self.weights), lengths)


class ParcelConnectome(AbstractConnectome):
    r"""Connections between parcels of many nodes, as of a surface: parcel hears parcel.

    $$\sum_{q} W_{p(i) q}\, \frac{1}{n_q} \sum_{j \in q} \mathrm{message}(x_j)$$

    Every node of a parcel receives what its parcel receives, the weighted mean messages of the
    others. Local connections are a second coupling with a connectome of its own
    (`nmm.SparseConnectome`). It takes the place of a `nmm.Connectome` in a `nmm.Network`, with
    delays between parcels, of which alone the history is kept.

    **Arguments:**

    - `parcels`: a `nmm.Connectome` or weights between parcels, `[target, source]`.
    - `mapping`: the parcel of each node, a number from 0.

    **Raises:**

    - `ValueError` if `mapping` names no parcel, or leaves one without nodes.
    """

    parcels: Connectome
    mapping: Int[Array, " node"]
    members: Edges
    shares: Float[Array, "row place"]
    labels: tuple[str, ...] | None = eqx.field(default=None, static=True)

    def __init__(self, parcels: Connectome | Array, mapping: Any):
        parcels = parcels if isinstance(parcels, Connectome) else Connectome(parcels)
        number = parcels.n_regions
        mapping = np.asarray(mapping)
        if mapping.ndim != 1 or mapping.dtype.kind not in "iu":
            raise ValueError(f"`mapping` should be one whole number a node, got {mapping!r}.")
        size = np.bincount(np.clip(mapping, 0, number), minlength=number)
        if len(size) > number or (mapping < 0).any():
            raise ValueError(
                f"`mapping` should hold parcels from 0 to {number - 1}, got {mapping.min()} to "
                f"{mapping.max()}."
            )
        if (size == 0).any():
            empty = np.flatnonzero(size == 0).tolist()
            raise ValueError(f"`mapping` should give nodes to every parcel; without are {empty}.")
        nodes = np.arange(len(mapping))
        self.parcels = parcels
        self.members, place = Edges.of(mapping, nodes, number, len(mapping))
        self.shares = jnp.asarray(1 / size[mapping[place]], parcels.weights.dtype)
        self.mapping = jnp.asarray(mapping, jnp.int32)
        self.labels = None

    @property
    def n_regions(self) -> int:
        """The number of nodes."""
        return len(self.mapping)

    @property
    def weights(self) -> Any:
        """Between parcels."""
        return self.parcels.weights

    @property
    def tract_lengths(self) -> Any:
        """Between parcels, mm."""
        return self.parcels.tract_lengths

    @property
    def strength(self) -> Float[Array, " target"]:
        """What each node receives in all."""
        return self.parcels.strength[self.mapping]

    @property
    def spectral_radius(self) -> Scalar | float:
        """That of the parcels, of which all but the zeros are eigenvalues here."""
        return self.parcels.spectral_radius

    def means(self, features: Value) -> Value:
        """The mean of each parcel."""
        return self.members.sums(self.shares, features)

    def weighted_sum(self, features: Value) -> Value:
        """What each node receives of what all send; axes in front of the nodes are batches."""
        return self.parcels.weighted_sum(self.means(features))[..., self.mapping]


def _ends(targets: Any, sources: Any, n_regions: int) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(n_regions, int | np.integer) or n_regions < 1:
        raise ValueError(f"`n_regions` should be a positive whole number, got {n_regions!r}.")
    ends = np.asarray(targets), np.asarray(sources)
    for name, end in zip(("targets", "sources"), ends, strict=True):
        if end.ndim != 1 or end.dtype.kind not in "iu" or end.shape != ends[0].shape:
            raise ValueError(f"`{name}` should be whole numbers, one for each edge; got {end!r}.")
        if len(end) and not (end.min() >= 0 and end.max() < n_regions):
            raise ValueError(
                f"`{name}` should be nodes from 0 to {n_regions - 1}, got {end.min()} to "
                f"{end.max()}."
            )
    if not len(ends[0]):
        raise ValueError("`targets` should hold at least one edge.")
    pairs, count = np.unique(ends[0].astype(np.int64) * n_regions + ends[1], return_counts=True)
    if (count > 1).any():
        twice = divmod(int(pairs[np.argmax(count > 1)]), n_regions)
        raise ValueError(f"`targets` and `sources` should name each edge once, got {twice} twice.")
    return ends


def _per_edge(name: str, values: Any, n_edges: int) -> Array:
    values = as_float(values)
    if jnp.shape(values) != (n_edges,):
        raise ValueError(
            f"`{name}` should have one value for each of the {n_edges} edges, got the shape "
            f"{jnp.shape(values)}."
        )
    if is_concrete(values) and not np.all(np.isfinite(values)):
        raise ValueError(f"`{name}` should be finite.")
    return values
