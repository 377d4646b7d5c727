"""A head of concentric spheres around the sources."""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import ArrayLike, Float

from . import _head_models as physics
from ._lead_field import LeadField
from ._montage import electrode_positions, helmet_positions

Points = Float[np.ndarray, "points 3"]


@dataclasses.dataclass(frozen=True)
class SphericalHead:
    """A head of concentric spheres, the sources within the innermost.

    **Arguments:**

    - `radii`: outer radii of the shells, from the inside, in units of that of the scalp: brain,
        fluid, skull and scalp by default. `(1.0,)` is a homogeneous sphere.
    - `conductivities`: of each shell, in S/m.
    - `radius`: of the scalp in mm; by default the farthest source is at `depth` of it.
    - `centre`: of the spheres, in the coordinates of the sources; by default the middle between
        the outermost sources along each axis.
    - `depth`: see `radius`.

    Reference: the default is that of MNE-Python; three shells of 0.87, 0.92 and 1 with a
    conductivity of the skull of 1/80 or 1/15 are common too.
    """

    radii: tuple[float, ...] = (0.90, 0.92, 0.97, 1.0)
    conductivities: tuple[float, ...] = (0.33, 1.0, 0.004, 0.33)
    radius: float | None = None
    centre: tuple[float, float, float] | None = None
    depth: float = 0.8

    def __post_init__(self) -> None:
        rising = all(a < b for a, b in zip((0.0, *self.radii), self.radii, strict=False))
        if not (self.radii and rising and self.radii[-1] == 1):
            raise ValueError(
                "`radii` should rise from above 0 to 1, in units of that of the scalp; got "
                f"{self.radii}."
            )
        if len(self.conductivities) != len(self.radii) or min(self.conductivities) <= 0:
            raise ValueError(
                f"`conductivities` should be {len(self.radii)} positive numbers, one a shell; got "
                f"{self.conductivities}."
            )
        if self.radius is not None and not self.radius > 0:
            raise ValueError(f"`radius` should be a positive number of mm, got {self.radius}.")
        if not 0 < self.depth < self.radii[0]:
            raise ValueError(
                f"`depth` should be between 0 and the innermost radius, {self.radii[0]}; got "
                f"{self.depth}."
            )

    def electric(
        self,
        centres: ArrayLike | None,
        electrodes: Any = "10-20",
        orientations: ArrayLike | None = None,
    ) -> LeadField:
        """The lead field of electrodes on the scalp.

        **Arguments:**

        - `centres`: of the sources, `(sources, 3)` in mm: x to the right, y to the front, z up.
        - `electrodes`: `"10-20"`, `"10-10"`, or names of these; see
            `nmm.observe.electrode_positions`.
        - `orientations`: `(sources, 3)`; away from the centre of the head by default.

        **Raises:**

        - `ValueError` if a source lies outside of the innermost sphere.
        """
        sources, origin, radius = self._place(centres)
        names, places = electrode_positions(electrodes)
        sensors = places * radius
        if len(self.radii) == 1:
            gain = physics.sphere_potential(sensors, sources, radius, self.conductivities[0])
        else:
            gain = physics.shells_potential(
                sensors, sources, radius, self.radii, self.conductivities
            )
        field = LeadField(gain, sensors=names, positions=sensors + origin, centre=origin[0])
        return field.fix(radial(sources) if orientations is None else orientations)

    def magnetic(
        self,
        centres: ArrayLike | None,
        sensors: int | np.integer | ArrayLike = 102,
        orientations: ArrayLike | None = None,
        *,
        distance: float = 20.0,
    ) -> LeadField:
        """The lead field of magnetometers that point away from the centre of the head.

        A source that does so as well is silent. By default each lies along the surface, in the
        direction to which the sensors as a whole are the most sensitive.

        **Arguments:**

        - `centres`: as for `electric`.
        - `sensors`: how many, on a helmet; or their positions, in the coordinates of `centres`.
        - `orientations`: `(sources, 3)`.
        - `distance`: from the scalp to the helmet, in mm.
        """
        sources, origin, radius = self._place(centres)
        if isinstance(sensors, int | np.integer):
            points = helmet_positions(int(sensors)) * (radius + distance)
        else:
            points = _points(sensors, "sensors") - origin
        inside = np.linalg.norm(points, axis=1) <= radius
        if inside.any():
            raise ValueError(
                f"`sensors` should be outside of the head, whose radius is {radius:.4g} mm; "
                f"{int(inside.sum())} are not."
            )
        gain = physics.sphere_field(points, radial(points), sources)
        if orientations is None:
            # The first right singular vector of the columns of each source, of a definite sign.
            best = np.linalg.svd(np.moveaxis(gain, 1, 0))[2][:, 0]
            largest = np.take_along_axis(best, np.abs(best).argmax(axis=1)[:, None], axis=1)
            orientations = best * np.sign(largest)
        field = LeadField(gain, "fT/(nA m)", positions=points + origin, centre=origin[0])
        return field.fix(orientations)

    def _place(self, centres: ArrayLike | None) -> tuple[Points, Float[np.ndarray, "1 3"], float]:
        """The sources relative to the centre of the head, that centre, and the radius."""
        points = _points(centres, "centres")
        origin = np.asarray(
            (points.max(axis=0) + points.min(axis=0)) / 2 if self.centre is None else self.centre
        )
        sources = points - origin
        away = np.linalg.norm(sources, axis=1)
        radius = (away.max() / self.depth or 90.0) if self.radius is None else self.radius
        outside = np.flatnonzero(away >= self.radii[0] * radius)
        if len(outside):
            raise ValueError(
                f"`centres` should lie within {self.radii[0] * radius:.4g} mm of the centre of the "
                f"head; source {int(outside[0])} is {away[outside[0]]:.4g} mm away. Give a larger "
                "`radius` or another `centre`."
            )
        return sources, origin[None], float(radius)


