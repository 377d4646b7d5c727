"""Objectives of linear responses: how far from instability, and how likely data are."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float

from nmm.analysis import FixedPoint, LinearResponse

from ._data import check_finite


def stability_penalty(
    response: LinearResponse | FixedPoint, slowest: float | int = 2000.0
) -> Float[Array, ""]:
    r"""Squared excess of the slowest time constant over a limit: keeps a fit from the edge.

    $$\max(0,\ 1 + \tau \lambda)^2$$

    with the leading eigenvalue's real part $\lambda$ and the limit $\tau$. Exactly 0 as long as
    every mode decays within `slowest`; 1 at the edge of stability, and larger beyond it, with a
    gradient that leads back. Continuously differentiable, except where the leading eigenvalue
    changes place with another. Beyond the edge a response with `throw=False` is silent and has no
    gradient, so that this alone moves a fit:

        def loss(net):
            response = nmm.analysis.linear_response(net, save={"bold": bold}, throw=False)
            fc = fitting.objectives.fc_concordance(response.fc(), empirical, simulated_is="fc")
            edge = fitting.objectives.stability_penalty(response)
            return fitting.objectives.combine(fc=(1.0, 1 - fc), edge=(1.0, edge))

    **Arguments:**

    - `response`: from `nmm.analysis.linear_response` or `nmm.analysis.fixed_point`.
    - `slowest`: the longest time constant that is allowed, in ms.

    **Returns:**

    The penalty, at least 0, without unit.

    **Raises:**

    - `ValueError`: `slowest` is not positive.
    """
    if not slowest > 0:
        raise ValueError(f"`slowest` must be a positive number of ms; got {slowest}.")
    return jax.nn.relu(1 + slowest * response.growth) ** 2


def wishart(
    covariance: Float[Array, "channels channels"], empirical: ArrayLike, samples: float | int
) -> Float[Array, ""]:
    r"""Negative log-likelihood of an empirical covariance under a model's, up to a constant.

    $$\frac{n}{2} \left(\ln\det\Sigma + \mathrm{tr}(\Sigma^{-1} S) - \ln\det S - N\right)$$

    That of `samples` independent normal samples (the Wishart distribution); 0 at a perfect fit.
    Samples of a slow signal are not independent: count as many as there are independent ones, or
    standard errors come out too small. Covariances of signals that mix each other need full rank.

    Smooth. Where the model's covariance is not positive definite, such as in the silence of an
    unstable response, it is infinite with zero gradient.

    **Arguments:**

    - `covariance`: the model's, `response.covariance("bold")`.
    - `empirical`: of the data, in the same unit.
    - `samples`: $n$, how many independent samples the data are worth.

    **Returns:**

    The negative log-likelihood, at least 0.

    **Raises:**

    - `ValueError`: the shapes differ, `samples` is not positive, or `empirical` is not finite and
        positive definite.
    """
    if jnp.shape(covariance) != jnp.shape(empirical):
        raise ValueError(
            "`covariance` and `empirical` must have one shape; got "
            f"{jnp.shape(covariance)} and {jnp.shape(empirical)}."
        )
    if not samples > 0:
        raise ValueError(f"`samples` must be positive; got {samples}.")
    check_finite(empirical, "empirical")
    if not isinstance(empirical, Tracer) and np.linalg.eigvalsh(np.asarray(empirical)).min() <= 0:
        raise ValueError(
            "`empirical` must be positive definite: give data with more samples than channels, and "
            "no average reference or regression of the global signal."
        )
    observed = jnp.asarray(empirical, covariance.dtype)
    # In units of the data, so that very small signals (volts, tesla) keep their digits.
    root = jnp.linalg.cholesky(observed)
    inverse = jax.scipy.linalg.solve_triangular(
        root, jnp.eye(len(root), dtype=root.dtype), lower=True
    )
    relative = inverse @ covariance @ inverse.T
    defined = jnp.all(jnp.isfinite(jnp.linalg.cholesky(jax.lax.stop_gradient(relative))))
    safe = jnp.where(defined, relative, jnp.eye(len(relative), dtype=relative.dtype))
    factor = jnp.linalg.cholesky(safe)
    spread = jax.scipy.linalg.solve_triangular(
        factor, jnp.eye(len(factor), dtype=factor.dtype), lower=True
    )
    log_det = 2 * jnp.sum(jnp.log(jnp.diagonal(factor)))
    value = samples / 2 * (log_det + jnp.sum(spread**2) - len(factor))
    return jnp.where(defined, value, jnp.inf)


def whittle(
    spectrum: Float[Array, "frequencies *channels"],
    empirical: ArrayLike,
    segments: float | int = 1.0,
) -> Float[Array, ""]:
    r"""Negative log-likelihood of a power spectrum under a model's, up to a constant.

    $$K \sum_{f, i} \left(\ln\frac{S_i(f)}{P_i(f)} + \frac{P_i(f)}{S_i(f)} - 1\right)$$

    Whittle's: periodograms at different frequencies are independent, and exponentially distributed
    about the spectrum; averages over `segments` of them, gamma distributed. 0 at a perfect fit.
    Channels count as independent, too: where they are not, standard errors come out too small.
    Frequencies should be as far apart as the resolution of the data, and exclude 0 Hz, where the
    mean was taken out.

    Smooth. Where the model has no power, as in the silence of an unstable response, it is infinite
    with zero gradient.

    Reference: Whittle (1953) Arkiv för Matematik 2:423.

    **Arguments:**

    - `spectrum`: the model's at some frequencies, `response.spectrum(frequencies)`.
    - `empirical`: the power of the data at the same frequencies.
    - `segments`: $K$, how many independent segments were averaged; of Welch's method with windows
        that overlap by half, about 0.95 times half of the number of windows plus one.

    **Returns:**

    The negative log-likelihood, at least 0.

    **Raises:**

    - `ValueError`: the shapes differ, `segments` is not positive, or `empirical` is not finite and
        positive.
    """
    if jnp.shape(spectrum) != jnp.shape(empirical):
        raise ValueError(
            "`spectrum` and `empirical` must have one shape; got "
            f"{jnp.shape(spectrum)} and {jnp.shape(empirical)}."
        )
    if not segments > 0:
        raise ValueError(f"`segments` must be positive; got {segments}.")
    check_finite(empirical, "empirical")
    if not isinstance(empirical, Tracer) and np.min(empirical) <= 0:
        raise ValueError("`empirical` must be power above 0; leave out frequencies without any.")
    ratio = jnp.asarray(spectrum) / jnp.asarray(empirical, spectrum.dtype)
    defined = jnp.all(ratio > 0)
    safe = jnp.where(defined, ratio, 1)
    value = segments * jnp.sum(jnp.log(safe) + 1 / safe - 1)
    return jnp.where(defined, value, jnp.inf)
