"""A run, read from the arguments of `nmm.simulate` and checked."""

import functools
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._declare import (
    as_float,
    broadcast_to,
    declarations,
    fits,
    float_dtype,
    is_array_like,
    parameter_shape,
)
from ..models._base import AbstractDynamics
from ..noise import AbstractDiffusion, AbstractForcing, AbstractNoise
from ..stimulus._base import AbstractStimulus, Stimulus, inputs_at
from ._field import Field
from ._outputs import Outputs
from ._solution import Ending


class Problem(eqx.Module):
    """A run: what is integrated, from where, and what is kept.

    **Attributes:**

    - `field`, `diffusions`: drift and white noise.
    - `state`: the start.
    - `previous`: the end of the run that is continued, or `None`.
    - `rows`: an input given as an array by step, or `None`.
    - `history`: what was before the start, or `None`; see `nmm.simulate`.
    - `dt`, `t1`, `save_every`, `transient`: in ms; see `nmm.simulate`.
    """

    field: Field
    diffusions: tuple[AbstractDiffusion, ...]
    solver: diffrax.AbstractSolver
    outputs: Outputs
    key: Any
    state: Any
    previous: Ending | None
    rows: Array | None
    history: Any
    t1: float = eqx.field(static=True)
    dt: float | None = eqx.field(static=True)
    save_every: float | None = eqx.field(static=True)
    transient: float = eqx.field(static=True)
    bounded: bool = eqx.field(static=True)


def positive(value: Any, name: str) -> float:
    """A time that must be a positive number known in advance."""
    try:
        value = float(value)
    except (TypeError, ValueError, jax.errors.ConcretizationTypeError) as error:
        raise TypeError(
            f"`{name}` should be a number of ms that is known in advance, got {value!r}."
        ) from error
    if not 0 < value < np.inf:
        raise ValueError(f"`{name}` should be a positive number of ms, got {value}.")
    return value


def check_key(key: Any) -> None:
    """Refuses what is no random key, such as a seed."""
    is_key = eqx.is_array(key) and (
        jnp.issubdtype(key.dtype, jax.dtypes.prng_key) or key.dtype == jnp.uint32
    )
    if key is not None and not is_key:
        raise TypeError(f"`key` should be a random key, as `jax.random.key(0)`, got {key!r}.")


def check_model(model: Any) -> None:
    """Refuses what is no model or network, such as the class of one."""
    if not isinstance(model, AbstractDynamics):
        raise TypeError(f"`model` should be a model or a `nmm.Network`, got {model!r}.")


def sort_noises(
    model: AbstractDynamics, *given: Any
) -> tuple[tuple[AbstractForcing, ...], tuple[AbstractDiffusion, ...]]:
    """Noises with memory, and white noises.

    **Raises:**

    - `TypeError` for what is no noise.
    - `ValueError` if the model lacks what a noise acts on, or two white noises act on the same
        variable.
    """
    forcing: list[AbstractForcing] = []
    diffusions: list[AbstractDiffusion] = []
    taken: set[str] = set()
    noises = [n for g in given if g is not None for n in (g if isinstance(g, tuple) else (g,))]
    for noise in noises:
        if not isinstance(noise, AbstractNoise):
            raise TypeError(f"`noise` should be made of `nmm.noise` objects, got {noise!r}.")
        noise.check(model.node)
        if isinstance(noise, AbstractForcing):
            forcing.append(noise)
        if isinstance(noise, AbstractDiffusion):
            for name in taken.intersection(noise.variables):
                raise ValueError(f"`noise` should act on {name!r} once, got two white noises.")
            taken.update(noise.variables)
            diffusions.append(noise)
    return tuple(forcing), tuple(diffusions)


def parse_inputs(
    model: AbstractDynamics, inputs: Any, steps: int | None
) -> tuple[Any, tuple[Stimulus, ...], Array | None]:
    """The argument `inputs` as constants, as functions of time, and as rows by step.

    **Raises:**

    - `TypeError` or `ValueError` for what is none of these or does not fit.
    """
    node = model.node
    if inputs is None:
        return None, (), None
    if isinstance(inputs, node.Inputs):
        for name in declarations(node.Inputs):
            value = getattr(inputs, name)
            if np.ndim(value) > 0 and model.shape and np.shape(value)[-1:] != model.shape:
                raise ValueError(
                    f"`inputs.{name}` should be a scalar or have one value for each of the "
                    f"{model.shape[0]} regions, got the shape {np.shape(value)}."
                )
        return inputs, (), None
    several = inputs if isinstance(inputs, tuple) else (inputs,)
    if all(map(callable, several)):
        for function in several:
            if isinstance(function, AbstractStimulus):
                continue
            given = jax.eval_shape(function, jnp.zeros(()))
            if not isinstance(given, node.Inputs):
                raise TypeError(
                    f"`inputs` should be a function that returns `{type(node).__name__}.Inputs"
                    f"(...)`, got one that returns {given!r}."
                )
        return None, several, None
    rows = jnp.asarray(inputs) if eqx.is_array_like(inputs) else None
    if rows is None or rows.ndim == 0:
        raise TypeError(
            f"`inputs` should be `{type(node).__name__}.Inputs(...)`, an array with one row a step "
            f"for {node.target!r}, or a function of time, as a stimulus is; got {inputs!r}."
        )
    if steps is None:
        raise ValueError(
            "`inputs` given as an array belong to a run with fixed steps; give constants or a "
            "function of time."
        )
    fits = rows.ndim == 1 or (rows.ndim == 2 and rows.shape[1:] == (model.shape or rows.shape[1:]))
    if rows.shape[0] != steps or not fits:
        regions = model.shape[0] if model.shape else "regions"
        raise ValueError(
            f"`inputs` should have the shape ({steps},) or ({steps}, {regions}), one row a step; "
            f"got {rows.shape}."
        )
    return None, (), rows


