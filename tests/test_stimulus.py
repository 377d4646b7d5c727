"""Stimuli against their formulas, on exact clocks, in runs and in gradients."""

import fractions

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from gradients import assert_gradients_match_differences
from tiny import Relax

import fitting
import nmm
from nmm.stimulus import (
    Alpha,
    Alternating,
    Constant,
    Data,
    Gaussian,
    Noise,
    Pulse,
    PulseTrain,
    Ramp,
    Sequence,
    Sinusoid,
    Step,
)
from nmm.stimulus._clock import whole_and_rest

CONNECTOME = nmm.Connectome(1 - np.eye(3), labels=["left", "right", "deep"])


@eqx.filter_jit
def _at(stimulus, times):
    return jax.vmap(stimulus)(times)


def at(stimulus, times):
    return np.asarray(_at(stimulus, jnp.asarray(times)))


def on_grid(stimulus, n, dt, dtype=jnp.float32):
    """What a run with the step `dt` sees at the start of the steps `n`."""
    stimulus = jax.tree.map(lambda x: x.astype(dtype), stimulus)
    return np.asarray(_on_grid(stimulus, jnp.asarray(n, jnp.int32), dt, dtype))


@eqx.filter_jit
def _on_grid(stimulus, n, dt, dtype):
    return jax.vmap(lambda n: stimulus(*whole_and_rest(n, dt, dtype)))(n)


# Values.

t = np.linspace(-5, 30, 141)
s = np.maximum(t - 2, 0)
e = np.exp

PATTERNS = {
    "constant": (Constant(0.5), np.full_like(t, 0.5)),
    "step": (Step(0.5, 2.0), 0.5 * (t >= 2)),
    "pulse": (Pulse(0.5, 2.0, 3.0), 0.5 * ((t >= 2) & (t < 5))),
    "train": (PulseTrain(0.5, 2.0, 3.0, 8.0), 0.5 * (t >= 2) * ((t - 2) % 8 < 3)),
    "two pulses": (
        PulseTrain(0.5, 2.0, 3.0, 8.0, count=2),
        0.5 * (t >= 2) * ((t - 2) % 8 < 3) * (t < 18),
    ),
    "alternating": (
        Alternating(0.5, 2.0, 8.0, 0.25),
        (t >= 2) * np.where((t - 2) % 8 < 2, 0.5, -0.5),
    ),
    "ramp": (Ramp(0.5, 2.0, 10.0), 0.5 * np.clip((t - 2) / 10, 0, 1)),
    "gaussian": (Gaussian(0.5, 2.0, 3.0), 0.5 * e(-((t - 2) ** 2) / 18)),
    "alpha": (Alpha(3.0, 2.0, 1.0, 4.0), 3 * (e(-s / 4) - e(-s)) / 3),
    "alpha function": (Alpha(3.0, 2.0, 4.0, 4.0), 3 * s * e(-s / 4) / 16),
    "sinusoid": (Sinusoid(0.5, 0.1, 0.3, 2.0), 0.5 * np.sin(0.2 * np.pi * (t - 2) + 0.3)),
    "of no frequency": (Sinusoid(0.5, 0.0, 0.3), np.full_like(t, 0.5 * np.sin(0.3))),
    "chirp": (
        Sinusoid.sweeping(0.1, 0.3, 10.0, onset=2.0),
        np.sin(2 * np.pi * (0.1 * (t - 2) + 0.01 * (t - 2) ** 2)),
    ),
    "sum": (Step(0.5, 2.0) + 1.0 - Ramp(1.0), 0.5 * (t >= 2) + 1 - np.clip(t / 100, 0, 1)),
    "product": (-2 * Step(0.5, 2.0) * Gaussian(), -1.0 * (t >= 2) * e(-((t - 100) ** 2) / 200)),
    "window": (Constant(2.0).window(2.0, 3.0), 2.0 * ((t >= 2) & (t < 5))),
    "sequence": (
        Sequence([Constant(3.0), Ramp(1.0, 0.0, 10.0), Constant(-1.0)], [2.0, 10.0, 5.0], 1.0),
        np.select([t < 1, t < 3, t < 13, t < 18], [0, 3, (t - 3) / 10, -1], 0),
    ),
}


