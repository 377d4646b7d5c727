"""The connectome: what is refused, what each operation does, how files are read."""

import bz2
import zipfile

import equinox as eqx
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
import scipy.io

from nmm import Connectome

WEIGHTS = np.array([[0.0, 1, 2], [3, 0, 4], [5, 6, 0]])  # not symmetric: a transpose shows
LENGTHS = 10 * WEIGHTS
NAMES = ("A", "B", "C")
CENTRES = np.arange(9.0).reshape(3, 3)


@pytest.fixture
def conn():
    return Connectome(WEIGHTS, LENGTHS, NAMES, CENTRES)


@pytest.fixture
def unchecked(monkeypatch):
    """As users run it: the type check of the tests would refuse some input before we do."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def random_connectome(symmetric=True, n=20):
    weights, lengths, present = np.random.default_rng(0).uniform(size=(3, n, n))
    weights = np.where(present < 0.7, weights**4, 0)
    if symmetric:
        weights, lengths = np.triu(weights, 1), np.triu(lengths, 1)
        weights, lengths = weights + weights.T, lengths + lengths.T
    return Connectome(weights * (1 - np.eye(n)), lengths * 100)


# Construction.


@pytest.mark.parametrize(
    "arguments, message",
    (
        (dict(weights=np.ones((2, 3))), r"`weights` should be a square .* got shape \(2, 3\)"),
        (dict(weights=np.ones((0, 0))), r"`weights` should be a square .* got shape \(0, 0\)"),
        (dict(weights=[[0, np.nan], [1, 0]]), r"`weights` should be finite; .* nan, at \(0, 1\)"),
        (dict(weights=np.eye(3) * 1j), "`weights` should be an array of real .* complex128"),
        (dict(weights="sc.csv"), "`weights` should be an array of real numbers; got str"),
        (dict(tract_lengths=-LENGTHS), "`tract_lengths` should not be negative; .* -60 mm"),
        (dict(tract_lengths=LENGTHS[:2, :2]), r"`tract_lengths` .* \(3, 3\), .* got \(2, 2\)"),
        (dict(tract_lengths=LENGTHS + np.inf), "`tract_lengths` should be finite; got 9 values"),
        (dict(labels=["A", "B"]), "`labels` should be 3 names, as `weights`; got 2"),
        (dict(labels=["A", "B", "A"]), "`labels` should differ .* got A twice"),
        (dict(centres=np.ones((3, 2))), r"`centres` should have shape \(3, 3\), .* got \(3, 2\)"),
    ),
)
def test_bad_input_is_refused_by_name(arguments, message, unchecked):
    with pytest.raises(ValueError, match=message):
        Connectome(**{"weights": WEIGHTS, **arguments})


def test_negative_weights_and_whole_numbers_are_accepted():
    conn = Connectome([[0, -1], [2, 0]])
    assert conn.weights.dtype == jnp.result_type(float)
    np.testing.assert_array_equal(conn.log().weights, [[0, -np.log(2)], [np.log(3), 0]])
    np.testing.assert_array_equal(conn.threshold(1.5).weights, [[0, 0], [2, 0]])
    np.testing.assert_array_equal(conn.scale("row_sum").weights, [[0, -1], [1, 0]])


def test_single_precision_is_kept():
    conn = Connectome(jnp.asarray(WEIGHTS, "float32")).scale("spectral_radius").log()
    assert conn.weights.dtype == jnp.float32


def test_can_be_built_and_differentiated_under_jit(conn):
    @jax.jit
    @jax.grad
    def slope(weights):
        built = Connectome(weights, LENGTHS, NAMES).without_self_connections().log()
        return built.scale("spectral_radius").threshold(density=0.5).weights.sum()

    def value(weights):
        built = Connectome(weights).log().scale("spectral_radius").threshold(density=0.5)
        return built.weights.sum()

    step = np.zeros((3, 3))
    step[1, 2] = 1e-5
    difference = (value(WEIGHTS + step) - value(WEIGHTS - step)) / 2e-5
    np.testing.assert_allclose(slope(WEIGHTS)[1, 2], difference, rtol=1e-7)
    assert jnp.isfinite(slope(jnp.zeros((3, 3)))).all()


def test_weights_and_lengths_are_leaves_and_labels_are_not(conn):
    assert len(jax.tree.leaves(conn)) == 3
    assert jax.tree.map(lambda leaf: leaf, conn).labels == NAMES


# What it tells about itself.


def test_properties(conn):
    assert conn.n_regions == 3
    assert conn.density == 1.0 and Connectome(np.eye(3)).density == 0.0
    assert not conn.is_symmetric
    np.testing.assert_array_equal(conn.strength, [3, 7, 11])  # rows: what is received
    np.testing.assert_allclose(Connectome([[0, -3], [3, 0]]).spectral_radius, 3)  # a pair ±3i


def test_summary_says_what_there_is(conn):
    text = str(conn)
    assert "Connectome of 3 regions: A, B, C" in text
    assert "100% of pairs connected, not symmetric, 1 to 6, spectral radius 6.73" in text
    assert "10 to 60 mm, mean 35 mm" in text
    assert str(Connectome(np.zeros((2, 2)))).endswith("0% of pairs connected, symmetric")
    # Where the numbers are not known, printing (in an error message, say) still works.
    assert "shape=(3, 3)" in repr(eqx.filter_eval_shape(Connectome.log, conn))
    batched = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), conn)
    assert repr(batched) == "Connectome(f64[2,3,3])"
    assert repr(jax.tree.map(lambda _: None, conn)) == "Connectome(None)"


def test_networks_print_a_connectome_in_one_line(conn):
    class Holder(eqx.Module):
        connectome: Connectome

    assert "connectome=Connectome of 3 regions: A, B, C\n)" in str(Holder(conn))


def test_regions_are_found_by_label_and_number(conn):
    assert [conn.index(region) for region in ("B", 1, -2)] == [1, 1, 1]
    with pytest.raises(ValueError, match="no region 3: .* a number below 3"):
        conn.index(3)
    with pytest.raises(ValueError, match="no `labels`. Use its number"):
        Connectome(WEIGHTS).index("A")


def test_unknown_labels_are_answered_with_close_ones():
    conn = Connectome(WEIGHTS, labels=["L.PrCG", "R.PrCG", "L.HI"])
    with pytest.raises(ValueError, match="'l.prcg'. Did you mean 'L.PrCG', 'R.PrCG'"):
        conn.index("l.prcg")
    with pytest.raises(ValueError, match="'thalamus'. `labels` lists them all"):
        conn.index("thalamus")


# Operations.


def test_scalings(conn, unchecked):
    np.testing.assert_allclose(conn.scale("spectral_radius").spectral_radius, 1)
    assert conn.scale("maximum").weights.max() == 1
    np.testing.assert_allclose(conn.scale("row_sum").strength, 1)
    assert conn.scale("raw") is conn
    with pytest.raises(ValueError, match="`by` should be \"spectral_radius\", .* got 'max'"):
        conn.scale("max")


@pytest.mark.parametrize("by", ("spectral_radius", "maximum", "row_sum"))
def test_regions_without_connections_survive_scaling(by):
    lonely = Connectome(np.pad(WEIGHTS, ((0, 1), (0, 1))))
    assert not lonely.scale(by).weights[3].any()
    assert not Connectome(np.zeros((3, 3))).scale(by).weights.any()


def test_order_of_operations_matters(conn):
    one, other = conn.log().scale("maximum"), conn.scale("maximum").log()
    assert not jnp.allclose(one.weights, other.scale("maximum").weights)


def test_threshold_keeps_the_strongest(conn):
    np.testing.assert_array_equal(conn.threshold(4).weights, [[0, 0, 0], [0, 0, 4], [5, 6, 0]])
    np.testing.assert_array_equal(conn.threshold(density=1 / 3).weights[2], [5, 6, 0])
    symmetric = random_connectome()
    half = symmetric.threshold(density=0.25)
    assert half.density == pytest.approx(0.25, abs=0.01) and half.is_symmetric
    assert symmetric.threshold(density=1).density == symmetric.density
    looped = Connectome(WEIGHTS + 0.1 * np.eye(3)).threshold(5)
    np.testing.assert_array_equal(jnp.diagonal(looped.weights), 0.1)


@pytest.mark.parametrize("density", (0, 1.5))
def test_bad_thresholds_are_refused(conn, density):
    with pytest.raises(ValueError, match="`density` should be above 0 and at most 1"):
        conn.threshold(density=density)
    with pytest.raises(ValueError, match="One of `minimum` and `density`"):
        conn.threshold(1, density=density)


def test_without_self_connections():
    cleared = Connectome(WEIGHTS + np.eye(3)).without_self_connections()
    np.testing.assert_array_equal(cleared.weights, WEIGHTS)


def test_subset_takes_everything_along(conn):
    part = conn.subset(["C", 0])
    assert part.labels == ("C", "A")
    np.testing.assert_array_equal(part.weights, [[0, 5], [2, 0]])
    np.testing.assert_array_equal(part.tract_lengths, [[0, 50], [20, 0]])
    np.testing.assert_array_equal(part.centres, CENTRES[[2, 0]])
    assert Connectome(WEIGHTS).subset(np.array([1])).n_regions == 1
    for regions in ([], ["A", 0]):
        with pytest.raises(ValueError, match="at least one region, and each once"):
            conn.subset(regions)


def test_lesions_cut_regions_both_ways_and_edges_one_way(conn):
    np.testing.assert_array_equal(conn.lesion(["B"]).weights, [[0, 0, 2], [0, 0, 0], [5, 0, 0]])
    np.testing.assert_array_equal(conn.lesion("B").weights, conn.lesion([1]).weights)
    cut = conn.lesion(edges=[("A", "C")])  # target A, source C
    np.testing.assert_array_equal(cut.weights, [[0, 1, 0], [3, 0, 4], [5, 6, 0]])
    np.testing.assert_array_equal(cut.tract_lengths, LENGTHS)


def test_delays_are_length_over_speed(conn):
    np.testing.assert_allclose(conn.delays(5.0), LENGTHS / 5)
    for speed in (0, -3.0):
        with pytest.raises(ValueError, match="`speed` should be above 0 mm/ms"):
            conn.delays(speed)
    with pytest.raises(ValueError, match="Delays need `tract_lengths`"):
        Connectome(WEIGHTS).delays(5.0)
    assert jax.grad(lambda speed: conn.delays(speed).sum())(5.0) == -LENGTHS.sum() / 25


# Surrogates.

KINDS = ("shuffle", "distance", "strength", "permute")


@pytest.mark.parametrize("symmetric", (True, False))
@pytest.mark.parametrize("kind", KINDS)
def test_surrogates_randomise_and_keep_what_they_say(kind, symmetric):
    conn = random_connectome(symmetric)
    made = conn.surrogate(kind, key=jax.random.key(1))
    assert not jnp.allclose(made.weights, conn.weights)
    assert made.is_symmetric == symmetric and not jnp.diagonal(made.weights).any()
    assert made.density == conn.density
    if kind != "permute":
        np.testing.assert_array_equal(made.weights != 0, conn.weights != 0)
        np.testing.assert_array_equal(made.tract_lengths, conn.tract_lengths)
    if kind == "strength":
        np.testing.assert_allclose(made.strength, conn.strength, rtol=1e-6)
        np.testing.assert_allclose(made.weights.sum(0), conn.weights.sum(0), rtol=1e-6)
    else:
        np.testing.assert_array_equal(jnp.sort(made.weights, None), jnp.sort(conn.weights, None))


def test_permuted_regions_are_the_same_graph():
    conn = random_connectome(symmetric=False)
    made = conn.surrogate("permute", key=jax.random.key(0))
    np.testing.assert_allclose(made.spectral_radius, conn.spectral_radius)
    pairs = [
        set(zip(np.ravel(c.weights).tolist(), np.ravel(c.tract_lengths).tolist(), strict=True))
        for c in (made, conn)
    ]
    assert pairs[0] == pairs[1]  # each weight with the length that it had


def test_distance_surrogate_shuffles_within_bins_of_length():
    conn = random_connectome(symmetric=False)
    made = conn.surrogate("distance", key=jax.random.key(0), n_bins=5)
    edges = np.nonzero(conn.weights)
    by_length = np.argsort(conn.tract_lengths[edges])
    for old, new in zip(
        np.array_split(conn.weights[edges][by_length], 5),
        np.array_split(made.weights[edges][by_length], 5),
        strict=True,
    ):
        shared = np.intersect1d(old, new).size  # bins may differ by one edge at their limits
        assert shared >= len(old) - 2 and not np.array_equal(old, new)


def test_self_connections_stay_in_shuffled_surrogates():
    looped = Connectome(random_connectome().weights + np.eye(20), np.ones((20, 20)))
    for kind in ("shuffle", "distance", "strength"):
        made = looped.surrogate(kind, key=jax.random.key(0))
        np.testing.assert_array_equal(jnp.diagonal(made.weights), 1)
        if kind == "strength":
            np.testing.assert_allclose(made.strength, looped.strength, rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_surrogates_by_vmap_are_those_made_alone(kind):
    conn = random_connectome()
    keys = jax.random.split(jax.random.key(0), 3)
    many = jax.vmap(lambda key: conn.surrogate(kind, key=key).weights)(keys)
    alone = conn.surrogate(kind, key=keys[2]).weights
    np.testing.assert_allclose(many[2], alone, rtol=1e-12)
    assert not jnp.allclose(many[0], many[1])


def test_surrogates_that_cannot_be_made_are_refused(conn, unchecked):
    key = jax.random.key(0)
    with pytest.raises(ValueError, match="needs `weights` that are not negative; .* -6"):
        Connectome(-WEIGHTS).surrogate("strength", key=key)
    with pytest.raises(ValueError, match="needs `tract_lengths`"):
        Connectome(WEIGHTS).surrogate("distance", key=key)
    with pytest.raises(ValueError, match="`n_bins` should be at least 1"):
        conn.surrogate("distance", key=key, n_bins=0)
    with pytest.raises(ValueError, match="got 'rewire'"):
        conn.surrogate("rewire", key=key)
    with pytest.raises(ValueError, match="`surrogate` needs known weights"):
        jax.jit(lambda c: c.surrogate("shuffle", key=key).weights)(conn)


# Files.


@pytest.mark.parametrize(
    "name, text",
    (
        ("plain.txt", "# counts\n0 1 2\n3 0 4\n5 6 0\n"),
        ("trailing.csv", "0,1,2,\n3,0,4,\n5,6,0,\n"),
        ("header.csv", "A,B,C\n0,1,2\n3,0,4\n5,6,0\n"),
        ("pandas.csv", ",A,B,C\nA,0,1,2\nB,3,0,4\nC,5,6,0\n"),
        ("corner.tsv", "to\\from\tA\tB\tC\nA\t0\t1\t2\nB\t3\t0\t4\nC\t5\t6\t0\n"),
        ("r.txt", "A B C\nA 0 1 2\nB 3 0 4\nC 5 6 0\n"),
        ("columns.csv", ";B;A;C\nA;1;0;2\nB;0;3;4\nC;6;5;0\n"),
        ("quoted.csv", '"","A","B","C"\n"A",0,1,2\n"B",3,0,4\n"C",5,6,0\n'),
    ),
)
def test_text_tables_are_read_with_and_without_names(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    conn = Connectome.load(tmp_path / name)
    np.testing.assert_array_equal(conn.weights, WEIGHTS)
    assert conn.labels == (None if name in ("plain.txt", "trailing.csv") else NAMES)


def test_files_in_different_orders_are_put_into_one(tmp_path):
    (tmp_path / "sc.csv").write_text(",A,B,C\nA,0,1,2\nB,3,0,4\nC,5,6,0\n")
    (tmp_path / "len.csv").write_text(",C,A,B\nC,0,50,60\nA,20,0,10\nB,40,30,0\n")
    (tmp_path / "xyz.txt").write_text("B 3 4 5\nC 6 7 8\nA 0 1 2\n")
    (tmp_path / "nodes.tsv").write_text("index\tlabel\n0\tC\n1\tA\n2\tB\n")
    files = [tmp_path / name for name in ("sc.csv", "len.csv", "nodes.tsv", "xyz.txt")]
    conn = Connectome.load(*files)
    assert conn.labels == ("C", "A", "B")  # `labels` rules
    in_order = conn.subset(NAMES)
    np.testing.assert_array_equal(in_order.weights, WEIGHTS)
    np.testing.assert_array_equal(in_order.tract_lengths, LENGTHS)
    np.testing.assert_array_equal(in_order.centres, CENTRES)
    with pytest.raises(ValueError, match="`weights` .* missing are D; not known are C"):
        Connectome.load(files[0], labels=["A", "B", "D"])


def test_orientation_and_unit_are_converted(tmp_path):
    np.save(tmp_path / "sc.npy", WEIGHTS.T)
    np.save(tmp_path / "len.npy", LENGTHS.T / 1000)
    conn = Connectome.load(
        tmp_path / "sc.npy", tmp_path / "len.npy", orientation="source_target", length_unit="m"
    )
    np.testing.assert_array_equal(conn.weights, WEIGHTS)
    np.testing.assert_allclose(conn.tract_lengths, LENGTHS)


def test_matlab_files_are_read_by_usual_name_or_by_the_name_given(tmp_path):
    path = tmp_path / "sub.mat"
    cells = np.array(NAMES, object)
    scipy.io.savemat(path, {"SC": WEIGHTS, "fibre_mm": LENGTHS, "labels": cells, "age": 30})
    conn = Connectome.load(path, (path, "fibre_mm"))
    assert conn.labels == NAMES
    np.testing.assert_array_equal(conn.weights, WEIGHTS)
    np.testing.assert_array_equal(conn.tract_lengths, LENGTHS)
    with pytest.raises(ValueError, match=r"no one variable for `tract_lengths`; .* \(3, 3\)"):
        Connectome.load(path, path)
    with pytest.raises(ValueError, match="no variable 'x'"):
        Connectome.load((path, "x"))
    scipy.io.savemat(path, {"only": WEIGHTS, "labels": np.array(["A", "BB", "C"])})  # padded
    assert Connectome.load(path).labels == ("A", "BB", "C")


def test_npz_is_read_whole(tmp_path):
    arrays = dict(weights=WEIGHTS, lengths=LENGTHS, region_labels=NAMES, centers=CENTRES)
    np.savez(tmp_path / "conn.npz", **arrays)
    conn = Connectome.load(str(tmp_path / "conn.npz"))
    assert conn.labels == NAMES
    np.testing.assert_array_equal(conn.tract_lengths, LENGTHS)
    np.testing.assert_array_equal(conn.centres, CENTRES)


def test_zip_of_tvb_is_read_whole(tmp_path):
    rows = ["0 1 2", "3 0 4", "5 6 0"]
    with zipfile.ZipFile(tmp_path / "tvb.zip", "w") as archive:
        archive.writestr("here/weights.txt.bz2", bz2.compress("\n".join(rows).encode()))
        archive.writestr("here/tract_lengths.txt", "0 10 20\n30 0 40\n50 60 0\n")
        archive.writestr("here/centres.txt", " A 0 1 2 None\n B 3 4 5 None\n C 6 7 8 None\n")
        archive.writestr("here/areas.txt", "1\n2\n3\n")
        archive.writestr("__MACOSX/here/weights.txt", b"\xff")
    conn = Connectome.load(tmp_path / "tvb.zip")
    assert conn.labels == NAMES
    np.testing.assert_array_equal(conn.weights, WEIGHTS)
    np.testing.assert_array_equal(conn.tract_lengths, LENGTHS)
    np.testing.assert_array_equal(conn.centres, CENTRES)


@pytest.mark.parametrize(
    "text, message",
    (
        ("", "sc.csv should be a table of numbers; it is empty"),
        ("A\nB\n", "sc.csv should be a table of numbers; it has none"),
        ("0,1\n2\n", "sc.csv should be a table of numbers with rows of one length"),
        ("0,\n,0\n", "sc.csv should be a table of numbers with rows of one length"),
        ("A,B\n", "sc.csv should be a table of numbers; it is empty"),
        ("0,nan\n1,0\n", "`weights` should be finite"),
    ),
)
def test_files_that_are_no_table_are_refused(tmp_path, text, message):
    (tmp_path / "sc.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        Connectome.load(tmp_path / "sc.csv")


def test_unknown_options_of_load_are_refused(unchecked):
    with pytest.raises(ValueError, match="`length_unit` should be one of mm, cm, m; got 'inch'"):
        Connectome.load(WEIGHTS, length_unit="inch")
    with pytest.raises(ValueError, match="`orientation` should be one of .* got 'rows'"):
        Connectome.load(WEIGHTS, orientation="rows")
