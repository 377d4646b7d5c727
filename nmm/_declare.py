"""Declarations: what a field of a model means, written once, next to the field.

The docs, `nmm.describe`, the default constraints of a fit, and the random starts all read them.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any, Literal

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike

Bounds = tuple[float | int | None, float | int | None]


@dataclasses.dataclass(frozen=True)
class Declaration:
    """What one field of a model, a state or a set of inputs is.

    **Attributes:**

    - `kind`: `"parameter"`, `"variable"` or `"slot"`.
    - `unit`, `doc`: the unit ("1" where there is none) and the meaning.
    - `default`: the value it has unless told otherwise.
    - `bounds`: for a parameter or slot the plausible range, which constrains fits and sweeps by
        default; for a variable the range it must not leave. `None` at an end means no limit.
    - `start`: for a variable, the range of random starts.
    - `shape`: the axes in front of the region axis; `()` for everything but matrices.
    """

    kind: Literal["parameter", "variable", "slot"]
    unit: str
    doc: str
    default: Any
    bounds: Bounds | None = None
    start: tuple[float | int, float | int] | None = None
    shape: tuple[int, ...] = ()


def as_float(value: Any) -> Any:
    """Converts to an array of floats; keeps the dtype of an array of floats.

    What is not a number is handed back as it came, since only the model, in its own check, knows
    the name under which to refuse it.
    """
    dtype = getattr(value, "dtype", type(value))
    # `nmm.Map` says by `__jax_array__` that it stands for an array.
    stands_for_itself = isinstance(value, jax.Array) or hasattr(value, "__jax_array__")
    if stands_for_itself and jnp.issubdtype(dtype, jnp.floating):
        return value
    if any(jnp.issubdtype(dtype, kind) for kind in (jnp.bool_, jnp.complexfloating)):
        return value
    if isinstance(value, int | float):
        return on_device(value, jnp.result_type(float))
    try:
        return jnp.asarray(value, dtype=jnp.result_type(float))
    except (TypeError, ValueError):
        return value


def param(
    default: ArrayLike | list,
    *,
    unit: str,
    doc: str,
    bounds: Bounds | None = None,
    shape: tuple[int, ...] = (),
) -> Any:
    """Declares a parameter of a model, coupling, noise or observer: a scalar or one value a region.

    **Arguments:**

    - `default`: its default value.
    - `unit`: its unit, in ms, mV, mm, nA and 1/ms; "1" where there is none.
    - `doc`: what it means, in a few words.
    - `bounds`: its plausible range. Not enforced: fits and sweeps use it as their default.
    - `shape`: of a matrix parameter, the axes in front of the region axis.

    **Returns:**

    A dataclass field for the body of an `equinox.Module`.
    """
    declaration = Declaration("parameter", unit, doc, default, bounds, shape=shape)
    # A factory, since a list is mutable and an array must not be made on import.
    return eqx.field(
        default_factory=lambda: as_float(default),
        converter=as_float,
        metadata={"nmm": declaration},
    )


def variable(
    default: float | int,
    *,
    unit: str,
    doc: str,
    start: tuple[float | int, float | int] | None = None,
    bounds: Bounds | None = None,
) -> Any:
    """Declares a state variable.

    **Arguments:**

    - `default`: the value from which a run starts.
    - `unit`, `doc`: as in `nmm.param`.
    - `start`: the range of random starts, `initial_state(key=...)`; `default` alone if left out.
    - `bounds`: a range that a state must not leave, such as `(0, 1)` of a fraction. On a fixed grid
        the state is clipped after each step; where steps adapt, the vector field sees it clipped.

    **Returns:**

    A dataclass field for the body of a `nmm.State`. It has no default value, so that a vector
    field that forgets a derivative is an error.
    """
    declaration = Declaration("variable", unit, doc, default, bounds, start)
    return eqx.field(metadata={"nmm": declaration})


def slot(*, unit: str, doc: str, bounds: Bounds | None = None) -> Any:
    """Declares an additive input of a model, 0 by default.

    **Arguments:**

    - `unit`, `doc`, `bounds`: as in `nmm.param`.

    **Returns:**

    A dataclass field for the body of a `nmm.Inputs`.
    """
    declaration = Declaration("slot", unit, doc, 0.0, bounds)
    return eqx.field(
        default_factory=lambda: as_float(0.0), converter=as_float, metadata={"nmm": declaration}
    )


def declarations(module: Any) -> dict[str, Declaration]:
    """The declared fields of a Module (a class or an instance), in order."""
    return {
        field.name: field.metadata["nmm"]
        for field in dataclasses.fields(module)
        if "nmm" in field.metadata
    }


def declared_parameters(module: Any, prefix: str = "") -> Iterator[tuple[str, Declaration, Any]]:
    """Path, declaration and value of every parameter, also of the Modules inside of `module`."""
    for field in dataclasses.fields(module):
        value = getattr(module, field.name)
        if "nmm" in field.metadata:
            yield prefix + field.name, field.metadata["nmm"], value
        elif isinstance(value, eqx.Module):
            yield from declared_parameters(value, f"{prefix}{field.name}.")


def check_parameters(module: eqx.Module) -> None:
    """Refuses, by name, a parameter that is no number, is not finite, or has a wrong shape.

    **Raises:**

    - `TypeError` if a parameter is not made of real numbers.
    - `ValueError` if one is neither a scalar nor one value a region, if two disagree on the number
        of regions, or if one holds NaN or an infinity.
    """
    owner = type(module).__name__
    regions: dict[str, int] = {}
    for name, declaration, value in declared_parameters(module):
        if not is_array_like(value):
            raise TypeError(
                f"`{name}` of `{owner}` should be a number or an array of numbers "
                f"[{declaration.unit}], got {value!r}."
            )
        core = declaration.shape
        shape = np.shape(value)
        if shape[: len(core)] != core or len(shape) > len(core) + 1:
            expected = f"{core} or {(*core, 'regions')}" if core else "() or (regions,)"
            raise ValueError(
                f"`{name}` of `{owner}` should have the shape {expected}, got {shape}."
            )
        if len(shape) > len(core):
            regions[name] = shape[-1]
        if is_concrete(value) and not np.all(np.isfinite(value)):
            raise ValueError(f"`{name}` of `{owner}` should be finite, got {value}.")
    if len(set(regions.values())) > 1:
        got = ", ".join(f"`{name}` has {size}" for name, size in regions.items())
        raise ValueError(
            f"The regional parameters of `{owner}` should be given for the same regions; {got}."
        )


def parameter_shape(module: eqx.Module) -> tuple[int, ...]:
    """`(regions,)` if any parameter is regional, else `()`."""
    return np.broadcast_shapes(
        *(np.shape(value)[len(d.shape) :] for _, d, value in declared_parameters(module)), ()
    )


def is_array_like(value: Any) -> bool:
    """Whether `value` is an array of real numbers."""
    return eqx.is_array_like(value) and jnp.issubdtype(jnp.result_type(value), jnp.floating)


def is_concrete(value: Any) -> bool:
    """Whether the numbers in `value` are known now, and not only when compiled code runs."""
    return not any(isinstance(x, jax.core.Tracer) for x in jax.tree.leaves(value))


def float_dtype(*trees: Any) -> Any:
    """The result type of all float leaves, JAX's default float type if there is none."""
    leaves = [x for x in jax.tree.leaves(trees) if eqx.is_inexact_array(x)]
    return jnp.result_type(*leaves) if leaves else jnp.result_type(float)


def on_device(value: Any, dtype: Any) -> Array:
    """Known numbers as an array; unlike `jnp.asarray`, without compiling anything for it."""
    return jax.device_put(np.asarray(value, dtype))


def fits(shape: tuple[int, ...], into: tuple[int, ...]) -> bool:
    """Whether values of a shape are broadcast to another one."""
    ends = zip(shape[::-1], into[::-1], strict=False)
    return len(shape) <= len(into) and all(n in (1, m) for n, m in ends)


def broadcast_to(value: ArrayLike, shape: tuple[int, ...], dtype: Any) -> Array:
    """`value` as an array of this shape and dtype."""
    if isinstance(value, int | float):
        return on_device(np.broadcast_to(value, shape), dtype)
    return jnp.broadcast_to(jnp.asarray(value, dtype=dtype), shape)
