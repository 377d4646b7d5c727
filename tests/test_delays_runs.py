"""Runs of delayed networks: noise, pieces, batches, gradients, a loop of one's own."""

import ast
import os
import pathlib
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from delayed import LENGTHS, TWO, WEIGHTS, network, start
from gradients import assert_gradients_match_differences
from tiny import Relax

import nmm
from nmm.integrate._delayed import Layout


def brain(G=0.9, speed=3.0, weights=WEIGHTS, lengths=LENGTHS, delays=None, **options):
    conn = nmm.Connectome(weights, lengths)
    options = {"speed_range": (2.0, 9.0)} | options if delays is None else options
    couplings = (
        nmm.coupling.Linear(G=G),
        nmm.coupling.Linear(G=0.1 * G, source="S_i", target="I_ext"),
    )
    speed = speed if delays is None else None
    return nmm.Network(nmm.WongWangExcInh(), conn, couplings, speed=speed, delays=delays, **options)


NOISE = (nmm.noise.White(S_e=0.01), nmm.noise.OrnsteinUhlenbeck(0.02, 20.0, onto="I_ext"))


def noisy(net, t1=150.0, y0=None):
    save = {"S_e": "S_e", "H_e": "H_e", "bold": nmm.observe.BOLD(15.0, "S_e")}
    run = {"noise": NOISE, "save": save, "y0": y0, "throw": False}
    return nmm.simulate(net, t1, 1.0, key=jr.key(0) if y0 is None else None, **run)


@eqx.filter_jit
def speeds(net, values):
    at = lambda net: net.speed  # noqa: E731
    return jax.vmap(lambda v: noisy(eqx.tree_at(at, net, v)))(values)


def test_a_batch_over_speed_is_each_alone_and_what_leaves_the_range_fails():
    values = jnp.array([2.0, 3.0, 9.0, 9.1])
    batch = speeds(brain(), values)
    failed = batch.result == nmm.RESULTS.delay_outside
    np.testing.assert_array_equal(failed, [False, False, False, True])
    assert np.all(np.isnan(batch["S_e"][3]))
    alone = noisy(brain(speed=9.0))
    bold = nmm.observe.BOLD(15.0, "S_e")(alone["S_e"], 1.0)
    np.testing.assert_allclose(alone["bold"], bold, rtol=1e-9, atol=1e-12)
    for name in ("S_e", "H_e", "bold"):
        # BOLD is a difference of numbers near 1.
        last_digits = 1e-16 if name == "bold" else 0
        np.testing.assert_allclose(batch[name][2], alone[name], rtol=1e-9, atol=last_digits)
    assert not np.allclose(batch["H_e"][1], alone["H_e"], rtol=1e-6)


def test_a_run_in_pieces_is_the_run_in_one():
    net = brain()
    whole = noisy(net)
    sols = [noisy(net, 52.0)]
    sols.append(noisy(net, 98.0, sols[0]))
    for name in ("S_e", "H_e", "bold"):
        times, joined = (
            np.concatenate([getattr(sol, kind)[name] for sol in sols]) for kind in ("times", "ys")
        )
        np.testing.assert_array_equal(times, whole.times[name])
        np.testing.assert_allclose(joined, whole[name], rtol=1e-12)


def test_gradients_in_gain_speed_weights_delays_and_lengths():
    def outputs(p):
        weights = WEIGHTS * p[2:11].reshape(3, 3)
        lengths = LENGTHS * p[11:20].reshape(3, 3)
        # One coupling by speed and tract lengths, one by delays, all of which move.
        conn = nmm.Connectome(weights, lengths)
        delays = LENGTHS / 4.0 * p[20:].reshape(3, 3)
        couplings = nmm.coupling.Kuramoto(p[0]), nmm.coupling.Linear(0.2, target="v")
        ways = {"speed": (p[1], None), "delays": (None, delays), "delay_range": (0.0, 50.0)}
        net = nmm.Network(Relax(rate=0.1), conn, couplings, **ways)
        sol = nmm.simulate(net, 60.0, 1.0, y0=start(jnp.array([0.2, -0.5, 0.8])), throw=False)
        return jnp.stack([sol["x"][19::20], sol["y"][19::20]])

    p = jnp.concatenate([jnp.array([0.9, 3.1]), jnp.linspace(0.9, 1.1, 27)])
    assert_gradients_match_differences(outputs, p, step=1e-6, rtol=1e-5)


