"""Eigenvalues, and the derivative of the one that decides on stability."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import lu_factor, lu_solve
from jaxtyping import Array, Complex, Float


def leading_eigenvalues(
    jacobian: Float[Array, "n n"],
) -> tuple[Complex[Array, " n"], Float[Array, ""]]:
    """The eigenvalues, without gradient; and the largest real part, with its first derivative.

    That is `u^H dA v / u^H v` with the left and right eigenvectors. The derivatives of these, which
    second derivatives would need, do not exist where eigenvalues coincide.
    """
    fixed = jax.lax.stop_gradient(jacobian)
    values = jnp.linalg.eigvals(fixed)
    leading = values[jnp.argmax(values.real)]
    u, v = _eigenvectors(fixed, leading, jnp.max(jnp.abs(values)))
    overlap = jnp.vdot(u, v)
    # Those of an eigenvalue without a full set of eigenvectors are orthogonal.
    defective = jnp.abs(overlap) < jnp.finfo(jacobian.dtype).eps
    quotient = (jnp.vdot(u, jacobian @ v) / jnp.where(defective, 1, overlap)).real
    tangent = jnp.where(defective, 0, quotient - jax.lax.stop_gradient(quotient))
    return values, leading.real + tangent


def _eigenvectors(matrix: Array, value: Array, largest: Array) -> tuple[Array, Array]:
    """The left and right eigenvector of one eigenvalue, by inverse iteration.

    Much cheaper than those of all. Both start from the same vector: where several eigenvalues
    coincide, they are then its projections, which are not orthogonal.
    """
    n = len(matrix)
    scale = jnp.where(largest > 0, largest, 1)
    least = jnp.finfo(matrix.dtype).eps * scale
    factors, pivots = lu_factor(matrix - value * jnp.eye(n, dtype=matrix.dtype))
    # The matrix has no inverse there: a pivot is 0 but for rounding, and at times exactly.
    diagonal = jnp.diagonal(factors)
    factors += jnp.diag(jnp.where(jnp.abs(diagonal) < least, least - diagonal, 0))
    start = jnp.asarray(np.random.default_rng(0).normal(size=n), factors.dtype)

    def iterate(transposed: int) -> Array:
        x = start
        for _ in range(2):
            x = lu_solve((factors, pivots), x, trans=transposed)
            x = x / jnp.max(jnp.abs(x))
        return x / jnp.linalg.norm(x)

    return iterate(2), iterate(0)
