"""The vocabulary of shapes: every annotation of the package is made from these names."""

from collections.abc import Callable
from typing import Any, TypeAlias

from jaxtyping import Array, Float, PRNGKeyArray, Scalar

Parameter: TypeAlias = Float[Array, "..."]
"""A scalar, or one value for each region."""

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
