"""Parameters that follow a map of the brain."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ._custom_types import Parameter
from ._declare import as_float, check_parameters, is_concrete, param


class Map(eqx.Module):
    r"""A regional parameter that follows one or several maps, such as of myelin or receptors.

    $$p_i = a + b\, m_i \qquad \text{or} \qquad p_i = a + \sum_k b_k\, m_{ki}$$

    It takes the place of numbers, in models, couplings and noises:

    ```python
    node = nmm.WongWangExcInh(w_p=nmm.Map(1.4, 0.2, myelin))
    ```

    With it two numbers, `"node.w_p.intercept"` and `"node.w_p.slope"`, say what each region has:
    they can be fitted and swept by these paths. Standardise the map, so that the intercept is the
    mean and the slope the change by a standard deviation.

    **Arguments:**

    - `intercept`: $a$, in the unit of the parameter.
    - `slope`: $b$, a number; of several maps one for each.
    - `map`: $m$, `(regions,)`, or `(maps, regions)`.

    **Raises:**

    - `ValueError` if the map is not of numbers for two regions at least, is not finite or the same
        everywhere, or if there is not one slope for each map.
    """

    intercept: Parameter = param(0.0, unit="1", doc="value where the map is 0")
    slope: Parameter = param(0.0, unit="1", doc="change with the map")
    map: Any = eqx.field(converter=as_float, default=None)

    def __check_init__(self) -> None:
        shape = np.shape(self.map)
        if self.map is None or len(shape) not in (1, 2) or shape[-1] < 2:
            raise ValueError(
                "`map` should have the shape (regions,) or (maps, regions), for two regions at "
                f"least; got {shape}."
            )
        if np.shape(self.slope) != shape[:-1] or np.shape(self.intercept) != ():
            raise ValueError(
                f"`slope` should have the shape {shape[:-1]}, one for each map, and `intercept` be "
                f"a number; got {np.shape(self.slope)} and {np.shape(self.intercept)}."
            )
        check_parameters(self)
        if is_concrete(self.map) and not np.all(np.isfinite(self.map)):
            raise ValueError("`map` should be finite.")
        if is_concrete(self.map) and np.any(np.ptp(self.map, axis=-1) == 0):
            raise ValueError("`map` should differ between regions.")

    @property
    def values(self) -> Float[Array, " regions"]:
        """The parameter of each region."""
        return self.intercept + jnp.sum(self.slope[..., None] * self.map, axis=self._maps)

    @property
    def _maps(self) -> tuple[int, ...]:
        """The axis of several maps."""
        return (0,) if self.map.ndim > 1 else ()

    # What models, JAX and NumPy ask of a parameter.

    def __jax_array__(self) -> Array:
        return self.values

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        del copy  # A new array in any case.
        return np.asarray(self.values, dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        return np.shape(self.map)[-1:]

    @property
    def ndim(self) -> int:
        return 1

    @property
    def size(self) -> int:
        return self.shape[0]

    @property
    def dtype(self) -> Any:
        return jnp.result_type(self.intercept, self.slope, self.map)

    def __getitem__(self, index: Any) -> Array:
        return self.values[index]

    def __neg__(self) -> Array:
        return -self.values

    def __add__(self, other: Any) -> Array:
        return self.values + other

    def __radd__(self, other: Any) -> Array:
        return other + self.values

    def __sub__(self, other: Any) -> Array:
        return self.values - other

    def __rsub__(self, other: Any) -> Array:
        return other - self.values

    def __mul__(self, other: Any) -> Array:
        return self.values * other

    def __rmul__(self, other: Any) -> Array:
        return other * self.values

    def __truediv__(self, other: Any) -> Array:
        return self.values / other

    def __rtruediv__(self, other: Any) -> Array:
        return other / self.values

    def __pow__(self, other: Any) -> Array:
        return self.values**other

    def __rpow__(self, other: Any) -> Array:
        return other**self.values
