"""Runs with steps that adapt: `diffrax.diffeqsolve`, with noise and observers integrated along."""

from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import lineax as lx
import numpy as np
from jaxtyping import Array

from .._delays import plan_delays
from ..noise._base import mix, start_forcing
from ..observe._base import grid_steps
from ._delayed import Chunk, append, look_up, parse_history
from ._field import Diffusion, Moment, clip, fill_state
from ._outputs import evaluate_signal
from ._problem import Problem
from ._solution import RESULTS, Ending


class Augmented(eqx.Module):
    """Everything that is integrated: the model, noises with memory, and observers."""

    state: Any
    # Not a tuple: Equinox's loops take an empty tuple for a leaf.
    forcing: list[Array]
    observers: dict[str, Any]


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
        model.check_delays()
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
    problem,
    controller,
    adjoint,
    event,
    max_steps,
    begin,
    segment,
    times,
    plan: Any,
    given: Any,
):
    field, outputs = problem.field, problem.outputs
    node = field.model.node

    def moment(y: Augmented, heard: Any) -> Moment:
        return Moment(
            (begin, jnp.zeros_like(begin)),
            None,
            tuple(zip(y.forcing, y.forcing, strict=True)),
            None,
            heard,
        )

    def visible(y: Augmented) -> Any:
        return clip(y.state) if problem.bounded else y.state

    def signal(which: Any, t: Any, y: Augmented, heard: Any) -> Array:
        now, state = moment(y, heard), visible(y)
        return evaluate_signal(node, which, begin + t, state, lambda: field.received(t, state, now))

    def drift(t: Any, y: Augmented, heard: Any) -> Augmented:
        return Augmented(
            state=field(t, visible(y), moment(y, heard)),
            forcing=[
                n.drift(v).astype(v.dtype) for n, v in zip(field.forcing, y.forcing, strict=True)
            ],
            observers={
                name: observer.vector_field(y.observers[name], signal(observer.signal, t, y, heard))
                for name, observer in outputs.observers.items()
            },
        )

    def diffusion(t: Any, y: Augmented, heard: Any) -> lx.AbstractLinearOperator:
        factors = Augmented(
            state=Diffusion(problem.diffusions)(t, visible(y), moment(y, heard)).diagonal,
            forcing=[n.intensity(v) for n, v in zip(field.forcing, y.forcing, strict=True)],
            observers=jax.tree.map(jnp.zeros_like, y.observers),
        )
        if all(n.mixing is None for n in (*problem.diffusions, *field.forcing)):
            return lx.DiagonalLinearOperator(factors)

        def mixed(increment: Augmented) -> Augmented:
            normals = {
                name: mix(noise, getattr(increment.state, name))
                for noise in problem.diffusions
                for name in noise.variables
            }
            forcing = [mix(n, w) for n, w in zip(field.forcing, increment.forcing, strict=True)]
            state = fill_state(increment.state, normals)
            shared = Augmented(state, forcing, increment.observers)
            return jax.tree.map(lambda factor, w: factor * w, factors, shared)

        return lx.FunctionLinearOperator(mixed, jax.eval_shape(lambda: y))

    delays = heard = history = recent = None
    if plan is not None:
        delays = look_up(field.model, plan, problem.state)
        history = given.features(field.model, delays, problem.state)
        recent = delays.recent(history)
        known = jax.tree.map(lambda x: jnp.concatenate([x, x[-1:]]), recent)
        heard = Chunk(delays, known, jnp.zeros_like(begin), 1)
    start = _start(problem, lambda which, t, y: signal(which, t, y, heard))
    terms: Any = diffrax.ODETerm(drift)
    if problem.diffusions or field.forcing:
        # The tree must resolve the steps that are taken; a hundredth of the first one does.
        tolerance = (problem.dt or problem.t1 / 1000) / 100
        tree = diffrax.VirtualBrownianTree(
            0.0,
            problem.t1,
            tolerance,
            jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), start),
            jr.fold_in(problem.key, segment),
            levy_area=_levy_area(problem.solver),
        )
        terms = diffrax.MultiTerm(terms, diffrax.ControlTerm(diffusion, tree))

    def values(t: Any, y: Augmented, heard: Any) -> dict[str, Any]:
        if outputs.whole:
            return dict(vars(visible(y)))
        return {name: signal(which, t, y, heard) for name, which in outputs.signals.items()}

    def integrate(t0: Any, t1: Any, y: Augmented, heard: Any, subs: dict[str, Any]) -> Any:
        return diffrax.diffeqsolve(
            terms,
            problem.solver,
            t0,
            t1,
            problem.dt,
            y,
            heard,
            saveat=diffrax.SaveAt(subs=subs),
            stepsize_controller=controller,
            adjoint=adjoint,
            event=event,
            max_steps=max_steps,
            throw=False,
        )

    end = diffrax.SubSaveAt(t1=True)
    if delays is not None and recent is not None:
        grid = delays.plan

        def on_grid(t: Any, y: Augmented, heard: Any) -> Any:
            rows = dict(y.observers) | ({"": values(t, y, heard)} if "" in times else {})
            return rows, delays.pack(field.model.messages(visible(y)))

        def advance(carry: Any, step: Any, length: int) -> Any:
            y, history, recent, result, counts = carry
            arriving = delays.arriving(history, length)
            known = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), recent, arriving)
            ts = (step + jnp.arange(length + 1)).astype(begin.dtype) * grid.dt
            subs = {"grid": diffrax.SubSaveAt(ts=ts[1:], fn=on_grid), "end": end}
            solution = integrate(ts[0], ts[-1], y, Chunk(delays, known, ts[0], length), subs)
            rows, sent = solution.ys["grid"]
            fine = result == diffrax.RESULTS.successful
            carry = (
                jax.tree.map(lambda x: x[0], solution.ys["end"]),
                append(history, sent),
                jax.tree.map(lambda x: x[x.shape[0] - grid.recent :], known),
                diffrax.RESULTS.where(fine, solution.result, result),
                {name: counts[name] + solution.stats[name] for name in counts},
            )
            return carry, rows

        steps, length = round(problem.t1 / grid.dt), grid.chunks[-1]
        whole = steps // length
        counts = ("num_steps", "num_accepted_steps", "num_rejected_steps")
        carry = (
            start,
            history,
            recent,
            diffrax.RESULTS.successful,
            dict.fromkeys(counts, jnp.zeros((), int)),
        )
        chunk = jax.checkpoint(lambda carry, step: advance(carry, step, length))
        carry, rows = jax.lax.scan(chunk, carry, length * jnp.arange(whole))
        rows = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), rows)
        if steps % length:
            carry, rest = advance(carry, whole * length, steps % length)
            rows = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), rows, rest)
        saved = {}
        for name, ts in times.items():
            which = jnp.rint(ts / grid.dt).astype(int) - 1
            saved[name] = jax.tree.map(lambda x, which=which: x[which], rows[name])
        saved["end"] = jax.tree.map(lambda x: x[None], carry[0])
        outcome: Any = RESULTS.promote(carry[3])
        outcome = RESULTS.where(delays.outside, RESULTS.delay_outside, outcome)
        return saved, carry[4], outcome, start
    subs = {
        name: diffrax.SubSaveAt(ts=ts, fn=lambda t, y, args, name=name: y.observers[name])
        for name, ts in times.items()
        if name
    }
    if "" in times:
        subs[""] = diffrax.SubSaveAt(ts=times[""], fn=values)
    solution = integrate(0.0, problem.t1, start, None, subs | {"end": end})
    return solution.ys, solution.stats, RESULTS.promote(solution.result), start


def _start(problem: Problem, signal: Any) -> Augmented:
    if problem.previous is not None:
        old = problem.previous.carry
        bare = eqx.tree_at(lambda a: a.state, old, problem.state)
        return Augmented(
            bare.state,
            bare.forcing,
            {
                name: old.observers[name]
                if name in old.observers
                else observer.init(signal(observer.signal, 0.0, bare))
                for name, observer in problem.outputs.observers.items()
            },
        )
    leaf = jax.tree.leaves(problem.state)[0]
    forcing = list(start_forcing(problem.field.forcing, problem.key, leaf.shape, leaf.dtype))
    bare = Augmented(problem.state, forcing, {})
    observers = {
        name: observer.init(signal(observer.signal, 0.0, bare))
        for name, observer in problem.outputs.observers.items()
    }
    return Augmented(problem.state, forcing, observers)


def _levy_area(solver: Any) -> Any:
    """The cheapest of Diffrax's areas that the solver accepts."""
    wanted = getattr(solver, "minimal_levy_area", diffrax.AbstractBrownianIncrement)
    areas = (diffrax.BrownianIncrement, diffrax.SpaceTimeLevyArea, diffrax.SpaceTimeTimeLevyArea)
    return next(area for area in areas if issubclass(area, wanted))
