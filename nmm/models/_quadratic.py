"""The exact mean field of quadratic integrate-and-fire neurons, which several models extend."""

import math
from typing import Any

from jaxtyping import Array


def quadratic_mean_field(
    r: Array, v: Array, tau: Any, Delta: Any, current: Array
) -> tuple[Array, Array]:
    r"""The derivatives of rate and potential, per unit of `tau`.

    $$\tau \dot r = \frac{\Delta}{\pi \tau} + 2 r v, \qquad
      \tau \dot v = v^2 - (\pi \tau r)^2 + \text{current}$$

    Reference: Montbrio, Pazo, Roxin (2015) Physical Review X 5:021028.
    """
    rate = (Delta / (math.pi * tau) + 2 * r * v) / tau
    return rate, (v**2 - (math.pi * tau * r) ** 2 + current) / tau
