from typing import Any

from .._custom_types import Parameter, Value
from .._declare import param, slot, variable
from ._base import AbstractModel, Inputs, State


class Linear(AbstractModel):
    r"""Exponential decay, with an exact solution: a baseline, and a check of couplings.

    $$\dot x = \gamma x + c$$

    Decays to $-c/\gamma$ for $\gamma < 0$. A network $\dot x = \gamma x + G W x$ is stable as long
    as $\gamma + G \max \mathrm{Re}\,\lambda(W) < 0$. Smooth. $\gamma$ is per ms.

    Reference: Sanz-Leon, Knock, Spiegler, Jirsa (2015) NeuroImage 111:385.
    """

    gamma: Parameter = param(
        -10.0, unit="1/ms", doc="damping, negative if stable", bounds=(-100.0, 0.0)
    )

    class State(State):
        x: Value = variable(0.01, unit="1", doc="activity", start=(-1.0, 1.0))

    class Inputs(Inputs):
        x_inp: Value = slot(unit="1/ms", doc="drive")

    source = "x"
    target = "x_inp"
    output = "x"
    category = "phenomenological"
    use = "baseline, check of couplings"
    reference = "Sanz-Leon et al. (2015) NeuroImage 111:385"

    def vector_field(self, t: Any, state: State, inputs: Inputs) -> State:
        del t  # autonomous
        return self.State(x=self.gamma * state.x + inputs.x_inp)
