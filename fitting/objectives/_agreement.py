"""How well two arrays of the same shape agree: what every other objective is made of."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from nmm.analysis import fc


def concordance(x: ArrayLike, y: ArrayLike) -> Float[Array, ""]:
    r"""Lin's concordance correlation: 1 on the line y = x, less for any scatter, shift or scale.

    $$\rho_c = \frac{2\,\mathrm{cov}(x, y)}
    {\mathrm{var}(x) + \mathrm{var}(y) + (\bar x - \bar y)^2}$$

    with moments of the population. Smooth, unless both are constant and equal, where it is 0 with
    zero gradient. A constant `x` or `y` gives 0; a NaN gives NaN.

    Reference: Lin, Biometrics 45:255 (1989).

    **Arguments:**

    - `x`, `y`: arrays of the same shape with at least 2 values.

    **Returns:**

    A similarity from -1 to 1.

    **Raises:**

    - `ValueError`: the shapes differ, or there are fewer than 2 values.
    """
    x, y = _as_pair(x, y, values=2)
    # Only differences matter. Taken from one value, equal constants become exactly 0.
    origin = x.ravel()[0]
    x, y = in_units_of(jnp.stack([x - origin, y - origin]), x - origin, y - origin)
    shift = x.mean() - y.mean()
    x, y = x - x.mean(), y - y.mean()
    spread = jnp.mean(x**2) + jnp.mean(y**2) + shift**2
    return 2 * jnp.mean(x * y) / jnp.where(spread == 0, 1, spread)


def correlation(x: ArrayLike, y: ArrayLike) -> Float[Array, ""]:
    """Pearson correlation over all values, blind to mean and scale.

    Smooth, unless `x` or `y` is constant up to rounding, where it is 0 with zero gradient. A NaN
    gives NaN.

    **Arguments:**

    - `x`, `y`: arrays of the same shape with at least 2 values.

    **Returns:**

    A similarity from -1 to 1.

    **Raises:**

    - `ValueError`: the shapes differ, or there are fewer than 2 values.
    """
    x, y = _as_pair(x, y, values=2)
    x, y = x / size_of(x), y / size_of(y)
    return fc(jnp.stack([x.ravel(), y.ravel()], axis=1))[0, 1]


def rmse(x: ArrayLike, y: ArrayLike) -> Float[Array, ""]:
    """Root of the mean squared difference over all values.

    Smooth away from `x == y`; there it has a kink like that of |x| at 0, and the gradient returned
    is 0. Constant values are nothing special; a NaN gives NaN.

    **Arguments:**

    - `x`, `y`: arrays of the same shape, not empty.

    **Returns:**

    A distance, in the unit of `x`.

    **Raises:**

    - `ValueError`: the shapes differ, or there are no values.
    """
    x, y = _as_pair(x, y, values=1)
    unit = size_of(x - y)
    square = jnp.mean(((x - y) / unit) ** 2)
    # The derivative of the root is infinite at 0; a `where` on the result alone would give NaN.
    return unit * jnp.where(square == 0, 0, jnp.sqrt(jnp.where(square == 0, 1, square)))


def cosine(x: ArrayLike, y: ArrayLike) -> Float[Array, ""]:
    """Cosine of the angle between two arrays, blind to their scale.

    Smooth, unless `x` or `y` is 0 throughout, where it is 0 with zero gradient. A NaN gives NaN.

    **Arguments:**

    - `x`, `y`: arrays of the same shape, not empty.

    **Returns:**

    A similarity from -1 to 1.

    **Raises:**

    - `ValueError`: the shapes differ, or there are no values.
    """
    x, y = _as_pair(x, y, values=1)
    x, y = x / size_of(x), y / size_of(y)
    square = jnp.sum(x**2) * jnp.sum(y**2)
    return jnp.sum(x * y) / jnp.sqrt(jnp.where(square == 0, 1, square))


def ks_distance(x: ArrayLike, y: ArrayLike) -> Float[Array, ""]:
    """Largest distance between the cumulative distributions of two samples (Kolmogorov–Smirnov).

    To be reported: it counts, so its gradient is 0 wherever it has one. For fits see `wasserstein`.
    Samples may differ in size, hold equal values, or be constant. A NaN gives NaN.

    **Arguments:**

    - `x`, `y`: samples of any shape, not empty.

    **Returns:**

    A distance from 0 to 1, that of `scipy.stats.ks_2samp`.

    **Raises:**

    - `ValueError`: a sample is empty.
    """
    _, apart, invalid = _distributions(x, y)
    return jnp.where(invalid, jnp.nan, jnp.max(jnp.abs(apart)))


def wasserstein(x: ArrayLike, y: ArrayLike) -> Float[Array, ""]:
    r"""Area between the cumulative distributions of two samples (Wasserstein-1, earth mover's).

    $$\int |F_x(v) - F_y(v)|\,dv$$

    For fits: the gradient says for each value which way it should move. Piecewise linear in the
    values: the gradient jumps where two of them change places, and where they are equal one of the
    possible gradients is returned. Constant samples are nothing special. A NaN gives NaN.

    **Arguments:**

    - `x`, `y`: samples of any shape, not empty.

    **Returns:**

    A distance in the unit of `x`, that of `scipy.stats.wasserstein_distance`.

    **Raises:**

    - `ValueError`: a sample is empty.
    """
    both, apart, invalid = _distributions(x, y)
    return jnp.where(invalid, jnp.nan, jnp.sum(jnp.abs(apart[:-1]) * jnp.diff(both)))


def size_of(values: Array) -> Float[Array, ""]:
    """The largest magnitude, 1 if that is 0, as a constant.

    Signals in tesla or volts are so small that their squares have no place in float32: what does
    not depend on the unit is computed in units of the size.
    """
    largest = jax.lax.stop_gradient(jnp.max(jnp.abs(values)))
    return jnp.where(largest == 0, 1, largest)


def in_units_of(reference: Array, *arrays: Array) -> tuple[Array, ...]:
    """Arrays in units of the size of a reference."""
    unit = size_of(reference)
    return tuple(array / unit for array in arrays)


def _distributions(x: ArrayLike, y: ArrayLike) -> tuple[Array, Array, Array]:
    """All values in order, the distance of the distributions at each, and whether any is NaN."""
    for name, sample in (("x", x), ("y", y)):
        if jnp.size(sample) == 0:
            raise ValueError(f"`{name}` must not be empty; got shape {jnp.shape(sample)}.")
    dtype = jnp.result_type(float, x, y)
    x, y = jnp.ravel(jnp.asarray(x, dtype)), jnp.ravel(jnp.asarray(y, dtype))
    both = jnp.sort(jnp.concatenate([x, y]))
    below = [
        jnp.searchsorted(jnp.sort(jax.lax.stop_gradient(sample)), both, side="right")
        for sample in (x, y)
    ]
    apart = below[0].astype(dtype) / x.size - below[1].astype(dtype) / y.size
    return both, apart, jnp.any(jnp.isnan(both))


def _as_pair(x: ArrayLike, y: ArrayLike, values: int) -> tuple[Array, Array]:
    if jnp.shape(x) != jnp.shape(y):
        raise ValueError(f"`x` and `y` must have one shape; got {jnp.shape(x)} and {jnp.shape(y)}.")
    if jnp.size(x) < values:
        raise ValueError(f"`x` and `y` need at least {values} values; got shape {jnp.shape(x)}.")
    dtype = jnp.result_type(float, x, y)
    return jnp.asarray(x, dtype), jnp.asarray(y, dtype)
