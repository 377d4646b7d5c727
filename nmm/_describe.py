"""What a model, coupling, noise or observer is: text from its docstring and declarations."""

import dataclasses
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import equinox as eqx
import numpy as np

from ._declare import Bounds, Declaration, declarations, declared_parameters, is_concrete
from ._markdown import table
from .models._base import AbstractModel, observables

# Of a docstring, what follows the first such list is about arguments, and not about the model.
_LISTS = re.compile(r"^\*\*(Arguments|Attributes|Returns|Raises):\*\*.*", re.MULTILINE | re.DOTALL)
_REFERENCE = re.compile(r"^References?: *(.*?)(?:\n\s*\n|\Z)", re.MULTILINE | re.DOTALL)


class Description(str):
    """Markdown that shows itself, as text in a terminal and with its equations in a notebook."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)

    def _repr_markdown_(self) -> str:
        return str(self)


def describe(model: Any) -> Description:
    """What a model is: equations, parameters, state variables, inputs, observables, reference.

    Works on everything that declares its parameters with `nmm.param`: models, couplings, noises
    and observers; and on what is made of them, such as a network, part by part. The paths in the
    tables are those by which `fitting` frees and sweeps parameters.

    **Arguments:**

    - `model`: an instance, or a class, which is described at its default values.

    **Returns:**

    A string of Markdown, which prints itself at the prompt and renders in a notebook.

    **Raises:**

    - `TypeError` if `model` is neither an `equinox.Module` nor a class of them.
    """
    cls = model if isinstance(model, type) else type(model)
    if not issubclass(cls, eqx.Module):
        raise TypeError(
            "`model` should be a model, a network, or another `equinox.Module` (the class or an "
            f"instance), got {model!r}."
        )
    standard = _standard(cls)
    instance = standard if isinstance(model, type) else model
    return Description("\n\n".join(_sections(cls, instance, standard, "", 1, set())))


def _standard(cls: type) -> Any:
    """An instance at the default values; `None` if there is none without further arguments."""
    try:
        return cls()
    except (TypeError, ValueError):
        return None


def _sections(
    cls: type,
    instance: Any,
    standard: Any,
    path: str,
    depth: int,
    seen: set,
    within_model: bool = False,
) -> Iterator[str]:
    """Paragraphs about a Module, and then about the Modules in it."""
    yield f"{'#' * depth} {f'`{path[:-1]}`: ' if path else ''}{cls.__name__}"
    text, reference = _prose(cls)
    if cls not in seen and text:
        yield text
    own, parts = _contents(cls, instance)
    yield from _table(
        "Parameters",
        ("path", "value", "default", "unit", "range", "meaning"),
        [_parameter(path, name, *entry, standard) for name, entry in own.items()],
    )
    is_model = issubclass(cls, AbstractModel)
    # Of a model that is part of another one, only the equations and parameters count.
    if is_model and not inspect.isabstract(cls) and not within_model:
        yield from _model(cls)
    if not within_model:
        yield from _presets(cls)
    if cls not in seen and reference:
        yield f"Reference: {reference}"
    seen.add(cls)
    for name, part in parts.items():
        usual = getattr(standard, name, None)
        if type(usual) is not type(part):
            usual = _standard(type(part))
        inner = f"{path}{name}."
        yield from _sections(type(part), part, usual, inner, depth + 1, seen, is_model)


def _prose(cls: type) -> tuple[str, str]:
    """The docstring without its lists, and the reference in it."""
    doc = inspect.getdoc(cls) or ""
    if doc.startswith(f"{cls.__name__}("):  # What dataclasses write where nobody did.
        doc = ""
    found = _REFERENCE.search(doc)
    reference = " ".join(found[1].split()) if found else getattr(cls, "reference", "")
    return _LISTS.sub("", _REFERENCE.sub("", doc)).strip(), reference


def _contents(cls: type, instance: Any) -> tuple[dict[str, tuple[Declaration | None, Any]], dict]:
    """Declaration and value of a Module's arrays, and the Modules in it, by name."""
    declared = declarations(cls)
    if instance is None:
        return {name: (d, d.default) for name, d in declared.items()}, {}
    arrays, parts = {}, {}
    todo = [(field.name, getattr(instance, field.name)) for field in dataclasses.fields(cls)]
    while todo:
        name, value = todo.pop(0)
        if name in declared or eqx.is_inexact_array(value):
            arrays[name] = (declared.get(name), value)
        elif isinstance(value, eqx.Module):
            parts[name] = value
        elif isinstance(value, Mapping):
            todo = [(f"{name}.{key}", item) for key, item in value.items()] + todo
        elif isinstance(value, tuple | list):
            todo = [(f"{name}.{i}", item) for i, item in enumerate(value)] + todo
    return arrays, parts


