"""Local connectivity: from the distance of two nodes to the weight of their connection."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from ._custom_types import Parameter
from ._declare import check_parameters, param


class Gaussian(eqx.Module):
    r"""$A\,e^{-d^2 / 2 \sigma^2}$."""

    sigma: Parameter = param(10.0, unit="mm", doc="width", bounds=(0.1, 100.0))
    amplitude: Parameter = param(1.0, unit="1", doc="at distance 0", bounds=(0.0, 10.0))

    def __check_init__(self) -> None:
        check_parameters(self)

    def __call__(self, distance: Any) -> Array:
        return self.amplitude * jnp.exp(-((distance / self.sigma) ** 2) / 2)


class Exponential(eqx.Module):
    r"""$A\,e^{-d / \lambda}$."""

    length: Parameter = param(10.0, unit="mm", doc="decay length", bounds=(0.1, 100.0))
    amplitude: Parameter = param(1.0, unit="1", doc="at distance 0", bounds=(0.0, 10.0))

    def __check_init__(self) -> None:
        check_parameters(self)

    def __call__(self, distance: Any) -> Array:
        return self.amplitude * jnp.exp(-distance / self.length)


class MexicanHat(eqx.Module):
    r"""Laplacian of a Gaussian: near nodes excite, those farther than $\sqrt 2 \sigma$ inhibit.

    $$A\,\Big(1 - \frac{d^2}{2\sigma^2}\Big)\,e^{-d^2 / 2\sigma^2}$$

    Over a plane it integrates to 0.
    """

    sigma: Parameter = param(10.0, unit="mm", doc="width", bounds=(0.1, 100.0))
    amplitude: Parameter = param(1.0, unit="1", doc="at distance 0", bounds=(0.0, 10.0))

    def __check_init__(self) -> None:
        check_parameters(self)

    def __call__(self, distance: Any) -> Array:
        half = (distance / self.sigma) ** 2 / 2
        return self.amplitude * (1 - half) * jnp.exp(-half)
