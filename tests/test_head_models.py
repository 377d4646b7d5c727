"""Spherical heads: lead fields against formulas and MNE, and where electrodes are."""

import numpy as np
import pytest
from helpers import golden
from spheres import RADIUS, on_sphere, relative_differences, rng, sources_of

import nmm
from nmm.observe import EEG, MEG, SEEG, SphericalHead, electrode_positions
from nmm.observe._head_models import (
    _shell_factor,
    shells_potential,
    sphere_field,
    sphere_potential,
    unbounded_potential,
)

THREE = ((0.87, 0.92, 1.0), (0.33, 0.33 / 80, 0.33))
source = np.array([[0.0, 0.0, 70.0]])
# By polar angle in degrees: potentials in V of 10 nA m, along z in a homogeneous sphere and in
# three shells, along x in both.
table = {
    0: (1.339688e-5, 2.538501e-6, 0, 0),
    30: (7.725657e-7, 7.639879e-7, 2.804480e-6, 1.035454e-6),
    60: (-1.817588e-7, 7.550573e-8, 1.041419e-6, 7.233381e-7),
    120: (-3.416538e-7, -2.682996e-7, 2.850751e-7, 2.774563e-7),
    180: (-3.558546e-7, -3.198559e-7, 0, 0),
}


@pytest.mark.parametrize("angle", table)
def test_potential_of_a_dipole_in_spheres_is_the_known_one(angle):
    a = np.radians(angle)
    electrode = RADIUS * np.array([[np.sin(a), 0, np.cos(a)]])
    one = 1e-5 * sphere_potential(electrode, source, RADIUS, 0.33)[0, 0]
    three = 1e-5 * shells_potential(electrode, source, RADIUS, *THREE)[0, 0]
    found = (one[2], three[2], one[0], three[0])
    np.testing.assert_allclose(found, table[angle], rtol=6e-7, atol=1e-20)


def test_field_of_a_dipole_in_a_sphere_is_the_known_one():
    for angle, expected in (
        (30, (0, 8.788658e-14, 1.315411e-13, 1.578612e-13)),
        (60, (0, 7.348198e-14, 7.912271e-15, 6.759339e-14)),
    ):
        direction = np.array([[0, np.sin(np.radians(angle)), np.cos(np.radians(angle))]])
        along = [*np.eye(3), direction[0]]
        found = [1e-14 * sphere_field(110 * direction, n[None], source)[0, 0, 0] for n in along]
        np.testing.assert_allclose(found, expected, rtol=6e-7, atol=1e-25)


def test_factors_of_three_shells_are_the_known_ones():
    found = [_shell_factor(n, (0.87, 0.92, 1.0), (1.0, 1 / 80, 1.0)) for n in (1, 2, 5, 10)]
    np.testing.assert_allclose(found, [1.982758, 1.015946, 0.352941, 0.174342], atol=6e-7)
    same = [_shell_factor(n, (0.5, 1.0), (1.0, 1.0)) for n in (1, 2, 5, 10)]
    np.testing.assert_allclose(same, [3, 2.5, 2.2, 2.1], rtol=1e-12)


def test_shells_of_one_conductivity_are_a_homogeneous_sphere():
    electrodes, sources = on_sphere(6), sources_of()
    one = sphere_potential(electrodes, sources, RADIUS, 0.33)
    for radii in ((1.0,), (0.87, 0.92, 1.0)):
        shells = shells_potential(electrodes, sources, RADIUS, radii, (0.33,) * len(radii))
        np.testing.assert_allclose(shells, one, atol=1e-12 * np.abs(one).max())


def test_dipole_at_the_centre_is_seen_three_times_as_strongly_as_in_an_unbounded_medium():
    electrodes, centre = on_sphere(6), np.zeros((1, 3))
    free = unbounded_potential(electrodes, centre, 0.33, 1.0)
    np.testing.assert_allclose(sphere_potential(electrodes, centre, RADIUS, 0.33), 3 * free)
    shells = shells_potential(electrodes, centre, RADIUS, (1.0,), (0.33,))
    np.testing.assert_allclose(shells, 3 * free, rtol=1e-12)


def test_potential_over_the_surface_has_the_mean_0():
    # Gauss-Legendre in height, even in azimuth.
    z, weights = np.polynomial.legendre.leggauss(40)
    angle = 2 * np.pi * np.arange(40) / 40
    flat = np.sqrt(1 - z**2)[:, None] * np.stack([np.cos(angle), np.sin(angle)])[:, None]
    surface = RADIUS * np.stack([*flat, np.broadcast_to(z[:, None], (40, 40))], -1).reshape(-1, 3)
    gain = sphere_potential(surface, sources_of(4, 50.0), RADIUS, 0.33).reshape(40, 40, 4, 3)
    mean = np.einsum("z,zasc->sc", weights, gain) / 80
    np.testing.assert_allclose(mean, 0, atol=1e-6 * np.abs(gain).max())