def _parameter(
    path: str, name: str, declaration: Declaration | None, value: Any, standard: Any
) -> tuple[str, ...]:
    """The row of an array in the table of parameters."""
    if declaration is None:
        return f"`{path}{name}`", _value(value), "", "", "", ""
    axes = len(declaration.shape)
    return (
        f"`{path}{name}`",
        _value(value, axes),
        _value(getattr(standard, name, declaration.default), axes),
        declaration.unit,
        _range(declaration.bounds),
        declaration.doc,
    )


def _model(cls: type[AbstractModel]) -> Iterator[str]:
    """What a model has beyond its parameters."""
    yield from _table(
        "State variables",
        ("name", "start", "random starts", "limits", "unit", "meaning"),
        [
            (f"`{k}`", _value(d.default), _range(d.start), _range(d.bounds), d.unit, d.doc)
            for k, d in declarations(cls.State).items()
        ],
    )
    yield from _table(
        "Inputs",
        ("slot", "range", "unit", "meaning"),
        [(f"`{k}`", _range(d.bounds), d.unit, d.doc) for k, d in declarations(cls.Inputs).items()],
    )
    yield from _table(
        "Observables",
        ("name", "unit", "meaning"),
        [(f"`{name}`", *entry) for name, entry in observables(cls).items()],
    )
    output = getattr(cls, "output", cls.source)
    yield (
        f"Other regions hear `{cls.source}` and act on `{cls.target}`, unless their coupling says "
        f"otherwise; the default output is `{output}`."
    )


def _presets(cls: Any) -> Iterator[str]:
    """What each preset changes, of a class that has some."""

    def values(model: Any) -> dict[str, str]:
        kinds = {
            field.name: f"a `{type(getattr(model, field.name)).__name__}`"
            for field in dataclasses.fields(model)
            if isinstance(getattr(model, field.name), eqx.Module)
        }
        numbers = {path: _value(v, len(d.shape)) for path, d, v in declared_parameters(model)}
        return kinds | numbers

    def changes(name: str) -> str:
        usual = values(cls())
        chosen = values(cls.preset(name)).items()
        return ", ".join(f"`{path}` = {v}" for path, v in chosen if v != usual.get(path))

    rows = [(f"`{name}`", changes(name)) for name in getattr(cls, "presets", ())]
    yield from _table("Presets", ("name", "differs from the defaults in"), rows)


def _value(value: Any, core: int = 0) -> str:
    """A number, a small matrix, or the range of the values of many regions."""
    if not is_concrete(value):
        return "traced"
    array = np.asarray(value)
    if array.ndim <= core and array.size <= 16:
        return " ".join(
            np.array2string(
                array, separator=", ", formatter={"float_kind": "{:.6g}".format}
            ).split()
        )
    return f"{array.min():.6g} to {array.max():.6g} ({' x '.join(map(str, array.shape))} values)"


def _range(bounds: Bounds | None) -> str:
    low, high = bounds or (None, None)
    if low is not None and high is not None:
        return f"{low:g} to {high:g}"
    if low is not None:
        return f"{low:g} or more"
    return "" if high is None else f"{high:g} or less"


def _table(title: str, header: Sequence[str], rows: list[tuple[str, ...]]) -> Iterator[str]:
    """A table under its title; nothing at all without rows."""
    if rows:
        yield f"**{title}**"
        yield table(header, rows)
