"""Integration on a fixed grid: one loop, in which everything else is an action at some length."""

from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array

from ..noise._base import START, AbstractDiffusion, step_normals
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
    - `observers`: for each observer its state, and the sum of its signal since its last step.
    - `bad_step`: end of the first block after which a variable was not finite.
    - `bad`: which variables were not, in the order of the State.
    - `result`: the first failure that the solver reported; `None` if it cannot fail.
    """

    state: Any
    solver_state: Any
    forcing: tuple[Array, ...]
    observers: dict[str, tuple[Any, Array]]
    bad_step: Array
    bad: Array
    result: Any


class Grid(eqx.Module):
    """A run on a grid: what does not change from step to step.

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
    periods: tuple[tuple[str, int], ...] = eqx.field(static=True)
    own_steps: tuple[tuple[str, int], ...] = eqx.field(static=True)
    dropped: int = eqx.field(static=True)
    bounded: bool = eqx.field(static=True)

    @property
    def _node(self) -> Any:
        return self.field.model.node

    def start(self, state: Any, first: Array, row: Any) -> Carry:
        """What a fresh run starts from."""
        state = jax.tree.map(jnp.asarray, state)
        shape, dtype = _common(state)
        forcing = []
        for i, noise in enumerate(self.field.forcing):
            n = jnp.full((1,), START, jnp.int32)
            drawn = noise.draw_shape(shape)
            key = jr.fold_in(jr.fold_in(self.key, i), n[0])
            forcing.append(noise.start(jr.normal(key, drawn, dtype)).astype(dtype))
        forcing = tuple(forcing)
        moment = self._moment(first, row, tuple(zip(forcing, forcing, strict=True)), dtype)
        observers = {
            name: (observer.init(like), jnp.zeros_like(like))
            for name, observer in self.outputs.observers.items()
            for like in [self._signal(observer.signal, 0.0, state, moment)]
        }
        return Carry(
            state=state,
            solver_state=self._solver_state(state, moment, dtype),
            forcing=forcing,
            observers=observers,
            bad_step=jnp.asarray(NEVER, jnp.int32),
            bad=jnp.zeros(len(jax.tree.leaves(state)), bool),
            result=None if isinstance(self.solver, LEAN) else diffrax.RESULTS.successful,
        )

    def run(self, carry: Carry, base: Array, rows: Any) -> tuple[Carry, dict[str, Any]]:
        """All blocks of the plan.

        **Arguments:**

        - `base`: the step at which the first block starts.
        - `rows`: inputs by step of the blocks, or `None`.

        **Returns:**

        What the run ends with, and the rows of each output, one a pass of its loop.
        """
        plan = self.plan
        length = plan.lengths[0]
        first = base + plan.offset
        limits = (first, first + plan.steps)
        starts = base + length * jnp.arange(plan.blocks, dtype=jnp.int32)
        rows = _split(rows, plan.blocks, length)

        def block(carry, xs):
            return self._level(0, carry, *xs, limits)

        carry, out = jax.lax.scan(self._remember(0, block), carry, (starts, rows))
        depth = len(plan.lengths)
        flat = {}
        for name, (level, values) in _levels(out).items():
            axes = min(level, depth - 1) + 1
            flat[name] = jax.tree.map(lambda x, a=axes: x.reshape(-1, *x.shape[a:]), values)
        return carry, flat

    def _remember(self, level: int, body: Any) -> Any:
        if level == self.plan.checkpoint:
            return jax.checkpoint(body, prevent_cse=False)
        return body

    def _level(
        self, i: int, carry: Carry, n: Array, xs: Any, limits: tuple[Array, Array]
    ) -> tuple[Carry, dict[str, Any]]:
        """The steps from `n` on of one pass of loop `i`."""
        lengths = self.plan.lengths
        if i == self.plan.tile:
            xs = (xs, self._draw(n, lengths[i], carry))
        if lengths[i] == 1:
            carry, out = self._step(carry, n, xs, limits), {}
        else:
            inner = lengths[i + 1]
            passes = lengths[i] // inner
            starts = n + inner * jnp.arange(passes, dtype=jnp.int32)

            def body(carry, xs):
                return self._level(i + 1, carry, *xs, limits)

            carry, out = jax.lax.scan(
                self._remember(i + 1, body), carry, (starts, _split(xs, passes, inner))
            )
        carry, emitted = self._leave(i, carry, n + lengths[i], xs, limits)
        return carry, {**out, f"level{i}": emitted}

    def _draw(self, n: Array, steps: int, carry: Carry) -> tuple[Array, ...]:
        """The random numbers of the steps from `n` on."""
        shape, dtype = _common(carry.state)
        ns = n + jnp.arange(steps, dtype=jnp.int32)
        noises = (*self.field.forcing, *(d for d in self.diffusions for _ in range(self._areas)))
        return tuple(
            step_normals(noise, jr.fold_in(self.key, i), ns, shape, self.dt, dtype)
            for i, noise in enumerate(noises)
        )

    def _step(self, carry: Carry, n: Array, xs: Any, limits: tuple[Array, Array]) -> Carry:
        """One step of the solver, from step `n`."""
        row, draws = xs if self.plan.tile >= 0 else (xs, ())
        row, draws = jax.tree.map(lambda x: x[0], (row, draws))
        _, dtype = _common(carry.state)
        n_forcing = len(self.field.forcing)
        forcing = tuple(
            noise.advance(value, draw, self.dt).astype(dtype)
            for noise, value, draw in zip(
                self.field.forcing, carry.forcing, draws[:n_forcing], strict=True
            )
        )
        moment = self._moment(n, row, tuple(zip(carry.forcing, forcing, strict=True)), dtype)
        dt = jnp.asarray(self.dt, dtype)
        state, _, _, solver_state, result = self.solver.step(
            self._terms(carry.state, draws[n_forcing:], dt),
            jnp.zeros((), dtype),
            dt,
            carry.state,
            moment,
            carry.solver_state,
            True,  # Inputs may jump between steps, so nothing is taken over from the last one.
        )
        if self.bounded:
            state = clip(state)
        observers = {}
        for name, observer in self.outputs.observers.items():
            own, total = carry.observers[name]
            value = self._signal(observer.signal, dt, state, moment)
            observers[name] = (own, total + value)
        new = Carry(
            state=state,
            solver_state=solver_state,
            forcing=forcing,
            observers=observers,
            bad_step=carry.bad_step,
            bad=carry.bad,
            result=None
            if carry.result is None
            else diffrax.RESULTS.where(
                carry.result == diffrax.RESULTS.successful, result, carry.result
            ),
        )
        if self.plan.masked:
            live = (n >= limits[0]) & (n < limits[1])
            new = _where(live, new, carry)
        return new

    def _leave(
        self, i: int, carry: Carry, end: Array, xs: Any, limits: tuple[Array, Array]
    ) -> tuple[Carry, dict[str, Any]]:
        """What happens at the end of a pass of loop `i`, which ends at step `end`."""
        plan = self.plan
        within = (end > limits[0]) & (end <= limits[1]) if plan.masked else True
        observers = dict(carry.observers)
        emitted: dict[str, Any] = {}
        periods = dict(self.periods)
        for name, per_step in self.own_steps:
            observer = self.outputs.observers[name]
            own, total = observers[name]
            if plan.level(per_step) == i:
                new = (
                    observer.advance(own, total / per_step, per_step * self.dt),
                    jnp.zeros_like(total),
                )
                due: Any = within
                if plan.lengths[i] != per_step:
                    due = due & (end % per_step == 0)
                own, total = observers[name] = _where(due, new, (own, total))
            if plan.level(periods[name]) == i:
                emitted[name] = observer.sample(own)
        if "" in periods and plan.level(periods[""]) == i:
            emitted.update(self._values(carry, end, xs))
        bad_step, bad = carry.bad_step, carry.bad
        if i == plan.checkpoint:
            now = jnp.stack([~jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(carry.state)])
            first = (bad_step == NEVER) & jnp.any(now)
            bad_step = jnp.where(first, end, bad_step)
            bad = jnp.where(first, now, bad)
        carry = eqx.tree_at(
            lambda c: (c.observers, c.bad_step, c.bad), carry, (observers, bad_step, bad)
        )
        return carry, emitted

    def _values(self, carry: Carry, end: Array, xs: Any) -> dict[str, Any]:
        """The values to keep, at step `end`."""
        if self.outputs.whole:
            return {"": carry.state}
        row = jax.tree.map(lambda x: x[-1], xs[0] if isinstance(xs, tuple) else xs)
        _, dtype = _common(carry.state)
        forcing = tuple(zip(carry.forcing, carry.forcing, strict=True))
        moment = self._moment(end, row, forcing, dtype)
        return {
            name: self._signal(signal, jnp.zeros((), dtype), carry.state, moment)
            for name, signal in self.outputs.signals.items()
        }

    def _signal(self, signal: Any, local: Any, state: Any, moment: Moment) -> Array:
        return evaluate_signal(
            self._node,
            signal,
            moment.time + local,
            state,
            lambda: self.field.received(local, state, moment),
        )

    def _moment(self, n: Array, row: Any, forcing: Any, dtype: Any) -> Moment:
        dt = jnp.asarray(self.dt, dtype)
        return Moment(time=n.astype(dtype) * dt, row=row, forcing=forcing, length=dt)

    def _terms(self, state: Any, draws: tuple[Array, ...], dt: Array) -> Any:
        drift = diffrax.ODETerm(self.field)
        if not self.diffusions:
            return drift
        areas = []
        for area, variance in zip(range(self._areas), (1.0, 1 / 12, 1 / 720), strict=False):
            normals = {
                name: jnp.sqrt(variance * dt) * draw[k]
                for noise, draw in zip(self.diffusions, draws[area :: self._areas], strict=True)
                for k, name in enumerate(noise.variables)
            }
            areas.append(fill_state(state, normals))
        if self._areas > 1:
            kind = _LEVY_AREAS[self._areas - 1]
            areas = [kind(jax.tree.map(lambda _: dt, areas[0]), *areas)]
        control = Increment(areas[0], jnp.zeros_like(dt), dt)
        return diffrax.MultiTerm(drift, diffrax.ControlTerm(Diffusion(self.diffusions), control))

    @property
    def _areas(self) -> int:
        """How many random numbers the solver takes of a Brownian motion in a step."""
        wanted = getattr(self.solver, "minimal_levy_area", diffrax.AbstractBrownianIncrement)
        return 1 + next(i for i, area in enumerate(_LEVY_AREAS) if issubclass(area, wanted))

    def _solver_state(self, state: Any, moment: Moment, dtype: Any) -> Any:
        dt = jnp.asarray(self.dt, dtype)
        shape, _ = _common(state)
        draws = tuple(
            jnp.zeros(d.draw_shape(shape), dtype)
            for d in self.diffusions
            for _ in range(self._areas)
        )
        terms = self._terms(state, draws, dt)
        return self.solver.init(terms, jnp.zeros((), dtype), dt, state, moment)


_LEVY_AREAS = (
    diffrax.BrownianIncrement,
    diffrax.SpaceTimeLevyArea,
    diffrax.SpaceTimeTimeLevyArea,
)
"""What solvers may ask of a Brownian motion: its increment, and its first two areas."""


def _common(state: Any) -> tuple[tuple[int, ...], Any]:
    """Shape and dtype of the leaves of a state, which are all the same."""
    leaf = jax.tree.leaves(state)[0]
    return leaf.shape, leaf.dtype


def _split(xs: Any, passes: int, length: int) -> Any:
    """Rows by step as rows by pass and step."""
    return jax.tree.map(lambda x: x.reshape(passes, length, *x.shape[1:]), xs)


def _where(condition: Any, new: Any, old: Any) -> Any:
    if condition is True:
        return new
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), new, old)


def _levels(out: dict[str, Any]) -> dict[str, tuple[int, Any]]:
    """Each output with the loop that emits it."""
    return {
        name: (int(level.removeprefix("level")), values)
        for level, emitted in out.items()
        for name, values in emitted.items()
    }
