"""The contract of a coupling: what a region hears of the others."""

import abc
from typing import Any

import equinox as eqx
from jaxtyping import PyTree

from .._custom_types import Value


class AbstractCoupling(eqx.Module):
    r"""What arrives at region $i$: messages of all regions $j$, weighted, summed and received.

    $$u_i = \mathrm{receive}\Big(x_i,\ \sum_j W_{ij}\,\mathrm{message}(x_j),\ \sum_j W_{ij}\Big)$$

    A coupling of one's own defines `message` and `receive`; both see values of all regions at
    once. It is evaluated at every stage of a solver. The global coupling strength lives here,
    never in a model.

    **Attributes:**

    - `source`: the state variable or observable that is sent; the model's own `source` if `None`.
    - `target`: the input slot that receives; the model's own `target` if `None`.
    """

    source: eqx.AbstractVar[str | None]
    target: eqx.AbstractVar[str | None]

    @abc.abstractmethod
    def message(self, source: Value) -> PyTree[Value]:
        """What a region sends, given its own source variable: one array, or a PyTree of several."""

    @abc.abstractmethod
    def receive(self, target: Value, sums: PyTree[Value], row_sums: Any) -> Value:
        """The input of a region, from its own source variable and the weighted sums."""
