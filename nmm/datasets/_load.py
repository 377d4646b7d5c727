"""Loads the embedded data. `DATA_LICENSE` holds its terms, `prepare.py` made it."""

import dataclasses
from importlib.resources import files

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._connectome import Connectome, Scaling


class FunctionalData(eqx.Module):
    """What was measured of the activity of a connectome's regions, averaged over a group of people.

    **Attributes:**

    - `fc`: functional connectivity, the correlation of BOLD between regions; diagonal 1.
    - `fcd`: functional connectivity dynamics: samples of the distribution of the correlation
        between the FC of two sliding windows, in ascending order; `None` where unknown.
    - `maps`: maps of the cortex, one value a region, z-scored.
    - `labels`: names of the regions, in the order of `load_connectome(...).labels`.
    - `tr`: time between two volumes of the scan, in ms.
    - `description`: who and what was measured.
    - `preprocessing`: what was done to the signals, as far as is known.
    """

    fc: Float[Array, "regions regions"]
    fcd: Float[Array, " samples"] | None
    maps: dict[str, Float[Array, " regions"]]
    labels: tuple[str, ...] = eqx.field(static=True)
    tr: float = eqx.field(static=True)
    description: str = eqx.field(static=True)
    preprocessing: str = eqx.field(static=True)


@dataclasses.dataclass(frozen=True)
class _Dataset:
    groups: dict[str, str]  # name -> who; the first is the default
    description: str
    preprocessing: str
    tr: float = 720.0


_DATASETS = {
    "dk84": _Dataset(
        groups={"all": "650 people"},
        description=(
            "Desikan-Killiany, 68 cortical regions, 14 subcortical ones and 2 cerebellar "
            "hemispheres. Human Connectome Project (HCP) Young Adult, average of {who}, as "
            "published with TVB-Optim 0.4.0 (source: doi 10.1038/s41467-023-38626-y). FCD: a "
            "histogram with bins of 0.02, averaged over 733 matrices (its counts are multiples "
            "of 1/733)."
        ),
        preprocessing=(
            "Unknown beyond Pearson correlation of resting-state BOLD: the publisher states no "
            "filter, no regression of the global signal, no way of averaging, and for FCD no "
            "window. Its 623 286 pairs of windows would be those of 84 volumes, moved by one, in a "
            "run of 1200. TR: that of all HCP resting-state scans at 3 T."
        ),
    ),
    "schaefer100": _Dataset(
        groups={"train": "706 people", "test": "303 other people"},
        description=(
            "Schaefer 2018, 100 cortical parcels in 7 networks. Human Connectome Project (HCP) "
            "Young Adult, average of {who}, as published with cuBNM 0.1.0. FCD: pooled over "
            "people; windows of 30 s moved by 5 s. Maps: myelin (T1w/T2w) and cortical thickness "
            "of the HCP, z-scored over the parcels."
        ),
        preprocessing=(
            "Unknown beyond Pearson correlation of resting-state BOLD, averaged over sessions: "
            "the publisher states no filter, no regression of the global signal and no way of "
            "averaging over people. TR: that of all HCP resting-state scans at 3 T."
        ),
    ),
}


def load_connectome(
    name: str, *, group: str | None = None, scaling: Scaling = "spectral_radius"
) -> Connectome:
    """Loads an embedded connectome: weights, tract lengths (mm), labels and centres (mm, MNI).

    The averages over a group of people of the Human Connectome Project. Who publishes results
    made with them has to acknowledge it: see `DATA_LICENSE`.

    **Arguments:**

    - `name`: `"dk84"` (Desikan-Killiany with subcortex and cerebellum) or `"schaefer100"` (cortex).
    - `group`: of schaefer100 `"train"` (706 people, default) or `"test"` (303 others). Averages
        over so many people are nearly the same matrix: a model fitted to one of them fits the
        other as well, whether or not it generalises to a person.
    - `scaling`: as in [`nmm.Connectome.scale`][]; `"raw"` for streamline counts (up to 2e5: scale
        them before simulating).

    **Returns:**

    A symmetric [`nmm.Connectome`][] with a zero diagonal.

    **Raises:**

    - `ValueError`: if there is no such data set, group or scaling.
    """
    arrays, suffix, _ = _open(name, group)
    return Connectome(
        _symmetric(arrays["weights" + suffix]),
        _symmetric(arrays["tract_lengths" + suffix]),
        arrays["labels"],
        arrays["centres"],
    ).scale(scaling)


def load_functional(name: str, *, group: str | None = None) -> FunctionalData:
    """Loads the functional connectivity that goes with an embedded connectome.

    **Arguments:**

    - `name`, `group`: as in [`nmm.datasets.load_connectome`][].

    **Returns:**

    A [`nmm.datasets.FunctionalData`][].

    **Raises:**

    - `ValueError`: if there is no such data set or group.
    """
    arrays, suffix, who = _open(name, group)
    dataset = _DATASETS[name]
    return FunctionalData(
        fc=jnp.asarray(_symmetric(arrays["fc" + suffix], diagonal=1.0), float),
        fcd=jnp.asarray(arrays["fcd" + suffix], float),
        maps={
            key.removeprefix("map_"): jnp.asarray(arrays[key], float)
            for key in arrays
            if key.startswith("map_")
        },
        labels=tuple(arrays["labels"].tolist()),
        tr=dataset.tr,
        description=dataset.description.format(who=who),
        preprocessing=dataset.preprocessing,
    )


def _open(name: str, group: str | None) -> tuple[dict[str, np.ndarray], str, str]:
    """The arrays of a data set, the suffix of those of a group, and who is in it."""
    if name not in _DATASETS:
        raise ValueError(f"`name` should be one of {', '.join(_DATASETS)}; got {name!r}.")
    groups = _DATASETS[name].groups
    group = next(iter(groups)) if group is None else group
    if group not in groups:
        raise ValueError(f"`group` of {name} should be one of {', '.join(groups)}; got {group!r}.")
    with (
        (files("nmm.datasets") / "data" / f"{name}.npz").open("rb") as file,
        np.load(file) as arrays,
    ):
        return dict(arrays), f"_{group}", groups[group]


def _symmetric(upper: np.ndarray, diagonal: float = 0.0) -> np.ndarray:
    """The matrix of which `prepare.py` stored the upper triangle."""
    n = round((1 + np.sqrt(1 + 8 * len(upper))) / 2)
    matrix = np.zeros((n, n), upper.dtype)
    matrix[np.triu_indices(n, 1)] = upper
    return matrix + matrix.T + diagonal * np.eye(n, dtype=upper.dtype)
