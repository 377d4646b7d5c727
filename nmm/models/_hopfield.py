from typing import Any

from .._custom_types import Parameter, Value
from .._declare import param, slot, variable
from ._base import AbstractModel, Inputs, State


def _time_constant(what: str, default: float) -> Any:
    return param(default, unit="ms", doc=f"time constant of {what}", bounds=(0.01, 100.0))


class Hopfield(AbstractModel):
    r"""Graded neurons that store patterns as attractors: a leak of what the others send.

    $$\tau_x \dot x = c - x$$

    A node alone forgets: under a constant $c$, $x = c + (x(0) - c)\,e^{-t/\tau_x}$. A network has
    attractors with `nmm.coupling.PreSigmoidal`, a steep switch of each node before the sum,

    $$c_i = \sum_j W_{ij} A_j, \qquad A_j = H\,\big(Q + \tanh(G (P x_j - \theta))\big)$$

    whose defaults are those of The Virtual Brain: $A$ is 0 well below $\theta$ = 0.5 and 1 well
    above. `nmm.Network(nmm.Hopfield(), W, nmm.coupling.PreSigmoidal())` then rests at $x = W p$ for
    every pattern $p$ of zeros and ones with $W p$ above 0.5 where $p$ is 1, and below elsewhere.
    Smooth. One unit of time is taken as 1 ms.

    Reference: Hopfield (1984) PNAS 81:3088.
    """

    taux: Parameter = _time_constant("x", 1.0)

    class State(State):
        x: Value = variable(0.5, unit="1", doc="state", start=(-1.0, 2.0))

    class Inputs(Inputs):
        x_inp: Value = slot(unit="1", doc="sum of what other nodes send")

    source = "x"
    target = "x_inp"
    output = "x"
    category = "phenomenological"
    use = "attractor networks, memory"
    reference = "Hopfield (1984) PNAS 81:3088"

    def vector_field(self, t: Any, state: State, inputs: Inputs) -> State:
        del t  # autonomous
        return self.State(x=(inputs.x_inp - state.x) / self.taux)


class HopfieldDynamic(AbstractModel):
    r"""Graded neurons with thresholds that follow their own activity, so that memories pass.

    $$\tau_x \dot x = c_1 - x, \qquad \tau_T \dot\theta = c_2 - \theta$$

    As `nmm.Hopfield`, with the threshold $\theta$ in each node's own message $A_i$ as a second
    variable. It follows $c_2$, which is that message, $c_{2,i} = A_i$: what is active tires. The
    pair of couplings is

    ```python
    import jax.numpy as jnp
    import nmm

    n, sent = 20, ("x", "theta")
    W = (jnp.ones((n, n)) - jnp.eye(n)) / n
    own = nmm.coupling.PreSigmoidal(source=sent, target="theta_inp")
    couplings = (nmm.coupling.PreSigmoidal(source=sent), own)
    net = nmm.Network(nmm.HopfieldDynamic(), (W, jnp.eye(n)), couplings)
    ```

    In place of `jnp.eye(n)`, `jnp.ones((n, n)) / n` has all thresholds follow the mean message, as
    `globalT` does in The Virtual Brain. Smooth. One unit of time is taken as 1 ms.

    Reference: Hopfield (1984) PNAS 81:3088; Golos, Jirsa, Dauce (2015) PLoS Computational Biology
    11:e1004644.
    """

    taux: Parameter = _time_constant("x", 1.0)
    tauT: Parameter = _time_constant("theta", 5.0)

    class State(State):
        x: Value = variable(0.5, unit="1", doc="state", start=(-1.0, 2.0))
        theta: Value = variable(0.5, unit="1", doc="threshold", start=(0.0, 1.0))

    class Inputs(Inputs):
        x_inp: Value = slot(unit="1", doc="sum of what other nodes send")
        theta_inp: Value = slot(unit="1", doc="what the threshold follows")

    source = "x"
    target = "x_inp"
    output = "x"
    category = "phenomenological"
    use = "attractor networks with moving thresholds"
    reference = "Hopfield (1984) PNAS 81:3088"

    def vector_field(self, t: Any, state: State, inputs: Inputs) -> State:
        del t  # autonomous
        return self.State(
            x=(inputs.x_inp - state.x) / self.taux,
            theta=(inputs.theta_inp - state.theta) / self.tauT,
        )
