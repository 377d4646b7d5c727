"""Conduction delays: exact solutions and orders, the same whatever the plan or the step."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
from delayed import LENGTHS, TWO, WEIGHTS, State, network, start
from tiny import Relax

import fitting
import nmm

CONTROLLER = diffrax.PIDController(rtol=1e-7, atol=1e-9)


def test_the_method_of_steps_by_hand():
    # x' = -a x(t - tau) from x = 1: a polynomial of degree k + 1 in the k-th interval.
    a, tau, dt = 0.3, 2.0, 0.25
    net = network([[-a]], delays=jnp.array([[tau]]))
    sol = nmm.simulate(net, 3 * tau, dt, y0=start([1.0]))
    t = sol.ts
    exact = 1 - a * t + np.where(t > tau, a**2 * (t - tau) ** 2 / 2, 0)
    exact -= np.where(t > 2 * tau, a**3 * (t - 2 * tau) ** 3 / 6, 0)
    # Trapezoids are exact as long as the slope is linear.
    twice = t <= 2 * tau
    np.testing.assert_allclose(sol["x"][twice, 0], exact[twice], atol=1e-15)
    assert 1e-5 < np.max(np.abs(sol["x"][:, 0] - exact)) < a**3 * dt**2 * tau / 12 * 1.01


RATE = jnp.array([0.3, 0.4, 0.2, 0.1])
GAIN = np.array([-0.5, -0.6, 0.1, -0.3])
DELAY = np.array([1.5, 0.06, 0.0, 4.26])


def modes():
    """A root of lambda = -rate + gain exp(-lambda delay) for each of four regions."""
    special = pytest.importorskip("scipy.special")
    rate, delay = np.asarray(RATE), np.where(DELAY > 0, DELAY, 1.0)
    roots = special.lambertw(GAIN * delay * np.exp(rate * delay)) / delay - rate
    roots = np.where(DELAY > 0, roots, GAIN - rate)
    np.testing.assert_allclose(roots, -rate + GAIN * np.exp(-roots * DELAY), rtol=1e-12)
    assert np.sum(np.abs(roots.imag) > 0.1) == 2
    return roots


@pytest.mark.parametrize(
    "solver, reading, expected",
    [
        (nmm.Euler(), "linear", 1),
        (nmm.Heun(), "linear", 2),
        (nmm.Heun(), "nearest", None),
        (nmm.RungeKutta4(), "cubic", 4),
    ],
)
def test_decay_and_frequency_are_those_of_the_characteristic_roots(solver, reading, expected):
    # Delays of no, of less than one, and of several steps, and all a third or two beyond whole
    # ones, so that the error of reading shrinks evenly.
    roots = modes()
    net = network(np.diag(GAIN), RATE, delays=np.diag(DELAY), reading=reading)
    history = lambda t: State(x=jnp.exp(roots * t).real, y=0.0)  # noqa: E731
    errors = []
    for n in (50, 200):
        run = {"y0": start(np.ones(4)), "history": history, "solver": solver, "save": []}
        end = nmm.simulate(net, 9.0, 9.0 / n, **run).y1.x
        errors.append(np.abs(end - np.exp(roots * 9.0).real))
    if expected is None:  # The error of rounding shrinks as it happens.
        assert 1e-3 < np.max(errors[1]) < 2e-2
    else:
        orders = np.log2(errors[0] / errors[1]) / 2
        assert np.all(orders > expected - 0.5)
        np.testing.assert_allclose(np.median(orders), expected, atol=0.25)


def test_row_is_target_and_column_is_source_also_of_delays():
    delays = jnp.array([[0.0, 2.0], [0.5, 0.0]])
    run = {"y0": start([0.0, 1.0]), "history": start([0.0, 0.0]), "solver": nmm.Euler()}
    x = nmm.simulate(network(TWO, delays=delays, reading="nearest"), 4.0, 0.25, **run)["x"]
    np.testing.assert_array_equal(x[:, 1], 1.0)
    np.testing.assert_allclose(x[:, 0], np.maximum(np.arange(16) / 4 - 1.75, 0))


@pytest.mark.parametrize(
    "solver, expected",
    [(nmm.ItoHeun(), 2), (nmm.ExponentialEuler(), 1), (nmm.SemiImplicitEuler("x"), 1)],
)
@pytest.mark.thorough
def test_every_solver_keeps_its_order_with_delays(solver, expected):
    errors = []
    for n in (50, 200):
        net = network(np.diag(GAIN), RATE, delays=np.diag(DELAY))
        past = lambda t: State(x=jnp.exp(modes() * t).real, y=0.0)  # noqa: E731
        run = {"y0": start(np.ones(4)), "history": past, "solver": solver, "save": []}
        end = nmm.simulate(net, 9.0, 9.0 / n, **run).y1.x
        errors.append(np.abs(end - np.exp(modes() * 9.0).real))
    np.testing.assert_allclose(np.median(np.log2(errors[0] / errors[1]) / 2), expected, atol=0.25)


def test_two_oscillators_lock_at_the_frequency_that_their_delay_allows():
    # In phase Omega = omega - G sin(Omega tau), stable where cos(Omega tau) > 0; else antiphase.
    omega, G, dt = 0.15, 0.02, 0.5
    delays = np.array([3.0, 20.0, 40.0])
    weights = np.kron(np.eye(3), [[0.0, 1.0], [1.0, 0.0]])
    net = nmm.Network(
        nmm.Kuramoto(omega=omega),
        weights,
        nmm.coupling.Kuramoto(G),
        delays=np.kron(np.diag(delays), np.ones((2, 2))),
    )
    y0 = net.State(theta=jnp.array([0.0, 1.0] * 3))
    late = {"transient": 1100.0, "save_every": 50.0}
    theta = nmm.simulate(net, 1200.0, dt, y0=y0, **late)["theta"]
    found = (theta[-1] - theta[0])[::2] / 50.0
    apart = np.abs(np.angle(np.exp(1j * (theta[-1, ::2] - theta[-1, 1::2]))))
    np.testing.assert_allclose(apart, [0, np.pi, 0], atol=2e-3)
    sign = np.array([1.0, -1.0, 1.0])
    np.testing.assert_allclose(found, omega - sign * G * np.sin(found * delays), rtol=1e-3)
    assert np.all(sign * np.cos(found * delays) > 0)


def test_what_delays_do_to_a_steady_state_and_to_its_stability():
    # x' = -x + G x(t - tau) + I rests at I / (1 - G), whatever the delay; x' = -a x(t - tau)
    # decays for a tau < pi / 2 and grows beyond.
    G, I, a = 0.6, 0.4, 0.5
    rate = jnp.array([1.0, 1.0, 1.0, 0.0, 0.0])
    edge = np.pi / 2 / a
    delays = np.array([0.2, 1.0, 4.7, 0.95 * edge, 1.05 * edge])
    net = network(np.diag([G, G, G, -a, -a]), rate, delays=np.diag(delays))
    inputs = Relax.Inputs(u=jnp.array([I, I, I, 0.0, 0.0]))
    x = nmm.simulate(net, 120.0, 0.1, y0=start(jnp.ones(5)), inputs=inputs, save="x")["x"]
    np.testing.assert_allclose(x[-1, :3], I / (1 - G), rtol=1e-4)
    first, last = np.abs(x[200:600, 3:]).max(axis=0), np.abs(x[-400:, 3:]).max(axis=0)
    assert last[0] < 0.8 * first[0] and last[1] > 1.2 * first[1]


def test_twice_the_speed_is_half_the_lengths_bit_for_bit():
    lengths = jnp.asarray(np.random.default_rng(0).uniform(1, 90, (5, 5)))
    fast, near = (
        nmm.Network(Relax(), nmm.Connectome(jnp.ones((5, 5)), tracts), speed=speed).all_delays()
        for tracts, speed in ((lengths, 3.4), (lengths / 2, 1.7))
    )
    np.testing.assert_array_equal(fast, near)


def test_a_ramp_is_read_exactly_between_grid_points():
    # What is heard is a ramp, whose integral is t^2 / 2, exact for Heun's trapezoids.
    dt, tau = 0.25, 0.25 * (np.array([0, 1, 5]) + 0.5)
    weights, delays = np.zeros((2, 4, 4))
    weights[:3, 3], delays[:3, 3] = 1.0, tau
    net = network(weights, delays=delays)
    ramp = lambda t: t * jnp.array([0.0, 0.0, 0.0, 1.0])  # noqa: E731
    drive = Relax.Inputs(u=jnp.array([0.0, 0.0, 0.0, 1.0]))
    run = {"y0": start(jnp.zeros(4)), "history": ramp, "inputs": drive, "save": "x"}
    sol = nmm.simulate(net, 12 * dt, dt, **run)
    np.testing.assert_allclose(sol["x"][:, 3], sol.ts, rtol=1e-13)
    exact = ((np.asarray(sol.ts)[:, None] - tau) ** 2 - tau**2) / 2
    np.testing.assert_allclose(sol["x"][:, :3], exact, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", ["float64", pytest.param("float32", marks=pytest.mark.thorough)])
def test_a_delayed_run_with_a_stimulus(dtype):
    # x_1 = sin t by its stimulus; x_0' = x_1(t - 1.3).
    def drive(t):
        return Relax.Inputs(u=jnp.array([0.0, 1.0], dtype) * jnp.cos(t))

    tau, zero = 1.3, jnp.zeros(2, dtype)
    conn, node = TWO.astype(dtype), Relax(rate=jnp.zeros((), dtype))
    coupling = nmm.coupling.Linear(*jnp.array([1.0, 0.0], dtype))
    net = nmm.Network(node, conn, coupling, delays=(tau * conn), stimulus=drive)
    past = lambda t: jnp.array([0.0, 1.0], dtype) * jnp.sin(t)  # noqa: E731
    sol = nmm.simulate(net, 5.0, 0.05, y0=State(zero, zero), history=past, save="x")
    assert sol["x"].dtype == dtype
    np.testing.assert_allclose(sol["x"][:, 0], np.cos(tau) - np.cos(sol.ts - tau), atol=2e-3)


@pytest.mark.thorough
def test_delays_noise_and_observers_where_steps_adapt():
    # By chunks, with noise of 1e-6 the run without it; and more noise moves it.
    net = network(TWO - 0.5, 0.3, delays=jnp.array([[0.0, 2.3], [0.4, 1.0]]))
    run = {"y0": start([1.0, -1.0]), "key": jr.key(0), "stepsize_controller": CONTROLLER}
    save = {"x": "x", "mean": nmm.observe.TemporalAverage(1.0, "x")}

    def end(sigma):
        noise = nmm.noise.White(x=sigma)
        controller = diffrax.ConstantStepSize() if sigma else CONTROLLER
        how = run | {"stepsize_controller": controller, "noise": noise}
        return nmm.simulate(net, 6.0, 0.1, save=save, **how)

    fixed = nmm.simulate(net, 6.0, 0.1, y0=run["y0"], save=save)
    quiet, loud = end(1e-6), end(0.3)
    np.testing.assert_allclose(quiet["x"], fixed["x"], atol=1e-3)
    path = np.concatenate([[[1.0, -1.0]], fixed["x"]])
    mean = ((path[1:] + path[:-1]) / 2).reshape(6, 10, 2).mean(axis=1)
    np.testing.assert_allclose(quiet["mean"], mean, atol=2e-3)
    assert np.max(np.abs(loud["x"] - fixed["x"])) > 0.05


@pytest.mark.thorough
def test_a_speed_is_fitted_and_swept_by_its_path():
    conn = nmm.Connectome(TWO, jnp.full((2, 2), 10.0))
    net = nmm.Network(Relax(rate=0.2), conn, speed=6.0, speed_range=(2.0, 9.0))
    wave = lambda t: jnp.stack([0 * t, jnp.cos(t)])  # noqa: E731

    def heard(net):
        return nmm.simulate(net, 4.0, 0.25, y0=start([0.0, 1.0]), history=wave, save="x")["x"][:, 0]

    truth = heard(net)

    def loss(net):
        return jnp.mean((heard(net) - truth) ** 2)

    slow = eqx.tree_at(lambda n: n.speed, net, jnp.asarray(np.float64(5.0)))
    free = {"speed": fitting.Interval(2.0, 9.0)}
    result = fitting.fit(loss, slow, free=free, optimizer=optax.adam(0.1), steps=60)
    np.testing.assert_allclose(result.model.speed, 6.0, rtol=1e-2)
    table = fitting.sweep(loss, slow, over={"speed": jnp.array([3.0, 6.0, 8.9])})
    assert np.argmin(table.values["loss"]) == 1 and table.values["loss"][1] < 1e-20


# The same whatever the plan.


def by_hand(weights, delays, x, dt, steps):
    """Heun steps of x' = -x/2 + 0.8 sum W sin(x_j(t - tau) - x_i), read linearly, edge by edge."""
    n = len(x)
    sines, cosines = ([f(x)] * 100 for f in (np.sin, np.cos))
    out = []

    def slope(x, fraction):
        sums = np.zeros((2, n))
        for k, f in enumerate((np.sin, np.cos)):
            path = np.array([*(sines, cosines)[k], f(x)])
            times = np.append(np.arange(len(path) - 1.0), len(path) - 2 + max(fraction, 1e-12))
            for i, j in np.ndindex(n, n):
                d = delays[i, j] / dt
                grid = len(path) - 2 + np.array([0.0, 1.0]) - d
                if d >= 1:  # Linear between grid points, and between these at the stages.
                    ends = np.interp(grid, times[:-1], path[:-1, j])
                    value = ends[0] + fraction * (ends[1] - ends[0])
                else:
                    before = path[-3, j] + fraction * (path[-2, j] - path[-3, j])
                    value = (1 - d) * path[-1, j] + d * before
                sums[k, i] += weights[i, j] * value
        return -0.5 * x + 0.8 * (sums[0] * np.cos(x) - sums[1] * np.sin(x))

    for _ in range(steps):
        k1 = dt * slope(x, 0.0)
        k2 = dt * slope(x + k1, 1.0)
        x = x + 0.5 * (k1 + k2)
        sines.append(np.sin(x))
        cosines.append(np.cos(x))
        out.append(x)
    return np.array(out)


