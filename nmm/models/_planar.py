"""What the oscillators in the plane share: names, inputs, observables, and the normal form."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from .._custom_types import Parameter, Value
from .._declare import slot, variable
from ._base import AbstractModel, Inputs, State, observable
from ._synchrony import root


class AbstractPlanarOscillator(AbstractModel):
    """An oscillator in the plane, with an additive input to each coordinate."""

    class State(State):
        x: Value = variable(0.1, unit="1", doc="first coordinate, the signal", start=(-0.5, 0.5))
        y: Value = variable(0.0, unit="1", doc="second coordinate", start=(-0.5, 0.5))

    class Inputs(Inputs):
        x_inp: Value = slot(unit="1/ms", doc="drive of x")
        y_inp: Value = slot(unit="1/ms", doc="drive of y")

    source = "x"
    target = "x_inp"
    output = "x"
    category = "phenomenological"

    @observable(unit="1")
    def amplitude_squared(self, state: State) -> Array:
        """Squared distance from the origin."""
        return state.x**2 + state.y**2

    @observable(unit="1")
    def amplitude(self, state: State) -> Array:
        """Distance from the origin."""
        return root(self.amplitude_squared(state))

    @observable(unit="rad")
    def phase(self, state: State) -> Array:
        """Angle in the plane, in (-pi, pi]."""
        # Without meaning at the origin, where it counts as 0 and its gradient stays finite.
        return jnp.arctan2(state.y, jnp.where(self.amplitude_squared(state) > 0, state.x, 1.0))


class AbstractHopfNormalForm(AbstractPlanarOscillator):
    """The normal form of the Hopf bifurcation; what has these three numbers follows it."""

    a: eqx.AbstractVar[Parameter]
    w: eqx.AbstractVar[Parameter]
    beta: eqx.AbstractVar[Parameter]

    def vector_field(
        self,
        t: Any,
        state: AbstractPlanarOscillator.State,
        inputs: AbstractPlanarOscillator.Inputs,
    ) -> AbstractPlanarOscillator.State:
        del t  # autonomous
        growth = self.a - self.beta * (state.x**2 + state.y**2)
        return self.State(
            x=growth * state.x - self.w * state.y + inputs.x_inp,
            y=growth * state.y + self.w * state.x + inputs.y_inp,
        )
