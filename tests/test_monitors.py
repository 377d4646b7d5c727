"""Monitors: which steps a sample covers, and statistics that are gathered as a run goes on."""

import diffrax
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from helpers import golden

import nmm
from nmm import analysis
from nmm.observe import (
    BOLD,
    AfferentInput,
    OnlineCovariance,
    OnlineFC,
    OnlineMean,
    OnlineSpectrum,
    SpatialAverage,
    SubSample,
    TemporalAverage,
    resample,
)
from nmm.observe._moments import Gathered

rng = np.random.default_rng(0)
series = rng.normal(size=(400, 3)) + 100
adapting = {"stepsize_controller": diffrax.PIDController(1e-3, 1e-3)}


def network(G=0.2):
    weights = jax.random.uniform(jax.random.key(1), (3, 3)) * (1 - jnp.eye(3))
    conn = nmm.Connectome(weights, labels=["a", "b", "c"])
    return nmm.Network(nmm.ReducedWongWang(), conn, nmm.coupling.Linear(G=G))


def test_monitors_are_those_of_the_virtual_brain():
    reference = golden("convolution")
    x = reference["signal"][0]["x"][:1000]
    np.testing.assert_array_equal(SubSample(10.0)(x, 2.0), reference["subsample"][0]["y"])
    everywhere = SpatialAverage(10.0, ["all"] * 2)
    expected = reference["global_average"][0]["y"].reshape(-1)
    found = everywhere(np.repeat(x[4::5], 5, axis=0), 2.0)
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-13)


def test_groups_are_averaged_by_their_weights():
    by_label = SpatialAverage(1.0, ["l", "r", "l"])(series, 1.0)
    np.testing.assert_allclose(by_label[:, 0], series[:, [0, 2]].mean(axis=1))
    np.testing.assert_allclose(by_label[:, 1], series[:, 1])
    weights = [[1.0, 3.0, 0.0]]
    by_map = SpatialAverage(2.0, weights, names=["left"])(series, 1.0)
    pairs = series.reshape(-1, 2, 3).mean(axis=1)
    np.testing.assert_allclose(by_map[:, 0], (pairs[:, 0] + 3 * pairs[:, 1]) / 4)
    left_out = SpatialAverage(1.0, ["l", None, "l"])(series, 1.0)
    np.testing.assert_allclose(left_out[:, 0], by_label[:, 0])


def test_a_tr_that_dt_does_not_divide_is_interpolated():
    times = 10.0 * np.arange(1, 101)

    def cubic(t):
        return np.stack([t**3 / 1e6 - t, np.ones_like(t)], axis=1)

    found = resample(cubic(times), 10.0, 12.3)
    assert len(found) == 81  # the last of them at 996.3 ms
    np.testing.assert_allclose(found, cubic(12.3 * np.arange(1, 82)), rtol=1e-10)
    np.testing.assert_array_equal(resample(times, 10.0, 20.0), times[1::2])
    # BOLD of noise at 720.5 ms, in steps of 1 ms, beside steps that divide it.
    x = rng.normal(size=(4500, 2))
    expected = BOLD(720.5, step=0.5)(np.repeat(x, 2, axis=0), 0.5)
    found = resample(BOLD(40.0, step=1.0)(x, 1.0), 40.0, 720.5)
    np.testing.assert_allclose(found, expected, rtol=0, atol=3e-6 * np.abs(expected).max())
    with pytest.raises(ValueError, match="`tr` should be at least the `period` of the samples, 10"):
        resample(times, 10.0, 9.0)
    with pytest.raises(ValueError, match="`samples` should be at least 4, got 3"):
        resample(times[:3], 10.0, 12.3)


def test_afferent_input_is_what_arrives():
    net, slot = network(), nmm.ReducedWongWang.target
    heard = AfferentInput(slot)
    save = {"S": "S", "heard": heard, "mean": TemporalAverage(5.0, heard)}
    inputs = nmm.ReducedWongWang.Inputs(**{slot: 0.1})
    sol = nmm.simulate(net, 50.0, 1.0, inputs=inputs, save=save)
    states = nmm.ReducedWongWang.State(S=sol["S"])
    arriving = getattr(net.receive(0.0, states, inputs), slot)
    assert arriving.shape == (50, 3)
    np.testing.assert_allclose(sol["heard"], arriving, rtol=1e-12)
    np.testing.assert_allclose(sol["mean"], sol["heard"].reshape(-1, 5, 3).mean(axis=1))
    units = dict(sol.units)
    assert units["heard"] == units["mean"] == nmm._declare.declarations(inputs)[slot].unit


