"""Where a result comes from: versions, key, options and hashes of the data."""

import dataclasses
import functools
import hashlib
import importlib.metadata
import inspect
import platform
import time
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np

from nmm._declare import is_concrete

from . import _paths
from ._parameters import Parameters

_PACKAGES = ("nmm", "jax", "equinox", "diffrax", "optax", "numpy")


@dataclasses.dataclass(frozen=True, eq=False)
class Provenance:
    """Where a result comes from.

    **Attributes:**

    - `versions`: of Python and the packages, by name.
    - `device`: what it ran on.
    - `key`: the numbers of the key, `None` without one.
    - `options`: those of the call, by name.
    - `data`: the first 16 digits of the SHA-256 of each array that the loss refers to, by name.
    - `model`: the same of all arrays of the model at the start.
    - `seconds`: how long it took in all.
    """

    versions: dict[str, str]
    device: str
    key: str | None
    options: dict[str, Any]
    data: dict[str, str]
    model: str
    seconds: float = float("nan")

    def after(self, began: float) -> "Provenance":
        """With the seconds since `began`, a time of `time.perf_counter`."""
        return dataclasses.replace(self, seconds=time.perf_counter() - began)

    def identity(self, parameters: Parameters | None = None) -> dict[str, str]:
        """What makes it this work and no other, whatever the version and the machine."""
        free = {} if parameters is None else {p: repr(c) for p, c in parameters.constraints.items()}
        return {
            "the key": str(self.key),
            "the model at the start": self.model,
            "what is free": str(free),
            "data": str(self.data),
            **{f"`{name}`": str(value) for name, value in self.options.items()},
        }

    def sentence(self, model: Any) -> str:
        """What was done, for a paper."""
        node = getattr(model, "node", model)
        regions = "".join(f" of {n} regions" for n in getattr(model, "shape", ())[:1])
        what = f"A {type(node).__name__} model{regions}"
        if node is not model:
            what = f"A network{regions} that follow the {type(node).__name__} model"
        versions = ", ".join(f"{name} {self.versions[name]}" for name in ("nmm", "jax", "diffrax"))
        how = f"{what} was fitted by {self.options['optimizer']} with {versions}"
        if self.options.get("mode") in ("forward", "reverse"):
            how += f", with gradients by {self.options['mode']}-mode differentiation"
        if self.key is None:
            return f"{how}."
        noise = "drawn anew in each step" if self.options.get("fresh_noise") else "kept"
        seeds = self.options.get("seeds", 1)
        return f"{how}; noise was {noise}" + (f", {seeds} draws a step." if seeds > 1 else ".")

    def details(self) -> str:
        """How to do it again, for a paper."""
        python = f"Python {self.versions['python']} on {self.device}"
        text = f"It took {self.seconds:.0f} s with {python}"
        if self.key is not None:
            text += f"; the random key was {self.key}"
        if self.data:
            hashes = ", ".join(f"{name} {digits}" for name, digits in self.data.items())
            text += f"; SHA-256 of the data begin with: {hashes}"
        return text + "."


def gather(loss: Any, model: Any, key: Any, options: Mapping[str, Any]) -> Provenance:
    """Where a result of this call comes from."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "(not installed)"
    devices = jax.devices()
    precision = jnp.result_type(float).name
    return Provenance(
        versions,
        f"{len(devices)} {devices[0].platform} device{'s' * (len(devices) > 1)}, {precision}",
        None if key is None else _key_in_writing(key),
        dict(options),
        data_hashes(loss),
        hash_of(model),
    )


def data_hashes(loss: Any) -> dict[str, str]:
    """The arrays that a function or Module refers to, hashed, by name."""
    named: dict[str, Any] = {}
    _collect(loss, named, seen=set())
    return {name: _hash(array) for name, array in named.items()}


def _collect(function: Any, named: dict[str, Any], seen: set[int]) -> None:
    if id(function) in seen:
        return
    seen.add(id(function))
    if isinstance(function, functools.partial):
        named |= _arrays((function.args, function.keywords))
        _collect(function.func, named, seen)
    elif inspect.isfunction(function):
        refers = inspect.getclosurevars(function)
        for name, value in {**refers.globals, **refers.nonlocals}.items():
            if inspect.isfunction(value):
                # Other functions of the user, not the libraries.
                if value.__module__ == function.__module__:
                    _collect(value, named, seen)
            elif not inspect.ismodule(value) and not inspect.isclass(value):
                named |= {
                    f"{name}.{path}" if path else name: array
                    for path, array in _arrays(value).items()
                }
    else:
        named |= _arrays(function)


def _arrays(tree: Any) -> dict[str, Any]:
    leaves = jtu.tree_leaves_with_path(tree)
    return {
        _paths.name_of(path): leaf
        for path, leaf in leaves
        if isinstance(leaf, np.ndarray | jax.Array) and is_concrete(leaf)
    }


def hash_of(tree: Any) -> str:
    """The first 16 digits of the SHA-256 of all arrays of a PyTree."""
    return _hash(*_arrays(tree).values())


def _hash(*arrays: Any) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
            array = jax.random.key_data(array)
        array = np.asarray(array)
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def _key_in_writing(key: Any) -> str:
    data = jax.random.key_data(key) if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else key
    return "-".join(map(str, np.ravel(data)))