@pytest.mark.parametrize("name", PATTERNS)
def test_pattern_is_its_formula(name):
    pattern, expected = PATTERNS[name]
    np.testing.assert_allclose(at(pattern, t), expected, rtol=1e-12, atol=1e-13)


def test_smooth_edges_keep_the_integral_and_both_ends():
    times = np.arange(-2000, 12_000) / 100 + 0.005
    for pattern, integral in (
        (Pulse(2.0, 10.0, 30.0, edge=8.0), 60.0),
        (PulseTrain(2.0, 0.0, 12.0, 30.0, edge=8.0, count=3), 72.0),
    ):
        values = at(pattern, times)
        np.testing.assert_allclose(values.sum() * 0.01, integral, rtol=1e-6)
        assert values.max() == 2.0 and values.min() == 0.0
        assert np.abs(np.diff(values)).max() < 2 * 1.6 / 8 * 0.01
    np.testing.assert_allclose(at(Step(2.0, 10.0, 8.0), [5.9, 10.0, 14.1]), [0, 1, 2], atol=1e-12)


def test_data_between_and_beyond_its_samples():
    x = np.array([1.0, 2.0, 4.0, 8.0])
    place = np.array([-0.5, 0.0, 0.5, 2.75, 3.0, 3.5, 4.5])

    def values(interpolation, outside):
        data = Data(x, 2.0, 10.0, interpolation=interpolation, outside=outside)
        return at(data, 10 + 2 * place)

    np.testing.assert_allclose(values("hold", "zero"), [0, 1, 1, 4, 8, 8, 0])
    np.testing.assert_allclose(values("linear", "zero"), [0, 1, 1.5, 7, 8, 0, 0])
    np.testing.assert_allclose(values("linear", "hold"), [1, 1, 1.5, 7, 8, 8, 8])
    np.testing.assert_allclose(values("linear", "repeat"), [4.5, 1, 1.5, 7, 8, 4.5, 1.5])
    # A cubic polynomial goes through four samples; Catmull-Rom's is exact for a parabola.
    data = Data(np.arange(6.0) ** 2, interpolation="cubic")
    np.testing.assert_allclose(at(data, [1.0, 1.3, 2.9]), [1.0, 1.69, 8.41], rtol=1e-12)
    irregular = Data.resampled([0.0, 1.0, 4.0], [0.0, 1.0, 4.0], 0.5, outside="hold")
    np.testing.assert_allclose(at(irregular, [0.7, 2.9, 9.0]), [0.7, 2.9, 4.0])
    columns = Data(np.stack([x, -x], axis=1))
    np.testing.assert_allclose(at(columns, [0.5]), [[1.5, -1.5]])


def test_frozen_noise_is_a_function_of_its_key_and_time():
    noise = Noise(jr.key(0), 0.5, 2.0, regions=2)
    *knots, between = at(noise, np.append(2.0 * np.arange(2000), 3.0))
    knots = np.stack(knots)
    assert np.abs(knots.std() / 0.5 - 1) < 4.5 / np.sqrt(2 * knots.size)
    assert abs(np.corrcoef(knots.T)[0, 1]) < 4.5 / np.sqrt(len(knots))
    np.testing.assert_allclose(between, (knots[1] + knots[2]) / 2)
    held = Noise(jr.key(0), 0.5, 2.0, regions=2, hold=True)
    np.testing.assert_allclose(at(held, [2.0, 3.9]), knots[[1, 1]], rtol=1e-12)
    assert at(Noise(jr.key(1)), [0.0]).shape == (1,)


# Time.


