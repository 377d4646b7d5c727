"""The front door."""

from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._custom_types import Key, RealScalarLike
from .._declare import declarations, is_concrete
from .._network import Network
from ..models._base import AbstractDynamics
from ..noise import AbstractForcing, AbstractNoise
from ..noise._base import check_normals
from ..noise._multiplicative import corrections
from ..observe._base import grid_steps
from ._adaptive import solve_adaptively
from ._field import Field
from ._fixed import solve_on_grid
from ._outputs import meanings, parse_save, warn_of_nothing, within
from ._problem import (
    Problem,
    check_arrivals,
    check_key,
    check_model,
    parse_inputs,
    parse_start,
    positive,
    sort_noises,
    take_stimuli,
)
from ._solution import RESULTS, DivergenceError, Solution
from ._solvers import Heun, check_solver


def simulate(
    model: AbstractDynamics,
    t1: RealScalarLike,
    dt: RealScalarLike | None = None,
    *,
    key: Key | None = None,
    inputs: Any = None,
    noise: AbstractNoise | tuple[AbstractNoise, ...] | None = None,
    save: Any = None,
    shape: tuple[int, ...] | int = (),
    save_every: RealScalarLike | None = None,
    transient: RealScalarLike = 0.0,
    y0: Any = None,
    history: Any = None,
    solver: diffrax.AbstractSolver | None = None,
    bounded: bool = True,
    stepsize_controller: diffrax.AbstractStepSizeController | None = None,
    adjoint: diffrax.AbstractAdjoint | None = None,
    event: diffrax.Event | None = None,
    max_steps: int | None = 1_000_000,
    throw: bool = True,
) -> Solution:
    r"""Integrates a model or a network for `t1` ms.

    With a fixed step it is a scan over the solver's own step, in blocks that a gradient computes
    again instead of storing; memory does not grow with time, unless every step is kept. A
    `stepsize_controller`, an `adjoint` or an `event` selects `diffrax.diffeqsolve` instead. Either
    way it can be jitted, vmapped and differentiated.

    **Arguments:**

    - `model`: a model or a `nmm.Network`.
    - `t1`: duration in ms.
    - `dt`: the step in ms; where steps adapt, the first step, which may be left out.
    - `key`: random numbers of the noise. The same key gives the same noise alone and in a batch.
    - `inputs`: from outside: an `Inputs` of constants; an array onto the model's target slot, one
        row a step, `(steps,)` or `(steps, regions)`, held over the step; or stimuli
        (`nmm.stimulus`) and functions of time, `t -> Inputs`, one or a tuple of several, evaluated
        at every stage.
    - `noise`: a noise, or a tuple of several, for this run, beside those of the network itself.
    - `save`: what to keep: `None` for whole states; names of state variables or observables; or a
        dict from a name of your choice to a state variable, observable, observer
        (`nmm.observe`) or function `f(t, state, inputs)`.
    - `shape`: regions of a bare model with scalar parameters, `()` for one.
    - `save_every`: ms from one kept value to the next; `dt` by default. Observers have periods of
        their own.
    - `transient`: ms at the start whose samples are dropped.
    - `y0`: a State to start from; or a `Solution`, whose run goes on exactly as it would have:
        noise, observers, delay history and step count included (and `key`, unless another is
        given).
    - `history`: of a network with delays, what was before the start, where `y0` counts: `None` if
        `y0` held; a State, or values of the source, constant or with one row a step, oldest first,
        the last of them at the start; or a function of time, `t -> State` or values of the source,
        for t < 0.
    - `solver`: by default `nmm.Heun()`; where steps adapt, `diffrax.Tsit5()` without and
        `diffrax.Heun()` with noise. Any Diffrax solver will do.
    - `bounded`: whether variables are kept within their declared bounds.
    - `stepsize_controller`, `adjoint`, `event`, `max_steps`: as in `diffrax.diffeqsolve`.
    - `throw`: whether a run that fails raises. If not, `sol.result` says so.

    **Returns:**

    A `nmm.Solution`: `sol.ts`, `sol.ys`, `sol["name"]`, `sol.y1`. The start itself is no sample;
    the first one is at the end of the first step, window or period.

    **Raises:**

    - `ValueError` or `TypeError`, naming the argument, for what does not fit.
    - `nmm.DivergenceError` if the run becomes non-finite: when, in which variables and regions.
        Inside of compiled code it is Equinox's runtime error, which names when and which variable.
    """
    check_model(model)
    if isinstance(model, Network):
        model.check_delays()
    t1 = positive(t1, "t1")
    adapts = not (stepsize_controller is None and adjoint is None and event is None)
    if dt is not None:
        dt = positive(dt, "dt")
    elif not adapts:
        raise ValueError("`dt` should be given, unless steps adapt (`stepsize_controller`).")
    if save_every is not None:
        save_every = positive(save_every, "save_every")
    if transient != 0:
        transient = positive(transient, "transient")
    if transient >= t1:
        raise ValueError(f"`transient` should be in [0, {t1}), before `t1`; got {transient}.")
    check_key(key)
    if history is not None and not getattr(model, "delayed", False):
        raise ValueError("`history` should go with a network that has delays, got one without.")
    if history is not None and isinstance(y0, Solution):
        raise ValueError(
            "`history` should be left out, since the run `y0` has its own; `y0=sol.y1` starts anew."
        )
    outputs = parse_save(model, save)
    forcing, diffusions = sort_noises(model, getattr(model, "noise", None), noise)
    steps = None if adapts or dt is None else grid_steps(t1, dt, "`t1`")
    constant, stimuli, rows = parse_inputs(model, inputs, steps)
    model, own = take_stimuli(model)
    stimuli = own + stimuli
    previous = y0.ending if isinstance(y0, Solution) else None
    if previous is None:
        warn_of_nothing(outputs, t1, float(transient), save_every or dt)
    if key is None and previous is not None:
        key = previous.key
    if solver is None:
        noisy = diffrax.Heun() if forcing or diffusions else diffrax.Tsit5()
        solver = noisy if adapts else Heun()
    begin = 0 if previous is None else previous.step
    areas = isinstance(solver, diffrax.AbstractSRK)
    given = check_normals(forcing + diffusions, None if steps is None else begin + steps, areas)
    if key is None and (forcing or diffusions):
        key = jax.random.key(0) if given else None  # It draws nothing.
    if key is None and not given:
        raise ValueError("`key` should be given, since there is noise: `key=jax.random.key(0)`.")
    check_solver(solver, bool(forcing or diffusions if adapts else diffusions), adapts)
    state = parse_start(
        model,
        y0.y1 if isinstance(y0, Solution) else y0,
        shape,
        (forcing, diffusions, outputs, constant, stimuli, rows),
    )
    row = None if rows is None else rows[0]
    check_arrivals(model.node, state, constant, stimuli, row, forcing, diffusions)
    problem = Problem(
        field=Field(model, constant, stimuli, forcing, corrections(diffusions, solver)),
        diffusions=diffusions,
        solver=solver,
        outputs=outputs,
        key=key,
        state=state,
        previous=previous,
        rows=rows,
        history=history,
        t1=t1,
        dt=dt,
        save_every=save_every,
        transient=float(transient),
        bounded=bounded,
    )
    if adapts:
        fields = solve_adaptively(problem, stepsize_controller, adjoint, event, max_steps)
    else:
        fields = solve_on_grid(problem)
    units, axes = meanings(model.node, outputs)
    solution = Solution(
        **fields,
        units=tuple(units.items()),
        axes=tuple(axes.items()),
        regions=getattr(model, "labels", None),
        within=within(model.node, outputs),
        driven=inputs is not None or any(_on_slot(model.node, noise) for noise in forcing),
    )
    return _raise_if_failed(solution) if throw else solution


