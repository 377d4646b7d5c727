from typing import Any

from jaxtyping import Array

from .._custom_types import Parameter, Value
from .._declare import param, slot, variable
from ._base import AbstractModel, Inputs, State, observable
from ._transfer import rectified_exponential


class ReducedWongWang(AbstractModel):
    r"""Synaptic gating of one excitatory pool, reduced from spiking networks; resting BOLD.

    $$\dot S = -S / \tau_s + (1 - S)\,\gamma\,H(x), \qquad x = w J_N S + J_N c + I_o + I_{ext}$$
    $$H(x) = \frac{a x - b}{1 - e^{-d (a x - b)}}$$

    One stable state of 1.7 Hz at the defaults, which coupling raises. $S$ is kept in [0, 1].
    Smooth; $H$ has its limit $1/d$ at $a x = b$.

    Rates inside are per ms ($a$ = 270 per (nA s), $b$ = 108 Hz, $d$ = 0.154 s in the papers). The
    defaults of $w$ and $I_o$ are those of The Virtual Brain; preset `"deco2013"` has the paper's,
    at which a region rests at 0.55 Hz and coupling adds a second stable state, of high rates.

    Reference: Deco, Ponce-Alvarez, Mantini, Romani, Hagmann, Corbetta (2013) Journal of
    Neuroscience 33:11239; Wong, Wang (2006) Journal of Neuroscience 26:1314.
    """

    a: Parameter = param(0.27, unit="1/(ms nA)", doc="gain of the rate function", bounds=(0.0, 0.5))
    b: Parameter = param(0.108, unit="1/ms", doc="shift of the rate function", bounds=(0.0, 1.0))
    d: Parameter = param(
        154.0, unit="ms", doc="curvature of the rate function", bounds=(1.0, 200.0)
    )
    gamma: Parameter = param(0.641, unit="1", doc="kinetic factor", bounds=(0.0, 1.0))
    tau_s: Parameter = param(100.0, unit="ms", doc="NMDA decay time", bounds=(50.0, 150.0))
    w: Parameter = param(0.6, unit="1", doc="local recurrence", bounds=(0.0, 1.0))
    J_N: Parameter = param(0.2609, unit="nA", doc="synaptic coupling", bounds=(0.1, 0.5))
    I_o: Parameter = param(0.33, unit="nA", doc="background current", bounds=(0.0, 1.0))

    class State(State):
        S: Value = variable(
            0.05, unit="1", doc="open NMDA channels", start=(0.0, 0.2), bounds=(0.0, 1.0)
        )

    class Inputs(Inputs):
        c: Value = slot(
            unit="1", doc="synaptic drive of other regions, times J_N", bounds=(0.0, 1.0)
        )
        I_ext: Value = slot(unit="nA", doc="external current", bounds=(0.0, 1.0))

    source = "S"
    target = "c"
    output = "S"
    category = "physiological"
    use = "resting BOLD and functional connectivity"
    reference = "Deco et al. (2013) Journal of Neuroscience 33:11239"
    presets = {"deco2013": {"w": 0.9, "I_o": 0.30}}

    def _rate(self, state: State, inputs: Inputs) -> Array:
        current = self.J_N * (self.w * state.S + inputs.c) + self.I_o + inputs.I_ext
        return rectified_exponential(self.d * (self.a * current - self.b)) / self.d

    def vector_field(self, t: Any, state: State, inputs: Inputs) -> State:
        del t  # autonomous
        gain = (1 - state.S) * self.gamma * self._rate(state, inputs)
        return self.State(S=gain - state.S / self.tau_s)

    @observable(unit="Hz")
    def H(self, state: State, inputs: Inputs) -> Array:
        """Firing rate."""
        return 1000 * self._rate(state, inputs)