@pytest.mark.parametrize("dt", [0.1, 0.05, 1 / 3, 0.0123])
def test_clock_is_exact_in_float32(dt):
    n = np.array([0, 1, 7, 1000, 6_000_001, 7_654_321])
    whole, rest = jax.vmap(lambda n: whole_and_rest(n, dt, jnp.float32))(jnp.asarray(n, jnp.int32))
    exact = [fractions.Fraction(dt) * int(k) for k in n]
    error = np.asarray(whole, float) + np.asarray(rest, float) - np.asarray(exact, float)
    assert np.abs(error).max() < 2e-7
    assert whole.dtype == rest.dtype == jnp.float32 and np.all(np.asarray(rest) < 1.0)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
@pytest.mark.parametrize("dt", [0.1, 0.25])
def test_pulse_lasts_its_steps_and_starts_on_time_after_ten_minutes(dtype, dt):
    for onset in (0.3, 7.7, 130.9, 12_345.6, 600_000.1):
        pulse = Pulse(2.0, onset, 1.5)
        first = int(np.ceil(round(onset / dt, 6)))
        found = on_grid(pulse, first + np.arange(-40, 40), dt, dtype)
        np.testing.assert_array_equal(np.flatnonzero(found), 40 + np.arange(round(1.5 / dt)))


def test_train_of_pulses_misses_none_in_ten_minutes_of_float32():
    steps = 100_000  # of 6 million: some of the start, and the last of them
    train, period = PulseTrain(1.0, 0.3, 0.5, 7.7), 77
    for n in (np.arange(steps), 6_000_000 - np.arange(steps)[::-1]):
        expected = (n >= 3) & ((n - 3) % period < 5)
        np.testing.assert_array_equal(on_grid(train, n, 0.1), expected)


def test_sinusoid_keeps_its_phase_in_ten_minutes_of_float32():
    n = 6_000_000 + np.arange(2000)
    exact = np.sin(2 * np.pi * 0.01 * n * 0.1)
    # float32(0.01) alone is off by 1e-3 rad then.
    assert np.abs(on_grid(Sinusoid(), n, 0.1) - exact).max() < 2e-3


# In runs.


def test_stimulus_of_a_run_and_of_a_network_act_at_every_stage():
    ramp = Ramp(1.0, 0.0, 2.0)
    options = {"t1": 2.0, "dt": 0.5}
    expected = np.array([0.0625, 0.25, 0.5625, 1.0])  # Heun's method is exact for it.
    alone = nmm.simulate(Relax(rate=0.0), **options, inputs=ramp, save="x")
    np.testing.assert_allclose(alone["x"], expected, rtol=1e-12)
    net = nmm.Network(Relax(rate=0.0), jnp.zeros((3, 3)), stimulus=ramp)
    both = nmm.simulate(net, **options, inputs=(ramp, Constant(1.0).onto("v")))
    np.testing.assert_allclose(both["x"], np.tile(2 * expected[:, None], 3), rtol=1e-12)
    np.testing.assert_allclose(both["y"][:, 0], both.ts, rtol=1e-12)
    start = net.initial_state()
    once = nmm.step(net, start, dt=1.0, t=0.5).x
    slopes = [net.vector_field(t, start).x for t in (0.5, 1.5)]
    np.testing.assert_allclose(once, sum(slopes) / 2)


def test_place_is_a_slot_and_regions_by_label():
    pulse = Pulse(2.0, 0.0, 1.0)
    both = pulse.at(CONNECTOME, ["deep", "left"]).onto("v")
    one = pulse.onto("v").at(CONNECTOME, {"right": 0.5})
    net = nmm.Network(Relax(rate=0.0), CONNECTOME, stimulus=(both, one))
    end = nmm.simulate(net, 2.0, 0.5, solver=nmm.Euler(), save=[]).y1
    np.testing.assert_allclose(end.y, [2.0, 1.0, 2.0])
    np.testing.assert_array_equal(end.x, 0.0)
    np.testing.assert_array_equal(pulse.at(CONNECTOME, 1).weights, [0, 1, 0])


