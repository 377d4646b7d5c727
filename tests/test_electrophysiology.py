"""EEG, MEG and intracranial recordings: lead fields against formulas and MNE, observers on runs."""

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from helpers import golden

import nmm
from nmm.observe import (
    EEG,
    MEG,
    SEEG,
    BandPower,
    LeadField,
    OnlineSpectrum,
    SensorNoise,
    SphericalHead,
    TemporalAverage,
    electrode_positions,
    lead_field_from_mne,
)
from nmm.observe._head_models import (
    _shell_factor,
    shells_potential,
    sphere_field,
    sphere_potential,
    unbounded_potential,
)

rng = np.random.default_rng(0)
RADIUS = 90.0
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


def on_sphere(number, radius=RADIUS):
    points = rng.normal(size=(number, 3))
    return radius * points / np.linalg.norm(points, axis=1, keepdims=True)


def sources_of(number=5, depth=60.0):
    return on_sphere(number, depth) * rng.uniform(0.3, 1, size=(number, 1))


def network():
    conn = nmm.Connectome(jnp.ones((3, 3)) - jnp.eye(3), centres=50 * jnp.eye(3))
    return nmm.Network(nmm.JansenRit(), conn, nmm.coupling.Linear(G=0.1))


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


def relative_differences(ours, theirs):
    """Of each source, over the sensors."""
    return np.linalg.norm(ours - theirs, axis=(0, 2)) / np.linalg.norm(theirs, axis=(0, 2))


def test_lead_field_from_mne_is_ours_on_the_same_geometry():
    mne = pytest.importorskip("mne")
    head = SphericalHead(radius=RADIUS, centre=(0.0, 0.0, 0.0))
    sources = sources_of(6, 70.0)
    ours = head.electric(sources, "10-20")
    info = mne.create_info(list(ours.sensors), 1000.0, "eeg")
    for channel, place in zip(info["chs"], np.asarray(ours.positions), strict=True):
        channel["loc"][:3] = place / 1000
    sphere = mne.make_sphere_model((0, 0, 0), RADIUS / 1000, verbose="error")
    away = sources / np.linalg.norm(sources, axis=1, keepdims=True)
    space = mne.setup_volume_source_space(pos={"rr": sources / 1000, "nn": away}, verbose="error")
    forward = mne.make_forward_solution(
        info, None, space, sphere, meg=False, mindist=0.0, verbose="error"
    )
    theirs = lead_field_from_mne(forward)
    assert theirs.free and theirs.sensors == ours.sensors
    np.testing.assert_allclose(theirs.positions, ours.positions, atol=1e-4)
    fixed = theirs.fix(away)
    difference = np.linalg.norm(fixed.gain - ours.gain, axis=0)
    assert np.all(difference < 0.01 * np.linalg.norm(ours.gain, axis=0))
    grouped = lead_field_from_mne(forward, [0, 0, 1, -1, 1, 1])
    np.testing.assert_allclose(grouped.gain[:, 0], theirs.gain[:, :2].mean(axis=1), rtol=1e-6)
    # Along and across the surface, or along it alone, in MNE.
    turned = mne.convert_forward_solution(forward, surf_ori=True, verbose="error")
    assert not np.allclose(turned["sol"]["data"], forward["sol"]["data"], rtol=0.1)
    np.testing.assert_allclose(lead_field_from_mne(turned).gain, theirs.gain, rtol=1e-5, atol=1e-9)
    along = mne.convert_forward_solution(forward, force_fixed=True, verbose="error")
    seen = lead_field_from_mne(along, [0, 0, 1, -1, 1, 1], how="sum")
    expected = np.asarray(fixed.gain)[:, [2, 4, 5]].sum(axis=1)
    np.testing.assert_allclose(seen.gain[:, 1], expected, rtol=1e-5)


def cortex(mne):
    """A forward solution of MNE for 3 sources on either hemisphere, and the space of them."""
    from mne.io.constants import FIFF

    spaces = []
    for side, number in ((-1, FIFF.FIFFV_MNE_SURF_LEFT_HEMI), (1, FIFF.FIFFV_MNE_SURF_RIGHT_HEMI)):
        points = sources_of(8, 70.0) / 1000
        points[:, 0] = side * np.abs(points[:, 0])
        space = mne.setup_volume_source_space(pos={"rr": points, "nn": points}, verbose="error")
        inuse = np.isin(np.arange(8), (1, 4, 6)).astype(int)
        surface = dict(type="surf", id=number, inuse=inuse, nuse=3, vertno=np.flatnonzero(inuse))
        spaces.append(space[0] | surface)
    return mne.SourceSpaces(spaces)


