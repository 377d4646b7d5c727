"""The vector field of a run: a model with everything that arrives from outside of it."""

import functools
from collections.abc import Callable
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array

from .._declare import Bounds, declarations
from .._mixed import AbstractMixture
from ..models._base import AbstractDynamics
from ..noise import AbstractDiffusion, AbstractForcing
from ..noise._multiplicative import Correction
from ..stimulus._base import Stimulus, inputs_at


class Moment(eqx.Module):
    """What a step knows beside the state.

    Solvers see a clock that starts from 0 in every step, since in float32 a global clock would
    lose its small digits within minutes.

    **Attributes:**

    - `clock`: start of the step as whole ms and the rest; see `nmm.stimulus`.
    - `row`: this step's row of an input given as an array, or `None`.
    - `forcing`: for each noise with memory, its value at the start and the end of the step.
    - `length`: of the step, ms; `None` where forcing does not change within it.
    - `delayed`: what is heard with delay, or held over the step, as a function of the time since
        its start; or `None`.
    """

    clock: tuple[Array, Array]
    row: Any
    forcing: tuple[tuple[Array, Array], ...]
    length: Any
    delayed: Callable[[Any], Any] | None = None

    @property
    def time(self) -> Array:
        """Start of the step, ms."""
        whole, rest = self.clock
        return whole + rest


class Field(eqx.Module):
    """The drift, `f(t, state, moment)`, as Diffrax takes it.

    **Attributes:**

    - `model`: the model or network.
    - `constant`: inputs that do not change, or `None`.
    - `stimuli`: stimuli and functions `t -> Inputs`, also those of a network.
    - `forcing`: the noises with memory.
    - `corrections`: what is added to the drift so that the solver converges to what noise that
        depends on the state means.
    """

    model: AbstractDynamics
    constant: Any
    stimuli: tuple[Stimulus, ...]
    forcing: tuple[AbstractForcing, ...]
    corrections: tuple[Correction, ...]

    def external(self, local: Any, moment: Moment) -> tuple[Any, dict[str, Array]]:
        """Inputs from outside of the network, and what is added to derivatives, by name."""
        node = self.model.node
        slots: dict[str, Any] = {}
        derivatives: dict[str, Any] = {}

        def add(where: dict[str, Any], name: str, value: Any) -> None:
            where[name] = where[name] + value if name in where else value

        whole, rest = moment.clock
        for inputs in (
            self.constant,
            *(inputs_at(node, stimulus, whole, rest + local) for stimulus in self.stimuli),
        ):
            if inputs is not None:
                for name in declarations(node.Inputs):
                    add(slots, name, getattr(inputs, name))
        if moment.row is not None:
            add(slots, node.target, moment.row)
        for noise, (start, end) in zip(self.forcing, moment.forcing, strict=True):
            value = start
            if moment.length is not None:
                value = start + (end - start) * (local / moment.length)
            name = noise.onto or node.target
            where = slots if name in declarations(node.Inputs) else derivatives
            add(where, name, noise.read(value))
        return node.Inputs(**slots), derivatives

    def received(self, local: Any, state: Any, moment: Moment) -> Any:
        """All that arrives at the input slots."""
        external, _ = self.external(local, moment)
        return self._receive(local, state, moment, external)

    def _receive(self, local: Any, state: Any, moment: Moment, external: Any) -> Any:
        delayed = () if moment.delayed is None else (moment.delayed(local),)
        return self.model.receive(moment.time + local, state, external, *delayed)

    def local(self, local: Any, state: Any, moment: Moment) -> Callable[[Any], Any]:
        """The vector field of each region by itself: what arrives is held as it is at `state`."""
        external, derivatives = self.external(local, moment)
        time = moment.time + local
        received = self._receive(local, state, moment, external)
        for correction in self.corrections:
            for name, value in correction(time, state).items():
                derivatives[name] = derivatives.get(name, 0.0) + value
        derivatives = _confined(self.model.node, derivatives)

        def field(y: Any) -> Any:
            return _plus(self.model.node.vector_field(time, y, received), derivatives)

        return field

    def __call__(self, local: Any, state: Any, moment: Moment) -> Any:
        derivative = self.local(local, state, moment)(state)
        return jax.tree.map(lambda d, x: jnp.asarray(d).astype(x.dtype), derivative, state)


def _plus(derivative: Any, extra: dict[str, Array]) -> Any:
    if not extra:
        return derivative
    names = list(extra)
    return eqx.tree_at(
        lambda d: [getattr(d, name) for name in names],
        derivative,
        [getattr(derivative, name) + extra[name] for name in names],
    )


class Diffusion(eqx.Module):
    """The diffusion, as Diffrax takes it: a diagonal operator over the state variables."""

    noises: tuple[AbstractDiffusion, ...]
    node: Any

    def __call__(self, local: Any, state: Any, moment: Moment) -> lx.DiagonalLinearOperator:
        factors: dict[str, Array] = {}
        for noise in self.noises:
            factors.update(noise.diffusion(moment.time + local, state))
        return lx.DiagonalLinearOperator(fill_state(state, _confined(self.node, factors)))


def _confined(node: Any, values: dict[str, Array]) -> dict[str, Array]:
    """Values by state variable, 0 in regions whose model does not have it."""
    return node.confine(values) if isinstance(node, AbstractMixture) else values


def fill_state(state: Any, values: dict[str, Any]) -> Any:
    """A State like `state` with these values, 0 elsewhere."""
    return type(state)(
        **{
            name: jnp.broadcast_to(values.get(name, 0.0), x.shape).astype(x.dtype)
            for name, x in vars(state).items()
        }
    )


class Increment(diffrax.AbstractPath):
    """A control whose increment over the step is known."""

    value: Any
    t0: Any
    t1: Any

    def evaluate(self, t0: Any, t1: Any = None, left: bool = True, use_levy: bool = False) -> Any:
        del t0, t1, left
        # Not by its name: some models have a state variable W.
        has_areas = isinstance(self.value, diffrax.AbstractBrownianIncrement)
        return self.value.W if has_areas and not use_levy else self.value


def clip(state: Any) -> Any:
    """The state within the declared bounds of its variables; NaN and infinity stay visible."""
    bounds = {name: d.bounds for name, d in declarations(type(state)).items()}
    values = vars(state).items()
    return type(state)(**{k: x if bounds[k] is None else _within(x, bounds[k]) for k, x in values})


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _within(x: Array, bounds: Bounds) -> Array:
    # Adding 0 * x turns an infinity into NaN, which clipping alone would hide.
    return jnp.clip(x, *bounds) + 0 * x


# Written out, since the derivative of the expression above saves twice as much for the way back.
@_within.defjvp
def _(bounds: Bounds, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,), (tangent,) = primals, tangents
    y = _within(x, bounds)
    return y, (x == y).astype(x.dtype) * tangent
