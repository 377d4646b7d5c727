"""Sweeps: which cell is which, whatever the chunks, the noise or the fate of the others."""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import jaxtyping
import numpy as np
import pytest
from tiny import Relax, Riccati

import fitting
import nmm
from fitting._axes import make_axes
from fitting._devices import Devices
from fitting._sweep import _automatic_chunk

KEY = jr.key(0)
A, B = [1.0, 2.0, 3.0], [0.1, 0.2, 0.3, 0.4]
WEIGHTS = jnp.array([[0.0, 1.0, 0.4], [0.7, 0.0, 0.2], [0.1, 0.9, 0.0]])


def sweep(loss, model, over, **options):
    return fitting.sweep(loss, model, over, **{"progress": False, **options})


def two():
    return {"a": jnp.zeros(()), "b": jnp.zeros(())}


def total(model):
    return 10 * model["a"] + model["b"]


def network():
    noise = nmm.noise.White(x=0.02, y=0.02)
    return nmm.Network(nmm.Hopf(a=-0.02), WEIGHTS, nmm.coupling.Diffusive(G=0.1), noise=noise)


def power(net, key):
    return jnp.mean(nmm.simulate(net, 50.0, 1.0, key=key, save=["x"])["x"] ** 2, axis=0)


def explode(model, throw=False):
    """The end of 1 / (1 + scale t), which explodes within 2 ms for a scale below -1/2."""
    return nmm.simulate(model, 2.0, 0.1, throw=throw, save=["x"])["x"][-1]


def test_a_grid_has_one_axis_a_path_in_the_order_given():
    table = sweep(total, two(), {"b": B, "a": A})
    np.testing.assert_allclose(
        table.values["loss"], 10 * np.array(A)[None] + np.array(B)[:, None], rtol=1e-12
    )
    assert list(table.coordinates) == ["b", "a"]
    np.testing.assert_array_equal(table.coordinates["a"], A)


def test_zipped_values_go_side_by_side():
    table = sweep(total, two(), {"a": A, "b": B[:3]}, mode="zip")
    np.testing.assert_allclose(table.values["loss"], [10.1, 20.2, 30.3], rtol=1e-12)


def test_chunks_do_not_change_a_noisy_sweep_and_a_cell_alone_is_the_same():
    over = {"coupling.G": jnp.linspace(0.0, 0.3, 7), "node.a": [-0.05, 0.01]}
    whole = sweep(power, network(), over, key=KEY)
    assert whole.values["loss"].shape == (7, 2, 3)
    for chunk in (3, 14, 100):
        chunked = sweep(power, network(), over, key=KEY, chunk=chunk)
        np.testing.assert_allclose(chunked.values["loss"], whole.values["loss"], rtol=1e-10)
    alone = power(whole.model_at((5, 1)), KEY)
    np.testing.assert_allclose(whole.values["loss"][5, 1], alone, rtol=1e-10)


def test_batches_that_do_not_divide_a_chunk_lose_no_cell(monkeypatch):
    def loss(net, key):  # Of its own, since what is compiled is remembered.
        return {"power": power(net, key), "key": jr.uniform(key)}

    over = [{"coupling.G": jnp.linspace(0.0, 0.3, 11), "key": jr.split(KEY, 11)}]
    at_once = sweep(lambda net, key: loss(net, key), network(), over)
    monkeypatch.setattr(fitting._sweep, "_CACHED", 4 * 3)
    batches = sweep(loss, network(), over)
    for name, values in batches.values.items():
        assert len(np.unique(values, axis=0)) == 11
        np.testing.assert_allclose(values, at_once.values[name], rtol=1e-10)


def test_keys_are_swept_like_values():
    def loss(model, key):
        return model["a"] + jr.normal(key)

    keys = jr.split(KEY, 4)
    table = sweep(loss, two(), {"a": A, "key": keys})
    noise = [jr.normal(key) for key in keys]
    np.testing.assert_allclose(table.values["loss"], np.array(A)[:, None] + np.array(noise))
    raw = sweep(loss, two(), {"key": jr.key_data(keys)})
    np.testing.assert_allclose(raw.values["loss"], noise)
    common = sweep(loss, two(), {"a": A}, key=KEY)
    np.testing.assert_allclose(common.values["loss"], np.array(A) + jr.normal(KEY))


