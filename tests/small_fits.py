"""What tests of fits share: the smallest model, and losses of it."""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np

KEY = jr.key(0)
MODEL = {"a": jnp.asarray(1.0), "b": jnp.asarray(3.0)}
SCORES = np.array([-1.0, 0.5, 2.0])


def noisy(model, key):
    return (model["a"] - 2) ** 2 + 0.3 * jr.normal(key)


def quiet(function, *args, **options):
    return function(*args, **{"progress": False, **options})


def square(model):
    return (model["a"] - 2) ** 2


def refuses(model, key=None):
    """Raises an error where a is above 3."""
    return square({"a": eqx.error_if(model["a"], model["a"] > 3, "`a` is too large.")})
