import math
from typing import Any

from .._custom_types import Parameter, Value
from .._declare import param, slot, variable
from ._base import AbstractModel, Inputs, State


class AdaptiveQIFDopamine(AbstractModel):
    r"""Adaptive quadratic integrate-and-fire neurons whose excitation dopamine modulates.

    $$\dot r = 2 a r V + b r - g_a S_a r - g_g S_g r + a \Delta/\pi$$
    $$\dot V = a V^2 + b V + c + \eta - \pi^2 r^2/a + (A_d D_p + B_d)\,g_a S_a (E_a - V)
      + g_g S_g (E_g - V) + I - u$$
    $$\dot u = \alpha (\beta V - u) + u_d r, \qquad \dot S_a = -S_a/\tau_{Sa} + S_{ja} c_{exc},
      \qquad \dot S_g = -S_g/\tau_{Sg} + S_{jg} c_{inh}$$
    $$\tau_{Dp} \dot D_p = k c_{dopa} - V_{max} D_p / (K_m + D_p)$$

    Excitation, inhibition and dopamine arrive at slots of their own, each over a connectome of its
    own: with `nmm.coupling.Linear(G=1e-4, target="c_exc")` over the first of three, and so on. A
    region hears itself only through them. Alone it rests at 32 Hz, and its dopamine vanishes.
    Driven by 0.01 at `c_exc` and 1e-5 at `c_dopa`, its rate oscillates between 17 and 91 Hz. $r$
    and $D_p$ are kept at 0 or above. Smooth.

    As in vbjax (`dopa`), where dopamine scales the excitatory conductance in $\dot V$, but not in
    $\dot r$; the exact reduction would have it in both. The weight 1e-4 of all couplings is from
    there too.

    Reference: Depannemaecker, Duprat, Angiolelli, Sales Carbonell, Wang, Petkoski, Sorrentino,
    Sheheitli, Jirsa (2024) bioRxiv 2024.06.23.600260.
    """

    a: Parameter = param(
        0.04, unit="1/(mV ms)", doc="curvature of the parabola", bounds=(0.02, 0.1)
    )
    b: Parameter = param(5.0, unit="1/ms", doc="slope of the parabola", bounds=(3.0, 7.0))
    c: Parameter = param(140.0, unit="mV/ms", doc="offset of the parabola", bounds=(100.0, 180.0))
    ga: Parameter = param(12.0, unit="1/ms", doc="excitatory conductance", bounds=(0.0, 30.0))
    gg: Parameter = param(12.0, unit="1/ms", doc="inhibitory conductance", bounds=(0.0, 30.0))
    Eta: Parameter = param(18.0, unit="mV/ms", doc="mean excitability", bounds=(0.0, 40.0))
    Delta: Parameter = param(
        1.0, unit="mV/ms", doc="half width of the excitabilities", bounds=(0.0, 5.0)
    )
    Iext: Parameter = param(0.0, unit="mV/ms", doc="constant current", bounds=(-20.0, 20.0))
    Ea: Parameter = param(0.0, unit="mV", doc="reversal of excitation", bounds=(-20.0, 20.0))
    Eg: Parameter = param(-80.0, unit="mV", doc="reversal of inhibition", bounds=(-100.0, -60.0))
    Sja: Parameter = param(0.8, unit="1", doc="strength of excitation", bounds=(0.0, 5.0))
    Sjg: Parameter = param(1.2, unit="1", doc="strength of inhibition", bounds=(0.0, 5.0))
    tauSa: Parameter = param(5.0, unit="ms", doc="decay of excitation", bounds=(1.0, 20.0))
    tauSg: Parameter = param(5.0, unit="ms", doc="decay of inhibition", bounds=(1.0, 20.0))
    alpha: Parameter = param(0.013, unit="1/ms", doc="rate of the adaptation", bounds=(0.001, 0.1))
    beta: Parameter = param(0.4, unit="1/ms", doc="adaptation by the potential", bounds=(0.0, 1.0))
    ud: Parameter = param(12.0, unit="mV/ms", doc="adaptation by the rate", bounds=(0.0, 30.0))
    k: Parameter = param(1e5, unit="1", doc="release of dopamine", bounds=(0.0, 1e6))
    Vmax: Parameter = param(1300.0, unit="1", doc="largest uptake", bounds=(100.0, 5000.0))
    Km: Parameter = param(
        150.0, unit="1", doc="half saturation of the uptake", bounds=(10.0, 500.0)
    )
    Bd: Parameter = param(0.2, unit="1", doc="excitation without dopamine", bounds=(0.0, 1.0))
    Ad: Parameter = param(1.0, unit="1", doc="effect of dopamine", bounds=(0.0, 5.0))
    tau_Dp: Parameter = param(500.0, unit="ms", doc="time scale of dopamine", bounds=(50.0, 5000.0))

    class State(State):
        r: Value = variable(
            0.03, unit="1/ms", doc="firing rate", start=(0.0, 0.1), bounds=(0.0, None)
        )
        V: Value = variable(-67.0, unit="mV", doc="mean membrane potential", start=(-80.0, -50.0))
        u: Value = variable(0.0, unit="mV/ms", doc="adaptation", start=(0.0, 5.0))
        Sa: Value = variable(0.0, unit="1", doc="open excitatory channels", start=(0.0, 0.1))
        Sg: Value = variable(0.0, unit="1", doc="open inhibitory channels", start=(0.0, 0.1))
        Dp: Value = variable(0.5, unit="1", doc="dopamine", start=(0.0, 1.0), bounds=(0.0, None))

    class Inputs(Inputs):
        c_inh: Value = slot(unit="1/ms", doc="inhibitory rates", bounds=(0.0, 0.01))
        c_exc: Value = slot(unit="1/ms", doc="excitatory rates", bounds=(0.0, 0.01))
        c_dopa: Value = slot(unit="1/ms", doc="dopaminergic rates", bounds=(0.0, 1e-4))

    source = "r"
    target = "c_exc"
    output = "r"
    category = "physiological"
    use = "neuromodulation by dopamine, Parkinson's disease"
    reference = "Depannemaecker et al. (2024) bioRxiv 2024.06.23.600260"

    def vector_field(self, t: Any, state: State, inputs: Inputs) -> State:
        del t  # autonomous
        r, V, u, Dp = state.r, state.V, state.u, state.Dp
        excitation, inhibition = self.ga * state.Sa, self.gg * state.Sg
        parabola = self.a * V**2 + self.b * V + self.c + self.Eta
        synaptic = (self.Ad * Dp + self.Bd) * excitation * (self.Ea - V)
        synaptic += inhibition * (self.Eg - V)
        gain = 2 * self.a * V + self.b - excitation - inhibition
        return self.State(
            r=gain * r + self.a * self.Delta / math.pi,
            V=parabola - (math.pi * r) ** 2 / self.a + synaptic + self.Iext - u,
            u=self.alpha * (self.beta * V - u) + self.ud * r,
            Sa=-state.Sa / self.tauSa + self.Sja * inputs.c_exc,
            Sg=-state.Sg / self.tauSg + self.Sjg * inputs.c_inh,
            Dp=(self.k * inputs.c_dopa - self.Vmax * Dp / (self.Km + Dp)) / self.tau_Dp,
        )
