"""Lead fields: what each sensor sees of a dipole in each source."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from .._declare import as_float, is_concrete
from .._extras import require

_POTENTIALS = {"V": 1e6, "mV": 1e3, "µV": 1.0, "uV": 1.0, "nV": 1e-3}
_FIELDS = {"T": 1e15, "pT": 1e3, "fT": 1.0}
_MOMENTS = {"A m": 1e-9, "nA m": 1.0}

POTENTIAL, FIELD = "µV", "fT"


class LeadField(eqx.Module):
    r"""What each sensor sees of a dipole in each source: $y = L\,q$.

    **Arguments:**

    - `gain`: `(sensors, sources)` where the orientation of each source is fixed, `(sensors,
        sources, 3)` where it is free, with a column each for x, y and z.
    - `unit`: of the gain: V, mV, µV, nV, T, pT or fT, per `(nA m)` or `(A m)`; it is converted to
        µV or fT per nA m. `"1"`: any other quantity per unit of the signal.
    - `sensors`: names.
    - `positions`: of the sensors, `(sensors, 3)`, for maps and for export, in mm: x to the right,
        y to the front, z up.
    - `centre`: of the head, in the coordinates of `positions`: where the line between the points
        before the ears meets the plane of the nose. Export counts from it.

    **Raises:**

    - `ValueError` if the gain is not finite, names repeat, or shapes or units do not fit.
    """

    gain: Float[Array, "sensors sources *three"]
    positions: Float[Array, "sensors 3"] | None
    measured: str = eqx.field(static=True)
    sensors: tuple[str, ...] = eqx.field(static=True)
    centre: tuple[float, ...] = eqx.field(static=True)

    def __init__(
        self,
        gain: ArrayLike,
        unit: str = "µV/(nA m)",
        *,
        sensors: Sequence[str] | None = None,
        positions: ArrayLike | None = None,
        centre: Sequence[float] | np.ndarray = (0.0, 0.0, 0.0),
    ):
        self.measured, factor = _parse_unit(unit)
        self.gain = as_float(gain) * factor
        shape = np.shape(self.gain)
        if len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] != 3) or 0 in shape:
            raise ValueError(
                "`gain` should be (sensors, sources), or (sensors, sources, 3) with free "
                f"orientations; got the shape {shape}."
            )
        self.sensors = tuple(str(i) for i in (range(shape[0]) if sensors is None else sensors))
        self.positions = None if positions is None else as_float(positions)
        self.centre = tuple(float(x) for x in centre)

    def __check_init__(self) -> None:
        number = self.gain.shape[0]
        if len(self.sensors) != number:
            raise ValueError(
                f"`sensors` should be {number} names, one a row of `gain`; got {len(self.sensors)}."
            )
        repeated = [name for name in self.sensors if self.sensors.count(name) > 1]
        if repeated:
            raise ValueError(f"`sensors` should have different names; {repeated[0]!r} repeats.")
        if self.positions is not None and self.positions.shape != (number, 3):
            raise ValueError(
                f"`positions` should be ({number}, 3), one row a sensor; got "
                f"{self.positions.shape}."
            )
        if len(self.centre) != 3:
            raise ValueError(f"`centre` should be a point (x, y, z) in mm, got {self.centre}.")
        if is_concrete(self.gain):
            bad = ~np.isfinite(self.gain).reshape(number, -1).all(axis=1)
            if bad.any():
                names = [self.sensors[i] for i in np.flatnonzero(bad)]
                raise ValueError(
                    f"`gain` should be finite; it is not for the sensors {names[:5]}. Leave out "
                    "sensors that cannot be used."
                )

    @property
    def sources(self) -> int:
        """The number of sources."""
        return self.gain.shape[1]

    @property
    def free(self) -> bool:
        """Whether the orientations of the sources are free."""
        return self.gain.ndim == 3

    def fix(self, orientations: ArrayLike) -> "LeadField":
        """Fixes free orientations.

        **Arguments:**

        - `orientations`: `(sources, 3)`, of length 1; they are scaled to it.
        """
        directions = as_float(orientations)
        if not self.free or directions.shape != (self.sources, 3):
            raise ValueError(
                f"`orientations` should be ({self.sources}, 3), for a lead field with free "
                f"orientations; got {directions.shape} for a gain of shape {self.gain.shape}."
            )
        length = jnp.linalg.norm(directions, axis=1, keepdims=True)
        if is_concrete(length) and not np.all(np.asarray(length) > 0):
            raise ValueError("`orientations` should not be 0.")
        return self._with_gain(jnp.einsum("msc,sc->ms", self.gain, directions / length))

    def gather(self, regions: Any, how: str = "sum") -> "LeadField":
        """One column a region, of a lead field with many sources a region.

        **Arguments:**

        - `regions`: the number of the region of each source, from 0; -1: of none.
        - `how`: `"sum"`, where the moment is that of each source, or `"mean"`, where it is that of
            the whole region, spread over its sources.

        **Raises:**

        - `ValueError` if there is a region without a source.
        """
        numbers = np.asarray(regions)
        if numbers.shape != (self.sources,):
            raise ValueError(
                f"`regions` should have a number for each of the {self.sources} sources; got the "
                f"shape {numbers.shape}."
            )
        if how not in ("sum", "mean"):
            raise ValueError(f'`how` should be "sum" or "mean"; got {how!r}.')
        member = numbers[:, None] == np.arange(numbers.max() + 1)
        sizes = member.sum(axis=0)
        if not np.all(sizes > 0):
            raise ValueError(
                f"`regions` should have a source in each; region {int(np.argmin(sizes))} has none."
            )
        weights = jnp.asarray(member / (sizes if how == "mean" else 1), self.gain.dtype)
        return self._with_gain(jnp.einsum("ms...,sr->mr...", self.gain, weights))

    def bipolar(self) -> "LeadField":
        """Differences of neighbouring contacts on a shaft, whose names are letters and a number.

        Contact `"A1"` less contact `"A2"` becomes `"A1-A2"`, in the middle between them. The order
        of the sensors does not matter; next to a contact that is left out there is no difference.

        **Raises:**

        - `ValueError` if there are no two neighbours.
        """
        shafts = [name.rstrip("0123456789") for name in self.sensors]
        contacts = {
            (shafts.index(shaft), int(name[len(shaft) :])): i
            for i, (name, shaft) in enumerate(zip(self.sensors, shafts, strict=True))
            if "" != shaft != name
        }
        pairs = [
            (contacts[shaft, number], contacts[shaft, number + 1])
            for shaft, number in sorted(contacts)
            if (shaft, number + 1) in contacts
        ]
        if not pairs:
            raise ValueError(
                "`sensors` should have neighbours on a shaft, such as 'A1' and 'A2'; got "
                f"{list(self.sensors[:5])}."
            )
        first, second = np.array(pairs).T
        positions = self.positions
        if positions is not None:
            positions = (positions[first] + positions[second]) / 2
        names = [f"{self.sensors[i]}-{self.sensors[j]}" for i, j in pairs]
        unit = "1" if self.measured == "1" else f"{self.measured}/(nA m)"
        gain = self.gain[first] - self.gain[second]
        return LeadField(gain, unit, sensors=names, positions=positions, centre=self.centre)

    def project(self, moments: Float[Array, "..."]) -> Float[Array, "*batch sensors"]:
        """What the sensors see of dipole moments, `(..., sources)`, or `(..., 3, sources)` where
        orientations are free."""
        expected = (3, self.sources) if self.free else (self.sources,)
        if moments.shape[-len(expected) :] != expected:
            raise ValueError(
                f"The signal should have the shape {expected}, for the {self.sources} sources of "
                f"the lead field, got {moments.shape}."
            )
        if self.free:
            return jnp.einsum("...cs,msc->...m", moments, self.gain)
        return moments @ self.gain.T

    def _with_gain(self, gain: Array) -> "LeadField":
        return eqx.tree_at(lambda field: field.gain, self, gain)


def lead_field_from_mne(
    forward: Any,
    labels: Any = None,
    *,
    kind: str = "eeg",
    how: str = "mean",
) -> LeadField:
    """The lead field of a forward solution of MNE-Python.

    **Arguments:**

    - `forward`: a `mne.Forward`. Where its orientations are free, so are those of the result
        (`LeadField.fix` fixes them; along the cortex, let `mne.convert_forward_solution` do it).
    - `labels`: `None`, for one column a source; a list of `mne.Label`, for one a label; or the
        number of the region of each source, -1 for none.
    - `kind`: of the channels, `"eeg"`, `"mag"`, `"seeg"` or `"ecog"`.
    - `how`: the `"mean"` over the sources of a label, or their `"sum"`.

    **Returns:**

    A lead field with the channels that have a kind, in µV or fT per nA m. Free orientations are
    along x, y and z of the coordinates of the forward solution, also if it has them along and
    across the cortex (`surf_ori`).

    **Raises:**

    - `ValueError` if there are no such channels, or a label has no source; if there are labels of
        the cortex for sources that are not on it.
    - `TypeError` if `forward` is no forward solution.
    - `ModuleNotFoundError` without MNE: `pip install nmm[eeg]`.
    """
    mne = require("mne", "eeg")
    if not isinstance(forward, mne.Forward):
        raise TypeError(f"`forward` should be a `mne.Forward`, got {forward!r}.")
    if kind not in ("eeg", "mag", "seeg", "ecog"):
        raise ValueError(f'`kind` should be "eeg", "mag", "seeg" or "ecog"; got {kind!r}.')
    chosen = {"meg": "mag"} if kind == "mag" else {"meg": False, kind: True}
    info = forward["info"]
    picks = mne.pick_types(info, exclude=(), **chosen)
    if not len(picks):
        raise ValueError(f"`forward` has no channels of the kind {kind!r}.")
    names = [info["ch_names"][i] for i in picks]
    rows = [forward["sol"]["row_names"].index(name) for name in names]
    gain = np.asarray(forward["sol"]["data"], float)[rows]
    if forward["source_ori"] == mne.io.constants.FIFF.FIFFV_MNE_FREE_ORI:
        # The columns are along the rows of `source_nn`, which need not be x, y and z.
        axes = np.asarray(forward["source_nn"]).reshape(-1, 3, 3)
        gain = np.einsum("msk,skc->msc", gain.reshape(len(rows), -1, 3), axes)
    places = np.array([info["chs"][i]["loc"][:3] for i in picks])
    if kind == "mag" and info["dev_head_t"] is not None:
        places = mne.transforms.apply_trans(info["dev_head_t"], places)
    unit = "T/(A m)" if kind == "mag" else "V/(A m)"
    field = LeadField(gain, unit, sensors=names, positions=1000 * places)
    if labels is None:
        return field
    if not len(labels):
        raise ValueError("`labels` should be `mne.Label`s or numbers of regions, got none.")
    numbers = labels if not isinstance(labels[0], mne.Label) else _numbers(forward, labels)
    return field.gather(numbers, how)


def _numbers(forward: Any, labels: Sequence[Any]) -> np.ndarray:
    """The number of the label of each source of a forward solution on the cortex."""
    kinds = [space["type"] for space in forward["src"]]
    if kinds != ["surf", "surf"]:
        raise ValueError(
            "`labels` should be the number of the region of each source, since the sources are not "
            f"on the two hemispheres of a cortex; they are {kinds}."
        )
    numbers = []
    for hemisphere, space in zip(("lh", "rh"), forward["src"], strict=True):
        of_vertex = np.full(len(space["rr"]), -1)
        for i, label in enumerate(labels):
            if label.hemi == hemisphere:
                of_vertex[label.vertices] = i
        numbers.append(of_vertex[space["vertno"]])
    joined = np.concatenate(numbers)
    for i, label in enumerate(labels):
        if i not in joined:
            raise ValueError(f"`labels`: {label.name!r} has no source.")
    return joined


def _parse_unit(unit: str) -> tuple[str, float]:
    """What is measured, and the factor into µV or fT per nA m."""
    if unit == "1":
        return "1", 1.0
    measured, _, moment = unit.partition("/")
    moment = moment.strip("()").replace("·", " ")
    if moment in _MOMENTS and measured in _POTENTIALS:
        return POTENTIAL, _POTENTIALS[measured] * _MOMENTS[moment]
    if moment in _MOMENTS and measured in _FIELDS:
        return FIELD, _FIELDS[measured] * _MOMENTS[moment]
    raise ValueError(
        f"`unit` should be one of {[*_POTENTIALS, *_FIELDS]} per (nA m) or (A m), such as "
        f"'V/(A m)', or '1'; got {unit!r}."
    )
