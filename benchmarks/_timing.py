"""Timing by turns: every contender runs once in each round, so that a drifting machine hits all."""

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np


def first_call(run: Callable[[], Any]) -> float:
    """Seconds of the first call: trace, compile and run."""
    start = time.perf_counter()
    jax.block_until_ready(run())
    return time.perf_counter() - start


def by_turns(contenders: dict[str, Callable[[], Any]], rounds: int = 7) -> dict[str, np.ndarray]:
    """Seconds of each contender in each round. All have run before."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            start = time.perf_counter()
            jax.block_until_ready(run())
            seconds[name].append(time.perf_counter() - start)
    return {name: np.array(values) for name, values in seconds.items()}


def ratio(seconds: dict[str, np.ndarray], ours: str, theirs: str) -> str:
    """Ours over theirs: median of the ratios round by round, with the quartiles."""
    low, middle, high = np.percentile(seconds[ours] / seconds[theirs], [25, 50, 75])
    return f"{middle:.2f} ({low:.2f}–{high:.2f})"


def table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Prints a Markdown table."""
    print(f"\n### {title}\n")
    print("| " + " | ".join(columns) + " |")
    print("|" + "---|" * len(columns))
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)