def test_values_may_differ_between_regions():
    def loss(net):
        return net.node.a * jnp.arange(3)

    regional = np.arange(6.0).reshape(2, 3)
    table = sweep(loss, network(), {"node.a": regional})
    np.testing.assert_array_equal(table.values["loss"], regional * np.arange(3))
    assert table.model_at(1).node.a.shape == (3,)
    # One value a cell is written to all regions of a regional parameter.
    table = sweep(loss, table.model_at(1), {"node.a": [1.0, 2.0]})
    np.testing.assert_array_equal(table.values["loss"], [[0, 1, 2], [0, 2, 4]])


def test_a_value_is_written_to_all_arrays_below_its_path():
    def loss(net):
        return net.noise.sigma

    table = sweep(loss, network(), {"noise.sigma": [0.1, 0.2]})
    np.testing.assert_array_equal(table.values["x"], [0.1, 0.2])
    np.testing.assert_array_equal(table.values["y"], [0.1, 0.2])


def test_a_cell_that_diverges_stops_no_other():
    scales = [1.0, -2.0, 0.5, -3.0]
    table = sweep(explode, Riccati(), {"scale": scales}, chunk=3)
    np.testing.assert_allclose(table.values["loss"][[0, 2]], [1 / 3, 1 / 2], rtol=2e-3)
    assert not np.any(np.isfinite(table.values["loss"][[1, 3]]))
    assert "2 non-finite" in repr(table)
    assert table.best() == {"scale": 1.0}


def test_a_cell_that_raises_stops_no_other():
    def loss(model):
        return {"end": explode(model, throw=True), "cells": jnp.ones((), int)}

    with pytest.warns(UserWarning, match="1 of 3 cells raised .* at scale = -2: `x` became non-"):
        table = sweep(loss, Riccati(), {"scale": [1.0, -2.0, 0.5]})
    np.testing.assert_allclose(table.values["end"], [1 / 3, np.nan, 1 / 2], rtol=2e-3)
    np.testing.assert_array_equal(table.values["cells"], [1, 0, 1])
    with pytest.raises(eqx.EquinoxRuntimeError, match="`x` became non-finite") as caught:
        sweep(loss, Riccati(), {"scale": [-2.0, -3.0]})
    assert caught.value.__notes__ == ["It was raised in every cell of the sweep."]


def test_all_that_a_loss_returns_is_kept_by_name():
    def loss(model):
        parts = {"square": model["a"] ** 2, "deep": {"row": model["a"] * jnp.ones(5)}}
        return total(model), parts

    table = sweep(loss, two(), {"a": A, "b": B})
    assert {k: v.shape for k, v in table.values.items()} == {
        "loss": (3, 4),
        "square": (3, 4),
        "deep.row": (3, 4, 5),
    }
    np.testing.assert_array_equal(table.values["square"][:, 0], [1, 4, 9])


def test_the_best_cell_is_found_and_made_a_model():
    def loss(model):
        return (model["a"] - 2) ** 2 + jnp.log(model["b"] - 0.2), {"half": -model["b"]}

    table = sweep(loss, two(), {"a": A, "b": B})
    assert table.best() == {"a": 2.0, "b": 0.3}  # At 0.1 it is NaN, at 0.2 minus infinity.
    assert table.best("half")["b"] == 0.4
    for where in (None, (1, 2), {"a": 2.0, "b": 0.3}):
        assert table.model_at(where) == {"a": 2.0, "b": 0.3}
    zipped = sweep(loss, two(), {"a": A, "b": B[1:]}, mode="zip")
    assert zipped.model_at(1) == zipped.model_at() == {"a": 2.0, "b": 0.3}
    with pytest.raises(ValueError, match="No cell of the sweep has a finite `loss`"):
        sweep(loss, two(), {"b": [0.1, 0.2]}).best()
    with pytest.raises(ValueError, match=r"`name` should be .* one of \['half', 'loss'\], got 'x'"):
        table.best("x")


