"""Harmonic oscillators: one step, their laws, and the networks that learn tasks."""

import math
import pathlib
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
from helpers import eigenvalues, field, golden, solve

import nmm

sys.path.append(str(pathlib.Path(__file__).parents[1] / "examples"))
import horn_task as example

reference = golden("horn")
solver = nmm.SemiImplicitEuler("y")


def ours(kind):
    arrays, entry = reference[kind]
    model = nmm.HORN(**dict(zip(entry["parameters"], arrays["params"].T, strict=True)))
    return arrays, model, model.Inputs(u=jnp.asarray(arrays["inputs"][..., 0]))


def test_right_hand_side_equals_that_of_brainmass():
    arrays, model, inputs = ours("steps")
    derivative = field(model, model.State(*jnp.asarray(arrays["state"].T)), inputs)
    assert np.allclose(np.stack([derivative.x, derivative.y]).T, arrays["dstate"], rtol=1e-12)


@pytest.mark.parametrize("dt", (1.0, 0.5))
def test_one_semi_implicit_step_equals_that_of_brainmass(dt):
    arrays, model, inputs = ours("steps")
    state = model.State(*jnp.asarray(arrays["state"].T))
    new = nmm.step(model, state, inputs, dt=dt, solver=solver)
    assert np.allclose(np.stack([new.x, new.y]).T, arrays[f"next_dt{dt:g}"], rtol=1e-13)


def test_trajectories_equal_the_exact_one_and_that_of_brainmass():
    arrays, model, inputs = ours("trajectory")
    y0 = model.State(*jnp.asarray(arrays["x0"]))
    exact = solve(model, y0, jnp.asarray(arrays["t"]), inputs, tol=1e-11)
    assert np.allclose(np.stack([exact.x, exact.y]).T, arrays["y"], atol=1e-8)
    options = {"inputs": inputs, "solver": solver, "y0": y0, "save_every": 2.0}
    stepped = nmm.simulate(model, 400.0, 0.5, **options).ys
    expected = arrays["y_semi_implicit_euler"][1:]
    assert np.allclose(np.stack([stepped.x, stepped.y]).T, expected, rtol=1e-12, atol=1e-13)


def test_semi_implicit_euler_is_of_order_one_and_keeps_the_energy_of_an_oscillation():
    model = nmm.HORN(alpha=0.0, gamma=0.0)
    start = model.State(x=jnp.array(1.0), y=jnp.array(0.0))
    exact = math.cos(float(model.omega) * 100)
    errors = []
    for dt in (0.125, 0.0625):
        sol = nmm.simulate(model, 1000.0, dt, y0=start, solver=solver)
        errors.append(abs(float(sol["x"][round(100 / dt) - 1]) - exact))
        # The amplitude never drifts; Euler's method would make it 5 and 23 times as large.
        assert abs(np.max(np.abs(sol["x"][-round(100 / dt) :])) - 1) < 0.01
    assert abs(np.log2(errors[0] / errors[1]) - 1) < 0.1


def test_semi_implicit_euler_refuses_unknown_variables():
    with pytest.raises(ValueError, match=r"some of \['x', 'y'\], got \['z'\]"):
        nmm.simulate(nmm.HORN(), 2.0, 1.0, solver=nmm.SemiImplicitEuler("z"))
    with pytest.raises(ValueError, match=r"got \[\]"):
        nmm.simulate(nmm.HORN(), 2.0, 1.0, solver=nmm.SemiImplicitEuler())


def multipliers(h):
    """Of the free map, by how much and through which angle a step of `h` ms turns the state."""

    def step(x):
        new = nmm.step(nmm.HORN(), nmm.HORN.State(*x), dt=h, solver=solver)
        return jnp.stack([new.x, new.y])

    return np.linalg.eigvals(np.asarray(jax.jacfwd(step)(jnp.zeros(2))))