def test_stimulus_goes_on_where_a_run_goes_on():
    options = {"inputs": PulseTrain(1.0, 0.4, 0.3, 0.9), "dt": 0.1, "solver": nmm.Euler()}
    whole = nmm.simulate(Relax(), 4.0, **options)
    first = nmm.simulate(Relax(), 1.5, **options)
    second = nmm.simulate(Relax(), 2.5, y0=first, **options)
    np.testing.assert_array_equal(np.concatenate([first.ys.x, second.ys.x]), whole.ys.x)


def test_stimulus_where_steps_adapt():
    sol = nmm.simulate(
        Relax(rate=0.0),
        100.0,
        save_every=100.0,
        inputs=Gaussian(1.0, 50.0, 5.0),
        stepsize_controller=diffrax.PIDController(1e-8, 1e-8, dtmax=5.0),
    )
    np.testing.assert_allclose(sol["x"], 5 * np.sqrt(2 * np.pi), rtol=1e-6)


PID = diffrax.PIDController(1e-8, 1e-8)


def test_steps_that_adapt_end_at_each_pulse():
    inputs = PulseTrain(1.0, 500.3, 5.1, 77.7)
    options = {"inputs": inputs, "save": [], "stepsize_controller": PID}
    sol = nmm.simulate(Relax(rate=0.0), 2000.0, **options)
    np.testing.assert_allclose(sol.y1.x, 5.1 * 20)
    assert sol.stats["num_rejected_steps"] == 0


@pytest.mark.thorough
def test_gradients_in_the_times_of_jumps_are_exact_where_steps_adapt():
    rate, t1 = 0.01, 300.0

    def end(x):
        stimulus = PulseTrain(x[0], x[1], x[2], x[3], count=3) + 0.0
        options = {"inputs": stimulus, "save": [], "stepsize_controller": PID}
        sol = nmm.simulate(Relax(rate), t1, **options)
        return sol.y1.x, sol.stats["num_rejected_steps"]

    def formula(x):
        after = t1 - (x[1] + x[3] * jnp.arange(3))
        return x[0] / rate * jnp.sum(jnp.exp(-rate * (after - x[2])) - jnp.exp(-rate * after))

    # Also one that starts at the start and ends at the end.
    xs = jnp.array([[1.0, 50.3, 5.1, 77.7], [0.5, 0.0, 100.0, 100.0]])
    (values, rejected), slopes = jax.jit(jax.vmap(jax.value_and_grad(end, has_aux=True)))(xs)
    expected, exact = jax.vmap(jax.value_and_grad(formula))(xs)
    np.testing.assert_allclose(values, expected, rtol=1e-8)
    np.testing.assert_allclose(slopes[0], exact[0], rtol=1e-7)
    assert rejected[0] == 0


INTEGRALS = {
    "pulse": (Pulse(1.0, 1000.0, 5.0), 5.0),
    "train": (PulseTrain(1.0, 500.3, 5.1, 77.7, edge=2.0), 5.1 * 20),
    "alternating": (Alternating(1.0, 1000.0, 100.0, 0.2), -600.0),
    "sequence": (Sequence([Constant(1.0), Pulse(2.0, 1.0, 2.0)], [5.0, 10.0], 1000.0), 9.0),
    "place": ((3 * Pulse(1.0, 1000.0, 5.0) + Step(1.0, 1500.0)).onto("u"), 515.0),
    "window": (Constant(2.0).window(1000.0, 5.0), 10.0),
    "gaussian": (Gaussian(1.0, 1000.0, 1.0), np.sqrt(2 * np.pi)),
    "alpha": (Alpha(1.0, 1000.0, 0.1, 0.5), 1.0),
    "ramp": (Ramp(1.0, 1000.0, 5.0), 997.5),
    "data": (Data([0.0, 1.0, 0.0], 3.0, 1000.0), 3.0),
    "held data": (Data([1.0, 1.0, 2.0], 3.0, 1000.0, interpolation="hold"), 12.0),
    "until the end": (Pulse(1.0, 1000.0, 1000.0), 1000.0),
}


