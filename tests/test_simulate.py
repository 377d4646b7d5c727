"""Runs: what is sampled when, what goes in and out, and that transformations change nothing."""

import random
import subprocess
import sys

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from gradients import assert_gradients_match_differences
from tiny import Relax, Riccati, clock

import nmm
from nmm.integrate._plan import Plan, make_plan
from nmm.noise import OrnsteinUhlenbeck, White
from nmm.observe import BOLD, TemporalAverage

State, Inputs = Relax.State, Relax.Inputs
WEIGHTS = jnp.array([[0.0, 0.5, 0.1], [0.3, 0.0, 0.2], [0.1, 0.4, 0.0]])
NOISE = (White(S_e=0.01), OrnsteinUhlenbeck(0.02, 20.0, onto="I_ext"))


def brain(G=1.0, J_i=1.0):
    return nmm.Network(nmm.WongWangExcInh(J_i=J_i), WEIGHTS, nmm.coupling.Linear(G=G))


def assert_same(a, b, **tolerance):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, **tolerance)


# When samples are taken.


def test_a_sample_is_the_state_at_the_end_of_its_step():
    sol = nmm.simulate(t1=2.0, dt=0.125, **clock())
    np.testing.assert_array_equal(sol.ts, np.arange(1, 17) / 8)
    np.testing.assert_array_equal(sol["x"], sol.ts)
    np.testing.assert_array_equal(sol.y1.x, 2.0)


def test_save_every_and_transient_choose_samples():
    options = {"t1": 10.0, "dt": 0.125, "save_every": 0.75}
    sol = nmm.simulate(**options, **clock())
    np.testing.assert_array_equal(sol.ts, np.arange(0.75, 10.0, 0.75))
    np.testing.assert_array_equal(sol["x"], sol.ts)
    # A sample at the very end of the transient is dropped; those after it stay where they are.
    for transient in (3.0, 3.625):
        late = nmm.simulate(transient=transient, **options, **clock())
        np.testing.assert_array_equal(late.ts, sol.ts[4:])
        np.testing.assert_array_equal(late["x"], late.ts)


def test_windows_of_averages_end_with_their_stamp():
    save = {"mean": TemporalAverage(0.75, "x"), "now": "x", "fast": TemporalAverage(0.125, "x")}
    sol = nmm.simulate(t1=10.0, dt=0.125, save=save, save_every=0.5, transient=2.0, **clock())
    ends = np.arange(0.75, 10.0, 0.75)[2:]
    np.testing.assert_array_equal(sol.times["mean"], ends)
    # Over the values after the steps in (end - period, end].
    np.testing.assert_allclose(sol["mean"], ends - 0.75 / 2 + 0.125 / 2, rtol=1e-14)
    np.testing.assert_array_equal(sol["now"], sol.times["now"])
    np.testing.assert_array_equal(sol["fast"], sol.times["fast"])
    np.testing.assert_array_equal(sol.times["fast"], np.arange(2.125, 10.01, 0.125))


def test_observers_see_the_same_while_running_and_afterwards():
    average, bold = TemporalAverage(35.0), BOLD(30.0)
    save = {"S_e": "S_e", "average": average, "bold": bold}
    sol = nmm.simulate(brain(), 2100.0, 1.0, save=save, noise=NOISE, key=jr.key(0))
    np.testing.assert_allclose(sol["average"], average(sol["S_e"], 1.0), rtol=1e-13)
    np.testing.assert_allclose(sol["bold"], bold(sol["S_e"], 1.0), rtol=1e-10, atol=1e-16)


