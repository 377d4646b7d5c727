"""The plan of a run on a grid: integers only, made once, before anything is traced.

A run is a chain of nested loops. Each length divides the one before, down to the single step, and
whatever happens less often than a step (a sample, a haemodynamic step, a draw of noise, a
checkpoint) happens at the end or the start of one of these loops.
"""

import dataclasses
import math
from collections.abc import Iterable

NOISE_TILE = 16
"""Steps whose random numbers are drawn at once: fewer calls than one a step, little memory."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """Nested loops over the steps of a run.

    **Attributes:**

    - `lengths`: steps in one pass of each loop, from the outermost down to 1.
    - `blocks`: passes of the outermost loop.
    - `offset`: steps in the first block that lie before the start of the run. Blocks are counted
        from the step 0 of the first of several connected runs.
    - `steps`: steps of the run.
    - `checkpoint`: the loop whose passes are computed again for a gradient, not stored.
    - `tile`: the loop at whose start random numbers are drawn; -1 if there are none.
    """

    lengths: tuple[int, ...]
    blocks: int
    offset: int
    steps: int
    checkpoint: int
    tile: int

    @property
    def masked(self) -> bool:
        """Whether some steps of the blocks lie outside of the run."""
        return self.blocks * self.lengths[0] != self.steps

    def level(self, period: int) -> int:
        """The outermost loop whose length divides `period`."""
        return next(i for i, length in enumerate(self.lengths) if period % length == 0)

    def samples(self, period: int, transient: int) -> tuple[list[int], list[int]]:
        """Which rows of a loop that emits one row a pass are samples of this period.

        **Returns:**

        The rows, and the step at the end of each, counted from the start of the first block.
        """
        length = self.lengths[self.level(period)]
        first = self.offset + transient
        ends = range(length, self.blocks * self.lengths[0] + 1, length)
        last = self.offset + self.steps
        chosen = [
            (row, end) for row, end in enumerate(ends) if first < end <= last and end % period == 0
        ]
        return [row for row, _ in chosen], [end for _, end in chosen]


def make_plan(steps: int, start: int, periods: Iterable[int], noisy: bool) -> Plan:
    """Plans `steps` steps from step `start` on.

    **Arguments:**

    - `periods`: numbers of steps after which something happens, such as a sample.
    - `noisy`: whether random numbers are drawn.
    """
    common = math.gcd(start, steps)
    chain: list[int] = []
    for period in sorted({_fitting(period, common) for period in periods}, reverse=True):
        chain.append(math.gcd(period, chain[-1]) if chain else period)
    tile = _nearest(NOISE_TILE, chain, common) if noisy else 1
    chain.append(tile)
    block = _nearest(max(math.isqrt(steps), 1), chain, common)
    lengths = tuple(sorted({*chain, block, 1}, reverse=True))
    offset = start % lengths[0]
    return Plan(
        lengths=lengths,
        blocks=-(-(offset + steps) // lengths[0]),
        offset=offset,
        steps=steps,
        checkpoint=lengths.index(block),
        tile=lengths.index(tile) if noisy else -1,
    )


def _fitting(period: int, common: int) -> int:
    """The length of the loop for this period.

    A run that ends within a period must skip steps, which costs a little in every step. A loop
    over a part of the period avoids that, at the cost of a few rows more.
    """
    shared = math.gcd(period, common)
    return shared if period <= 16 * shared else period


def _nearest(target: int, chain: list[int], common: int) -> int:
    """The length nearest to `target` that fits into the chain, best one that divides the run."""
    reach = 4 * target
    best, best_cost = 1, math.inf
    for length in range(1, reach + 1):
        if any(length % other and other % length for other in chain):
            continue
        outermost = all(length >= other for other in chain)
        wasteful = outermost and common % length != 0
        cost = abs(math.log(length / target)) + (1.0 if wasteful else 0.0)
        if cost < best_cost:
            best, best_cost = length, cost
    return best
