from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from .._custom_types import Parameter
from .._declare import as_float, is_array_like
from ._base import AbstractDiffusion, check_variables


class White(AbstractDiffusion):
    r"""Additive white noise on state variables, $dx = f\,dt + \sigma\,dW$.

    Over a step of `dt` ms it adds $\sigma \sqrt{dt}\,\xi$ with standard normal $\xi$, whatever `dt`
    is. In the words of other packages: $\sigma = \sqrt{2\,\mathrm{nsig}}$ of The Virtual Brain,
    and brainmass's standard deviation a step times $\sqrt{dt}$.

    **Arguments:**

    - one keyword for each noisy state variable, with its $\sigma$ in the variable's unit per
        sqrt(ms): `White(S_e=0.01)`. A scalar, or one value a region.
    - `resolution`: see `nmm.noise.AbstractNoise`.

    **Raises:**

    - `TypeError` if a $\sigma$ is not a number, `ValueError` if no variable is named.
    """

    sigma: dict[str, Parameter]
    resolution: float | int | None = eqx.field(static=True)

    def __init__(self, *, resolution: float | int | None = None, **sigma: ArrayLike):
        if not sigma:
            raise ValueError("`White` should name its state variables, as in `White(S_e=0.01)`.")
        self.sigma = {name: as_float(value) for name, value in sigma.items()}
        self.resolution = resolution

    def __check_init__(self) -> None:
        for name, value in self.sigma.items():
            if not is_array_like(value):
                raise TypeError(f"`sigma` of {name!r} should be a number, got {value!r}.")

    @property
    def variables(self) -> tuple[str, ...]:
        return tuple(self.sigma)

    def check(self, node: Any) -> None:
        check_variables(node, self.variables)

    def draw_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (len(self.sigma), *shape)

    def combine(self, normals: Float[Array, "fine *shape"], dt: float) -> Float[Array, "*shape"]:
        del dt
        return jnp.sum(normals, axis=0) / jnp.sqrt(jnp.asarray(len(normals), normals.dtype))

    def diffusion(self, t: Any, state: Any) -> dict[str, Array]:
        del t, state  # additive
        return self.sigma
