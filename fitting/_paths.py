"""The arrays of a model by path, such as `"coupling.G"`: finding, reading and replacing them."""

import dataclasses
import difflib
import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import jax.tree_util as jtu
from jaxtyping import Array

from nmm._declare import Declaration, declarations, is_array_like


def name_of(path: tuple) -> str:
    """A path of `jax.tree_util` in writing: names, keys and indices with dots between them."""
    return jtu.keystr(path, simple=True, separator=".")


def flatten(tree: Any, name: str) -> dict[str, Array]:
    """The arrays in a PyTree by path, or by `name` if it is one array."""
    return {
        name_of(path) or name: jnp.asarray(leaf) for path, leaf in jtu.tree_leaves_with_path(tree)
    }


def read(model: Any, path: str) -> dict[str, Array]:
    """The arrays at `path` or, if there are several, below it, each by its own path.

    **Arguments:**

    - `model`: a model, network or any other PyTree.
    - `path`: names of fields, keys of dicts and indices of tuples, with dots between them:
        `"node.J_i"`, `"noise.sigma.S_e"`, `"noise.0.tau"`; or what they have in common, as in
        `"noise.sigma"`; or a pattern, as in `"node.tau_*"`.

    **Raises:**

    - `ValueError` if there is no such path, or nothing there that is made of floats.
    """
    found = {
        name: jnp.asarray(leaf, jnp.result_type(leaf))  # A dtype given makes it no longer weak.
        for name, leaf in _arrays(model).items()
        if name == path
        or name.startswith(path + ".")
        or ("*" in path and fnmatch.fnmatchcase(name, path))
    }
    if not found:
        raise ValueError(_nothing_at(model, path))
    return found


def matching(model: Any, spec: Any) -> list[str]:
    """The paths of the arrays that a filter of Equinox keeps: a function of an array, or booleans.

    **Raises:**

    - `ValueError` if it keeps none.
    """
    kept = eqx.filter(model, spec)
    names = list(_arrays(kept))
    if not names:
        raise ValueError(f"`free` should keep at least one array of floats, got {spec!r}.")
    return names


def replace(model: Any, values: Mapping[str, Array]) -> Any:
    """The model with other arrays at the paths given, which are those of `read`."""
    leaves, structure = jtu.tree_flatten_with_path(model)
    new = [values.get(name_of(path), leaf) for path, leaf in leaves]
    return jtu.tree_unflatten(structure, new)


def declaration(model: Any, name: str) -> Declaration | None:
    """What `nmm.param` says about the array at a path of `read`; `None` if it was not declared."""
    owner, field = owner_of(model, name)
    return declarations(owner).get(field) if isinstance(owner, eqx.Module) else None


def owner_of(model: Any, name: str) -> tuple[Any, str]:
    """What has the array at a path of `read` as an attribute, and by which name.

    `None` and "" if no attribute leads to it.
    """
    (path,) = (path for path, _ in jtu.tree_leaves_with_path(model) if name_of(path) == name)
    owner = model
    for key in path[:-1]:
        if isinstance(key, jtu.GetAttrKey):
            owner = getattr(owner, key.name)
        elif isinstance(key, jtu.DictKey):
            owner = owner[key.key]
        elif isinstance(key, jtu.SequenceKey):
            owner = owner[key.idx]
        else:
            return None, ""
    if not path or not isinstance(path[-1], jtu.GetAttrKey):
        return None, ""
    return owner, path[-1].name


def _arrays(model: Any) -> dict[str, Any]:
    leaves = {name_of(path): leaf for path, leaf in jtu.tree_leaves_with_path(model)}
    return {name: leaf for name, leaf in leaves.items() if is_array_like(leaf)}


def _nothing_at(model: Any, path: str) -> str:
    names = list(_arrays(model))
    # The same in another case, or without what is in front, before what is spelled alike.
    closest = [n for n in names if f".{n}".lower().endswith(f".{path}".lower())]
    closest = closest or difflib.get_close_matches(path, names, n=1)
    hint = f"Did you mean {' or '.join(f'`{n}`' for n in closest)}? " if closest else ""
    return f"{_obstacle(model, path)} {hint}The paths of this model are {names}."


def _obstacle(model: Any, path: str) -> str:
    """How far the path leads, and what is there."""
    value, parts = model, path.split(".")
    for depth, part in enumerate(parts):
        try:
            value = _child(value, part)
        except LookupError:
            there = ".".join(parts[:depth])
            if value is None and there:
                return f"The path `{path}` does not exist, since `{there}` is None."
            return f"The path `{path}` does not exist."
    return f"The path `{path}` should lead to an array of floats, got {value!r}."


def _child(value: Any, part: str) -> Any:
    if dataclasses.is_dataclass(value) and part in {f.name for f in dataclasses.fields(value)}:
        return getattr(value, part)
    if isinstance(value, Mapping):
        return {str(key): child for key, child in value.items()}[part]
    if isinstance(value, Sequence) and not isinstance(value, str) and part.isdigit():
        return value[int(part)]
    raise LookupError(part)
