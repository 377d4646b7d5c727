"""The models that tests run over, and the few numerical tools that several tests share."""

import functools
import json
import pathlib

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

import nmm
from nmm.models._base import evaluate, observables

GOLDEN = pathlib.Path(__file__).parent / "golden"

all_models = tuple(getattr(nmm, entry.name) for entry in nmm.list_models())


def all_presets():
    """Model class and name of each preset, `None` being the defaults."""
    return [(cls, name) for cls in all_models for name in (None, *cls.presets)]


def build(cls, preset=None):
    return cls() if preset is None else cls.preset(preset)


@functools.cache
def regional_observables(cls):
    """Names of the observables that have a value in every region, as all but a few have."""
    model = cls()

    def all_of(state):
        return {k: evaluate(model, k, state, model.Inputs) for k in observables(cls)}

    shapes = jax.eval_shape(lambda: all_of(model.initial_state((2,))))
    return [name for name, value in shapes.items() if value.shape == (2,)]


def together(*models):
    """Models of the same parts and no regions, as the regions of one."""
    return jax.tree.map(lambda *x: jnp.stack(x, axis=-1), *models)


def at(model, *values):
    """A state of a model, its variables in order."""
    return model.State(*(jnp.asarray(x, float) for x in values))


def golden(kind):
    """Entries of a file of reference numbers: `name -> (arrays by name, manifest)`."""
    manifest = json.loads((GOLDEN / f"{kind}.json").read_text())["models"]
    with np.load(GOLDEN / f"{kind}.npz") as file:
        arrays = {name: file[name] for name in file.files}
    return {
        key: (
            {k.removeprefix(key + "/"): v for k, v in arrays.items() if k.startswith(key + "/")},
            entry,
        )
        for key, entry in manifest.items()
    }


def field(model, state, inputs=None):
    """The vector field at no particular time."""
    return model.vector_field(0.0, state, model.Inputs() if inputs is None else inputs)


@eqx.filter_jit
def solve(model, y0, ts, inputs=None, signal=lambda model, state: state, tol=1e-10):
    """Samples at `ts` of a run from `y0`, by the adaptive method of Dormand and Prince.

    Written out, since it compiles in a third of the time of `diffrax.diffeqsolve`, and most of what
    tests of models take is compilation.
    """
    table = diffrax.Dopri5.tableau
    flat, unravel = ravel_pytree(y0)

    def slope(x):
        return ravel_pytree(field(model, unravel(x), inputs))[0]

    def step(carry, end):
        t, x, h, first = carry
        used = jnp.minimum(h, end - t)
        slopes = [first]
        for row in table.a_lower:  # of which the last is the solution
            new = x + used * sum(a * k for a, k in zip(row, slopes, strict=False))
            slopes.append(slope(new))
        error = used * sum(e * k for e, k in zip(table.b_error, slopes, strict=False))
        size = tol * (1 + jnp.maximum(jnp.abs(x), jnp.abs(new)))
        ratio = jnp.sqrt(jnp.mean((error / size) ** 2))
        accepted = ratio <= 1
        # A step that was cut short to end at a sample says nothing against the usual one.
        longer = used * jnp.clip(0.9 * ratio**-0.2, 0.2, 5.0)
        h = jnp.where(accepted & (used < h), h, longer)
        taken = jax.tree.map(
            lambda a, b: jnp.where(accepted, a, b), (t + used, new, slopes[-1]), (t, x, first)
        )
        return taken[0], taken[1], h, taken[2]

    def to_sample(carry, end):
        carry = jax.lax.while_loop(lambda c: c[0] < end, lambda c: step(c, end), carry)
        return carry, signal(model, unravel(carry[1]))

    start = (ts[0], flat, jnp.asarray(1e-3, flat.dtype), slope(flat))
    samples = jax.lax.scan(to_sample, start, ts[1:])[1]
    return jax.tree.map(
        lambda x, xs: jnp.concatenate([jnp.asarray(x)[None], xs]), signal(model, y0), samples
    )


def run(model, y0, ts, inputs=None, tol=1e-10):
    """The variables of a run from 0, sampled at `ts`, each (time, regions)."""
    states = solve(model, y0, jnp.asarray(np.concatenate([[0.0], ts])), inputs, tol=tol)
    return [np.asarray(x[1:]) for x in jax.tree.leaves(states)]


@eqx.filter_jit
def fixed_point(model, guess, inputs=None):
    """The equilibrium that Newton's method reaches from `guess`."""
    flat, unravel = ravel_pytree(guess)

    def residual(x):
        return ravel_pytree(field(model, unravel(x), inputs))[0]

    def step(x, _):
        return x - jnp.linalg.solve(jax.jacfwd(residual)(x), residual(x)), None

    return unravel(jax.lax.scan(step, flat, length=30)[0])


@eqx.filter_jit
def jacobian(model, state, inputs=None):
    """The Jacobian of one region's vector field, as a matrix."""
    flat, unravel = ravel_pytree(state)
    return jax.jacfwd(lambda x: ravel_pytree(field(model, unravel(x), inputs))[0])(flat)


def eigenvalues(model, state, inputs=None):
    """Eigenvalues at a state of one region, the largest real part first."""
    values = np.linalg.eigvals(np.asarray(jacobian(model, state, inputs)))
    return values[np.lexsort((-values.imag, -values.real))]


def period_of(ts, signal):
    """Mean time between upward crossings of the middle of the range."""
    middle = (np.max(signal) + np.min(signal)) / 2
    return np.mean(np.diff(crossings(ts, signal, middle)))


def crossings(ts, signal, level=0.0):
    """Times at which a signal rises through a level."""
    x = np.asarray(signal) - level
    k = np.flatnonzero((x[:-1] < 0) & (x[1:] >= 0))
    return ts[k] - x[k] * (ts[k + 1] - ts[k]) / (x[k + 1] - x[k])


@eqx.filter_jit
def lyapunov_exponent(model, state, dt, steps, transient):
    """Largest exponent, per ms, of each region alone, along a run in Runge-Kutta steps."""

    def flow(y):
        def moved(slope, h):
            return jax.tree.map(lambda x, d: x + h * d, y, slope)

        k1 = field(model, y)
        k2 = field(model, moved(k1, dt / 2))
        k3 = field(model, moved(k2, dt / 2))
        k4 = field(model, moved(k3, dt))
        return moved(
            jax.tree.map(lambda a, b, c, d: (a + 2 * b + 2 * c + d) / 6, k1, k2, k3, k4), dt
        )

    def step(carry, n):
        y, tangent, total = carry
        y, tangent = jax.jvp(flow, (y,), (tangent,))
        size = jnp.sqrt(sum(x**2 for x in jax.tree.leaves(tangent)))
        total = total + jnp.where(n < transient, 0.0, jnp.log(size))
        return (y, jax.tree.map(lambda x: x / size, tangent), total), None

    start = (state, jax.tree.map(jnp.ones_like, state), jnp.zeros_like(jax.tree.leaves(state)[0]))
    (_, _, total), _ = jax.lax.scan(step, start, jnp.arange(steps))
    return total / ((steps - transient) * dt)