def test_lead_field_from_mne_gathers_labels_of_the_cortex_for_any_kind_of_sensor():
    mne = pytest.importorskip("mne")
    space, electrodes = cortex(mne), on_sphere(4) / 1000
    sphere = mne.make_sphere_model((0, 0, 0), RADIUS / 1000, verbose="error")
    labels = [
        mne.Label([4, 6, 7], hemi="lh", name="a"),
        mne.Label([1], hemi="lh", name="b"),
        mne.Label([0, 1, 6], hemi="rh", name="c"),
    ]
    forwards = {}
    for kind in ("eeg", "mag"):
        info = mne.create_info(list("efgh"), 1000.0, kind)
        for channel, place in zip(info["chs"], electrodes, strict=True):
            channel["loc"][:] = 0
            channel["loc"][:3] = place * (1.2 if kind == "mag" else 1)
            channel["loc"][[3, 7, 11]] = 1
        with info._unlock():
            info["dev_head_t"] = mne.Transform("meg", "head", None)
        forwards[kind] = mne.make_forward_solution(
            info, None, space, sphere, eeg=kind == "eeg", meg=kind == "mag", mindist=0.0,
            verbose="error",
        )  # fmt: skip
    # The sources are 1, 4 and 6 of either side.
    chosen = [[1, 2], [0], [3, 5]]
    for kind, forward in forwards.items():
        every = np.asarray(lead_field_from_mne(forward, kind=kind).gain)
        mean = lead_field_from_mne(forward, labels, kind=kind)
        total = lead_field_from_mne(forward, labels, kind=kind, how="sum")
        assert mean.gain.shape == (4, 3, 3) and mean.measured == {"eeg": "µV", "mag": "fT"}[kind]
        for i, sources in enumerate(chosen):
            added = every[:, sources].sum(axis=1)
            np.testing.assert_allclose(total.gain[:, i], added, rtol=1e-6)
            np.testing.assert_allclose(mean.gain[:, i], added / len(sources), rtol=1e-6)
    # Coils of 2 cm see nearly what is at their middle, along their own z.
    sources = 1000 * np.concatenate([s["rr"][s["vertno"]] for s in space])
    along_z = np.tile([0.0, 0, 1], (4, 1))
    ours = sphere_field(1200 * electrodes, along_z, sources)
    theirs = np.asarray(lead_field_from_mne(forwards["mag"], kind="mag").gain)
    assert relative_differences(ours, theirs).max() < 0.05
    # What does not fit.
    other = mne.Label([0, 2], hemi="lh", name="nowhere")
    with pytest.raises(ValueError, match="`labels`: 'nowhere' has no source"):
        lead_field_from_mne(forwards["eeg"], [*labels, other])
    with pytest.raises(ValueError, match="`forward` has no channels of the kind 'mag'"):
        lead_field_from_mne(forwards["eeg"], kind="mag")
    with pytest.raises(ValueError, match='`kind` should be "eeg", "mag", "seeg" or "ecog"; got'):
        lead_field_from_mne(forwards["eeg"], kind="grad")
    with pytest.raises(ValueError, match="`labels` should be .*, got none"):
        lead_field_from_mne(forwards["eeg"], [])
    with pytest.raises(ValueError, match="`how` should be"):
        lead_field_from_mne(forwards["eeg"], labels, how="median")
    with pytest.raises(TypeError, match="`forward` should be a `mne.Forward`, got {}"):
        lead_field_from_mne({})
    forwards["eeg"]["src"] = space[:1]
    with pytest.raises(ValueError, match=r"not on the two hemispheres of a cortex; .*\['surf'\]"):
        lead_field_from_mne(forwards["eeg"], labels)


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


def test_references_are_those_asked_for():
    gain, x = rng.normal(size=(4, 3)), rng.normal(size=(10, 3))
    field = LeadField(gain, sensors=["a", "b", "c", "d"])
    raw = EEG(field, reference=None)(x, 1.0)
    np.testing.assert_allclose(raw, x @ gain.T, rtol=1e-12)
    average = EEG(field)(x, 1.0)
    np.testing.assert_allclose(average, raw - raw.mean(axis=1, keepdims=True))
    np.testing.assert_allclose(EEG(field, reference="c")(x, 1.0), raw - raw[:, [2]])
    np.testing.assert_allclose(np.sum(average, axis=1), 0, atol=1e-12)


