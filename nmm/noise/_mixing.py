import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike

from .._declare import as_float, is_concrete


def mixing(covariance: ArrayLike | list) -> Array:
    r"""The mixing matrix of noise with a wanted covariance between regions.

    $$M M^\top = C$$

    With a matrix of correlations, whose diagonal is 1, a noise keeps its `sigma`:
    `White(S=0.01, mixing=nmm.noise.mixing(correlations))`; with a covariance it is `sigma` times
    its square roots. It is the lower Cholesky factor, and differentiable.

    **Raises:**

    - `ValueError` if `covariance` is not square, symmetric and positive definite.
    """
    matrix = as_float(covariance)
    if np.ndim(matrix) != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"`covariance` should be square, got the shape {np.shape(matrix)}.")
    if is_concrete(matrix):
        values = np.asarray(matrix, float)
        if not np.all(np.isfinite(values)):
            raise ValueError("`covariance` should be finite, got NaN or infinity.")
        if not np.allclose(values, values.T, rtol=1e-5, atol=1e-6 * np.abs(values).max()):
            raise ValueError("`covariance` should be symmetric.")
        smallest = np.linalg.eigvalsh(values)[0]
        if smallest <= 0:
            raise ValueError(
                f"`covariance` should be positive definite, got the eigenvalue {smallest:g}; "
                "sources shared by several regions are a `mixing` of their own."
            )
    return jnp.linalg.cholesky(matrix)
