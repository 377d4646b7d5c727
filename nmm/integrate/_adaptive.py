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

from ..noise._base import mix, start_forcing
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
    model = problem.field.model
    if getattr(model, "delayed", False) or getattr(model, "hold", False):
        what = "delays" if getattr(model, "delayed", False) else "`hold`"
        raise ValueError(
            "`stepsize_controller`, `adjoint` and `event` should be left out, since a network with "
            f"{what} runs with a fixed step."
        )
    previous = problem.previous
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
    segment = 0 if previous is None else previous.step
    begin = 0.0 if previous is None else previous.time
    periods = _periods(problem)
    times = {
        # Rounding must not put a time past the end.
        name: np.minimum(
            np.arange(1, int(problem.t1 / period * (1 + 1e-9)) + 1) * period, problem.t1
        )
        for name, period in periods.items()
    }
    solution, start = _solve(
        problem,
        stepsize_controller or diffrax.ConstantStepSize(),
        adjoint or diffrax.RecursiveCheckpointAdjoint(),
        event,
        max_steps,
        jnp.asarray(begin),
        segment,
        times,
    )
    saved: Any = solution.ys
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
    result = RESULTS.promote(solution.result)
    failed = (result == RESULTS.successful) & ~jnp.all(jnp.stack(finite))
    stats = {
        **solution.stats,
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
def _solve(problem, controller, adjoint, event, max_steps, begin, segment, times):
    field, outputs = problem.field, problem.outputs
    node = field.model.node

    def moment(y: Augmented) -> Moment:
        return Moment(
            (begin, jnp.zeros_like(begin)),
            None,
            tuple(zip(y.forcing, y.forcing, strict=True)),
            None,
        )

    def visible(y: Augmented) -> Any:
        return clip(y.state) if problem.bounded else y.state

    def signal(which: Any, t: Any, y: Augmented) -> Array:
        now, state = moment(y), visible(y)
        return evaluate_signal(node, which, begin + t, state, lambda: field.received(t, state, now))

    def drift(t: Any, y: Augmented, args: Any) -> Augmented:
        del args
        return Augmented(
            state=field(t, visible(y), moment(y)),
            forcing=[
                n.drift(v).astype(v.dtype) for n, v in zip(field.forcing, y.forcing, strict=True)
            ],
            observers={
                name: observer.vector_field(y.observers[name], signal(observer.signal, t, y))
                for name, observer in outputs.observers.items()
            },
        )

    def diffusion(t: Any, y: Augmented, args: Any) -> lx.AbstractLinearOperator:
        del args
        factors = Augmented(
            state=Diffusion(problem.diffusions)(t, visible(y), moment(y)).diagonal,
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

    start = _start(problem, moment, signal)
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

    def values(t: Any, y: Augmented, args: Any) -> dict[str, Any]:
        del args
        if outputs.whole:
            return dict(vars(visible(y)))
        return {name: signal(which, t, y) for name, which in outputs.signals.items()}

    subs = {
        name: diffrax.SubSaveAt(ts=ts, fn=lambda t, y, args, name=name: y.observers[name])
        for name, ts in times.items()
        if name
    }
    if "" in times:
        subs[""] = diffrax.SubSaveAt(ts=times[""], fn=values)
    subs["end"] = diffrax.SubSaveAt(t1=True)
    solution = diffrax.diffeqsolve(
        terms,
        problem.solver,
        0.0,
        problem.t1,
        problem.dt,
        start,
        saveat=diffrax.SaveAt(subs=subs),
        stepsize_controller=controller,
        adjoint=adjoint,
        event=event,
        max_steps=max_steps,
        throw=False,
    )
    return solution, start


def _start(problem: Problem, moment: Any, signal: Any) -> Augmented:
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
