"""Agreement of simulated and empirical functional connectivity, over the upper triangle."""

from collections.abc import Callable
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float

from nmm.analysis import fc, upper_triangle
from nmm.analysis._signal import as_series

from ._agreement import concordance, correlation, rmse
from ._data import Preprocessing, check_finite

_Kind: TypeAlias = Literal["series", "fc"]
_Edges: TypeAlias = Float[Array, " edges"]


@runtime_checkable
class FCObjective(Protocol):
    """What all comparisons of FC take."""

    def __call__(
        self,
        simulated: ArrayLike,
        empirical: ArrayLike,
        *,
        preprocess: Preprocessing = None,
        simulated_is: _Kind | None = None,
        empirical_is: _Kind = "fc",
    ) -> Float[Array, ""]: ...


_ARGUMENTS = """
    **Arguments:**

    - `simulated`: series `(time, regions)`, or a matrix `(regions, regions)` with
        `simulated_is="fc"`.
    - `empirical`: FC `(regions, regions)`, whose diagonal is ignored, or a series
        `(time, regions)` with `empirical_is="series"`.
    - `preprocess`: applied to whatever is given as a series, such as an
        `nmm.analysis.Preprocess`. An empirical FC must have had the same treatment already.
    - `simulated_is`: `"series"` (default) or `"fc"`. What it is, is never guessed: a square
        `simulated` is refused until this says which.
    - `empirical_is`: `"fc"` or `"series"`.

    **Raises:**

    - `ValueError`: the numbers of regions differ or are below REGIONS; a series has fewer than 2
        samples; an FC is not square; the empirical one is not symmetric within [-1, 1] or not
        finite; `preprocess` has no series to act on.
    """


def _over_edges(regions: int) -> Callable[[Callable[[_Edges, _Edges], Array]], FCObjective]:
    """Turns a measure of agreement between edges into one between series or matrices."""

    def decorate(agreement: Callable[[_Edges, _Edges], Array]) -> FCObjective:
        def objective(
            simulated: ArrayLike,
            empirical: ArrayLike,
            *,
            preprocess: Preprocessing = None,
            simulated_is: _Kind | None = None,
            empirical_is: _Kind = "fc",
        ) -> Float[Array, ""]:
            kinds = simulated_is, empirical_is
            return agreement(*_edges_of_both(simulated, empirical, preprocess, *kinds, regions))

        arguments = _ARGUMENTS.replace("REGIONS", str(regions))
        objective.__doc__ = (agreement.__doc__ or "").rstrip() + "\n" + arguments
        objective.__name__ = objective.__qualname__ = agreement.__name__
        return objective

    return decorate


@_over_edges(regions=3)
def fc_concordance(x: _Edges, y: _Edges) -> Array:
    """Lin's concordance between the simulated and the empirical FC: pattern and level together.

    The choice for fits: minimise `1 - fc_concordance(sol["bold"], empirical_fc)`. A correlation is
    blind to the level of FC, so a fit of it drifts to an FC too weak to be seen in finite runs.

    Smooth. A silent region counts as FC 0 with zero gradient; identical series give 1. A NaN in the
    simulation gives NaN; one in the data is an error (unless the data are traced, then it too gives
    NaN). Two samples are accepted, but every FC of two samples is -1, 0 or 1.

    Reference: Lin, Biometrics 45:255 (1989).

    **Returns:**

    A similarity from -1 to 1.
    """
    return concordance(x, y)


@_over_edges(regions=3)
def fc_correlation(x: _Edges, y: _Edges) -> Array:
    """Pearson correlation between the simulated and the empirical FC: pattern without level.

    To be reported; for fits see `fc_concordance`. Smooth, unless one of the FCs is the same on all
    edges (every region silent, say), where it is 0 with zero gradient. Silent regions and NaN are
    treated as in `fc_concordance`.

    **Returns:**

    A similarity from -1 to 1.
    """
    return correlation(x, y)


