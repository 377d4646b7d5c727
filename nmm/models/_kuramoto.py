import math
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from .._custom_types import Parameter, Value
from .._declare import param, slot, variable
from ._base import AbstractModel, Inputs, State, observable
from ._synchrony import root


class Kuramoto(AbstractModel):
    r"""A phase that advances at its own frequency; with `nmm.coupling.Kuramoto`, synchronisation.

    $$\dot\theta = \omega + I$$

    A node alone only rotates. In a network, $I_i = G \sum_j W_{ij} \sin(\theta_j - \theta_i -
    \alpha)$ is what `nmm.coupling.Kuramoto` sends; then the regions synchronise above a critical
    $G$, which for all-to-all weights of $1/N$ and Lorentzian frequencies is twice their half width.
    The phase is not wrapped: `signal` and `order_parameter` do not mind, and `phase` wraps it. All
    regions start in phase unless a key draws their phases. Smooth. $\omega = 2\pi f_{Hz} / 1000$:
    the default is 10 Hz; The Virtual Brain and tvboptim use 1 rad/ms, 159 Hz (preset `"tvb"`), and
    in brainmass phases stand still unless told otherwise (preset `"brainmass"`).

    Reference: Kuramoto (1975) Lecture Notes in Physics 39:420; Strogatz (2000) Physica D 143:1;
    Cabral, Hugues, Sporns, Deco (2011) NeuroImage 57:130.
    """

    omega: Parameter = param(
        2 * math.pi * 0.01, unit="rad/ms", doc="angular frequency", bounds=(0.0, 2.0)
    )

    class State(State):
        theta: Value = variable(0.0, unit="rad", doc="phase", start=(0.0, 2 * math.pi))

    class Inputs(Inputs):
        theta_inp: Value = slot(unit="rad/ms", doc="what other phases add to the frequency")

    source = "theta"
    target = "theta_inp"
    output = "signal"
    category = "phenomenological"
    use = "synchronisation"
    reference = "Kuramoto (1975) Lecture Notes in Physics 39:420"
    presets = {"tvb": {"omega": 1.0}, "brainmass": {"omega": 0.0}}

    def vector_field(self, t: Any, state: State, inputs: Inputs) -> State:
        del t  # autonomous
        return self.State(theta=self.omega + inputs.theta_inp + jnp.zeros_like(state.theta))

    @observable(unit="1")
    def signal(self, state: State) -> Array:
        """The oscillation, sin(theta)."""
        return jnp.sin(state.theta)

    @observable(unit="rad")
    def phase(self, state: State) -> Array:
        """The phase, wrapped into (-pi, pi]."""
        return jnp.arctan2(jnp.sin(state.theta), jnp.cos(state.theta))

    @observable(unit="1")
    def order_parameter(self, state: State) -> Array:
        """Synchrony of all regions, one number: 0 if incoherent, 1 if in phase."""
        axis = -1 if state.theta.ndim else None
        real = jnp.mean(jnp.cos(state.theta), axis)
        imaginary = jnp.mean(jnp.sin(state.theta), axis)
        return root(real**2 + imaginary**2)
