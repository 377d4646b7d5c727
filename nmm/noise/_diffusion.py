"""The contract of white noise."""

import abc
from typing import Any, Literal

import equinox as eqx
from jaxtyping import Array, Float

from .._declare import declarations
from ._base import AbstractNoise
from ._intensities import Intensities
from ._ornstein_uhlenbeck import combine_white

Interpretation = Literal["ito", "stratonovich"]


class AbstractDiffusion(AbstractNoise):
    """White noise, $g(t, x)\\,dW$ on state variables.

    The factor of a variable may depend on all variables of its region, and on no other region.

    **Attributes:**

    - `sigma`: the intensity of each noisy state variable.
    - `interpretation`: what the stochastic integral means, `"ito"` or `"stratonovich"`; `None` for
        additive noise, where both are the same.
    """

    sigma: eqx.AbstractVar[Intensities]
    interpretation: eqx.AbstractVar[Any]

    @abc.abstractmethod
    def diffusion(self, t: Any, state: Any) -> dict[str, Array]:
        """The factor $g$ of each noisy state variable, in its unit per sqrt(ms)."""

    @property
    def variables(self) -> tuple[str, ...]:
        """The noisy state variables."""
        return self.sigma.variables

    def check(self, node: Any) -> None:
        known = list(declarations(node.State))
        for name in self.variables:
            if name not in known:
                raise ValueError(
                    f"White noise should act on state variables of `{type(node).__name__}`, some "
                    f"of {known}, got {name!r}."
                )

    def draw_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (len(self.variables), *shape)

    def combine(self, normals: Float[Array, "fine *shape"], dt: float) -> Float[Array, "*shape"]:
        del dt
        return combine_white(normals)
