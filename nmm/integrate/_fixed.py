"""Runs on a fixed grid: the plan before, the loop, the samples after."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._delays import DelayPlan, plan_delays
from .._network import Network
from ..observe._base import grid_steps, observer_steps
from ._delayed import History, continued, look_up, parse_history
from ._grid import NEVER, BlockCarry, Carry, Grid
from ._plan import make_plan
from ._problem import Problem
from ._solution import RESULTS, Ending


def solve_on_grid(problem: Problem) -> dict[str, Any]:
    """Integrates with the step `problem.dt`.

    **Returns:**

    The dynamic fields of a `Solution`.
    """
    dt, outputs = problem.dt, problem.outputs
    assert dt is not None
    steps = grid_steps(problem.t1, dt, "`t1`")
    every = 1 if problem.save_every is None else grid_steps(problem.save_every, dt, "`save_every`")
    periods = {"": every} if outputs.whole or outputs.signals else {}
    for name, observer in outputs.observers.items():
        periods[name] = grid_steps(observer.period, dt, f"`period` of {name!r}")
    rhythms = [s.rhythm * periods[name] for name, s in outputs.statistics.items()]
    own = {name: observer_steps(o, dt)[1] for name, o in outputs.observers.items()}
    begin = 0 if problem.previous is None else _begin(problem.previous, dt)
    model: Any = problem.field.model
    delay_plan, chunk = None, {}
    if getattr(model, "delayed", False):
        delay_plan = plan_delays(model.spans, dt, model.reading, steps)
        kept = max(delay_plan.history(i) for i in range(len(model.spans)))
        # What a step keeps for a gradient is about ten times what it sends.
        chunk = {"chunk": delay_plan.chunks[0], "carried": kept // 10}
    plan = make_plan(steps, begin, (*periods.values(), *rhythms), tuple(own.values()), **chunk)
    grid = Grid(
        field=problem.field,
        diffusions=problem.diffusions,
        solver=problem.solver,
        outputs=outputs,
        key=problem.key,
        plan=plan,
        dt=dt,
        periods=periods,
        own_steps=own,
        dropped=grid_steps(problem.transient, dt, "`transient`") if problem.transient else 0,
        bounded=problem.bounded,
    )
    first = begin - plan.offset
    carry, values, result, bad_time = _run(
        grid,
        problem.state,
        None if problem.previous is None else problem.previous.carry,
        problem.rows,
        np.asarray(first, np.int32),
        delay_plan,
        None if delay_plan is None else _history(problem, delay_plan),
    )
    times = {
        name: (first + np.asarray(plan.samples(period, grid.dropped)[1], dtype=np.int64)) * dt
        for name, period in periods.items()
        if name not in outputs.statistics
    }
    at_once = times.pop("", None)
    names = vars(problem.state) if outputs.whole else outputs.signals
    stats = {
        "num_steps": steps,
        "non_finite_by": bad_time,
        "non_finite": carry.bad,
        "check_interval": plan.block * dt,
    }
    return {
        "ys": values[""] if outputs.whole else values,
        "y1": carry.state,
        "times": {**{name: at_once for name in names}, **times},
        "stats": stats,
        "result": result,
        "ending": Ending(
            carry=carry, key=problem.key, step=begin + steps, dt=dt, time=(begin + steps) * dt
        ),
    }


def _history(problem: Problem, plan: DelayPlan) -> History | None:
    """The time before the run; `None` if an earlier run knows it."""
    if problem.previous is not None:
        return None
    shape = jax.tree.leaves(problem.state)[0].shape
    return parse_history(problem.field.model, problem.history, shape, plan)


def _begin(previous: Ending, dt: float) -> int:
    if previous.dt is None:
        raise ValueError(
            "`y0` is a run with steps that adapt, which cannot go on on a fixed grid; `y0=sol.y1` "
            "starts anew from its last state."
        )
    if previous.dt != dt:
        raise ValueError(
            f"`dt` should be that of the run that is continued, {previous.dt} ms, got {dt} ms; "
            "`y0=sol.y1` starts anew from its last state."
        )
    return previous.step


@eqx.filter_jit
def _run(
    grid: Grid,
    state: Any,
    previous: BlockCarry | None,
    rows: Array | None,
    base: Any,
    delay_plan: DelayPlan | None,
    given: History | None,
) -> tuple[BlockCarry, dict[str, Any], Any, Array]:
    """Compiled once for each kind of run; from which step on does not matter."""
    plan = grid.plan
    # What observers need for every step of their own is computed once, outside of the loop.
    prepared = {
        name: observer.prepare(grid.own_steps[name] * grid.dt)
        for name, observer in grid.outputs.observers.items()
    }
    grid = eqx.tree_at(lambda g: g.outputs.observers, grid, prepared, is_leaf=lambda x: x is None)
    history, tail = None, plan.blocks * plan.block - plan.offset - plan.steps
    model, outside = grid.field.model, None
    if delay_plan is not None:
        delays = look_up(model, delay_plan, state)
        grid = eqx.tree_at(lambda g: g.delays, grid, delays, is_leaf=lambda x: x is None)
        if given is not None:
            history = given.features(model, delays, state)
        else:
            history = continued(delays, previous)
        # Steps past the end move on what is stored, too.
        history = jax.tree.map(lambda x: jnp.pad(x, [(0, 0), (tail, 0), (0, 0)]), history)
        outside = delays.outside
    elif isinstance(model, Network):
        model, outside = model.guarded()
        grid = eqx.tree_at(lambda g: g.field.model, grid, model)
    first_row = None
    if rows is not None:
        rows = jnp.pad(rows, [(plan.offset, tail)] + [(0, 0)] * (rows.ndim - 1))
        rows = rows.astype(jax.tree.leaves(state)[0].dtype)
        first_row = rows[plan.offset]
    carry = grid.start(state, base + plan.offset, first_row, history)
    if previous is not None:
        carry = _continue(grid, carry, previous)
    carry, raw = grid.run(carry, base, rows)
    if delay_plan is not None:
        stored = jax.tree.map(lambda x: x[:, : x.shape[1] - tail], carry.history)
        carry = dataclasses.replace(carry, history=stored)
    values = {}
    for name, value in raw.items():
        period = grid.periods[name if name in grid.periods else ""]
        chosen, _ = plan.samples(period, grid.dropped)
        values[name] = jax.tree.map(lambda x, c=chosen: _take(x, c), value)
    for name, statistic in grid.outputs.statistics.items():
        values[name] = statistic.value(carry.statistics[name])
    reported = carry.steps.result
    result: Any = RESULTS.successful if reported is None else RESULTS.promote(reported)
    failed_at = carry.bad_step
    failed = (failed_at != NEVER) & (result == RESULTS.successful)
    result = RESULTS.where(failed, RESULTS.non_finite, result)
    if outside is not None:
        result = RESULTS.where(outside, RESULTS.delay_outside, result)
    bad_time = jnp.where(failed_at == NEVER, jnp.inf, failed_at.astype(float) * grid.dt)
    return carry, values, result, bad_time


def _continue(grid: Grid, fresh: BlockCarry, previous: BlockCarry) -> BlockCarry:
    """What the earlier run ended with; observers that it did not have start from rest."""
    forcing, solver_state = previous.steps.forcing, previous.steps.solver_state
    before, now = (jax.tree.leaves(x.state)[0].shape for x in (previous, fresh))
    if before != now:
        raise ValueError(
            f"`shape` should be that of the run that is continued, {before}, got {now}."
        )
    if len(fresh.steps.forcing) != len(forcing):
        raise ValueError(
            "`noise` should be that of the run that is continued, which had "
            f"{len(forcing)} noises with memory, got {len(fresh.steps.forcing)}; `y0=sol.y1` "
            "starts anew from its last state."
        )
    if jax.tree.structure(fresh.steps.solver_state) != jax.tree.structure(solver_state):
        solver_state = fresh.steps.solver_state
    observers = dict(fresh.observers)
    for name in observers.keys() & previous.observers.keys():
        if jax.tree.structure(observers[name]) != jax.tree.structure(previous.observers[name]):
            raise ValueError(f"`save` has another kind of observer as {name!r} than before.")
        observers[name] = previous.observers[name]
    statistics = dict(fresh.statistics)
    for name in statistics.keys() & previous.statistics.keys():
        old = previous.statistics[name]
        if jax.tree.structure(statistics[name]) != jax.tree.structure(old):
            raise ValueError(f"`save` has another kind of statistic as {name!r} than before.")
        statistics[name] = grid.outputs.statistics[name].interrupt(old) if grid.dropped else old
    steps = Carry(fresh.state, solver_state, forcing, fresh.steps.result, fresh.steps.delayed)
    bad = previous.bad_step, previous.bad
    return BlockCarry(steps, observers, statistics, *bad, fresh.history)


def _take(x: Array, rows: list[int]) -> Array:
    """These rows; by a slice, where they are evenly spaced."""
    if not rows:
        return x[:0]
    step = rows[1] - rows[0] if len(rows) > 1 else 1
    return x[rows[0] : rows[-1] + 1 : step]
