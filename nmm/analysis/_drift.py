"""Models and networks without white noise: what they follow, and its Jacobian."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from .._declare import declarations
from ..models._base import AbstractDynamics
from ._delay_operator import NODES, DelayedEdges, linearise

_T = 0.0


class Drift(eqx.Module):
    """What a run follows without white noise, as a function of states alone.

    **Attributes:**

    - `model`: the model or network.
    - `inputs`: constant, or `None`.
    - `forcing`: noises with memory, each a value for every region.
    - `nodes`: of the past, with delays.
    """

    model: AbstractDynamics
    inputs: Any
    forcing: tuple[Any, ...]
    nodes: int = eqx.field(default=NODES, static=True)

    def __check_init__(self) -> None:
        if not isinstance(self.model, AbstractDynamics):
            raise TypeError(f"`model` should be a model or a `nmm.Network`, got {self.model!r}.")
        if self.nodes < 2:
            raise ValueError(f"`nodes` should be at least 2, got {self.nodes}.")
        if not isinstance(self.inputs, self.model.node.Inputs | None):
            raise TypeError(
                f"`inputs` should be constant, `{type(self.model.node).__name__}.Inputs(...)` or "
                f"None, got {self.inputs!r}."
            )

    def start(self, guess: Any, shape: Any) -> Any:
        """The guess, or the model's own start, checked against the model."""
        from ..integrate._problem import parse_start  # It imports plots, and those this package.

        state = parse_start(self.model, guess, shape, (self.inputs, self.forcing), name="guess")
        like = jax.tree.leaves(state)[0].shape
        for given in (self.inputs, *self.forcing):
            for shape in {np.shape(x) for x in jax.tree.leaves(given)}:
                if shape not in ((), like):
                    raise ValueError(
                        "`inputs` and noise should be scalar or have the regions of the state, "
                        f"whose shape is {like}; got the shape {shape}."
                    )
        return state

    def means(self, state: Any) -> tuple[Array, ...]:
        """The noises with memory, at their means."""
        like = jax.tree.leaves(state)[0]
        zeros = (jnp.zeros(noise.start_shape(like.shape), like.dtype) for noise in self.forcing)
        return tuple(
            noise.start(zero).astype(like.dtype)
            for noise, zero in zip(self.forcing, zeros, strict=True)
        )

    @property
    def edges(self) -> DelayedEdges | None:
        """The edges with delays; `None` without."""
        delayed = getattr(self.model, "delayed", False)
        return DelayedEdges.of(self.model) if delayed else None

    def messages(self, state: Any) -> tuple[Any, ...]:
        """What a network with delays sends, of each coupling."""
        model: Any = self.model
        return model.messages(state)

    def received(self, state: Any, values: tuple[Array, ...], sums: Any = None) -> Any:
        """All that arrives at the input slots, with the noises at these values.

        With delays also these sums over delayed edges; those of what never changes if `None`.
        """
        node = self.model.node
        slots = {} if self.inputs is None else dict(vars(self.inputs))
        for noise, value in zip(self.forcing, values, strict=True):
            name = noise.onto or node.target
            if name in declarations(node.Inputs):
                slots[name] = slots.get(name, 0.0) + noise.read(value)
        edges, delayed = self.edges, ()
        if edges is not None:
            sums = edges.sums(self.messages(state)) if sums is None else sums
            delayed = (edges.given(sums),)
        return self.model.receive(_T, state, node.Inputs(**slots), *delayed)

    def __call__(
        self, state: Any, values: tuple[Array, ...] | None = None, sums: Any = None
    ) -> Any:
        node = self.model.node
        values = self.means(state) if values is None else values
        derivative = node.vector_field(_T, state, self.received(state, values, sums))
        added = dict(vars(derivative))
        for noise, value in zip(self.forcing, values, strict=True):
            if noise.onto in added:
                added[noise.onto] = added[noise.onto] + noise.read(value)
        return jax.tree.map(lambda d, x: jnp.asarray(d, x.dtype), node.State(**added), state)

    def flat(self, state: Any) -> Any:
        """The drift as a function of a vector, the vector of `state`, and the way back."""
        x, unravel = ravel_pytree(state)
        return (lambda x: ravel_pytree(self(unravel(x)))[0]), x, unravel

    def jacobian(self, state: Any) -> Float[Array, "n n"]:
        function, x, unravel = self.flat(state)
        edges = self.edges
        if edges is None:
            return jax.jacfwd(function)(x)

        def field(x: Array, sums: Any) -> Array:
            return ravel_pytree(self(unravel(x), None, sums))[0]

        parts = linearise(edges, field, lambda x: self.messages(unravel(x)), x, self.nodes)
        return parts.past.system(parts.direct, parts.hearing)[0]
