"""Runs on a fixed grid: the plan before, the loop, the samples after."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..observe._base import grid_steps, observer_steps
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
    own = {name: observer_steps(o, dt)[1] for name, o in outputs.observers.items()}
    begin = 0 if problem.previous is None else _begin(problem.previous, dt)
    plan = make_plan(steps, begin, tuple(periods.values()), tuple(own.values()))
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
    carry, values, result = _run(
        grid,
        problem.state,
        None if problem.previous is None else problem.previous.carry,
        problem.rows,
        np.asarray(first, np.int32),
    )
    times = {
        name: (first + np.asarray(plan.samples(period, grid.dropped)[1], dtype=np.int64)) * dt
        for name, period in periods.items()
    }
    at_once = times.pop("", None)
    names = vars(problem.state) if outputs.whole else outputs.signals
    stats = {
        "num_steps": steps,
        "non_finite_by": jnp.where(
            carry.bad_step == NEVER, jnp.inf, carry.bad_step.astype(float) * dt
        ),
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
    grid: Grid, state: Any, previous: BlockCarry | None, rows: Array | None, base: Any
) -> tuple[BlockCarry, dict[str, Any], Any]:
    """Compiled once for each kind of run; from which step on does not matter."""
    plan = grid.plan
    first_row = None
    if rows is not None:
        after = plan.blocks * plan.block - plan.offset - plan.steps
        rows = jnp.pad(rows, [(plan.offset, after)] + [(0, 0)] * (rows.ndim - 1))
        rows = rows.astype(jax.tree.leaves(state)[0].dtype)
        first_row = rows[plan.offset]
    carry = grid.start(state, base + plan.offset, first_row)
    if previous is not None:
        carry = _continue(carry, previous)
    carry, raw = grid.run(carry, base, rows)
    values = {}
    for name, value in raw.items():
        period = grid.periods[name if name in grid.periods else ""]
        chosen, _ = plan.samples(period, grid.dropped)
        values[name] = jax.tree.map(lambda x, c=chosen: _take(x, c), value)
    reported = carry.steps.result
    result: Any = RESULTS.successful if reported is None else RESULTS.promote(reported)
    failed = (carry.bad_step != NEVER) & (result == RESULTS.successful)
    return carry, values, RESULTS.where(failed, RESULTS.non_finite, result)


def _continue(fresh: BlockCarry, previous: BlockCarry) -> BlockCarry:
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
    steps = Carry(fresh.state, solver_state, forcing, fresh.steps.result)
    return BlockCarry(steps, observers, previous.bad_step, previous.bad)


def _take(x: Array, rows: list[int]) -> Array:
    """These rows; by a slice, where they are evenly spaced."""
    if not rows:
        return x[:0]
    step = rows[1] - rows[0] if len(rows) > 1 else 1
    return x[rows[0] : rows[-1] + 1 : step]
