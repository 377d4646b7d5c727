"""Between which ends the delay of each edge may lie: all that must be known before compilation."""

import hashlib
from typing import Any

import numpy as np

from .._connectome import AbstractConnectome, Connectome
from .._declare import is_concrete
from .._sparse import ParcelConnectome, SparseConnectome


class Spans:
    """The edges of one coupling, and the ends between which their delays lie.

    It holds known numbers alone, and is hashed by their values, so that networks that differ in
    nothing else share their compilation.

    **Attributes:**

    - `targets`, `sources`: the regions of each edge, ordered by target.
    - `where`: its place in the weights, whose shape is `shape`.
    - `edges`: which of these places are edges, or of no account.
    - `shortest`, `longest`: of the delay of each edge, ms.
    - `regions`: their number.
    - `at_once`: whether all delays are 0.
    """

    def __init__(self, connectome: AbstractConnectome, shortest: np.ndarray, longest: np.ndarray):
        weights: Any = connectome.weights
        self.shape = weights.shape
        if isinstance(connectome, SparseConnectome):
            self.regions = connectome.n_regions
            self.edges = np.ones(self.shape, bool)
            targets, sources, self.where = connectome.layout.known
        else:
            known = is_concrete(weights)
            self.edges = np.asarray(weights) != 0 if known else np.ones(self.shape, bool)
            self.regions = len(self.edges)
            self.where: Any = np.nonzero(self.edges)
            targets, sources = self.where
        self.targets, self.sources = targets.astype(np.int32), sources.astype(np.int32)
        self.shortest, self.longest = (
            np.broadcast_to(end, self.shape)[self.where].astype(np.float64)
            for end in (shortest, longest)
        )
        self.at_once = not self.longest.any()
        digest = hashlib.sha256()
        for each in (self.targets, self.sources, *self.where, self.shortest, self.longest):
            digest.update(np.ascontiguousarray(each).tobytes())
        self._digest = (self.regions, self.shape, digest.digest())

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Spans) and self._digest == other._digest

    def __hash__(self) -> int:
        return hash(self._digest)

    def __repr__(self) -> str:
        if self.at_once:
            return "Spans(no delays)"
        ends = self.shortest[self.delayed].min(), self.longest.max()
        return f"Spans({self.delayed.sum()} delayed edges, {ends[0]:.3g} to {ends[1]:.3g} ms)"

    @property
    def delayed(self) -> np.ndarray:
        """Which edges may have a delay."""
        return self.longest > 0

    def place(self, values: Any, xp: Any) -> Any:
        """Values for all edges, for each or in the places of the weights, in these places."""
        if np.ndim(values) != 1:
            return xp.broadcast_to(values, self.shape)
        edges = np.zeros(self.shape, np.int32)
        edges[self.where] = np.arange(len(self.targets))
        return values[edges]

    @property
    def edges_at_once(self) -> np.ndarray:
        """The places of edges without delay."""
        edges = np.zeros(self.shape, bool)
        edges[self.where] = ~self.delayed
        return edges


def find_spans(
    connectome: AbstractConnectome,
    speed: Any,
    delays: Any,
    speed_range: tuple[Any, Any] | None,
    delay_range: tuple[Any, Any] | None,
) -> Spans | None:
    """Reads off between which ends the delays of a coupling may lie; `None` if there are none.

    All of it in NumPy, since inside of `jax.jit` no sum of JAX is known.

    **Raises:**

    - `ValueError` if that cannot be known, if something is no delay or speed, or if delays leave
        the declared range.
    """
    if speed is not None and delays is not None:
        raise ValueError("One of `speed` and `delays` should be given, got both.")
    if speed is None and delays is None:
        return None
    if not isinstance(connectome, Connectome | SparseConnectome | ParcelConnectome):
        raise ValueError(
            "`speed` and `delays` should go with a connectome whose edges are known, got a "
            f"`{type(connectome).__name__}`; of several couplings, give `None` for it."
        )
    weights, lengths = connectome.weights, connectome.tract_lengths
    known = None
    if delays is not None:
        delays = _in_places(connectome, delays)
        check_delays(delays, weights.shape)
        known = np.asarray(delays, np.float64) if is_concrete(delays) else None
    elif lengths is None:
        raise ValueError("`speed` should go with `tract_lengths`, which the connectome lacks.")
    else:
        check_speed(speed, weights.shape)
        if is_concrete(lengths) and is_concrete(speed):
            known = np.asarray(lengths, np.float64) / np.asarray(speed, np.float64)
    if speed_range is not None and speed is not None and is_concrete(lengths):
        tracts = np.asarray(lengths, np.float64)
        ends = tracts / speed_range[1], tracts / speed_range[0]
    elif delay_range is not None:
        ends = tuple(_in_places(connectome, end) for end in delay_range)
        for end in map(np.shape, ends):
            if end not in ((), weights.shape):
                raise ValueError(
                    f"`delay_range` should be of numbers, or of the shape {weights.shape}, as the "
                    f"weights; got {end}."
                )
    elif known is not None:
        ends = known, known
    else:
        raise ValueError(
            "`speed_range` or `delay_range` should be given where a network is built from a speed, "
            "delays or tract lengths that are known only when compiled code runs."
        )
    spans = Spans(connectome, *(np.asarray(end, np.float64) for end in ends))
    if known is not None:
        refuse_outside(spans, known, "delays" if speed is None else "speed")
    return spans


