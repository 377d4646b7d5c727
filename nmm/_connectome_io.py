"""Reads a connectome from the files that people have: text tables, MATLAB, NumPy, zips of TVB."""

import bz2
import csv
import io
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from ._extras import require

Source: TypeAlias = Any
"""A path, `(path, variable)`, or the values themselves."""

Orientation = Literal["target_source", "source_target"]
LengthUnit = Literal["mm", "cm", "m"]

_MILLIMETRES = {"mm": 1.0, "cm": 10.0, "m": 1000.0}
_CONTAINERS = (".npz", ".mat", ".zip")
_USUAL_NAMES = {
    "weights": ("weights", "sc", "cmat"),
    "tract_lengths": ("tract_lengths", "lengths", "dmat"),
    "labels": ("labels", "region_labels"),
    "centres": ("centres", "centers", "centroids"),
}


class Table(NamedTuple):
    """Values, and the names of their rows where the file has them."""

    values: np.ndarray
    labels: list[str] | None = None


def read_connectome(
    sources: dict[str, Source], orientation: Orientation, length_unit: LengthUnit
) -> dict[str, Any]:
    """The arguments of `Connectome`, each from its source; see `Connectome.load`."""
    _check_option("orientation", orientation, ("target_source", "source_target"))
    _check_option("length_unit", length_unit, tuple(_MILLIMETRES))
    sources = _with_companions(sources)
    tables = {part: _read(source, part) for part, source in sources.items() if source is not None}
    names = _names(tables.pop("labels")) if "labels" in tables else None
    parts = _in_one_order(tables, names)
    for part in ("weights", "tract_lengths"):
        if part in parts and orientation == "source_target":
            parts[part] = parts[part].T
    if "tract_lengths" in parts:
        parts["tract_lengths"] = parts["tract_lengths"] * _MILLIMETRES[length_unit]
    if "centres" in parts:
        parts["centres"] = parts["centres"][:, :3]
    return parts


def _check_option(name: str, got: str, known: tuple[str, ...]) -> None:
    if got not in known:
        raise ValueError(f"`{name}` should be one of {', '.join(known)}; got {got!r}.")


def _with_companions(sources: dict[str, Source]) -> dict[str, Source]:
    """Looks in the file of the weights for what was not given, under its usual names."""
    weights = sources["weights"]
    path = weights[0] if _is_variable(weights) else weights
    if not _is_path(path) or Path(path).suffix.lower() not in _CONTAINERS:
        return sources
    members = _members(Path(path))
    return {
        part: (path, name) if source is None and (name := _usual(members, part)) else source
        for part, source in sources.items()
    }


def _read(source: Source, part: str) -> Table:
    path, variable = source if _is_variable(source) else (source, None)
    if not _is_path(path):
        return Table(np.asarray(source))
    path = Path(path)
    match path.suffix.lower():
        case ".npy":
            return Table(np.load(path))
        case suffix if suffix in _CONTAINERS:
            return _chosen(_members(path), part, variable, path)
        case _ if part == "labels":
            return Table(np.array(_text_labels(path.read_text("utf-8-sig"))))
        case _:
            return _text_table(path.read_text("utf-8-sig"), path.name, part)


def _is_path(source: Source) -> bool:
    return isinstance(source, (str, os.PathLike))


def _is_variable(source: Source) -> bool:
    return (
        isinstance(source, tuple) and len(source) == 2 and isinstance(source[0], os.PathLike | str)
    )


# Files of several arrays.


def _members(path: Path) -> dict[str, Table]:
    match path.suffix.lower():
        case ".npz":
            with np.load(path) as arrays:
                return {name: Table(array) for name, array in arrays.items()}
        case ".mat":
            return {name: Table(array) for name, array in _load_mat(path).items()}
        case _:
            return _zip_members(path)


def _load_mat(path: Path) -> dict[str, np.ndarray]:
    try:
        variables = require("scipy.io", "data").loadmat(path)
    except NotImplementedError as error:
        raise ValueError(
            f"{path.name} is a MATLAB 7.3 file, which SciPy cannot read. Save it again in MATLAB "
            "with `save(..., '-v7')`."
        ) from error
    return {name: value for name, value in variables.items() if not name.startswith("__")}


def _zip_members(path: Path) -> dict[str, Table]:
    """The tables of a zip as TVB writes them: text or .npy, flat or in a folder, some in bzip2."""
    parts = {name: part for part, names in _USUAL_NAMES.items() for name in names}
    members = {}
    with zipfile.ZipFile(path) as archive:
        for entry in archive.namelist():
            name = entry.rsplit("/", 1)[-1]
            stem = name.split(".")[0]
            if entry.startswith("__MACOSX") or stem not in parts:
                continue
            raw = archive.read(entry)
            if name.endswith(".npy"):
                members[stem] = Table(np.load(io.BytesIO(raw)))
            else:
                text = (bz2.decompress(raw) if name.endswith(".bz2") else raw).decode("utf-8-sig")
                members[stem] = _text_table(text, name, parts[stem])
    return members