@pytest.mark.parametrize("shortest, chunks", [(3.4, (9, 3)), (0.0, (4, 1))])
def test_nested_chunks_are_a_loop_by_hand(shortest, chunks):
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(5, 5)) * (rng.uniform(size=(5, 5)) < 0.8)
    delays = rng.choice([shortest, 3.4, 4.75, 9.6, 11.0, 14.2], size=(5, 5)) * 0.25
    delays[0, 1], weights[0, 1] = 0.25 * shortest, 1.0
    net = network(weights, 0.5, nmm.coupling.Kuramoto(0.8), delays=delays)
    y0 = rng.normal(size=(2, 5))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nmm._delays._plan._choose", lambda *args: chunks)
        nmm._delays.plan_delays.cache_clear()
        sol = nmm.simulate(net, 40 * 0.25, 0.25, y0=start(y0), save="x")
    nmm._delays.plan_delays.cache_clear()
    for i in range(2):
        expected = by_hand(weights, delays, y0[i], 0.25, 40)
        np.testing.assert_allclose(sol["x"][:, i], expected, rtol=1e-10, atol=1e-12)


def test_delays_of_zero_are_no_delays():
    weights, y0 = jr.normal(jr.key(0), (4, 4)), start(jr.normal(jr.key(1), (4,)))
    alone = nmm.simulate(network(weights, 0.7), 5.0, 0.1, y0=y0)["x"]
    none = network(weights, 0.7, delays=jnp.zeros((4, 4)))
    assert not none.delayed
    np.testing.assert_array_equal(nmm.simulate(none, 5.0, 0.1, y0=y0)["x"], alone)
    could = network(weights, 0.7, delays=jnp.zeros((4, 4)), delay_range=(0.0, 1.0))
    assert could.delayed
    np.testing.assert_allclose(nmm.simulate(could, 5.0, 0.1, y0=y0)["x"], alone, rtol=1e-12)


