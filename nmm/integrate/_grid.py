"""Integration on a fixed grid: a scan over blocks, and in each a scan over solver steps."""

from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._declare import declarations
from ..noise._base import AbstractDiffusion, counter_key, start_forcing, step_normals
from ..stimulus._clock import whole_and_rest
from ._field import Diffusion, Field, Increment, Moment, clip, fill_state
from ._outputs import Outputs, evaluate_signal
from ._plan import Plan
from ._solvers import LEAN

NEVER = 2**31 - 1
"""The step at which a run that stays finite becomes non-finite."""


class Carry(eqx.Module):
    """What goes from step to step.

    **Attributes:**

    - `state`, `solver_state`: of the model and of the solver.
    - `forcing`: the value of each noise with memory.
    - `result`: the first failure that the solver reported; `None` if it cannot fail.
    """

    state: Any
    solver_state: Any
    forcing: tuple[Array, ...]
    result: Any


class BlockCarry(eqx.Module):
    """What goes from block to block.

    **Attributes:**

    - `steps`: what goes from step to step.
    - `observers`: for each observer its state, and the sum of its signal since its last step.
    - `bad_step`: end of the first block after which a variable was not finite.
    - `bad`: which variables were not, in the order of the State.
    """

    steps: Carry
    observers: dict[str, tuple[Any, Array]]
    bad_step: Array
    bad: Array

    @property
    def state(self) -> Any:
        return self.steps.state


class Grid(eqx.Module):
    """A run on a grid: all that does not change from step to step.

    **Attributes:**

    - `periods`: grid steps from sample to sample, of kept values, `""`, and of each observer.
    - `own_steps`: grid steps in a step of each observer's own.
    - `dropped`: grid steps whose samples are dropped.
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

    def start(self, state: Any, first: Array, row: Any) -> BlockCarry:
        """What a fresh run starts from, at step `first`."""
        shape, dtype = _common(state)
        forcing = start_forcing(self.field.forcing, self.key, shape, dtype)
        moment = self._moment(first, row, tuple(zip(forcing, forcing, strict=True)), dtype)
        observers = {}
        for name, observer in self.outputs.observers.items():
            like = self._signal(observer.signal, 0.0, state, moment)
            observers[name] = (observer.init(like), jnp.zeros_like(like))
        draws = tuple(jnp.zeros(noise.draw_shape(shape), dtype) for noise in self._drawing)
        zero, dt = jnp.zeros((), dtype), jnp.asarray(self.dt, dtype)
        terms = self._terms(state, draws[len(forcing) :], dt)
        steps = Carry(
            state=state,
            solver_state=self.solver.init(terms, zero, dt, state, moment),
            forcing=forcing,
            result=None if isinstance(self.solver, LEAN) else diffrax.RESULTS.successful,
        )
        bad = jnp.zeros(len(jax.tree.leaves(state)), bool)
        return BlockCarry(steps, observers, jnp.asarray(NEVER, jnp.int32), bad)

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
            n, row, draws = xs
            new = self._step(steps, n, row, draws)
            if self.plan.masked:
                new = _where((n >= limits[0]) & (n < limits[1]), new, steps)
            return new, self._trace(new, traced, whole)

        steps, trace = jax.lax.scan(step, carry.steps, (ns, rows, draws))
        observers, emitted = {}, {}
        for name in self.outputs.observers:
            values = self._values(self.outputs.observers[name].signal, ns + 1, trace, rows)
            observers[name], emitted[name] = self._observe(
                name, carry.observers[name], values, n, limits
            )
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
        return BlockCarry(steps, observers, bad_step, bad), emitted

    def _step(self, carry: Carry, n: Array, row: Any, draws: tuple[Array, ...]) -> Carry:
        """One step of the solver, from step `n`."""
        _, dtype = _common(carry.state)
        forcing = tuple(
            noise.advance(value, draw, self.dt).astype(dtype)
            for noise, value, draw in zip(self.field.forcing, carry.forcing, draws, strict=False)
        )
        moment = self._moment(n, row, tuple(zip(carry.forcing, forcing, strict=True)), dtype)
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
        return Carry(state, None, carry.forcing if whole else (), None)

    def _values(self, signal: Any, ns: Array, trace: Carry, rows: Any) -> Array:
        """The values of a signal at the ends of steps."""
        signal = signal or self._node.output
        if isinstance(signal, str) and signal in declarations(self._node.State):
            return getattr(trace.state, signal)

        def value(n: Array, carry: Carry, row: Any) -> Array:
            leaf = next(x for x in jax.tree.leaves(carry.state))
            forcing = tuple(zip(carry.forcing, carry.forcing, strict=True))
            moment = self._moment(n, row, forcing, leaf.dtype)
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
        sums = jnp.sum(values.reshape(-1, unit, *values.shape[1:]), axis=1)
        ends = n + unit * jnp.arange(1, len(sums) + 1, dtype=jnp.int32)

        def step(carry: tuple[Any, Array], xs: tuple[Array, Array]) -> tuple[Any, Any]:
            own, total = carry
            added, end = xs
            total = total + added
            new = observer.advance(own, total / own_step, own_step * self.dt), total * 0
            due: Any = True if unit == own_step else end % own_step == 0
            if plan.masked:
                due = due & (end > limits[0]) & (end <= limits[1])
            new = _where(due, new, (own, total))
            return new, new[0]

        carry, states = jax.lax.scan(step, carry, (sums, ends))
        every = plan.unit(self.periods[name]) // unit
        states = jax.tree.map(lambda x: x[every - 1 :: every], states)
        return carry, jax.vmap(observer.sample)(states)

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
        return diffrax.MultiTerm(drift, diffrax.ControlTerm(Diffusion(self.diffusions), path))


LEVY_AREAS = (
    diffrax.BrownianIncrement,
    diffrax.SpaceTimeLevyArea,
    diffrax.SpaceTimeTimeLevyArea,
)
"""What a solver may ask of a Brownian motion: its increment, and its first two areas."""


def _check(state: Any, end: Array, bad_step: Array, bad: Array) -> tuple[Array, Array]:
    """Notes the first time that a variable is found to be non-finite."""
    now = jnp.stack([~jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(state)])
    first = (bad_step == NEVER) & jnp.any(now)
    return jnp.where(first, end, bad_step), jnp.where(first, now, bad)


def _common(state: Any) -> tuple[tuple[int, ...], Any]:
    """Shape and dtype of the leaves of a state, which are all the same."""
    leaf = jax.tree.leaves(state)[0]
    return leaf.shape, leaf.dtype


def _where(condition: Any, new: Any, old: Any) -> Any:
    if condition is True:
        return new
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), new, old)
