from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._custom_types import Parameter
from .._declare import check_parameters, param
from ._base import AbstractForcing, as_normals, check_onto, check_options
from ._ornstein_uhlenbeck import combine_white


class Brownian(AbstractForcing):
    r"""A Wiener process, $\sigma W(t)$, added to an input slot or to the derivative of a variable.

    It starts from 0, its variance is $\sigma^2 t$, and its spectrum falls as $1/f^2$ at all
    frequencies. brainmass's `BrownianNoise` (there per sqrt(ms), too).

    To add white noise to a variable, which then is itself a random walk, see `nmm.noise.White`.
    """

    sigma: Parameter = param(0.1, unit="of the slot/sqrt(ms)", doc="intensity", bounds=(0.0, None))
    onto: str | None = eqx.field(default=None, static=True, kw_only=True)
    resolution: float | int | None = eqx.field(default=None, static=True, kw_only=True)
    mixing: Array | None = eqx.field(default=None, converter=as_normals, kw_only=True)
    normals: Array | None = eqx.field(default=None, converter=as_normals, kw_only=True)

    def __check_init__(self) -> None:
        check_parameters(self)
        check_options(self)

    def check(self, node: Any) -> None:
        check_onto(self, node)

    def draw_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape

    def combine(self, normals: Float[Array, "fine *shape"], dt: float) -> Float[Array, "*shape"]:
        del dt
        return combine_white(normals)

    def read(self, value: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        return value

    def start(self, normal: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        return jnp.zeros_like(normal)

    def advance(
        self, value: Float[Array, "*shape"], normal: Float[Array, "*shape"], dt: Any
    ) -> Float[Array, "*shape"]:
        return value + self.sigma * jnp.sqrt(dt) * normal

    def drift(self, value: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        return jnp.zeros_like(value)

    def intensity(self, value: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        return jnp.broadcast_to(self.sigma, value.shape).astype(value.dtype)
