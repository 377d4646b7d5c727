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

    Conditions or subjects are terms like any others, each with a simulation of its own:
    `combine(**{name: (1 / len(data), one(net, fc, key)) for name, fc in data.items()})`.

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


def residuals(
    **terms: tuple[ArrayLike, ArrayLike],
) -> tuple[Float[Array, ""], dict[str, Float[Array, "..."]]]:
    r"""Half the sum of squared residuals, with the residuals for methods of least squares.

    Each term is an array of differences and the size of a typical one, such as the standard error
    of the data; then the value is minus a normal log-likelihood, up to a constant.

        def loss(model):
            trace = nmm.simulate(model, ...)["x"]
            return fitting.objectives.residuals(trace=(0.1, trace - recorded))

        fitting.fit(loss, model, ["tau"], optimizer=optimistix.LevenbergMarquardt(1e-6, 1e-6))

    As smooth as its terms. A NaN in any term gives NaN.

    **Arguments:**

    - `**terms`: for each name a pair `(scale, differences)`; `scale` is a scalar or has the shape
        of the differences.

    **Returns:**

    `(loss, parts)`: the value, and a dictionary with the mean square of each term by name, and
    `"residuals"`, which fits take out again.

    **Raises:**

    - `ValueError`: there is no term, or one of them is not a pair.
    """
    if not terms:
        raise ValueError("`residuals` needs at least one term, such as `trace=(1.0, x - y)`.")
    for name, term in terms.items():
        if not isinstance(term, tuple) or len(term) != 2:
            raise ValueError(f"`{name}` must be a pair (scale, differences); got {term}.")
    scaled = {name: jnp.asarray(x) / jnp.asarray(scale) for name, (scale, x) in terms.items()}
    every = jnp.concatenate([jnp.ravel(x) for x in scaled.values()])
    parts = {name: jnp.mean(x**2) for name, x in scaled.items()}
    return 0.5 * jnp.sum(every**2), {**parts, "residuals": every}
