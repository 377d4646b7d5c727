"""Weighted sum of several terms that keeps them apart for the report."""

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float


def combine(
    **terms: tuple[ArrayLike, ArrayLike],
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Weighted sum of named terms, and each term by itself.

    It takes values, not functions, so that all terms share one simulation, and returns what a loss
    with auxiliary output returns:

        def loss(net, key):
            sol = nmm.simulate(net, ...)
            return fitting.objectives.combine(
                fc=(1.0, 1 - fitting.objectives.fc_concordance(sol["bold"], empirical_fc)),
                rates=(0.1, fitting.objectives.rate_penalty(sol["rate"].mean(axis=0), 1.0, 10.0)),
            )

    As smooth as its terms. A NaN in any term gives NaN, even under weight 0.

    **Arguments:**

    - `**terms`: for each name a pair `(weight, value)` of scalars. Similarities, where more is
        better, enter as `1 - value`.

    **Returns:**

    `(loss, parts)`: the weighted sum, and a dictionary of the unweighted values by name.

    **Raises:**

    - `ValueError`: there is no term, or one of them is not a pair of scalars.
    """
    if not terms:
        raise ValueError("`combine` needs at least one term, such as `fc=(1.0, value)`.")
    for name, term in terms.items():
        if not isinstance(term, tuple) or [jnp.shape(part) for part in term] != [(), ()]:
            raise ValueError(f"`{name}` must be a pair (weight, value) of scalars; got {term}.")
    parts = {name: jnp.asarray(value) for name, (_, value) in terms.items()}
    loss = sum(weight * parts[name] for name, (weight, _) in terms.items())
    return jnp.asarray(loss), parts
