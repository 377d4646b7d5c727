"""Long runs of one region in small equal steps, for the numbers of cycles."""

import equinox as eqx
import jax
import numpy as np
from helpers import at, crossings, field
from jax.flatten_util import ravel_pytree


@eqx.filter_jit
def samples(model, start, inputs, dt, steps, every):
    """Every so many steps of Runge and Kutta, each variable a row."""
    flat, unravel = ravel_pytree(start)

    def f(x):
        return ravel_pytree(field(model, unravel(x), inputs))[0]

    def step(x, _):
        k1 = f(x)
        k2 = f(x + dt / 2 * k1)
        k3 = f(x + dt / 2 * k2)
        k4 = f(x + dt * k3)
        return x + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4), None

    def row(x, _):
        x, _ = jax.lax.scan(step, x, length=every)
        return x, x

    return jax.lax.scan(row, flat, length=steps // every)[1].T


def cycle(model, start, settle, until, variable=0, level=0.0, inputs=None, dt=0.01, every=1):
    """Mean time between upward crossings of a level, and the extremes of every variable, later."""
    y0 = at(model, *start)
    found = np.asarray(samples(model, y0, inputs, dt, round(until / dt), every))
    found = found[:, round(settle / (dt * every)) :]
    times = crossings(dt * every * np.arange(found.shape[1]), found[variable], level)
    period = np.mean(np.diff(times)) if len(times) > 1 else np.inf
    return period, found.min(axis=1), found.max(axis=1), found[:, -1]
