"""Samples in the formats of other packages: MNE-Python, NIfTI and CIFTI, BIDS."""

import json
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import ArrayLike, Float, Real, Shaped

from .._custom_types import RealScalarLike
from .._extras import require


def to_mne(observer: Any, samples: ArrayLike, *, start: RealScalarLike = 0.0) -> Any:
    """Samples of sensors as an object of MNE-Python, in V or T, with names and positions.

    Positions are relative to the `centre` of the lead field, which makes them those of MNE's head
    frame: x through the points before the ears to the right, y through the nose, z up. Samples
    that are referred are marked as such, so that MNE adds no reference of its own.

    **Arguments:**

    - `observer`: the `EEG`, `MEG` or `SEEG` that they are of.
    - `samples`: `(time, sensors)` for a `mne.io.RawArray`, `(epochs, time, sensors)` for a
        `mne.EpochsArray`.
    - `start`: of epochs: the time in ms of the first sample relative to the event.

    **Raises:**

    - `ValueError` if the samples are not those of these sensors.
    - `ModuleNotFoundError` without MNE: `pip install nmm[eeg]`.
    """
    field = observer.lead_field
    values = np.asarray(samples, float)
    if values.ndim not in (2, 3) or values.shape[-1] != len(field.sensors):
        raise ValueError(
            f"`samples` should be (time, {len(field.sensors)}) or (epochs, time, "
            f"{len(field.sensors)}); got the shape {values.shape}."
        )
    mne = require("mne", "eeg")
    info = mne.create_info(list(field.sensors), 1000 / observer.period, observer.kind)
    values = np.swapaxes(values, -1, -2) * {"µV": 1e-6, "fT": 1e-15, "1": 1.0}[field.measured]
    if values.ndim == 2:
        made = mne.io.RawArray(values, info, verbose="error")
    else:
        made = mne.EpochsArray(values, info, tmin=float(start) / 1000, verbose="error")
    if field.positions is not None:
        places = (np.asarray(field.positions, float) - field.centre) / 1000
        if observer.kind == "mag":  # A montage is for electrodes.
            for channel, place in zip(made.info["chs"], places, strict=True):
                channel["loc"][:3] = place
        else:
            montage = dict(zip(field.sensors, places, strict=True))
            made.set_montage(mne.channels.make_dig_montage(montage, coord_frame="head"))
    if observer.reference is not None:
        mne.set_eeg_reference(made, [], copy=False, ch_type=observer.kind, verbose="error")
    return made


def to_volume(
    bold: Real[ArrayLike, "time regions"], atlas: Shaped[ArrayLike, "x y z"]
) -> Float[np.ndarray, "x y z time"]:
    """BOLD as the data of a four-dimensional NIfTI image: each voxel has the signal of its region.

    With nibabel, `image = nibabel.Nifti1Image(to_volume(bold, atlas), atlas_image.affine)` and
    `image.header.set_zooms((*atlas_image.header.get_zooms(), tr / 1000))` and
    `image.header.set_xyzt_units("mm", "sec")`. For a CIFTI
    `ptseries`, and `dtseries` by region, `bold` is the data as it is, `(time, regions)`, and
    `nibabel.cifti2.SeriesAxis(0, tr / 1000, len(bold))` its first axis.

    **Arguments:**

    - `bold`: one row a sample.
    - `atlas`: the number of the region in each voxel, from 1 on; 0 is background.

    **Returns:**

    `(x, y, z, time)`, single precision.

    **Raises:**

    - `ValueError` if the atlas has regions that `bold` has not, or shapes do not fit.
    """
    values, numbers = np.asarray(bold, np.float32), np.asarray(atlas)
    _check_table(values, "bold", "regions")
    if numbers.ndim != 3:
        raise ValueError(f"`atlas` should be (x, y, z), got the shape {numbers.shape}.")
    if not np.array_equal(numbers, np.round(numbers)) or not (
        numbers.min() >= 0 and numbers.max() <= values.shape[1]
    ):
        raise ValueError(
            f"`atlas` should hold whole numbers from 0 to {values.shape[1]}, regions of `bold`; "
            f"got {numbers.min()} to {numbers.max()}."
        )
    background = np.zeros((1, len(values)), np.float32)
    return np.concatenate([background, values.T])[numbers.astype(int)]


def write_bids(
    path: str | pathlib.Path,
    samples: Real[ArrayLike, "time columns"],
    period: RealScalarLike,
    labels: Sequence[str] | None = None,
    *,
    unit: str | None = None,
    start: RealScalarLike = 0.0,
    **metadata: Any,
) -> tuple[pathlib.Path, pathlib.Path]:
    """Writes samples as a pair of files in the manner of BIDS: a table, and what it means.

    **Arguments:**

    - `path`: of the pair, such as `"sub-01_task-rest_desc-model_timeseries"`; `.tsv` and `.json`
        are added.
    - `samples`: one row a sample, one column a region or sensor; NaN is written as `n/a`.
    - `period`: ms from row to row.
    - `labels`: of the columns.
    - `unit`: of the samples.
    - `start`: time of the first row in ms.
    - `metadata`: further entries, such as `TaskName="rest"`.

    **Returns:**

    The paths of both.

    **Raises:**

    - `ValueError` if there is not one label a column, labels repeat, or `period` is not positive.
    """
    values = np.asarray(samples)
    _check_table(values, "samples", "columns")
    if not 0 < float(period) < np.inf:
        raise ValueError(f"`period` should be a positive number of ms, got {period}.")
    names = [f"region{i}" for i in range(values.shape[1])] if labels is None else list(labels)
    if len(names) != values.shape[1] or len(set(names)) < len(names):
        raise ValueError(
            f"`labels` should be {values.shape[1]} different names, one a column; got {len(names)}."
        )
    table, sidecar = (pathlib.Path(f"{path}{end}") for end in (".tsv", ".json"))
    rows = ["\t".join(names), *("\t".join(_as_text(x) for x in row) for row in values)]
    table.write_text("\n".join(rows) + "\n", encoding="utf-8")
    meaning: dict[str, Any] = {
        "SamplingFrequency": 1000 / float(period),
        "RepetitionTime": float(period) / 1000,
        "StartTime": float(start) / 1000,
    }
    if unit is not None:
        meaning |= {name: {"Units": unit} for name in names}
    sidecar.write_text(json.dumps(meaning | metadata, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return table, sidecar


def _check_table(values: np.ndarray, name: str, columns: str) -> None:
    if values.ndim != 2:
        raise ValueError(f"`{name}` should be (time, {columns}), got the shape {values.shape}.")


def _as_text(value: float) -> str:
    return "n/a" if np.isnan(value) else f"{value:.9g}"