def test_free_steps_decay_and_turn_as_known():
    for h, modulus in ((1.0, 0.989949), (8.0, 0.9165), (8.7, 1.392)):
        assert abs(np.max(np.abs(multipliers(h))) - modulus) < 6e-5
    for h, period, decay in ((1.0, 27.828, 0.01010), (0.1, 28.0133, 0.010010)):
        value = multipliers(h)[0]
        assert abs(abs(value) - math.sqrt(1 - 2 * 0.01 * h)) < 1e-12
        assert abs(2 * math.pi * h / abs(np.angle(value)) - period) < 6e-4
        assert abs(-math.log(abs(value)) / h - decay) < 6e-6
    # h^2 omega^2 < 4 (1 - gamma h)
    assert np.max(np.abs(multipliers(8.5242))) < 1 < np.max(np.abs(multipliers(8.5244)))


def test_free_oscillation_in_continuous_time_has_the_known_period():
    model = nmm.HORN()
    value = eigenvalues(model, model.initial_state())[0]
    assert abs(2 * math.pi / abs(value.imag) - 28.0278) < 5e-5 and abs(value.real + 0.01) < 1e-12


def test_constant_drive_displaces_by_its_tanh():
    model = nmm.HORN()
    at = model.State(x=jnp.array([0.367086, 0.604978, 0.794286, 0.794358]), y=jnp.zeros(4))
    force = field(model, at, model.Inputs(u=jnp.array([0.5, 1.0, 5.0, 100.0]))).y
    assert np.allclose(force / model.omega**2, 0, atol=6e-7)


def test_strong_feedback_makes_the_origin_unstable():
    critical = nmm.HORN().omega ** 2 / nmm.HORN().alpha
    assert abs(critical - 1.258878) < 5e-7
    for v, stable in ((critical - 1e-3, True), (critical + 1e-3, False)):
        model = nmm.HORN(v=v)
        assert (eigenvalues(model, model.initial_state())[0].real < 0) == stable


def plain(layer, sequence, delays=0, start=(0.0, 0.0)):
    """What a layer computes, written out in NumPy."""
    n, weights = layer.network.node, np.asarray(layer.network.connectome.weights)
    x, y = (np.broadcast_to(value, len(weights)) for value in start)
    delays = np.broadcast_to(delays, weights.shape)
    rows, velocities = [], [y] * (1 + delays.max())  # before the start, nothing changed
    for sample in np.asarray(sequence):
        heard = np.array(
            [[velocities[-1 - d][j] for j, d in enumerate(row)] for row in delays.astype(int)]
        )
        u = layer.encoder.weight @ sample + layer.encoder.bias
        u = u + np.sum(weights * heard, axis=1) / math.sqrt(len(x))
        y = velocities[-1]
        y = y + n.alpha * np.tanh(u + n.v * x) - n.omega**2 * x - 2 * n.gamma * y
        x = x + y
        rows.append(x)
        velocities.append(y)
    return np.array(rows)


def mixed(n):
    """Oscillators of many frequencies and dampings, as in the paper."""
    factor = jr.uniform(jr.key(3), (2, n), minval=0.5, maxval=2.0)
    usual = nmm.HORN()
    return nmm.HORN(omega=usual.omega * factor[0], gamma=usual.gamma * factor[1], v=0.3)


def test_network_is_the_recursion_of_the_paper():
    net = nmm.HORNNetwork(3, [5, 4], 2, nodes=[mixed(5), nmm.HORN()], key=jr.key(0))
    sequence = jr.normal(jr.key(1), (7, 3))
    first = plain(net.layers[0], sequence)
    second = plain(net.layers[1], first)
    for found, expected in zip(net.activations(sequence), (first, second), strict=True):
        assert np.allclose(found, expected, rtol=1e-12, atol=1e-15)
    expected = net.readout.weight @ second[-1] + net.readout.bias
    assert net(sequence).shape == (2,) and np.allclose(net(sequence), expected, rtol=1e-12)
    start = jr.normal(jr.key(2), (2, 5))
    found = net.layers[0].run(sequence, nmm.HORN.State(*start))
    assert np.allclose(found.x, plain(net.layers[0], sequence, start=start), rtol=1e-12)
    assert np.allclose(found.y[0], found.x[0] - start[0])


