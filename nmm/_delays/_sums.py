"""Weighted sums of what was sent earlier along many edges, for several steps at once."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Float, Int


def add_up(
    weights: Float[Array, "row points place"],
    history: Float[Array, "regions time channels"],
    sources: Int[Any, "row place"],
    starts: Int[Array, "row place"],
    length: int,
) -> Float[Array, "row length channels"]:
    """What arrives in each of `length` steps along the edges of each row.

    **Arguments:**

    - `weights`: of each edge, for each of the grid points that a step reads, latest first.
    - `history`: what each region has sent.
    - `sources`: the region from which each edge comes.
    - `starts`: the earliest grid point that the first step reads of it.
    """
    # A processor with caches adds up edge by edge; launching as many kernels would be slow.
    way = _by_place if jax.default_backend() == "cpu" else _at_once
    return way(weights, history, sources, starts, length)


def _at_once(weights: Array, history: Array, sources: Any, starts: Array, length: int) -> Array:
    """One gather of the points that any step needs, one product; then the points are shifted."""
    points = weights.shape[1]
    channels, known = history.shape[2], length + points - 1
    slices = _slices(history, sources, starts, known)
    products = weights @ slices.reshape(*starts.shape, known * channels)
    products = products.reshape(-1, points, known, channels)
    return _over_points(lambda point, steps: products[:, point, steps], points, length)


@functools.partial(jax.custom_jvp, nondiff_argnums=(2, 4))
def _by_place(weights: Array, history: Array, sources: Any, starts: Array, length: int) -> Array:
    """The same, one edge of every row after the other: what is gathered stays in the cache."""
    points = weights.shape[1]

    def add(total: Array, place: Any) -> tuple[Array, None]:
        weights, sources, starts = place
        slices = _slices(history, sources, starts, length + points - 1)

        def weighed(point: int, steps: slice) -> Array:
            # Shifted first, so that XLA makes one loop of it.
            return weights[:, point, None, None] * slices[:, steps]

        return total + _over_points(weighed, points, length), None

    places = jnp.moveaxis(weights, 2, 0), jnp.asarray(sources).T, starts.T
    total = jnp.zeros((len(weights), length, history.shape[2]), history.dtype)
    return lax.scan(add, total, places, unroll=3)[0]


def _by_place_jvp(sources: Any, length: int, values: Any, tangents: Any) -> tuple[Array, Array]:
    weights, history, starts = values
    of_weights, of_history, _ = tangents
    value = _by_place(weights, history, sources, starts, length)
    tangent = jnp.zeros_like(value)
    if not isinstance(of_history, SymbolicZero):
        tangent += _by_place(weights, of_history, sources, starts, length)
    if not isinstance(of_weights, SymbolicZero):
        # Its transpose sums over time, which is a product of matrices then, and quicker.
        tangent += _at_once(of_weights, history, sources, starts, length)
    return value, tangent


_by_place.defjvp(_by_place_jvp, symbolic_zeros=True)


def _slices(history: Array, sources: Any, starts: Array, length: int) -> Array:
    """Of each edge what its source sent at `length` grid points, `(*edges, length, channels)`."""
    where = jnp.stack([jnp.broadcast_to(sources, starts.shape), starts], axis=-1)
    numbers = lax.GatherDimensionNumbers(
        offset_dims=(starts.ndim, starts.ndim + 1),
        collapsed_slice_dims=(0,),
        start_index_map=(0, 1),
    )
    sizes = (1, length, history.shape[2])
    return lax.gather(history, where, numbers, sizes, mode="promise_in_bounds")


def _over_points(part: Callable[[int, slice], Array], points: int, length: int) -> Array:
    """The sum over grid points, latest first: each begins one step before the last."""
    starts = range(points - 1, -1, -1)
    return jnp.asarray(sum(part(p, slice(s, s + length)) for p, s in enumerate(starts)))
