"""The connectome: who is connected to whom, how strongly, and how far apart."""

import abc
import difflib
import operator
from collections.abc import Iterable
from typing import Any, Literal

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
import numpy as np
import wadler_lindig
from jaxtyping import Array, ArrayLike, Float, Scalar

from . import _surrogates
from ._connectome_io import LengthUnit, Orientation, Source, read_connectome
from ._custom_types import Key, Value, Weights
from ._declare import as_float, on_device

Region = str | int | np.integer
Scaling = Literal["spectral_radius", "maximum", "row_sum", "raw"]
Surrogate = Literal["shuffle", "permute", "strength", "distance"]
Normalisation = Literal["random_walk", "symmetric"]


def _as_labels(labels: Iterable[str] | None) -> tuple[str, ...] | None:
    return None if labels is None else tuple(str(label) for label in labels)


class AbstractConnectome(eqx.Module):
    """Who hears whom: what a `nmm.Network` needs to know of it.

    **Attributes:**

    - `weights`: numbers that may be fitted; a matrix or not.
    - `tract_lengths`: a matrix in mm, or `None`, with which there are no delays.
    - `labels`: names of the regions, or `None`.
    """

    weights: eqx.AbstractVar[Any]
    tract_lengths: eqx.AbstractVar[Any]
    labels: eqx.AbstractVar[tuple[str, ...] | None]

    @property
    @abc.abstractmethod
    def n_regions(self) -> int:
        """The number of regions."""

    @property
    @abc.abstractmethod
    def strength(self) -> Float[Array, " target"]:
        """What each region receives in all."""

    @property
    @abc.abstractmethod
    def spectral_radius(self) -> Scalar | float:
        """The largest magnitude among the eigenvalues of the weighted sum."""

    @abc.abstractmethod
    def weighted_sum(self, features: Value) -> Value:
        """What each region receives of what all send; axes in front of the regions are batches."""


