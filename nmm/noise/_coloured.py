import math
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._custom_types import Parameter
from .._declare import check_parameters, is_concrete, param
from ._base import AbstractForcing, as_normals, check_onto, check_options
from ._ornstein_uhlenbeck import change, combine_decaying

PER_DECADE = 1.0
"""Time constants for each decade of frequency, at least; the spectrum ripples by 3 % then."""

MARGIN = 4.0
"""How far beyond the band the time constants reach at either end; the slope is then within 0.01."""


class Coloured(AbstractForcing):
    r"""Noise in time with the power spectrum $1/f^\beta$, $-2 \le \beta \le 2$, in a band.

    A sum of independent Ornstein–Uhlenbeck processes, whose time constants are spread over the
    band, and whose variances are the residues of a filter with alternating poles and zeros
    (Keshner 1982): a straight line in double logarithmic axes, for any exponent. For
    $\beta < 0$, it is what a high-pass filter with its corner above the band leaves of such noise
    of the exponent $\beta + 2$. Each step costs one random number for each time constant, six
    for three decades; memory does not grow with time. Each component takes its exact
    discretisation for any `dt`, and starts stationary.

    Below `low` the spectrum of $\beta > 0$ is flat, and above four times `high` it falls. For the
    spectrum to reach up to `high`, that should be at most 0.1 of `1 / dt`; for $\beta < 0$, where
    most of the variance lies at the upper end, at most 0.02 of it.

    The names of `pink` (1), `blue` (-1) and `violet` (-2) are those of acoustics. Beware that in
    brainmass they are spectra over regions, of noise that in time is white, and that its blue and
    violet have the exponents -2 and -4.

    Reference: Keshner (1982) Proceedings of the IEEE 70:212.

    **Attributes:**

    - `low`, `high`: ends of the band in 1/ms: `0.1 * nmm.units.Hz`.
    """

    beta: Parameter = param(1.0, unit="1", doc="exponent of the spectrum", bounds=(0.0, 2.0))
    deviation: Parameter = param(
        0.1, unit="of the slot", doc="standard deviation", bounds=(0.0, None)
    )
    low: float = eqx.field(default=1e-4, converter=float, static=True)
    high: float = eqx.field(default=0.1, converter=float, static=True)
    onto: str | None = eqx.field(default=None, static=True, kw_only=True)
    resolution: float | int | None = eqx.field(default=None, static=True, kw_only=True)
    mixing: Array | None = eqx.field(default=None, converter=as_normals, kw_only=True)
    normals: Array | None = eqx.field(default=None, converter=as_normals, kw_only=True)
    rises: bool = eqx.field(init=False, static=True)

    def __post_init__(self) -> None:
        # Which kind of filter it is has to be known before anything is compiled.
        self.rises = bool(np.all(np.asarray(self.beta) < 0)) if is_concrete(self.beta) else False

    def __check_init__(self) -> None:
        check_parameters(self)
        check_options(self)
        self._check_beta()
        if not 0 < self.low < self.high < math.inf:
            raise ValueError(
                "`low` of `Coloured` should be positive and below `high`, got "
                f"low={self.low} and high={self.high}."
            )

    @classmethod
    def pink(cls, deviation: Any = 0.1, **options: Any) -> "Coloured":
        """$1/f$ noise."""
        return cls(1.0, deviation, **options)

    @classmethod
    def blue(cls, deviation: Any = 0.1, **options: Any) -> "Coloured":
        """Noise whose power grows as $f$."""
        return cls(-1.0, deviation, **options)

    @classmethod
    def violet(cls, deviation: Any = 0.1, **options: Any) -> "Coloured":
        """Noise whose power grows as $f^2$."""
        return cls(-2.0, deviation, **options)

    @property
    def taus(self) -> np.ndarray:
        """The time constants, ms, longest first."""
        slowest, fastest = self.low / MARGIN, self.high * MARGIN
        count = 1 + math.ceil(PER_DECADE * math.log10(fastest / slowest))
        return 1 / (2 * np.pi * np.geomspace(slowest, fastest, count))

    def _variances(self) -> Array:
        """Of the components, with the axis of time constants in front of that of regions."""
        poles = 1 / self.taus
        exponent = (self.beta + 2 if self.rises else self.beta) / 2
        squares = (poles**2).reshape(-1, *[1] * jnp.ndim(self.beta))
        # The spectrum falls by f² from each pole to its zero, and is flat from there to the next.
        zeros = squares[:-1] * (squares[1] / squares[0]) ** exponent
        k, j = np.indices((len(poles), len(poles) - 1))
        other = squares[np.where(j < k, j, j + 1)]
        residues = jnp.prod((1 - squares[k] / zeros[j]) / (1 - squares[k] / other), axis=1)
        # At either end of the exponents most of them are 0, up to rounding.
        weights = jnp.maximum(residues, 1e-30) * jnp.sqrt(squares)
        passed = 1 / (1 + jnp.sqrt(squares[-1] / squares)) if self.rises else 1.0
        # Where a run goes on, nothing else tells that a traced `beta` has left its range.
        deviation = jnp.where(self._has(self.beta), self.deviation, jnp.nan)
        return deviation**2 * weights / jnp.sum(weights * passed, axis=0)

    def _components(self, like: Array) -> tuple[Array, Array]:
        """Time constants and standard deviations, for values whose first axis is theirs."""
        taus = jnp.asarray(self.taus, like.dtype).reshape(-1, *[1] * (like.ndim - 1))
        variances = self._variances()
        ones = [1] * (like.ndim - variances.ndim)
        return taus, jnp.sqrt(variances).reshape(len(taus), *ones, *variances.shape[1:])

    def _has(self, beta: Any) -> Any:
        """Whether this kind of filter has such an exponent."""
        return (abs(beta) <= 2) & ((beta < 0) == self.rises)

    def _check_beta(self) -> None:
        """Refuses a `beta` that is known."""
        if is_concrete(self.beta) and not np.all(self._has(np.asarray(self.beta))):
            raise ValueError(
                "`beta` of `Coloured` should be from -2 to 2, of one sign in all regions and of "
                f"that with which it was made, got {self.beta}."
            )

    def check(self, node: Any) -> None:
        self._check_beta()
        check_onto(self, node)

    def draw_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (len(self.taus), *shape)

    def combine(self, normals: Float[Array, "fine *shape"], dt: float) -> Float[Array, "*shape"]:
        taus, _ = self._components(normals[0])
        return combine_decaying(normals, dt, taus)

    def read(self, value: Float[Array, "components *shape"]) -> Float[Array, "*shape"]:
        total = jnp.sum(value[: len(self.taus)], axis=0)
        return total - value[-1] if self.rises else total

    def start_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (len(self.taus) + self.rises, *shape)

    def start(self, normal: Float[Array, "numbers *shape"]) -> Float[Array, "_ *shape"]:
        self._check_beta()
        normal = eqx.error_if(
            normal,
            ~jnp.all(self._has(self.beta)),
            "`beta` of `Coloured` should be from -2 to 2, and below 0 where it was when this noise "
            "was made; made of a traced one, it should not be below 0.",
        )
        taus, deviations = self._components(normal[: len(self.taus)])
        value = deviations * normal[: len(self.taus)]
        if not self.rises:
            return value
        # What the filter has taken up of each component: its mean given the component as it is
        # now, and what is left open by that.
        share = taus / (taus + taus[-1])
        taken = jnp.sum(value * share, axis=0)
        left = jnp.sqrt(jnp.sum(deviations**2 * share * (1 - share), axis=0)) * normal[-1]
        return jnp.concatenate([value, (taken + left)[None]])

    def advance(
        self,
        value: Float[Array, "_ *shape"],
        normal: Float[Array, "components *shape"],
        dt: Any,
    ) -> Float[Array, "_ *shape"]:
        taus, deviations = self._components(normal)
        old = value[: len(taus)]
        new = old + change(old, normal, dt, taus, deviations)
        if not self.rises:
            return new
        # The filter, exactly for an input that is linear between grid points.
        before, after, taken = jnp.sum(old, axis=0), jnp.sum(new, axis=0), value[-1]
        ratio = dt / self.taus[-1]
        kept = math.exp(-ratio)
        mean = (1 - kept) / ratio
        taken = kept * taken + (mean - kept) * before + (1 - mean) * after
        return jnp.concatenate([new, taken[None]])

    def drift(self, value: Float[Array, "_ *shape"]) -> Float[Array, "_ *shape"]:
        taus, _ = self._components(value)
        slopes = -value[: len(taus)] / taus
        return (
            jnp.concatenate([slopes, self.read(value)[None] / taus[-1]]) if self.rises else slopes
        )

    def intensity(self, value: Float[Array, "_ *shape"]) -> Float[Array, "_ *shape"]:
        taus, deviations = self._components(value)
        sigma = deviations * jnp.sqrt(2 / taus)
        sigma = jnp.broadcast_to(sigma, (len(taus), *value.shape[1:]))
        return jnp.concatenate([sigma, jnp.zeros_like(value[:1])]) if self.rises else sigma