def test_free_orientations_take_three_moments_a_region():
    gain = rng.normal(size=(4, 3, 3))
    moments, directions = rng.normal(size=(10, 3, 3)), rng.normal(size=(3, 3))
    seen = SEEG(LeadField(gain))(moments, 1.0)
    np.testing.assert_allclose(seen, np.einsum("tcs,msc->tm", moments, gain), rtol=1e-12)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    x = rng.normal(size=(10, 3))
    fixed = SEEG(LeadField(gain).fix(directions))(x, 1.0)
    free = SEEG(LeadField(gain))(x[:, None] * directions.T, 1.0)
    np.testing.assert_allclose(fixed, free, rtol=1e-12)


def test_units_are_converted():
    gain = rng.normal(size=(2, 3))
    np.testing.assert_allclose(LeadField(gain, "V/(A m)").gain, 1e-3 * gain)
    np.testing.assert_allclose(LeadField(gain, "T/(A m)").gain, 1e6 * gain)
    np.testing.assert_allclose(LeadField(gain, "V/(nA m)").gain, 1e6 * gain)
    assert LeadField(gain, "fT/(nA m)").measured == "fT"
    doubled = EEG(gain, moment=[2.0, 0.0, 1.0], reference=None)(np.ones((1, 3)), 1.0)
    np.testing.assert_allclose(doubled[0], gain @ [2, 0, 1])


def test_sources_gather_into_regions():
    gain = rng.normal(size=(2, 5))
    field = LeadField(gain).gather([0, 1, 1, -1, 0])
    np.testing.assert_allclose(
        field.gain, np.stack([gain[:, [0, 4]].sum(1), gain[:, [1, 2]].sum(1)], 1)
    )
    mean = LeadField(gain).gather([0, 1, 1, -1, 0], "mean")
    np.testing.assert_allclose(mean.gain, field.gain / 2)


def test_contacts_see_by_distance():
    contacts = np.array([[0.0, 0, 0], [0, 0, 10], [0, 0, 20]])
    centres = np.array([[0.0, 0, 30], [0, 0, 0.5]])
    near = SEEG.inverse_square(contacts, centres, names=["A1", "A2", "A3"])
    expected = [[1 / 900, 1 / 4], [1 / 400, 1 / 9.5**2], [1 / 100, 1 / 19.5**2]]
    np.testing.assert_allclose(near.lead_field.gain, expected)
    up = np.tile([0.0, 0, 1], (2, 1))
    dipole = SEEG.homogeneous(contacts, centres, conductivity=0.3, orientations=up)
    # In V per A m: 1 / (4 pi sigma d^2), seen from below.
    assert dipole.lead_field.gain[0, 0] == pytest.approx(-1e-3 / (4 * np.pi * 0.3 * 0.03**2))
    pairs = near.lead_field.bipolar()
    assert pairs.sensors == ("A1-A2", "A2-A3")
    np.testing.assert_allclose(pairs.gain[1], near.lead_field.gain[1] - near.lead_field.gain[2])
    np.testing.assert_allclose(pairs.positions[:, 2], [5, 15])


def test_bipolar_pairs_are_neighbours_by_number_in_any_order():
    names = ["B2", "A10", "A9", "A2", "B1", "A1", "A4", "C", "7"]
    gain = rng.normal(size=(9, 2))
    pairs = LeadField(gain, sensors=names).bipolar()
    assert pairs.sensors == ("B1-B2", "A1-A2", "A9-A10")
    np.testing.assert_allclose(pairs.gain[1], gain[5] - gain[3])
    np.testing.assert_allclose(pairs.gain[2], gain[2] - gain[1])


@pytest.mark.parametrize("rank", [2, 1])
def test_noise_of_the_sensors_has_the_covariance_asked_for(rank):
    factor = np.array([[1.0, 0, 0], [0.5, 2, 0], [-0.3, 0.4, 0.5]])[:, : rank + 1]
    covariance = factor @ factor.T
    eeg = EEG(np.zeros((3, 2)), reference=None, noise=SensorNoise(covariance, jax.random.key(0)))
    samples = np.asarray(eeg(np.zeros((20_000, 2)), 1.0))
    found = samples.T @ samples / len(samples)
    variances = np.diagonal(covariance)
    error = np.sqrt((np.outer(variances, variances) + covariance**2) / len(samples))
    assert np.all(np.abs(found - covariance) <= 4.5 * error)
    np.testing.assert_allclose(np.mean(samples[1:] * samples[:-1]), 0, atol=0.05)


