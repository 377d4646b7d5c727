from typing import Any

import equinox as eqx
from jaxtyping import Array, ArrayLike

from .._declare import check_parameters
from ._base import as_normals, check_options
from ._diffusion import AbstractDiffusion
from ._intensities import Intensities, intensities


class White(AbstractDiffusion):
    r"""Additive white noise on state variables, $dx = f\,dt + \sigma\,dW$.

    Over a step of `dt` ms it adds $\sigma \sqrt{dt}\,\xi$ with standard normal $\xi$, whatever `dt`
    is. In the words of other packages: $\sigma = \sqrt{2\,\mathrm{nsig}}$ of The Virtual Brain,
    and brainmass's standard deviation a step times $\sqrt{dt}$.

    **Arguments:**

    - one keyword for each noisy state variable, with its $\sigma$ in the variable's unit per
        sqrt(ms): `White(S_e=0.01)`. A scalar, or one value a region.
    - `resolution`, `mixing`, `normals`: see `nmm.noise.AbstractNoise`. `draw_shape` is
        `(variables, regions)`, in the order of the keywords.

    **Raises:**

    - `TypeError` if a $\sigma$ is not a number, `ValueError` if no variable is named.
    """

    sigma: Intensities
    resolution: float | int | None = eqx.field(static=True)
    mixing: Array | None
    normals: Array | None

    def __init__(
        self,
        *,
        resolution: float | int | None = None,
        mixing: ArrayLike | list | None = None,
        normals: ArrayLike | list | None = None,
        **sigma: Any,
    ):
        if not sigma:
            raise ValueError("`White` should name its state variables, as in `White(S_e=0.01)`.")
        self.sigma = intensities(sigma)
        self.resolution = resolution
        self.mixing = as_normals(mixing)
        self.normals = as_normals(normals)

    def __check_init__(self) -> None:
        check_parameters(self)
        check_options(self)

    @property
    def interpretation(self) -> None:
        return None

    def diffusion(self, t: Any, state: Any) -> dict[str, Array]:
        del t, state  # additive
        return dict(vars(self.sigma))