def test_plans_cover_every_step_and_sample_once():
    rng = random.Random(0)
    for _ in range(60):
        steps, start = rng.randint(1, 6000), rng.choice([0, rng.randint(1, 10**7)])
        periods = tuple(rng.randint(1, 700) for _ in range(rng.randint(0, 3)))
        own = tuple(rng.choice([n for n in range(1, 9) if p % n == 0]) for p in periods)
        plan = make_plan(steps, start, periods, own)
        first = start - plan.offset
        assert 0 <= plan.offset < plan.block and first % plan.block == 0
        assert (plan.blocks - 1) * plan.block < plan.offset + steps <= plan.blocks * plan.block
        assert plan.masked or (plan.offset == 0 and plan.blocks * plan.block == steps)
        for period in periods:
            transient = rng.choice([0, rng.randint(0, steps)])
            rows, ends = plan.samples(period, transient)
            expected = [
                n for n in range(start + transient + 1, start + steps + 1) if n % period == 0
            ]
            assert [first + end for end in ends] == expected
            assert [(row + 1) * plan.unit(period) for row in rows] == ends
            assert len(rows) < 2 or len(set(np.diff(rows))) == 1


def test_compilation_is_shared_by_pieces_of_the_same_length():
    assert make_plan(600, 600, (20,), (4,)) == make_plan(600, 6000, (20,), (4,))
    assert isinstance(make_plan(600, 600, (20,), (4,)), Plan)


# What is saved.


def test_forms_of_save():
    model, inputs = Relax(), Inputs(u=0.3, v=1.0)
    options = {"inputs": inputs, "y0": State(1.0, 2.0)}
    whole = nmm.simulate(model, 1.0, 0.1, **options)
    assert isinstance(whole.ys, State) and whole["y"].shape == (10,)
    names = nmm.simulate(model, 1.0, 0.1, save=["double", "y"], **options)
    assert set(names.ys) == {"double", "y"}
    np.testing.assert_array_equal(names["double"], 2 * whole["x"])
    assert set(nmm.simulate(model, 1.0, 0.1, save="y", **options).ys) == {"y"}
    save = {
        "a": "net",
        "b": lambda t, state, inputs: jnp.stack([t, state.x * inputs.v]),
        "c": TemporalAverage(0.5),
        "d": TemporalAverage(0.5, lambda t, state, inputs: state.y + inputs.u),
    }
    sol = nmm.simulate(model, 1.0, 0.1, save=save, **options)
    np.testing.assert_allclose(sol["a"], 0.3 - whole["x"], rtol=1e-14)
    np.testing.assert_allclose(sol["b"], np.stack([whole.ts, whole["x"]], 1), rtol=1e-14)
    np.testing.assert_allclose(sol["c"], whole["x"].reshape(2, 5).mean(1), rtol=1e-14)
    np.testing.assert_allclose(sol["d"], whole["y"].reshape(2, 5).mean(1) + 0.3, rtol=1e-14)
    assert dict(sol.units)["a"] == "1/ms" and dict(whole.units)["y"] == "mV"


def test_observables_of_a_network_see_all_that_arrives():
    net = brain()
    sol = nmm.simulate(net, 50.0, 1.0, save=["S_e", "S_i", "H_e"], y0=net.initial_state())
    for S_e, S_i, H_e in zip(sol["S_e"], sol["S_i"], sol["H_e"], strict=True):
        state = net.State(S_e, S_i)
        np.testing.assert_allclose(H_e, net.node.H_e(state, net.receive(0.0, state, None)))


# What arrives.


def test_inputs_as_constants_rows_and_functions():
    model, rows = Relax(rate=0.0), jnp.arange(1.0, 9.0)
    run = {"t1": 2.0, "dt": 0.25, "save": ["x", "net"]}
    constant = nmm.simulate(model, inputs=Inputs(u=jnp.array([1.0, -1.0])), shape=2, **run)
    np.testing.assert_allclose(constant["x"][-1], [2.0, -2.0])
    held = nmm.simulate(model, inputs=rows, **run)
    np.testing.assert_allclose(held["x"], jnp.cumsum(rows) / 4)
    # What is seen at the end of a step is still the row of that step.
    np.testing.assert_allclose(held["net"], rows)
    regional = nmm.simulate(model, inputs=rows[:, None] * jnp.array([1.0, 2.0]), shape=2, **run)
    np.testing.assert_allclose(regional["x"], held["x"][:, None] * np.array([1, 2]))


