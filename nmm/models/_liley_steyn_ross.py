from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._custom_types import Parameter, Value
from .._declare import param, slot, variable
from ._base import AbstractModel, Inputs, State, observable


def _drive(pathway: str, default: float) -> Any:
    return param(default, unit="1/ms", doc=f"subcortical pulses, {pathway}", bounds=(0.5, 3.0))


def _contacts(kind: str, default: float) -> Any:
    doc = f"contacts of a cell, {kind}"
    return param(default, unit="1", doc=doc, bounds=(default / 2, 2 * default))


class LileySteynRoss(AbstractModel):
    r"""Mean potentials of cortex under an anaesthetic, in the limit of slow membranes.

    $$\tau_e \dot h_e = h_e^{rest} - h_e
      + \psi_{ee}\,(N^\alpha_{ee} (S_e + \phi) + N^\beta_{ee} S_e + p_{ee})\,G_e/\gamma_e
      + \lambda\,\psi_{ie}\,(N^\beta_{ie} S_i + p_{ie})\,G_i/\gamma_i$$

    and the same for $h_i$ with $\psi_{ei}$, $N_{ei}$, $p_{ei}$ and $\psi_{ii}$, $N_{ii}$, $p_{ii}$;
    the first index is the source. $\psi_{jk} = (h_j^{rev} - h_k)/|h_j^{rev} - h_k^{rest}|$ weighs
    what arrives by the distance from its reversal, and $S_k = 1/(1 + e^{-g_k (h_k + c -
    \theta_k)})$ are rates as a share of one per ms.

    $\lambda$, the anaesthetic, prolongs inhibition. At the defaults (preset `"awake"`) a quiet
    state ($h_e$ = -85.6 mV) and an active one (-50.4 mV) are stable; $\lambda$ = 2 (preset
    `"anaesthesia"`) lowers the quiet one to -87.3 mV. What arrives at `c`, mV inside of both
    sigmoids, is the coupling of The Virtual Brain; that at `phi`, rates of other regions over the
    long-range contacts $N^\alpha$, is the one of the paper. Smooth. Synapses follow at once, and a
    factor $e$ of the paper's responses is not in these numbers.

    Reference: Steyn-Ross, Steyn-Ross, Sleigh, Liley (1999) Physical Review E 60:7299.
    """

    tau_e: Parameter = param(40.0, unit="ms", doc="time constant of E", bounds=(5.0, 150.0))
    tau_i: Parameter = param(40.0, unit="ms", doc="time constant of I", bounds=(5.0, 150.0))
    h_e_rest: Parameter = param(
        -70.0, unit="mV", doc="resting potential of E", bounds=(-80.0, -60.0)
    )
    h_i_rest: Parameter = param(
        -70.0, unit="mV", doc="resting potential of I", bounds=(-80.0, -60.0)
    )
    h_e_rev: Parameter = param(45.0, unit="mV", doc="reversal of excitation", bounds=(-20.0, 60.0))
    h_i_rev: Parameter = param(
        -90.0, unit="mV", doc="reversal of inhibition", bounds=(-100.0, -85.0)
    )
    p_ee: Parameter = _drive("E onto E", 1.1)
    p_ie: Parameter = _drive("I onto E", 1.6)
    p_ei: Parameter = _drive("E onto I", 1.6)
    p_ii: Parameter = _drive("I onto I", 1.1)
    gamma_e: Parameter = param(
        0.3, unit="1/ms", doc="rate of excitatory synapses", bounds=(0.1, 1.0)
    )
    gamma_i: Parameter = param(
        0.065, unit="1/ms", doc="rate of inhibitory synapses", bounds=(0.01, 0.5)
    )
    G_e: Parameter = param(0.18, unit="mV", doc="excitatory amplitude", bounds=(0.1, 1.0))
    G_i: Parameter = param(0.37, unit="mV", doc="inhibitory amplitude", bounds=(0.1, 1.0))
    N_b_ee: Parameter = _contacts("local, E onto E", 3034.0)
    N_b_ei: Parameter = _contacts("local, E onto I", 3034.0)
    N_b_ie: Parameter = _contacts("local, I onto E", 536.0)
    N_b_ii: Parameter = _contacts("local, I onto I", 536.0)
    N_a_ee: Parameter = _contacts("long-range, E onto E", 4000.0)
    N_a_ei: Parameter = _contacts("long-range, E onto I", 2000.0)
    theta_e: Parameter = param(-60.0, unit="mV", doc="threshold of E", bounds=(-90.0, -40.0))
    theta_i: Parameter = param(-60.0, unit="mV", doc="threshold of I", bounds=(-90.0, -40.0))
    g_e: Parameter = param(0.28, unit="1/mV", doc="slope of the sigmoid of E", bounds=(0.1, 1.0))
    g_i: Parameter = param(0.14, unit="1/mV", doc="slope of the sigmoid of I", bounds=(0.1, 1.0))
    lambd: Parameter = param(1.0, unit="1", doc="effect of the anaesthetic", bounds=(0.0, 3.0))

    class State(State):
        he: Value = variable(-65.0, unit="mV", doc="mean potential of E", start=(-90.0, 70.0))
        hi: Value = variable(-65.0, unit="mV", doc="mean potential of I", start=(-90.0, 70.0))

    class Inputs(Inputs):
        c: Value = slot(unit="mV", doc="shift of both potentials inside of the sigmoids")
        phi: Value = slot(unit="1/ms", doc="rates of other regions, times N_a", bounds=(0.0, 1.0))

    source = "he"
    target = "c"
    output = "he"
    category = "physiological"
    use = "anaesthesia, EEG"
    reference = "Steyn-Ross et al. (1999) Physical Review E 60:7299"
    presets = {"awake": {"lambd": 1.0}, "anaesthesia": {"lambd": 2.0}}

    def vector_field(self, t: Any, state: State, inputs: Inputs) -> State:
        del t  # autonomous
        he, hi = state.he, state.hi
        S_e, S_i = self.S_e(state, inputs), self.S_i(state, inputs)
        excitatory, inhibitory = self.G_e / self.gamma_e, self.lambd * self.G_i / self.gamma_i

        def relax(potential: Array, rest: Array, excited: Array, inhibited: Array) -> Array:
            by_e = (self.h_e_rev - potential) / jnp.abs(self.h_e_rev - rest)
            by_i = (self.h_i_rev - potential) / jnp.abs(self.h_i_rev - rest)
            return rest - potential + by_e * excitatory * excited + by_i * inhibitory * inhibited

        far = S_e + inputs.phi
        to_e = self.N_a_ee * far + self.N_b_ee * S_e + self.p_ee, self.N_b_ie * S_i + self.p_ie
        to_i = self.N_a_ei * far + self.N_b_ei * S_e + self.p_ei, self.N_b_ii * S_i + self.p_ii
        return self.State(
            he=relax(he, self.h_e_rest, *to_e) / self.tau_e,
            hi=relax(hi, self.h_i_rest, *to_i) / self.tau_i,
        )

    @observable(unit="1/ms")
    def S_e(self, state: State, inputs: Inputs) -> Array:
        """Firing rate of E."""
        return jax.nn.sigmoid(self.g_e * (state.he + inputs.c - self.theta_e))

    @observable(unit="1/ms")
    def S_i(self, state: State, inputs: Inputs) -> Array:
        """Firing rate of I."""
        return jax.nn.sigmoid(self.g_i * (state.hi + inputs.c - self.theta_i))
