from typing import Any

import jax
from jaxtyping import Array

from .._custom_types import Parameter, Value
from .._declare import param, slot, variable
from ._base import AbstractModel, Inputs, State, observable


def _contacts(which: str, default: float, high: float) -> Any:
    return param(default, unit="1", doc=f"contacts, {which}", bounds=(0.0, high))


def _share(which: str) -> Any:
    return param(1.0, unit="1", doc=f"weight of what arrives at {which}", bounds=(0.0, 10.0))


def _pulses(which: str) -> Any:
    return param(0.12, unit="1/ms", doc=f"mean input of {which}", bounds=(0.0, 0.35))


def _potential(what: str) -> Any:
    return variable(0.0, unit="mV", doc=what, start=(-100.0, 50.0))


def _velocity(of: str) -> Any:
    return variable(0.0, unit="mV/ms", doc=f"derivative of {of}", start=(-10.0, 10.0))


class ZetterbergJansen(AbstractModel):
    r"""Cortical column of Jansen and Rit with inhibitory interneurons that inhibit themselves; EEG.

    With $s(v) = 2 e_0/(1 + e^{-\rho_1 (v - \rho_2)})$ and $w = s(c) + w_c$,

    $$\ddot v_1 = H_e k_e (\gamma_1 s(v_2 - v_3) + \gamma_{1T} (U + w))
      - 2 k_e \dot v_1 - k_e^2 v_1$$
    $$\ddot v_2 = H_e k_e (\gamma_2 s(v_1) + \gamma_{2T} (P + w)) - 2 k_e \dot v_2 - k_e^2 v_2$$
    $$\ddot v_3 = H_i k_i \gamma_4 s(v_4 - v_5) - 2 k_i \dot v_3 - k_i^2 v_3$$
    $$\ddot v_4 = H_e k_e (\gamma_3 s(v_2 - v_3) + \gamma_{3T} (Q + w))
      - 2 k_e \dot v_4 - k_e^2 v_4$$
    $$\ddot v_5 = H_i k_i \gamma_5 s(v_4 - v_5) - 2 k_i \dot v_5 - k_i^2 v_5$$

    as ten first-order equations. The EEG is $v_2 - v_3$, the potential of the pyramidal cells
    (`v6`); $v_4 - v_5$ is that of the inhibitory interneurons (`v7`). What arrives at `c`, mV,
    passes the sigmoid after its sum, so that a region alone hears $s(0)$ = 0.17 Hz; rates arrive at
    `w`. At the defaults it rests at an EEG of 9.14 mV and rings at 13.1 Hz. Smooth.

    The Virtual Brain has $k_e^2 v_5$ in the last equation, which makes the inhibitory loop four
    times too stiff, and keeps `v6` and `v7` as further states.

    Reference: Zetterberg, Kristiansson, Mossberg (1978) Biological Cybernetics 31:15; Spiegler,
    Kiebel, Atay, Knosche (2010) NeuroImage 52:1041.
    """

    He: Parameter = param(3.25, unit="mV", doc="excitatory gain", bounds=(2.6, 9.75))
    Hi: Parameter = param(22.0, unit="mV", doc="inhibitory gain", bounds=(17.6, 110.0))
    ke: Parameter = param(
        0.1, unit="1/ms", doc="excitatory inverse time constant", bounds=(0.05, 0.15)
    )
    ki: Parameter = param(
        0.05, unit="1/ms", doc="inhibitory inverse time constant", bounds=(0.025, 0.075)
    )
    e0: Parameter = param(
        0.0025, unit="1/ms", doc="half of the maximal rate", bounds=(0.00125, 0.00375)
    )
    rho_1: Parameter = param(0.56, unit="1/mV", doc="slope of the sigmoid", bounds=(0.28, 0.84))
    rho_2: Parameter = param(6.0, unit="mV", doc="midpoint of the sigmoid", bounds=(3.12, 10.0))
    gamma_1: Parameter = _contacts("pyramidal to excitatory", 135.0, 1350.0)
    gamma_2: Parameter = _contacts("excitatory to pyramidal", 108.0, 200.0)
    gamma_3: Parameter = _contacts("pyramidal to inhibitory", 33.75, 200.0)
    gamma_4: Parameter = _contacts("inhibitory to pyramidal", 33.75, 200.0)
    gamma_5: Parameter = _contacts("inhibitory to inhibitory", 15.0, 100.0)
    gamma_1T: Parameter = _share("the excitatory interneurons")
    gamma_2T: Parameter = _share("the pyramidal cells")
    gamma_3T: Parameter = _share("the inhibitory interneurons")
    P: Parameter = _pulses("the pyramidal cells")
    U: Parameter = _pulses("the excitatory interneurons")
    Q: Parameter = _pulses("the inhibitory interneurons")

    class State(State):
        v1: Value = _potential("potential of excitatory interneurons")
        y1: Value = _velocity("v1")
        v2: Value = _potential("excitatory PSP of pyramidal cells")
        y2: Value = _velocity("v2")
        v3: Value = _potential("inhibitory PSP of pyramidal cells")
        y3: Value = _velocity("v3")
        v4: Value = _potential("excitatory PSP of inhibitory interneurons")
        y4: Value = _velocity("v4")
        v5: Value = _potential("inhibitory PSP of inhibitory interneurons")
        y5: Value = _velocity("v5")

    class Inputs(Inputs):
        c: Value = slot(unit="mV", doc="potentials v6 of other regions, inside of the sigmoid")
        w: Value = slot(unit="1/ms", doc="rates of other regions", bounds=(0.0, 0.1))

    source = "v6"
    target = "c"
    output = "v6"
    category = "physiological"
    use = "EEG with explicit loops of inhibition"
    reference = "Zetterberg et al. (1978) Biological Cybernetics 31:15"

    def sigmoid(self, v: Array) -> Array:
        """The rate s(v), per ms, at the potential `v`, mV."""
        return 2 * self.e0 * jax.nn.sigmoid(self.rho_1 * (v - self.rho_2))

    def vector_field(self, t: Any, state: State, inputs: Inputs) -> State:
        del t  # autonomous
        y, s = state, self.sigmoid
        pyramidal, inhibitory = s(self.v6(state)), s(self.v7(state))
        w = s(inputs.c) + inputs.w

        def excitatory(rate: Array, v: Array, velocity: Array) -> Array:
            return self.ke * (self.He * rate - 2 * velocity - self.ke * v)

        def inhibited(rate: Array, v: Array, velocity: Array) -> Array:
            return self.ki * (self.Hi * rate - 2 * velocity - self.ki * v)

        to_1 = self.gamma_1 * pyramidal + self.gamma_1T * (self.U + w)
        to_2 = self.gamma_2 * s(y.v1) + self.gamma_2T * (self.P + w)
        to_4 = self.gamma_3 * pyramidal + self.gamma_3T * (self.Q + w)
        return self.State(
            v1=y.y1,
            y1=excitatory(to_1, y.v1, y.y1),
            v2=y.y2,
            y2=excitatory(to_2, y.v2, y.y2),
            v3=y.y3,
            y3=inhibited(self.gamma_4 * inhibitory, y.v3, y.y3),
            v4=y.y4,
            y4=excitatory(to_4, y.v4, y.y4),
            v5=y.y5,
            y5=inhibited(self.gamma_5 * inhibitory, y.v5, y.y5),
        )

    @observable(unit="mV")
    def v6(self, state: State) -> Array:
        """Potential of the pyramidal cells, v2 - v3, the EEG."""
        return state.v2 - state.v3

    @observable(unit="mV")
    def v7(self, state: State) -> Array:
        """Potential of the inhibitory interneurons, v4 - v5."""
        return state.v4 - state.v5
