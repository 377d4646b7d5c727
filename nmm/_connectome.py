"""The connectome: who is connected to whom, how strongly, and how far apart."""

import difflib
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Scalar

from ._custom_types import Weights
from ._declare import as_float

Region = str | int
Scaling = Literal["spectral_radius", "maximum", "row_sum", "raw"]


def _as_labels(labels: Iterable[str] | None) -> tuple[str, ...] | None:
    return None if labels is None else tuple(str(label) for label in labels)


def _as_optional(value: Any) -> Any:
    return None if value is None else as_float(value)


class Connectome(eqx.Module):
    r"""The connections between regions: weights, tract lengths, names and places.

    `weights[i, j]` is what region i receives from region j: row = target, column = source. Weights
    may be negative, lengths may not. A pair of regions is an edge where its weight is not 0.

    The methods return a new connectome and leave this one as it is. **Their order matters**: log
    after scaling is another matrix than scaling after log, and scaling before a subset leaves the
    subset with another spectral radius. The usual order is

    ```python
    conn.without_self_connections().log().subset(regions).scale("spectral_radius")
    ```

    (log only where wanted), so that a global coupling G means the same in every parcellation.
    Scaling and log are differentiable; so are weights and tract lengths as such, which may be
    fitted. Inside of `jax.jit` only the shapes are checked, since values are not known there.
    """

    weights: Weights = eqx.field(converter=as_float)
    tract_lengths: Weights | None = eqx.field(converter=_as_optional, default=None)
    labels: tuple[str, ...] | None = eqx.field(static=True, converter=_as_labels, default=None)
    centres: Float[Array, "regions 3"] | None = eqx.field(converter=_as_optional, default=None)

    def __check_init__(self):
        _check_numbers("weights", self.weights)
        shape = self.weights.shape
        if len(shape) != 2 or shape[0] != shape[1]:
            raise ValueError(
                f"`weights` should be a square matrix, (regions, regions); got shape {shape}."
            )
        if self.tract_lengths is not None:
            _check_numbers("tract_lengths", self.tract_lengths)
            _check_shape("tract_lengths", self.tract_lengths.shape, shape)
            _check_not_negative(self.tract_lengths)
        if self.centres is not None:
            _check_numbers("centres", self.centres)
            _check_shape("centres", self.centres.shape, (self.n_regions, 3))
        if self.labels is not None:
            _check_labels(self.labels, self.n_regions)

    @property
    def n_regions(self) -> int:
        """The number of regions."""
        return self.weights.shape[0]

    @property
    def strength(self) -> Float[Array, " target"]:
        """What each region receives in all: the sum of its row of `weights`."""
        return self.weights.sum(axis=1)

    @property
    def spectral_radius(self) -> Scalar:
        """The largest magnitude among the eigenvalues of `weights`."""
        if _is_known(self.weights):
            # On the host: accelerators have no general eigenvalues, and nothing is compiled.
            values = np.linalg.eigvals(np.asarray(self.weights, np.float64))
            return jnp.asarray(np.abs(values).max(initial=0.0), self.weights.dtype)
        return jnp.abs(jnp.linalg.eigvals(self.weights)).max()

    @property
    def is_symmetric(self) -> bool:
        """Whether `weights` equals its transpose exactly. Needs known (not traced) weights."""
        weights = _known("is_symmetric", self.weights)
        return bool(np.array_equal(weights, weights.T))

    @property
    def density(self) -> float:
        """The fraction of pairs of different regions that are connected. Needs known weights."""
        weights = _known("density", self.weights)
        edges = np.count_nonzero(weights) - np.count_nonzero(np.diagonal(weights))
        return edges / max(self.n_regions * (self.n_regions - 1), 1)

    def index(self, region: Region) -> int:
        """The row of a region, by its label, or by its number (which may count from the end).

        **Raises:**

        - `ValueError`: if there is no such region; similar labels are suggested.
        """
        if isinstance(region, str):
            return self._index_of_label(region)
        if not -self.n_regions <= region < self.n_regions:
            raise ValueError(
                f"There is no region {region}: `region` should be a label or a number below "
                f"{self.n_regions}."
            )
        return int(region) % self.n_regions

    def _index_of_label(self, label: str) -> int:
        if self.labels is None:
            raise ValueError(
                f"There is no region {label!r}: this connectome has no `labels`. Use its number."
            )
        if label in self.labels:
            return self.labels.index(label)
        # The case of letters is what people get wrong most often; difflib sees it as a difference.
        by_folded = {known.casefold(): known for known in self.labels}
        close = difflib.get_close_matches(label.casefold(), by_folded, n=4, cutoff=0.5)
        hint = ", ".join(repr(by_folded[match]) for match in close)
        raise ValueError(
            f"There is no region {label!r}. "
            + (f"Did you mean {hint}?" if hint else f"They are {', '.join(self.labels)}.")
        )

    def scale(self, by: Scaling) -> "Connectome":
        """Divides the weights.

        **Arguments:**

        - `by`: `"spectral_radius"`, the largest magnitude among the eigenvalues, so that a linear
            network is stable up to G = 1 / leak in every parcellation; `"maximum"`, the largest
            absolute weight; `"row_sum"`, for each row the sum of its absolute weights, so that
            every region receives the same in all (a region that receives nothing stays so); or
            `"raw"`, which changes nothing.

        **Returns:**

        The scaled connectome. A matrix of zeros stays one.
        """
        match by:
            case "spectral_radius":
                divisor = self.spectral_radius
            case "maximum":
                divisor = jnp.abs(self.weights).max()
            case "row_sum":
                divisor = jnp.abs(self.weights).sum(axis=1, keepdims=True)
            case "raw":
                return self
            case _:
                raise ValueError(
                    f'`by` should be "spectral_radius", "maximum", "row_sum" or "raw"; got {by!r}.'
                )
        return self._with_weights(self.weights / jnp.where(divisor > 0, divisor, 1))

    def log(self) -> "Connectome":
        r"""Replaces each weight by $\log(1 + w)$ (a negative one by $-\log(1 - w)$).

        Meant for counts, before they are scaled: of weights below 1, the logarithm is nearly the
        weights themselves.
        """
        negative = self.weights < 0
        logarithm = jnp.log1p(jnp.where(negative, -self.weights, self.weights))
        return self._with_weights(jnp.where(negative, -logarithm, logarithm))

    def threshold(
        self, minimum: ArrayLike | None = None, *, density: float | None = None
    ) -> "Connectome":
        """Sets weak connections to 0. Connections of a region with itself are left alone.

        **Arguments:** (one of them)

        - `minimum`: the smallest absolute weight that is kept.
        - `density`: the fraction of all pairs of different regions to keep, strongest first;
            equal weights at the limit are all kept, so a symmetric matrix stays symmetric.
        """
        if (minimum is None) == (density is None):
            raise ValueError(
                f"One of `minimum` and `density` should be given; got {minimum} and {density}."
            )
        magnitude = jnp.abs(self.weights)
        diagonal = jnp.eye(self.n_regions, dtype=bool)
        if density is not None:
            if not 0 < density <= 1:
                raise ValueError(f"`density` should be above 0 and at most 1; got {density}.")
            n_kept = max(1, round(density * self.n_regions * (self.n_regions - 1)))
            minimum = jnp.sort(jnp.where(diagonal, -1, magnitude), axis=None)[-n_kept]
        return self._with_weights(jnp.where((magnitude >= minimum) | diagonal, self.weights, 0))

    def without_self_connections(self) -> "Connectome":
        """Sets the diagonal of `weights` to 0."""
        return self._with_weights(self.weights * (1 - jnp.eye(self.n_regions, dtype=int)))

    def subset(self, regions: Sequence[Region]) -> "Connectome":
        """Keeps some regions, in the order given.

        **Arguments:**

        - `regions`: labels or numbers.
        """
        kept = np.array([self.index(region) for region in regions], int)
        if len(kept) == 0 or len(set(kept.tolist())) < len(kept):
            raise ValueError(
                f"`regions` should name at least one region, and each once; got {list(regions)}."
            )
        square = np.ix_(kept, kept)
        return Connectome(
            self.weights[square],
            None if self.tract_lengths is None else self.tract_lengths[square],
            None if self.labels is None else [self.labels[i] for i in kept],
            None if self.centres is None else self.centres[kept],
        )

    def lesion(
        self,
        regions: Sequence[Region] = (),
        *,
        edges: Sequence[tuple[Region, Region]] = (),
    ) -> "Connectome":
        """Sets connections to 0. The regions stay, so that runs before and after compare.

        **Arguments:**

        - `regions`: labels or numbers; all that they send and receive is cut.
        - `edges`: pairs `(target, source)`. One direction only: to cut a tract both ways, give
            both pairs.
        """
        weights = self.weights
        if len(regions):
            cut = np.array([self.index(region) for region in regions])
            weights = weights.at[cut, :].set(0).at[:, cut].set(0)
        for target, source in edges:
            weights = weights.at[self.index(target), self.index(source)].set(0)
        return self._with_weights(weights)

    def delays(self, speed: ArrayLike) -> Weights:
        """The time that a signal takes along each tract, in ms.

        **Arguments:**

        - `speed`: conduction speed in mm/ms (the same number as m/s).
        """
        if self.tract_lengths is None:
            raise ValueError("Delays need `tract_lengths`, which this connectome does not have.")
        speed = as_float(speed)
        _check_numbers("speed", speed)
        if _is_known(speed) and not np.all(np.asarray(speed) > 0):
            raise ValueError(f"`speed` should be above 0 mm/ms; got {speed}.")
        return self.tract_lengths / speed

    def __repr__(self) -> str:
        return _summary(self)

    def _with_weights(self, weights: Array) -> "Connectome":
        return eqx.tree_at(lambda conn: conn.weights, self, weights)


