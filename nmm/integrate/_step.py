from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import jax.random as jr

from .._custom_types import Key, RealScalarLike
from ..models._base import AbstractDynamics
from ._field import Diffusion, Field, Increment, Moment, clip, fill_state
from ._problem import (
    check_arrivals,
    check_model,
    parse_inputs,
    parse_start,
    positive,
    sort_noises,
    take_stimuli,
)
from ._solvers import Heun, check_solver


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

    - `state`: a State of the model.
    - `inputs`: `None`, an `Inputs`, or stimuli and functions of time; see `nmm.simulate`.
    - `dt`: the step in ms.
    - `t`: the time in ms at which the step starts; only functions of time see it.
    - `key`: random numbers of this step's white noise; a fresh one for each step.
    - `noise`: white noise, beside that of the network. Noise with memory has a state of its own,
        so that it belongs into `nmm.simulate`.
    - `solver`: `nmm.Heun()` by default; one that carries no state of its own.
    - `bounded`: whether variables are kept within their declared bounds.

    **Returns:**

    The State `dt` later.

    **Raises:**

    - `ValueError` or `TypeError`, naming the argument, for what does not fit.
    """
    check_model(model)
    dt = positive(dt, "dt")
    solver = Heun() if solver is None else solver
    forcing, diffusions = sort_noises(model, getattr(model, "noise", None), noise)
    if forcing:
        raise ValueError("`noise` with memory has a state of its own; use `nmm.simulate`.")
    if diffusions and key is None:
        raise ValueError("`key` should be given, since there is noise: `key=jax.random.key(0)`.")
    check_solver(solver, bool(diffusions), False)
    if isinstance(solver, diffrax.AbstractSRK):
        raise ValueError(f"`solver` should need no Lévy areas, got `{type(solver).__name__}`.")
    constant, stimuli, rows = parse_inputs(model, inputs, None)
    model, own = take_stimuli(model)
    stimuli = own + stimuli
    state = parse_start(model, state, (), (diffusions, constant, stimuli, rows), name="state")
    check_arrivals(model.node, state, constant, stimuli, None, (), diffusions)
    leaf = jax.tree.leaves(state)[0]
    length = jnp.asarray(dt, leaf.dtype)
    terms: Any = diffrax.ODETerm(Field(model, constant, stimuli, ()))
    if key is not None and diffusions:
        keys = jr.split(key, len(diffusions))
        draws = {
            name: jnp.sqrt(length) * draw
            for k, noise in zip(keys, diffusions, strict=True)
            for name, draw in zip(
                noise.variables,
                jr.normal(k, noise.draw_shape(leaf.shape), leaf.dtype),
                strict=True,
            )
        }
        control = Increment(fill_state(state, draws), jnp.zeros_like(length), length)
        terms = diffrax.MultiTerm(terms, diffrax.ControlTerm(Diffusion(diffusions), control))
    moment = Moment((jnp.asarray(t, leaf.dtype), jnp.zeros((), leaf.dtype)), None, (), length)
    zero = jnp.zeros_like(length)
    solver_state = solver.init(terms, zero, length, state, moment)
    new, *_ = solver.step(terms, zero, length, state, moment, solver_state, True)
    return clip(new) if bounded else new