def test_a_chunk_fits_the_memory():
    def loss(model):
        x = model["a"] * jnp.arange(10_000.0)
        return jnp.sum(jnp.sort(x))

    axes = make_axes(two(), {"a": np.arange(64.0)}, "grid")
    assert _automatic_chunk(loss, axes, None, 1e9, Devices()) == 64
    small = _automatic_chunk(loss, axes, None, 1e6, Devices())
    assert 1 <= small <= 16
    assert _automatic_chunk(loss, axes, None, 1.0, Devices()) == 1


def test_a_sweep_is_compiled_once():
    traced = []

    def loss(model):
        traced.append(model)
        return total(model)

    for last in (3.0, 4.0):
        sweep(loss, two(), {"a": [1.0, 2.0, last]})
    assert len(traced) == 1


def test_a_sweep_becomes_a_dataset():
    pytest.importorskip("xarray")

    def loss(net, key):
        return {"G": net.coupling.G, "a": net.node.a * jnp.ones(2)}

    over = {"coupling.G": A, "node.a": np.ones((2, 3)), "key": jr.split(KEY, 4)}
    grid = sweep(lambda net, key: {"G": net.coupling.G}, network(), over).to_xarray()
    assert grid["G"].dims == ("coupling.G", "node.a", "key")
    assert grid["node.a_values"].dims == ("node.a", "region")
    assert grid["node.a_values"].attrs == {"units": "1/ms"}
    assert float(grid["G"].sel({"coupling.G": 2.0}).mean()) == 2.0
    over = {"coupling.G": A[:2], "node.a": [0.1, 0.2], "key": jr.split(KEY, 2)}
    zipped = sweep(loss, network(), over, mode="zip").to_xarray()
    assert zipped["a"].dims == ("cell", "a_0") and zipped["G"].dims == ("cell",)
    np.testing.assert_array_equal(zipped["coupling.G"], A[:2])


def test_a_dataset_on_disk_is_read_by_parts(tmp_path):
    xr = pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")

    def loss(net):
        return {"loss": net.node.a, "course": net.coupling.G * jnp.arange(1000.0)}

    over = {"coupling.G": A, "node.a": [0.1, 0.2]}
    table = fitting.sweep(loss, network(), over, checkpoint=tmp_path / "sweep", progress=False)
    table.to_xarray().to_netcdf(tmp_path / "sweep.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "sweep.nc", engine="h5netcdf") as stored:
        cell = stored["course"].sel({"coupling.G": 2.0, "node.a": 0.1})
        np.testing.assert_array_equal(cell, 2.0 * np.arange(1000))
        np.testing.assert_array_equal(stored["coupling.G"], A)
        # Selected, but not loaded as a whole.
        whole = stored.variables["course"]
        assert whole.shape == (len(A), 2, 1000) and not whole._in_memory
        assert not stored["failed"].any() and "Python" in stored.attrs["provenance"]


def test_a_sweep_prints_what_it_went_over():
    table = sweep(lambda net, key: net.coupling.G, network(), {"node.a": A, "key": jr.split(KEY)})
    assert repr(table).splitlines() == [
        "SweepResult: 6 cells (grid, 3 x 2)",
        "  over node.a [1/ms]: 2 (1 to 3, 3 values)",
        "  over key: 2 keys",
        "  loss (): 0.1 to 0.1",
    ]


def test_a_sweep_draws_a_line_or_a_map():
    pytest.importorskip("matplotlib").use("Agg")
    (ax,) = sweep(lambda net: net.node.a**2, network(), {"node.a": A}).plot().axes
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), np.transpose([A, np.square(A)]))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("node.a (1/ms)", "loss")
    table = sweep(total, two(), {"a": A, "b": B})
    ax, bar = table.plot().axes
    np.testing.assert_array_equal(ax.collections[0].get_array(), table.values["loss"])
    assert (ax.get_xlabel(), ax.get_ylabel(), bar.get_ylabel()) == ("b", "a", "loss")
    assert table.plot(ax=ax) is ax.figure
    over = {"a": [0.0, *A], "b": B}
    ax, bar = sweep(lambda model: 1 / model["a"], two(), over).plot().axes
    assert bar.get_ylim() == (1 / 3, 1)  # without the cells that are infinite
    (ax,) = sweep(total, two(), {"a": A, "b": A}, mode="zip").plot().axes
    assert ax.get_xlabel() == "cell"
    over = {"node.a": np.ones((2, 3)), "coupling.G": A, "key": jr.split(KEY)}
    with pytest.raises(ValueError, match="one or two axes, this one has 3"):
        sweep(lambda net, key: net.coupling.G, network(), over).plot()