def take_stimuli(model: Any) -> tuple[Any, tuple[Stimulus, ...]]:
    """A network without its own stimuli, and these: the run calls them, by its exact clock."""
    own = getattr(model, "stimulus", None)
    if own is None:
        return model, ()
    bare = eqx.tree_at(lambda net: net.stimulus, model, None)
    return bare, own if isinstance(own, tuple) else (own,)


def parse_start(
    model: AbstractDynamics,
    state: Any,
    shape: tuple[int, ...] | int,
    *trees: Any,
    name: str = "y0",
) -> Any:
    """The state from which a run starts, all leaves of one shape and dtype.

    **Arguments:**

    - `state`: a State, or `None` for the model's own.
    - `trees`: what else takes part in the run; the dtype is the result type of all.
    - `name`: of the argument `state`, for messages.

    **Raises:**

    - `TypeError` or `ValueError` if `state` is no State of the model, or does not fit to it.
    """
    node = model.node
    sizes = (shape,) if isinstance(shape, int) else shape
    if not isinstance(sizes, tuple) or not all(isinstance(n, int) and n > 0 for n in sizes):
        raise ValueError(f"`shape` should be a number of regions or a tuple, got {shape!r}.")
    shape = sizes
    if shape and model.shape and shape[-1:] != model.shape:
        raise ValueError(
            f"`shape` should end in the {model.shape[0]} regions of the model, got {shape}."
        )
    dtype = float_dtype(model, trees)
    if state is None:
        state = model.initial_state(shape)
    elif not isinstance(state, node.State):
        raise TypeError(
            f"`{name}` should be a `{type(node).__name__}.State`"
            f"{' or a `Solution`' if name == 'y0' else ''}, got {state!r}."
        )
    for variable, value in vars(state).items():
        if not is_array_like(as_float(value)):
            raise TypeError(f"`{name}.{variable}` should hold real numbers, got {value!r}.")
        if np.ndim(value) > 0 and model.shape and np.shape(value)[-1:] != model.shape:
            raise ValueError(
                f"`{name}.{variable}` should have one value for each of the {model.shape[0]} "
                f"regions, got the shape {np.shape(value)}."
            )
    shapes = {variable: np.shape(value) for variable, value in vars(state).items()}
    try:
        full = np.broadcast_shapes(shape, model.shape, *shapes.values())
    except ValueError as error:
        raise ValueError(
            f"`{name}` should have variables of one shape, that of `shape` if it is given, "
            f"{shape}; got {shapes}."
        ) from error
    return node.State(**{k: broadcast_to(x, full, dtype) for k, x in vars(state).items()})


def check_arrivals(
    node: Any,
    state: Any,
    constant: Any,
    stimuli: tuple[Stimulus, ...],
    row: Any,
    forcing: tuple[AbstractForcing, ...],
    diffusions: tuple[AbstractDiffusion, ...],
) -> None:
    """Refuses, by name, inputs and noises that are not for the regions of the state.

    **Arguments:**

    - `row`: the rows of an input by step without their axis of steps, or `None`.
    """
    white = jax.eval_shape(lambda: [n.diffusion(0.0, state) for n in diffusions])
    shapes = [("inputs", x.shape) for x in jax.tree.leaves((constant, row))]
    for stimulus in stimuli:
        name = "stimulus" if isinstance(stimulus, AbstractStimulus) else "inputs"
        arriving = jax.eval_shape(functools.partial(inputs_at, node, stimulus), jnp.zeros(()))
        shapes += [(name, x.shape) for x in jax.tree.leaves(arriving)]
    shapes += [("noise", x.shape) for x in jax.tree.leaves(white)]
    shapes += [("noise", parameter_shape(n)) for n in forcing]
    full = jax.tree.leaves(state)[0].shape
    for name, shape in shapes:
        if not fits(shape, full):
            raise ValueError(
                f"`{name}` should be scalar or have the regions of the state, whose shape is "
                f"{full}; got the shape {shape}. A bare model takes its regions from its "
                "parameters, `shape` or `y0`."
            )
