import math
from typing import Any

from jaxtyping import Array

from .._custom_types import Parameter, Value
from .._declare import param, slot, variable
from ._base import AbstractModel, Inputs, State, observable
from ._quadratic import quadratic_mean_field
from ._synchrony import spike_synchrony


class CoombesByrne(AbstractModel):
    r"""Next-generation neural mass: theta neurons with instantaneous synaptic conductance.

    With the conductance $g = \kappa \pi r$,

    $$\dot r = \frac{\Delta}{\pi} + 2 r v - g r + I_r$$
    $$\dot v = v^2 - (\pi r)^2 + \eta_0 + (v_{syn} - v)\,g + I_v$$

    One stable focus at the defaults, (0.185, -0.571), of synchrony 0.42. $\kappa$ = 0 is
    `nmm.MontbrioPazoRoxin` with $J$ = 0 and $\tau$ = 1. $r$ stays positive by itself without noise
    and is kept so with it. Smooth. One unit of time is taken as 1 ms.

    The Virtual Brain and tvboptim print $-g r^2$; their code has $-g r$, as here.

    Reference: Coombes, Byrne (2019) in Nonlinear Dynamics in Computational Neuroscience, 1-16
    (arXiv:1607.06251); Montbrio, Pazo, Roxin (2015) Physical Review X 5:021028.
    """

    Delta: Parameter = param(1.0, unit="1", doc="half width of the drives", bounds=(0.0, 10.0))
    eta: Parameter = param(2.0, unit="1", doc="mean drive", bounds=(-10.0, 10.0))
    k: Parameter = param(1.0, unit="1", doc="strength of the synapses", bounds=(0.0, 5.0))
    v_syn: Parameter = param(-4.0, unit="1", doc="reversal potential", bounds=(-20.0, 0.0))

    class State(State):
        r: Value = variable(
            0.1, unit="1/ms", doc="firing rate", start=(0.0, 1.5), bounds=(0.0, None)
        )
        v: Value = variable(0.0, unit="1", doc="mean membrane potential", start=(-2.0, 1.5))

    class Inputs(Inputs):
        r_inp: Value = slot(unit="1/ms^2", doc="added to the derivative of r")
        v_inp: Value = slot(unit="1", doc="current")

    source = "r"
    target = "v_inp"
    output = "r"
    category = "physiological"
    use = "exact mean field with synapses"
    reference = "Coombes, Byrne (2019) in Nonlinear Dynamics in Computational Neuroscience, 1-16"

    def vector_field(self, t: Any, state: State, inputs: Inputs) -> State:
        del t  # autonomous
        r, v, g = state.r, state.v, self.conductance(state)
        rate, potential = _theta_neurons(self, r, v, g, inputs.v_inp)
        return self.State(r=rate + inputs.r_inp, v=potential)

    @observable(unit="1")
    def conductance(self, state: State) -> Array:
        """Synaptic conductance g."""
        return self.k * math.pi * state.r

    @observable(unit="1")
    def synchrony(self, state: State) -> Array:
        """Kuramoto order parameter of the spike phases, in [0, 1]."""
        return spike_synchrony(state.r, state.v)


class CoombesByrne4D(AbstractModel):
    r"""Next-generation neural mass: theta neurons with synapses of second order.

    $$\dot r = \frac{\Delta}{\pi} + 2 r V - g r, \qquad
      \dot V = V^2 - (\pi r)^2 + \eta + (v_{syn} - V)\,g + c$$
    $$\dot g = \alpha q, \qquad \dot q = \alpha (k \pi r - g - 2 q)$$

    Slow synapses make rhythms, which `nmm.CoombesByrne`, their limit of large $\alpha$, has none
    of: at the defaults a limit cycle of period 2.083, at $\eta$ = 10 one of 3.506 (preset
    `"slower"`), while at $\eta$ = 2 it rests at $r$ = 0.0872 (preset `"resting"`). What arrives at
    `c` is a current. The synapse is driven by $k \pi r$, so that $k$ is $1/\pi$ of a strength
    that multiplies $r$. $r$ is kept at 0 or above. Smooth. One unit of time is taken as 1 ms.

    The class of this name in The Virtual Brain, `CoombesByrne`, is this one; it prints $-g r^2$,
    but computes $-g r$.

    Reference: Coombes, Byrne (2019) in Nonlinear Dynamics in Computational Neuroscience, 1-16
    (arXiv:1607.06251).
    """

    Delta: Parameter = param(0.5, unit="1", doc="half width of the drives", bounds=(0.0, 10.0))
    alpha: Parameter = param(0.95, unit="1/ms", doc="rate of the synapses", bounds=(0.0, 10.0))
    v_syn: Parameter = param(-10.0, unit="1", doc="reversal potential", bounds=(-20.0, 0.0))
    k: Parameter = param(1.0, unit="1", doc="strength of the synapses", bounds=(0.0, 5.0))
    eta: Parameter = param(20.0, unit="1", doc="mean drive", bounds=(-10.0, 30.0))

    class State(State):
        r: Value = variable(
            0.5, unit="1/ms", doc="firing rate", start=(0.0, 6.0), bounds=(0.0, None)
        )
        V: Value = variable(0.0, unit="1", doc="mean membrane potential", start=(-10.0, 10.0))
        g: Value = variable(1.0, unit="1", doc="synaptic conductance", start=(1.0, 2.0))
        q: Value = variable(0.0, unit="1", doc="derivative of g, over alpha", start=(-0.5, 0.7))

    class Inputs(Inputs):
        c: Value = slot(unit="1", doc="current")

    source = "r"
    target = "c"
    output = "r"
    category = "physiological"
    use = "exact mean field with slow synapses, beta rhythms"
    reference = "Coombes, Byrne (2019) in Nonlinear Dynamics in Computational Neuroscience, 1-16"
    presets = {"slower": {"eta": 10.0}, "resting": {"eta": 2.0}}

    def vector_field(self, t: Any, state: State, inputs: Inputs) -> State:
        del t  # autonomous
        r, V, g, q = state.r, state.V, state.g, state.q
        rate, potential = _theta_neurons(self, r, V, g, inputs.c)
        return self.State(
            r=rate,
            V=potential,
            g=self.alpha * q,
            q=self.alpha * (self.k * math.pi * r - g - 2 * q),
        )

    @observable(unit="1")
    def synchrony(self, state: State) -> Array:
        """Kuramoto order parameter of the spike phases, in [0, 1]."""
        return spike_synchrony(state.r, state.V)


def _theta_neurons(
    m: CoombesByrne | CoombesByrne4D, r: Array, v: Array, g: Array, current: Array
) -> tuple[Array, Array]:
    """Derivatives of the rate and of the potential under a synaptic conductance."""
    current = m.eta + (m.v_syn - v) * g + current
    rate, potential = quadratic_mean_field(r, v, 1.0, m.Delta, current)
    return rate - g * r, potential