def test_progress_is_shown_if_asked_for(capsys):
    sweep(total, two(), {"a": A}, progress=True)
    assert "3/3" in capsys.readouterr().err
    sweep(total, two(), {"a": A})
    assert capsys.readouterr().err == ""


class Cubic(Relax):
    """x' = rate + x - x³, which is bistable for rates between -2 / 3√3 and 2 / 3√3."""

    def vector_field(self, t, state, inputs):
        return self.State(self.rate + state.x - state.x**3, 0 * state.y)


def test_hysteresis_of_the_cubic_ends_at_its_folds():
    def run(model, y0):
        sol = nmm.simulate(model, 60.0, 0.1, y0=y0, save=["x"], save_every=60.0)
        return sol["x"][-1], sol.y1

    rates = np.linspace(-0.5, 0.5, 101)
    loop = fitting.continued_sweep(run, Cubic(), "rate", rates, Cubic().initial_state())
    np.testing.assert_allclose(loop.hysteresis(), (-0.3849, 0.3849), atol=0.011)
    assert loop.up["loss"][50] < -0.9 < 0.9 < loop.down["loss"][50]
    up = np.where(rates < -0.3, np.nan, loop.up["loss"])
    part = fitting.ContinuedSweep(loop.axes, {"loss": up}, loop.down)
    low, high = part.hysteresis()
    assert low == rates[0] and high == loop.hysteresis()[1]  # NaN in one direction alone differs.
    none = {"loss": np.full(101, np.nan)}
    assert np.all(np.isnan(fitting.ContinuedSweep(loop.axes, none, none).hysteresis()))
    text = repr(loop).splitlines()
    assert text[0].startswith("ContinuedSweep: up and down over rate [1/ms]: ")
    assert text[1].startswith("  loss (): up -1.191 to 1.191, down")
    with pytest.raises(ValueError, match=r"`name` .*, one of \['loss'\], got 'x'"):
        loop.plot("x")


def test_a_continued_sweep_goes_on_after_an_interruption(tmp_path, monkeypatch):
    def run(model, y0, key):
        y = y0 + model["a"] * jr.normal(key)
        return {"y": y, "n": jnp.arange(2)}, y

    def continued(**options):
        return fitting.continued_sweep(
            run, two(), "a", np.array(A), jnp.zeros(()), key=KEY, progress=False, **options
        )

    calls, one = [], fitting._continued._one

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return one(*arguments)

    whole = continued()
    monkeypatch.setattr(fitting._continued, "_one", interrupted)
    with pytest.warns(UserWarning, match="interrupted: 4 of 6 runs are done, the others are NaN"):
        part = continued(checkpoint=tmp_path)
    np.testing.assert_array_equal(part.up["y"], whole.up["y"])
    np.testing.assert_array_equal(part.down["y"], [np.nan, np.nan, whole.down["y"][2]])
    rest = continued(checkpoint=tmp_path)
    assert len(calls) == 5 + 2  # Nothing was done twice.
    for name in ("y", "n"):
        np.testing.assert_array_equal(rest.up[name], whole.up[name])
        np.testing.assert_array_equal(rest.down[name], whole.down[name])
    with pytest.raises(ValueError, match="`checkpoint` should be empty or hold this very work"):
        fitting.continued_sweep(
            run,
            two(),
            "b",
            np.array(A),
            jnp.zeros(()),
            key=KEY,
            progress=False,
            checkpoint=tmp_path,
        )


