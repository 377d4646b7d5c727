import math
from typing import Any

from jaxtyping import Array

from .._custom_types import Parameter, Value
from .._declare import param, slot, variable
from ._base import AbstractModel, Inputs, State, observable
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
        return self.State(
            r=self.Delta / math.pi + 2 * v * r - g * r + inputs.r_inp,
            v=v**2 - (math.pi * r) ** 2 + self.eta + (self.v_syn - v) * g + inputs.v_inp,
        )

    @observable(unit="1")
    def conductance(self, state: State) -> Array:
        """Synaptic conductance g."""
        return self.k * math.pi * state.r

    @observable(unit="1")
    def synchrony(self, state: State) -> Array:
        """Kuramoto order parameter of the spike phases, in [0, 1]."""
        return spike_synchrony(state.r, state.v)