def _is_known(value: Any) -> bool:
    return not isinstance(value, jax.core.Tracer)


def _known(name: str, value: Array) -> np.ndarray:
    if not _is_known(value):
        raise ValueError(f"`{name}` needs known weights; inside of `jax.jit` they are traced.")
    return np.asarray(value)


def _check_numbers(name: str, value: Any) -> None:
    if not isinstance(value, jax.Array):
        raise ValueError(f"`{name}` should be an array of real numbers; got {value!r}.")
    if _is_known(value) and not np.isfinite(known := np.asarray(value)).all():
        where = np.argwhere(~np.isfinite(known))
        raise ValueError(
            f"`{name}` should be finite; got {len(where)} values that are not, the first, "
            f"{known[tuple(where[0])]}, at {tuple(where[0].tolist())}."
        )


def _check_shape(name: str, got: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if got != expected:
        raise ValueError(f"`{name}` should have shape {expected}, to go with `weights`; got {got}.")


def _check_not_negative(lengths: Array) -> None:
    if _is_known(lengths) and (np.asarray(lengths) < 0).any():
        raise ValueError(
            f"`tract_lengths` should not be negative; the smallest is {lengths.min():.4g} mm."
        )


def _check_labels(labels: tuple[str, ...], n_regions: int) -> None:
    if len(labels) != n_regions:
        raise ValueError(f"`labels` should be {n_regions} names, as `weights`; got {len(labels)}.")
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise ValueError(f"`labels` should differ from each other; got {', '.join(twice)} twice.")


def _summary(conn: Connectome) -> str:
    names = conn.labels or ()
    if len(names) > 4:
        names = (*names[:2], "…", *names[-2:])
    lines = [f"Connectome of {conn.n_regions} regions" + (f": {', '.join(names)}" if names else "")]
    if not _is_known(conn.weights):
        return lines[0] + " (traced)"
    weights = np.asarray(conn.weights)
    edges = np.abs(weights[weights != 0])
    kind = "symmetric" if conn.is_symmetric else "not symmetric"
    lines.append(
        f"  weights        {conn.density:.1%} of the pairs connected, {kind}, "
        f"{edges.min(initial=np.inf if len(edges) else 0):.3g} to {edges.max(initial=0):.3g}, "
        f"spectral radius {conn.spectral_radius:.3g}"
    )
    return "\n".join(lines)
