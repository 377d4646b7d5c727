"""Penalty on firing rates (or any quantity) that leave a plausible range."""

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float


def rate_penalty(rates: ArrayLike, low: ArrayLike, high: ArrayLike) -> Float[Array, ""]:
    r"""Mean squared excess of rates outside `[low, high]`, in units of the width of that range.

    $$\frac{1}{n} \sum_i \left(\frac{\max(\mathrm{low} - r_i, 0) + \max(r_i - \mathrm{high}, 0)}
    {\mathrm{high} - \mathrm{low}}\right)^2$$

    Exactly 0 inside, with zero gradient; 1 if every rate is one width outside. Continuously
    differentiable; the second derivative jumps at the bounds. Every value counts: give means over
    time, `sol["rate"].mean(axis=0)`, unless each moment is to stay inside. A NaN gives NaN;
    constant rates are nothing special.

    **Arguments:**

    - `rates`: any shape, usually `(regions,)`.
    - `low`, `high`: bounds in the unit of `rates`; scalars, or one for each region.

    **Returns:**

    The penalty, at least 0, without unit.

    **Raises:**

    - `ValueError`: `rates` is empty, or `low` is not below `high`, both finite.
    """
    if jnp.size(rates) == 0:
        raise ValueError(f"`rates` must not be empty; got shape {jnp.shape(rates)}.")
    if not isinstance(low, Tracer) and not isinstance(high, Tracer):
        width = np.asarray(high) - np.asarray(low)
        if not np.all(np.isfinite(width) & (width > 0)):
            raise ValueError(f"`low` must be below `high`, both finite; got {low} and {high}.")
    rates = jnp.asarray(rates, jnp.result_type(float, rates))
    low, high = jnp.asarray(low, rates.dtype), jnp.asarray(high, rates.dtype)
    excess = (rates - jnp.clip(rates, low, high)) / (high - low)
    return jnp.mean(excess**2)


def target_rates(
    rates: ArrayLike, target: ArrayLike, *, scale: ArrayLike | None = None
) -> Float[Array, ""]:
    r"""Mean squared deviation of rates from a target, in units of a scale.

    $$\frac{1}{n} \sum_i \left(\frac{r_i - t_i}{s_i}\right)^2$$

    Smooth. Every value counts: give means over time, `sol["rate"].mean(axis=0)`. A NaN gives NaN;
    constant rates are nothing special.

    **Arguments:**

    - `rates`: any shape, usually `(regions,)`.
    - `target`: in the unit of `rates`; a scalar, or one for each region.
    - `scale`: the deviation that counts 1; `target` by default.

    **Returns:**

    The penalty, at least 0, without unit.

    **Raises:**

    - `ValueError`: `rates` is empty, or `scale` is not positive and finite.
    """
    if jnp.size(rates) == 0:
        raise ValueError(f"`rates` must not be empty; got shape {jnp.shape(rates)}.")
    scale = target if scale is None else scale
    if not isinstance(scale, Tracer):
        known = np.asarray(scale)
        if not np.all(np.isfinite(known) & (known > 0)):
            raise ValueError(f"`scale` must be positive and finite; got {scale}.")
    rates = jnp.asarray(rates, jnp.result_type(float, rates))
    target, scale = jnp.asarray(target, rates.dtype), jnp.asarray(scale, rates.dtype)
    return jnp.mean(((rates - target) / scale) ** 2)
