"""Randomised weights: the controls that show what a connectome adds to a fit.

All but `permute` shuffle the weights that are there. Which pairs are connected stays as it is, so
that each connection keeps its tract length, and so does the diagonal. A symmetric matrix stays
symmetric.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ._custom_types import Key, Weights

_N_ROUNDS = 200


def permute(matrix: Weights, key: Key) -> Weights:
    """Renumbers the regions; the same key renumbers another matrix in the same way."""
    order = jax.random.permutation(key, len(matrix))
    return matrix[order][:, order]


def shuffle(weights: Weights, key: Key) -> Weights:
    """Shuffles the weights among all edges."""
    edges = _Edges.of(weights)
    anywhere = np.zeros(len(edges.target), int)
    return edges.write(weights, _shuffle_within(anywhere, edges.read(weights), key))


def shuffle_by_distance(
    weights: Weights, lengths: Weights | None, n_bins: int, key: Key
) -> Weights:
    """Shuffles the weights among edges of similar length: `n_bins` equally full bins."""
    if lengths is None:
        raise ValueError('A surrogate of kind "distance" needs `tract_lengths`.')
    if n_bins < 1:
        raise ValueError(f"`n_bins` should be at least 1; got {n_bins}.")
    edges = _Edges.of(weights)
    rank = np.argsort(np.argsort(edges.read(np.asarray(lengths)), kind="stable"))
    bins = rank * n_bins // max(len(rank), 1)
    return edges.write(weights, _shuffle_within(bins, edges.read(weights), key))


def shuffle_keeping_strength(weights: Weights, key: Key) -> Weights:
    r"""Shuffles weights that are not negative, then rescales rows and columns to their old sums.

    $$w'_{ij} = r_i\, s_{ij}\, c_j$$

    with $s$ the shuffled weights and $r$, $c$ from damped Sinkhorn rounds. They exist, since the
    original matrix has the same zeros and the very sums that are asked for. The damping (the
    square root) keeps a symmetric matrix from oscillating between two scalings.

    Reference: Sinkhorn & Knopp, Pacific Journal of Mathematics 21:343 (1967).
    """
    if (np.asarray(weights) < 0).any():
        raise ValueError(
            'A surrogate of kind "strength" needs `weights` that are not negative; the smallest '
            f"is {weights.min():.4g}."
        )
    edges = _Edges.of(weights)
    between_regions = weights - jnp.diag(jnp.diagonal(weights))
    rows, columns = between_regions.sum(axis=1), between_regions.sum(axis=0)
    shuffled = shuffle(between_regions, key)

    def balance(_, scales):
        r, c = scales
        r_next = jnp.sqrt(r * _safe_ratio(rows, shuffled @ c))
        return r_next, jnp.sqrt(c * _safe_ratio(columns, r @ shuffled))

    scales = jnp.ones_like(rows), jnp.ones_like(columns)
    r, c = jax.lax.fori_loop(0, _N_ROUNDS, balance, scales)
    return edges.write(weights, edges.read(r[:, None] * shuffled * c))


class _Edges(NamedTuple):
    """The edges between different regions; if the matrix is symmetric, one of each two."""

    target: Int[np.ndarray, " edges"]
    source: Int[np.ndarray, " edges"]
    symmetric: bool

    @classmethod
    def of(cls, weights: Weights) -> "_Edges":
        known = np.asarray(weights)
        symmetric = bool(np.array_equal(known, known.T))
        off_diagonal = ~np.eye(len(known), dtype=bool)
        pairs = np.triu(off_diagonal) if symmetric else off_diagonal
        target, source = np.nonzero(pairs & (known != 0))
        return cls(target, source, symmetric)

    def read(self, matrix):
        return matrix[self.target, self.source]

    def write(self, matrix: Weights, values: Float[Array, " edges"]) -> Weights:
        matrix = matrix.at[self.target, self.source].set(values)
        return matrix.at[self.source, self.target].set(values) if self.symmetric else matrix


def _shuffle_within(
    groups: Int[np.ndarray, " edges"], values: Float[Array, " edges"], key: Key
) -> Float[Array, " edges"]:
    """Shuffles the values among the places of each group."""
    places = np.argsort(groups, kind="stable")
    order = jnp.lexsort((jax.random.uniform(key, values.shape), jnp.asarray(groups)))
    return values.at[places].set(values[order])


def _safe_ratio(sums: Float[Array, " n"], now: Float[Array, " n"]) -> Float[Array, " n"]:
    return jnp.where(now > 0, sums / jnp.where(now > 0, now, 1), 1)
