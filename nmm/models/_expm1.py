"""The exponential minus 1, exact to the last digits also near 0, at half the usual cost."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

_PER_LN2 = np.float32(1 / np.log(2))
_LARGE = np.float32(1.5 * 2**23)
# ln 2 as a number of few digits, whose multiples are exact, and the rest.
_LN2 = np.array([0.693359375, -2.1219444e-4], np.float32)
# Of (e^r - 1 - r) / r^2 for |r| <= ln(2) / 2, highest power first: by least squares, with the
# weights of a relative error. They are near Taylor's 1/720, 1/120, 1/24, 1/6, 1/2.
_SERIES = np.array([0.0013858159, 0.0083666751, 0.041667596, 0.16666542, 0.49999997], np.float32)


def expm1(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    r"""$e^x - 1$ for $|x| \le 80$, with full relative precision also for small $x$.

    With $x = n \ln 2 + r$ it is $2^n (e^r - 1) + 2^n - 1$. In float32 these are a few products
    without a branch: on a CPU half the time of `jnp.expm1`, which takes all other types.
    """
    if x.dtype != jnp.float32:
        return jnp.expm1(x)
    # A number of this size has no digits after the point: the last bits of the sum are an integer.
    bits = jax.lax.bitcast_convert_type(x * _PER_LN2 + _LARGE, jnp.int32)
    n = bits - _LARGE.view(np.int32)
    # 2^n by its bits: its exponent, n + 127, begins at bit 23.
    power = jax.lax.bitcast_convert_type((n + 127) << 23, jnp.float32)
    n = n.astype(jnp.float32)
    r = (x - n * _LN2[0]) - n * _LN2[1]
    series = _SERIES[0]
    for coefficient in _SERIES[1:]:
        series = series * r + coefficient
    return power * (r + r * r * series) + (power - 1)
