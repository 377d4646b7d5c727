from collections.abc import Callable
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from .._custom_types import Parameter
from .._declare import check_parameters, param
from ._base import as_normals, check_options
from ._diffusion import AbstractDiffusion, Interpretation
from ._intensities import Intensities, intensities


class Affine(eqx.Module):
    """The factor `slope * x + offset`; as it is, `x` itself."""

    slope: Parameter = param(1.0, unit="1", doc="by which the noise grows with the variable")
    offset: Parameter = param(0.0, unit="of the variable", doc="noise where the variable is 0")

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return self.slope * x + self.offset


class Multiplicative(AbstractDiffusion):
    r"""White noise whose strength depends on the variable that it acts on.

    $$dx = f\,dt + \sigma\,b(x)\,dW \quad\text{(Itô)}, \qquad
      dx = f\,dt + \sigma\,b(x) \circ dW \quad\text{(Stratonovich)}$$

    These are two different processes: of $dx = \sigma x\,dW$ the mean stays as it is by Itô, and
    grows as $e^{\sigma^2 t / 2}$ by Stratonovich. Which one is meant has to be said. A run gives
    that one by any solver: where the solver converges to the other, as `nmm.Heun` does for Itô,
    $\mp\tfrac12 \sigma^2 b\,b'$ is added to the drift.

    The Virtual Brain and tvboptim keep the factor of the start of a step through it, which is Itô
    by any of their solvers; `nmm.ItoHeun` repeats their Heun scheme step for step. The Virtual
    Brain: $\sigma = \sqrt{2\,\mathrm{nsig}}$, and $b$ by default `Affine()`; tvboptim:
    `factor=lambda x: 1 + 0.1 * abs(x)`.

    Reference: Kloeden, Platen (1992) Numerical Solution of Stochastic Differential Equations.

    **Arguments:**

    - one keyword for each noisy state variable, with its $\sigma$.
    - `interpretation`: `"ito"` or `"stratonovich"`.
    - `factor`: $b$, a function of the variable's value in each region; an `equinox.Module` such as
        `nmm.noise.Affine` has parameters that can be fitted.
    - `resolution`, `mixing`, `normals`: as of `nmm.noise.White`.

    **Raises:**

    - `TypeError` or `ValueError`, naming the argument, for what does not fit.
    """

    sigma: Intensities
    factor: Callable[[Array], Array]
    interpretation: Interpretation = eqx.field(static=True)
    resolution: float | int | None = eqx.field(static=True)
    mixing: Array | None
    normals: Array | None

    def __init__(
        self,
        *,
        interpretation: str | None = None,
        factor: Callable[[Array], Array] | None = None,
        resolution: float | int | None = None,
        mixing: ArrayLike | list | None = None,
        normals: ArrayLike | list | None = None,
        **sigma: Any,
    ):
        if interpretation not in ("ito", "stratonovich"):
            raise ValueError(
                "`interpretation` of `Multiplicative` should be 'ito' or 'stratonovich', which are "
                f"different processes; got {interpretation!r}."
            )
        if not sigma:
            raise ValueError(
                "`Multiplicative` should name its state variables, as in "
                '`Multiplicative(x=0.1, interpretation="ito")`.'
            )
        self.sigma = intensities(sigma)
        self.factor = Affine() if factor is None else factor
        self.interpretation = interpretation
        self.resolution = resolution
        self.mixing = as_normals(mixing)
        self.normals = as_normals(normals)

    def __check_init__(self) -> None:
        check_parameters(self)
        check_options(self)
        if not callable(self.factor):
            raise TypeError(
                "`factor` of `Multiplicative` should be a function of the variable, got "
                f"{self.factor!r}."
            )

    def diffusion(self, t: Any, state: Any) -> dict[str, Array]:
        del t
        return {
            name: sigma * self.factor(getattr(state, name))
            for name, sigma in vars(self.sigma).items()
        }


class Correction(eqx.Module):
    r"""The drift that turns one interpretation into the other, $\pm\tfrac12 g\,\partial g /
    \partial x$ of each noisy variable."""

    noise: AbstractDiffusion
    half: float = eqx.field(static=True)

    def __call__(self, t: Any, state: Any) -> dict[str, Array]:
        drift = {}
        for name in self.noise.variables:
            x = getattr(state, name)

            def factor(x: Array, name: str = name) -> Array:
                moved = eqx.tree_at(lambda s: getattr(s, name), state, x)
                return self.noise.diffusion(t, moved)[name]

            g, slope = jax.jvp(factor, (x,), (jnp.ones_like(x),))
            drift[name] = self.half * self._variance * g * slope
        return drift

    @property
    def _variance(self) -> Any:
        """Of the sources in each region, per ms."""
        mixing = self.noise.mixing
        return 1.0 if mixing is None else jnp.sum(mixing**2, axis=-1)


def corrections(diffusions: tuple[AbstractDiffusion, ...], solver: Any) -> tuple[Correction, ...]:
    """What is added to the drift so that this solver converges to what the noises mean.

    **Raises:**

    - `ValueError` if the solver does not converge at all with noise that depends on the state.
    """
    multiplicative = [noise for noise in diffusions if noise.interpretation is not None]
    if not multiplicative:
        return ()
    additive_only = isinstance(solver, diffrax.AbstractSRK) and solver.tableau.is_additive_noise()
    if isinstance(solver, diffrax.AbstractItoSolver):
        found, half = "ito", 0.5
    elif isinstance(solver, diffrax.AbstractStratonovichSolver) and not additive_only:
        found, half = "stratonovich", -0.5
    else:
        raise ValueError(
            "`solver` should be one for noise that depends on the state, such as `nmm.Heun()`, "
            f"`nmm.ItoHeun()` or `nmm.Euler()`; got `{type(solver).__name__}`."
        )
    return tuple(Correction(n, half) for n in multiplicative if n.interpretation != found)