def test_a_history_may_be_given_in_many_forms():
    net = network(TWO, delays=jnp.full((2, 2), 1.3))
    ts = 0.1 * jnp.arange(-14, 1)
    wave = lambda t: jnp.stack([0 * t, jnp.cos(t)], axis=-1)  # noqa: E731
    y0 = start([0.0, 1.0])

    def stored(history):
        return nmm.RunState.start(net, y0, dt=0.1, history=history).history[0][..., 0]

    first, *others = map(stored, (wave, lambda t: State(wave(t), 0.0), wave(ts)))
    for other in others:
        np.testing.assert_allclose(other, first, rtol=1e-14)
    np.testing.assert_allclose(first[1, -13:], np.cos(ts[-13:]), rtol=1e-14)
    x = nmm.simulate(net, 1.0, 0.1, y0=y0, history=wave, save="x")["x"]
    exact = np.sin(0.1 * np.arange(1, 11) - 1.3) + np.sin(1.3)
    np.testing.assert_allclose(x[:, 0], exact, atol=2e-3)
    held = jnp.broadcast_to(y0.x[:, None], first.shape)
    for history in (None, y0, y0.x):
        np.testing.assert_array_equal(stored(history), held)


def test_steps_that_adapt_within_chunks():
    # The history is smooth, and read by cubics.
    roots = modes()
    net = network(np.diag(GAIN), RATE, delays=np.diag(DELAY), reading="cubic")

    def run(net, **options):
        past = lambda t: State(x=jnp.exp(roots * t).real, y=0.0)  # noqa: E731
        y0 = start(np.ones(4))
        return nmm.simulate(net, 3.0, 0.05, y0=y0, history=past, save="x", **options)

    sol = run(net, stepsize_controller=CONTROLLER)
    exact = np.exp(np.multiply.outer(np.asarray(sol.ts), roots)).real
    np.testing.assert_allclose(sol["x"], exact, atol=2e-6)
    fixed = run(net, solver=nmm.RungeKutta4())
    np.testing.assert_allclose(sol["x"], fixed["x"], atol=2e-6)


