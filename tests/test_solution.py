"""What a run returns: access by name, text, and labelled datasets."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import nmm
from nmm.observe import BOLD, TemporalAverage

labels = ["V1", "V2", "MT"]


def network(G=0.1):
    conn = nmm.Connectome(jnp.ones((3, 3)) - jnp.eye(3), labels=labels)
    return nmm.Network(nmm.JansenRit(), conn, coupling=nmm.coupling.Linear(G=G))


def several(G=0.1):
    save = {
        "Ev": "Ev",
        "bold": BOLD(20.0, "M"),
        "mean": lambda t, state, inputs: jnp.mean(state.M),
        "two": lambda t, state, inputs: state.M[:2],
    }
    return nmm.simulate(network(G), 100.0, 1.0, save=save)


def test_outputs_are_read_by_name():
    whole = nmm.simulate(network(), 10.0, 1.0)
    np.testing.assert_array_equal(whole["M"], whole.ys.M)
    np.testing.assert_array_equal(whole.ts, np.arange(1, 11))
    assert list(whole.outputs) == ["M", "E", "I", "Mv", "Ev", "Iv"]
    sol = several()
    np.testing.assert_array_equal(sol["bold"], sol.ys["bold"])
    np.testing.assert_array_equal(sol.times["bold"], [20, 40, 60, 80, 100])
    np.testing.assert_array_equal(sol.times["two"], np.arange(1, 101))


def test_unknown_output_is_refused_with_what_there_is():
    with pytest.raises(KeyError, match=r"'S' was not saved; what was is \['M', 'E', 'I',"):
        nmm.simulate(network(), 10.0, 1.0)["S"]


def test_times_that_differ_are_not_one():
    with pytest.raises(ValueError, match=r"different times; `sol.times\[name\]`.*'bold'"):
        _ = several().ts
    # As many samples, at other times.
    save = {"a": TemporalAverage(6.0), "b": TemporalAverage(7.0)}
    with pytest.raises(ValueError, match="The outputs have different times"):
        _ = nmm.simulate(network(), 8.0, 1.0, save=save).ts
    with pytest.raises(ValueError, match="There are no times, since `save` asked for nothing"):
        _ = nmm.simulate(network(), 8.0, 1.0, save=[]).ts


def test_text_shows_outcome_units_shapes_and_times():
    assert repr(several()).splitlines() == [
        "Solution: successful",
        "  Ev [mV/ms]: (100, 3), 1 to 100 ms",
        "  mean: (100,), 1 to 100 ms",
        "  two: (100, 2), 1 to 100 ms",
        "  bold [1]: (5, 3), 20 to 100 ms",
    ]


def test_text_of_a_batch_counts_what_succeeded():
    @jax.vmap
    def run(start):
        y0 = nmm.Hopf.State(x=start, y=start)
        return nmm.simulate(nmm.Hopf(), 100.0, 1.0, y0=y0, throw=False)

    assert repr(run(jnp.array([0.1, 1e3, 0.2]))).splitlines() == [
        "Solution: batch of (3,), 2 of 3 successful",
        "  x [1]: (3, 100), 1 to 100 ms",
        "  y [1]: (3, 100), 1 to 100 ms",
    ]


def test_text_within_a_compiled_function_is_without_numbers():
    seen = []

    @jax.jit
    def look(sol):
        seen.append(repr(sol))
        return sol.ts[-1]

    sol = nmm.simulate(nmm.Hopf(), 10.0, 1.0)
    assert look(sol) == 10
    assert seen[0].startswith("Solution: inside of a compiled function\n  x [1]: (10,), 10 samples")


def test_failure_is_told():
    start = nmm.Hopf.State(x=jnp.asarray(1e3), y=jnp.asarray(0.0))
    sol = nmm.simulate(nmm.Hopf(), 100.0, 1.0, y0=start, throw=False)
    assert repr(sol).startswith("Solution: ") and "non-finite" in repr(sol).splitlines()[0]


def test_dataset_has_names_coordinates_units_and_labels():
    sol = several()
    data = sol.to_xarray()
    assert data["Ev"].dims == ("time", "region") and data["mean"].dims == ("time",)
    assert data["bold"].dims == ("time_bold", "region")
    assert data["two"].dims == ("time", "two_axis_0")
    assert data["Ev"].attrs == {"units": "mV/ms"} and data["time"].attrs == {"units": "ms"}
    assert list(data["region"].values) == labels
    np.testing.assert_array_equal(data["time_bold"], [20, 40, 60, 80, 100])
    np.testing.assert_array_equal(data["Ev"].sel(region="MT"), sol["Ev"][:, 2])
    np.testing.assert_array_equal(data["bold"].sel(time_bold=40), sol["bold"][1])


def test_dataset_of_one_region_or_without_labels():
    alone = nmm.simulate(nmm.Hopf(), 10.0, 1.0).to_xarray()
    assert alone["x"].dims == ("time",)
    unnamed = nmm.simulate(nmm.Hopf(), 10.0, 1.0, shape=4).to_xarray()
    assert unnamed["x"].dims == ("time", "region") and "region" not in unnamed.coords
    stacked = nmm.simulate(network(), 10.0, 1.0, shape=(2, 3)).to_xarray()
    assert stacked["M"].dims == stacked["E"].dims == ("time", "axis_0", "region")


@pytest.mark.parametrize("compiled", [False, True])
def test_dataset_of_a_batch_has_it_in_front(compiled):
    run = jax.vmap(several)
    sol = (jax.jit(run) if compiled else run)(jnp.linspace(0, 0.2, 4))
    data = sol.to_xarray()
    assert data["Ev"].dims == ("batch", "time", "region")
    assert data["bold"].dims == ("batch", "time_bold", "region")
    assert data["mean"].dims == ("batch", "time")
    np.testing.assert_array_equal(data["time_bold"], [20, 40, 60, 80, 100])
    np.testing.assert_array_equal(data["Ev"][3].sel(region="V2"), sol["Ev"][3, :, 1])


def test_dataset_of_nested_batches_numbers_their_axes():
    sol = eqx.filter_vmap(eqx.filter_vmap(several))(jnp.zeros((2, 3)))
    assert sol.to_xarray()["Ev"].dims == ("batch_0", "batch_1", "time", "region")
    assert sol.times["Ev"].shape == (2, 3, 100)


def test_dataset_of_an_adaptive_run_has_the_times_of_its_samples():
    sol = nmm.simulate(
        network(), 50.0, save_every=10.0, stepsize_controller=diffrax.PIDController(1e-5, 1e-5)
    )
    data = sol.to_xarray()
    assert data["M"].dims == ("time", "region")
    np.testing.assert_allclose(data["time"], [10, 20, 30, 40, 50])


def test_dataset_comes_back_from_netcdf(tmp_path):
    data = several().to_xarray()
    data.to_netcdf(tmp_path / "run.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "run.nc", engine="h5netcdf") as back:
        xr.testing.assert_identical(back.load(), data)


def test_dataset_comes_back_from_zarr(tmp_path):
    data = several().to_xarray()
    data.to_zarr(tmp_path / "run.zarr", zarr_format=2)
    with xr.open_zarr(tmp_path / "run.zarr") as back:
        xr.testing.assert_identical(back.load(), data)
