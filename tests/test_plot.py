"""Figures: what they show is read back from the artists."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import pytest

import nmm
from nmm.observe import BOLD

matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def run(regions, t1=100.0, **save):
    weights = jnp.ones((regions, regions)) - jnp.eye(regions)
    labels = [f"region {i}" for i in range(regions)]
    net = nmm.Network(
        nmm.JansenRit(),
        nmm.Connectome(weights, labels=labels),
        coupling=nmm.coupling.Linear(G=0.1),
    )
    return nmm.simulate(net, t1, 1.0, save=save or ["M", "Ev"])


def test_a_few_regions_are_lines_with_units_and_a_legend():
    sol = run(3)
    figure = sol.plot()
    for ax, name in zip(figure.axes, ("M", "Ev"), strict=True):
        drawn = [line.get_ydata() for line in ax.lines]
        np.testing.assert_array_equal(np.stack(drawn, axis=1), sol[name])
        np.testing.assert_array_equal(ax.lines[0].get_xdata(), sol.ts)
    assert figure.axes[0].get_ylabel() == "M (mV)"
    assert figure.axes[1].get_xlabel() == "Time (ms)"
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["region 0", "region 1", "region 2"]


def test_many_regions_are_an_image_with_a_colour_bar():
    sol = run(84, 6000.0, bold=BOLD(720.0, "M"))
    figure = sol.plot()
    ax, bar = figure.axes
    np.testing.assert_array_equal(ax.images[0].get_array(), np.asarray(sol["bold"]).T)
    # Each sample fills the time up to its stamp.
    assert ax.images[0].get_extent() == pytest.approx((0, 8 * 0.72, 83.5, -0.5))
    assert (ax.get_xlabel(), bar.get_ylabel()) == ("Time (s)", "bold")
    assert 5 < len(ax.get_yticklabels()) <= 16
    assert ax.get_yticklabels()[1].get_text() == f"region {ax.get_yticks()[1]}"


def test_regions_are_chosen_by_label_or_number_and_drawn_where_asked():
    sol = run(9)
    _, ax = plt.subplots()
    figure = nmm.plot.time_series(sol, "Ev", ax, regions=["region 7", 2], color="red")
    assert figure is ax.figure
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), sol["Ev"][:, 7])
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), sol["Ev"][:, 2])
    assert {line.get_color() for line in ax.lines} == {"red"}


def test_a_single_region_has_no_legend():
    figure = nmm.simulate(nmm.Hopf(), 50.0, 1.0, save=["x"]).plot()
    assert figure.axes[0].get_legend() is None and figure.axes[0].get_ylabel() == "x"


def test_what_cannot_be_drawn_is_refused_by_name():
    sol = run(3)
    with pytest.raises(KeyError, match="'S' was not saved"):
        sol.plot(["S"])
    with pytest.raises(ValueError, match="`regions` should be labels or numbers below 3, got 'V1'"):
        sol.plot(regions=["V1"])
    with pytest.raises(ValueError, match="`ax` is for one output"):
        sol.plot(ax=plt.gca())
    batch = jax.tree.map(lambda x: jnp.stack([x, x]), sol)
    with pytest.raises(ValueError, match=r"'M' should have the shape \(time,\) or \(time, reg"):
        batch.plot()
    jax.tree.map(lambda x: x[0], batch).plot()


def test_matrix_spans_what_is_off_the_diagonal():
    ax = nmm.plot.matrix(jnp.array([[9.0, 0.5], [0.2, 9.0]]), ["a", "b"], title="FC", label="r")
    image = ax.images[0]
    assert (image.norm.vmin, image.norm.vmax) == (0.2, 0.5)
    assert image.get_cmap().name == "viridis"
    assert [text.get_text() for text in ax.get_yticklabels()] == ["a", "b"]
    assert (ax.get_title(), ax.figure.axes[1].get_ylabel()) == ("FC", "r")


def test_matrix_of_either_sign_is_centred_on_zero():
    values = np.array([[1.0, -0.4], [0.2, 1.0]])
    image = nmm.plot.matrix(values).images[0]
    assert (image.norm.vmin, image.norm.vmax, image.get_cmap().name) == (-0.4, 0.4, "RdBu_r")
    image = nmm.plot.matrix(values, vmin=0, vmax=1).images[0]
    assert (image.norm.vmin, image.norm.vmax, image.get_cmap().name) == (0, 1, "viridis")


def test_matrix_of_many_regions_writes_some_labels_and_log_weights():
    conn = nmm.datasets.load_connectome("dk84")
    ax = nmm.plot.matrix(conn.weights, conn.labels, norm="log")
    ax.figure.canvas.draw()
    written = [text.get_text() for text in ax.get_xticklabels()]
    assert 20 < len(written) <= 40 and set(written) < set(conn.labels)
    with pytest.raises(ValueError, match="`labels` should name each of the 84 rows, got 1 label"):
        nmm.plot.matrix(conn.weights, ["V1"])


def test_spectrum_peaks_at_the_frequency_of_the_signal_with_its_power():
    t = np.arange(20000) * 0.5
    signal = 3 * np.sin(2 * np.pi * 0.01 * t)[:, None] * np.array([1.0, 1.0, 1.0])
    ax = nmm.plot.spectrum(signal, 0.5, unit="mV", segment=1000.0, label="EEG")
    frequency, power = ax.lines[0].get_data()
    assert frequency[np.argmax(power)] == pytest.approx(10.0, abs=1e-9)
    # The mean square of the signal.
    assert np.sum(power) * (frequency[1] - frequency[0]) == pytest.approx(4.5, rel=1e-3)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Frequency (Hz)", "Power (mV²/Hz)")


def test_segment_longer_than_the_signal_is_refused():
    with pytest.raises(ValueError, match="`segment` should be from 4 to 100 ms"):
        nmm.plot.spectrum(np.zeros(100), 1.0, segment=200.0)


def test_importing_leaves_matplotlib_alone_and_missing_it_says_what_to_install():
    code = (
        "import os, sys\n"
        "os.environ['EAGER_IMPORT'] = '1'\n"  # Every module, not the used ones alone.
        "import nmm, fitting\n"
        "assert not any(m.startswith('matplotlib') for m in sys.modules)\n"
        "sys.modules['matplotlib.pyplot'] = sys.modules['matplotlib'] = None\n"
        "nmm.plot.matrix([[1.0]])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "pip install 'nmm[plot]'" in done.stderr.splitlines()[-1]


def test_phase_plane_has_the_nullclines_and_the_fixed_points():
    model = nmm.FitzHughNagumo()
    figure = nmm.plot.phase_plane(model, limits=((-0.5, 1.2), (-0.3, 0.5)))
    (ax,) = figure.axes
    assert ax.get_xlim() == (-0.5, 1.2) and ax.get_ylim() == (-0.3, 0.5)
    nullclines = [c for c in ax.collections if isinstance(c, matplotlib.contour.ContourSet)]
    for i, nullcline in enumerate(nullclines):
        V, w = np.concatenate([path.vertices for path in nullcline.get_paths()]).T
        slopes = model.vector_field(
            0.0, model.State(jnp.asarray(V), jnp.asarray(w)), model.Inputs()
        )
        other = model.vector_field(
            0.0, model.State(jnp.asarray(V + 0.1), jnp.asarray(w)), model.Inputs()
        )
        size = [np.max(np.abs(x)) for x in jax.tree.leaves(other)]
        np.testing.assert_allclose(jax.tree.leaves(slopes)[i], 0, atol=0.02 * size[i])
    assert len(nullclines) == 2
    point = nmm.analysis.fixed_point(model)
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    places = [(line.get_xdata()[0], line.get_ydata()[0]) for line in dots]
    assert (pytest.approx(float(point.state.V)), pytest.approx(float(point.state.w))) in places
    assert {line.get_markerfacecolor() for line in dots} <= {"black", "white"}


def test_phase_plane_keeps_what_is_drawn():
    ax = plt.subplots()[1]
    ax.plot([0.0, 2.0], [1.0, 3.0])
    limits = ax.get_xlim(), ax.get_ylim()
    nmm.plot.phase_plane(nmm.Hopf(), ax, points=(), flow=False)
    assert (ax.get_xlim(), ax.get_ylim()) == limits and len(ax.lines) == 1


def test_phase_plane_refuses_what_has_none():
    with pytest.raises(ValueError, match="two variables, got JansenRit"):
        nmm.plot.phase_plane(nmm.JansenRit())
    with pytest.raises(ValueError, match=r"`limits` of 'x' should be \(low, high\), got \(1, 0\)"):
        nmm.plot.phase_plane(nmm.Hopf(), limits=((1, 0), None))


def test_topography_is_seen_from_above_with_the_nose_up():
    names = ("vertex", "right", "front", "left", "back", "half right")
    positions = np.array(
        [[0, 0, 1], [1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0], [0.5**0.5, 0, 0.5**0.5]]
    )
    ax = nmm.plot.topography(
        positions[:, 0], 90 * positions, names=names, title="to the right", label="EEG (µV)"
    )
    (sensors,) = (line for line in ax.lines if line.get_marker() == "o")
    places = dict(zip(names, np.stack(sensors.get_data(), axis=1), strict=True))
    np.testing.assert_allclose(places["vertex"], [0, 0], atol=1e-6)
    for name, direction in (("right", (1, 0)), ("front", (0, 1)), ("left", (-1, 0))):
        found = places[name] / np.linalg.norm(places[name])
        np.testing.assert_allclose(found, direction, atol=1e-6)
    assert 0 < places["half right"][0] < places["right"][0]
    assert [text.get_text() for text in ax.texts] == list(names)
    assert ax.get_title() == "to the right"
    assert [a.get_ylabel() for a in ax.figure.axes] == ["", "EEG (µV)"]
    # The nose is the only thing above the circle.
    assert max(np.max(line.get_ydata()) for line in ax.lines) == 1.12
    with pytest.raises(ValueError, match=r"for the 3 `values`, at least 4; got \(3, 3\)"):
        nmm.plot.topography(positions[:3, 0], positions[:3])