def test_functions_of_time_are_evaluated_at_every_stage():
    model, inputs = Relax(rate=0.0), lambda t: Inputs(u=4 * t**3)
    for solver, at in (
        (nmm.Euler(), lambda t: t**3),
        (nmm.Heun(), lambda t: (t**3 + (t + 0.5) ** 3) / 2),
        (nmm.RungeKutta4(), lambda t: (t**3 + 4 * (t + 0.25) ** 3 + (t + 0.5) ** 3) / 6),
    ):
        sol = nmm.simulate(model, 2.0, 0.5, inputs=inputs, solver=solver)
        np.testing.assert_allclose(sol["x"], np.cumsum(4 * at(sol.ts - 0.5) * 0.5), rtol=1e-14)


def test_rows_and_functions_in_a_run_that_goes_on():
    model, rows = Relax(), jr.normal(jr.key(1), (37, 2))
    whole = nmm.simulate(model, 3.7, 0.1, inputs=rows, shape=2)
    first = nmm.simulate(model, 1.3, 0.1, inputs=rows[:13], shape=2)
    second = nmm.simulate(model, 2.4, 0.1, inputs=rows[13:], y0=first)
    np.testing.assert_array_equal(second.ys.x, whole.ys.x[13:])
    wave = lambda t: Inputs(u=jnp.sin(t))  # noqa: E731
    whole = nmm.simulate(model, 3.7, 0.1, inputs=wave)
    second = nmm.simulate(
        model, 2.4, 0.1, inputs=wave, y0=nmm.simulate(model, 1.3, 0.1, inputs=wave)
    )
    np.testing.assert_allclose(second.ys.x, whole.ys.x[13:], rtol=1e-13)


# Where a run starts.


def test_forms_of_a_start():
    run = {"t1": 0.1, "dt": 0.1, "solver": nmm.Euler()}
    for y0, shape, expected in (
        (None, (), ()),
        (None, 3, (3,)),
        (None, (2, 3), (2, 3)),
        (State(x=1.0, y=2), (), ()),
        (State(x=jnp.array([1, 2, 3]), y=0.5), (), (3,)),
        (State(x=jnp.ones(3), y=jnp.ones(())), (2, 3), (2, 3)),
        (State(x=np.ones((2, 1), np.float32), y=np.ones(3)), (), (2, 3)),
    ):
        y1 = nmm.simulate(Relax(), y0=y0, shape=shape, **run).y1
        assert y1.x.shape == y1.y.shape == expected
        assert y1.x.dtype == y1.y.dtype == jnp.float64
        np.testing.assert_allclose(
            y1.y, np.broadcast_to(0.9 * (0.0 if y0 is None else y0.y), expected)
        )


def test_the_dtype_is_the_result_type_of_all_that_takes_part():
    single = Relax(rate=jnp.float32(1.0))
    run = {"t1": 0.5, "dt": 0.1, "key": jr.key(0)}
    for options, dtype in (
        ({}, jnp.float32),
        ({"y0": State(1.0, np.float64(2.0))}, jnp.float32),
        ({"inputs": lambda t: Inputs(u=jnp.sin(t))}, jnp.float32),
        ({"noise": White(x=jnp.float32(0.1))}, jnp.float32),
        ({"noise": White(x=0.1)}, jnp.float64),
        ({"inputs": jnp.ones(5)}, jnp.float64),
        ({"inputs": jnp.ones(5, jnp.float32)}, jnp.float32),
        ({"save": {"b": BOLD(0.5)}}, jnp.float64),
    ):
        sol = nmm.simulate(single, **{**run, **options})
        assert sol.y1.x.dtype == sol.y1.y.dtype == dtype, options
        assert all(x.dtype == dtype for x in jax.tree.leaves(sol.ys))


# Going on.

# Each length of a piece is compiled on its own, which is what takes long here.
PIECES = [
    (1234, 769),
    (1, 1, 2001),
    pytest.param((17, 997, 989), marks=pytest.mark.thorough),
    pytest.param((997, 1, 1005), marks=pytest.mark.thorough),
]


