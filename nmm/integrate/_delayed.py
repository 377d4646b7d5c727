"""What arrives with delay: how features are stored, what a step hears of them, where they start."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from .._declare import as_float, fits, is_array_like
from .._delays import (
    Arrivals,
    DelayPlan,
    Held,
    Tables,
    fractions,
    plan_delays,
)
from ._field import Moment

Stored = tuple[Float[Array, "regions _ _"] | None, ...]
"""Features of each coupling; `None` of those without delays."""


class Layout(eqx.Module):
    """How the features of a coupling are stored as one array, `(regions, channels)`.

    The leaves of what `message` returns come one after the other, and within each the axes in front
    of its regions.
    """

    structure: Any = eqx.field(static=True)
    shapes: tuple[tuple[int, ...], ...] = eqx.field(static=True)

    @classmethod
    def of(cls, message: Any, shape: tuple[int, ...]) -> "Layout":
        """Of a message, of which `shape` are the batch axes of a run and the regions that send."""
        leaves = [
            x.shape if len(x.shape) > len(shape) else np.broadcast_shapes(x.shape, shape)
            for x in jax.tree.leaves(message)
        ]
        return cls(jax.tree.structure(message), tuple(leaves))

    def pack(self, features: Any) -> Float[Array, "regions channels"]:
        leaves = [
            jnp.moveaxis(jnp.broadcast_to(x, shape), -1, 0).reshape(shape[-1], -1)
            for x, shape in zip(jax.tree.leaves(features), self.shapes, strict=True)
        ]
        return jnp.concatenate(leaves, axis=1)

    def unpack(self, stored: Float[Array, "regions channels"]) -> Any:
        ends = np.cumsum([math.prod(shape[:-1]) for shape in self.shapes])
        pieces = jnp.split(jnp.moveaxis(stored, 0, -1), ends[:-1])
        leaves = [x.reshape(shape) for x, shape in zip(pieces, self.shapes, strict=True)]
        return jax.tree.unflatten(self.structure, leaves)


class Incoming(eqx.Module):
    """What is heard during a step, beside the present: a function of the time since its start.

    **Attributes:**

    - `recent`: for each coupling the sums at the last grid points, latest last.
    - `after`: the sums at the end of the step.
    - `length`: of the step, ms.
    """

    tables: Tables
    layouts: tuple[Layout, ...]
    recent: tuple[Array | None, ...]
    after: tuple[Array | None, ...]
    length: Array

    def __call__(self, local: Any) -> Arrivals:
        # Between grid points the sums are read as the features were.
        reading = "linear" if self.tables.plan.reading == "nearest" else self.tables.plan.reading
        after, *before = fractions(1 - local / self.length, reading)
        sums = []
        for layout, recent, end in zip(self.layouts, self.recent, self.after, strict=True):
            total = None
            if recent is not None and end is not None:
                total = after * end + sum(f * x for f, x in zip(before, recent[::-1], strict=True))
                total = layout.unpack(total)
            sums.append(total)
        return Arrivals(tuple(sums), self.tables.now, self.tables.row_sums)


class Chunk(eqx.Module):
    """What is heard during several steps of the grid, as a function of time.

    **Attributes:**

    - `known`: for each coupling the sums at the grid points until the end of the chunk, of which
        `plan.recent` are at its start or before.
    - `start`: of the chunk, ms.
    - `steps`: of the grid in the chunk.
    """

    delays: "Delays"
    known: tuple[Array | None, ...]
    start: Array
    steps: int = eqx.field(static=True)

    def __call__(self, time: Any) -> Arrivals:
        plan = self.delays.plan
        steps = (time - self.start) / plan.dt
        whole = jnp.clip(jnp.floor(lax.stop_gradient(steps)), 0, self.steps - 1)

        def rows(x: Array) -> tuple[Array, Array]:
            """The last grid points until now, and the next."""
            both = lax.dynamic_slice_in_dim(x, whole.astype(int), plan.recent + 1)
            return both[:-1], both[-1]

        pairs = [(None, None) if x is None else rows(x) for x in self.known]
        recent, after = zip(*pairs, strict=True)
        length = jnp.asarray(plan.dt, steps.dtype)
        incoming = Incoming(self.delays.tables, self.delays.layouts, recent, after, length)
        return incoming((steps - whole) * length)


class Fixed(eqx.Module):
    """What is heard, held over a step."""

    value: Any

    def __call__(self, local: Any) -> Any:
        del local
        return self.value


class Delays(eqx.Module):
    """The delays of a run.

    **Attributes:**

    - `outside`: whether a delay has left its range, or a weight is not 0 where there is no edge.
    """

    tables: Tables
    layouts: tuple[Layout, ...]
    outside: Any

    @property
    def plan(self) -> DelayPlan:
        return self.tables.plan

    def pack(self, messages: tuple[Any, ...]) -> tuple[Array | None, ...]:
        """The features of each coupling that are stored."""
        return tuple(
            layout.pack(message) if self.plan.stored(i) else None
            for i, (layout, message) in enumerate(zip(self.layouts, messages, strict=True))
        )

    def recent(self, history: Stored) -> tuple[Array | None, ...]:
        """The sums at the last grid points of the time before a run, latest last."""
        rows = []
        for back in range(self.plan.recent, 0, -1):
            until = jax.tree.map(lambda x, b=back: x[:, : x.shape[1] - b], history)
            rows.append(self.arriving(until, 1))
        return jax.tree.map(lambda *x: jnp.concatenate(x), *rows)

    def arriving(self, history: Stored, length: int) -> tuple[Array | None, ...]:
        """All that arrives in the next steps, of groups of every length."""
        total: tuple[Array | None, ...] = (None,) * len(history)
        for level in range(len(self.plan.chunks)):
            total = add(total, self.tables.read(level, history, length))
        return total

    def windows(self, history: Stored) -> tuple[Stored, ...]:
        """The history, and of it what each group of shorter chunks reads."""
        inner = []
        for groups in self.plan.groups[1:]:
            pairs = zip(groups, history, strict=True)
            inner.append(tuple(_last(x, g.window if g else 0) for g, x in pairs))
        return (history, *inner)


def add(a: tuple[Any, ...], b: tuple[Any, ...]) -> tuple[Any, ...]:
    """Sums by coupling, of which either may have nothing."""
    return tuple(y if x is None else x if y is None else x + y for x, y in zip(a, b, strict=True))


def append(stored: Stored, new: tuple[Array | None, ...]) -> Stored:
    """What is stored after further steps, `(steps, regions, channels)`; as much as before."""
    appended = []
    for old, rows in zip(stored, new, strict=True):
        if old is not None and rows is not None:
            old = jnp.concatenate([old, jnp.swapaxes(rows, 0, 1)], 1)[:, -old.shape[1] :]
        appended.append(old)
    return tuple(appended)


def look_up(model: Any, plan: DelayPlan, state: Any) -> Delays:
    """Looks up weights and delays of a network, once a run."""
    leaf = jax.tree.leaves(state)[0]
    layouts = tuple(
        Layout.of(message, leaf.shape[:-1] + (spans.regions if spans else leaf.shape[-1],))
        for spans, message in zip(model.spans, jax.eval_shape(model.messages, state), strict=True)
    )
    delays = model.all_delays()
    model, bad = model.guarded()
    return Delays(Tables(plan, model.connectomes, delays, leaf.dtype), layouts, bad)


def delays_of(model: Any, dt: float, steps: int, state: Any) -> Delays:
    """The delays of a network in a run of `steps` steps.

    **Raises:**

    - `ValueError` if they have left their range, as far as they are known.
    """
    model.check_delays()
    return look_up(model, plan_delays(model.spans, dt, model.reading, steps), state)


def hold(model: Any, moment: Moment, state: Any) -> Moment:
    """A moment that hears all through its step what there is at its start."""
    now = () if moment.delayed is None else (moment.delayed(jnp.zeros_like(moment.length)),)
    return dataclasses.replace(moment, delayed=Fixed(Held(model.hear(state, *now))))


def continued(delays: Delays, previous: Any) -> Stored:
    """The features that an earlier run has stored.

    **Raises:**

    - `ValueError` if it has stored other features, or too few.
    """
    stored = previous.history or (None,) * len(delays.layouts)
    wanted = [delays.plan.history(i) * delays.plan.stored(i) for i in range(len(delays.layouts))]
    found = [0] * len(wanted)
    if len(stored) == len(wanted):
        found = [0 if x is None else x.shape[1] for x in stored]
    if any(f < w for f, w in zip(found, wanted, strict=True)):
        raise ValueError(
            f"`y0` should be a run whose history reaches back {max(wanted)} steps, as far as the "
            f"delays of this network, got one of {max(found)}; `y0=sol.y1` starts anew."
        )
    pairs = zip(stored, wanted, strict=True)
    return tuple(_last(x, w) for x, w in pairs)


def _last(stored: Array | None, rows: int) -> Array | None:
    """The latest rows; `None` of nothing, or if none is wanted."""
    return stored[:, stored.shape[1] - rows :] if stored is not None and rows else None


class History(eqx.Module):
    """The time before a run, as it was given.

    **Attributes:**

    - `function`: of time, `t -> State` or values of the source, or `None`.
    - `values`: a State or values of the source, constant or one row a step; or `None`.
    """

    function: Callable[[Any], Any] | None
    values: Any

    def features(self, model: Any, delays: Delays, state: Any) -> Stored:
        """The features of each coupling until the start of the run."""
        now = delays.pack(model.messages(state))
        plan = delays.plan
        stored: list[Array | None] = []
        for i, latest in enumerate(now):
            rows = plan.history(i)
            if latest is None:
                stored.append(None)
            elif self.function is None and self.values is None:
                shape = (latest.shape[0], rows, latest.shape[1])
                stored.append(jnp.broadcast_to(latest[:, None], shape))
            else:
                values = self._before(rows, plan.dt, latest.dtype)
                each: Any = jax.vmap(lambda v, i=i: delays.pack(model.messages(v))[i])(values)
                before = jnp.swapaxes(each, 0, 1).astype(latest.dtype)
                stored.append(jnp.concatenate([before, latest[:, None]], axis=1))
        return tuple(stored)

    def _before(self, rows: int, dt: float, dtype: Any) -> Any:
        """What was at the grid points before the start, oldest first."""
        if self.function is not None:
            return jax.vmap(self.function)(dt * jnp.arange(1 - rows, 0, dtype=dtype))

        def last(x: Array) -> Array:
            x = x[-rows:-1]
            pad = [(rows - 1 - len(x), 0)] + [(0, 0)] * (x.ndim - 1)
            return jnp.pad(x, pad, mode="edge")

        return jax.tree.map(last, self.values)


def parse_history(model: Any, history: Any, shape: tuple[int, ...], plan: DelayPlan) -> History:
    """The argument `history` of `nmm.simulate`.

    **Arguments:**

    - `shape`: of the leaves of a State of the run.

    **Raises:**

    - `TypeError` or `ValueError` for what is no history of this network, or a too short one.
    """
    node = model.node
    if history is None:
        return History(None, None)
    if callable(history) and not isinstance(history, node.State):
        value = jax.eval_shape(history, jnp.zeros(()))
        _check_kind(model, value)
        for x in jax.tree.leaves(value):
            _check_shape(x.shape, shape)
        return History(history, None)
    _check_kind(model, history)
    longest = max(one.longest.max() for one in model.spans if one is not None)
    steps = longest / plan.dt
    needed = (round(steps) if plan.reading == "nearest" else math.ceil(steps - 1e-6)) + 1

    def as_rows(x: Any) -> Array:
        x = as_float(x)
        if np.ndim(x) <= len(shape):
            _check_shape(np.shape(x), shape)
            return jnp.broadcast_to(x, (needed + 1, *shape))
        if x.shape[1:] != shape:
            raise ValueError(f"`history` should have rows of the shape {shape}, got {x.shape[1:]}.")
        if len(x) < needed:
            raise ValueError(
                f"`history` should have at least {needed} rows, oldest first, since the longest "
                f"delay is {longest:.6g} ms and `dt` is {plan.dt} ms; got {len(x)}."
            )
        return x

    return History(None, jax.tree.map(as_rows, history))


def _check_shape(found: tuple[int, ...], shape: tuple[int, ...]) -> None:
    """Refuses values of another shape than a State of the run."""
    if not fits(found, shape):
        raise ValueError(
            f"`history` should be scalar or have the shape of the state, {shape}, also as a "
            f"function of time; got {found}."
        )


def _check_kind(model: Any, values: Any) -> None:
    if isinstance(values, model.node.State):
        return
    if not is_array_like(as_float(values)) and not isinstance(values, jax.ShapeDtypeStruct):
        raise TypeError(
            f"`history` should be a `{type(model.node).__name__}.State`, values of the source, or "
            "a function of time that returns one of these (an earlier run goes on by `y0=sol`); "
            f"got {values!r}."
        )
    model.messages(values) if isinstance(values, jax.Array) else None
