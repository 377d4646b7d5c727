"""The contract of noise, and the random numbers behind it."""

import abc
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.extend.random import threefry_2x32
from jaxtyping import Array, Float, Int, UInt

from .._custom_types import Key
from .._declare import as_float, declarations, is_array_like, is_concrete


class AbstractNoise(eqx.Module):
    """Randomness that drives a model: either a diffusion of states, or a forcing with memory.

    On a grid, step `n` has its own random numbers, made from the key and `n` alone. They are thus
    the same in a single run, in a batch, in a run that is continued, and when a gradient computes
    a step again; and they need no memory.

    **Attributes:**

    - `resolution`: the grid in ms on which the noise is drawn; the step `dt` if `None`. Runs
        with different `dt` but the same `resolution` and key follow the same Brownian path,
        which is how convergence is measured.
    - `mixing`: how regions share their randomness: region `i` gets the sum over `j` of
        `mixing[i, j]` times the source `j`, `(regions, sources)`; `nmm.noise.mixing` makes it from
        a covariance. If `None`, each region has a source of its own.
    - `normals`: the standard normal numbers themselves, in place of random ones: one row a step,
        counted from the start of the first of connected runs, each of the shape
        `(*draw_shape, sources)`. For inference, and to repeat a run of another package. Noise
        with memory then starts from its mean.
    """

    resolution: eqx.AbstractVar[float | int | None]
    mixing: eqx.AbstractVar[Array | None]
    normals: eqx.AbstractVar[Array | None]

    @abc.abstractmethod
    def check(self, node: Any) -> None:
        """Refuses a model that lacks what this noise acts on."""

    @abc.abstractmethod
    def draw_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """How many random numbers a step takes, for regions of this shape, without mixing."""

    @abc.abstractmethod
    def combine(self, normals: Float[Array, "fine *shape"], dt: float) -> Float[Array, "*shape"]:
        """One standard normal number for the `fine` ones of consecutive steps of `dt` ms."""


class AbstractForcing(AbstractNoise):
    """Noise with memory of its own, which is added to an input slot or to a derivative."""

    onto: eqx.AbstractVar[str | None]

    @abc.abstractmethod
    def read(self, value: Float[Array, "*shape"]) -> Float[Array, "..."]:
        """What is added, from the value that the process carries along; linear."""

    def start_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """How many random numbers the start takes; as many as a step by default."""
        return self.draw_shape(shape)

    @abc.abstractmethod
    def start(self, normal: Float[Array, "..."]) -> Float[Array, "..."]:
        """The stationary start, from standard normal numbers."""

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
    shape = drawn_shape(noise, noise.draw_shape(shape))
    if noise.normals is not None:
        return mix(noise, given_normals(noise, n, shape, dtype))

    def draw(n: Array) -> Array:
        if fine == 1:
            return counter_normals(key, n, shape, dtype)
        ns = (n[:, None] * fine + jnp.arange(fine, dtype=n.dtype)).reshape(-1)
        normals = mix(noise, counter_normals(key, ns, shape, dtype))
        normals = normals.reshape(len(n), fine, *normals.shape[1:])
        return jax.vmap(lambda x: noise.combine(x, dt / fine))(normals)

    # By tiles that stay in the cache.
    tile = max(d for d in range(1, TILE + 1) if len(n) % d == 0)
    normals = jax.lax.map(draw, n.reshape(-1, tile))
    normals = normals.reshape(len(n), *normals.shape[2:])
    return normals if fine > 1 else mix(noise, normals)


def drawn_shape(noise: AbstractNoise, shape: tuple[int, ...]) -> tuple[int, ...]:
    """How many standard normal numbers it takes, before they are mixed, for some of this shape.

    **Raises:**

    - `ValueError` if `noise.mixing` is not for these regions.
    """
    if noise.mixing is None:
        return shape
    if shape[-1:] != noise.mixing.shape[:1]:
        raise ValueError(
            "`mixing` of the noise should have one row for each region, whose shape is "
            f"{shape[-1:]}; got the shape {noise.mixing.shape}."
        )
    return (*shape[:-1], noise.mixing.shape[1])


def mix(noise: AbstractNoise, normals: Float[Array, "..."]) -> Float[Array, "..."]:
    """What the regions get of the sources."""
    if noise.mixing is None:
        return normals
    mixing = noise.mixing.astype(normals.dtype)
    return jax.lax.dot_general(normals, mixing, (((normals.ndim - 1,), (1,)), ((), ())))


def fresh_normals(
    noise: AbstractNoise, key: Any, shape: tuple[int, ...], dtype: Any
) -> Float[Array, "..."]:
    """The normal numbers of a single step; without a key they are those that were given."""
    drawn = drawn_shape(noise, noise.draw_shape(shape))
    if noise.normals is None:
        return mix(noise, jr.normal(key, drawn, dtype))
    return mix(noise, given_normals(noise, jnp.zeros(1, jnp.int32), drawn, dtype))[0]