def check_speed(speed: Any, expected: tuple[int, ...]) -> None:
    """Refuses what is no speed, and a known one that is not positive."""
    if np.shape(speed) not in ((), expected):
        raise ValueError(
            f"`speed` should be one, or have the shape {expected}, as the weights; got "
            f"{np.shape(speed)}."
        )
    if is_concrete(speed):
        known = np.asarray(speed)
        if not (np.all(np.isfinite(known)) and np.all(known > 0)):
            raise ValueError(f"`speed` should be above 0 mm/ms and finite; got {speed}.")


def check_range(name: str, ends: tuple[Any, Any]) -> None:
    """Refuses what is no range of positive speeds, or of delays.

    **Raises:**

    - `ValueError` or `TypeError`, with the name of the argument.
    """
    if not isinstance(ends, tuple) or len(ends) != 2 or not all(map(is_concrete, ends)):
        raise TypeError(f"`{name}` should be a pair of known numbers, (low, high); got {ends!r}.")
    low, high = (np.asarray(end, np.float64) for end in ends)
    lowest = low > 0 if name == "speed_range" else low >= 0
    if not (np.all(lowest) and np.all(low <= high) and np.all(np.isfinite(high))):
        least = "above 0" if name == "speed_range" else "not negative"
        raise ValueError(f"`{name}` should be (low, high), finite and {least}; got {ends}.")


def check_delays(delays: Any, expected: tuple[int, ...]) -> None:
    """Refuses what is no matrix of delays; whether they are negative, as far as that is known."""
    shape = np.shape(delays)
    if shape not in ((), expected):
        raise ValueError(f"`delays` should have the shape {expected}, as the weights; got {shape}.")
    if is_concrete(delays):
        known = np.asarray(delays)
        bad = np.argwhere(~(np.isfinite(known) & (known >= 0)))
        if len(bad):
            where = tuple(bad[0].tolist())
            raise ValueError(
                f"`delays` should be finite and not negative, in ms; got {len(bad)} that are not, "
                f"the first, {known[where]}, at {where}."
            )


def at_edges(spans: Spans, values: Any) -> Any:
    """Of values in the places of the weights, those of the edges."""
    return values[spans.where]


def outside(spans: Spans, delays: Any, xp: Any = np) -> Any:
    """Which edges have a delay that is not in their span. NaN is in none."""
    slack = 1e-5
    values = at_edges(spans, delays)
    low, high = (xp.asarray(end, values.dtype) for end in (spans.shortest, spans.longest))
    return ~((values >= low * (1 - slack)) & (values <= high * (1 + slack)))


def left(spans: Spans, weights: Any, delays: Any, xp: Any = np) -> Any:
    """Whether a delay is not in its span, or a weight is not 0 where there was no edge."""
    if spans.at_once:
        # What is heard at once needs no plan, so that edges may come and go.
        return xp.any((weights != 0) & (delays != 0))
    new = xp.where(spans.edges, 0, weights) != 0
    return xp.any(outside(spans, delays, xp)) | xp.any(new)


def refuse_outside(spans: Spans, delays: Any, name: str) -> None:
    """Refuses known delays that are not in their spans.

    **Arguments:**

    - `name`: of the argument that they follow from, `"delays"` or `"speed"`.

    **Raises:**

    - `ValueError`, with the first of them.
    """
    known = np.broadcast_to(np.asarray(delays, np.float64), spans.shape)
    bad = np.flatnonzero(outside(spans, known))
    if len(bad):
        i, j = int(spans.targets[bad[0]]), int(spans.sources[bad[0]])
        ends = spans.shortest[bad[0]], spans.longest[bad[0]]
        raise ValueError(
            f"`{name}` should be within the range known or declared when the network was built "
            f"(`speed_range`, `delay_range`); {len(bad)} delays are not, the first that from "
            f"region {j} to region {i}: {at_edges(spans, known)[bad[0]]:.6g} ms, not in "
            f"[{ends[0]:.6g}, {ends[1]:.6g}] ms."
        )


def refuse_new_edges(spans: Spans, weights: Any) -> None:
    """Refuses known weights that are not 0 where there was no edge when the network was built.

    **Raises:**

    - `ValueError`, with the first of them.
    """
    bad = np.argwhere(np.where(spans.edges, 0, np.asarray(weights)) != 0)
    if len(bad):
        raise ValueError(
            "`weights` should stay 0 where they were 0 when the network was built, since no delay "
            f"was planned there; {len(bad)} are not, the first at {tuple(bad[0].tolist())}."
        )


def _in_places(connectome: AbstractConnectome, values: Any) -> Any:
    """Values given by edge, of a list of edges, in the places of its weights."""
    if isinstance(connectome, SparseConnectome) and np.ndim(values) == 1:
        return connectome.place(values)
    return values