def test_recordings_of_a_run_are_those_of_the_saved_signal():
    noise = SensorNoise(jnp.asarray([0.1, 0.2, 0.3, 0.4]), jax.random.key(3))
    eeg = EEG(rng.normal(size=(4, 3)), 2.0, moment=[1.0, 2.0, 3.0], noise=noise)
    power, spectrum = BandPower(eeg, (8.0, 12.0), 50.0), OnlineSpectrum(eeg, 80.0)
    save = {"x": "eeg", "eeg": eeg, "power": power, "psd": spectrum}
    options = dict(dt=1.0, save=save, key=jax.random.key(0), noise=nmm.noise.White(Ev=0.1))
    whole = nmm.simulate(network(), 400.0, **options)
    for name, observer in (("eeg", eeg), ("power", power), ("psd", spectrum)):
        np.testing.assert_allclose(whole[name], observer(whole["x"], 1.0), rtol=1e-9)
    first = nmm.simulate(network(), 170.0, **options)
    second = nmm.simulate(network(), 230.0, y0=first, **options)
    for name in ("eeg", "power"):
        parts = np.concatenate([first[name], second[name]])
        np.testing.assert_allclose(parts, whole[name], rtol=1e-13)
    np.testing.assert_allclose(second["psd"], whole["psd"], rtol=1e-12)
    assert dict(whole.units) == {"x": "mV", "eeg": "µV", "power": "µV²", "psd": "µV²/Hz"}


def test_band_power_passes_half_at_the_edges():
    t = np.arange(4000) / 1000
    found = [
        BandPower(TemporalAverage(1.0), (8.0, 12.5), 2000.0)(np.sin(2 * np.pi * f * t), 1.0)[-1]
        for f in (8.0, 10.0, 12.5, 40.0)
    ]
    np.testing.assert_allclose(found, [0.25, 0.5, 0.25, 0.0], atol=2e-3)


def test_gradient_of_an_eeg_spectrum_is_that_of_differences():
    eeg = EEG(jnp.asarray(np.random.default_rng(1).normal(size=(4, 3))), 2.0)

    def loss(Ae):
        node = nmm.JansenRit(Ae=Ae)
        net = nmm.Network(node, network().connectome, nmm.coupling.Linear(G=0.1))
        sol = nmm.simulate(
            net, 600.0, 1.0, save={"eeg": eeg}, transient=100.0, throw=False,
            key=jax.random.key(0), noise=nmm.noise.White(Ev=0.1),
        )  # fmt: skip
        frequencies, power = nmm.analysis.power_spectrum(sol["eeg"], 2.0, segment=250.0)
        return jnp.sum(jnp.log(power[1:30]) * frequencies[1:30, None]) / 1000

    @jax.jit
    def derivatives(x):
        h = 1e-5
        near = jax.vmap(loss)(jnp.stack([x - h, x + h]))
        return jax.grad(loss)(x), (near[1] - near[0]) / (2 * h)

    gradient, difference = derivatives(jnp.asarray(3.25))
    assert abs(difference) > 1e-3
    np.testing.assert_allclose(gradient, difference, rtol=1e-5, atol=1e-7)


