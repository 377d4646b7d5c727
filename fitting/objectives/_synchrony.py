"""Agreement of phases: which regions go together, and how much all of them do."""

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from nmm.analysis import kuramoto_order, phase_locking, upper_triangle

from ._agreement import rmse
from ._data import Preprocessing, as_pair


def phase_locking_rmse(
    simulated: ArrayLike, empirical: ArrayLike, *, preprocess: Preprocessing = None
) -> Float[Array, ""]:
    """Root mean squared difference of phase-locking values, over all pairs of regions.

    Smooth away from a perfect fit, where the gradient returned is 0, and where no signal vanishes.
    A silent region has 0 with every other, with zero gradient. A NaN in the simulation gives NaN,
    one in the data is an error. The two may differ in length, but short series lock by chance.

    **Arguments:**

    - `simulated`, `empirical`: series `(time, regions)` of the same regions, at least 2.
    - `preprocess`: applied to both; it should end in a narrow band, where phases mean something:
        `nmm.analysis.Preprocess(band=..., tr=...)`.

    **Returns:**

    A distance from 0 to 1.

    **Raises:**

    - `ValueError`: the regions differ, or a series is too short; the data hold a NaN.
    """
    x, y = as_pair(simulated, empirical, preprocess)
    if x.shape[1] < 2:
        raise ValueError(
            f"`simulated` and `empirical` must hold at least 2 regions; got shape {x.shape}."
        )
    return rmse(upper_triangle(phase_locking(x)), upper_triangle(phase_locking(y)))


def synchrony_error(
    simulated: ArrayLike, empirical: ArrayLike, *, preprocess: Preprocessing = None
) -> Float[Array, ""]:
    """Squared differences of synchrony and of metastability, added up.

    Those are the mean and the standard deviation over time of the Kuramoto order parameter; the
    time course itself is not compared. Smooth where no signal vanishes. Silent regions contribute
    nothing to the order. NaN and length as in `phase_locking_rmse`.

    **Arguments:** and **Raises:** as in `phase_locking_rmse`.

    **Returns:**

    A distance of at least 0.
    """
    moments = []
    for series in as_pair(simulated, empirical, preprocess):
        order = kuramoto_order(series)
        variance = jnp.var(order)
        deviation = jnp.where(variance == 0, 0, jnp.sqrt(jnp.where(variance == 0, 1, variance)))
        moments.append(jnp.stack([jnp.mean(order), deviation]))
    return jnp.sum((moments[0] - moments[1]) ** 2)