def test_delayed_layer_is_the_recursion_with_a_delay_for_each_pair():
    delays = np.random.default_rng(0).integers(0, 6, (5, 5))
    net = nmm.HORNNetwork(2, [5], 1, nodes=[mixed(5)], delays=[delays * 1.0], key=jr.key(0))
    sequence = jr.normal(jr.key(1), (20, 2))
    (found,) = net.activations(sequence)
    assert np.allclose(found, plain(net.layers[0], sequence, delays), rtol=1e-10, atol=1e-14)
    assert not np.allclose(found, plain(net.layers[0], sequence), rtol=1e-3)
    gradient = eqx.filter_grad(lambda net: net(sequence)[0])(net)
    weights = gradient.layers[0].network.connectome.weights
    assert np.all(np.isfinite(weights)) and np.all(weights != 0)


def test_weights_start_within_one_over_the_root_of_the_fan_in():
    layer = nmm.HORNLayer(16, 400, key=jr.key(0))
    for weights, fan_in in ((layer.network.connectome.weights, 400), (layer.encoder.weight, 16)):
        assert 0.99 < np.max(np.abs(weights)) * math.sqrt(fan_in) <= 1.0
    assert np.allclose(layer.network.coupling.G, 1 / 20)


def test_wrong_sizes_are_refused_by_name():
    with pytest.raises(ValueError, match="`nodes` should hold one for each of the 2 layers, got 1"):
        nmm.HORNNetwork(1, [4, 4], 2, nodes=[nmm.HORN()], key=jr.key(0))
    with pytest.raises(ValueError, match="`delays` should hold one for each of the 1 layers"):
        nmm.HORNNetwork(1, [4], 2, delays=[], key=jr.key(0))
    with pytest.raises(ValueError, match="`node` should be given for the 4 regions"):
        nmm.HORNLayer(1, 4, node=mixed(3), key=jr.key(0))


def test_gradient_through_the_simulation_equals_finite_differences_and_learns():
    net = nmm.HORNNetwork(1, [6], 1, nodes=[mixed(6)], key=jr.key(0))
    sequences = jr.normal(jr.key(1), (8, 12, 1))
    targets = sequences[:, 3]  # to recall the fourth sample
    optimizer = optax.adam(0.03)

    @eqx.filter_jit
    def loss(net):
        return jnp.mean((jax.vmap(net)(sequences) - targets) ** 2)

    @eqx.filter_jit
    def step(net, state):
        value, gradient = eqx.filter_value_and_grad(loss)(net)
        updates, state = optimizer.update(gradient, state)
        return eqx.apply_updates(net, updates), state, value, gradient

    state = optimizer.init(eqx.filter(net, eqx.is_inexact_array))
    trained, state, before, gradient = step(net, state)
    where = lambda net: net.layers[0].network.connectome.weights  # noqa: E731
    for index in ((0, 1), (4, 2)):
        shifted = [
            loss(eqx.tree_at(where, net, where(net).at[index].add(d))) for d in (1e-5, -1e-5)
        ]
        slope = (shifted[0] - shifted[1]) / 2e-5
        assert np.allclose(where(gradient)[index], slope, rtol=1e-5) and slope != 0
    for _ in range(60):
        trained, state, after, _ = step(trained, state)
    assert after < 0.5 * before


def test_example_digits_are_reproducible_and_of_all_kinds():
    first, second, other = (example.digits(jr.key(seed), 300) for seed in (0, 0, 1))
    assert eqx.tree_equal(first, second) and not eqx.tree_equal(first, other)
    sequences, labels = first
    assert sequences.shape == (300, 144, 1) and np.all(np.isfinite(sequences))
    assert np.min(np.bincount(labels, minlength=10)) > 15
    # The digits can be told apart: most are nearest to the mean of their own kind.
    means = np.stack([sequences[labels == digit].mean(axis=0) for digit in range(10)])
    distance = np.sum((np.asarray(other[0])[:, None] - means) ** 2, axis=(2, 3))
    assert np.mean(np.argmin(distance, axis=1) == other[1]) > 0.7


def test_example_trains_and_tells_loss_and_accuracy_beside_those_of_guessing(capsys):
    scores = example.main(["--quick"])
    printed = capsys.readouterr().out
    assert all(f"{name:26s} loss {loss:.3f}" in printed for name, (loss, _) in scores.items())
    assert np.allclose(scores["guessing"], (2.302585, 0.1), atol=1e-6)
    assert scores["trained"][0] < scores["before training"][0] - 0.05
