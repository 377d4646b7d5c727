"""Effective connectivity: the weight of each edge, from functional connectivity and its lags."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from nmm._custom_types import Key

from . import _paths
from ._loss import call
from ._progress import progress_bar

Connectivity = Callable[..., Float[Array, "lags regions regions"]]


def effective_connectivity(
    connectivity: Connectivity,
    model: Any,
    empirical: ArrayLike,
    *,
    rates: Sequence[float] = (0.002, 0.0005),
    edges: ArrayLike | None = None,
    path: str = "connectome.weights",
    keep_largest: bool = False,
    steps: int = 1000,
    key: Key | None = None,
    progress: bool = True,
) -> tuple[Any, np.ndarray]:
    r"""Fits the weights of existing edges to functional connectivity, without a gradient.

    Where two regions agree less than they should, the edge between them grows, and otherwise it
    shrinks, but not below 0:

    $$W_{ij} \leftarrow \max\Bigl(0,\; W_{ij} + w \sum_\ell \epsilon_\ell
    \bigl[F^\ell_{ij} - \hat F^\ell_{ij}(W)\bigr]\Bigr)$$

    with the correlations $F^\ell$ of the data and $\hat F^\ell$ of the model at each lag, and the
    largest weight $w$ at the start. Those without lag are symmetric; a lag tells the two directions
    of an edge apart.

    ```python
    def connectivity(net):
        response = nmm.analysis.linear_response(net, save=["x"])
        lagged = response.lagged_covariance(jnp.array([0.0, 2000.0]))
        scale = jnp.sqrt(jnp.diag(lagged[0]))
        return lagged / (scale[:, None] * scale)

    net, errors = fitting.effective_connectivity(connectivity, net, empirical)
    ```

    The rule takes more of the model than that an edge makes two regions alike: it suits diffusive
    and excitatory coupling. It ends near the least error, which `fitting.fit` reaches by gradient:
    with `fitting.Masked(weights > 0, fitting.Positive())` as the constraint of the weights.

    Reference: Kringelbach et al., Science Advances 9:eade6049 (2023), with rates of 0.0004 and
    0.0001 for weights of at most 0.2.

    **Arguments:**

    - `connectivity`: of a model, by `connectivity(model)`, or of a run on noise that is new in each
        step, by `connectivity(model, key)`. One matrix a lag, row = the region that is later, as
        from `nmm.analysis.lagged_covariance`; all differences should be of order 1.
    - `model`: the one to begin with.
    - `empirical`: what it should be, `(lags, regions, regions)`.
    - `rates`: $\epsilon_\ell$, of each lag.
    - `edges`: True where a weight is free, `(regions, regions)` as `[target, source]`; by default
        where it is not 0.
    - `path`: of the weights, a dense matrix.
    - `keep_largest`: whether all weights are scaled after each step such that the largest stays
        what it was, as published. The level is then left to the coupling.
    - `steps`: how many.
    - `key`: of the noise; left out for a `connectivity` without.
    - `progress`: whether to show a bar.

    **Returns:**

    The model with the lowest error, and the error before each step, `(steps,)`: the root of the
    mean squared difference, over lags and pairs of regions.

    **Raises:**

    - `ValueError` if the shapes of `empirical`, `edges`, the weights and what `connectivity`
        returns differ, if there is not one rate for each lag, or if no edge is free.
    - `FloatingPointError` if `connectivity` is not finite.
    """
    target = jnp.asarray(empirical)
    start = _paths.read(model, path)[path]
    if target.ndim != 3 or jnp.shape(start) != target.shape[1:]:
        raise ValueError(
            "`empirical` should be (lags, regions, regions), with the regions of the weights "
            f"`{path}`, {jnp.shape(start)}; got {target.shape}."
        )
    if len(rates) != len(target):
        raise ValueError(f"`rates` should hold {len(target)}, one for each lag, got {len(rates)}.")
    if steps < 1:
        raise ValueError(f"`steps` should be at least 1, got {steps}.")
    free = np.asarray(start) != 0 if edges is None else np.asarray(edges)
    if free.dtype != bool or free.shape != start.shape or not free.any():
        raise ValueError(
            f"`edges` should be booleans of the shape {start.shape}, at least one of them True; "
            f"got {free.dtype} of the shape {free.shape} with {np.count_nonzero(free)}."
        )
    apart = ~np.eye(len(start), dtype=bool)
    largest = jnp.max(start)
    step_sizes = largest * jnp.asarray(rates, target.dtype)

    @eqx.filter_jit
    def step(weights: Array, key: Key | None) -> tuple[Array, Array]:
        """The weights after a step, and the error before it."""
        found = call(connectivity, _paths.replace(model, {path: weights}), key)
        if jnp.shape(found) != target.shape:
            raise ValueError(
                f"`connectivity` should return the shape of `empirical`, {target.shape}, got "
                f"{jnp.shape(found)}."
            )
        difference = target - found
        moved = jnp.maximum(weights + jnp.tensordot(step_sizes, difference, 1), 0)
        moved = jnp.where(free, moved, weights)
        if keep_largest:
            moved = jnp.where(free, moved * largest / jnp.max(moved), weights)
        return moved, jnp.sqrt(jnp.mean(difference[:, apart] ** 2))

    weights, best, errors = start, start, np.full(steps, np.inf)
    with progress_bar(steps, "effective connectivity", progress) as bar:
        for i in range(steps):
            before = weights
            weights, error = step(weights, None if key is None else jax.random.fold_in(key, i))
            if not np.isfinite(error):
                raise FloatingPointError(f"`connectivity` is not finite in step {i}.")
            best = before if error < errors.min() else best
            errors[i] = error
            bar.update()
    return _paths.replace(model, {path: best}), errors