def _usual(members: dict[str, Table], part: str) -> str | None:
    return next((name for name in members if name.lower() in _USUAL_NAMES[part]), None)


def _chosen(members: dict[str, Table], part: str, variable: str | None, path: Path) -> Table:
    """The variable asked for, or the one of a usual name, or the only square matrix."""
    square = [name for name, (values, _) in members.items() if _is_square(values)]
    name = variable or _usual(members, part) or (square[0] if len(square) == 1 else None)
    if name not in members:
        shapes = ", ".join(f"{name} {table.values.shape}" for name, table in members.items())
        wanted = f"no variable {variable!r}" if variable else f"no one variable for `{part}`"
        raise ValueError(
            f"{path.name} has {wanted}; it has {shapes}. Give `{part}` as (path, variable)."
        )
    return members[name]


def _is_square(values: np.ndarray) -> bool:
    return values.ndim == 2 and values.shape[0] == values.shape[1] and values.dtype.kind in "iuf"


# Text.


def _text_rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    delimiter = next((mark for mark in "\t,;" if lines and mark in lines[0]), None)
    if delimiter is None:
        return [line.split() for line in lines]
    rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter)]
    if all(len(row) > 1 and row[-1] == "" for row in rows):
        rows = [row[:-1] for row in rows]
    return rows


def _text_table(text: str, name: str, part: str) -> Table:
    """A table of numbers, with or without names in its first row and column."""
    rows = _text_rows(text)
    if part == "centres":  # some files of TVB have a fifth column, of words
        rows = [row[:4] for row in rows]
    header = rows[0] if rows and _is_header(rows[0]) else None
    body = rows[1:] if header else rows
    if not body:
        raise ValueError(f"{name} should be a table of numbers; it is empty.")
    # A corner may be blank, hold a word, or (as R writes it) be missing.
    blank_corner = header is not None and (header[0] == "" or len(header) + 1 == len(body[0]))
    named = blank_corner or any(not _is_number(row[0]) for row in body)
    labels = [row[0] for row in body] if named else None
    try:
        values = np.array([row[named:] for row in body], float)
    except ValueError as error:
        raise ValueError(f"{name} should be a table of numbers with rows of one length.") from error
    if values.size == 0:
        raise ValueError(f"{name} should be a table of numbers; it has none.")
    if header is None or part == "centres":  # of which the header says x, y, z
        return Table(values, labels)
    columns = header[len(header) - values.shape[1] :]
    if labels is None:
        return Table(values, columns)
    return Table(values[:, _positions(labels, columns, f"the columns of {name}")], labels)


def _is_header(row: list[str]) -> bool:
    return row[0] == "" or any(cell and not _is_number(cell) for cell in row[1:])


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _text_labels(text: str) -> list[str]:
    """One name a line, or the column `label` or `name` of a table."""
    rows = _text_rows(text)
    header = [cell.lower() for cell in rows[0]] if rows else []
    for column in ("label", "name"):
        if len(header) > 1 and column in header:
            return [row[header.index(column)] for row in rows[1:]]
    return [line.strip().strip('"') for line in text.splitlines() if line.strip()]


def _names(table: Table) -> list[str]:
    """Strings, also from the cells and padded character arrays of MATLAB."""
    cells = table.labels if table.labels is not None else np.ravel(table.values)
    return [str(np.squeeze(cell)).strip() for cell in cells]


# One order of regions for all.


def _in_one_order(tables: dict[str, Table], names: Sequence[str] | None) -> dict[str, Any]:
    if names is None:
        names = next((table.labels for table in tables.values() if table.labels), None)
    parts: dict[str, Any] = {"labels": names}
    for part, (values, labels) in tables.items():
        if labels is not None and names is not None:
            order = _positions(names, labels, f"`{part}`")
            values = values[order] if part == "centres" else values[np.ix_(order, order)]
        parts[part] = values
    return parts


def _positions(names: Sequence[str], labels: Sequence[str], where: str) -> list[int]:
    """Where each name is among the labels; the two should hold the same names."""
    missing = [name for name in names if name not in labels]
    unknown = [label for label in labels if label not in names]
    if missing or unknown or len(names) != len(labels):
        raise ValueError(
            f"The regions of {where} should be those of the connectome: missing are "
            f"{', '.join(missing) or 'none'}; not known are {', '.join(unknown) or 'none'}."
        )
    return [list(labels).index(name) for name in names]
