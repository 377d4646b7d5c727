"""A loss of one model for several draws of the noise."""

from typing import Any

import equinox as eqx
import jax
import numpy as np

from nmm._custom_types import Key
from nmm.integrate._problem import check_key

from ._loss import RESIDUALS, Loss, call, check_call, outputs


@eqx.filter_jit
def _each(loss: Loss, model: Any, keys: Any) -> dict[str, Any]:
    return jax.vmap(lambda key: outputs(call(loss, model, key)))(keys)


def evaluate(loss: Loss, model: Any, key: Key, *, seeds: int = 8) -> dict[str, np.ndarray]:
    """Evaluates a loss for several draws of the noise, side by side.

    Candidates that are to be compared should have the same key, so that they differ by what they
    are and not by their noise; and it should be none that they were fitted with.

    **Arguments:**

    - `loss`: `loss(model, key)`, as in `fitting.fit`.
    - `model`: the model.
    - `key`: from which the keys are split.
    - `seeds`: how many.

    **Returns:**

    What the loss returns, by name, the draws in front: `evaluate(...)["loss"]` is `(seeds,)`.

    **Raises:**

    - `ValueError` if `seeds` is below 1.
    """
    if seeds < 1:
        raise ValueError(f"`seeds` should be at least 1, got {seeds}.")
    check_call(loss, has_key=True)
    check_key(key)
    values = jax.device_get(_each(loss, model, jax.random.split(key, seeds)))
    values.pop(RESIDUALS, None)
    return values
