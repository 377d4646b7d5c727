"""Packages that are not always there, imported where they are used."""

import importlib
from typing import Any


def require(package: str, extra: str) -> Any:
    """Imports a package of an extra.

    **Raises:**

    - `ModuleNotFoundError`, with the command that installs it.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"This needs {package.partition('.')[0]}: pip install 'nmm[{extra}]'"
        ) from error