def given_normals(
    noise: AbstractNoise, n: Int[Array, " steps"], shape: tuple[int, ...], dtype: Any
) -> Float[Array, "..."]:
    """The rows `n` of the normal numbers that a noise was given."""
    assert noise.normals is not None
    got = noise.normals.shape[1:]
    if got != shape and (1, *got) != shape:
        raise ValueError(
            f"`normals` of the noise should have the shape (steps, {', '.join(map(str, shape))}), "
            f"got {noise.normals.shape}."
        )
    rows = jnp.take(noise.normals, n, axis=0, mode="clip")
    return rows.reshape(len(n), *shape).astype(dtype)


def check_normals(noises: tuple[AbstractNoise, ...], steps: int | None, needs_areas: bool) -> bool:
    """Whether the random numbers of all noises are given, and enough of them.

    **Arguments:**

    - `steps`: of the grid, since the first of connected runs began; `None` where steps adapt.
    - `needs_areas`: whether the solver asks for more than the increments of a step.

    **Raises:**

    - `ValueError`, naming `normals` or `mixing`, if they do not fit to this kind of run.
    """
    given = [noise.normals for noise in noises if noise.normals is not None]
    if given and (steps is None or needs_areas):
        raise ValueError(
            "`normals` of a noise belong to a run with a fixed step, and to a solver that needs "
            "one number a step, such as `nmm.Heun()`."
        )
    for noise in noises:
        if steps is None and noise.mixing is not None and len(set(noise.mixing.shape)) > 1:
            raise ValueError(
                "`mixing` of a noise should be square where steps adapt, got the shape "
                f"{noise.mixing.shape}."
            )
    for normals in given:
        if steps is not None and len(normals) < steps:
            raise ValueError(
                f"`normals` of a noise should have a row for each of the {steps} steps, got "
                f"{len(normals)}."
            )
    return len(given) == len(noises)


def as_normals(value: Any) -> Any:
    return None if value is None else as_float(value)


def check_options(noise: AbstractNoise) -> None:
    """Refuses, by name, `resolution`, `mixing` or `normals` that are none."""
    owner, mixing, normals = type(noise).__name__, noise.mixing, noise.normals
    if noise.resolution is not None and not noise.resolution > 0:
        raise ValueError(f"`resolution` of `{owner}` should be positive, got {noise.resolution}.")
    if mixing is not None:
        if not is_array_like(mixing) or np.ndim(mixing) != 2:
            raise ValueError(
                f"`mixing` of `{owner}` should be a matrix (regions, sources), got {mixing!r}."
            )
        if is_concrete(mixing) and not np.all(np.isfinite(mixing)):
            raise ValueError(f"`mixing` of `{owner}` should be finite.")
    if normals is not None:
        if not is_array_like(normals) or np.ndim(normals) < 1:
            raise ValueError(
                f"`normals` of `{owner}` should be an array with one row a step, got {normals!r}."
            )
        if noise.resolution is not None:
            raise ValueError(f"`normals` of `{owner}` are by step, so `resolution` should be None.")
        if is_concrete(normals) and not np.all(np.isfinite(normals)):
            raise ValueError(f"`normals` of `{owner}` should be finite, got NaN or infinity.")


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
    bits = threefry_2x32(key, jnp.concatenate([steps, places]))
    # In one row: in rows of a step, the rest of each that fills no vector takes a third more time.
    normals = (math.sqrt(2) * jax.lax.erf_inv(open_uniform(bits, dtype))).astype(dtype)
    normals = normals.reshape(2, len(n), half)
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


def check_onto(noise: AbstractForcing, node: Any) -> None:
    """Refuses the name of what is neither an input slot nor a state variable of the model."""
    known = [*declarations(node.Inputs), *declarations(node.State)]
    if noise.onto is not None and noise.onto not in known:
        raise ValueError(
            f"`onto` of `{type(noise).__name__}` noise should be an input slot or a state variable "
            f"of `{type(node).__name__}`, one of {known}, got {noise.onto!r}."
        )


def check_positive(module: eqx.Module, *names: str) -> None:
    """Refuses, by name, a parameter that is known and not positive everywhere."""
    for name in names:
        value = getattr(module, name)
        if is_concrete(value) and not np.all(np.asarray(value) > 0):
            raise ValueError(
                f"`{name}` of `{type(module).__name__}` should be positive, got {value}."
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
        numbers = noise.start_shape(shape)
        drawn = drawn_shape(noise, numbers)
        if noise.normals is None:
            normal = mix(noise, counter_normals(counter_key(key, i), n, drawn, dtype))[0]
        else:
            normal = jnp.zeros(numbers, dtype)
        started.append(noise.start(normal).astype(dtype))
    return tuple(started)
