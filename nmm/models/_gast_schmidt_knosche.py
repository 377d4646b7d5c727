import abc
from typing import Any

import equinox as eqx
from jaxtyping import Array

from .._custom_types import Parameter, Value
from .._declare import param, slot, variable
from ._base import AbstractModel, Inputs, State, observable
from ._quadratic import quadratic_mean_field
from ._synchrony import spike_synchrony


class AbstractGastSchmidtKnosche(AbstractModel):
    """Quadratic integrate-and-fire neurons whose activity calls up a slow $A$ against itself."""

    alpha: eqx.AbstractVar[Parameter]
    eta: eqx.AbstractVar[Parameter]
    tau: Parameter = param(1.0, unit="ms", doc="membrane time constant", bounds=(0.1, 15.0))
    tau_A: Parameter = param(
        10.0, unit="ms", doc="time constant of the adaptation", bounds=(0.1, 15.0)
    )
    I: Parameter = param(0.0, unit="1", doc="constant current", bounds=(-10.0, 10.0))
    Delta: Parameter = param(
        2.0, unit="1", doc="half width of the excitabilities", bounds=(0.0, 10.0)
    )
    J: Parameter = param(
        21.2132, unit="1", doc="recurrent weight, 15 sqrt(2)", bounds=(-25.0, 25.0)
    )
    cr: Parameter = param(1.0, unit="1", doc="weight of the rates of others", bounds=(0.0, 2.0))
    cv: Parameter = param(
        0.0, unit="1", doc="weight of the potentials of others", bounds=(-1.0, 1.0)
    )

    class State(State):
        r: Value = variable(
            0.1, unit="1/ms", doc="firing rate", start=(0.0, 2.0), bounds=(0.0, None)
        )
        V: Value = variable(-1.0, unit="1", doc="mean membrane potential", start=(-2.0, 0.3))
        A: Value = variable(0.0, unit="1", doc="adaptation", start=(0.0, 0.4))
        B: Value = variable(0.0, unit="1", doc="derivative of A, times tau_A", start=(-0.2, 0.3))

    class Inputs(Inputs):
        c_r: Value = slot(unit="1", doc="rates of other regions, times cr")
        c_V: Value = slot(unit="1", doc="potentials of other regions, times cv")
        I_ext: Value = slot(unit="1", doc="adds to I")

    source = "r"
    target = "c_r"
    output = "r"
    category = "physiological"
    reference = "Gast, Schmidt, Knosche (2020) Neural Computation 32:1615"

    @abc.abstractmethod
    def recurrent(self, state: State) -> Array:
        """What the population sends to itself, less its adaptation."""

    def vector_field(self, t: Any, state: State, inputs: Inputs) -> State:
        del t  # autonomous
        r, V, A, B = state.r, state.V, state.A, state.B
        heard = self.cr * inputs.c_r + self.cv * inputs.c_V
        current = self.eta + self.recurrent(state) + self.I + inputs.I_ext + heard
        rate, potential = quadratic_mean_field(r, V, self.tau, self.Delta, current)
        return self.State(
            r=rate, V=potential, A=B / self.tau_A, B=(self.alpha * r - A - 2 * B) / self.tau_A
        )

    @observable(unit="1")
    def synchrony(self, state: State) -> Array:
        """Kuramoto order parameter of the spike phases, in [0, 1]."""
        return spike_synchrony(self.tau * state.r, state.V)


class GastSchmidtKnosche_SD(AbstractGastSchmidtKnosche):
    r"""Quadratic integrate-and-fire neurons with synaptic depression: bursts of a population.

    $$\tau \dot r = \frac{\Delta}{\pi \tau} + 2 r V, \qquad \tau \dot V = V^2 - (\pi \tau r)^2
      + \eta + J \tau r (1 - A) + I + c_r\,r_c + c_v\,V_c$$
    $$\tau_A \dot A = B, \qquad \tau_A \dot B = \alpha r - A - 2 B$$

    $A$, the rate through an alpha kernel, weakens the synapses of the population itself. $r_c$ and
    $V_c$ arrive at `c_r` and `c_V`. At the defaults it rests ($r$ = 0.197); at $\eta$ = -5.5 and
    -5 it bursts every 57.4 and 42.5 units of time (presets `"bursting"`, `"bursting_fast"`), at -4
    it fires steadily ($r$ = 0.802, preset `"firing"`). Nothing keeps $A$ below 1, where the
    synapses change sign. $r$ is kept at 0 or above. Smooth. One unit of time is taken as 1 ms.

    Reference: Gast, Schmidt, Knosche (2020) Neural Computation 32:1615.
    """

    alpha: Parameter = param(0.5, unit="ms", doc="strength of the depression", bounds=(0.0, 1.0))
    eta: Parameter = param(-6.0, unit="1", doc="mean excitability", bounds=(-10.0, 10.0))

    use = "exact mean field with synaptic depression, bursts"
    presets = {"bursting": {"eta": -5.5}, "bursting_fast": {"eta": -5.0}, "firing": {"eta": -4.0}}

    def recurrent(self, state: AbstractGastSchmidtKnosche.State) -> Array:
        return self.J * self.tau * state.r * (1 - state.A)


class GastSchmidtKnosche_SF(AbstractGastSchmidtKnosche):
    r"""Quadratic integrate-and-fire neurons with spike-frequency adaptation: bursts.

    $$\tau \dot r = \frac{\Delta}{\pi \tau} + 2 r V, \qquad \tau \dot V = V^2 - (\pi \tau r)^2
      + \eta + J \tau r - A + I + c_r\,r_c + c_v\,V_c$$
    $$\tau_A \dot A = B, \qquad \tau_A \dot B = \alpha r - A - 2 B$$

    $A$, the rate through an alpha kernel, is a current against it. $r_c$ and $V_c$ arrive at `c_r`
    and `c_V`. At the defaults it bursts every 46.1 units of time; at $\eta$ = 3 it fires steadily
    ($r$ = 1.363, preset `"firing"`), at -5 it rests ($r$ = 0.174, preset `"resting"`). $r$ is kept
    at 0 or above. Smooth. One unit of time is taken as 1 ms.

    Reference: Gast, Schmidt, Knosche (2020) Neural Computation 32:1615.
    """

    alpha: Parameter = param(10.0, unit="ms", doc="strength of the adaptation", bounds=(0.0, 20.0))
    eta: Parameter = param(1.0, unit="1", doc="mean excitability", bounds=(-10.0, 10.0))

    use = "exact mean field with spike-frequency adaptation, bursts"
    presets = {"firing": {"eta": 3.0}, "resting": {"eta": -5.0}}

    def recurrent(self, state: AbstractGastSchmidtKnosche.State) -> Array:
        return self.J * self.tau * state.r - state.A