def _on_slot(node: Any, noise: AbstractForcing) -> bool:
    return (noise.onto or node.target) in declarations(node.Inputs)


def _raise_if_failed(solution: Solution) -> Solution:
    """Raises at once if the outcome is known, else when the compiled code runs."""
    result: Any = solution.result
    if is_concrete(result):
        result = jax.device_get(result)  # Nothing has to be compiled to compare it.
        if bool(result == RESULTS.successful) or bool(result == RESULTS.event_occurred):
            return solution
        raise _error(solution)
    failed = (result != RESULTS.successful) & (result != RESULTS.event_occurred)
    stats = solution.stats
    names = [field for field in vars(solution.y1)]
    intervals = 16
    end = solution.ending.time
    slot = jnp.ceil(stats["non_finite_by"] / end * intervals) - 1
    slot = jnp.clip(slot, 0, intervals - 1).astype(int)
    index = jnp.argmax(stats["non_finite"]) * intervals + slot
    messages = [
        f"`{name}` became non-finite between "
        f"{max(end * i / intervals - stats['check_interval'], 0):g} and "
        f"{end * (i + 1) / intervals:g} ms. {_ADVICE}"
        for name in names
        for i in range(intervals)
    ]
    others = (RESULTS[RESULTS.delay_outside], "The solver failed; see `sol.result`, `throw=False`.")
    other = len(messages) + jnp.where(result == RESULTS.delay_outside, 0, 1)
    index = jnp.where(result == RESULTS.non_finite, index, other)
    dynamic, static = eqx.partition((solution.ys, solution.y1), eqx.is_array)
    dynamic = eqx.branched_error_if(dynamic, failed, index, [*messages, *others])
    ys, y1 = eqx.combine(dynamic, static)
    return eqx.tree_at(lambda s: (s.ys, s.y1), solution, (ys, y1))


_ADVICE = "Try a smaller `dt`, or parameters nearer to their plausible range."


def _error(solution: Solution) -> Exception:
    if bool(solution.result != RESULTS.non_finite):
        return RuntimeError(f"The run failed: {solution.result}")
    stats = solution.stats
    latest = float(stats["non_finite_by"])
    earliest = max(latest - stats["check_interval"], 0.0)
    parts = []
    for (name, value), bad in zip(
        vars(solution.y1).items(), np.asarray(stats["non_finite"]), strict=True
    ):
        if bad:
            value = jax.lax.stop_gradient(value)
            where = np.flatnonzero(~np.isfinite(np.atleast_1d(value)).reshape(-1))
            labels = solution.regions
            shown = [labels[i] if labels and len(labels) > i else int(i) for i in where[:5]]
            more = f" and {len(where) - 5} more" if len(where) > 5 else ""
            parts.append(f"`{name}` (regions {shown}{more})" if np.ndim(value) else f"`{name}`")
    return DivergenceError(
        f"The run became non-finite between {earliest:g} and {latest:g} ms, in "
        f"{', '.join(parts)}. {_ADVICE}"
    )