@pytest.mark.parametrize(
    "returned", (lambda y: y.x, lambda y: (y.x, y.x)), ids=("no pair", "no state")
)
def test_runs_that_give_no_state_to_go_on_from_are_refused(returned, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    y0 = Cubic().initial_state()
    message = "`run` should return a pair of its results and the state .* like `y0`"
    with pytest.raises(TypeError, match=message):
        fitting.continued_sweep(lambda model, y: returned(y), Cubic(), "rate", [0.0, 1.0], y0)
    with pytest.raises(TypeError, match=message):
        fitting.truncated(lambda model, y: returned(y), Cubic(), y0, 2)


@pytest.mark.parametrize("method", ("sobol", "latin_hypercube"))
def test_drawn_values_fill_their_ranges_evenly(method):
    free = {"coupling.G": fitting.Interval(0.0, 2.0), "node.a": fitting.Interval(-2, 0)}
    values = fitting.draw(network(), free, 64, method=method)
    again = fitting.draw(network(), free, 64, method=method)
    for path, lower in (("coupling.G", 0.0), ("node.a", -2.0)):
        np.testing.assert_array_equal(values[path], again[path])
        # Both have one value in each of as many slices of every range.
        slices = np.floor((values[path] - lower) / 2 * 64).astype(int)
        np.testing.assert_array_equal(np.sort(slices), np.arange(64))
    if method == "sobol":  # and one in each of 8 x 8 squares
        squares = [
            np.floor((values[p] - low) * 4) for p, low in (("coupling.G", 0), ("node.a", -2))
        ]
        assert len(set(zip(*squares, strict=True))) == 64
    regional = fitting.draw(network(), {"node.a": fitting.Interval(-2, 0, shape="region")}, 5)
    assert regional["node.a"].shape == (5, 3)


CASES = {
    "nothing": ({"over": {}}, "`over` should name at least one path"),
    "path": ({"over": {"node.b": A}}, r"The path `node\.b` does not exist\. Did you mean"),
    "static": ({"over": {"coupling.source": A}}, "should lead to an array of floats, got None"),
    "scalar": (
        {"over": {"node.a": 1.0}},
        r"`over\['node.a'\]` should hold one value a cell, got the shape \(\)",
    ),
    "empty": ({"over": {"node.a": []}}, r"should hold one value a cell, got the shape \(0,\)"),
    "NaN": ({"over": {"node.a": [1.0, np.nan]}}, r"`over\['node.a'\]` should be finite, got"),
    "regions": (
        {"over": {"node.a": np.ones((4, 2))}},
        r"over `node\.a` should have, beside .* one of the shapes \[\(\), \(3,\)\], got \(2,\)",
    ),
    "zip": (
        {"over": {"node.a": A, "coupling.G": B}, "mode": "zip"},
        r'With `mode="zip"`, .* all paths .*, got \{\'node.a\': 3, \'coupling.G\': 4\}',
    ),
    "keys": ({"over": {"key": [1, 2]}}, r'`over\["key"\]` should be an array of keys'),
    "one key": ({"over": {"key": KEY}}, r'`over\["key"\]` should be an array of keys'),
    "two keys": (
        {"over": {"key": jr.split(KEY)}, "key": KEY},
        r'`key` should be left out where `over\["key"\]` gives the keys',
    ),
    "keys in a list": (
        {"over": [{"node.a": A}, {"key": jr.split(KEY)}], "key": KEY},
        r'`key` should be left out where `over\["key"\]` gives the keys',
    ),
    "overlap": (
        {"over": {"noise.sigma": A, "noise.sigma.x": A}},
        "`over` should lead to each array once, got `noise.sigma.x` twice",
    ),
    "mode": (
        {"over": {"node.a": A}, "mode": "product"},
        r"`mode` should be one of \['grid', 'zip'\], got 'product'",
    ),
    "chunk": ({"over": {"node.a": A}, "chunk": 0}, "`chunk` should be at least 1, got 0"),
    "memory": ({"over": {"node.a": A}, "memory": 0}, "`memory` should be a positive number of b"),
}


@pytest.mark.parametrize("case", CASES)
def test_error_names_what_is_wrong(case, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    options, message = CASES[case]
    with pytest.raises(ValueError, match=message):
        sweep(lambda net, key=None: net.coupling.G, network(), **options)
