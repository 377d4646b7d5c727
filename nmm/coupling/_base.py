"""The contract of a coupling: what a region hears of the others."""

import abc
from typing import Any

import equinox as eqx
from jaxtyping import PyTree

from .._custom_types import Value
from .._declare import check_parameters


class AbstractCoupling(eqx.Module):
    r"""What arrives at region $i$: messages of all regions $j$, weighted, summed and received.

    $$u_i = \mathrm{receive}\Big(x_i,\ \sum_j W_{ij}\,\mathrm{message}(x_j),\ \sum_j W_{ij}\Big)$$

    A coupling of one's own declares its parameters and defines `message` and `receive`; both see
    values of all regions at once. It is evaluated at every stage of a solver. The global coupling
    strength lives here, never in a model.

    **Attributes:**

    - `source`: the state variable or observable that is sent; the model's own `source` if `None`.
        Of several names, the values are sent as a tuple.
    - `target`: the input slot that receives; the model's own `target` if `None`.
    """

    source: str | tuple[str, ...] | None = eqx.field(default=None, static=True, kw_only=True)
    target: str | None = eqx.field(default=None, static=True, kw_only=True)

    def __check_init__(self) -> None:
        check_parameters(self)

    @abc.abstractmethod
    def message(self, source: Any) -> PyTree[Value]:
        """What a region sends, given its own source variable: one array, or a PyTree of several."""

    @abc.abstractmethod
    def receive(self, target: Any, sums: PyTree[Value], row_sums: Any) -> Value:
        """The input of a region, from its own source variable and the weighted sums."""

    def among(self, senders: int) -> "AbstractCoupling":
        """This coupling as it is among so many senders; the same, unless their number matters."""
        del senders
        return self


# The two halves that most couplings share: a class body takes them by `message = as_it_is`.


def as_it_is(self: AbstractCoupling, source: Value) -> Value:
    """The source variable itself."""
    del self
    return source


def times_gain(self: Any, target: Any, sums: Value, row_sums: Any) -> Value:
    """The weighted sum, times the global coupling."""
    del target, row_sums
    return self.G * sums
