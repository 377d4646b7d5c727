"""Functions from input to firing rate, shared by models."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._custom_types import Parameter
from .._declare import param
from ._expm1 import expm1

_TINY = 1e-30
_LARGE = 2**11


@jax.custom_jvp
def rectified_exponential(z: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    r"""$z / (1 - e^{-z})$, the rate function of Abbott and Chance (2005) in its own units.

    About $z$ for large $z$, about 0 for very negative $z$, and 1 at the removable singularity
    $z = 0$. Smooth; value and gradient are finite for every finite $z$.
    """
    return _rectified_exponential(z)


def _closed_form(z: Array) -> Array:
    # Below -80, where the value is under 1e-32, the exponential would overflow in float32; so near
    # 0 that the value is 1, there must be no division by 0.
    bounded = jnp.maximum(jnp.where(jnp.abs(z) < _TINY, _TINY, z), -80.0)
    return bounded / -expm1(-jnp.minimum(bounded, 80.0))


_rectified_exponential = jax.custom_batching.custom_vmap(_closed_form)


# A large batch is computed by itself: as a part of all that a step computes, XLA goes through it
# row by row, and a step of a sweep on a CPU takes up to twice as long.
@_rectified_exponential.def_vmap
def _(size: int, batched: list[bool], z: Array) -> tuple[Array, bool]:
    del size, batched
    if z.size < _LARGE:
        return _closed_form(z), True
    apart = jax.lax.optimization_barrier
    return apart(_closed_form(apart(z))), True


# Written out, since the derivative of the expression above would save all of its parts for the way
# back: with this rule, the gradient of a run takes less than half the time.
@rectified_exponential.defjvp
def _(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (z,), (tangent,) = primals, tangents
    value = rectified_exponential(z)
    small, safe, centre = _split(z)
    square = centre**2
    odd = centre * (1 / 6 - square * (1 / 180 - square * (1 / 5040 - square / 151200)))
    slope = jnp.where(small, 1 / 2 + odd, value / safe * (1 + (safe - value)))
    return value, slope * tangent


def _split(z: Array) -> tuple[Array, Array, Array]:
    """Where `z` is so small that only the series is exact; and `z` elsewhere, and `z` there."""
    small = jnp.abs(z) < 0.1
    return small, jnp.where(small, 1.0, z), jnp.where(small, z, 0.0)


class AbstractTransfer(eqx.Module):
    """The rate with which a population answers an input, element by element."""

    @abc.abstractmethod
    def __call__(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """The rate at the input `x`."""


class Sigmoid(AbstractTransfer):
    r"""Logistic function with an optional baseline, the transfer function of Wilson and Cowan.

    $$F(x) = \sigma(a (x - x_0 - \theta)) - s\,\sigma(-a \theta), \qquad
      \sigma(z) = 1 / (1 + e^{-z})$$

    With $s = 1$ and $x_0 = 0$, the form of Wilson and Cowan (1972), $F(0) = 0$; $s = 0$ is the
    plain logistic. Smooth.
    """

    a: Parameter = param(1.2, unit="1", doc="slope", bounds=(0.0, 3.0))
    theta: Parameter = param(2.8, unit="1", doc="midpoint", bounds=(-2.0, 6.0))
    shift: Parameter = param(
        1.0, unit="1", doc="share of the value at 0 that is taken off", bounds=(-0.5, 1.5)
    )
    threshold: Parameter = param(0.0, unit="1", doc="offset of the input", bounds=(-10.0, 60.0))

    def __call__(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        rest = jax.nn.sigmoid(-self.a * self.theta)
        return jax.nn.sigmoid(self.a * (x - self.threshold - self.theta)) - self.shift * rest


class Rectified(AbstractTransfer):
    """Linear above the threshold 0, $F(x) = max(x, 0)$; not smooth there, where its slope is 0."""

    def __call__(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        return jax.nn.relu(x)
