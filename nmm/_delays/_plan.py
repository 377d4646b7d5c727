"""The plan of a delayed run: which edges are read together, and for how many steps at once."""

import dataclasses
import functools
import itertools

import numpy as np

from .._sparse import fill_rows
from ._reading import points, whole_steps
from ._spans import Spans


@dataclasses.dataclass(frozen=True, eq=False)
class Group:
    """Edges of one coupling that are read at once, in rows of as many.

    **Attributes:**

    - `edges`: `(row, place)`, their numbers among the edges of the spans; the number of edges where
        there is none.
    - `sources`: the region from which each comes.
    - `targets`: the region to which each row goes, `None` if row i goes to region i.
    - `regions`: their number.
    - `window`: grid points that are kept to be read.
    """

    edges: np.ndarray
    sources: np.ndarray
    targets: np.ndarray | None
    regions: int
    window: int


@dataclasses.dataclass(frozen=True, eq=False)
class DelayPlan:
    """Within a chunk of steps no longer than the shortest delay of a group of edges, all that
    arrives along them is known when the chunk begins.

    **Attributes:**

    - `chunks`: steps in a chunk, longest first; each a multiple of the next.
    - `groups`: for each chunk length, and each coupling, the edges that are read for it, or `None`.
    - `spans`: of each coupling; `None` if it is instantaneous.
    - `reading`: how values between grid points are read.
    - `dt`: the step, ms.
    """

    chunks: tuple[int, ...]
    groups: tuple[tuple[Group | None, ...], ...]
    spans: tuple[Spans | None, ...]
    reading: str
    dt: float

    @property
    def points(self) -> int:
        """Grid points from which a value is read."""
        return points(self.reading)

    @property
    def recent(self) -> int:
        """Grid points before a step whose sums its stages need."""
        return max(self.points - 1, 1)

    def history(self, coupling: int) -> int:
        """Grid points that a run needs of the time before it."""
        windows = [groups[coupling] for groups in self.groups]
        return self.recent + max((group.window for group in windows if group), default=0)

    def stored(self, coupling: int) -> bool:
        """Whether the features of a coupling are kept to be read."""
        return any(groups[coupling] is not None for groups in self.groups)

    def lags(self, coupling: int) -> tuple[np.ndarray, np.ndarray]:
        """The smallest and the largest lag, in steps, of the latest point that an edge reads."""
        spans = self.spans[coupling]
        assert spans is not None
        return _lags(spans, self.dt, self.reading)


def _lags(spans: Spans, dt: float, reading: str) -> tuple[np.ndarray, np.ndarray]:
    return whole_steps(spans.shortest / dt, reading), whole_steps(spans.longest / dt, reading)


@functools.lru_cache(maxsize=256)
def plan_delays(spans: tuple[Spans | None, ...], dt: float, reading: str, steps: int) -> DelayPlan:
    """Plans a run of `steps` steps of `dt` ms."""
    lags, delayed = [], []
    for one in spans:
        first, last = _lags(one, dt, reading) if one else (np.zeros(0, int), np.zeros(0, int))
        lags.append((first, last))
        # What is rounded to no delay at all, or has none, is heard at once.
        read = last > 0 if reading == "nearest" or one is None else one.delayed
        delayed.append(np.flatnonzero(read))
    # A lag of 0 is heard at once too, and what remains of such an edge has a lag of 1.
    firsts = [np.maximum(first[edges], 1) for (first, _), edges in zip(lags, delayed, strict=True)]
    counts = _counts([(s, f, e) for s, f, e in zip(spans, firsts, delayed, strict=True) if s])
    chunks = _choose(counts, steps, points(reading))
    groups = []
    for longest, length in zip((None, *chunks), chunks, strict=False):
        level = []
        for one, first, edges, (_, last) in zip(spans, firsts, delayed, lags, strict=True):
            chosen = edges[(first >= length) & (True if longest is None else first < longest)]
            if one is None or not len(chosen):
                level.append(None)
            else:
                level.append(_group(one, chosen, last, points(reading)))
        groups.append(tuple(level))
    return DelayPlan(chunks, tuple(groups), spans, reading, dt)


def _group(spans: Spans, chosen: np.ndarray, last: np.ndarray, points: int) -> Group:
    targets = spans.targets[chosen]
    degree = np.bincount(targets, minlength=spans.regions)
    # One row for each region, unless most of its places would be empty.
    mean = -(-len(chosen) // spans.regions)
    places, rows = fill_rows(targets, spans.regions, min(int(degree.max()), EMPTY * mean))
    edges = np.append(chosen, len(spans.targets))[places].astype(np.int32)
    sources = np.append(spans.sources, 0)[edges].astype(np.int32)
    window = int(np.maximum(last[chosen], 1).max()) + points - 1
    return Group(edges, sources, rows, spans.regions, window)


def _counts(couplings: list[tuple[Spans, np.ndarray, np.ndarray]]) -> list[np.ndarray]:
    """For each coupling and each lag, the number of edges of each region at that lag or later."""
    longest = max((int(first.max()) for _, first, _ in couplings if len(first)), default=1)
    counts = []
    for spans, first, edges in couplings:
        histogram = np.zeros((spans.regions, longest + 2), np.int64)
        np.add.at(histogram, (spans.targets[edges], first), 1)
        counts.append(np.cumsum(histogram[:, ::-1], axis=1)[:, ::-1])
    return counts


def _choose(counts: list[np.ndarray], steps: int, points: int) -> tuple[int, ...]:
    """The lengths of chunks, one or two, that cost least."""
    longest = counts[0].shape[1] - 2 if counts else 1
    present = np.flatnonzero(sum(-np.diff(c.sum(axis=0)) for c in counts)) if counts else []
    shortest = int(present[0]) if len(present) else 1
    most = max((int(c[:, 1].sum()) for c in counts), default=1)
    limit = max(min(longest, steps, LONGEST_CHUNK, LARGEST_READ // max(most, 1)), 1)

    def cost(chunks: tuple[int, ...]) -> float:
        """Nanoseconds a step, roughly."""
        total = 0.0
        for upper, length in zip((longest + 1, *chunks), chunks, strict=False):
            edges = 0
            for one in counts:
                degree = one[:, length] - one[:, upper]
                edges += min(len(one) * int(degree.max()), EMPTY * int(degree.sum()))
            uneven = length not in (1, 2, 4) and length % VECTOR > 0
            slices = SLICE + POINT * (length + points - 1) + UNEVEN * uneven
            total += (CHUNK + edges * slices) / length
        padded = -(-steps // chunks[0]) * chunks[0]
        return total * padded / steps + (MASK if padded > steps else 0.0)

    shorts = range(1, min(shortest, limit) + 1)
    pairs = ((b * m, b) for b in shorts for m in range(2, limit // b + 1))
    return min(itertools.chain(((b,) for b in shorts), pairs), key=cost)


LONGEST_CHUNK = 256
"""Steps; beyond it nothing is gained."""

LARGEST_READ = 2**27
"""Numbers that are read at once, at most, where that leaves chunks of one step."""

EMPTY = 2
"""How many times as many places as edges there may be."""

VECTOR = 8
"""How many numbers are added up at once, on most processors."""

CHUNK, SLICE, POINT, UNEVEN, MASK = 2000.0, 4.0, 0.1, 2.0, 300.0
"""Measured on one core, in nanoseconds: what a chunk costs; what each edge does in a chunk, for
each grid point, and if its steps do not fill whole vectors; and what it costs a step to look
whether it lies within the run."""