def test_samples_become_objects_of_mne():
    pytest.importorskip("mne")
    centre = np.array([3.0, -20.0, 40.0])
    centres = centre + 50 * np.concatenate([np.eye(3), -np.eye(3)])
    eeg, meg = EEG.spherical(centres, 4.0), MEG.spherical(centres, sensors=np.int64(20))
    samples = rng.normal(size=(50, 21))
    raw = eeg.to_mne(samples)
    assert raw.info["sfreq"] == 250 and raw.ch_names[:2] == ["Fp1", "Fpz"]
    np.testing.assert_allclose(raw.get_data(), 1e-6 * samples.T)
    # The head has its middle at the origin, and Cz above it.
    place = raw.get_montage().get_positions()
    assert place["coord_frame"] == "head"
    np.testing.assert_allclose(place["ch_pos"]["Cz"], [0, 0, 0.0625], atol=1e-7)
    assert raw.info["custom_ref_applied"] == 1
    unreferred = EEG(eeg.lead_field, reference=None).to_mne(samples)
    assert unreferred.info["custom_ref_applied"] == 0
    epochs = eeg.to_mne(samples.reshape(5, 10, 21), start=-8.0)
    assert epochs.tmin == -0.008 and epochs.get_data().shape == (5, 21, 10)
    assert epochs.get_montage().ch_names == raw.ch_names
    field = meg.to_mne(samples[:, :20])
    np.testing.assert_allclose(field.get_data(), 1e-15 * samples[:, :20].T)
    away = [np.linalg.norm(channel["loc"][:3]) for channel in field.info["chs"]]
    np.testing.assert_allclose(away, 0.0825, rtol=1e-6)
    with pytest.raises(ValueError, match=r"`samples` should be \(time, 21\)"):
        eeg.to_mne(samples[:, :20])


def make_eeg(**options):
    return lambda: EEG(np.ones((4, 3)), **options)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: EEG(np.array([[1.0, 2], [np.nan, 1]])), r"`gain` should be finite.*\['1'\]"),
        (lambda: EEG(np.ones(4)), r"`gain` should be \(sensors, sources\).*got the shape \(4,\)"),
        (lambda: LeadField(np.ones((2, 3)), "V/m"), "`unit` should be one of"),
        (lambda: LeadField(np.ones((2, 3)), sensors=["a"]), "`sensors` should be 2 names"),
        (lambda: LeadField(np.ones((2, 3)), positions=np.ones((2, 2))), "`positions` should be"),
        (lambda: LeadField(np.ones((2, 3))).fix(np.ones((3, 3))), "`orientations` should be"),
        (lambda: LeadField(np.ones((2, 3))).gather([0, 2, 2]), "region 1 has none"),
        (lambda: LeadField(np.ones((2, 3))).bipolar(), "`sensors` should have neighbours"),
        (lambda: EEG(LeadField(np.ones((2, 3)), "T/(A m)")), "should be in µV per nA m"),
        (make_eeg(reference="Cz"), '`reference` should be None, "average" or one of'),
        (make_eeg(moment=[1.0, 2.0]), r"`moment` of `EEG` should be one number, or 3, one a sour"),
        (lambda: LeadField(np.ones((2, 3)), sensors=["a", "a"]), "different names; 'a' repeats"),
        (lambda: LeadField(np.ones((2, 3)), centre=(1.0, 2.0)), r"`centre` should be a point"),
        (lambda: MEG(np.ones((2, 3)), reference="average"), "`reference` of `MEG` should be None"),
        (make_eeg(period=0.0), "`period` of `EEG` should be a positive number"),
        (lambda: EEG(np.ones((4, 3)))(np.ones((10, 5)), 1.0), r"shape \(3,\), for the 3 sources"),
        (lambda: EEG(np.ones((4, 3)), 0.5)(np.ones((10, 3)), 1.0), "multiple of `dt`"),
        (lambda: SensorNoise(-1.0, jax.random.key(0)), "no negative eigenvalue"),
        (lambda: SensorNoise([[1.0, 2], [0, 1]], jax.random.key(0)), "symmetric"),
        (lambda: SensorNoise([[1.0, 2], [2, 1]], jax.random.key(0)), "no negative eigenvalue"),
        (
            lambda: make_eeg(noise=SensorNoise([1.0, 1], jax.random.key(0)))()(np.ones((9, 3)), 1),
            "for 2 sensors, there are 4",
        ),
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
        (lambda: BandPower(TemporalAverage(1.0), (8.0, 600.0), 9.0), "< 500 Hz, half of"),
        (lambda: BandPower(TemporalAverage(2.0), (8.0, 9.0), 9.0), "multiple of that of `of`"),
        (
            lambda: BandPower(TemporalAverage(1.0), (8.0, 12.0), 10.0)(np.ones(100), 0.4),
            "`of` of `BandPower` should be a multiple of `dt`, got 1.0 ms; with this `dt` .* 0.4",
        ),
    ],
)
def test_wrong_arguments_are_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_noise_without_a_key_is_refused(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(TypeError, match=r"`key` of `SensorNoise` should be a key.*; got 0"):
        SensorNoise(1.0, 0)
