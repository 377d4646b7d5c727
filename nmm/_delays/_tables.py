"""What a delayed run looks up: for each edge its weight, and where in the history it reads."""

import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from .._connectome import AbstractConnectome
from .._sparse import add_rows
from ._plan import DelayPlan, Group
from ._reading import fractions
from ._spans import at_edges
from ._sums import add_up


class Arrivals(eqx.Module):
    """What a network hears beside the present: one entry for each coupling.

    **Attributes:**

    - `sums`: the weighted sums over delayed edges of each feature, or `None`.
    - `weights`: in the places of all weights, those of edges with delays that are heard at once;
        or `None` if there are none.
    - `row_sums`: of all weights.
    """

    sums: tuple[Any, ...]
    weights: tuple[Array | None, ...]
    row_sums: tuple[Array, ...]


class Held(eqx.Module):
    """What a network hears, held over a step: by input slot."""

    heard: dict[str, Array]


class Table(eqx.Module):
    """A group of edges, looked up.

    **Attributes:**

    - `weights`: of each edge, for each of the grid points that are read, latest first.
    - `lags`: of the latest of them, in steps.
    """

    weights: Float[Array, "row points place"]
    lags: Int[Array, "row place"]


class Tables(eqx.Module):
    """All groups of a plan, looked up once a run, from weights and delays.

    Features are stored as `(regions, time, channels)`: the leaves of what `message` returns one
    after the other, each with the axes in front of its regions flattened behind them. A slice in
    time is contiguous then.
    """

    groups: tuple[tuple[Table | None, ...], ...]
    now: tuple[Array | None, ...]
    row_sums: tuple[Array, ...]
    plan: DelayPlan = eqx.field(static=True)

    def __init__(
        self,
        plan: DelayPlan,
        connectomes: tuple[AbstractConnectome, ...],
        delays: list[Array | None],
        dtype: Any,
    ):
        by_edge: list[tuple[Any, Any, Array | None]] = [
            (None, None, None) if d is None else _split(plan, i, c.weights, d, dtype)
            for i, (c, d) in enumerate(zip(connectomes, delays, strict=True))
        ]
        self.plan = plan
        self.groups = tuple(
            tuple(
                None if group is None else _look_up(group, weights, lags)
                for group, (weights, lags, _) in zip(groups, by_edge, strict=True)
            )
            for groups in plan.groups
        )
        self.now = tuple(now for _, _, now in by_edge)
        self.row_sums = tuple(c.strength.astype(dtype) for c in connectomes)

    def read(self, level: int, histories: Any, length: int) -> tuple[Array | None, ...]:
        """What arrives along the groups of a level in the next `length` steps.

        **Arguments:**

        - `histories`: for each coupling its features until now, `(regions, time, channels)`.

        **Returns:**

        For each coupling the sums at the ends of these steps, `(steps, regions, channels)`.
        """

        def read(table: Table, group: Group, history: Array) -> Array:
            starts = history.shape[1] - table.lags - (self.plan.points - 1)
            # A gradient gathers the slices again: to keep them takes longer, and much memory.
            again = functools.partial(add_up, sources=group.sources, starts=starts, length=length)
            sums = jax.checkpoint(again, prevent_cse=False)
            rows = sums(table.weights, history)
            if group.targets is not None:
                rows = add_rows(rows, group.targets, group.regions)
            return jnp.swapaxes(rows, 0, 1)

        return tuple(
            None if table is None or group is None else read(table, group, history)
            for table, group, history in zip(
                self.groups[level], self.plan.groups[level], histories, strict=True
            )
        )


def with_weights(connectome: AbstractConnectome, weights: Any) -> AbstractConnectome:
    """The same connections with other weights."""
    return eqx.tree_at(lambda c: c.weights, connectome, weights)


def _split(
    plan: DelayPlan, coupling: int, weights: Array, delays: Array, dtype: Any
) -> tuple[Array, Array, Array | None]:
    """For each edge its weights and its lag, and the weights of what is heard at once."""
    spans = plan.spans[coupling]
    assert spans is not None
    first, last = plan.lags(coupling)
    weight = at_edges(spans, weights).astype(dtype)
    delay = (at_edges(spans, delays) / plan.dt).astype(dtype)
    rounded = jnp.rint(delay) if plan.reading == "nearest" else jnp.floor(delay)
    lag = jnp.clip(lax.stop_gradient(rounded).astype(jnp.int32), first, last)
    parts = [weight * f for f in fractions(delay - lag, plan.reading)]
    now = None
    if (first == 0).any():
        # The latest point of a delay below `dt` is the present.
        present = lag == 0
        now = jnp.zeros(spans.shape, dtype).at[spans.where].set(jnp.where(present, parts[0], 0))
        shifted = [*parts[1:], jnp.zeros_like(weight)]
        parts = [jnp.where(present, s, p) for s, p in zip(shifted, parts, strict=True)]
    return jnp.stack(parts), jnp.maximum(lag, 1), now


def _look_up(group: Group, weights: Array, lags: Array) -> Table:
    # An empty place has a weight of 0.
    weights = jnp.pad(weights, [(0, 0), (0, 1)])[:, group.edges]
    return Table(jnp.moveaxis(weights, 0, 1), jnp.pad(lags, (0, 1), constant_values=1)[group.edges])
