"""Potentials and magnetic fields of current dipoles, in closed form or as series.

Positions in mm, conductivities in S/m. Computed by NumPy in double precision, since a lead field is
made once. All functions return `(sensors, sources, 3)`, for a unit dipole along x, y and z.

Reference: Zhang (1995) Physics in Medicine and Biology 40:335; Mosher, Leahy, Lewis (1999) IEEE
Transactions on Biomedical Engineering 46:245; Sarvas (1987) Physics in Medicine and Biology 32:11.
"""

import numpy as np

MICROVOLT = 1e-3
"""V / (A m) in µV / (nA m)."""

FEMTOTESLA = 1e6
"""T / (A m) in fT / (nA m)."""

TERMS = 200
"""Terms of the series; a source at 0.9 of the innermost radius then has 9 digits."""


def unbounded_potential(
    sensors: np.ndarray, sources: np.ndarray, conductivity: float, floor: float
) -> np.ndarray:
    r"""Potential in an unbounded medium, $q \cdot d / (4\pi\sigma d^3)$, in µV per nA m.

    Nearer than `floor` mm, the distance counts as `floor`.
    """
    d = (sensors[:, None] - sources) / 1000
    distance = np.maximum(np.linalg.norm(d, axis=-1, keepdims=True), floor / 1000)
    return MICROVOLT * d / (4 * np.pi * conductivity * distance**3)


def sphere_potential(
    sensors: np.ndarray, sources: np.ndarray, radius: float, conductivity: float
) -> np.ndarray:
    r"""Potential on the surface of a homogeneous sphere about the origin, in µV per nA m.

    $$V = \frac{q}{4\pi\sigma} \cdot \Big[\frac{2 d}{|d|^3} +
      \frac{1}{R} \frac{R\,d/|d| + r}{R |d| + R^2 - r \cdot r_q}\Big], \quad d = r - r_q$$
    """
    r, rq, R = sensors[:, None] / 1000, sources / 1000, radius / 1000
    d = r - rq
    distance = np.linalg.norm(d, axis=-1, keepdims=True)
    along = np.sum(r * rq, axis=-1, keepdims=True)
    surface = (R * d / distance + r) / (R * distance + R**2 - along) / R
    return MICROVOLT * (2 * d / distance**3 + surface) / (4 * np.pi * conductivity)


def shells_potential(
    sensors: np.ndarray,
    sources: np.ndarray,
    radius: float,
    radii: tuple[float, ...],
    conductivities: tuple[float, ...],
) -> np.ndarray:
    r"""Potential on the surface of concentric shells about the origin, in µV per nA m.

    $$V = \frac{1}{4\pi\sigma_1} \sum_n g_n\,q \cdot \nabla_q [r_q^n P_n(\hat r \cdot \hat r_q)]$$

    **Arguments:**

    - `radii`: outer radii of the shells in units of `radius`, from the inside, the last one 1.
    - `conductivities`: of each shell. The sources are in the first one.
    """
    rq = np.linalg.norm(sources, axis=-1, keepdims=True) / radius
    # At the centre any direction will do.
    toward = np.where(rq > 0, sources / np.where(rq > 0, rq * radius, 1), [0.0, 0.0, 1.0])
    r = sensors[:, None] / np.linalg.norm(sensors, axis=-1)[:, None, None]
    u = np.sum(r * toward, axis=-1, keepdims=True)
    total = np.zeros((len(sensors), len(sources), 3))
    # P_n and its derivative, by recurrence from P_0 and P_1.
    before, legendre, slope = np.ones_like(u), u, np.ones_like(u)
    power = np.ones_like(rq)
    for n in range(1, TERMS + 1):
        gradient = n * legendre * toward + slope * (r - u * toward)
        total += _shell_factor(n, radii, conductivities) * power * gradient
        power = power * rq
        slope = u * slope + (n + 1) * legendre
        before, legendre = legendre, ((2 * n + 1) * u * legendre - n * before) / (n + 1)
    scale = 4 * np.pi * conductivities[0] * (radius / 1000) ** 2
    return MICROVOLT * total / scale


def _shell_factor(n: int, radii: tuple[float, ...], conductivities: tuple[float, ...]) -> float:
    """g_n, by carrying the boundary conditions inward from the surface at radius 1."""
    a, b = (n + 1) / n, 1.0
    for k in reversed(range(len(radii) - 1)):
        s, rho = conductivities[k + 1] / conductivities[k], radii[k] ** (2 * n + 1)
        a, b = (
            ((n + 1 + s * n) * a + (n + 1) * (1 - s) * b / rho) / (2 * n + 1),
            (n * (1 - s) * a * rho + (n + s * (n + 1)) * b) / (2 * n + 1),
        )
    return (2 * n + 1) / n / b


def sphere_field(sensors: np.ndarray, normals: np.ndarray, sources: np.ndarray) -> np.ndarray:
    r"""Magnetic field along `normals` outside of a conductor with spherical symmetry about the
    origin, by Sarvas' formula, in fT per nA m; the conductivities do not matter.

    $$B = \frac{\mu_0}{4\pi F^2} [F\,q \times r_q - ((q \times r_q) \cdot r)\,\nabla F]$$
    """
    r, rq = sensors[:, None] / 1000, sources[None] / 1000
    a = r - rq
    size, distance = (np.linalg.norm(x, axis=-1, keepdims=True) for x in (r, a))
    along = np.sum(a * r, axis=-1, keepdims=True)
    F = distance * (size * distance + size**2 - np.sum(rq * r, axis=-1, keepdims=True))
    grad = (distance**2 / size + along / distance + 2 * distance + 2 * size) * r - (
        distance + 2 * size + along / distance
    ) * rq
    # n . B = q . [F rq x n - (n . grad F) rq x r], since (q x rq) . x = q . (rq x x).
    n = np.broadcast_to(normals[:, None], a.shape)
    cross_n = np.cross(np.broadcast_to(rq, a.shape), n)
    cross_r = np.cross(np.broadcast_to(rq, a.shape), np.broadcast_to(r, a.shape))
    outward = np.sum(n * grad, axis=-1, keepdims=True)
    return FEMTOTESLA * 1e-7 * (F * cross_n - outward * cross_r) / F**2