def test_lead_fields_turn_with_the_head():
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    electrodes, sources = on_sphere(6), sources_of()
    for field in (
        lambda r, q: shells_potential(r, q, RADIUS, *THREE),
        lambda r, q: sphere_field(1.2 * r, r, q) * np.linalg.det(turn),
    ):
        turned = field(electrodes @ turn.T, sources @ turn.T) @ turn
        before = field(electrodes, sources)
        sign = np.sign(np.sum(turned * before))
        np.testing.assert_allclose(sign * turned, before, atol=1e-12 * np.abs(before).max())


def test_radial_sources_are_magnetically_silent():
    sources = sources_of()
    gain = sphere_field(on_sphere(6, 110.0), on_sphere(6, 1.0), sources)
    radial = np.einsum("msc,sc->ms", gain, sources)
    np.testing.assert_allclose(radial, 0, atol=1e-12 * np.abs(gain).max() * 60)


@pytest.mark.parametrize("name", ["four_shells", "three_shells"])
def test_potentials_in_shells_are_within_1_percent_of_mne(name):
    arrays, entry = golden("lead_fields")["mne"]
    radii, conductivities = (tuple(entry[name][k]) for k in ("radii", "conductivities"))
    ours = shells_potential(arrays["electrodes"], arrays["sources"], RADIUS, radii, conductivities)
    assert relative_differences(ours, arrays[name]).max() < 0.01


def test_magnetic_fields_are_those_of_mne():
    arrays, _ = golden("lead_fields")["mne"]
    sensors = arrays["sensors"]
    normals = sensors / np.linalg.norm(sensors, axis=1, keepdims=True)
    ours = sphere_field(sensors, normals, arrays["sources"])
    assert relative_differences(ours, arrays["magnetic"]).max() < 1e-6


def test_electrodes_are_where_the_10_20_system_puts_them():
    names, places = electrode_positions("10-10")
    at = dict(zip(names, places, strict=True))
    assert len(names) == 61 and len(electrode_positions()[0]) == 21
    np.testing.assert_allclose(np.linalg.norm(places, axis=1), 1)
    np.testing.assert_allclose(at["Cz"], [0, 0, 1], atol=1e-15)
    # A fifth of the way from nasion to inion, and from ear to ear, is 36 degrees.
    near, up = np.sin(np.radians(36)), np.cos(np.radians(36))
    np.testing.assert_allclose(at["Fz"], [0, near, up], atol=1e-15)
    np.testing.assert_allclose(at["C4"], [near, 0, up], atol=1e-15)
    np.testing.assert_allclose(at["F3"] * [-1, 1, 1], at["F4"])
    assert at["O1"][0] < 0 < at["O2"][0] and at["O1"][1] < 0 < at["Fp1"][1]
    # F3 is as far from F7 as from Fz.
    assert at["F3"] @ at["F7"] == pytest.approx(at["F3"] @ at["Fz"])
    np.testing.assert_array_equal(electrode_positions(["T3"])[1][0], at["T7"])


def test_spherical_eeg_works_on_embedded_connectomes():
    for name in ("dk84", "schaefer100"):
        centres = nmm.datasets.load_connectome(name).centres
        gain = np.asarray(EEG.spherical(centres).lead_field.gain)
        # A radial source is seen best by an electrode near to it.
        places = np.asarray(EEG.spherical(centres).lead_field.positions)
        top = np.argmax(centres[:, 2])
        nearest = np.argmin(np.linalg.norm(places - np.asarray(centres)[top], axis=1))
        assert np.argmax(np.abs(gain[:, top])) == nearest
        assert 0.01 < np.abs(gain).max() < 1
        assert np.abs(MEG.spherical(centres, sensors=20).lead_field.gain).max() > 1


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: EEG.spherical(None), "this connectome has none"),
        (lambda: EEG.spherical(np.ones((4, 2))), r"`centres` should be \(points, 3\)"),
        (lambda: EEG.spherical(np.eye(3), electrodes="10-5"), "`electrodes` should be one of"),
        (lambda: EEG.spherical(np.eye(3), electrodes=["Xz"]), r"got \['Xz'\]"),
        (
            lambda: EEG.spherical(99 * np.eye(3), head=SphericalHead(radius=60.0)),
            "`centres` should lie within 54 mm",
        ),
        (lambda: SphericalHead(radii=(0.9, 0.8)), "`radii` should rise"),
        (lambda: SphericalHead(conductivities=(1.0,)), "`conductivities` should be 4"),
        (
            lambda: SEEG.inverse_square(np.eye(3), np.eye(3), floor=0.0),
            "`floor` should be positive",
        ),
        (lambda: MEG.spherical(50 * np.eye(3), sensors=np.eye(3)), "should be outside of the head"),
    ],
)
def test_wrong_arguments_are_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()
