import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._custom_types import Parameter, Value
from .._declare import param, slot, variable
from ._base import AbstractModel, Inputs, State, observable

# Constants of the neuron, of Depannemaecker et al. (2022).
_VOLUME_RATIO, _VOLUME_INSIDE = 3.0, 2160.0  # inside to outside; inside, um^3
_K_INSIDE, _NA_INSIDE, _CL_INSIDE = 130.0, 16.0, 5.0  # mM, at DKi = 0
_K_OUTSIDE, _NA_OUTSIDE, _CL_OUTSIDE = 4.8, 138.0, 112.0  # mM, at DKi = Kg = 0
_NERNST = 26.64  # mV
_G_K, _G_K_LEAK, _G_NA, _G_NA_LEAK, _G_CL = 22.0, 0.12, 40.0, 0.02, 7.5  # nS
_PUMP = 250.0  # pA
_LEAST = 0.1  # mM


class KIonEx(AbstractModel):
    r"""Neurons that exchange ions with a bath: from rest over bursts to depolarisation block.

    $$\dot x = \Delta + 2 R\,(V - c)\,x - J r x, \qquad
      C_m \dot V = -(I_K + I_{Na} + I_{Cl} + I_p) + C_m\,(\eta + I - R x^2
      + R_- \pi^{-1} c_x (E - V))$$
    $$\tau_n \dot n = \sigma((V + 19)/18) - n, \qquad
      \dot{\Delta K_i} = -\frac{\gamma}{2160}\,(I_K - 2 I_p), \qquad
      \dot K_g = \epsilon\,(K_{bath} - K_o)$$

    with $r = R_- x / \pi$, the parabola $(R, c) = (R_-, c_-)$ up to $V^*$ and $(R_+, c_+)$ above,
    $\sigma$ the logistic function, the concentrations $K_i = 130 + \Delta K_i$, $Na_i = 16 -
    \Delta K_i$, $Na_o = 138 + 3 \Delta K_i$, $K_o = 4.8 - 3 \Delta K_i + K_g$ (mM), and

    $$I_K = (0.12 + 22 n)(V - 26.64 \ln(K_o/K_i)), \qquad I_{Cl} = 7.5\,(V + 26.64 \ln(112/5))$$
    $$I_{Na} = (0.02 + 40\,\sigma((V + 24)/12)\,(1.1 - \sigma(8 (n - 0.4))))
      (V - 26.64 \ln(Na_o/Na_i))$$
    $$I_p = 250\,\sigma((Na_i - 21)/2)\,\sigma(K_o - 5.5)$$

    The potassium of the bath decides: 5.5 mM rests near -73 mV (preset `"resting"`, the default),
    10 and 15 spike in bursts (`"bursting"`, `"seizing"`), 20 ends in depolarisation block
    (`"depolarisation_block"`). The right-hand side jumps at $V = V^*$. Steps should be 0.01 ms or
    less. Concentrations count as at least 0.1 mM in logarithms; random starts keep $K_o$ positive.

    As in the code of The Virtual Brain, the recurrence $J$ acts on $x$ alone, and what arrives at
    `c` is weighted by $R_-/\pi$; its documentation also has $J r (E - V)$ in $\dot V$.

    Reference: Bandyopadhyay, Rabuffo, et al. (2021) bioRxiv 2021.10.29.466427; Depannemaecker,
    Ivanov, Lillo, Spek, Bernard, Jirsa (2022) Journal of Computational Neuroscience 50:33.
    """

    E: Parameter = param(0.0, unit="mV", doc="synaptic reversal potential", bounds=(-80.0, 10.0))
    K_bath: Parameter = param(5.5, unit="mM", doc="potassium of the bath", bounds=(3.0, 40.0))
    J: Parameter = param(0.1, unit="1", doc="synaptic weight", bounds=(0.001, 40.0))
    eta: Parameter = param(0.0, unit="mV/ms", doc="mean drive", bounds=(-10.0, 10.0))
    Delta: Parameter = param(1.0, unit="1/ms", doc="half width of the drives", bounds=(0.0, 10.0))
    c_minus: Parameter = param(
        -40.0, unit="mV", doc="vertex of the left parabola", bounds=(-100.0, -10.0)
    )
    R_minus: Parameter = param(
        0.5, unit="1/(mV ms)", doc="curvature of the left parabola", bounds=(1e-4, 5.0)
    )
    c_plus: Parameter = param(
        -20.0, unit="mV", doc="vertex of the right parabola", bounds=(-80.0, 0.0)
    )
    R_plus: Parameter = param(
        -0.5, unit="1/(mV ms)", doc="curvature of the right parabola", bounds=(-5.0, -1e-4)
    )
    Vstar: Parameter = param(-31.0, unit="mV", doc="where they meet", bounds=(-55.0, -15.0))
    Cm: Parameter = param(1.0, unit="nF", doc="capacitance", bounds=(0.5, 1.5))
    tau_n: Parameter = param(4.0, unit="ms", doc="time constant of the gating", bounds=(2.0, 6.0))
    gamma: Parameter = param(
        0.04, unit="mM um^3/(ms pA)", doc="conversion of currents", bounds=(0.02, 0.06)
    )
    epsilon: Parameter = param(0.001, unit="1/ms", doc="rate of diffusion", bounds=(5e-4, 1.5e-3))

    class State(State):
        x: Value = variable(
            0.1, unit="mV", doc="firing, pi r / R_minus", start=(0.0, 1.0), bounds=(0.0, None)
        )
        V: Value = variable(
            -70.0, unit="mV", doc="membrane potential", start=(-90.0, 10.0), bounds=(-500.0, None)
        )
        n: Value = variable(
            0.1, unit="1", doc="open K channels", start=(0.0, 1.0), bounds=(0.0, None)
        )
        DKi: Value = variable(
            -1.0, unit="mM", doc="change of K inside", start=(-10.0, -6.0), bounds=(-100.0, None)
        )
        Kg: Value = variable(
            -6.0,
            unit="mM",
            doc="K of glia and bath",
            start=(-20.0, -5.0),
            bounds=(-100.0, None),
        )

    class Inputs(Inputs):
        c: Value = slot(unit="mV", doc="x of other regions, a conductance", bounds=(0.0, 1.0))
        I_ext: Value = slot(unit="mV/ms", doc="adds to eta")

    source = "x"
    target = "c"
    output = "V"
    category = "physiological"
    use = "seizures from potassium, depolarisation block"
    reference = "Bandyopadhyay et al. (2021) bioRxiv 2021.10.29.466427"
    presets = {
        "resting": {"K_bath": 5.5},
        "bursting": {"K_bath": 10.0},
        "seizing": {"K_bath": 15.0},
        "depolarisation_block": {"K_bath": 20.0},
    }

    def vector_field(self, t: Any, state: State, inputs: Inputs) -> State:
        del t  # autonomous
        x, V, n, DKi = state.x, state.V, state.n, state.DKi
        logistic = jax.nn.sigmoid
        Na_i, K_o = _NA_INSIDE - DKi, self.K_o(state)
        h = 1.1 - logistic(8 * (n - 0.4))
        g_Na = _G_NA_LEAK + _G_NA * logistic((V + 24) / 12) * h
        I_K = (_G_K_LEAK + _G_K * n) * (V - _reversal(K_o, _K_INSIDE + DKi))
        I_Na = g_Na * (V - _reversal(_NA_OUTSIDE + _VOLUME_RATIO * DKi, Na_i))
        I_Cl = _G_CL * (V + _NERNST * math.log(_CL_OUTSIDE / _CL_INSIDE))
        I_p = _PUMP * logistic((Na_i - 21) / 2) * logistic(K_o - 5.5)
        left = self.Vstar >= V
        R = jnp.where(left, self.R_minus, self.R_plus)
        c = jnp.where(left, self.c_minus, self.c_plus)
        heard = self.R_minus / math.pi * inputs.c * (self.E - V)
        return self.State(
            x=self.Delta + 2 * R * (V - c) * x - self.J * self.r(state) * x,
            V=-(I_K + I_Na + I_Cl + I_p) / self.Cm - R * x**2 + self.eta + inputs.I_ext + heard,
            n=(logistic((V + 19) / 18) - n) / self.tau_n,
            DKi=-(self.gamma / _VOLUME_INSIDE) * (I_K - 2 * I_p),
            Kg=self.epsilon * (self.K_bath - K_o),
        )

    @observable(unit="1/ms")
    def r(self, state: State) -> Array:
        """Firing rate."""
        return self.R_minus * state.x / math.pi

    @observable(unit="mM")
    def K_o(self, state: State) -> Array:
        """Potassium outside of the neurons."""
        return _K_OUTSIDE - _VOLUME_RATIO * state.DKi + state.Kg


def _reversal(outside: Array, inside: Array) -> Array:
    """Nernst potential, mV; concentrations count as at least `_LEAST`."""
    return _NERNST * (jnp.log(jnp.maximum(outside, _LEAST)) - jnp.log(jnp.maximum(inside, _LEAST)))