@pytest.mark.thorough
@pytest.mark.parametrize("name", INTEGRALS)
def test_steps_that_adapt_pass_over_nothing(name):
    stimulus, integral = INTEGRALS[name]
    options = {"inputs": stimulus, "save": [], "stepsize_controller": PID}
    sol = nmm.simulate(Relax(0.0), 2000.0, **options)
    np.testing.assert_allclose(sol.y1.x, integral, rtol=1e-7)
    if name not in ("train", "gaussian", "alpha"):  # Those are curved.
        assert sol.stats["num_rejected_steps"] == 0
    first = nmm.simulate(Relax(0.0), 1002.0, **options)
    second = nmm.simulate(Relax(0.0), 998.0, y0=first, **options)
    np.testing.assert_allclose(second.y1.x, integral, rtol=1e-7)


@pytest.mark.thorough
def test_steps_that_adapt_end_at_pulses_in_float32_with_delays_and_by_clips_of_their_own():
    train = PulseTrain(1.0, 20.0, 5.0, 30.0)
    options = {"save": [], "stepsize_controller": PID}
    connectome = nmm.Connectome([[0.0, 1.0], [0.5, 0.0]], [[0.0, 20.0], [20.0, 0.0]])
    net = nmm.Network(Relax(0.0), connectome, nmm.coupling.Linear(G=0.0), speed=1.0, stimulus=train)
    sol = nmm.simulate(net, 200.0, 1.0, **options)
    np.testing.assert_allclose(sol.y1.x, 30.0, rtol=1e-8)
    assert sol.stats["num_rejected_steps"] == 0
    single = jax.tree.map(lambda x: x.astype(jnp.float32), (Relax(0.0), train))
    y1 = nmm.simulate(single[0], 200.0, inputs=single[1], **options).y1
    np.testing.assert_allclose(y1.x, 30.0, rtol=1e-5)
    clip = diffrax.ClipStepSizeController(PID, jump_ts=[1000.0, 1005.0])
    own = nmm.simulate(
        Relax(0.0), 2000.0, inputs=Pulse(1.0, 1000.0, 5.0), save=[], stepsize_controller=clip
    )
    np.testing.assert_allclose(own.y1.x, 5.0)


# Derivatives.


def test_gradients_in_the_parameters_of_stimuli():
    times = jnp.arange(0.0, 8.0, 0.25)

    def values(x):
        stimulus = (
            Pulse(x[0], x[1], x[2], edge=1.0)
            + Sinusoid(x[3], x[4], x[5], chirp=x[6])
            + Alpha(1.0, 0.0, x[7], x[8])
            + Data(x[9:], 2.0, interpolation="cubic")
        )
        return jax.vmap(stimulus)(times)

    x = jnp.array([0.5, 1.1, 3.1, 0.3, 0.2, 0.1, 0.02, 1.5, 1.5, 0.2, 0.5, 0.1, 0.8, 0.4])
    assert_gradients_match_differences(values, x, rtol=1e-5)


def test_gradients_at_jumps_are_exact_in_the_amplitude_and_nothing_in_the_time():
    @jax.jit
    def integral(pattern):
        return jnp.sum(jax.vmap(pattern)(jnp.arange(0.0, 20.0)))

    for pattern in (Step(2.0, 3.0), Pulse(2.0, 3.0, 4.0), PulseTrain(2.0, 3.0, 4.0, 6.0)):
        gradient = jax.jit(jax.grad(integral))(pattern)
        np.testing.assert_allclose(gradient.amplitude, integral(pattern) / 2)
        assert gradient.onset == 0 and gradient.edge == 0


