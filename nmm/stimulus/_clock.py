"""Times that keep their small digits in float32, and what jumps at them."""

import fractions
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int


def whole_and_rest(n: Int[Array, ""], dt: float, dtype: Any) -> tuple[Array, Array]:
    """The time `n * dt` as whole ms, and the rest: each is exact, up to 2**24 ms in float32.

    As one number in float32, a time after 10 minutes is a multiple of 0.06 ms.
    """
    ratio = fractions.Fraction(dt).limit_denominator(4096)
    over, under = ratio.as_integer_ratio()
    whole, rest = jnp.divmod((n % under) * over, under)
    whole = ((n // under) * over + whole).astype(dtype)
    rest = rest.astype(dtype) / under
    if dt != over / under:
        rest = rest + n.astype(dtype) * (dt - over / under)
    return whole, rest


def local_time(t: Any, onset: Float[Array, "..."], later: Any = 0.0) -> Float[Array, "..."]:
    """The time of an onset, or so much later, as the `local` that goes with `t`.

    Rounding alone must not put a step that starts at the onset before it: half of the last digit
    of `t` is taken off, in float32 0.04 ms after 10 minutes.
    """
    return ((onset - t) + later) - _half_digit(t, onset.dtype)


def since(t: Any, local: Any, onset: Float[Array, "..."], later: Any = 0.0) -> Float[Array, "..."]:
    """The time since an onset, or since so much later, ms."""
    # A difference is at least 0 exactly if `local` is not below: steps can end at the jump.
    return local - local_time(t, onset, later)


def latest(
    t: Any, local: Any, onset: Float[Array, "..."], period: Float[Array, "..."]
) -> Float[Array, "..."]:
    """The latest whole number of periods after an onset, as the `local` that goes with `t`."""
    # The many periods before cost no digits.
    small = (remainder(onset, period) - remainder(t, period)) - _half_digit(t, period.dtype)
    number = jnp.round((local - small) / period)
    time = small + number * period
    return jnp.where(time > local, small + (number - 1) * period, time)


def phase(
    t: Any, local: Any, onset: Float[Array, "..."], period: Float[Array, "..."]
) -> Float[Array, "..."]:
    """The time since the latest whole number of periods after an onset, ms, in [0, period)."""
    return local - latest(t, local, onset, period)


def remainder(t: Any, period: Float[Array, "..."]) -> Float[Array, "..."]:
    """What whole periods leave of a time, with its sign: floats do that without rounding."""
    dtype = jnp.result_type(t, period)
    return jax.lax.rem(*jnp.broadcast_arrays(jnp.asarray(t, dtype), period.astype(dtype)))


def rise(after: Float[Array, "..."], edge: Float[Array, "..."]) -> Float[Array, "..."]:
    """From 0 to 1 at the time 0: as a jump, or smoothly over `edge` ms, half of them before."""
    sharp = (after >= 0).astype(after.dtype)
    x = jnp.clip(after / jnp.where(edge > 0, edge, 1.0) + 0.5, 0.0, 1.0)
    return jnp.where(edge > 0, x * x * (3 - 2 * x), sharp)


def breaks_of_rise(time: Float[Array, "..."], edge: Float[Array, "..."]) -> Float[Array, " _"]:
    """When a rise that is centred on a time starts and ends."""
    return flat(time - edge / 2, time + edge / 2)


def flat(*times: ArrayLike) -> Float[Array, " _"]:
    """All of these times in a row."""
    return jnp.concatenate([jnp.ravel(jnp.asarray(time)) for time in times])


def _half_digit(t: Any, dtype: Any) -> Array:
    digit = jnp.finfo(jnp.result_type(t, dtype)).eps
    return jax.lax.stop_gradient(digit * (0.5 * jnp.abs(t) + 2.0))
