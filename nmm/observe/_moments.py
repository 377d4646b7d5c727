"""Moments of samples, in a memory that does not grow, and to the last digit whatever the parts."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

PIECE = 64
"""Samples that are added to the moments at once."""


class Moments(eqx.Module):
    """Moments of samples that were gathered.

    **Attributes:**

    - `count`: how many there were.
    - `origin`: the first of them, to which the others are relative.
    - `mean`: mean, less the origin.
    - `scatter`: sum of the products of deviations from the mean.
    """

    count: Array
    origin: Array
    mean: Array
    scatter: Array

    @classmethod
    def zero(cls, size: int, dtype: jnp.dtype, pairs: bool) -> "Moments":
        flat = jnp.zeros(size, dtype)
        return cls(flat[0], flat, flat, jnp.zeros((size, size) if pairs else (0, 0), dtype))

    def gather(self, rows: Float[Array, "rows size"], valid: Bool[Array, " rows"]) -> "Moments":
        # Relative to the first sample a constant is exactly 0, and a large offset costs no digits.
        first = (self.count == 0) & jnp.any(valid)
        origin = jnp.where(first, rows[jnp.argmax(valid)], self.origin)
        rows = jnp.where(valid[:, None], rows - origin, 0)
        added = jnp.sum(valid).astype(rows.dtype)
        count = self.count + added
        safe = jnp.maximum(count, 1)
        mean = jnp.sum(rows, axis=0) / jnp.maximum(added, 1)
        shift = mean - self.mean
        scatter = self.scatter
        if scatter.size:
            away = jnp.where(valid[:, None], rows - mean, 0)
            product = jnp.matmul(away.T, away, precision=jax.lax.Precision.HIGHEST)
            between = self.count * added / safe
            scatter = scatter + product + between * jnp.outer(shift, shift)
        return Moments(count, origin, self.mean + shift * (added / safe), scatter)


class Gathered(eqx.Module):
    """Samples that come in blocks, added to their moments in pieces.

    Piece `k` holds the samples from `k * PIECE + 1` on, counted from the start of the first of
    connected runs, in whatever blocks they come: sums have the same order, and the same last
    digit, in a run in parts and in one.

    **Attributes:**

    - `moments`: of the pieces that are whole.
    - `piece`: the samples of the next one, by their place in it.
    - `known`: which of these have come.
    - `shape`: of a sample.
    """

    moments: Moments
    piece: Array
    known: Array
    shape: tuple[int, ...] = eqx.field(static=True)

    @classmethod
    def zero(cls, like: Float[Array, "*sample"], pairs: bool) -> "Gathered":
        moments = Moments.zero(like.size, like.dtype, pairs)
        piece = jnp.zeros((PIECE, like.size), like.dtype)
        return cls(moments, piece, jnp.zeros(PIECE, bool), like.shape)

    def flush(self) -> "Gathered":
        """With the samples of the unfinished piece in the moments."""
        moments = self.moments.gather(self.piece, self.known)
        return Gathered(moments, self.piece, jnp.zeros_like(self.known), self.shape)

    def add(
        self,
        rows: Float[Array, "rows size"],
        valid: Bool[Array, " rows"],
        numbers: Int[Array, " rows"],
    ) -> "Gathered":
        """After more samples, of which the `valid` ones are consecutive.

        **Arguments:**

        - `numbers`: of the samples; they do not fall. Of rows with one number the first counts.
        """
        last = jnp.max(jnp.where(valid, numbers, 0))
        first = jnp.min(jnp.where(valid, numbers, jnp.maximum(last, 1)))
        base = (first - 1) // PIECE
        # Rows by their place in the pieces, the first of which may have begun before.
        pieces = -(-(len(rows) + PIECE - 1) // PIECE)
        places = base * PIECE + 1 + jnp.arange(pieces * PIECE, dtype=numbers.dtype)
        at = jnp.minimum(jnp.searchsorted(numbers, places), len(rows) - 1)
        come = (numbers[at] == places) & valid[at]
        old = jnp.concatenate(
            [self.piece, jnp.zeros_like(rows, shape=(len(at) - PIECE, rows.shape[1]))]
        )
        values = jnp.where(come[:, None], rows[at], old).reshape(pieces, PIECE, -1)
        known = (come | jnp.pad(self.known, (0, len(at) - PIECE))).reshape(pieces, PIECE)
        whole = last // PIECE - base

        def one(moments: Moments, xs: tuple[Array, Array, Array]) -> tuple[Moments, None]:
            number, values, known = xs
            added = jax.lax.cond(
                number < whole, lambda m: m.gather(values, known), lambda m: m, moments
            )
            return added, None

        moments, _ = jax.lax.scan(one, self.moments, (jnp.arange(pieces), values, known))
        # What is left is the piece after the whole ones, where there is one.
        left = jnp.clip(whole, 0, pieces - 1)
        return Gathered(moments, values[left], known[left] & (whole < pieces), self.shape)