def test_stimulus_is_fitted_and_swept_by_its_path():
    def final(net):
        return nmm.simulate(net, 2.0, 0.5, save=[]).y1.x[0]

    net = nmm.Network(Relax(rate=0.0), jnp.zeros((3, 3)), stimulus=Pulse(1.0, 0.0, 1.0))
    parameters = fitting.free_parameters(net, ["stimulus.amplitude", "stimulus.duration"])
    assert parameters.units == {"stimulus.amplitude": "of the slot", "stimulus.duration": "ms"}
    assert isinstance(parameters.constraints["stimulus.duration"], fitting.Positive)
    table = fitting.sweep(final, net, over={"stimulus.amplitude": jnp.array([1.0, 3.0])})
    # Heun's last stage sees the end of the pulse.
    np.testing.assert_allclose(table.values["loss"], [0.75, 2.25])


def test_stimulus_draws_itself():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    figure = (Sinusoid().window(50.0, 100.0)).plot(200.0)
    assert figure.axes[0].lines[0].get_xydata().shape == (2001, 2)
    assert figure.axes[0].get_xlabel() == "Time (ms)"
    assert len(Pulse().at(CONNECTOME, "left").plot(200.0).axes[0].lines) == 3
    matplotlib.pyplot.close("all")


# Errors.

ERRORS = {
    "no duration": (lambda: Pulse(duration=0.0), "`duration` of `Pulse` should be positive"),
    "no rise time": (lambda: Alpha(rise=-1.0), "`rise` of `Alpha` should be positive"),
    "negative edge": (lambda: Step(edge=-1.0), "`edge` of `Step` should not be negative"),
    "long pulses": (lambda: PulseTrain(duration=9.0, period=5.0), "at least `duration \\+ edge`"),
    "no pulses": (lambda: PulseTrain(count=0), "`count` should be at least 1"),
    "text": (lambda: Pulse("loud"), "`amplitude` of `Pulse` should be a number"),
    "NaN": (lambda: Sinusoid(np.nan), "`amplitude` of `Sinusoid` should be finite"),
    "NaN in data": (lambda: Data([1.0, np.nan]), "`values` of `Data` should be finite"),
    "one sample": (lambda: Data([1.0]), "two samples or more"),
    "no interpolation": (lambda: Data([1.0, 2.0], interpolation="x"), "interpolation"),
    "irregular": (lambda: Data.resampled([0, 2, 1], [1, 2, 3], 1.0), "`times` should increase"),
    "durations": (lambda: Sequence([Step()], [1.0, 2.0]), "one number for each of the 1 parts"),
    "no patterns": (lambda: Sequence([jnp.sin], [1.0]), "parts"),
    "interval of 0": (
        lambda: Data.resampled([0.0, 1.0], [1.0, 2.0], interval=0),
        "`interval` of `Data` should be positive, got 0",
    ),
    "no key": (lambda: Noise(0), "`key` of `Noise` should be a random key.* got 0"),
    "duty": (lambda: Alternating(duty=2.0), "`duty` of `Alternating` should be from 0 to 1, got 2"),
    "no regions": (lambda: Pulse().at(CONNECTOME, []), "`regions` should name one region or more"),
    "region": (lambda: Pulse().at(CONNECTOME, "lefd"), "no region 'lefd'. Did you mean 'left'"),
    "sum of places": (lambda: Pulse() + Pulse().onto("u"), "as a tuple, `stimulus="),
    "slot": (
        lambda: nmm.simulate(Relax(), 1.0, 0.5, inputs=Pulse().onto("w")),
        r"input slot of `Relax`, one of \['u', 'v'\], got 'w'",
    ),
    "other regions": (
        lambda: nmm.simulate(Relax(), 1.0, 0.5, inputs=Pulse(jnp.ones(2)), shape=3),
        r"`stimulus` should be scalar .* \(3,\); got the shape \(2,\)",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_what_does_not_fit_is_refused_by_name(name):
    call, message = ERRORS[name]
    with pytest.raises((TypeError, ValueError), match=message):
        call()
