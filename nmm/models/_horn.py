from typing import Any

import jax.numpy as jnp

from .._custom_types import Parameter, Value
from .._declare import param, slot, variable
from ._base import AbstractModel, Inputs, State


class HORN(AbstractModel):
    r"""Damped harmonic oscillator driven through tanh, the unit of oscillating recurrent networks.

    $$\dot x = y, \qquad \dot y = \alpha \tanh(u + v x) - \omega^2 x - 2 \gamma y$$

    Networks of it learn tasks: see `nmm.HORNLayer` and `nmm.HORNNetwork`. There, a step is 1 ms of
    `nmm.SemiImplicitEuler("y")`, which is the discrete form of the paper,

    $$y^+ = y + h (\alpha \tanh(u + v x) - \omega^2 x - 2 \gamma y), \qquad x^+ = x + h y^+,$$

    stable for $h^2 \omega^2 < 4 (1 - \gamma h)$. At rest under a constant $u$, $x$ is
    $\alpha \tanh(u) / \omega^2$ (at $v$ = 0). With $v > \omega^2 / \alpha$ the origin is unstable.
    Smooth. The paper counts in steps, which here are ms: $\omega = 2\pi/28$ is 36 Hz.

    Reference: Effenberger, Carvalho, Dubinin, Singer (2025) PNAS 122(4):e2412830122.
    """

    alpha: Parameter = param(0.04, unit="1/ms²", doc="excitability", bounds=(0.0, 1.0))
    omega: Parameter = param(
        0.2243994752564138, unit="rad/ms", doc="natural frequency, 2 pi / 28", bounds=(0.01, 1.0)
    )
    gamma: Parameter = param(0.01, unit="1/ms", doc="damping", bounds=(0.0, 0.2))
    v: Parameter = param(0.0, unit="1", doc="feedback of the position", bounds=(-2.0, 2.0))

    class State(State):
        x: Value = variable(0.0, unit="1", doc="position", start=(-1.0, 1.0))
        y: Value = variable(0.0, unit="1/ms", doc="velocity", start=(-0.2, 0.2))

    class Inputs(Inputs):
        u: Value = slot(unit="1", doc="drive, inside tanh")

    source = "y"
    target = "u"
    output = "x"
    category = "phenomenological"
    use = "oscillating networks that learn tasks"
    reference = "Effenberger et al. (2025) PNAS 122(4):e2412830122"

    def vector_field(self, t: Any, state: State, inputs: Inputs) -> State:
        del t  # autonomous
        drive = self.alpha * jnp.tanh(inputs.u + self.v * state.x)
        restoring = self.omega**2 * state.x + 2 * self.gamma * state.y
        return self.State(x=state.y, y=drive - restoring)