SHARDED = """
import sys
sys.path.insert(0, "tests")
import jax
jax.config.update("jax_enable_x64", True)
import numpy as np
import test_delays_runs
assert jax.device_count() == 2
mesh = jax.sharding.Mesh(np.array(jax.devices()), "speed")
spread = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("speed"))
values, slopes = test_delays_runs.powers(jax.device_put(test_delays_runs.SPEEDS, spread))
assert len(values.sharding.device_set) == 2
print(np.array([values, slopes]).tolist())
"""
SPEEDS = jnp.linspace(2.0, 9.0, 4)


@jax.jit
def powers(values):
    """Of runs at these speeds, with their slopes."""
    conn = nmm.Connectome(WEIGHTS, LENGTHS)

    def power(value):
        net = nmm.Network(Relax(rate=0.3), conn, speed=3.0, speed_range=(2.0, 9.0))
        net = eqx.tree_at(lambda net: net.speed, net, value)
        x = nmm.simulate(net, 40.0, 1.0, y0=start(jnp.ones(3)), save="x", throw=False)["x"]
        return jnp.mean(x**2)

    return jax.vmap(lambda v: jax.jvp(power, (v,), (jnp.ones(()),)))(values)


@pytest.mark.slow
def test_a_batch_on_two_devices_is_that_on_one():
    run = subprocess.run(
        [sys.executable, "-c", SHARDED],
        cwd=pathlib.Path(__file__).parents[1],
        env=os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    found = np.array(ast.literal_eval(run.stdout))
    np.testing.assert_allclose(found, powers(SPEEDS), rtol=1e-12)


def test_features_of_any_shape_are_stored_and_found_again():
    x = jr.normal(jr.key(0), (3, 4))
    message = {"both": jnp.stack([jnp.sin(x), jnp.cos(x)]), "one": x, "of all": jnp.sin(x[0])}
    layout = Layout.of(jax.eval_shape(lambda: message), x.shape)
    stored = layout.pack(message)
    assert stored.shape == (4, 2 * 3 + 3 + 3)
    found = layout.unpack(stored)
    for name in ("both", "one"):
        np.testing.assert_array_equal(found[name], message[name])
    np.testing.assert_array_equal(found["of all"], jnp.broadcast_to(jnp.sin(x[0]), x.shape))


@pytest.mark.thorough
def test_features_may_be_stacked():
    class Stacked(nmm.coupling.AbstractCoupling):
        G: nmm.Parameter = nmm.param(1.0, unit="1", doc="coupling")

        def message(self, source):
            return {"both": jnp.stack([jnp.sin(source), jnp.cos(source)]), "one": source}

        def receive(self, target, sums, row_sums):
            sines, cosines = sums["both"]
            heard = sines * jnp.cos(target) - cosines * jnp.sin(target)
            return self.G * (heard + 0 * sums["one"])

    y0 = start(jr.normal(jr.key(0), (2, 2)))
    delays = jnp.array([[0.0, 1.3], [0.4, 0.0]])
    stacked, apart = (
        nmm.simulate(network(TWO + 0.5, coupling=one, delays=delays), 3.0, 0.5, y0=y0)["x"]
        for one in (Stacked(0.7), nmm.coupling.Kuramoto(0.7))
    )
    np.testing.assert_allclose(stacked, apart, rtol=1e-12)


def test_a_delayed_field_needs_what_arrives():
    net = network(jnp.array([[0.5, 1.0], [2.0, 0.0]]), delays=jnp.array([[0.0, 1.0], [1.0, 0.0]]))
    state = start([1.0, 3.0])
    with pytest.raises(ValueError, match="`delayed` should be given"):
        net.vector_field(0.0, state, None)
    slope = net.vector_field(0.0, state, None, delayed=jnp.array([10.0, 20.0]))
    np.testing.assert_allclose(slope.x, [10.5, 20.0])


@pytest.mark.parametrize("options", [{}, {"reading": "nearest", "hold": True}])
def test_steps_in_a_loop_of_ones_own_are_a_run(options):
    net = network(TWO - 0.5, delays=jnp.array([[0.0, 2.3], [0.4, 1.0]]), **options)
    y0 = start([1.0, -1.0])
    sol = nmm.simulate(net, 6.0, 0.5, y0=y0)

    def body(run, _):
        new = nmm.step(net, run, dt=0.5)
        return new, new.state.x

    first = nmm.RunState.start(net, y0, dt=0.5)
    x = jax.lax.scan(body, first, None, length=12)[1]
    np.testing.assert_allclose(x, sol["x"], rtol=1e-13)
    with pytest.raises(TypeError, match="`state` should be a `nmm.RunState`"):
        nmm.step(net, y0, dt=0.5)
    with pytest.raises(ValueError, match="`dt` should be that of the history"):
        nmm.step(net, first, dt=0.25)