@pytest.fixture(scope="module")
def in_pieces():
    """Runs of 2003 steps in pieces; the periods have no common multiple within a block."""
    save = {
        "S_i": "S_i",
        "rate": "H_e",
        "mean": TemporalAverage(89.0, "H_e"),
        "bold": BOLD(83.0),
        "even": TemporalAverage(8.0),
    }
    options = {"dt": 1.0, "noise": NOISE, "save": save, "save_every": 97.0, "model": brain()}

    def run(pieces):
        sols = [nmm.simulate(t1=pieces[0], key=jr.key(0), **options)]
        for steps in pieces[1:]:
            sols.append(nmm.simulate(t1=steps, y0=sols[-1], **options))
        return sols

    return run, run((2003,))[0]


@pytest.mark.filterwarnings("ignore:`save` gets nothing")
@pytest.mark.parametrize("pieces", PIECES)
def test_a_run_in_pieces_is_the_run_in_one(in_pieces, pieces):
    run, whole = in_pieces
    sols = run(pieces)
    for name in whole.ys:
        joined, times = (
            np.concatenate([getattr(sol, kind)[name] for sol in sols]) for kind in ("ys", "times")
        )
        np.testing.assert_array_equal(times, whole.times[name])
        # The sum of a window is taken in another order where a block ends within it.
        tolerance = 1e-14 if name in ("mean", "even", "bold") else 0
        # BOLD is a difference of numbers near 1, whose last digits are those of the processor.
        last_digits = 1e-16 if name == "bold" else 0
        np.testing.assert_allclose(joined, whole[name], rtol=tolerance, atol=last_digits)
    assert_same(sols[-1].y1, whole.y1, rtol=0, atol=0)
    assert sols[-1].ending.step == 2003 and sols[-1].ending.time == 2003.0


def test_an_end_restarts_noise_observers_and_time(in_pieces):
    _, whole = in_pieces
    options = {"dt": 1.0, "noise": NOISE, "save": {"bold": BOLD(83.0)}, "key": jr.key(0)}
    anew = nmm.simulate(brain(), 166.0, y0=whole.y1, **options)
    by_hand = nmm.simulate(brain(), 166.0, y0=brain().State(whole.y1.S_e, whole.y1.S_i), **options)
    np.testing.assert_array_equal(anew.times["bold"], [83.0, 166.0])
    assert_same(anew.ys, by_hand.ys, rtol=0)
    assert not np.allclose(anew["bold"][-1], whole["bold"][1])


def test_a_transient_in_a_run_that_goes_on_counts_from_where_it_goes_on():
    first = nmm.simulate(t1=1.0, dt=0.125, **clock())
    sol = nmm.simulate(t1=2.0, dt=0.125, y0=first, transient=0.5, save_every=0.375, **clock())
    np.testing.assert_array_equal(sol.ts, [1.875, 2.25, 2.625, 3.0])
    np.testing.assert_array_equal(sol["x"], sol.ts)


@pytest.mark.thorough
def test_adaptive_runs_go_on():
    controller = diffrax.PIDController(rtol=1e-9, atol=1e-9)
    options = {
        "stepsize_controller": controller,
        "save_every": 0.5,
        "inputs": lambda t: Inputs(u=jnp.sin(t)),
        "save": {"x": "x", "bold": BOLD(1.0)},
    }
    whole = nmm.simulate(Relax(), 4.0, **options)
    first = nmm.simulate(Relax(), 2.0, **options)
    second = nmm.simulate(Relax(), 2.0, y0=first, **options)
    for name in ("x", "bold"):
        half = len(whole[name]) // 2
        np.testing.assert_allclose(second.times[name], whole.times[name][half:])
        np.testing.assert_allclose(second[name], whole[name][half:], rtol=1e-6)


# Long runs, small numbers, bounds.


def test_float32_stays_accurate_over_twenty_minutes_of_small_steps():
    # A float32 clock has come to steps of 0 or 0.125 ms by then. The state is rounded too, which is
    # the error that is left; it grows with tau. From 1e30 the last values are normal numbers.
    tau, minute = 10_000.0, 60_000.0
    model = Relax(rate=jnp.float32(1 / tau))
    sol = nmm.simulate(model, 20 * minute, 0.1, y0=State(1e30, 0.0), save_every=minute)
    assert sol["x"].dtype == jnp.float32 and sol["x"].shape == (20,)
    np.testing.assert_allclose(sol["x"], 1e30 * np.exp(-sol.ts / tau), rtol=2e-3)


