"""Constraints of free parameters: where a value may be, and how an optimiser moves it there."""

import abc
import dataclasses
import math
from typing import Any, Literal, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

_Constraint = TypeVar("_Constraint", bound="AbstractConstraint")


class AbstractConstraint(eqx.Module):
    """A bijection between the values that a parameter may have and numbers without limits.

    An optimiser moves the latter. Each constraint is scaled such that a typical step of the
    default optimiser, 0.05, is a sensible change of the value; its docstring says which.

    **Attributes:**

    - `shape`: `None` to keep the parameter's shape; `"region"` to make a scalar parameter regional
        when it is freed.
    """

    shape: eqx.AbstractVar[Literal["region"] | None]

    @abc.abstractmethod
    def to_unconstrained(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """The numbers that stand for `value`."""

    @abc.abstractmethod
    def from_unconstrained(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """The value that the numbers `x` stand for; its inverse is `to_unconstrained`."""

    @abc.abstractmethod
    def contains(self, value: Float[Array, "..."]) -> Bool[Array, "..."]:
        """Which values are allowed."""

    @abc.abstractmethod
    def starting_at(self: _Constraint, value: Float[Array, "..."]) -> _Constraint:
        """This constraint, with what it takes from the start filled in."""

    def __repr__(self) -> str:
        given = []
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            # What is taken from the start is not written.
            if not field.init or field.name == "start" or value is field.default:
                continue
            if eqx.is_array(value):
                given.append(f"{value.dtype}{list(value.shape)}")
            elif value != field.default:
                number = f"{value:g}" if isinstance(value, float) else repr(value)
                positional = field.default is dataclasses.MISSING
                given.append(number if positional else f"{field.name}={number}")
        return f"{type(self).__name__}({', '.join(given)})"


class Real(AbstractConstraint):
    r"""Any finite value, $v = s x$.

    A step of 0.05 in $x$ changes it by 5 % of the scale $s$.

    **Arguments:**

    - `scale`: a typical change of the value; by default, its largest magnitude at the start (1
        if that is 0).
    - `shape`: `None`, or `"region"` to make a scalar parameter regional.

    **Raises:**

    - `ValueError` if `scale` is not positive and finite.
    """

    scale: float | None = eqx.field(
        default=None, converter=lambda scale: None if scale is None else float(scale)
    )
    shape: Literal["region"] | None = eqx.field(default=None, static=True, kw_only=True)

    def __check_init__(self) -> None:
        if self.scale is not None and not 0 < self.scale < math.inf:
            raise ValueError(f"`scale` should be positive and finite, got {self.scale}.")
        _check_shape(self.shape)

    def to_unconstrained(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        return value if self.scale is None else value / self.scale

    def from_unconstrained(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return x if self.scale is None else x * self.scale

    def contains(self, value: Float[Array, "..."]) -> Bool[Array, "..."]:
        return jnp.isfinite(value)

    def starting_at(self, value: Float[Array, "..."]) -> "Real":
        if self.scale is not None:
            return self
        return Real(float(jnp.max(jnp.abs(value))) or 1.0, shape=self.shape)


class Positive(AbstractConstraint):
    r"""Values above `lower`, $v = \mathrm{lower} + e^x$.

    A step of 0.05 in $x$ changes the distance from `lower` by 5 %, whatever the unit.

    **Arguments:**

    - `lower`: the limit, which itself is excluded.
    - `shape`: `None`, or `"region"` to make a scalar parameter regional.

    **Raises:**

    - `ValueError` if `lower` is not finite.
    """

    lower: float = eqx.field(default=0.0, converter=float)
    shape: Literal["region"] | None = eqx.field(default=None, static=True, kw_only=True)

    def __check_init__(self) -> None:
        if not math.isfinite(self.lower):
            raise ValueError(f"`lower` should be finite, got {self.lower}.")
        _check_shape(self.shape)

    def to_unconstrained(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        return jnp.log(value - self.lower)

    def from_unconstrained(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        # Beyond the largest number, as of float32 at x = 89, it stays there.
        largest = math.log(np.finfo(x.dtype).max) - 1
        return off_limits(self.lower + jnp.exp(jnp.minimum(x, largest)), self.lower)

    def contains(self, value: Float[Array, "..."]) -> Bool[Array, "..."]:
        return (value > self.lower) & jnp.isfinite(value)

    def starting_at(self, value: Float[Array, "..."]) -> "Positive":
        del value
        return self


class Interval(AbstractConstraint):
    r"""Values between two limits, $v = \mathrm{lower} + (\mathrm{upper} - \mathrm{lower})\,
    \sigma(x)$ with the logistic function $\sigma(x) = 1/(1 + e^{-x})$.

    A step of 0.05 in $x$ changes it by 1.25 % of the width in the middle of the interval, and by
    5 % of the distance to the nearer limit close to that.

    **Arguments:**

    - `lower`, `upper`: the limits, which themselves are excluded.
    - `shape`: `None`, or `"region"` to make a scalar parameter regional.

    **Raises:**

    - `ValueError` if the limits are not finite, or `lower` is not below `upper`.
    """

    lower: float = eqx.field(converter=float)
    upper: float = eqx.field(converter=float)
    shape: Literal["region"] | None = eqx.field(default=None, static=True, kw_only=True)

    def __check_init__(self) -> None:
        if not -math.inf < self.lower < self.upper < math.inf:
            raise ValueError(
                "`lower` should be below `upper`, both finite, "
                f"got lower={self.lower} and upper={self.upper}."
            )
        _check_shape(self.shape)

    def to_unconstrained(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        # Not as the logit of a fraction, which would lose all digits near the upper limit.
        return jnp.log(value - self.lower) - jnp.log(self.upper - value)

    def from_unconstrained(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        # From the nearer limit, which keeps the digits of the distance to a limit of 0.
        width = self.upper - self.lower
        low, high = self.lower + width * jax.nn.sigmoid(x), self.upper - width * jax.nn.sigmoid(-x)
        return off_limits(jnp.where(x < 0, low, high), self.lower, self.upper)

    def contains(self, value: Float[Array, "..."]) -> Bool[Array, "..."]:
        return (value > self.lower) & (value < self.upper)

    def starting_at(self, value: Float[Array, "..."]) -> "Interval":
        del value
        return self


def off_limits(value: Array, lower: float, upper: float = math.inf) -> Array:
    """Undoes rounding onto a limit, and leaves the gradient alone."""
    inside = jnp.maximum(value, _next_to(lower, math.inf, value.dtype))
    if math.isfinite(upper):
        inside = jnp.minimum(inside, _next_to(upper, -math.inf, value.dtype))
    return value + jax.lax.stop_gradient(inside - value)


def _next_to(limit: float, direction: float, dtype: Any) -> Any:
    """The number next to `limit` that compiled code does not take for it."""
    number = np.dtype(dtype).type
    # Next to 0 are the subnormal numbers, which XLA flushes to 0.
    tiny = math.copysign(np.finfo(dtype).tiny, direction)
    return number(tiny) if limit == 0 else np.nextafter(number(limit), number(direction))


def _check_shape(shape: Any) -> None:
    if shape not in (None, "region"):
        raise ValueError(f'`shape` should be None or "region", got {shape!r}.')
