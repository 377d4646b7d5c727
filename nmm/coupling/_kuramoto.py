import dataclasses
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from .._custom_types import Parameter, Value
from .._declare import param
from ._base import AbstractCoupling

_DIVISORS = ("one", "regions", "strength")


class Kuramoto(AbstractCoupling):
    r"""Sine of phase differences with a lag, what phases hear of each other.

    $$u_i = \frac{G}{D_i} \sum_j W_{ij} \sin(\theta_j - \theta_i - \alpha_i)$$

    Sources divide by nothing (tvboptim, and The Virtual Brain in effect) or by the number of
    regions (the literature on all-to-all weights). A region hears itself only if the diagonal of
    the weights says so, which matters with a lag. Smooth.

    **Arguments:**

    - `G`: global coupling, in rad/ms.
    - `alpha`: phase lag, in rad; a scalar, or one for each region that receives.
    - `divisor`: what $D_i$ is, `"one"` (1), `"regions"` (their number; that of the parcels of a
        `nmm.ParcelConnectome`) or `"strength"` (of the region, $\sum_j W_{ij}$; a region without
        connections hears 0).
    - `source`, `target`: of the message; the model's own if `None`.
    - `senders`: the number by which `"regions"` divides; a network knows it.

    **Raises:**

    - `ValueError` if `divisor` is none of these.

    Reference: Sakaguchi, Kuramoto (1986) Progress of Theoretical Physics 76:576.
    """

    G: Parameter = param(1.0, unit="rad/ms", doc="global coupling", bounds=(0.0, 3.0))
    alpha: Parameter = param(0.0, unit="rad", doc="phase lag", bounds=(-1.6, 1.6))
    divisor: str = eqx.field(default="one", static=True, kw_only=True)
    senders: int | None = eqx.field(default=None, static=True, kw_only=True, repr=False)

    def __check_init__(self) -> None:
        if self.divisor not in _DIVISORS:
            raise ValueError(f"`divisor` should be one of {_DIVISORS}, got {self.divisor!r}.")

    def among(self, senders: int) -> "Kuramoto":
        counts = self.divisor == "regions"
        return dataclasses.replace(self, senders=senders) if counts else self

    def message(self, source: Value) -> tuple[Value, Value]:
        return jnp.sin(source), jnp.cos(source)

    def receive(self, target: Value, sums: tuple[Value, Value], row_sums: Any) -> Value:
        sines, cosines = sums
        own = target + self.alpha
        heard = sines * jnp.cos(own) - cosines * jnp.sin(own)
        if self.divisor == "regions":
            heard = heard / (self.senders or target.shape[-1])
        elif self.divisor == "strength":
            heard = heard / jnp.where(row_sums == 0, 1, row_sums)
        return self.G * heard
