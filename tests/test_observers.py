"""Observers: what rides along with a run is what a saved signal gives, in constant memory."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import golden

import nmm
from nmm.observe import BOLD, BalloonWindkessel, ConvolutionBOLD, TemporalAverage


class Clock(nmm.AbstractModel):
    """A model whose state is the time."""

    class State(nmm.State):
        x: jax.Array = nmm.variable(0.0, unit="ms", doc="time")

    class Inputs(nmm.Inputs):
        drive: jax.Array = nmm.slot(unit="1", doc="none")

    source = output = "x"
    target = "drive"

    def vector_field(self, t, state, inputs):
        return self.State(x=jnp.ones_like(state.x))


def network(regions=6):
    weights = jax.random.uniform(jax.random.key(1), (regions, regions)) * (1 - jnp.eye(regions))
    return nmm.Network(
        nmm.ReducedWongWang(), nmm.Connectome(weights), coupling=nmm.coupling.Linear(G=0.2)
    )


def rate_squared(t, state, inputs):
    return state.S**2 + 1e-4 * t


def test_windows_are_averaged_over_the_right_steps_and_stamped_with_their_ends():
    save = {"all": "x", "mean": TemporalAverage(10.0), "other": TemporalAverage(7.0, "x")}
    sol = nmm.simulate(Clock(), 100.0, 0.5, save=save)
    np.testing.assert_array_equal(sol.times["mean"], 10.0 * np.arange(1, 11))
    np.testing.assert_array_equal(sol.times["other"], 7.0 * np.arange(1, 15))
    # After the steps of a window from 0 to P the state is 0.5, 1, ..., P.
    np.testing.assert_allclose(sol["mean"], sol.times["mean"] - 5 + 0.25, rtol=1e-13)
    np.testing.assert_allclose(sol["other"], sol.times["other"] - 3.5 + 0.25, rtol=1e-13)


def test_average_of_a_saved_signal_leaves_out_an_incomplete_window():
    rows = np.arange(23)
    np.testing.assert_array_equal(TemporalAverage(5.0)(rows, 1.0), [2, 7, 12, 17])


def test_temporal_average_is_that_of_the_virtual_brain():
    reference = golden("observers")
    arrays, entry = reference["temporal_average"]
    dt, period = reference["signal"][1]["dt"], entry["period"]
    ours = TemporalAverage(period)(reference["signal"][0]["x"][:1000], dt)
    np.testing.assert_allclose(ours, arrays["y"], rtol=1e-13)
    # Theirs are stamped with the middle of the window.
    np.testing.assert_array_equal(period * np.arange(1, len(ours) + 1) - period / 2, arrays["t"])


def test_temporal_average_of_tvboptim_begins_a_sample_late():
    reference = golden("convolution")
    x = reference["signal"][0]["x"][1:1001]
    expected = reference["tvboptim_temporal_average"][0]["y"]
    np.testing.assert_allclose(TemporalAverage(10.0)(x, 2.0)[:199], expected[:199], rtol=1e-13)


@pytest.mark.parametrize(
    "dt, t1, tr, period", [(0.5, 3000.0, 725.0, 7.0), (0.1, 900.0, 150.3, 0.7)]
)
def test_observers_of_a_run_give_the_numbers_of_the_saved_signal(dt, t1, tr, period):
    observers = {
        "bold": BOLD(tr),
        "bold_of_rate": BOLD(2 * tr, "H", haemodynamics=BalloonWindkessel.preset("spm")),
        "mean_of_function": TemporalAverage(period, rate_squared),
        "mean": TemporalAverage(3 * period, "S"),
    }
    signals = {"S": "S", "H": "H", "function": rate_squared}
    noise = nmm.noise.White(S=0.01)
    sol = nmm.simulate(
        network(), t1, dt, key=jax.random.key(0), noise=noise, save=signals | observers
    )
    of = dict(zip(observers, ("S", "H", "function", "S"), strict=True))

    @jax.jit
    def observe(ys):
        return {name: observer(ys[of[name]], dt) for name, observer in observers.items()}

    for name, saved in observe(sol.ys).items():
        period = observers[name].period
        expected = period * np.arange(1, len(saved) + 1)
        np.testing.assert_allclose(sol.times[name], expected, rtol=1e-12)
        assert len(saved) == int(t1 / period + 1e-9) > 0
        np.testing.assert_allclose(sol[name], saved, rtol=1e-10, atol=1e-13)


def test_two_halves_of_a_run_observe_the_same_as_the_whole():
    save = {"bold": BOLD(72.0), "mean": TemporalAverage(50.0)}
    options = dict(dt=1.0, key=jax.random.key(0), noise=nmm.noise.White(S=0.01), save=save)
    whole = nmm.simulate(network(), 1000.0, **options)
    # The first half ends within a sample of either.
    first = nmm.simulate(network(), 430.0, **options)
    second = nmm.simulate(network(), 570.0, y0=first, **options)
    for name in save:
        joined = np.concatenate([first[name], second[name]])
        # Programs of other lengths may round the last bit in other ways; BOLD is a difference of
        # numbers near 1.
        last_digits = 1e-16 if name == "bold" else 0
        np.testing.assert_allclose(joined, whole[name], rtol=1e-15, atol=last_digits)
        times = np.concatenate([first.times[name], second.times[name]])
        np.testing.assert_allclose(times, whole.times[name], rtol=1e-13)


def test_neither_a_transient_nor_what_else_is_saved_changes_the_samples():
    save = {"bold": BOLD(100.0)}
    whole = nmm.simulate(network(), 1000.0, 1.0, save=save)
    later = nmm.simulate(network(), 1000.0, 1.0, save=save, transient=300.0)
    np.testing.assert_array_equal(later.times["bold"], 100.0 * np.arange(4, 11))
    np.testing.assert_array_equal(later["bold"], whole["bold"][3:])
    save |= {"H": "H", "mean": TemporalAverage(7.0)}
    beside = nmm.simulate(network(), 1000.0, 1.0, save=save, save_every=5.0)
    np.testing.assert_allclose(beside["bold"], whole["bold"], rtol=1e-12)


def test_adaptive_run_observes_what_a_run_on_the_grid_does():
    def drive(t):
        return nmm.ReducedWongWang.Inputs(I_ext=0.05 * jnp.sin(t / 300))

    save = {"bold": BOLD(250.0), "mean": TemporalAverage(100.0)}
    grid = nmm.simulate(network(), 2000.0, 0.05, inputs=drive, save=save)
    adaptive = nmm.simulate(
        network(),
        2000.0,
        inputs=drive,
        save=save,
        stepsize_controller=diffrax.PIDController(rtol=1e-8, atol=1e-10),
    )
    # On the grid the values after the steps are observed, which are half a step ahead.
    for name, tolerance in (("bold", 5e-5), ("mean", 2e-4)):
        np.testing.assert_allclose(adaptive.times[name], grid.times[name], rtol=1e-13)
        scale = np.abs(grid[name]).max()
        np.testing.assert_allclose(adaptive[name], grid[name], rtol=0, atol=tolerance * scale)


def test_integrated_means_keep_their_digits_in_single_precision():
    average, t = TemporalAverage(10.0), np.arange(20_000) / 2
    signal = jnp.asarray(1000 + np.sin(t / 30), jnp.float32)

    def step(state, x):
        slope = average.vector_field(state, x)
        state = jax.tree.map(lambda y, dy: y + 0.5 * dy, state, slope)
        return state, state

    start = average.init(signal[0])
    _, states = jax.lax.scan(step, start, signal)
    ends = jax.tree.map(lambda x: x[19::20], states)
    before, after = (jax.tree.map(lambda x, i=i: x[i], ends) for i in (slice(-1), slice(1, None)))
    found = jax.vmap(average.sample_between)(before, after, jnp.arange(2, 1001))
    assert found.dtype == jnp.float32
    expected = np.asarray(signal, float).reshape(-1, 20).mean(axis=1)[1:]
    # The last digit of 1000 is 6e-5; that of an integral of it would be 1 in the end.
    np.testing.assert_allclose(found, expected, rtol=0, atol=3e-4)


def test_haemodynamic_steps_of_8_ms_hardly_change_the_bold_of_a_noisy_run():
    save = {"coarse": BOLD(720.0), "fine": BOLD(720.0, step=0.5)}
    sol = nmm.simulate(
        network(), 7200.0, 0.5, key=jax.random.key(0), noise=nmm.noise.White(S=0.02), save=save
    )
    scale = np.abs(sol["fine"]).max()
    np.testing.assert_allclose(sol["coarse"], sol["fine"], rtol=0, atol=1e-5 * scale)


def test_vessels_take_steps_of_8_ms_also_where_the_signal_comes_in_longer_ones():
    x = jax.random.uniform(jax.random.key(2), (30, 2))
    fine = jnp.repeat(x, 500, axis=0)
    for observer, tolerance in ((BOLD(2000.0), 1e-5), (ConvolutionBOLD(2000.0), 1e-12)):
        coarse, expected = observer(x, 2000.0), observer(fine, 4.0)
        np.testing.assert_allclose(coarse, expected, rtol=0, atol=tolerance * np.max(expected))


def test_regional_constants_ride_along():
    tau = jnp.linspace(0.5, 2.0, 6)
    save = {"bold": BOLD(100.0, haemodynamics=BalloonWindkessel(tau=tau))}
    sol = nmm.simulate(network(), 1000.0, 1.0, save={"S": "S"} | save)
    single = BOLD(100.0, haemodynamics=BalloonWindkessel(tau=tau[4]))
    np.testing.assert_allclose(sol["bold"][:, 4], single(sol["S"][:, 4], 1.0), rtol=1e-10)


def test_bold_is_differentiable_in_the_constants_through_a_run():
    def total(tau):
        save = {"bold": BOLD(500.0, haemodynamics=BalloonWindkessel(tau=tau))}
        return jnp.sum(nmm.simulate(network(), 2000.0, 1.0, save=save, throw=False)["bold"])

    @jax.jit
    def derivatives(tau):
        return jax.grad(total)(tau), (total(tau + 1e-4) - total(tau - 1e-4)) / 2e-4

    gradient, difference = derivatives(jnp.asarray(0.98))
    assert abs(difference) > 1e-4
    np.testing.assert_allclose(gradient, difference, rtol=1e-6)


@pytest.mark.parametrize("gradient", [False, True])
def test_memory_does_not_grow_with_time(gradient):
    def level(G, minutes):
        net = eqx.tree_at(lambda net: net.coupling.G, network(10), G)
        options = dict(key=jax.random.key(0), noise=nmm.noise.White(S=0.01), throw=False)
        sol = nmm.simulate(net, minutes * 60e3, 1.0, save={"bold": BOLD(720.0)}, **options)
        return jnp.sum(sol["bold"] ** 2) if gradient else sol["bold"]

    def memory(minutes):
        function = jax.grad(level) if gradient else level
        lowered = jax.jit(function, static_argnums=1).lower(jnp.asarray(0.2), minutes)
        # The machine code need not be good: its memory is laid out before.
        compiled = lowered.compile({"xla_backend_optimization_level": 0})
        return compiled.memory_analysis().temp_size_in_bytes

    assert memory(10) <= 1.3 * memory(1)


@pytest.mark.parametrize(
    "save, message",
    [
        ({"b": BOLD(720.5)}, "`period` of 'b' should be a multiple of `dt`, got 720.5 ms and a"),
        ({"b": BOLD(720.0, "rate")}, "'rate' is neither a state variable nor an observable"),
    ],
)
def test_what_does_not_fit_the_run_is_refused(save, message):
    with pytest.raises(ValueError, match=message):
        nmm.simulate(network(), 1440.0, 1.0, save=save)


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: BOLD(-720.0), ValueError, "`period` of `BOLD` should be a positive number"),
        (lambda: BOLD(720.0, step=0.0), ValueError, "`step` should be a positive number"),
        (lambda: BOLD(720.0, haemodynamics="spm"), TypeError, "haemodynamics"),
        (lambda: TemporalAverage(0.0), ValueError, "`period` of `TemporalAverage` should be"),
        (lambda: BOLD(720.0)(jnp.ones(99), 0.7), ValueError, "`period` of `BOLD` should be a mul"),
    ],
)
def test_wrong_arguments_are_refused_by_name(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_observer_without_a_name_is_refused():
    with pytest.raises(TypeError, match="`save` should give names to observers"):
        nmm.simulate(network(), 1440.0, 1.0, save=BOLD(720.0))


def test_single_precision_signal_is_observed_in_either_precision():
    single = jnp.full((1440, 2), 0.3, jnp.float32)
    double = BOLD(720.0)(single, 1.0)
    bold = BOLD(720.0, haemodynamics=jax.tree.map(jnp.float32, BalloonWindkessel()))
    assert double.dtype == jnp.float64 and bold(single, 1.0).dtype == jnp.float32
    np.testing.assert_allclose(bold(single, 1.0), double, rtol=1e-4)
