import dataclasses
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from .._custom_types import Key, RealScalarLike
from .._declare import is_concrete
from .._network import Network
from ..models._base import AbstractDynamics
from ..noise._base import check_normals, fresh_normals
from ..noise._multiplicative import corrections
from ._delayed import Incoming, append, delays_of, hold, parse_history
from ._field import Diffusion, Field, Increment, Moment, clip, fill_state
from ._problem import (
    check_arrivals,
    check_key,
    check_model,
    parse_inputs,
    parse_start,
    positive,
    sort_noises,
    take_stimuli,
)
from ._solution import RESULTS
from ._solvers import Heun, check_solver


class RunState(eqx.Module):
    """The state of a network with delays, and what is still under way; see `nmm.step`.

    **Attributes:**

    - `state`: a State of the network.
    - `history`: the features of each coupling until now, `(regions, time, channels)`.
    - `dt`: ms from one to the next.
    """

    state: Any
    history: Any
    dt: float = eqx.field(static=True)

    @classmethod
    def start(
        cls, network: AbstractDynamics, y0: Any = None, *, dt: RealScalarLike, history: Any = None
    ) -> "RunState":
        """Before the first step.

        **Arguments:**

        - `y0`: a State to start from, the network's own if `None`.
        - `dt`: the step in ms.
        - `history`: what was before the start, `y0` held if `None`; see `nmm.simulate`.

        **Raises:**

        - `ValueError` or `TypeError`, naming the argument, for what does not fit.
        """
        check_model(network)
        if not getattr(network, "delayed", False):
            raise ValueError("`network` should have delays; without them a State is all it needs.")
        dt = positive(dt, "dt")
        state = parse_start(network, y0, ())
        delays = delays_of(network, dt, 1, state)
        shape = jax.tree.leaves(state)[0].shape
        before = parse_history(network, history, shape, delays.plan)
        return cls(state, before.features(network, delays, state), dt)


def step(
    model: AbstractDynamics,
    state: Any,
    inputs: Any = None,
    *,
    dt: RealScalarLike,
    t: Any = 0.0,
    key: Key | None = None,
    noise: Any = None,
    solver: diffrax.AbstractSolver | None = None,
    bounded: bool = True,
) -> Any:
    """Advances a model or network by one step, for people who bring their own loop.

    **Arguments:**

    - `state`: a State of the model; of a network with delays a `nmm.RunState`, which
        `nmm.RunState.start` makes of one.
    - `inputs`: `None`, an `Inputs`, or stimuli and functions of time; see `nmm.simulate`.
    - `dt`: the step in ms.
    - `t`: the time in ms at which the step starts; only functions of time see it.
    - `key`: random numbers of this step's white noise; a fresh one for each step.
    - `noise`: white noise, beside that of the network. Noise with memory has a state of its own,
        so that it belongs into `nmm.simulate`.
    - `solver`: `nmm.Heun()` by default; one that carries no state of its own.
    - `bounded`: whether variables are kept within their declared bounds.

    **Returns:**

    The State `dt` later, or the `nmm.RunState`.

    **Raises:**

    - `ValueError` or `TypeError`, naming the argument, for what does not fit.
    - `RuntimeError` when compiled code runs, if a delay has left its range.
    """
    check_model(model)
    dt = positive(dt, "dt")
    check_key(key)
    solver = Heun() if solver is None else solver
    forcing, diffusions = sort_noises(model, getattr(model, "noise", None), noise)
    if forcing:
        raise ValueError("`noise` with memory has a state of its own; use `nmm.simulate`.")
    if key is None and not check_normals(diffusions, 1, False):
        raise ValueError("`key` should be given, since there is noise: `key=jax.random.key(0)`.")
    check_solver(solver, bool(diffusions), False)
    if isinstance(solver, diffrax.AbstractSRK):
        raise ValueError(f"`solver` should need no Lévy areas, got `{type(solver).__name__}`.")
    constant, stimuli, rows = parse_inputs(model, inputs, None)
    model, own = take_stimuli(model)
    stimuli = own + stimuli
    run = None
    if getattr(model, "delayed", False):
        run, state = _run_state(state, dt)
    state = parse_start(model, state, (), (diffusions, constant, stimuli, rows), name="state")
    check_arrivals(model.node, state, constant, stimuli, None, (), diffusions)
    leaf = jax.tree.leaves(state)[0]
    length = jnp.asarray(dt, leaf.dtype)
    field = Field(model, constant, stimuli, (), corrections(diffusions, solver))
    terms: Any = diffrax.ODETerm(field)
    if diffusions:
        keys = [None] * len(diffusions) if key is None else jr.split(key, len(diffusions))
        draws = {
            name: jnp.sqrt(length) * draw
            for k, noise in zip(keys, diffusions, strict=True)
            for name, draw in zip(
                noise.variables,
                fresh_normals(noise, k, leaf.shape, leaf.dtype),
                strict=True,
            )
        }
        control = Increment(fill_state(state, draws), jnp.zeros_like(length), length)
        terms = diffrax.MultiTerm(
            terms, diffrax.ControlTerm(Diffusion(diffusions, model.node), control)
        )
    moment = Moment((jnp.asarray(t, leaf.dtype), jnp.zeros((), leaf.dtype)), None, (), length)
    zero = jnp.zeros_like(length)
    delays = outside = None
    if isinstance(model, Network):
        model.check_delays()
        _, outside = model.guarded()
    if run is not None:
        delays = delays_of(model, dt, 1, state)
        recent = delays.recent(run.history)
        after = jax.tree.map(lambda x: x[0], delays.arriving(run.history, 1))
        heard = Incoming(delays.tables, delays.layouts, recent, after, length)
        moment = dataclasses.replace(moment, delayed=heard)
    if getattr(model, "hold", False):
        moment = hold(model, moment, state)
    solver_state = solver.init(terms, zero, length, state, moment)
    new, *_ = solver.step(terms, zero, length, state, moment, solver_state, True)
    new = clip(new) if bounded else new
    if outside is not None and not is_concrete(outside):
        new = eqx.error_if(new, outside, RESULTS[RESULTS.delay_outside])
    network: Any = model
    if run is None or delays is None:
        return new
    sent = jax.tree.map(lambda x: x[None], delays.pack(network.messages(new)))
    return RunState(new, append(run.history, sent), run.dt)


def _run_state(state: Any, dt: float) -> tuple[RunState, Any]:
    if not isinstance(state, RunState):
        raise TypeError(
            "`state` should be a `nmm.RunState`, since the network has delays: "
            f"`nmm.RunState.start(network, y0, dt=dt)`; got {state!r}."
        )
    if state.dt != dt:
        raise ValueError(f"`dt` should be that of the history, {state.dt} ms, got {dt} ms.")
    return state, state.state
