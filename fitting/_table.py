"""Tables that print."""

from collections.abc import Sequence


def as_text(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines, the columns one below the other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
