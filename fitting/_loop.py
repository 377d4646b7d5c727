"""The loop of a fit, whatever moves the parameters: rows, progress, checkpoints, interruptions."""

import abc
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from ._checkpoint import Folder, from_arrays, to_arrays
from ._devices import check_same
from ._loss import LOSS
from ._progress import progress_bar

Row: TypeAlias = dict[str, Any]


class AbstractMethod(abc.ABC):
    """What moves the free numbers of a fit from step to step."""

    @abc.abstractmethod
    def init(self) -> Any:
        """What changes from step to step, at the start."""

    @abc.abstractmethod
    def advance(self, carry: Any, n: int, rows: list[Row]) -> tuple[Any, Row, str | None]:
        """Step number `n` after those of `rows`: its row, and why it ends the fit, if it does."""

    @abc.abstractmethod
    def reached(self, carry: Any) -> Any:
        """The free numbers, unconstrained."""

    def pack(self, carry: Any) -> dict[str, np.ndarray]:
        """As arrays for a file."""
        return to_arrays(carry, "carry")

    def unpack(self, arrays: dict[str, np.ndarray]) -> Any:
        """What `pack` has packed."""
        return from_arrays(self.init(), arrays, "carry")


def run(
    method: AbstractMethod,
    steps: int,
    *,
    folder: Folder | None,
    every: int,
    progress: bool,
    callback: Callable[[int, Row], Any] | None = None,
) -> tuple[Any, list[Row], str]:
    """Takes up to `steps` steps, in one go or on from where a checkpoint was left.

    **Returns:**

    The free numbers reached, the rows, and why it ended.
    """
    carry, rows, outcome = _resume(method, folder)
    if folder is not None and folder.shared:
        check_same(len(rows))
    if outcome in ("interrupted", "completed"):
        outcome = ""
    if len(rows) > steps:
        raise ValueError(f"`checkpoint` holds {len(rows)} steps, more than `steps`={steps}.")
    try:
        if carry is None:
            carry = method.init()
        with progress_bar(steps, "fit", progress, len(rows)) as bar:
            while not outcome and len(rows) < steps:
                n = len(rows)
                carry, row, ending = method.advance(carry, n, rows)
                rows.append(row)
                if ending:
                    outcome = ending
                    break
                bar.set_postfix(loss=f"{np.min(row[LOSS]):.4g}", refresh=False)
                bar.update()
                if callback is not None and callback(n, row):
                    outcome = f"ended by the callback in step {n}"
                elif folder is not None and (n + 1) % every == 0:
                    _save(method, folder, carry, rows, "interrupted")
    except KeyboardInterrupt:
        outcome = "interrupted"
    outcome = outcome or "completed"
    if folder is not None and rows:
        _save(method, folder, carry, rows, outcome)
    return None if carry is None else method.reached(carry), rows, outcome


def _save(
    method: AbstractMethod, folder: Folder, carry: Any, rows: list[Row], outcome: str
) -> None:
    history = {f"history/{name}": np.stack([row[name] for row in rows]) for name in rows[0]}
    folder.write(
        f"step-{len(rows):08d}", method.pack(carry) | history | {"outcome": np.array(outcome)}
    )
    # The one before stays, should the last one be damaged by what no program can prevent.
    for old in folder.names("step-")[:-2]:
        folder.remove(old)


def _resume(method: AbstractMethod, folder: Folder | None) -> tuple[Any, list[Row], str]:
    for name in reversed(folder.names("step-") if folder is not None else []):
        arrays = folder.read(name) if folder is not None else None
        if arrays is not None:
            history = {
                name.removeprefix("history/"): values
                for name, values in arrays.items()
                if name.startswith("history/")
            }
            count = len(history[LOSS])
            rows = [{name: values[n] for name, values in history.items()} for n in range(count)]
            return method.unpack(arrays), rows, str(arrays["outcome"])
    return None, [], ""
