from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from .._custom_types import Parameter, Value
from .._declare import param, slot, variable
from ._base import AbstractModel, Inputs, State, observable

# Of Alstott et al. (2009), who vary d_V = d_Z.
_ALSTOTT = {"gCa": 1.0, "aee": 0.36}


class LarterBreakspear(AbstractModel):
    r"""Conductances of Ca, Na and K with local inhibition: bursts, cycles, chaos.

    With $h(x; T, \delta) = (1 + \tanh((x - T)/\delta))/2$, the open channels $m_k = h(V; T_k,
    \delta_k)$ of $k$ = Ca, Na, K, the rates $Q_V = Q_{V max} h(V; V_T, \delta_V)$, $Q_Z = Q_{Z max}
    h(Z; Z_T, \delta_Z)$, and the excitation $q = a_{ee} ((1 - C)(Q_V + I_{local}) + C c)$,

    $$\dot V = t_s\,(-(g_{Ca} + r_{NMDA}\,q)\,m_{Ca} (V - V_{Ca}) - g_K W (V - V_K) - g_L (V - V_L)
      - (g_{Na} m_{Na} + q)(V - V_{Na}) - a_{ie} Z Q_Z + a_{ne} I)$$
    $$\dot W = t_s\,\phi\,(m_K - W)/\tau_K, \qquad \dot Z = t_s\,b\,(a_{ni} I + a_{ei} V Q_V)$$

    $c$ is what arrives at `V_inp`, in the paper the mean $Q_V$ of the others. Sources say: a fixed
    point for $\delta_V$ < 0.55, a limit cycle up to 0.59, chaos beyond. That does not hold at their
    own defaults, which are those here: there the rest loses stability at $\delta_V$ = 0.515, and
    the bursts beyond, also at the default of 0.65, are periodic or quasi-periodic. It about holds
    for the set of Alstott et al. ($g_{Ca}$ = 1, $a_{ee}$ = 0.36, $\delta_Z = \delta_V$), with a
    Hopf bifurcation at 0.571 and chaos from about 0.62: presets `"fixed_point"` (0.55),
    `"limit_cycle"` (0.60) and `"chaos"` (0.65). Smooth. Dimensionless; one unit of time is taken
    as 1 ms.

    Reference: Breakspear, Terry, Friston (2003) Network 14:703; Larter, Speelman, Worth (1999)
    Chaos 9:795; Honey et al. (2007) PNAS 104:10240; Alstott et al. (2009) PLoS Computational
    Biology 5:e1000408.
    """

    gCa: Parameter = param(1.1, unit="1", doc="conductance of Ca", bounds=(0.9, 1.5))
    gK: Parameter = param(2.0, unit="1", doc="conductance of K", bounds=(1.95, 2.05))
    gL: Parameter = param(0.5, unit="1", doc="conductance of the leak", bounds=(0.45, 0.55))
    gNa: Parameter = param(6.7, unit="1", doc="conductance of Na", bounds=(0.0, 10.0))
    TCa: Parameter = param(-0.01, unit="1", doc="threshold of Ca", bounds=(-0.05, 0.03))
    TK: Parameter = param(0.0, unit="1", doc="threshold of K", bounds=(-0.05, 0.05))
    TNa: Parameter = param(0.3, unit="1", doc="threshold of Na", bounds=(0.25, 0.35))
    d_Ca: Parameter = param(0.15, unit="1", doc="width of the Ca threshold", bounds=(0.1, 0.2))
    d_K: Parameter = param(0.3, unit="1", doc="width of the K threshold", bounds=(0.1, 0.4))
    d_Na: Parameter = param(0.15, unit="1", doc="width of the Na threshold", bounds=(0.1, 0.2))
    VCa: Parameter = param(1.0, unit="1", doc="reversal of Ca", bounds=(0.9, 1.1))
    VK: Parameter = param(-0.7, unit="1", doc="reversal of K", bounds=(-0.8, -0.5))
    VL: Parameter = param(-0.5, unit="1", doc="reversal of the leak", bounds=(-0.7, -0.4))
    VNa: Parameter = param(0.53, unit="1", doc="reversal of Na", bounds=(0.51, 0.55))
    phi: Parameter = param(0.7, unit="1", doc="temperature factor", bounds=(0.3, 0.9))
    tau_K: Parameter = param(1.0, unit="1", doc="relaxation of K", bounds=(0.5, 10.0))
    aee: Parameter = param(0.4, unit="1", doc="excitation of E", bounds=(0.0, 0.6))
    aei: Parameter = param(2.0, unit="1", doc="excitation of I", bounds=(0.1, 3.0))
    aie: Parameter = param(2.0, unit="1", doc="inhibition of E", bounds=(0.5, 3.0))
    ane: Parameter = param(1.0, unit="1", doc="input onto E", bounds=(0.4, 1.5))
    ani: Parameter = param(0.4, unit="1", doc="input onto I", bounds=(0.3, 0.5))
    b: Parameter = param(0.1, unit="1", doc="rate of Z", bounds=(0.0001, 1.0))
    C: Parameter = param(0.1, unit="1", doc="share of other regions", bounds=(0.0, 1.0))
    Iext: Parameter = param(0.3, unit="1", doc="subcortical input", bounds=(0.165, 0.4))
    rNMDA: Parameter = param(0.25, unit="1", doc="NMDA to AMPA", bounds=(0.2, 0.3))
    VT: Parameter = param(0.0, unit="1", doc="threshold of E", bounds=(-0.1, 0.7))
    d_V: Parameter = param(0.65, unit="1", doc="width of the E threshold", bounds=(0.49, 0.7))
    ZT: Parameter = param(0.0, unit="1", doc="threshold of I", bounds=(-0.1, 0.1))
    d_Z: Parameter = param(0.7, unit="1", doc="width of the I threshold", bounds=(0.1, 0.8))
    QV_max: Parameter = param(1.0, unit="1", doc="largest rate of E", bounds=(0.1, 1.5))
    QZ_max: Parameter = param(1.0, unit="1", doc="largest rate of I", bounds=(0.1, 1.5))
    t_scale: Parameter = param(1.0, unit="1/ms", doc="rate of everything", bounds=(0.1, 2.0))

    class State(State):
        V: Value = variable(0.0, unit="1", doc="potential of E", start=(-0.6, 0.4))
        W: Value = variable(0.0, unit="1", doc="open K channels", start=(0.0, 0.5))
        Z: Value = variable(0.0, unit="1", doc="activity of I", start=(-0.1, 0.2))

    class Inputs(Inputs):
        V_inp: Value = slot(unit="1", doc="rates Q_V of other regions", bounds=(0.0, 1.0))
        V_local: Value = slot(unit="1", doc="adds to the region's own Q_V", bounds=(0.0, 1.0))
        I_ext: Value = slot(unit="1", doc="adds to Iext", bounds=(-0.1, 0.1))

    source = "Q_V"
    target = "V_inp"
    output = "V"
    category = "physiological"
    use = "chaos from conductances, slow rhythms of networks"
    reference = "Breakspear, Terry, Friston (2003) Network 14:703"
    presets = {
        "fixed_point": {**_ALSTOTT, "d_V": 0.55, "d_Z": 0.55},
        "limit_cycle": {**_ALSTOTT, "d_V": 0.60, "d_Z": 0.60},
        "chaos": {**_ALSTOTT, "d_V": 0.65, "d_Z": 0.65},
    }

    def vector_field(self, t: Any, state: State, inputs: Inputs) -> State:
        del t  # autonomous
        V, W, Z = state.V, state.W, state.Z
        Q_V, Q_Z = self.Q_V(state), self.Q_Z(state)
        local, distant = (1 - self.C) * (Q_V + inputs.V_local), self.C * inputs.V_inp
        excitation = self.aee * (local + distant)
        drive = self.Iext + inputs.I_ext
        current = (
            (self.gCa + self.rNMDA * excitation) * self.m_Ca(state) * (V - self.VCa)
            + (self.gNa * self.m_Na(state) + excitation) * (V - self.VNa)
            + self.gK * W * (V - self.VK)
            + self.gL * (V - self.VL)
        )
        return self.State(
            V=self.t_scale * (self.ane * drive - current - self.aie * Z * Q_Z),
            W=self.t_scale * self.phi * (self.m_K(state) - W) / self.tau_K,
            Z=self.t_scale * self.b * (self.ani * drive + self.aei * V * Q_V),
        )

    @observable(unit="1")
    def Q_V(self, state: State) -> Array:
        """Firing rate of the pyramidal cells."""
        return self.QV_max * _above(state.V, self.VT, self.d_V)

    @observable(unit="1")
    def Q_Z(self, state: State) -> Array:
        """Firing rate of the inhibitory cells."""
        return self.QZ_max * _above(state.Z, self.ZT, self.d_Z)

    @observable(unit="1")
    def m_Ca(self, state: State) -> Array:
        """Open Ca channels."""
        return _above(state.V, self.TCa, self.d_Ca)

    @observable(unit="1")
    def m_Na(self, state: State) -> Array:
        """Open Na channels."""
        return _above(state.V, self.TNa, self.d_Na)

    @observable(unit="1")
    def m_K(self, state: State) -> Array:
        """K channels that would be open in equilibrium."""
        return _above(state.V, self.TK, self.d_K)


def _above(x: Array, threshold: Array, width: Array) -> Array:
    """The share that is above a threshold of some width."""
    return 0.5 * (1 + jnp.tanh((x - threshold) / width))
