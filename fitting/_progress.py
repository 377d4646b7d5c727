"""The progress bar of long work."""

from typing import Any


def progress_bar(total: int, title: str, show: bool, done: int = 0) -> Any:
    """A bar that counts from `done` to `total`, with the time left."""
    from tqdm import tqdm

    return tqdm(total=total, initial=done, desc=title, disable=not show)
