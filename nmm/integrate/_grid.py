"""Integration on a fixed grid: a scan over blocks, and in each a scan over solver steps."""

import dataclasses
import math
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._declare import declarations
from ..noise import AbstractDiffusion
from ..noise._base import counter_key, start_forcing, step_normals
from ..stimulus._clock import whole_and_rest
from ._delayed import Delays, Incoming, Stored, add, append, hold
from ._field import Diffusion, Field, Increment, Moment, clip, fill_state
from ._outputs import Outputs, evaluate_signal
from ._plan import Plan
from ._solvers import AbstractLean

NEVER = 2**31 - 1
"""The step at which a run that stays finite becomes non-finite."""


class Carry(eqx.Module):
    """What goes from step to step.

    **Attributes:**

    - `state`, `solver_state`: of the model and of the solver.
    - `forcing`: the value of each noise with memory.
    - `result`: the first failure that the solver reported; `None` if it cannot fail.
    - `delayed`: what arrives with delay at the last grid points, of each coupling; `None` without
        delays.
    """

    state: Any
    solver_state: Any
    forcing: tuple[Array, ...]
    result: Any
    delayed: tuple[Array | None, ...] | None = None


class BlockCarry(eqx.Module):
    """What goes from block to block.

    **Attributes:**

    - `steps`: what goes from step to step.
    - `observers`: for each observer its state, and the sum of its signal since its last step.
    - `statistics`: the state of each statistic of samples.
    - `bad_step`: end of the first block after which a variable was not finite.
    - `bad`: which variables were not, in the order of the State.
    - `history`: the features that are still to arrive, of each coupling; `None` without delays.
    """

    steps: Carry
    observers: dict[str, tuple[Any, Array]]
    statistics: dict[str, Any]
    bad_step: Array
    bad: Array
    history: Stored | None = None

    @property
    def state(self) -> Any:
        return self.steps.state


