import functools
import types
from collections.abc import Mapping
from typing import Any

import equinox as eqx

from .._custom_types import Parameter
from .._declare import as_float, is_array_like, param


class Intensities(eqx.Module):
    """Intensities by state variable: a Module with a declared field for each.

    Not a dict, whose keys have no unit, and come back sorted from every transformation of JAX.
    """

    @property
    def variables(self) -> tuple[str, ...]:
        return tuple(vars(self))

    def __getitem__(self, variable: str) -> Any:
        return vars(self)[variable]

    def __reduce__(self) -> tuple[Any, ...]:
        return intensities, (vars(self),)


def intensities(sigma: Mapping[str, Any]) -> Intensities:
    """The intensities of these state variables.

    **Raises:**

    - `TypeError` if one is not a number.
    """
    values = {name: as_float(value) for name, value in sigma.items()}
    for name, value in values.items():
        if not is_array_like(value):
            raise TypeError(f"`sigma` of {name!r} should be a number, got {value!r}.")
    return _of(tuple(values))(**values)


@functools.cache
def _of(names: tuple[str, ...]) -> type[Intensities]:
    fields: dict[str, Any] = {
        name: param(
            0.01,
            unit="of the variable/sqrt(ms)",
            doc=f"intensity of the noise of {name}",
            bounds=(0.0, None),
        )
        for name in names
    }
    annotations = dict.fromkeys(names, Parameter)
    body = {"__annotations__": annotations, "__module__": __name__, "__doc__": None, **fields}
    return types.new_class("Intensities", (Intensities,), exec_body=lambda new: new.update(body))
