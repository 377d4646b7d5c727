"""Runs with steps that adapt: `diffrax.diffeqsolve`, with noise and observers integrated along."""

from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._delays import DelayPlan, plan_delays
from .._network import Network
from ..observe._base import grid_steps
from ._augmented import Augmented, AugmentedField
from ._breaks import end_at_breaks
from ._delayed import Chunk, History, append, look_up, parse_history
from ._problem import Problem
from ._solution import RESULTS, Ending


def solve_adaptively(
    problem: Problem,
    stepsize_controller: diffrax.AbstractStepSizeController | None,
    adjoint: diffrax.AbstractAdjoint | None,
    event: diffrax.Event | None,
    max_steps: int | None,
) -> dict[str, Any]:
    """Integrates by `diffrax.diffeqsolve`.

    **Returns:**

    The dynamic fields of a `Solution`.
    """
    model: Any = problem.field.model
    if getattr(model, "hold", False):
        raise ValueError(
            "`stepsize_controller`, `adjoint` and `event` should be left out, since a network with "
            "`hold` runs with a fixed step."
        )
    previous = problem.previous
    delayed = getattr(model, "delayed", False)
    if delayed:
        _refuse_with_delays(problem, event)
    if previous is not None and previous.dt is not None:
        raise ValueError(
            "`y0` is a run on a fixed grid, which cannot go on with steps that adapt; `y0=sol.y1` "
            "starts anew from its last state."
        )
    if stepsize_controller is None and problem.dt is None:
        raise ValueError("`dt` should be given, since no `stepsize_controller` chooses it.")
    if problem.outputs.statistics:
        raise ValueError(
            f"`save` should gather the statistics {list(problem.outputs.statistics)} in a run with "
            "a fixed step; where steps adapt, save the samples."
        )
    plan = given = None
    if delayed:
        assert problem.dt is not None
        steps = grid_steps(problem.t1, problem.dt, "`t1`")
        plan = plan_delays(model.spans, problem.dt, model.reading, steps)
        shape = jax.tree.leaves(problem.state)[0].shape
        given = parse_history(model, problem.history, shape, plan)
    segment = 0 if previous is None else previous.step
    begin = 0.0 if previous is None else previous.time
    periods = _periods(problem)
    if plan is not None:
        for name, period in periods.items():
            grid_steps(period, plan.dt, f"`period` of {name!r}" if name else "`save_every`")
    times = {
        # Rounding must not put a time past the end.
        name: np.minimum(
            np.arange(1, int(problem.t1 / period * (1 + 1e-9)) + 1) * period, problem.t1
        )
        for name, period in periods.items()
    }
    saved, stats, outcome, start = _solve(
        problem,
        stepsize_controller or diffrax.ConstantStepSize(),
        adjoint or diffrax.RecursiveCheckpointAdjoint(),
        event,
        max_steps,
        jnp.asarray(begin),
        segment,
        times,
        plan,
        given,
    )
    ys = {}
    for name, observer in problem.outputs.observers.items():
        after = saved[name]
        before = jax.tree.map(
            lambda first, rest: jnp.concatenate([first[None], rest[:-1]]),
            start.observers[name],
            after,
        )
        numbers = np.rint((begin + times[name]) / observer.period).astype(np.int32)
        ys[name] = jax.vmap(observer.sample_between)(before, after, numbers)
    ys.update(saved.get("", {}))
    kept = {name: times[name if name in times else ""] > problem.transient for name in ys}
    ys = {name: jax.tree.map(lambda x, k=kept[name]: x[k], y) for name, y in ys.items()}
    end = jax.tree.map(lambda x: x[0], saved["end"])
    finite = [jnp.all(jnp.isfinite(x)) for x in jax.tree.leaves(end.state)]
    result: Any = outcome
    failed = (result == RESULTS.successful) & ~jnp.all(jnp.stack(finite))
    stats = {
        **stats,
        "non_finite_by": jnp.where(failed, begin + problem.t1, jnp.inf),
        "non_finite": ~jnp.stack(finite),
        "check_interval": problem.t1,
    }
    return {
        "ys": problem.field.model.node.State(**ys) if problem.outputs.whole else ys,
        "y1": end.state,
        "times": {name: begin + times[name if name in times else ""][kept[name]] for name in ys},
        "stats": stats,
        "result": RESULTS.where(failed, RESULTS.non_finite, result),
        "ending": Ending(
            carry=end, key=problem.key, step=segment + 1, dt=None, time=begin + problem.t1
        ),
    }


def _refuse_with_delays(problem: Problem, event: diffrax.Event | None) -> None:
    what = None
    if event is not None:
        what = "`event` should be left out"
    elif problem.previous is not None:
        what = "`y0` should be a State, such as `sol.y1`"
    elif problem.dt is None:
        what = "`dt` should be given, from which to which grid point history is kept"
    if what is not None:
        raise ValueError(f"{what}, where steps adapt on a network with delays.")


def _periods(problem: Problem) -> dict[str, float]:
    """ms from sample to sample: of kept values, `""`, and of each observer."""
    periods = {name: o.period for name, o in problem.outputs.observers.items()}
    if problem.outputs.whole or problem.outputs.signals:
        every = problem.save_every or problem.dt
        if every is None:
            raise ValueError("`save_every` should be given where neither it nor `dt` is set.")
        periods[""] = every
    return periods