class Grid(eqx.Module):
    """A run on a grid: all that does not change from step to step.

    **Attributes:**

    - `periods`: grid steps from sample to sample, of kept values, `""`, and of each observer.
    - `own_steps`: grid steps in a step of each observer's own.
    - `dropped`: grid steps whose samples are dropped.
    - `delays`: the delays, looked up; `None` without.
    """

    field: Field
    diffusions: tuple[AbstractDiffusion, ...]
    solver: diffrax.AbstractSolver
    outputs: Outputs
    key: Any
    plan: Plan = eqx.field(static=True)
    dt: float = eqx.field(static=True)
    periods: dict[str, int] = eqx.field(static=True)
    own_steps: dict[str, int] = eqx.field(static=True)
    dropped: int = eqx.field(static=True)
    bounded: bool = eqx.field(static=True)
    delays: Delays | None = None

    def start(self, state: Any, first: Array, row: Any, history: Stored | None) -> BlockCarry:
        """What a fresh run starts from, at step `first`."""
        shape, dtype = _common(state)
        delayed = None
        if self.delays is not None and history is not None:
            delayed = self.delays.recent(history)
        forcing = start_forcing(self.field.forcing, self.key, shape, dtype)
        moment = self._moment(first, row, tuple(zip(forcing, forcing, strict=True)), dtype)
        moment = self._hearing(moment, delayed)
        observers = {}
        for name, observer in self.outputs.observers.items():
            like = self._signal(observer.signal, 0.0, state, moment)
            observers[name] = (observer.init(like), jnp.zeros_like(like))
        statistics = {
            name: statistic.init(statistic.of.sample(observers[name][0], 0))
            for name, statistic in self.outputs.statistics.items()
        }
        draws = tuple(jnp.zeros(noise.draw_shape(shape), dtype) for noise in self._drawing)
        zero, dt = jnp.zeros((), dtype), jnp.asarray(self.dt, dtype)
        terms = self._terms(state, draws[len(forcing) :], dt)
        steps = Carry(
            state=state,
            solver_state=self.solver.init(terms, zero, dt, state, moment),
            forcing=forcing,
            result=None if isinstance(self.solver, AbstractLean) else diffrax.RESULTS.successful,
            delayed=delayed,
        )
        bad = jnp.zeros(len(jax.tree.leaves(state)), bool)
        never = jnp.asarray(NEVER, jnp.int32)
        return BlockCarry(steps, observers, statistics, never, bad, history)

    def run(self, carry: BlockCarry, base: Array, rows: Any) -> tuple[BlockCarry, dict[str, Any]]:
        """All blocks of the plan.

        **Arguments:**

        - `base`: the step at which the first block starts.
        - `rows`: inputs by step of the blocks, or `None`.

        **Returns:**

        What the run ends with, and the rows of each output, one after every `plan.unit(period)`.
        """
        plan = self.plan
        limits = (base + plan.offset, base + plan.offset + plan.steps)
        starts = base + plan.block * jnp.arange(plan.blocks, dtype=jnp.int32)
        rows = jax.tree.map(lambda x: x.reshape(plan.blocks, plan.block, *x.shape[1:]), rows)

        # A gradient computes a block again instead of storing it.
        @jax.checkpoint
        def block(carry: BlockCarry, xs: Any) -> tuple[BlockCarry, dict[str, Any]]:
            start, inputs = xs
            return self._block(carry, start, inputs, limits)

        carry, out = jax.lax.scan(block, carry, (starts, rows))
        return carry, jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), out)

    def _block(
        self, carry: BlockCarry, n: Array, rows: Any, limits: tuple[Array, Array]
    ) -> tuple[BlockCarry, dict[str, Any]]:
        """The steps of one block, from step `n` on, and what is sampled of them."""
        shape, dtype = _common(carry.state)
        ns = n + jnp.arange(self.plan.block, dtype=jnp.int32)
        draws = tuple(
            step_normals(noise, counter_key(self.key, i), ns, shape, self.dt, dtype)
            for i, noise in enumerate(self._drawing)
        )

        unit = self.plan.unit(self.periods.get("", self.plan.block))
        observed = [observer.signal for observer in self.outputs.observers.values()]
        kept = list(self.outputs.signals.values())
        # What is kept at the end of a block alone need not be traced through it.
        traced = observed + kept if unit < self.plan.block else observed
        whole = self.outputs.whole and unit < self.plan.block

        def step(steps: Carry, xs: Any) -> tuple[Carry, Any]:
            n, row, draws, *after = xs
            new = self._step(steps, n, row, draws, *after)
            if self.plan.masked:
                new = _where((n >= limits[0]) & (n < limits[1]), new, steps)
            return new, self._trace(new, traced, whole)

        history = carry.history
        if self.delays is None:
            steps, trace = jax.lax.scan(step, carry.steps, (ns, rows, draws))
        else:
            steps, history, trace = self._chunks(step, carry, (ns, rows, draws))
        observers, emitted = {}, {}
        for name in self.outputs.observers:
            values = self._values(self.outputs.observers[name].signal, ns + 1, trace, rows)
            observers[name], emitted[name] = self._observe(
                name, carry.observers[name], values, n, limits
            )
        statistics = {
            name: self._gather(name, carry.statistics[name], emitted.pop(name), n, limits)
            for name in self.outputs.statistics
        }
        if "" in self.periods:
            if unit == self.plan.block:
                last = self._trace(steps, kept, self.outputs.whole)
                trace = jax.tree.map(lambda x: x[None], last)
            else:
                trace = jax.tree.map(lambda x: x[unit - 1 :: unit], trace)
            ns, rows = jax.tree.map(lambda x: x[unit - 1 :: unit], (ns, rows))
            if self.outputs.whole:
                emitted[""] = trace.state
            for name, signal in self.outputs.signals.items():
                emitted[name] = self._values(signal, ns + 1, trace, rows)
        bad_step, bad = _check(steps.state, n + self.plan.block, carry.bad_step, carry.bad)
        return BlockCarry(steps, observers, statistics, bad_step, bad, history), emitted

    def _chunks(self, step: Any, carry: BlockCarry, xs: Any) -> tuple[Carry, Stored, Any]:
        """The steps of one block in chunks, at whose start is read what arrives in them."""
        delays, model = self.delays, self.network
        assert delays is not None and carry.history is not None

        def advance(steps: Carry, windows: Any, xs: Any, level: int) -> Any:
            if level == len(delays.plan.chunks):

                def one(steps: Carry, xs: Any) -> Any:
                    new, trace = step(steps, xs)
                    return new, (trace, delays.pack(model.messages(new.state)))

                steps, out = jax.lax.scan(one, steps, xs)
                return steps, windows, out

            length = delays.plan.chunks[level]

            def chunk(carry: Any, xs: Any) -> Any:
                steps, (window, *inner) = carry
                *given, arriving = xs
                arriving = add(arriving, delays.tables.read(level, window, length))
                steps, inner, out = advance(steps, inner, (*given, arriving), level + 1)
                return (steps, (append(window, out[1]), *inner)), out

            xs = jax.tree.map(lambda x: x.reshape(-1, length, *x.shape[1:]), xs)
            (steps, windows), out = jax.lax.scan(chunk, (steps, tuple(windows)), xs)
            return steps, windows, jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), out)

        nothing = (None,) * len(carry.history)
        windows = delays.windows(carry.history)
        steps, (history, *_), out = advance(carry.steps, windows, (*xs, nothing), 0)
        return steps, history, out[0]

    def _step(
        self, carry: Carry, n: Array, row: Any, draws: tuple[Array, ...], after: Any = None
    ) -> Carry:
        """One step of the solver, from step `n`, at whose end `after` arrives with delay."""
        _, dtype = _common(carry.state)
        forcing = tuple(
            noise.advance(value, draw, self.dt).astype(dtype)
            for noise, value, draw in zip(self.field.forcing, carry.forcing, draws, strict=False)
        )
        moment = self._moment(n, row, tuple(zip(carry.forcing, forcing, strict=True)), dtype)
        moment = self._hearing(moment, carry.delayed, after)
        if getattr(self.field.model, "hold", False):
            moment = hold(self.field.model, moment, carry.state)
        zero, dt = jnp.zeros((), dtype), jnp.asarray(self.dt, dtype)
        # Inputs may jump from step to step, so that a solver must not reuse its last evaluation.
        jumped = True
        terms = self._terms(carry.state, draws[len(forcing) :], dt)
        state, _, _, solver_state, result = self.solver.step(
            terms, zero, dt, carry.state, moment, carry.solver_state, jumped
        )
        if carry.result is not None:
            fine = carry.result == diffrax.RESULTS.successful
            result = diffrax.RESULTS.where(fine, result, carry.result)
        return Carry(
            state=clip(state) if self.bounded else state,
            solver_state=solver_state,
            forcing=forcing,
            result=None if carry.result is None else result,
            delayed=None if after is None else _shift(carry.delayed, after),
        )

    def _trace(self, carry: Carry, signals: list[Any], whole: bool) -> Carry:
        """What these signals need of a step afterwards; `None` in place of what they do not."""
        signals = [signal or self._node.output for signal in signals]
        needed = {s for s in signals if isinstance(s, str)}
        variables = set(declarations(self._node.State))
        # An observable or a function may look at anything.
        whole = whole or not needed <= variables or len(needed) < len(set(signals))
        kept = vars(carry.state) if whole else {name: getattr(carry.state, name) for name in needed}
        state = object.__new__(type(carry.state))
        for name in vars(carry.state):
            object.__setattr__(state, name, kept.get(name))
        if not whole:
            return Carry(state, None, (), None)
        return Carry(state, None, carry.forcing, None, carry.delayed)

    def _values(self, signal: Any, ns: Array, trace: Carry, rows: Any) -> Array:
        """The values of a signal at the ends of steps."""
        signal = signal or self._node.output
        if isinstance(signal, str) and signal in declarations(self._node.State):
            return getattr(trace.state, signal)

        def value(n: Array, carry: Carry, row: Any) -> Array:
            leaf = next(x for x in jax.tree.leaves(carry.state))
            forcing = tuple(zip(carry.forcing, carry.forcing, strict=True))
            moment = self._hearing(self._moment(n, row, forcing, leaf.dtype), carry.delayed)
            return self._signal(signal, jnp.zeros((), leaf.dtype), carry.state, moment)

        return jax.vmap(value)(ns, trace, rows)

    def _observe(
        self, name: str, carry: tuple[Any, Array], values: Array, n: Array, limits: Any
    ) -> tuple[tuple[Any, Array], Array]:
        """An observer over the values of a block: its steps, and its samples."""
        plan, observer, own_step = self.plan, self.outputs.observers[name], self.own_steps[name]
        unit = plan.unit(own_step)
        if plan.masked:
            ns = n + jnp.arange(plan.block, dtype=jnp.int32)
            live = (ns >= limits[0]) & (ns < limits[1])
            values = jnp.where(live.reshape(-1, *[1] * (values.ndim - 1)), values, 0)
        pieces = values.reshape(-1, unit, *values.shape[1:])
        ends = n + unit * jnp.arange(1, len(pieces) + 1, dtype=jnp.int32)
        due: Any = None if unit == own_step else ends % own_step == 0
        if plan.masked:
            within = (ends > limits[0]) & (ends <= limits[1])
            due = within if due is None else due & within
        own, total = carry
        first = jnp.clip((limits[0] - n) // unit, 0, len(pieces) - 1) if plan.masked else 0
        sums, total = _sums(pieces, total, due, first, unit == own_step)

        def step(own: Any, xs: tuple[Array, Any]) -> tuple[Any, Any]:
            added, due = xs
            new = observer.advance(own, added / own_step, own_step * self.dt)
            new = new if due is None else _where(due, new, own)
            return new, new

        own, states = jax.lax.scan(step, own, (sums, due))
        period = self.periods[name]
        every = plan.unit(period) // unit
        states = jax.tree.map(lambda x: x[every - 1 :: every], states)
        return (own, total), jax.vmap(observer.sample)(states, ends[every - 1 :: every] // period)

    def _gather(self, name: str, state: Any, rows: Array, n: Array, limits: Any) -> Any:
        """A statistic after the samples of a block."""
        period, statistic = self.periods[name], self.outputs.statistics[name]
        unit = self.plan.unit(period)
        ends = n + unit * jnp.arange(1, len(rows) + 1, dtype=jnp.int32)
        within = (ends > limits[0] + self.dropped) & (ends <= limits[1])
        valid = within & (ends % period == 0)
        whole = unit == period
        piece = math.gcd(self.plan.block, statistic.rhythm * period) // period if whole else 1
        return statistic.update(state, rows, valid, ends // period, piece)

    @property
    def network(self) -> Any:
        """The model of the run."""
        return self.field.model

    @property
    def _node(self) -> Any:
        return self.field.model.node

    @property
    def _drawing(self) -> tuple[Any, ...]:
        """What takes random numbers: noises with memory, and as often as needed white ones."""
        return (*self.field.forcing, *(d for d in self.diffusions for _ in range(self._areas)))

    @property
    def _areas(self) -> int:
        """How many random numbers the solver takes of a Brownian motion in a step."""
        wanted = getattr(self.solver, "minimal_levy_area", diffrax.AbstractBrownianIncrement)
        return 1 + next(i for i, area in enumerate(LEVY_AREAS) if issubclass(area, wanted))

    def _signal(self, signal: Any, local: Any, state: Any, moment: Moment) -> Array:
        def inputs() -> Any:
            return self.field.received(local, state, moment)

        return evaluate_signal(self._node, signal, moment.time + local, state, inputs)

    def _moment(self, n: Array, row: Any, forcing: Any, dtype: Any) -> Moment:
        dt = jnp.asarray(self.dt, dtype)
        clock = whole_and_rest(n, self.dt, dtype)
        return Moment(clock=clock, row=row, forcing=forcing, length=dt)

    def _hearing(self, moment: Moment, delayed: Any, after: Any = None) -> Moment:
        """A moment with what arrives in its step; at its start alone if `after` is not given."""
        if self.delays is None:
            return moment
        if after is None:
            after = jax.tree.map(lambda x: x[-1], delayed)
        delays = self.delays
        heard = Incoming(delays.tables, delays.layouts, delayed, after, moment.length)
        return dataclasses.replace(moment, delayed=heard)

    def _terms(self, state: Any, draws: tuple[Array, ...], dt: Array) -> Any:
        drift = diffrax.ODETerm(self.field)
        if not self.diffusions:
            return drift
        areas = []
        # Variance of the increment over a step of length 1, and of its space-time areas.
        for area, variance in zip(range(self._areas), (1.0, 1 / 12, 1 / 720), strict=False):
            normals = {
                name: jnp.sqrt(variance * dt) * draw[k]
                for noise, draw in zip(self.diffusions, draws[area :: self._areas], strict=True)
                for k, name in enumerate(noise.variables)
            }
            areas.append(fill_state(state, normals))
        control = areas[0]
        if self._areas > 1:
            lengths = jax.tree.map(lambda _: dt, areas[0])
            control = LEVY_AREAS[self._areas - 1](lengths, *areas)
        path = Increment(control, jnp.zeros_like(dt), dt)
        diffusion = Diffusion(self.diffusions, self._node)
        return diffrax.MultiTerm(drift, diffrax.ControlTerm(diffusion, path))


LEVY_AREAS = (
    diffrax.BrownianIncrement,
    diffrax.SpaceTimeLevyArea,
    diffrax.SpaceTimeTimeLevyArea,
)
"""What a solver may ask of a Brownian motion: its increment, and its first two areas."""


def _sums(pieces: Array, total: Array, due: Any, first: Any, whole: bool) -> tuple[Array, Array]:
    """The sums of a signal over the steps of an observer, added up in the order of time, so that a
    run in parts has the same last digit as the whole.

    **Arguments:**

    - `pieces`: values, `(pieces, steps, ...)`.
    - `total`: what was added up before.
    - `due`: which pieces end a step of the observer; `None` if all do.
    - `first`: the piece to which `total` belongs, if each piece is a whole step (`whole`).

    **Returns:**

    The sum up to the end of each piece, and what of it belongs to a later step.
    """

    def add(total: Array, values: Array) -> Array:
        return jax.lax.scan(lambda t, x: (t + x, None), total, values, unroll=16)[0]

    if whole:
        start = jnp.zeros_like(pieces[:, 0]).at[first].set(total)
        sums = add(start, jnp.moveaxis(pieces, 1, 0))
        if due is None:
            return sums, jnp.zeros_like(total)
        finished = due.reshape(-1, *[1] * (sums.ndim - 1))
        return sums, jnp.sum(jnp.where(finished, 0, sums), axis=0)

    def piece(total: Array, xs: tuple[Array, Array]) -> tuple[Array, Array]:
        values, due = xs
        total = add(total, values)
        return jnp.where(due, 0, total), total

    total, sums = jax.lax.scan(piece, total, (pieces, due))
    return sums, total


def _check(state: Any, end: Array, bad_step: Array, bad: Array) -> tuple[Array, Array]:
    """Notes the first time that a variable is found to be non-finite."""
    now = jnp.stack([~jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(state)])
    first = (bad_step == NEVER) & jnp.any(now)
    return jnp.where(first, end, bad_step), jnp.where(first, now, bad)


def _common(state: Any) -> tuple[tuple[int, ...], Any]:
    """Shape and dtype of the leaves of a state, which are all the same."""
    leaf = jax.tree.leaves(state)[0]
    return leaf.shape, leaf.dtype


def _shift(recent: Any, after: Any) -> Any:
    """The latest grid points, one later."""
    return jax.tree.map(lambda old, new: jnp.concatenate([old[1:], new[None]]), recent, after)


def _where(condition: Any, new: Any, old: Any) -> Any:
    if condition is True:
        return new
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), new, old)
