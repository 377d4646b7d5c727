"""One step of a fit, as a pure function."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int, PyTree

from nmm._custom_types import Key

from ._gradient import Mode, value_and_gradient
from ._loss import LOSS, RESIDUALS, Loss, mean_over_seeds, split, with_parts
from ._parameters import Parameters


class Record(eqx.Module):
    """What a step reports.

    **Attributes:**

    - `row`: by name, the loss, the norm of its gradient, the values at which these were taken (not
        those to which they led), and the parts of the loss.
    - `finite`: whether the loss, and by path the gradient and the update, were finite.
    """

    row: dict[str, Array]
    finite: dict[str, Any]

    @property
    def good(self) -> Bool[Array, ""]:
        """Whether everything was finite."""
        return jnp.all(jnp.stack(jax.tree.leaves(self.finite)))


class Training(eqx.Module):
    """What does not change from step to step: all of `fitting.fit` but its loop."""

    loss: Loss
    parameters: Parameters
    optimizer: optax.GradientTransformation
    fresh_noise: bool
    mode: Mode
    seeds: int = 1

    def init(self) -> tuple[PyTree, PyTree]:
        """The free parameters in unconstrained numbers, and the state of the optimiser."""
        x = self.parameters.to_unconstrained(self.parameters.start)
        return x, self.optimizer.init(x)

    def step(
        self, x: PyTree, state: PyTree, key: Key | None, n: int | Int[Array, ""]
    ) -> tuple[PyTree, PyTree, Record]:
        """Step number `n`, which can be vmapped. One that is not finite changes nothing."""
        if key is not None and self.fresh_noise:
            key = jr.fold_in(key, n)

        def objective(x: PyTree) -> tuple[Float[Array, ""], dict[str, Array]]:
            model = self.parameters.model_at(x)
            value, parts = split(mean_over_seeds(self.loss, model, key, self.seeds))
            parts.pop(RESIDUALS, None)
            return value, parts

        value, parts, gradient = value_and_gradient(objective, x, self.mode)
        # Line searches ask for the value and the function, other optimisers leave them alone.
        updates, new_state = optax.with_extra_args_support(self.optimizer).update(
            gradient, state, x, value=value, grad=gradient, value_fn=lambda x: objective(x)[0]
        )
        new_x = optax.apply_updates(x, updates)
        own = {LOSS: value, "gradient_norm": jnp.linalg.norm(ravel_pytree(gradient)[0])}
        own |= self.parameters.reported(x)
        finite = {
            "loss": jnp.isfinite(value),
            "gradient": _finite(gradient),
            "update": _finite(updates),
        }
        record = Record(with_parts(own, parts), finite)
        new_x, new_state = jax.tree.map(
            lambda new, old: jnp.where(record.good, new, old), (new_x, new_state), (x, state)
        )
        return new_x, new_state, record


def _finite(arrays: PyTree) -> PyTree:
    return jax.tree.map(lambda array: jnp.all(jnp.isfinite(array)), arrays)