def radial(points: Points) -> Points:
    """The directions away from the origin; up, at the origin itself."""
    length = np.linalg.norm(points, axis=1, keepdims=True)
    return np.where(length > 0, points / np.where(length > 0, length, 1), [0.0, 0.0, 1.0])


def intracranial(
    contacts: ArrayLike,
    centres: ArrayLike | None,
    *,
    conductivity: float = 0.33,
    orientations: ArrayLike | None = None,
    floor: float = 2.0,
    names: Any = None,
) -> LeadField:
    r"""The lead field of contacts within the brain: dipoles in a homogeneous medium,
    $q \cdot d / (4\pi\sigma d^3)$.

    **Arguments:**

    - `contacts`, `centres`: of contacts and sources, in mm, in the same coordinates.
    - `conductivity`: in S/m.
    - `orientations`: `(sources, 3)`; away from the middle of the sources by default.
    - `floor`: the distance in mm that contacts nearer than that count as having, since a region is
        no point.
    - `names`: of the contacts.
    """
    places, sources = _points(contacts, "contacts"), _points(centres, "centres")
    _check_positive(conductivity=conductivity, floor=floor)
    gain = physics.unbounded_potential(places, sources, conductivity, floor)
    if orientations is None:
        orientations = radial(sources - (sources.max(axis=0) + sources.min(axis=0)) / 2)
    return LeadField(gain, sensors=names, positions=places).fix(orientations)


def inverse_square(
    contacts: ArrayLike, centres: ArrayLike | None, *, floor: float = 2.0, names: Any = None
) -> LeadField:
    r"""A proxy for contacts within the brain that needs no orientations: $1 / d^2$, in 1/mm².

    **Arguments:**

    - `contacts`, `centres`, `floor`, `names`: as for the homogeneous medium.
    """
    places, sources = _points(contacts, "contacts"), _points(centres, "centres")
    _check_positive(floor=floor)
    distance = np.linalg.norm(places[:, None] - sources, axis=-1)
    return LeadField(1 / np.maximum(distance, floor) ** 2, "1", sensors=names, positions=places)


def _points(points: ArrayLike | None, name: str) -> Points:
    if points is None:
        raise ValueError(f"`{name}` should be positions in mm; this connectome has none.")
    values = np.asarray(points, dtype=float)
    if values.ndim != 2 or values.shape[1] != 3 or not len(values):
        raise ValueError(f"`{name}` should be (points, 3) in mm; got the shape {values.shape}.")
    if not np.isfinite(values).all():
        raise ValueError(
            f"`{name}` should be finite, row {np.argwhere(~np.isfinite(values))[0][0]} is not."
        )
    return values


def _check_positive(**values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"`{name}` should be positive, got {value}.")
