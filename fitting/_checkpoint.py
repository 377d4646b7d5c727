"""Files that long work leaves behind, so that it can go on after it was killed."""

import json
import os
import time
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

# Of files that were begun and never ended; a write takes seconds.
_STALE = 3600.0


def write(path: Path, arrays: Mapping[str, Any]) -> None:
    """Writes a file of arrays that is there as a whole or not at all, whenever it is killed."""
    # The name holds the process, since several may share a folder.
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    with open(unfinished, "wb") as file:
        np.savez(file, **arrays)
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, path)


def read(path: Path) -> dict[str, np.ndarray] | None:
    """The arrays of a file; `None`, with a warning, if it is damaged."""
    try:
        # Of a damaged file, NumPy would leave the one that it opens itself open.
        with open(path, "rb") as content, np.load(content) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        warnings.warn(f"{path} is left aside, since it is damaged: {error}", stacklevel=2)
        return None


class Folder:
    """A folder of such files, which all belong to the same work.

    **Arguments:**

    - `path`: of the folder, which is made if need be.
    - `identity`: what the work is, by name; a folder that holds other work is refused.
    - `shared`: whether all processes do this work together: then the first one writes.
    """

    def __init__(self, path: Any, identity: Mapping[str, str], *, shared: bool = False):
        self.path = Path(path)
        self.path.mkdir(parents=True, exist_ok=True)
        self.shared = shared
        self._identity = json.dumps(dict(identity))
        self._writes = not shared or jax.process_index() == 0
        for left in self.path.glob(".*.npz.*") if self._writes else ():
            if time.time() - left.stat().st_mtime > _STALE:
                left.unlink(missing_ok=True)

    def write(self, name: str, arrays: Mapping[str, Any]) -> None:
        """Writes one file of the work."""
        if self._writes:
            write(self.path / f"{name}.npz", {"identity": np.array(self._identity), **arrays})

    def names(self, prefix: str) -> list[str]:
        """The files there are, in order."""
        return sorted(path.stem for path in self.path.glob(f"{prefix}*.npz"))

    def read(self, name: str) -> dict[str, np.ndarray] | None:
        """What a file holds, `None` if it is damaged.

        **Raises:**

        - `ValueError` if it belongs to other work.
        """
        arrays = read(self.path / f"{name}.npz")
        if arrays is None:
            return None
        there = json.loads(str(arrays.pop("identity", "{}")))
        here = json.loads(self._identity)
        for what in here:
            if there.get(what) != here[what]:
                raise ValueError(
                    f"`checkpoint` should be empty or hold this very work, but in {self.path} "
                    f"{what} is {there.get(what)}, not {here[what]}."
                )
        return arrays

    def remove(self, name: str) -> None:
        if self._writes:
            (self.path / f"{name}.npz").unlink(missing_ok=True)


def to_arrays(tree: Any, name: str) -> dict[str, np.ndarray]:
    """The leaves of a PyTree of arrays and keys, by number."""
    leaves = jax.device_get([_plain(leaf) for leaf in jax.tree.leaves(tree)])
    return {f"{name}/{i}": np.asarray(leaf) for i, leaf in enumerate(leaves)}


def from_arrays(like: Any, arrays: Mapping[str, np.ndarray], name: str) -> Any:
    """A PyTree like the one given, with the leaves of `to_arrays`.

    **Raises:**

    - `ValueError` if there are not as many.
    """
    leaves, structure = jax.tree.flatten(like)
    there = sum(key.startswith(f"{name}/") for key in arrays)
    if there != len(leaves):
        raise ValueError(
            f"`checkpoint` should hold this very work, of {len(leaves)} arrays a step, got {there}."
        )
    new = [_like(leaf, arrays[f"{name}/{i}"]) for i, leaf in enumerate(leaves)]
    return jax.tree.unflatten(structure, new)


def strong(tree: Any) -> Any:
    """Arrays of the same dtype that are not weakly typed, as those from a file are not."""
    return jax.tree.map(lambda x: x if _is_key(x) else jnp.asarray(x, jnp.result_type(x)), tree)


def _is_key(x: Any) -> bool:
    return isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jax.dtypes.prng_key)


def _plain(leaf: Any) -> Any:
    return jax.random.key_data(leaf) if _is_key(leaf) else leaf


def _like(leaf: Any, array: np.ndarray) -> Any:
    if _is_key(leaf):
        return jax.random.wrap_key_data(jnp.asarray(array), impl=jax.random.key_impl(leaf))
    return jnp.asarray(array)
