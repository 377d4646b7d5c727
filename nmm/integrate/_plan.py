"""The plan of a run on a grid: integers only, made once, before anything is traced."""

import dataclasses
import functools
import math

import numpy as np

SHORTEST_BLOCK = 1600
"""Steps in a block of a long run, at least.

A gradient stores the state at the start of each block, and all of one block at a time. With
blocks of this length or the square root of the run, whichever is longer, the second dominates for
runs of usual length, so that memory hardly grows with time.
"""


@dataclasses.dataclass(frozen=True)
class Plan:
    """Blocks of steps. What happens less often than a step is done at the end of a block, for all
    of it at once.

    **Attributes:**

    - `block`: steps in a block.
    - `blocks`: number of blocks.
    - `offset`: steps of the first block that lie before the start of the run. Blocks are counted
        from step 0 of the first of several connected runs; with delays, from that of this run.
    - `steps`: steps of the run.
    - `lag`: the step at which the first block starts, up to common multiples of the periods: 0
        if they fit into a block, so that runs that continue share their compilation.
    """

    block: int
    blocks: int
    offset: int
    steps: int
    lag: int

    @property
    def masked(self) -> bool:
        """Whether some steps of the blocks lie outside of the run."""
        return self.blocks * self.block != self.steps

    def unit(self, period: int) -> int:
        """The longest time that fits into a block and a period, and divides the start."""
        return math.gcd(self.block, period, self.lag)

    def samples(self, period: int, transient: int) -> tuple[list[int], list[int]]:
        """Which of the rows that are emitted after every `unit(period)` are samples.

        **Returns:**

        The rows, and the step at the end of each, counted from the start of the first block.
        """
        unit = self.unit(period)
        first, last = self.offset + transient, self.offset + self.steps
        ends = range(period - self.lag % period, self.blocks * self.block + 1, period)
        chosen = [end for end in ends if first < end <= last]
        return [end // unit - 1 for end in chosen], chosen


@functools.lru_cache(maxsize=1024)
def make_plan(
    steps: int,
    start: int,
    periods: tuple[int, ...],
    own_steps: tuple[int, ...],
    chunk: int | None = None,
    carried: int = 0,
) -> Plan:
    """Plans `steps` steps from step `start` on.

    **Arguments:**

    - `periods`: numbers of steps from sample to sample, of everything that is sampled.
    - `own_steps`: numbers of steps in the steps that observers take.
    - `chunk`: with delays, the number of steps of which a block is a multiple.
    - `carried`: how many steps of a block take as much memory as what goes from block to block.
    """
    target = min(steps, max(SHORTEST_BLOCK, math.isqrt(steps * (1 + carried))))
    unit = chunk or 1
    blocks = unit * np.arange(max(target // (4 * unit), 1), 4 * target // unit + 2)
    before = np.zeros_like(blocks) if chunk else start % blocks
    # Roughly the time that is lost with each, as a share of that of the run. Steps outside of the
    # run are computed in vain, and every step must look whether it is one: a tenth of the time of a
    # light model, little of that of a network.
    beyond = -(before + steps) % blocks + before
    lost = np.where(beyond == 0, 0.0, 0.03 + beyond / steps)
    for period in periods:  # One that does not fit makes rows that are dropped.
        lost += 0.03 * np.log2(period / np.gcd(blocks, period))
    for own in own_steps:  # One that does not fit is computed more often than needed.
        lost += np.where(own < blocks, 0.05 * (own // np.gcd(blocks, own) - 1), 0.0)
    block = int(blocks[np.argmin(lost + 0.05 * np.abs(np.log(blocks / target)))])
    offset = 0 if chunk else start % block
    lag = (start - offset) % math.lcm(*periods)
    return Plan(block, -(-(offset + steps) // block), offset, steps, lag)
