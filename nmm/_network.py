"""A network: a model in every region, a connectome between them, one vector field in all."""

import functools
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
from .stimulus._base import Stimulus, inputs_at


class Network(AbstractDynamics):
    r"""Regions that follow a model and hear each other: a vector field with the same contract.

    $$\dot x_i = f(t, x_i, u_i), \qquad u_i = \mathrm{coupling}(x_i, \{W_{ij}, x_j\})
      + \mathrm{stimulus}_i(t) + \mathrm{inputs}_i$$

    **Arguments:**

    - `node`: the model of a region, with scalar or regional parameters.
    - `connectome`: a `nmm.Connectome` or a weight matrix, `W[target, source]`.
    - `coupling`: a `nmm.coupling.AbstractCoupling`, `nmm.coupling.Linear()` by default; or a tuple
        of several, each with a `source` and a `target` of its own. What arrives at the same target
        adds up. Then `connectome` may be a tuple too, with one for each coupling.
    - `noise`: `None`, a `nmm.noise.AbstractNoise` or a tuple of them, as part of the model, so that
        for example `"noise.sigma"` can be fitted.
    - `stimulus`: `None`, a stimulus (`nmm.stimulus`) or a function of time, `t -> Inputs`, or a
        tuple of several, as part of the model, so that `"stimulus.amplitude"` can be fitted.

    **Raises:**

    - `ValueError` if regional parameters are not given for the regions of the connectome, if
        connectomes differ in their regions, or if the model lacks the source or the target that a
        coupling names.
    """

    node: AbstractModel
    connectome: Connectome | tuple[Connectome, ...]
    coupling: AbstractCoupling | tuple[AbstractCoupling, ...]
    noise: AbstractNoise | tuple[AbstractNoise, ...] | None
    stimulus: Stimulus | tuple[Stimulus, ...] | None

    def __init__(
        self,
        node: AbstractModel,
        connectome: Connectome | Array | tuple[Connectome | Array, ...],
        coupling: AbstractCoupling | tuple[AbstractCoupling, ...] | None = None,
        *,
        noise: AbstractNoise | tuple[AbstractNoise, ...] | None = None,
        stimulus: Stimulus | tuple[Stimulus, ...] | None = None,
    ):
        self.node = node
        self.connectome = (
            tuple(_as_connectome(one) for one in connectome)
            if isinstance(connectome, tuple)
            else _as_connectome(connectome)
        )
        self.coupling = Linear() if coupling is None else coupling
        self.noise = noise
        self.stimulus = stimulus

    def __check_init__(self) -> None:
        self._check_parts()
        (regions,) = self.shape
        for connectome in _tuple(self.connectome):
            if connectome.n_regions != regions:
                raise ValueError(
                    f"`connectome` should have the same regions for every coupling, got {regions} "
                    f"and {connectome.n_regions}."
                )
        for part, module in [("node", self.node), *(("coupling", c) for c in self._couplings)]:
            shape = module.shape if part == "node" else parameter_shape(module)
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
        if self.stimulus is not None and not all(map(callable, _tuple(self.stimulus))):
            raise TypeError(f"`stimulus` should be a function of time, got {self.stimulus!r}.")
        slots = list(declarations(self.node.Inputs))
        for coupling in self._couplings:
            if self._target(coupling) not in slots:
                raise ValueError(
                    f"`coupling.target` should be an input slot of `{type(self.node).__name__}`, "
                    f"one of {slots}, got {self._target(coupling)!r}."
                )
        # Evaluating the sources once, on shapes alone, tells whether the model has them.
        eqx.filter_eval_shape(lambda net: net._sent(net.node.initial_state(net.shape)), self)

    def _check_parts(self) -> None:
        for coupling in self._couplings:
            if not isinstance(coupling, AbstractCoupling):
                raise TypeError(
                    "`coupling` should be a `nmm.coupling` object, or a tuple of them, got "
                    f"{coupling!r}."
                )
        given = len(_tuple(self.connectome))
        if not self._couplings or given not in (1, len(self._couplings)):
            raise ValueError(
                "`connectome` should be one, or a tuple with one for each coupling; got "
                f"{given} for {len(self._couplings)} couplings."
            )

    @property
    def shape(self) -> tuple[int]:
        return (_tuple(self.connectome)[0].weights.shape[-1],)

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
    def labels(self) -> tuple[str, ...] | None:
        """The names of the regions, if the connectome has them."""
        return _tuple(self.connectome)[0].labels

    @property
    def _couplings(self) -> tuple[AbstractCoupling, ...]:
        return _tuple(self.coupling)

    @property
    def _connectomes(self) -> tuple[Connectome, ...]:
        """The connectome of each coupling."""
        given = _tuple(self.connectome)
        return given * len(self._couplings) if len(given) == 1 else given

    def _target(self, coupling: AbstractCoupling) -> str:
        return coupling.target or self.node.target

    def _sent(self, state: Any) -> list[Any]:
        """The source variable of each coupling."""

        def no_inputs(source: str) -> Any:
            raise ValueError(
                f"`coupling.source` should be computed from the state alone, but {source!r} of "
                f"`{type(self.node).__name__}` also takes inputs."
            )

        def sent(source: str | tuple[str, ...]) -> Any:
            if isinstance(source, tuple):
                return tuple(map(sent, source))
            return evaluate(self.node, source, state, functools.partial(no_inputs, source))

        return [sent(coupling.source or self.node.source) for coupling in self._couplings]

    def receive(self, t: Any, state: Any, inputs: Any) -> Any:
        """All that arrives at the regions: `inputs`, the stimulus, and what they hear."""
        total = {}
        for coupling, connectome, sent in zip(
            self._couplings, self._connectomes, self._sent(state), strict=True
        ):
            weights = connectome.weights
            sums = jax.tree.map(functools.partial(_weighted_sum, weights), coupling.message(sent))
            heard = coupling.receive(sent, sums, jnp.sum(weights, axis=-1))
            target = self._target(coupling)
            total[target] = total[target] + heard if target in total else heard
        stimuli = () if self.stimulus is None else _tuple(self.stimulus)
        for given in (inputs, *(inputs_at(self.node, one, t) for one in stimuli)):
            if given is not None:
                for name in declarations(self.node.Inputs):
                    total[name] = total.get(name, 0.0) + getattr(given, name)
        return self.node.Inputs(**total)

    def vector_field(self, t: Any, state: Any, inputs: Any = None) -> Any:
        """The time derivative of `state`, `(..., regions)`, per ms."""
        return self.node.vector_field(t, state, self.receive(t, state, inputs))

    def initial_state(self, shape: tuple[int, ...] = (), key: Key | None = None) -> Any:
        """The state in which a run starts; see `nmm.AbstractModel.initial_state`."""
        return self.node.initial_state(shape or self.shape, key)


def _tuple(one_or_several: Any) -> tuple[Any, ...]:
    return one_or_several if isinstance(one_or_several, tuple) else (one_or_several,)


def _as_connectome(connectome: Connectome | Array) -> Connectome:
    return connectome if isinstance(connectome, Connectome) else Connectome(connectome)


def _weighted_sum(weights: Array, features: Array) -> Array:
    """Over the sources, for each target; axes in front of the regions are batches."""
    # Not `features @ weights.T`, whose transpose is computed again in every step.
    last = features.ndim - 1
    return jax.lax.dot_general(features, weights, (((last,), (1,)), ((), ())))
