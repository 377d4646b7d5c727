"""Functions from input to firing rate, shared by models."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._custom_types import Parameter
from .._declare import param


def rectified_exponential(z: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    r"""$z / (1 - e^{-z})$, the rate function of Abbott and Chance (2005) in its own units.

    About $z$ for large $z$, about 0 for very negative $z$, and 1 at the removable singularity
    $z = 0$. Smooth; value and gradient are finite for every finite $z$.
    """
    # Written in |z|, so that no exponential overflows; the sign picks one of two equal forms.
    size = jnp.abs(z)
    small = size < 0.05
    safe = jnp.where(small, 1.0, size)
    decay = jnp.exp(-safe)
    far = safe * jnp.where(z > 0, 1.0, decay) / -jnp.expm1(-safe)
    # The series is exact to rounding, and so is its gradient, where that of the quotient cancels.
    centre = jnp.where(small, z, 0.0)
    square = centre**2
    near = 1 + centre / 2 + square * (1 / 12 - square * (1 / 720 - square / 30240))
    return jnp.where(small, near, far)


class Sigmoid(eqx.Module):
    r"""Logistic function with an optional baseline, the transfer function of Wilson and Cowan.

    $$F(x) = \sigma(a (x - x_0 - \theta)) - s\,\sigma(-a \theta), \qquad
      \sigma(z) = 1 / (1 + e^{-z})$$

    With $s = 1$ and $x_0 = 0$, the form of Wilson and Cowan (1972), $F(0) = 0$; $s = 0$ is the
    plain logistic. Smooth.
    """

    a: Parameter = param(1.2, unit="1", doc="slope", bounds=(0.0, 2.0))
    theta: Parameter = param(2.8, unit="1", doc="midpoint", bounds=(0.0, 6.0))
    shift: Parameter = param(
        1.0, unit="1", doc="share of the value at 0 that is taken off", bounds=(0.0, 1.0)
    )
    threshold: Parameter = param(0.0, unit="1", doc="offset of the input", bounds=(0.0, 60.0))

    def __call__(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        rest = jax.nn.sigmoid(-self.a * self.theta)
        return jax.nn.sigmoid(self.a * (x - self.threshold - self.theta)) - self.shift * rest
