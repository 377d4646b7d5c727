"""Jansen–Rit columns on three learned pathways, one sample each repetition time."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from helpers import field

import nmm

ones = jnp.ones((4, 4)) - jnp.eye(4)


def uneven(**options):
    """Four columns with directed weights and learned logarithms on all pathways."""
    structure = jr.uniform(jr.key(0), (4, 4)) * ones
    model = nmm.JansenRitTR(structure, nmm.JansenRit(), **options)
    logs = jr.normal(jr.key(1), (3, 4, 4))
    return eqx.tree_at(lambda m: [m.w_l, m.w_f, m.w_b], model, list(logs))


def test_without_pathways_each_column_is_alone_and_sampled_once_a_repetition_time():
    model = nmm.JansenRitTR(ones, g_l=0.0, g_f=0.0, g_b=0.0)
    sol = model.run(3, 0.1, solver=nmm.ExponentialEuler())
    # What brainmass 0.1.1 gives, in mV, by the same scheme.
    known = np.array([-0.00022696, -0.0012466, -0.0034290])
    assert sol["eeg"].shape == (3, 4) and np.allclose(sol.ts, [1.0, 2.0, 3.0])
    assert np.allclose(sol["eeg"], known[:, None], rtol=5e-5)


@pytest.mark.parametrize("symmetric", (False, True))
def test_learned_weights_have_norm_one_on_the_edges_alone(symmetric):
    model = uneven(symmetric=symmetric)
    for w, connectome in zip(
        (model.w_l, model.w_f, model.w_b), model.learned().connectome, strict=True
    ):
        weights = connectome.weights
        assert np.allclose(np.linalg.norm(weights), 1) and not np.any(np.diag(weights))
        assert np.allclose(weights, weights.T) == symmetric
        expected = np.exp(w) * model.structure
        expected = (expected + expected.T) / 2 if symmetric else expected
        assert np.allclose(weights, expected / np.linalg.norm(expected))


def test_pathways_carry_differences_onto_their_own_populations():
    model = uneven(g_l=2.0, g_f=30.0, g_b=0.5)
    network = model.learned()
    keys = jr.split(jr.key(2), 6)
    state = network.State(*(jr.normal(k, (4,)) for k in keys))
    received = network.receive(0.0, state, None)
    W_l, W_f, W_b = (c.weights for c in network.connectome)
    eeg = state.E - state.I
    for found, gain, W, x in (
        (received.M_inp, 2.0, W_l, state.M),
        (received.E_inp, 0.03, W_f, eeg),
        (received.I_inp, -0.5, W_b, eeg),
    ):
        assert np.allclose(found, gain * np.sum(W * (x - x[:, None]), axis=1), rtol=1e-12)
    alike = network.State(*(jnp.full(4, 0.1 * x) for x in range(6)))
    assert eqx.tree_equal(field(network, alike), field(network.node, alike), rtol=1e-12)


def test_stimulus_is_held_over_a_repetition_time_and_scaled_by_its_gain():
    model, rows = uneven(k=0.7, tr=2.0), jr.normal(jr.key(3), (5, 4))
    each = model.run(5, 0.5, stimulus=rows)["eeg"]
    every = model.run(5, 0.5, stimulus=jnp.repeat(rows, 4, axis=0))["eeg"]
    assert np.allclose(each, every, rtol=1e-10)
    double = eqx.tree_at(lambda m: m.k, model, jnp.array(1.4)).run(5, 0.5, stimulus=rows / 2)
    assert np.allclose(double["eeg"], each, rtol=1e-10)
    assert not np.allclose(model.run(5, 0.5)["eeg"], each)
    with pytest.raises(ValueError, match="each of 5 repetition times or 20 steps, got 6"):
        model.run(5, 0.5, stimulus=jnp.ones((6, 4)))


def test_gradients_of_learned_weights_equal_finite_differences():
    model = uneven(g_l=5.0, g_f=50.0, g_b=5.0)

    @eqx.filter_jit
    def loss(w):
        learned = eqx.tree_at(lambda m: m.w_f, model, w)
        return jnp.mean(learned.run(20, 0.5, y0=start)["eeg"] ** 2)

    start = model.network.initial_state(key=jr.key(4))
    gradient = jax.grad(loss)(model.w_f)
    for index in ((0, 1), (3, 2)):
        step = jnp.zeros((4, 4)).at[index].set(1e-5)
        slope = (loss(model.w_f + step) - loss(model.w_f - step)) / 2e-5
        assert abs(slope) > 1e-6 and np.allclose(gradient[index], slope, rtol=1e-5)
    assert not np.any(np.diag(gradient))
