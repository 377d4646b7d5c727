"""Lead fields: from arrays and from MNE, their units, regions and pairs."""

import numpy as np
import pytest
from spheres import RADIUS, on_sphere, relative_differences, rng, sources_of

from nmm.observe import EEG, SEEG, LeadField, SphericalHead, lead_field_from_mne
from nmm.observe._head_models import sphere_field


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
        (lambda: LeadField(np.ones((2, 3)), sensors=["a", "a"]), "different names; 'a' repeats"),
        (lambda: LeadField(np.ones((2, 3)), centre=(1.0, 2.0)), r"`centre` should be a point"),
    ],
)
def test_wrong_arguments_are_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()
