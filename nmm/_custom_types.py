"""The vocabulary of shapes: every annotation of the package is made from these names."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, Real, Scalar

if TYPE_CHECKING:
    # A field with a converter takes numbers and lists, and holds an array. Static checkers cannot
    # see that through `nmm.param`.
    Parameter: TypeAlias = Any
    RealScalarLike: TypeAlias = float | int
else:
    Parameter = Float[Array, "..."]
    """A scalar, or one value for each region."""
    RealScalarLike = Real[ArrayLike, ""]
    """A number, known in advance or not."""

Value: TypeAlias = Float[Array, "..."]
"""A state variable or an input: `()` for one region, `(regions,)` for several."""

Weights: TypeAlias = Float[Array, "target source"]
"""Connection strengths: row = the region that receives, column = the region that sends."""

Series: TypeAlias = Float[Array, "time regions"]
"""One row a sample, one column a region."""

Time: TypeAlias = Scalar
"""Milliseconds."""

Key: TypeAlias = PRNGKeyArray

Signal: TypeAlias = str | Callable[..., Any] | None
"""What to record: the name of a state variable or observable, or `f(t, state, inputs)`."""
