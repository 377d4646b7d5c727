import equinox as eqx
from jaxtyping import Array

from .._custom_types import Parameter, Value
from .._declare import check_parameters, param
from ._base import AbstractCoupling


class Linear(AbstractCoupling):
    r"""Weighted sum of what the others do, $u_i = G \sum_j W_{ij} x_j + b$."""

    G: Parameter = param(1.0, unit="1", doc="global coupling", bounds=(0.0, 3.0))
    b: Parameter = param(0.0, unit="1", doc="offset", bounds=(-1.0, 1.0))
    source: str | None = eqx.field(default=None, static=True, kw_only=True)
    target: str | None = eqx.field(default=None, static=True, kw_only=True)

    def __check_init__(self) -> None:
        check_parameters(self)

    def message(self, source: Value) -> Value:
        return source

    def receive(self, target: Value, sums: Value, row_sums: Array) -> Value:
        del target, row_sums
        return self.G * sums + self.b


class Diffusive(AbstractCoupling):
    r"""Weighted sum of differences, $u_i = G \sum_j W_{ij} (x_j - x_i)$; 0 where all are alike."""

    G: Parameter = param(1.0, unit="1", doc="global coupling", bounds=(0.0, 3.0))
    source: str | None = eqx.field(default=None, static=True, kw_only=True)
    target: str | None = eqx.field(default=None, static=True, kw_only=True)

    def __check_init__(self) -> None:
        check_parameters(self)

    def message(self, source: Value) -> Value:
        return source

    def receive(self, target: Value, sums: Value, row_sums: Array) -> Value:
        return self.G * (sums - row_sums * target)