def test_bounded_states_stay_within_with_finite_gradients():
    def run(sigma, I, **options):
        model = nmm.WongWangExcInh()
        return nmm.simulate(
            model,
            200.0,
            1.0,
            noise=White(S_e=sigma, S_i=sigma),
            inputs=model.Inputs(I_ext=I),
            key=jr.key(2),
            shape=4,
            **options,
        )

    S_e = run(0.1, 0.3)["S_e"]
    assert np.min(S_e) == 0.0 and np.max(S_e) == 1.0
    assert np.min(run(0.1, 0.3, bounded=False)["S_e"]) < 0
    gradients = jax.jit(jax.grad(lambda p: jnp.mean(run(p[0], p[1])["S_e"])))(jnp.array([0.1, 0.3]))
    assert np.all(np.isfinite(gradients)) and np.all(gradients != 0)


# Transformations.


def noisy(G, key, y0=None):
    save = {"S_e": "S_e", "bold": BOLD(30.0)}
    return nmm.simulate(
        brain(G), 300.0, 1.0, key=key, noise=NOISE, save=save, y0=y0, save_every=15.0
    )


def test_jit_and_vmap_change_nothing():
    keys, G = jr.split(jr.key(3), 3), jnp.array([0.5, 1.0, 1.5])
    tolerance = {"rtol": 1e-9, "atol": 1e-14}
    batch = jax.jit(jax.vmap(noisy))(G, keys)
    for i in range(3):
        assert_same(
            jax.tree.map(lambda x, i=i: x[i], batch.ys), noisy(G[i], keys[i]).ys, **tolerance
        )
    compiled = eqx.filter_jit(noisy)(G[0], keys[0])
    assert_same(compiled.ys, noisy(G[0], keys[0]).ys, **tolerance)
    # A Solution that comes out of a compiled function, or of a batch, can be continued.
    onward = jax.vmap(lambda g, sol: noisy(g, None, sol).y1)(G, batch)
    alone = noisy(G[1], None, noisy(G[1], keys[1])).y1
    assert_same(jax.tree.map(lambda x: x[1], onward), alone, **tolerance)


def slow_average(G, key):
    net = nmm.Network(Relax(), WEIGHTS, nmm.coupling.Linear(G=G))
    save = {"mean": TemporalAverage(30.0)}
    return nmm.simulate(net, 300.0, 1.0, key=key, noise=White(x=0.1), save=save)["mean"]


SHARDED = """
import jax
jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_enable_x64", True)
import jax.numpy as jnp, numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from test_simulate import slow_average

keys, G = jax.random.split(jax.random.key(3), 4), jnp.linspace(0.5, 1.5, 4)
loss = lambda g, key: jnp.sum(slow_average(g, key))
batch = jax.jit(jax.vmap(jax.value_and_grad(loss)))
plain = batch(G, keys)
mesh = jax.make_mesh((2,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
across = NamedSharding(mesh, PartitionSpec("batch"))
sharded = batch(jax.device_put(G, across), jax.device_put(keys, across))
assert len(sharded[0].sharding.device_set) == 2, sharded[0].sharding
for a, b in zip(plain, sharded):
    np.testing.assert_allclose(a, b, rtol=1e-9)
"""


def test_sharding_over_two_devices_changes_nothing():
    result = subprocess.run(
        [sys.executable, "-c", SHARDED], capture_output=True, text=True, cwd="tests", check=False
    )
    assert result.returncode == 0, result.stderr


def test_gradients_through_a_noisy_run_with_bold():
    rows = 0.1 * jr.normal(jr.key(4), (120,))

    def outputs(p):
        node = nmm.WongWangExcInh(J_i=p[1:4])
        net = nmm.Network(node, WEIGHTS, nmm.coupling.Linear(G=p[0]))
        sol = nmm.simulate(
            net,
            120.0,
            1.0,
            key=jr.key(5),
            noise=(White(S_e=p[4]), OrnsteinUhlenbeck(p[5], 20.0, onto="I_ext")),
            y0=net.State(S_e=p[6:9], S_i=p[9:12]),
            inputs=rows.at[::12].add(p[12:22]),
            save={"S_e": "S_e", "bold": BOLD(40.0)},
            save_every=40.0,
        )
        return jnp.concatenate([sol["S_e"].ravel(), 100 * sol["bold"].ravel()])

    start = jnp.array([1.0, 1.0, 1.1, 0.9, 0.005, 0.01, *[0.2, 0.15, 0.3] * 2, *[0.02] * 10])
    assert_gradients_match_differences(outputs, start)


