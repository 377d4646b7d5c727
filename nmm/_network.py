"""A network: a model in every region, a connectome between them, one vector field in all."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from ._connectome import Connectome
from ._custom_types import Key
from ._declare import declarations, parameter_shape
from .coupling import AbstractCoupling, Linear
from .models._base import AbstractDynamics, AbstractModel, evaluate
from .noise import AbstractNoise


class Network(AbstractDynamics):
    r"""Regions that follow a model and hear each other: a vector field with the same contract.

    $$\dot x_i = f(t, x_i, u_i), \qquad u_i = \mathrm{coupling}(x_i, \{W_{ij}, x_j\})
      + \mathrm{stimulus}_i(t) + \mathrm{inputs}_i$$

    **Arguments:**

    - `node`: the model of a region, with scalar or regional parameters.
    - `connectome`: a `nmm.Connectome` or a weight matrix, `W[target, source]`.
    - `coupling`: a `nmm.coupling.AbstractCoupling`; `nmm.coupling.Linear()` by default.
    - `noise`: `None`, a `nmm.noise.AbstractNoise` or a tuple of them, as part of the model, so that
        for example `"noise.sigma"` can be fitted.
    - `stimulus`: `None` or a function of time, `t -> Inputs`, as part of the model. If it is an
        `equinox.Module`, its arrays can be fitted.

    **Raises:**

    - `ValueError` if regional parameters are not given for the regions of the connectome, or
        if the model lacks the source or the target that the coupling names.
    """

    node: AbstractModel
    connectome: Connectome
    coupling: AbstractCoupling
    noise: AbstractNoise | tuple[AbstractNoise, ...] | None
    stimulus: Callable[[Any], Any] | None

    def __init__(
        self,
        node: AbstractModel,
        connectome: Connectome | Array,
        coupling: AbstractCoupling | None = None,
        *,
        noise: AbstractNoise | tuple[AbstractNoise, ...] | None = None,
        stimulus: Callable[[Any], Any] | None = None,
    ):
        self.node = node
        self.connectome = (
            connectome if isinstance(connectome, Connectome) else Connectome(connectome)
        )
        self.coupling = Linear() if coupling is None else coupling
        self.noise = noise
        self.stimulus = stimulus

    def __check_init__(self) -> None:
        (regions,) = self.shape
        for part, shape in (
            ("node", self.node.shape),
            ("coupling", parameter_shape(self.coupling)),
        ):
            if shape not in ((), (regions,)):
                raise ValueError(
                    f"The regional parameters of `{part}` should be given for the {regions} "
                    f"regions of `connectome`, got {shape[0]}."
                )
        noises = self.noise if isinstance(self.noise, tuple) else (self.noise,)
        for noise in noises:
            if isinstance(noise, AbstractNoise):
                noise.check(self.node)
            elif noise is not None:
                raise TypeError(f"`noise` should be made of `nmm.noise` objects, got {noise!r}.")
        if self.stimulus is not None and not callable(self.stimulus):
            raise TypeError(f"`stimulus` should be a function of time, got {self.stimulus!r}.")
        slots = list(declarations(self.node.Inputs))
        if self._target not in slots:
            raise ValueError(
                f"`coupling.target` should be an input slot of `{type(self.node).__name__}`, "
                f"one of {slots}, got {self._target!r}."
            )
        # Evaluating the source once, on shapes alone, tells whether the model has it.
        eqx.filter_eval_shape(
            lambda net: evaluate(
                net.node, net._source, net.node.initial_state(net.shape), net._no_inputs
            ),
            self,
        )

    @property
    def shape(self) -> tuple[int]:
        return (self.connectome.weights.shape[-1],)

    @property
    def State(self) -> type:
        return self.node.State

    @property
    def Inputs(self) -> type:
        return self.node.Inputs

    @property
    def output(self) -> str:
        return self.node.output

    @property
    def _source(self) -> str:
        return self.coupling.source or self.node.source

    @property
    def _target(self) -> str:
        return self.coupling.target or self.node.target

    def _no_inputs(self) -> Any:
        raise ValueError(
            f"`coupling.source` should be computed from the state alone, but {self._source!r} of "
            f"`{type(self.node).__name__}` also takes inputs."
        )

    def receive(self, t: Any, state: Any, inputs: Any) -> Any:
        """All that arrives at the regions: `inputs`, the stimulus, and what they hear."""
        weights = self.connectome.weights
        sent = evaluate(self.node, self._source, state, self._no_inputs)
        sums = jax.tree.map(lambda x: _weighted_sum(weights, x), self.coupling.message(sent))
        heard = self.coupling.receive(sent, sums, jnp.sum(weights, axis=-1))
        total = {self._target: heard}
        for given in (inputs, None if self.stimulus is None else self.stimulus(t)):
            if given is not None:
                if not isinstance(given, self.node.Inputs):
                    raise TypeError(
                        f"`stimulus` should return `{type(self.node).__name__}.Inputs(...)`, got "
                        f"{given!r}."
                    )
                for name in declarations(self.node.Inputs):
                    total[name] = total.get(name, 0.0) + getattr(given, name)
        return self.node.Inputs(**total)

    def vector_field(self, t: Any, state: Any, inputs: Any = None) -> Any:
        """The time derivative of `state`, `(..., regions)`, per ms."""
        return self.node.vector_field(t, state, self.receive(t, state, inputs))

    def initial_state(self, shape: tuple[int, ...] = (), key: Key | None = None) -> Any:
        """The state in which a run starts; see `nmm.AbstractModel.initial_state`."""
        return self.node.initial_state(shape or self.shape, key)


def _weighted_sum(weights: Array, features: Array) -> Array:
    """Over the sources, for each target; axes in front of the regions are batches."""
    # Not `features @ weights.T`, whose transpose is computed again in every step.
    last = features.ndim - 1
    return jax.lax.dot_general(features, weights, (((last,), (1,)), ((), ())))