@pytest.mark.thorough
def test_gradients_through_steps_that_adapt_are_those_on_the_grid():
    # Chunks of two steps of the grid, and one step that remains.
    def power(speed, adaptive):
        conn = nmm.Connectome(WEIGHTS, LENGTHS)
        net = nmm.Network(Relax(rate=0.3), conn, speed=3.0, speed_range=(2.0, 9.0))
        net = eqx.tree_at(lambda net: net.speed, net, speed)
        how = {"stepsize_controller": CONTROLLER, "solver": diffrax.Bosh3()} if adaptive else {}
        run = {"y0": start(jnp.ones(3)), "save": "x", "throw": False}
        return jnp.mean(nmm.simulate(net, 20.5, 0.5, **run, **how)["x"] ** 2)

    found, expected = (jax.value_and_grad(power)(3.1, adaptive) for adaptive in (True, False))
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    with pytest.raises(ValueError, match="`y0` should be a State"):
        net = network(TWO, delays=jnp.ones((2, 2)))
        sol = nmm.simulate(net, 1.0, 0.1)
        nmm.simulate(net, 1.0, 0.1, y0=sol, stepsize_controller=CONTROLLER)


def test_delays_within_a_region():
    # Each population hears itself and the other after delays of its own, on a network of one.
    node = nmm.WilsonCowan(weights=jnp.zeros((2, 2)), k_E=0.9, k_I=0.9)
    ways = [("rE", "rE_inp", 12.0), ("rI", "rE_inp", -4.0), ("rE", "rI_inp", 13.0)]
    couplings = tuple(nmm.coupling.Linear(g, source=s, target=t) for s, t, g in ways)
    conn = jnp.ones((1, 1))
    delays = tuple(jnp.array([[d]]) for d in (2.0, 1.5, 0.0))
    net = nmm.Network(node, conn, couplings, delays=delays)
    assert [one is None for one in net.spans] == [False, False, True]
    sol = nmm.simulate(net, 3.0, 0.5, y0=net.State(jnp.full(1, 0.3), jnp.full(1, 0.1)))
    # Until the shortest delay has passed, what is heard with delay is constant.
    inputs = lambda rE: node.Inputs(rE_inp=12.0 * 0.3 - 4.0 * 0.1, rI_inp=13.0 * rE)  # noqa: E731
    state = net.State(jnp.full(1, 0.3), jnp.full(1, 0.1))
    for n in range(3):
        k1 = node.vector_field(0.0, state, inputs(state.rE))
        mid = jax.tree.map(lambda x, k: x + 0.5 * k, state, k1)
        k2 = node.vector_field(0.0, mid, inputs(mid.rE))
        state = jax.tree.map(lambda x, a, b: x + 0.25 * (a + b), state, k1, k2)
        np.testing.assert_allclose(sol["rE"][n], state.rE, rtol=1e-12)
