from typing import Any

import jax
import jax.numpy as jnp

from .._custom_types import Parameter, Value
from .._declare import param, slot, variable
from ._base import AbstractModel, Inputs, State


class MorrisLecar(AbstractModel):
    r"""Oscillations from a calcium and a potassium conductance, in two variables.

    $$C \dot V = I + c - g_L (V - V_L) - g_{Ca}\,m\,(V - V_{Ca}) - g_K N (V - V_K)$$
    $$\dot N = \lambda \cosh\!\Big(\frac{V - V_3}{2 V_4}\Big)\,(n - N)$$
    $$m = \tfrac12 (1 + \tanh((V - V_1)/V_2)), \qquad n = \tfrac12 (1 + \tanh((V - V_3)/V_4))$$

    Without current it rests at -49.99 mV (preset `"resting"`, the default), at $I$ = 250 at -3.79
    mV; at 300 it oscillates with a period of 27.6 ms (preset `"oscillating"`). Smooth. $I$ adds to
    what arrives at `c`, which is the only drive in The Virtual Brain.

    Reference: Morris, Lecar (1981) Biophysical Journal 35:193.
    """

    gCa: Parameter = param(4.0, unit="mS/cm^2", doc="conductance of Ca", bounds=(2.0, 6.0))
    gK: Parameter = param(8.0, unit="mS/cm^2", doc="conductance of K", bounds=(4.0, 12.0))
    gL: Parameter = param(2.0, unit="mS/cm^2", doc="conductance of the leak", bounds=(1.0, 3.0))
    C: Parameter = param(20.0, unit="uF/cm^2", doc="capacitance", bounds=(10.0, 30.0))
    lambda_Nbar: Parameter = param(
        0.06666667, unit="1/ms", doc="rate of the K channels", bounds=(0.01, 0.2)
    )
    V1: Parameter = param(10.0, unit="mV", doc="half activation of Ca", bounds=(-10.0, 20.0))
    V2: Parameter = param(15.0, unit="mV", doc="width of that of Ca", bounds=(5.0, 30.0))
    V3: Parameter = param(-1.0, unit="mV", doc="half activation of K", bounds=(-10.0, 20.0))
    V4: Parameter = param(14.5, unit="mV", doc="width of that of K", bounds=(5.0, 30.0))
    VCa: Parameter = param(100.0, unit="mV", doc="reversal of Ca", bounds=(80.0, 120.0))
    VK: Parameter = param(-70.0, unit="mV", doc="reversal of K", bounds=(-90.0, -50.0))
    VL: Parameter = param(-50.0, unit="mV", doc="reversal of the leak", bounds=(-70.0, -30.0))
    I: Parameter = param(0.0, unit="uA/cm^2", doc="constant current", bounds=(-50.0, 500.0))

    class State(State):
        V: Value = variable(-40.0, unit="mV", doc="membrane potential", start=(-70.0, 50.0))
        N: Value = variable(0.0, unit="1", doc="open K channels", start=(-0.2, 0.8))

    class Inputs(Inputs):
        c: Value = slot(unit="uA/cm^2", doc="current")

    source = "V"
    target = "c"
    output = "V"
    category = "physiological"
    use = "excitability from conductances, teaching"
    reference = "Morris, Lecar (1981) Biophysical Journal 35:193"
    presets = {"resting": {"I": 0.0}, "oscillating": {"I": 300.0}}

    def vector_field(self, t: Any, state: State, inputs: Inputs) -> State:
        del t  # autonomous
        V, N = state.V, state.N
        # The logistic function of twice the argument is (1 + tanh) / 2.
        m = jax.nn.sigmoid(2 * (V - self.V1) / self.V2)
        n = jax.nn.sigmoid(2 * (V - self.V3) / self.V4)
        current = (
            self.gL * (V - self.VL) + self.gCa * m * (V - self.VCa) + self.gK * N * (V - self.VK)
        )
        rate = self.lambda_Nbar * jnp.cosh((V - self.V3) / (2 * self.V4))
        return self.State(V=(self.I + inputs.c - current) / self.C, N=rate * (n - N))
