"""Derivatives against central differences, in one compiled function."""

import jax
import jax.numpy as jnp
import numpy as np


def assert_gradients_match_differences(function, x, step=1e-5, rtol=1e-6):
    """Along one random direction, forward and backward; the output may be an array."""
    x, rng = jnp.asarray(x), np.random.default_rng(0)
    direction = rng.normal(size=x.shape)

    @jax.jit
    def evaluate(x):
        near = jax.vmap(function)(jnp.stack([x - step * direction, x + step * direction]))
        value, pull = jax.vjp(function, x)
        weight = jnp.cos(jnp.arange(value.size, dtype=x.dtype)).reshape(value.shape)
        forward = jax.jvp(function, (x,), (direction,))[1]
        difference = (near[1] - near[0]) / (2 * step)
        return difference, forward, jnp.sum(weight * forward), jnp.sum(pull(weight)[0] * direction)

    difference, forward, pushed, pulled = evaluate(x)
    scale = np.abs(difference).max()
    assert scale > 1e-3, "the function does not depend on what it is tested for"
    np.testing.assert_allclose(forward, difference, rtol=0, atol=rtol * scale)
    np.testing.assert_allclose(pulled, pushed, rtol=1e-9)