def test_statistics_of_a_saved_signal_are_those_of_its_samples():
    of = TemporalAverage(2.0)
    samples = series.reshape(-1, 2, 3).mean(axis=1)
    np.testing.assert_allclose(OnlineMean(of)(series, 1.0), samples.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(OnlineCovariance(of)(series, 1.0), np.cov(samples.T), rtol=1e-11)
    np.testing.assert_allclose(OnlineFC(of)(series, 1.0), np.corrcoef(samples.T), rtol=1e-11)
    found = OnlineSpectrum(of, 40.0)(series, 1.0)
    _, expected = analysis.power_spectrum(samples, 2.0, segment=40.0)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def statistics(of, segment):
    return {
        "mean": OnlineMean(of),
        "cov": OnlineCovariance(of),
        "fc": OnlineFC(of),
        "psd": OnlineSpectrum(of, segment),
    }


def assert_statistics(found, samples, period, segment):
    np.testing.assert_allclose(found["mean"], samples.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found["cov"], np.cov(samples.T), rtol=1e-9)
    np.testing.assert_allclose(found["fc"], analysis.fc(samples), rtol=1e-9)
    _, spectrum = analysis.power_spectrum(samples, period, segment=segment)
    np.testing.assert_allclose(found["psd"], spectrum, rtol=1e-8, atol=1e-18)


def test_statistics_of_a_run_are_those_of_its_samples():
    of = TemporalAverage(2.0, "S")
    save = {"S": of, "bold": OnlineFC(BOLD(16.0, "S")), **statistics(of, 48.0)}
    noise = nmm.noise.White(S=0.02)
    sol = nmm.simulate(network(), 840.0, 1.0, key=jax.random.key(0), noise=noise, save=save)
    assert_statistics(sol, sol["S"], 2.0, 48.0)
    assert "fc" not in sol.times and sol["fc"].shape == sol["bold"].shape == (3, 3)


def test_statistics_of_a_run_in_parts_are_those_of_all_its_samples():
    of = TemporalAverage(3.5, "S")
    save = {"S": of, **statistics(of, 84.0)}
    options = dict(dt=0.5, key=jax.random.key(0), noise=nmm.noise.White(S=0.02), save=save)
    # The windows begin at the transient, a multiple of half a window. The cut lies within one.
    first = nmm.simulate(network(), 401.5, transient=84.0, **options)
    second = nmm.simulate(network(), 438.5, y0=first, **options)
    samples = np.concatenate([first["S"], second["S"]])
    assert len(samples) == 216
    assert_statistics(second, samples, 3.5, 84.0)
    whole = nmm.simulate(network(), 840.0, transient=84.0, **options)
    gathered = (sol.ending.carry.statistics for sol in (second, whole))
    for one, other in zip(*map(jax.tree.leaves, gathered), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(second["fc"], whole["fc"], rtol=1e-14)


def test_samples_are_gathered_in_the_same_pieces_in_whatever_blocks_they_come():
    cuts, dropped = (0, 64, 200, 500), 70
    x = jnp.asarray(np.random.default_rng(1).normal(size=(500, 4)) + 5, jnp.float32)
    state = start = Gathered.zero(x[0], pairs=True)
    for begin, end in zip(cuts, cuts[1:], strict=False):
        # Blocks reach over both ends of a run, and have rows between samples.
        low, high = max(begin - 40, 0), end + 30
        numbers = np.repeat(np.arange(low + 1, high + 1, dtype=np.int32), 2)
        at = np.minimum(numbers - 1, 499)
        valid = (numbers > max(begin, dropped)) & (numbers <= end) & (np.arange(len(at)) % 2 == 0)
        state = state.add(x[at], jnp.asarray(valid), jnp.asarray(numbers))
    whole = start.add(x, jnp.arange(500) >= dropped, jnp.arange(1, 501, dtype=jnp.int32))
    found, expected = state.flush().moments, whole.flush().moments
    assert found.count == 500 - dropped
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(one, other)
    covariance = np.cov(np.asarray(x, float)[dropped:].T)
    np.testing.assert_allclose(found.scatter / (499 - dropped), covariance, rtol=1e-4, atol=1e-5)


def test_constant_region_correlates_with_nothing_and_has_a_finite_gradient():
    x = jnp.asarray(series).at[:, 1].set(0.1)

    @jax.jit
    def total(x):
        return jnp.sum(OnlineFC(TemporalAverage(1.0))(x, 1.0) ** 2)

    fc = OnlineFC(TemporalAverage(1.0))(x, 1.0)
    np.testing.assert_array_equal(fc[1], [0, 1, 0])
    assert np.all(np.isfinite(jax.grad(total)(x)))


def test_gradient_of_a_bold_fc_gathered_online_is_that_of_differences():
    save = {"fc": OnlineFC(BOLD(40.0, "S"))}
    target = jnp.eye(3)

    def loss(G):
        sol = nmm.simulate(
            network(G), 800.0, 1.0, save=save, transient=80.0, throw=False,
            key=jax.random.key(0), noise=nmm.noise.White(S=0.02),
        )  # fmt: skip
        return jnp.mean((sol["fc"] - target) ** 2)

    @jax.jit
    def derivatives(x):
        near = jax.vmap(loss)(jnp.stack([x - 1e-4, x + 1e-4]))
        return jax.grad(loss)(x), (near[1] - near[0]) / 2e-4

    gradient, difference = derivatives(jnp.asarray(0.2))
    assert abs(difference) > 1e-5
    np.testing.assert_allclose(gradient, difference, rtol=1e-4)


def test_memory_of_statistics_does_not_grow_with_time():
    of = TemporalAverage(2.0, "S")
    save = {"fc": OnlineFC(of), "psd": OnlineSpectrum(of, 200.0)}

    def memory(seconds):
        def run(G):
            options = dict(key=jax.random.key(0), noise=nmm.noise.White(S=0.01), throw=False)
            return nmm.simulate(network(G), seconds * 1000.0, 1.0, save=save, **options).ys

        # The machine code need not be good: its memory is laid out before.
        lowered = jax.jit(run).lower(jnp.asarray(0.2))
        compiled = lowered.compile({"xla_backend_optimization_level": 0})
        return compiled.memory_analysis().temp_size_in_bytes

    assert memory(160) <= 1.2 * memory(16)


@pytest.mark.parametrize(
    "save, first",
    [
        ({"b": BOLD(50.0)}, 50),
        ({"b": OnlineFC(TemporalAverage(15.0))}, 45),
        # Windows begin at multiples of half a window: the first without the transient at 20 ms.
        ({"b": OnlineSpectrum(TemporalAverage(5.0), 20.0)}, 40),
        ({"b": "S"}, 50),
        (None, 50),
    ],
)
def test_what_is_due_after_the_run_warns_unless_the_run_goes_on(save, first):
    options = dict(dt=1.0, save=save, save_every=50.0)
    name = "whole states" if save is None else "b"
    message = f"`save` gets nothing of '{name}', whose first value is due at {first} ms: the run"
    with pytest.warns(UserWarning, match=message):
        start = nmm.simulate(network(), first - 5.0, transient=15.0, **options)
    sol = nmm.simulate(network(), 5.0, y0=start, **options)
    assert save is None or np.all(np.isfinite(sol["b"])) and np.size(sol["b"])


def test_dataset_has_sensors_groups_and_frequencies():
    of = SpatialAverage(2.0, ["l", "r", "l"], "S")
    save = {"S": "S", "of": of, "psd": OnlineSpectrum(of, 20.0), "fc": OnlineFC(BOLD(10.0, "S"))}
    sol = nmm.simulate(network(), 100.0, 1.0, save=save)
    data = sol.to_xarray()
    assert data["of"].dims == ("time_of", "group") and list(data["group"].values) == ["l", "r"]
    assert data["psd"].dims == ("frequency", "group")
    np.testing.assert_allclose(data["frequency"], np.arange(6) * 50.0)
    assert data["frequency"].attrs == {"units": "Hz"}
    assert data["fc"].dims == ("region_target", "region_source")
    assert list(data["region_source"].values) == ["a", "b", "c"]
    assert "fc [1]: (3, 3), of all samples" in repr(sol)


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: OnlineFC("S"), TypeError, "`of` of `OnlineFC` should be an observer"),
        (lambda: OnlineFC(BOLD(720.0))(series, 1.0), ValueError, "at least one sample of 720.0 ms"),
        (lambda: OnlineSpectrum(TemporalAverage(2.0), 6.0), ValueError, "an even number of"),
        (lambda: OnlineSpectrum(TemporalAverage(2.0), 13.0), ValueError, "an even number of"),
        (lambda: SpatialAverage(1.0, np.ones((2, 2, 2))), ValueError, "`groups` should be"),
        (lambda: SpatialAverage(1.0, [[0.0, 0.0]]), ValueError, "weights of group 0 add up to 0"),
        (lambda: SpatialAverage(1.0, [[1.0]], names=["a", "b"]), ValueError, "`names` should be 1"),
        (
            lambda: SpatialAverage(1.0, ["l", "r"])(series, 1.0),
            ValueError,
            r"is for 2 regions, the signal has the shape \(3,\)",
        ),
        (
            lambda: nmm.simulate(network(), 9.0, 1.0, save={"a": AfferentInput("u")}),
            ValueError,
            "`slot` of `AfferentInput` should be an input slot",
        ),
        (
            lambda: nmm.simulate(network(), 9.0, save={"a": SubSample(1.0)}, **adapting),
            ValueError,
            "`SubSample` should be used with a fixed step",
        ),
        (
            lambda: nmm.simulate(network(), 9.0, save={"a": OnlineFC(BOLD(1.0))}, **adapting),
            ValueError,
            r"statistics \['a'\] in a run with a fixed step",
        ),
        (lambda: BOLD(0.5)(series, 1.0), ValueError, "`period` of `BOLD` should be a multiple"),
        (lambda: TemporalAverage(2.5)(series, 1.0), ValueError, "should be a multiple of `dt`"),
    ],
)
def test_wrong_arguments_are_refused_by_name(make, error, message, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(error, match=message):
        make()
