"""Statistics of samples, gathered while a run goes on: their memory does not depend on time."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float, Int, Shaped

from .._custom_types import RealScalarLike
from ..analysis._spectrum import frequencies, periodogram
from ._base import AbstractObserver, Axes
from ._moments import Gathered


class AbstractStatistic(eqx.Module):
    """A statistic of all samples of an observer, in a memory that does not grow.

    The samples are those after the `transient` of a run. Its value is one, at the end of the run,
    without an axis of time; a run that goes on (`y0=sol`) goes on with the statistic. A gradient
    stores the state at the start of each block of steps, so that its memory grows with time in runs
    of up to 2.5 million steps, and with its square root in longer ones.

    **Attributes:**

    - `of`: the observer whose samples are gathered.
    """

    of: eqx.AbstractVar[AbstractObserver]

    @property
    @abc.abstractmethod
    def rhythm(self) -> int:
        """Samples after which something other than the gathering of one happens."""

    @property
    @abc.abstractmethod
    def fewest(self) -> int:
        """Samples without which there is no value, from a multiple of `rhythm` on."""

    @abc.abstractmethod
    def init(self, like: Float[Array, "*sample"]) -> Any:
        """The state before the first sample."""

    @abc.abstractmethod
    def update(
        self,
        state: Any,
        samples: Float[Array, "rows *sample"],
        valid: Bool[Array, " rows"],
        numbers: Int[Array, " rows"],
        piece: int,
    ) -> Any:
        """The state after more samples.

        **Arguments:**

        - `valid`: which rows are samples; others are left out.
        - `numbers`: of the samples, counted from 1.
        - `piece`: pieces of this many rows hold consecutive samples of one rhythm each.
        """

    @abc.abstractmethod
    def interrupt(self, state: Any) -> Any:
        """The state where samples are left out before the next one."""

    @abc.abstractmethod
    def value(self, state: Any) -> Float[Array, "*value"]:
        """The statistic of all samples so far; NaN where there are too few."""

    @abc.abstractmethod
    def unit(self, signal: str | None) -> str | None:
        """The unit of the statistic of a signal with this unit; `None` where it is not known."""

    @abc.abstractmethod
    def axes(self, sample: Axes) -> Axes:
        """The axes of the statistic, of samples with these."""

    def __check_init__(self) -> None:
        if not isinstance(self.of, AbstractObserver):
            raise TypeError(
                f"`of` of `{type(self).__name__}` should be an observer, such as "
                f"`nmm.observe.TemporalAverage(1.0)`; got {self.of!r}."
            )

    def __call__(
        self, series: Shaped[ArrayLike, "time *regions"], dt: RealScalarLike
    ) -> Float[Array, "*value"]:
        """The statistic of a saved signal; see `nmm.observe.AbstractObserver`."""
        samples = self.of(series, dt)
        if not len(samples):
            raise ValueError(
                f"`series` should be at least one sample of {self.of.period} ms long, got "
                f"{len(jnp.asarray(series))} rows of {dt} ms."
            )
        rows = -(-len(samples) // self.rhythm) * self.rhythm
        padded = jnp.pad(samples, [(0, rows - len(samples))] + [(0, 0)] * (samples.ndim - 1))
        state = self.update(
            self.init(samples[0]),
            padded,
            jnp.arange(rows) < len(samples),
            jnp.arange(1, rows + 1, dtype=jnp.int32),
            self.rhythm,
        )
        return self.value(state)


class AbstractMoments(AbstractStatistic):
    """A statistic that is made of the moments of all samples."""

    @property
    def rhythm(self) -> int:
        return 1  # `Gathered` has pieces of its own.

    def update(self, state: Gathered, samples: Any, valid: Any, numbers: Any, piece: int) -> Any:
        del piece
        return state.add(samples.reshape(len(samples), -1), valid, numbers)

    def interrupt(self, state: Gathered) -> Gathered:
        return state.flush()


class OnlineMean(AbstractMoments):
    """The mean of all samples.

    **Arguments:**

    - `of`: the observer whose samples are gathered.
    """

    of: AbstractObserver

    @property
    def fewest(self) -> int:
        return 1

    def init(self, like: Any) -> Gathered:
        return Gathered.zero(like, pairs=False)

    def value(self, state: Gathered) -> Array:
        moments = state.flush().moments
        mean = (moments.origin + moments.mean).reshape(state.shape)
        return jnp.where(moments.count > 0, mean, jnp.nan)

    def unit(self, signal: str | None) -> str | None:
        return self.of.unit(signal)

    def axes(self, sample: Axes) -> Axes:
        return sample


class OnlineCovariance(AbstractMoments):
    r"""The covariance of all samples, $\frac{1}{n-1}\sum (x_i - \bar x_i)(x_j - \bar x_j)$.

    **Arguments:**

    - `of`: the observer whose samples are gathered, `(regions,)` or `(sensors,)` each.
    """

    of: AbstractObserver

    @property
    def fewest(self) -> int:
        return 2

    def init(self, like: Any) -> Gathered:
        return _pairs(self, like)

    def value(self, state: Gathered) -> Array:
        moments = state.flush().moments
        enough = moments.count > 1
        others = jnp.where(enough, moments.count - 1, 1)
        return jnp.where(enough, moments.scatter / others, jnp.nan)

    def unit(self, signal: str | None) -> str | None:
        return squared(self.of.unit(signal))

    def axes(self, sample: Axes) -> Axes:
        return _twice(sample)


class OnlineFC(AbstractMoments):
    """The functional connectivity of all samples: the Pearson correlation of each pair.

    The diagonal is 1. A constant region correlates 0 with every other and has zero gradient, as in
    `nmm.analysis.fc`.

    **Arguments:**

    - `of`: the observer whose samples are gathered, `(regions,)` or `(sensors,)` each.
    """

    of: AbstractObserver

    @property
    def fewest(self) -> int:
        return 2

    def init(self, like: Any) -> Gathered:
        return _pairs(self, like)

    def value(self, state: Gathered) -> Array:
        moments = state.flush().moments
        size = jnp.diagonal(moments.scatter)
        unit = 8 * jnp.finfo(size.dtype).eps * jnp.abs(moments.origin)
        silent = size <= moments.count * unit**2
        root = jnp.sqrt(jnp.where(silent, 1, size))
        # A region at a time, since the product of two roots may leave the range of float32.
        correlation = jnp.where(silent | silent[:, None], 0, moments.scatter / root / root[:, None])
        exact = jnp.eye(len(size), dtype=bool) & ~jnp.isnan(correlation)
        correlation = jnp.where(exact, 1, correlation)
        return jnp.where(moments.count > 1, correlation, jnp.nan)

    def unit(self, signal: str | None) -> str | None:
        return "1"

    def axes(self, sample: Axes) -> Axes:
        return _twice(sample)


class Windows(eqx.Module):
    """What Welch's method keeps: the last window of samples, and the sum of spectra.

    **Attributes:**

    - `ring`: the samples of the last window; sample `k` is in row `(k - 1) % samples`.
    - `filled`: consecutive samples in it.
    - `total`: sum of the spectra of the windows so far.
    - `count`: number of these.
    """

    ring: Array
    filled: Array
    total: Array
    count: Array


class OnlineSpectrum(AbstractStatistic):
    """The power spectral density of all samples by Welch's method, window by window.

    Windows start at multiples of half a window, counted from the start of the first of connected
    runs; the first one after a transient is the first that holds none of it. Everything else is
    as in `nmm.analysis.power_spectrum`, whose numbers these are.

    **Arguments:**

    - `of`: the observer whose samples are gathered.
    - `segment`: length of the windows in ms, an even number of samples; its inverse is the
        resolution.
    """

    of: AbstractObserver
    segment: float = eqx.field(static=True, converter=float)

    def __check_init__(self) -> None:
        ratio = self.segment / self.of.period
        if not (ratio >= 4 and abs(ratio / 2 - round(ratio / 2)) < 1e-6 * ratio):
            raise ValueError(
                "`segment` should be an even number of samples, at least 4, of "
                f"{self.of.period} ms each; got {self.segment} ms."
            )

    @property
    def samples(self) -> int:
        """Samples in a window."""
        return round(self.segment / self.of.period)

    @property
    def frequencies(self) -> Any:
        """The frequencies of the spectrum, in Hz."""
        return frequencies(self.samples, self.of.period)

    @property
    def rhythm(self) -> int:
        return self.samples // 2

    @property
    def fewest(self) -> int:
        return self.samples

    def init(self, like: Any) -> Windows:
        zero = jnp.zeros((), jnp.int32)
        ring = jnp.zeros((self.samples, *like.shape), like.dtype)
        total = jnp.zeros((self.samples // 2 + 1, *like.shape), like.dtype)
        return Windows(ring, zero, total, zero)

    def update(self, state: Any, samples: Any, valid: Any, numbers: Any, piece: int) -> Windows:
        half = self.samples // 2

        def step(state: Windows, xs: Any) -> tuple[Windows, None]:
            rows, valid, numbers = xs
            slot = (numbers[0] - 1) % self.samples
            old = jax.lax.dynamic_slice_in_dim(state.ring, slot, piece, axis=0)
            new = jnp.where(valid.reshape(-1, *[1] * (rows.ndim - 1)), rows, old)
            ring = jax.lax.dynamic_update_slice_in_dim(state.ring, new, slot, axis=0)
            filled = jnp.minimum(state.filled + jnp.sum(valid, dtype=jnp.int32), self.samples)
            number = numbers[-1]
            due = valid[-1] & (filled == self.samples) & (number % half == 0)

            def spectrum(ring: Array) -> Array:
                swapped = jnp.concatenate([ring[half:], ring[:half]])
                ordered = jnp.where(number % self.samples == 0, ring, swapped)
                return periodogram(ordered, self.of.period)

            added = jax.lax.cond(due, spectrum, lambda _: jnp.zeros_like(state.total), ring)
            return Windows(ring, filled, state.total + added, state.count + due), None

        pieces = jax.tree.map(
            lambda x: x.reshape(-1, piece, *x.shape[1:]), (samples, valid, numbers)
        )
        return jax.lax.scan(step, state, pieces)[0]

    def interrupt(self, state: Windows) -> Windows:
        return eqx.tree_at(lambda s: s.filled, state, jnp.zeros_like(state.filled))

    def value(self, state: Windows) -> Array:
        some = state.count > 0
        return jnp.where(some, state.total / jnp.where(some, state.count, 1), jnp.nan)

    def unit(self, signal: str | None) -> str | None:
        unit = squared(self.of.unit(signal))
        return None if unit is None else f"{unit}/Hz" if unit != "1" else "1/Hz"

    def axes(self, sample: Axes) -> Axes:
        return (("frequency", tuple(float(f) for f in self.frequencies)), *sample)


def squared(unit: str | None) -> str | None:
    """The unit of a square."""
    if unit is None or unit == "1":
        return unit
    return f"{unit}²" if unit.isalpha() else f"({unit})²"


def _pairs(statistic: AbstractStatistic, like: Array) -> Gathered:
    if like.ndim != 1:
        raise ValueError(
            f"`of` of `{type(statistic).__name__}` should have samples of one axis, (regions,) or "
            f"(sensors,); got the shape {like.shape}."
        )
    return Gathered.zero(like, pairs=True)


def _twice(sample: Axes) -> Axes:
    """The axes of a matrix between the members of a sample."""
    ((name, labels),) = sample
    return ((f"{name}_target", labels), (f"{name}_source", labels))
