"""Where sensors are, on a head that is a sphere: x to the right, y to the front, z up."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

RING = 72.0
"""Inclination from the vertex, in degrees, of the electrodes around the head: 4/5 of the way to the
equator, on which nasion, inion and the points before the ears lie."""

# Of each row across the head: the azimuth of its outermost electrode from the front, the
# inclination of its midline one, in degrees, and the name of the outermost.
_ROWS = {
    "AF": (36.0, 54.0, "AF7"),
    "F": (54.0, 36.0, "F7"),
    "FC": (72.0, 18.0, "FT7"),
    "C": (90.0, 0.0, "T7"),
    "CP": (108.0, -18.0, "TP7"),
    "P": (126.0, -36.0, "P7"),
    "PO": (144.0, -54.0, "PO7"),
}

_OLD_NAMES = {"T3": "T7", "T4": "T8", "T5": "P7", "T6": "P8"}

MONTAGES = {
    "10-20": "Fp1 Fpz Fp2 F7 F3 Fz F4 F8 T7 C3 Cz C4 T8 P7 P3 Pz P4 P8 O1 Oz O2",
    "10-10": "Fp1 Fpz Fp2 AF7 AF3 AFz AF4 AF8 F7 F5 F3 F1 Fz F2 F4 F6 F8 FT7 FC5 FC3 FC1 FCz FC2 "
    "FC4 FC6 FT8 T7 C5 C3 C1 Cz C2 C4 C6 T8 TP7 CP5 CP3 CP1 CPz CP2 CP4 CP6 TP8 P7 P5 P3 P1 Pz P2 "
    "P4 P6 P8 PO7 PO3 POz PO4 PO8 O1 Oz O2",
}
"""The names of the electrodes of a montage: 21 and 61."""


def electrode_positions(
    electrodes: str | Sequence[str] = "10-20",
) -> tuple[tuple[str, ...], Float[np.ndarray, "electrodes 3"]]:
    """Electrodes of the 10–20 and 10–10 systems, on a sphere of radius 1.

    Distances along the head are shares of the half circles from nasion to inion and from ear to
    ear, and of the circle around; each row is an arc through its electrodes left, on the midline
    and right.

    **Arguments:**

    - `electrodes`: `"10-20"`, `"10-10"`, or names.

    **Returns:**

    The names, and `(electrodes, 3)`: x to the right, y to the front, z up.

    **Raises:**

    - `ValueError` if there is no electrode of a name.
    """
    if isinstance(electrodes, str):
        if electrodes not in MONTAGES:
            raise ValueError(
                f"`electrodes` should be one of {list(MONTAGES)} or names, got {electrodes!r}."
            )
        electrodes = MONTAGES[electrodes].split()
    places = _places()
    unknown = [name for name in electrodes if _OLD_NAMES.get(name, name) not in places]
    if unknown or not electrodes:
        raise ValueError(
            f"`electrodes` should be names of the 10-10 system, such as 'Cz'; got {unknown}."
        )
    return tuple(electrodes), np.array([places[_OLD_NAMES.get(e, e)] for e in electrodes])


def helmet_positions(number: int) -> Float[np.ndarray, "sensors 3"]:
    """Sensors spread evenly over the upper part of a sphere of radius 1, in a Fibonacci spiral."""
    if number < 1:
        raise ValueError(f"`sensors` should be a positive number, got {number}.")
    z = 1 - (np.arange(number) + 0.5) / number * 1.1
    angle = np.arange(number) * np.pi * (3 - np.sqrt(5))
    radius = np.sqrt(1 - z**2)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)


def _places() -> dict[str, np.ndarray]:
    """Every electrode by name."""
    places = {
        "Fpz": _place(RING, 0.0),
        "Oz": _place(RING, 180.0),
        "Fp1": _place(RING, 18.0),
        "O1": _place(RING, 162.0),
    }
    for row, (azimuth, inclination, outermost) in _ROWS.items():
        left, middle = _place(RING, azimuth), _place(inclination, 0.0)
        places[outermost], places[row + "z"] = left, middle
        for share, number in ((0.25, "5"), (0.5, "3"), (0.75, "1")):
            places[row + number] = _along_arc(left, middle, share)
    # The other side has even numbers.
    for name, place in list(places.items()):
        if name[-1].isdigit():
            places[name[:-1] + str(int(name[-1]) + 1)] = place * [-1, 1, 1]
    return places


def _place(inclination: float, azimuth: float) -> np.ndarray:
    """On the unit sphere, by the angles from the vertex and from the front, to the left."""
    a, b = np.radians(inclination), np.radians(azimuth)
    return np.array([-np.sin(a) * np.sin(b), np.sin(a) * np.cos(b), np.cos(a)])


def _along_arc(left: np.ndarray, middle: np.ndarray, share: float) -> np.ndarray:
    """A point on the circle through a point, its mirror image, and one on the midline."""
    normal = np.cross(middle - left, [1.0, 0.0, 0.0])
    normal /= np.linalg.norm(normal)
    centre = normal * (normal @ left)
    a, b = left - centre, middle - centre
    angle = np.arccos(a @ b / (a @ a))
    return centre + (np.sin((1 - share) * angle) * a + np.sin(share * angle) * b) / np.sin(angle)
