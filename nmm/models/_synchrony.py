"""How alike phases are."""

import math

import jax.numpy as jnp
from jaxtyping import Array, Float


def root(squared: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Square root whose gradient counts as 0 at 0, where it has a kink."""
    positive = squared > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, squared, 1.0)), 0.0)


def spike_synchrony(rate: Array, potential: Array) -> Array:
    r"""Order parameter of the phases of quadratic integrate-and-fire neurons, in [0, 1].

    $$|Z| = \left|\frac{1 - W}{1 + W}\right|, \qquad W = \pi r + i v$$

    0 at complete asynchrony, $W = 1$. `rate` is in units of the membrane time constant.
    """
    # rate >= 0 keeps the denominator above 0.
    real, imaginary = math.pi * rate, potential
    return root(((1 - real) ** 2 + imaginary**2) / ((1 + real) ** 2 + imaginary**2))