def test_gradients_through_several_blocks_some_of_them_masked():
    def end(p):
        model = Relax(rate=p[0])
        first = nmm.simulate(model, 7.01, 0.01, y0=State(p[1], 0.0), save=[])
        return nmm.simulate(model, 30.0, 0.01, y0=first, inputs=Inputs(u=p[2]), save_every=7.0)["x"]

    assert_gradients_match_differences(end, jnp.array([0.05, 2.0, 0.1]))


@pytest.mark.thorough
def test_gradients_where_steps_adapt():
    def end(p, adjoint=None):
        controller = diffrax.ConstantStepSize()
        options = {"stepsize_controller": controller, "adjoint": adjoint, "save_every": 0.5}
        return nmm.simulate(Riccati(scale=p[0]), 1.0, 0.05, y0=Riccati.State(p[1]), **options)["x"]

    p = jnp.array([0.7, 1.3])
    ys, pull = jax.vjp(end, p)
    t = np.array([0.5, 1.0])
    np.testing.assert_allclose(ys, p[1] / (1 + p[0] * p[1] * t), rtol=1e-6)
    expected = np.sum(1 / (1 + p[0] * p[1] * t) ** 2)
    np.testing.assert_allclose(pull(jnp.ones(2))[0][1], expected, rtol=1e-6)
    forward = jax.jvp(lambda p: end(p, diffrax.ForwardMode()), (p,), (jnp.array([0.0, 1.0]),))[1]
    np.testing.assert_allclose(np.sum(forward), expected, rtol=1e-6)


# A single step.


@pytest.mark.parametrize("solver", [None, nmm.RungeKutta4(), nmm.ExponentialEuler()])
def test_a_step_is_a_run_of_one_step(solver):
    net = brain()
    start = net.State(S_e=jnp.array([0.1, 0.5, 0.99]), S_i=jnp.array([0.1, 0.2, 0.9]))
    for inputs in (None, net.Inputs(I_ext=1.0), lambda t: net.Inputs(I_ext=0.1 + t)):
        run = nmm.simulate(net, 2.0, 2.0, y0=start, inputs=inputs, solver=solver, save=[]).y1
        new = nmm.step(net, start, inputs, dt=2.0, solver=solver)
        assert_same(new, run, rtol=1e-14)


def test_steps_in_a_loop_of_ones_own_are_a_run():
    inputs = lambda t: Inputs(u=jnp.sin(t))  # noqa: E731
    run = nmm.simulate(Relax(), 2.0, 0.1, y0=State(1.0, 1.0), inputs=inputs)

    def body(state, n):
        new = nmm.step(Relax(), state, inputs, dt=0.1, t=n * 0.1)
        return new, new

    start = State(jnp.ones(()), jnp.ones(()))
    assert_same(jax.lax.scan(body, start, jnp.arange(20))[1], run.ys, rtol=1e-13)


def test_noise_of_a_step_has_its_variance_and_bounds_hold():
    start, key = State(x=jnp.zeros(20_000), y=0.0), jr.key(6)
    new = nmm.step(Relax(), start, dt=0.25, noise=White(x=0.6), key=key, solver=nmm.Euler())
    assert abs(np.var(new.x) / (0.36 * 0.25) - 1) < 4.5 * np.sqrt(2 / 20_000)
    assert not np.any(new.y)
    net = brain()
    options = {"dt": 10.0, "solver": nmm.Euler()}
    drive = net.Inputs(I_ext=1e3)
    assert np.min(nmm.step(net, net.initial_state(), drive, bounded=False, **options).S_e) > 1
    assert np.all(nmm.step(net, net.initial_state(), drive, **options).S_e == 1)
