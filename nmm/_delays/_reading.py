"""How a value between two grid points is read from those around it."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

READINGS = ("linear", "nearest", "cubic")
"""`"linear"` between two points, second order; `"nearest"`, of the rounded delay, first order;
`"cubic"` through four points, fourth order."""

_POINTS = {"nearest": 1, "linear": 2, "cubic": 4}


def points(reading: str) -> int:
    """How many grid points a value is read from."""
    return _POINTS[reading]


def whole_steps(delay: np.ndarray, reading: str) -> np.ndarray:
    """The lag of the latest grid point that is read, for delays in steps that are known."""
    # Rounding, of float32 say, must not make another plan.
    whole = np.rint(delay) if reading == "nearest" else np.floor(delay * (1 + 1e-6) + 1e-9)
    return whole.astype(np.int32)


def fractions(fraction: Float[Array, "*shape"], reading: str) -> list[Float[Array, "*shape"]]:
    """The weight of each grid point, latest first, for a value `fraction` steps before the latest.

    Of a cubic, all points but the latest lie before the value, since the next one may not be known
    yet.
    """
    f = fraction
    if reading == "nearest":
        return [jnp.ones_like(f)]
    if reading == "linear":
        return [1 - f, f]
    return [
        (1 - f) * (2 - f) * (3 - f) / 6,
        f * (2 - f) * (3 - f) / 2,
        -f * (1 - f) * (3 - f) / 2,
        f * (1 - f) * (2 - f) / 6,
    ]
