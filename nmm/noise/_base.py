"""The contract of noise, and the random numbers behind it."""

import abc
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.extend.random import threefry_2x32
from jaxtyping import Array, Float, Int, UInt

from .._custom_types import Key
from .._declare import declarations


class AbstractNoise(eqx.Module):
    """Randomness that drives a model: either a diffusion of states, or a forcing with memory.

    On a grid, step `n` has its own random numbers, made from the key and `n` alone. They are thus
    the same in a single run, in a batch, in a run that is continued, and when a gradient computes
    a step again; and they need no memory.

    **Attributes:**

    - `resolution`: the grid in ms on which the noise is drawn; the step `dt` if `None`. Runs
        with different `dt` but the same `resolution` and key follow the same Brownian path,
        which is how convergence is measured.
    """

    resolution: eqx.AbstractVar[float | None]

    @abc.abstractmethod
    def check(self, node: Any) -> None:
        """Refuses a model that lacks what this noise acts on."""

    @abc.abstractmethod
    def draw_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """How many random numbers a step takes, for regions of this shape."""

    @abc.abstractmethod
    def combine(self, normals: Float[Array, "fine *shape"], dt: float) -> Float[Array, "*shape"]:
        """One standard normal number for the `fine` ones of consecutive steps of `dt` ms."""


class AbstractDiffusion(AbstractNoise):
    """White noise, $g(t, x)\\,dW$ on state variables."""

    @abc.abstractmethod
    def diffusion(self, t: Any, state: Any) -> dict[str, Array]:
        """The factor $g$ of each noisy state variable, in its unit per sqrt(ms)."""

    @property
    @abc.abstractmethod
    def variables(self) -> tuple[str, ...]:
        """The noisy state variables."""


class AbstractForcing(AbstractNoise):
    """Noise with memory of its own, which is added to an input slot or to a derivative."""

    onto: eqx.AbstractVar[str | None]

    @abc.abstractmethod
    def start(self, normal: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """The stationary start, from a standard normal number."""

    @abc.abstractmethod
    def advance(
        self, value: Float[Array, "*shape"], normal: Float[Array, "*shape"], dt: Any
    ) -> Float[Array, "*shape"]:
        """The value `dt` ms later, exactly."""

    @abc.abstractmethod
    def drift(self, value: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """The drift of the process, per ms."""

    @abc.abstractmethod
    def intensity(self, value: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """The diffusion of the process, per sqrt(ms)."""


def step_normals(
    noise: AbstractNoise,
    key: UInt[Array, "2"],
    n: Int[Array, " steps"],
    shape: tuple[int, ...],
    dt: float,
    dtype: Any,
) -> Float[Array, "steps *shape"]:
    """The standard normal numbers of the steps `n`, from the key of `counter_key`.

    **Raises:**

    - `ValueError` if `dt` is not a multiple of `noise.resolution`.
    """
    fine = steps_per(noise.resolution, dt)
    shape = noise.draw_shape(shape)

    def draw(n: Array) -> Array:
        if fine == 1:
            return counter_normals(key, n, shape, dtype)
        ns = (n[:, None] * fine + jnp.arange(fine, dtype=n.dtype)).reshape(-1)
        normals = counter_normals(key, ns, shape, dtype).reshape(len(n), fine, *shape)
        return jax.vmap(lambda x: noise.combine(x, dt / fine))(normals)

    # By tiles that stay in the cache.
    tile = max(d for d in range(1, TILE + 1) if len(n) % d == 0)
    normals = jax.lax.map(draw, n.reshape(-1, tile))
    return normals.reshape(len(n), *shape)


def counter_key(key: Key, stream: int) -> UInt[Array, "2"]:
    """A key for `counter_normals`, one for each stream of random numbers of a run."""
    return jr.bits(jr.fold_in(key, stream), (2,), jnp.uint32)


def counter_normals(
    key: UInt[Array, "2"], n: Int[Array, " steps"], shape: tuple[int, ...], dtype: Any
) -> Float[Array, "steps *shape"]:
    """Standard normal numbers that depend on the key, the step and their place in it alone.

    One call of the Threefry hash on the counter (step, place) makes two of them. Folding the step
    into the key and drawing from that costs twice as much to run and to compile.
    """
    size = math.prod(shape)
    half = (size + 1) // 2
    steps = jnp.repeat(n.astype(jnp.uint32), half)
    places = jnp.tile(jnp.arange(half, dtype=jnp.uint32), len(n))
    bits = threefry_2x32(key, jnp.concatenate([steps, places])).reshape(2, len(n), half)
    normals = (math.sqrt(2) * jax.lax.erf_inv(open_uniform(bits, dtype))).astype(dtype)
    return jnp.concatenate(list(normals), axis=1)[:, :size].reshape(len(n), *shape)


def open_uniform(bits: UInt[Array, "*shape"], dtype: Any) -> Float[Array, "*shape"]:
    """Uniform numbers within (-1, 1), symmetric about 0, from 32 random bits each.

    Neither end is ever reached, since there the normal distribution has its infinities.
    """
    if jnp.dtype(dtype) == jnp.float64:
        return bits.astype(dtype) * 2.0**-31 + (2.0**-32 - 1)
    one_to_two = jax.lax.bitcast_convert_type((bits >> 9) | jnp.uint32(0x3F800000), jnp.float32)
    return (one_to_two - 1) * 2 + (2.0**-23 - 1)


def steps_per(resolution: float | int | None, dt: float) -> int:
    """How many steps of `resolution` there are in one of `dt`."""
    if resolution is None:
        return 1
    ratio = dt / resolution
    if ratio < 0.5 or not math.isclose(ratio, round(ratio), rel_tol=1e-6):
        raise ValueError(
            f"`dt` should be a multiple of the `resolution` of the noise, {resolution} ms, "
            f"got {dt} ms."
        )
    return round(ratio)


def check_variables(node: Any, names: tuple[str, ...]) -> None:
    """Refuses names that are no state variables of the model."""
    known = list(declarations(node.State))
    for name in names:
        if name not in known:
            raise ValueError(
                f"White noise should act on state variables of `{type(node).__name__}`, some of "
                f"{known}, got {name!r}."
            )


TILE = 64
"""Steps whose random numbers are made at once, at most."""

START = 2**31 - 1
"""The step whose random numbers make the stationary start; no run is that long."""


def start_forcing(
    noises: tuple[AbstractForcing, ...], key: Any, shape: tuple[int, ...], dtype: Any
) -> tuple[Array, ...]:
    """The stationary start of each noise with memory; without any, `key` may be `None`."""
    n = jnp.full((1,), START, jnp.int32)
    started = []
    for i, noise in enumerate(noises):
        (normal,) = counter_normals(counter_key(key, i), n, noise.draw_shape(shape), dtype)
        started.append(noise.start(normal).astype(dtype))
    return tuple(started)
