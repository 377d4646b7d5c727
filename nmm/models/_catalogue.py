"""The catalogue, made from the models themselves."""

import inspect
from typing import NamedTuple

from .. import models
from .._declare import declarations
from .._markdown import table
from ._base import AbstractModel


class CatalogueEntry(NamedTuple):
    """What the catalogue says of one model.

    **Attributes:**

    - `name`: that of the class, as in `nmm.<name>`.
    - `category`: what kind of model it is.
    - `states`: the names of its state variables.
    - `use`: what it is typically used for.
    - `paper`: the paper that its equations follow.
    """

    name: str
    category: str
    states: tuple[str, ...]
    use: str
    paper: str


class Catalogue(tuple[CatalogueEntry, ...]):
    """Entries that print themselves as a table."""

    __slots__ = ()

    def __repr__(self) -> str:
        header = ("model", "category", "n", "states", "typical use", "paper")
        rows = (
            (e.name, e.category, str(len(e.states)), ", ".join(e.states), e.use, e.paper)
            for e in self
        )
        return table(header, rows)

    def _repr_markdown_(self) -> str:
        return repr(self)


def list_models() -> Catalogue:
    """The models of this package, each with its states, typical use and paper.

    **Returns:**

    A tuple of entries, sorted by name, that prints itself as a table; `nmm.describe` tells all of
    one model.
    """
    found = inspect.getmembers(models, _is_model)
    return Catalogue(
        CatalogueEntry(
            name=name,
            category=cls.category,
            states=tuple(declarations(cls.State)),
            use=cls.use,
            paper=cls.reference,
        )
        for name, cls in found
    )


def _is_model(x: object) -> bool:
    return isinstance(x, type) and issubclass(x, AbstractModel) and not inspect.isabstract(x)