class Connectome(AbstractConnectome):
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
    tract_lengths: Weights | None = eqx.field(converter=as_float, default=None)
    labels: tuple[str, ...] | None = eqx.field(static=True, converter=_as_labels, default=None)
    centres: Float[Array, "regions 3"] | None = eqx.field(converter=as_float, default=None)

    def __check_init__(self):
        _check_numbers("weights", self.weights)
        shape = self.weights.shape
        if len(shape) != 2 or shape[0] != shape[1] or shape[0] == 0:
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

    @classmethod
    def load(
        cls,
        weights: Source,
        tract_lengths: Source | None = None,
        labels: Source | None = None,
        centres: Source | None = None,
        *,
        orientation: Orientation = "target_source",
        length_unit: LengthUnit = "mm",
    ) -> "Connectome":
        """Reads a connectome from files.

        ```python
        nmm.Connectome.load("sc.csv", "lengths.csv", "labels.txt")
        nmm.Connectome.load(("a.mat", "SC"), ("a.mat", "len"), orientation="source_target")
        nmm.Connectome.load("connectivity_76.zip")
        ```

        Each source is a path, a pair `(path, variable)`, or an array (for `labels`, a list). Files:

        - text (`.csv`, `.tsv`, `.txt`, …), separated by tab, comma, semicolon or blanks, with or
            without names in the first row and column; lines that begin with `#` are skipped;
        - `.npy`;
        - `.npz`, `.mat` (needs `nmm[data]`) and zips as TVB writes them. Of several variables, the
            one named, or that of a usual name (`weights`, `SC`, `Cmat`; `tract_lengths`, `lengths`,
            `Dmat`; `labels`, `region_labels`; `centres`, `centers`, `centroids`), or the only
            square matrix. What is not given is looked for in the file of the weights.

        Where several files name their regions, they are put into one order: that of `labels`,
        else that of the weights.

        **Arguments:**

        - `weights`, `tract_lengths`: matrices, (regions, regions).
        - `labels`: one name a line, or the column `label` or `name` of a table.
        - `centres`: x, y, z in mm, with or without a name in front; further columns are ignored.
        - `orientation`: of weights and lengths in the files. `"target_source"`: row i is what
            region i receives (as in TVB); `"source_target"`: what it sends.
        - `length_unit`: of the tract lengths in the file, `"mm"`, `"cm"` or `"m"`.

        **Returns:**

        The connectome, unscaled, in mm.

        **Raises:**

        - `ValueError`: if a file cannot be understood, or if files name different regions.
        """
        sources = {
            "weights": weights,
            "tract_lengths": tract_lengths,
            "labels": labels,
            "centres": centres,
        }
        return cls(**read_connectome(sources, orientation, length_unit))

    @property
    def n_regions(self) -> int:
        """The number of regions."""
        return self.weights.shape[0]

    @property
    def strength(self) -> Float[Array, " target"]:
        """What each region receives in all: the sum of its row of `weights`."""
        return self.weights.sum(axis=1)

    def weighted_sum(self, features: Value) -> Value:
        """What each region receives of what all send; axes in front of the regions are batches."""
        return weighted_sum(self.weights, features)

    @property
    def spectral_radius(self) -> Scalar:
        """The largest magnitude among the eigenvalues of `weights`."""
        if _is_known(self.weights):
            # On the host: accelerators have no general eigenvalues, and nothing is compiled.
            values = np.linalg.eigvals(np.asarray(self.weights, np.float64))
            return on_device(np.abs(values).max(initial=0.0), self.weights.dtype)
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
        if not -self.n_regions <= operator.index(region) < self.n_regions:
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
            + (f"Did you mean {hint}?" if hint else "`labels` lists them all.")
        )

    def scale(self, by: Scaling) -> "Connectome":
        """Divides the weights.

        **Arguments:**

        - `by`: `"spectral_radius"`, the largest magnitude among the eigenvalues, so that the linear
            network x' = -x + G W x is stable for G < 1, whatever W; `"maximum"`, the largest
            absolute weight; `"row_sum"`, for each row the sum of its absolute weights, so that
            every region receives the same in all (a region that receives nothing stays so); or
            `"raw"`, which changes nothing.

        **Returns:**

        The scaled connectome. A matrix of zeros stays one.
        """
        # What is known is divided on the host, where nothing has to be compiled for it.
        known = _is_known(self.weights)
        host: Any = np if known else jnp
        weights = host.asarray(self.weights)
        match by:
            case "spectral_radius":
                divisor = host.asarray(self.spectral_radius)
            case "maximum":
                divisor = abs(weights).max()
            case "row_sum":
                divisor = abs(weights).sum(axis=1, keepdims=True)
            case "raw":
                return self
            case _:
                raise ValueError(
                    f'`by` should be "spectral_radius", "maximum", "row_sum" or "raw"; got {by!r}.'
                )
        divisor = host.where(divisor > 0, divisor, host.ones_like(divisor))
        scaled = weights / divisor
        return self._with_weights(on_device(scaled, scaled.dtype) if known else scaled)

    def log(self) -> "Connectome":
        r"""Replaces each weight by $\log(1 + w)$ (a negative one by $-\log(1 - w)$).

        Meant for counts, before they are scaled: of weights below 1, the logarithm is nearly the
        weights themselves.
        """
        negative = self.weights < 0
        logarithm = jnp.log1p(jnp.where(negative, -self.weights, self.weights))
        return self._with_weights(jnp.where(negative, -logarithm, logarithm))

    def laplacian(self, normalisation: Normalisation | None = None) -> "Connectome":
        r"""Replaces the weights by their Laplacian, which `nmm.coupling.Linear` then applies.

        $$L = W - D, \qquad D^{-1} W - I, \qquad D^{-1/2}\,W D^{-1/2} - I$$

        with the row sums $d_i$ on the diagonal of $D$. Graph theory has the opposite sign; with
        this one, $\dot x = G L x$ is diffusion, and without normalisation $G L x$ is what
        `nmm.coupling.Diffusive` gives. Tract lengths stay, so that with delays the diagonal, of
        length 0, reads the region's own present state.

        **Arguments:**

        - `normalisation`: `None`, `"random_walk"` (rows still sum to 0) or `"symmetric"` (symmetric
            if the weights are). A region that receives nothing keeps a row of 0.

        **Returns:**

        A connectome whose weights are the Laplacian.

        **Raises:**

        - `ValueError` for another normalisation, or if known row sums are negative, where the
            symmetric one has no square root.
        """
        strength = self.strength
        connected = strength != 0
        safe = jnp.where(connected, strength, 1)
        match normalisation:
            case None:
                weights, diagonal = self.weights, strength
            case "random_walk":
                weights, diagonal = self.weights / safe[:, None], connected
            case "symmetric":
                if _is_known(strength) and (np.asarray(strength) < 0).any():
                    raise ValueError(
                        "`weights` should have row sums that are not negative for a symmetric "
                        f"Laplacian; the smallest is {strength.min():.4g}."
                    )
                root = jnp.sqrt(safe)
                weights, diagonal = self.weights / (root[:, None] * root), connected
            case _:
                raise ValueError(
                    '`normalisation` should be None, "random_walk" or "symmetric"; got '
                    f"{normalisation!r}."
                )
        return self._with_weights(weights - jnp.diag(diagonal.astype(weights.dtype)))

    def threshold(
        self, minimum: ArrayLike | None = None, *, density: float | int | None = None
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
        kept = (magnitude >= jnp.asarray(minimum)) | diagonal
        return self._with_weights(jnp.where(kept, self.weights, 0))

    def without_self_connections(self) -> "Connectome":
        """Sets the diagonal of `weights` to 0."""
        return self._with_weights(jnp.where(jnp.eye(self.n_regions, dtype=bool), 0, self.weights))

    def _indices(self, regions: Iterable[Region]) -> list[int]:
        # A label alone is one region, not a sequence of letters.
        return [self.index(each) for each in ([regions] if isinstance(regions, str) else regions)]

    def subset(self, regions: Iterable[Region]) -> "Connectome":
        """Keeps some regions, in the order given.

        **Arguments:**

        - `regions`: labels or numbers.
        """
        kept = np.array(self._indices(regions), int)
        if len(kept) == 0 or len(np.unique(kept)) < len(kept):
            raise ValueError(
                f"`regions` should name at least one region, and each once; got {kept.tolist()}."
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
        regions: Iterable[Region] = (),
        *,
        edges: Iterable[tuple[Region, Region]] = (),
    ) -> "Connectome":
        """Sets connections to 0. The regions stay, so that runs before and after compare.

        **Arguments:**

        - `regions`: a label, or several labels or numbers; all that they send and receive is cut.
        - `edges`: pairs `(target, source)`. One direction only: to cut a tract both ways, give
            both pairs.
        """
        cut = np.zeros(self.weights.shape, bool)
        for region in self._indices(regions):
            cut[region, :] = cut[:, region] = True
        for target, source in edges:
            cut[self.index(target), self.index(source)] = True
        return self._with_weights(jnp.where(cut, 0, self.weights))

    def surrogate(self, kind: Surrogate, *, key: Key, n_bins: int = 10) -> "Connectome":
        """Randomises the connections, for controls: what does this very anatomy add?

        Labels and centres stay. Works under `jax.vmap` over keys. Scale again afterwards, since a
        shuffled matrix has another spectral radius (a permuted one has the same).

        **Arguments:**

        - `kind`: what is lost.
            - `"shuffle"`: the weights are shuffled among the edges. Kept: which pairs are
                connected, their tract lengths, the weights as a set, symmetry, the diagonal.
            - `"distance"`: the same among edges of similar length only (`n_bins` bins that hold
                the same number of edges), so that short connections stay the strong ones.
            - `"strength"`: shuffled, then each row and column rescaled to the sum it had. Kept:
                what each region receives and sends, to 1e-5 (on dk84 to rounding error), and
                nearly the distribution of weights (on dk84 and schaefer100 the sorted weights
                correlate above 0.96 with the old ones, their logarithms above 0.99). Weights must
                not be negative.
            - `"permute"`: the regions change places, weights and tract lengths together. Kept: the
                whole graph; lost: which region is which.
        - `key`: a random key.
        - `n_bins`: of `"distance"`.

        **Returns:**

        A randomised connectome.
        """
        _known("surrogate", self.weights)
        match kind:
            case "shuffle":
                weights = _surrogates.shuffle(self.weights, key)
            case "distance":
                weights = _surrogates.shuffle_by_distance(
                    self.weights, self.tract_lengths, n_bins, key
                )
            case "strength":
                weights = _surrogates.shuffle_keeping_strength(self.weights, key)
            case "permute":
                weights = _surrogates.permute(self.weights, key)
            case _:
                raise ValueError(
                    '`kind` should be "shuffle", "distance", "strength" or "permute"; '
                    f"got {kind!r}."
                )
        shuffled = self._with_weights(weights)
        if kind != "permute" or self.tract_lengths is None:
            return shuffled
        lengths = _surrogates.permute(self.tract_lengths, key)
        return eqx.tree_at(lambda conn: conn.tract_lengths, shuffled, lengths)

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
        if _is_known(self.weights) and self.weights.ndim == 2:
            return _summary(self)
        return f"Connectome({eqx.tree_pformat(self.weights)})"  # traced, batched, or taken out

    def __pdoc__(self, **kwargs: Any) -> wadler_lindig.AbstractDoc:
        # Inside of a network's printout, in place of a line for each label.
        return wadler_lindig.TextDoc(repr(self).splitlines()[0])

    def _with_weights(self, weights: Array) -> "Connectome":
        return eqx.tree_at(lambda conn: conn.weights, self, weights)


def weighted_sum(weights: Weights, features: Value) -> Value:
    """Over the sources, for each target; axes in front of the regions are batches."""
    # Not `features @ weights.T`, whose transpose is computed again in every step.
    last = features.ndim - 1
    return jax.lax.dot_general(features, weights, (((last,), (1,)), ((), ())))


def _is_known(value: Any) -> bool:
    return isinstance(value, jax.Array) and not isinstance(value, jax.core.Tracer)


def _known(name: str, value: Array) -> np.ndarray:
    if not _is_known(value):
        raise ValueError(f"`{name}` needs known weights; inside of `jax.jit` they are traced.")
    return np.asarray(value)


def _check_numbers(name: str, value: Any) -> None:
    if not (isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jnp.floating)):
        got = getattr(value, "dtype", type(value).__name__)
        raise ValueError(f"`{name}` should be an array of real numbers; got {got}.")
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
    title = f"Connectome of {conn.n_regions} regions" + (": " if names else "") + ", ".join(names)
    weights = np.asarray(conn.weights)
    edges = weights[weights != 0]
    kind = "symmetric" if conn.is_symmetric else "not symmetric"
    lines = [title, f"  weights        {conn.density:.0%} of pairs connected, {kind}"]
    if len(edges):
        lines[-1] += f", {edges.min():.3g} to {edges.max():.3g}"
        lines[-1] += f", spectral radius {conn.spectral_radius:.3g}"
    if len(edges) and _is_known(conn.tract_lengths):
        lengths = np.asarray(conn.tract_lengths)[weights != 0]
        span = f"{lengths.min():.3g} to {lengths.max():.3g} mm, mean {lengths.mean():.3g} mm"
        lines.append(f"  tract lengths  {span}")
    if conn.centres is not None:
        lines.append("  centres        in mm")
    return "\n".join(lines)