@eqx.filter_jit
def _solve(
    problem: Problem,
    controller: Any,
    adjoint: Any,
    event: Any,
    max_steps: int | None,
    begin: Array,
    segment: Any,
    times: dict[str, Any],
    plan: DelayPlan | None,
    given: History | None,
) -> tuple[dict[str, Any], dict[str, Any], Any, Augmented]:
    """What was saved, with the `"end"`; Diffrax's statistics; how it ended; and the start."""
    field = AugmentedField(problem, begin)
    controller = end_at_breaks(controller, problem.field.stimuli, begin)

    def integrate(terms: Any, t0: Any, t1: Any, y: Augmented, heard: Any, subs: Any) -> Any:
        return diffrax.diffeqsolve(
            terms,
            problem.solver,
            t0,
            t1,
            problem.dt,
            y,
            heard,
            saveat=diffrax.SaveAt(subs=subs | {"end": diffrax.SubSaveAt(t1=True)}),
            stepsize_controller=controller,
            adjoint=adjoint,
            event=event,
            max_steps=max_steps,
            throw=False,
        )

    if plan is not None and given is not None:
        return _solve_by_chunks(field, integrate, segment, times, plan, given)
    outside, model = None, problem.field.model
    if isinstance(model, Network):
        model, outside = model.guarded()
        field = eqx.tree_at(lambda f: f.problem.field.model, field, model)
    start = field.start(None)
    subs = {
        name: diffrax.SubSaveAt(ts=ts, fn=lambda t, y, args, name=name: y.observers[name])
        for name, ts in times.items()
        if name
    }
    if "" in times:
        subs[""] = diffrax.SubSaveAt(ts=times[""], fn=field.kept)
    solution = integrate(field.terms(start, segment), 0.0, problem.t1, start, None, subs)
    outcome: Any = RESULTS.promote(solution.result)
    if outside is not None:
        outcome = RESULTS.where(outside, RESULTS.delay_outside, outcome)
    return solution.ys, solution.stats, outcome, start


_COUNTS: tuple[str, ...] = ("num_steps", "num_accepted_steps", "num_rejected_steps")


def _solve_by_chunks(
    field: AugmentedField,
    integrate: Any,
    segment: Any,
    times: dict[str, Any],
    plan: DelayPlan,
    given: History,
) -> tuple[dict[str, Any], dict[str, Any], Any, Augmented]:
    """With delays: no longer at a time than it takes for anything to arrive."""
    problem = field.problem
    model: Any = problem.field.model
    delays = look_up(model, plan, problem.state)
    history = given.features(model, delays, problem.state)
    recent = delays.recent(history)
    known = jax.tree.map(lambda x: jnp.concatenate([x, x[-1:]]), recent)
    start = field.start(Chunk(delays, known, jnp.zeros_like(field.begin), 1))
    terms = field.terms(start, segment)

    def on_grid(t: Any, y: Augmented, heard: Any) -> Any:
        rows = dict(y.observers) | ({"": field.kept(t, y, heard)} if "" in times else {})
        return rows, delays.pack(model.messages(field.visible(y)))

    def advance(carry: Any, step: Any, length: int) -> Any:
        y, history, recent, result, counts = carry
        arriving = delays.arriving(history, length)
        known = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), recent, arriving)
        ts = (step + jnp.arange(length + 1)).astype(field.begin.dtype) * plan.dt
        heard = Chunk(delays, known, ts[0], length)
        subs = {"grid": diffrax.SubSaveAt(ts=ts[1:], fn=on_grid)}
        solution = integrate(terms, ts[0], ts[-1], y, heard, subs)
        rows, sent = solution.ys["grid"]
        fine = result == diffrax.RESULTS.successful
        carry = (
            jax.tree.map(lambda x: x[0], solution.ys["end"]),
            append(history, sent),
            jax.tree.map(lambda x: x[x.shape[0] - plan.recent :], known),
            diffrax.RESULTS.where(fine, solution.result, result),
            {name: counts[name] + solution.stats[name] for name in counts},
        )
        return carry, rows

    steps, length = round(problem.t1 / plan.dt), plan.chunks[-1]
    whole = steps // length
    counts = dict.fromkeys(_COUNTS, jnp.zeros((), int))
    carry = (start, history, recent, diffrax.RESULTS.successful, counts)
    chunk = jax.checkpoint(lambda carry, step: advance(carry, step, length))
    carry, rows = jax.lax.scan(chunk, carry, length * jnp.arange(whole))
    rows = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), rows)
    if steps % length:
        carry, rest = advance(carry, whole * length, steps % length)
        rows = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), rows, rest)
    saved = {}
    for name, ts in times.items():
        which = jnp.rint(ts / plan.dt).astype(int) - 1
        saved[name] = jax.tree.map(lambda x, which=which: x[which], rows[name])
    end, _, _, reported, counts = carry
    saved["end"] = jax.tree.map(lambda x: x[None], end)
    outcome: Any = RESULTS.promote(reported)
    outcome = RESULTS.where(delays.outside, RESULTS.delay_outside, outcome)
    return saved, counts, outcome, start
