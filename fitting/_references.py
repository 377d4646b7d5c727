"""All that a function, Module or other value is made of, in an order that every run repeats."""

import dataclasses
import enum
import functools
import hashlib
import inspect
import pathlib
import sys
import types
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from nmm._declare import is_concrete

References: TypeAlias = Iterator[tuple[str, Any]]

_PLAIN = (
    bool, int, float, complex, str, bytes, types.NoneType, types.EllipsisType, slice, range,
    enum.Enum, pathlib.PurePath, np.dtype,
)  # fmt: skip


def references(value: Any, path: str = "") -> References:
    """What a value is made of: by path its arrays, and in writing everything else.

    Of functions these are the code, the values of the variables it refers to, and so on; what
    stands in a library counts by its name, but not what it closes over, such as the learning rate
    of an optimiser. Nothing depends on the order of sets, on addresses or on line numbers.
    """
    yield from _walk(value, path, {})


def fingerprint(*values: Any) -> str:
    """The first 16 digits of the SHA-256 of all that some values are made of."""
    digest = hashlib.sha256()
    for value in values:
        for path, found in references(value):
            digest.update(f"{path}={hash_of(found) if _is_array(found) else found};".encode())
    return digest.hexdigest()[:16]


def hash_of(array: Any) -> str:
    """The first 16 digits of the SHA-256 of an array."""
    if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        array = jax.random.key_data(array)
    array = np.asarray(array)
    digest = hashlib.sha256(f"{array.dtype}{array.shape}".encode())
    digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def arrays_of(value: Any) -> dict[str, Any]:
    """The arrays among the references of a value, by path."""
    return {path: found for path, found in references(value) if _is_array(found)}


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray | jax.Array)


def _walk(value: Any, path: str, seen: dict[int, tuple[Any, str]]) -> References:
    if isinstance(value, _PLAIN):
        yield path, f"{type(value).__name__} {value!r}"
    elif isinstance(value, np.generic):
        yield path, f"{value.dtype} {value.item()!r}"
    elif _is_array(value) and value.dtype != object:
        known = is_concrete(value)
        yield path, value if known else f"traced {value.dtype}{value.shape}"
    elif isinstance(value, types.ModuleType):
        yield path, value.__name__
    elif id(value) in seen:
        yield path, f"as {seen[id(value)][1]}"
    else:
        seen[id(value)] = value, path  # Kept, so that no other value gets its id.
        yield path, _name(value if callable(value) else type(value))
        for name, part in _parts(value):
            yield from _walk(part, f"{path}.{name}" if path and name else path or name, seen)


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """What a value refers to, by name."""
    if isinstance(value, list | tuple):
        if isinstance(value, list) and value and all(isinstance(x, int | float) for x in value):
            yield "", np.asarray(value)  # Data in a list are data, too.
        else:
            yield from ((str(i), part) for i, part in enumerate(value))
    elif isinstance(value, np.ndarray):
        yield from ((str(i), part) for i, part in enumerate(value.ravel().tolist()))
    elif isinstance(value, Mapping):
        yield from sorted(((str(key), part) for key, part in value.items()), key=_first)
    elif isinstance(value, set | frozenset):
        yield "members", sorted(fingerprint(member) for member in value)
    elif isinstance(value, functools.partial):
        yield from (("func", value.func), ("args", value.args), ("keywords", value.keywords))
    elif isinstance(value, types.MethodType):
        yield from (("", value.__func__), ("self", value.__self__))
    elif inspect.isfunction(value):
        yield from _parts_of_function(value)
    elif isinstance(value, types.CodeType):
        yield from (("code", value.co_code), ("names", value.co_names))
        # A docstring is the first constant, but nothing that is computed.
        yield from ((str(i), part) for i, part in enumerate(value.co_consts))
    elif isinstance(value, type):
        yield from _methods(value)
    elif hasattr(value, "__wrapped__"):  # Compiled, cached, with derivatives of its own.
        yield "", value.__wrapped__
    elif hasattr(value, "__array__"):
        yield "", np.asarray(value)
    else:
        yield "type", type(value)
        fields = vars(value) if hasattr(value, "__dict__") else {}
        if dataclasses.is_dataclass(value):
            names = (field.name for field in dataclasses.fields(value))
            fields = {name: getattr(value, name) for name in names if hasattr(value, name)}
        yield from sorted(fields.items(), key=_first)


def _first(pair: tuple[str, Any]) -> str:
    return pair[0]


def _parts_of_function(function: Any) -> Iterator[tuple[str, Any]]:
    if _is_of_a_library(function):
        function = inspect.unwrap(function)
        if not inspect.isfunction(function):
            return
    else:
        yield "code", function.__code__
        known = function.__globals__
        yield from ((name, known[name]) for name in _names(function.__code__) if name in known)
    yield from (("defaults", function.__defaults__), ("keywords", function.__kwdefaults__))
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    for name, cell in cells:
        try:
            yield name, cell.cell_contents
        except ValueError:  # Not set yet.
            continue


def _methods(cls: type) -> Iterator[tuple[str, Any]]:
    """Those that somebody wrote, the call among them."""
    for owner in reversed(cls.__mro__):
        if not _is_of_a_library(owner):
            for name in sorted(vars(owner)):
                method = getattr(owner, name, None)
                method = method.fget if isinstance(method, property) else method
                written = not name.startswith("__") or name == "__call__"
                if written and inspect.isfunction(method):
                    yield f"{owner.__qualname__}.{name}", method


def _names(code: types.CodeType) -> list[str]:
    """The names that code refers to, also in functions that it defines."""
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found.update(_names(constant))
    return sorted(found)


@functools.cache
def _is_library(package: str) -> bool:
    if package in ("nmm", "fitting") or package in sys.stdlib_module_names:
        return True
    file = getattr(sys.modules.get(package), "__file__", None) or ""
    return "site-packages" in file or "dist-packages" in file


def _is_of_a_library(value: Any) -> bool:
    return _is_library((getattr(value, "__module__", None) or "builtins").partition(".")[0])


def _name(value: Any) -> str:
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
    if not isinstance(name, str):
        return _name(type(value))
    return f"{getattr(value, '__module__', '')}.{name}"
