from typing import Any

from .._custom_types import Parameter, Value
from .._declare import param
from ._base import AbstractCoupling, as_it_is, times_gain


class Linear(AbstractCoupling):
    r"""Weighted sum of what the others do, $u_i = G \sum_j W_{ij} x_j + b$.

    The Virtual Brain's default is $G$ = 1/256, for its unscaled weights.
    """

    G: Parameter = param(1.0, unit="1", doc="global coupling", bounds=(0.0, 3.0))
    b: Parameter = param(0.0, unit="1", doc="offset", bounds=(-1.0, 1.0))

    message = as_it_is

    def receive(self, target: Any, sums: Value, row_sums: Any) -> Value:
        del target, row_sums
        return self.G * sums + self.b


class Scaling(AbstractCoupling):
    r"""Weighted sum and nothing else, $u_i = G \sum_j W_{ij} x_j$."""

    G: Parameter = param(1.0, unit="1", doc="global coupling", bounds=(0.0, 3.0))

    message = as_it_is
    receive = times_gain


class Diffusive(AbstractCoupling):
    r"""Weighted sum of differences, $u_i = G \sum_j W_{ij} (x_j - x_i)$; 0 where all are alike.

    It is what The Virtual Brain calls `Difference`, with $G$ = 0.1 there.
    """

    G: Parameter = param(1.0, unit="1", doc="global coupling", bounds=(0.0, 3.0))

    message = as_it_is

    def receive(self, target: Value, sums: Value, row_sums: Any) -> Value:
        return self.G * (sums - row_sums * target)
