"""The progress bar of long work."""

from typing import Any


def progress_bar(total: int, title: str, show: bool) -> Any:
    """A bar that counts to `total`."""
    from tqdm import tqdm

    return tqdm(total=total, desc=title, disable=not show)
