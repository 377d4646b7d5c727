from typing import Any

from jaxtyping import Array

from .._custom_types import Parameter, Value
from .._declare import param, slot, variable
from ._base import AbstractModel, Inputs, State, observable
from ._quadratic import quadratic_mean_field
from ._synchrony import spike_synchrony


class MontbrioPazoRoxin(AbstractModel):
    r"""Exact mean field of quadratic integrate-and-fire neurons.

    $$\tau \dot r = \frac{\Delta}{\pi \tau} + 2 r v + \tau I_r$$
    $$\tau \dot v = v^2 - (\pi \tau r)^2 + \bar\eta + J \tau r + I + I_v$$

    At the defaults a quiet state ($r$ = 0.081) and a spiking focus ($r$ = 1.031) coexist, for
    $\bar\eta$ between -5.74 and -3.14. $r$ stays positive by itself without noise and is kept so
    with it. Smooth. One unit of time is a choice: rates are in 1/ms when `tau` is in ms. The
    preset `"whole_brain"` is the set of published whole-brain scripts.

    brainmass 0.1.1 differs: its width is in Hz (a thousandth of this one, preset `"brainmass"`) and
    its $2 r v$ is not divided by $\tau$. Coupling over $r$ and over $v$ both enter `v_inp`.

    Reference: Montbrio, Pazo, Roxin (2015) Physical Review X 5:021028.
    """

    tau: Parameter = param(1.0, unit="ms", doc="membrane time constant", bounds=(0.1, 15.0))
    Delta: Parameter = param(
        1.0, unit="1", doc="half width of the excitabilities", bounds=(0.0, 10.0)
    )
    eta: Parameter = param(-5.0, unit="1", doc="mean excitability", bounds=(-10.0, 10.0))
    J: Parameter = param(15.0, unit="1", doc="recurrent weight", bounds=(-25.0, 25.0))
    I: Parameter = param(0.0, unit="1", doc="constant current", bounds=(-10.0, 10.0))

    class State(State):
        r: Value = variable(
            0.1, unit="1/ms", doc="firing rate", start=(0.0, 1.5), bounds=(0.0, None)
        )
        v: Value = variable(0.0, unit="1", doc="mean membrane potential", start=(-2.0, 1.0))

    class Inputs(Inputs):
        r_inp: Value = slot(unit="1/ms^2", doc="added to the derivative of r")
        v_inp: Value = slot(unit="1", doc="current")

    source = "r"
    target = "v_inp"
    output = "r"
    category = "physiological"
    use = "bistability, synchrony of spikes"
    reference = "Montbrio, Pazo, Roxin (2015) Physical Review X 5:021028"
    presets = {
        "whole_brain": {"Delta": 0.7, "eta": -4.6, "J": 14.5},
        "brainmass": {"Delta": 0.001},
    }

    def vector_field(self, t: Any, state: State, inputs: Inputs) -> State:
        del t  # autonomous
        r, v, tau = state.r, state.v, self.tau
        current = self.eta + self.J * tau * r + self.I + inputs.v_inp
        rate, potential = quadratic_mean_field(r, v, tau, self.Delta, current)
        return self.State(r=rate + inputs.r_inp, v=potential)

    @observable(unit="1")
    def synchrony(self, state: State) -> Array:
        """Kuramoto order parameter of the spike phases, in [0, 1]."""
        return spike_synchrony(self.tau * state.r, state.v)
