"""Where a result comes from: versions, key, options and hashes of the data."""

import dataclasses
import importlib.metadata
import math
import platform
import time
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ._references import arrays_of, fingerprint, hash_of

_PACKAGES = (
    "nmm", "jax", "equinox", "diffrax", "optax", "optimistix", "lineax", "cma", "numpy",
)  # fmt: skip

# Packages of optimisers, and the word by which an optimiser says that it is theirs.
_METHODS = {"optax": "Optax", "optimistix": "Optimistix", "lineax": "Optimistix", "cma": "CMA"}


@dataclasses.dataclass(frozen=True, eq=False)
class Provenance:
    """Where a result comes from.

    **Attributes:**

    - `versions`: of Python and the packages, by name.
    - `device`: what it ran on.
    - `key`: the numbers of the key, `None` without one.
    - `options`: those of the call, by name.
    - `data`: the first 16 digits of the SHA-256 of each array that the loss refers to, by name.
    - `model`: the same of all that the model at the start is made of.
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

    def identity(self, **parts: Any) -> dict[str, str]:
        """What makes it this work and no other, on whatever machine.

        **Arguments:**

        - `**parts`: what there is beside the model, the key and the options, by name: the loss, the
            constraints, the optimiser. They count with all that they are made of.
        """
        return {
            "the key": str(self.key),
            "the model at the start": self.model,
            "data": str(self.data),
            **{f"`{name}`": str(value) for name, value in self.options.items()},
            **{f"the fingerprint of `{n}`": fingerprint(part) for n, part in parts.items()},
        }

    def sentence(self, model: Any) -> str:
        """What was done, for a paper."""
        if "subjects" in self.options:  # The model of a group holds that of its subjects.
            model = getattr(model, "shared", model)
        node = getattr(model, "node", model)
        regions = "".join(f" of {n} regions" for n in getattr(model, "shape", ())[:1])
        what = f"A {type(node).__name__} model{regions}"
        if node is not model:
            what = f"A network{regions} that follow the {type(node).__name__} model"
        by = str(self.options["optimizer"])
        packages = ["nmm", "jax", "diffrax"] + [n for n in _METHODS if _METHODS[n] in by]
        versions = ", ".join(f"{name} {self.versions[name]}" for name in packages)
        how = f"{what} was fitted{self._side_by_side()} by {by} with {versions}"
        if self.options.get("mode") in ("forward", "reverse"):
            how += f", with gradients by {self.options['mode']}-mode differentiation"
        if self.key is None:
            return f"{how}."
        noise = "drawn anew in each step" if self.options.get("fresh_noise") else "kept"
        seeds = self.options.get("seeds", 1)
        return f"{how}; noise was {noise}" + (f", {seeds} draws a step." if seeds > 1 else ".")

    def _side_by_side(self) -> str:
        """From how many starts, or to how many subjects."""
        text, options = "", self.options
        if "starts" in options:
            text = f" from {options['starts']} starts"
        if options.get("prune_every") is not None:
            text += f" (the worse half of which was given up every {options['prune_every']} steps)"
        if "subjects" in options:
            text = f" to {options['subjects']} subjects"
            shared = ", ".join(options["shared"])
            pulled = math.isfinite(options["spread"])
            said = [f"{shared} in common"] if shared else []
            said += [f"the others pulled together by a spread of {options['spread']:g}"] * pulled
            text += f" (with {', '.join(said)})" if said else ""
        return text

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
        {name: hash_of(array) for name, array in arrays_of(loss).items()},
        fingerprint(model),
    )


def _key_in_writing(key: Any) -> str:
    data = jax.random.key_data(key) if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else key
    return "-".join(map(str, np.ravel(data)))