@_over_edges(regions=2)
def fc_rmse(x: _Edges, y: _Edges) -> Array:
    """Root mean squared difference between the simulated and the empirical FC.

    Over the upper triangle; packages that average over the whole matrix report it smaller by
    `sqrt((N - 1) / N)`. Smooth away from a perfect fit, where the gradient returned is 0. Silent
    regions and NaN are treated as in `fc_concordance`.

    **Returns:**

    A distance from 0 to 2.
    """
    return rmse(x, y)


@_over_edges(regions=2)
def fc_fisher_z(x: _Edges, y: _Edges) -> Array:
    r"""Root mean squared difference of Fisher's $z = \operatorname{artanh} r$ of FC.

    In $z$ the sampling error of strong and of weak correlations is the same, $1/\sqrt{T - 3}$ for T
    independent samples, so that strong ones weigh more than in `fc_rmse`. Correlations beyond
    ±0.999 (two regions that are the same, or two samples) count as ±0.999, with zero gradient.
    Otherwise smooth away from a perfect fit, where the gradient returned is 0. Silent regions and
    NaN are treated as in `fc_concordance`.

    **Returns:**

    A distance of at least 0.
    """
    return rmse(*(jnp.arctanh(jnp.clip(r, -0.999, 0.999)) for r in (x, y)))


def _edges_of_both(
    simulated: ArrayLike,
    empirical: ArrayLike,
    preprocess: Preprocessing,
    simulated_is: _Kind | None,
    empirical_is: _Kind,
    regions: int,
) -> tuple[_Edges, _Edges]:
    shapes = jnp.shape(simulated), jnp.shape(empirical)
    if simulated_is is None:
        if len(shapes[0]) == 2 and shapes[0][0] == shapes[0][1]:
            raise ValueError(
                f"`simulated` is square, {shapes[0]}: pass `simulated_is='fc'` if it is functional "
                "connectivity, `simulated_is='series'` if it is (time, regions)."
            )
        simulated_is = "series"
    if preprocess is not None and "series" not in (simulated_is, empirical_is):
        raise ValueError("`preprocess` acts on series; got functional connectivity on both sides.")
    if empirical_is == "series":
        check_finite(empirical, "empirical")
    x = _edges(simulated, "simulated", simulated_is, preprocess)
    y = _edges(empirical, "empirical", empirical_is, preprocess)
    if empirical_is == "fc":
        _check_empirical_fc(empirical)
    if shapes[0][1] != shapes[1][1] or shapes[0][1] < regions:
        raise ValueError(
            "`simulated` and `empirical` must hold the same regions in the same order, at least "
            f"{regions}; got {shapes[0][1]} and {shapes[1][1]} (shapes {shapes[0]}, {shapes[1]})."
        )
    return x, y


def _edges(values: ArrayLike, name: str, kind: _Kind, preprocess: Preprocessing) -> _Edges:
    if kind == "series":
        series = as_series(values, name)
        return upper_triangle(fc(series if preprocess is None else preprocess(series)))
    if kind != "fc":
        raise ValueError(f"`{name}_is` must be 'series' or 'fc'; got {kind!r}.")
    shape = jnp.shape(values)
    if len(shape) != 2 or shape[0] != shape[1]:
        raise ValueError(
            f"`{name}` must be functional connectivity, (regions, regions); got shape {shape}. "
            f"For a series (time, regions) pass `{name}_is='series'`."
        )
    return upper_triangle(values)


def _check_empirical_fc(empirical: ArrayLike) -> None:
    if isinstance(empirical, Tracer):
        return
    matrix = np.asarray(empirical)
    above = np.triu_indices(len(matrix), k=1)
    check_finite(matrix[above], "empirical")
    # The tolerance allows for tables saved with three digits.
    if not np.allclose(matrix[above], matrix.T[above], rtol=0, atol=2e-3):
        raise ValueError("`empirical` must be functional connectivity, but it is not symmetric.")
    if np.any(np.abs(matrix[above]) > 1.001):
        raise ValueError(
            "`empirical` must hold correlations, within [-1, 1]; got values up to "
            f"{np.abs(matrix[above]).max():g}. Fisher-z values go back by `tanh`."
        )
