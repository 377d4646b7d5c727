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
    # The first region hears nobody.
    structure = (jr.uniform(jr.key(0), (4, 4)) * ones).at[0].set(0.0)
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
def test_learned_weights_have_norm_one_and_only_the_lateral_ones_are_symmetric(symmetric):
    model = uneven(symmetric=symmetric)
    connectomes = model.learned().connectome
    for k, w in enumerate((model.w_l, model.w_f, model.w_b)):
        weights = connectomes[k].weights
        assert np.allclose(np.linalg.norm(weights), 1) and not np.any(np.diag(weights))
        assert np.allclose(weights, weights.T) == (symmetric and k == 0)
        expected = np.exp(w) * model.structure
        expected = (expected + expected.T) / 2 if symmetric and k == 0 else expected
        assert np.allclose(weights, expected / np.linalg.norm(expected))


@pytest.mark.parametrize("sources", (("M", "eeg", "eeg"), ("eeg", "M", "rate")))
def test_pathways_carry_differences_onto_their_own_populations(sources):
    model = uneven(g_l=2.0, g_f=30.0, g_b=0.5, sources=sources)
    network = model.learned()
    keys = jr.split(jr.key(2), 6)
    state = network.State(*(jr.normal(k, (4,)) for k in keys))
    received = network.receive(0.0, state, None)
    W_l, W_f, W_b = (c.weights for c in network.connectome)
    eeg = state.E - state.I
    signals = {"M": state.M, "eeg": eeg, "rate": 0.005 / (1 + np.exp(0.56 * (6 - eeg)))}
    for found, gain, W, source in zip(
        (received.M_inp, received.E_inp, received.I_inp),
        (2.0, 0.03, -0.5),
        (W_l, W_f, W_b),
        sources,
        strict=True,
    ):
        x = signals[source]
        assert np.allclose(found, gain * np.sum(W * (x - x[:, None]), axis=1), rtol=1e-12)
    alike = network.State(*(jnp.full(4, 0.1 * x) for x in range(6)))
    assert eqx.tree_equal(field(network, alike), field(network.node, alike), rtol=1e-12)


def test_delayed_pathways_hear_what_was_sent_as_long_ago_as_said():
    delays = 1.0 + 4.0 * jr.uniform(jr.key(5), (4, 4))  # of which none is a multiple of `tr`
    model = uneven(g_l=2.0, g_f=30.0, g_b=0.5, delays=delays)
    now, slope = jr.normal(jr.key(6), (2, 6, 4))

    def past(t):  # linear in time, so that it is read exactly
        return nmm.JansenRit.State(*(now + t * slope))

    def heard(gain, connectome, x, slope):
        return gain * jnp.sum(connectome.weights * (x - delays * slope - x[:, None]), axis=1)

    net = model.learned()
    M, eeg = (now[0], slope[0]), (now[1] - now[2], slope[1] - slope[2])
    arriving = map(heard, (2.0, 0.03, -0.5), net.connectome, *zip(M, eeg, eeg, strict=True))
    state = past(0.0)
    moved = field(net.node, state, net.Inputs(*arriving))
    found = model.run(1, 1.0, save=None, y0=state, history=past, solver=nmm.Euler())
    expected = jax.tree.map(lambda x, d: x + d, state, moved)
    assert eqx.tree_equal(found.y1, expected, rtol=1e-10)


@pytest.mark.thorough
def test_slots_have_noise_of_their_own_and_what_is_kept_can_be_chosen():
    model = nmm.JansenRitTR(jnp.zeros((50, 50)).at[0, 1].set(1.0))
    noise = tuple(
        nmm.noise.OrnsteinUhlenbeck.from_standard_deviation(sd, 5.0, onto=slot)
        for sd, slot in ((0.5, "M_inp"), (0.02, "E_inp"))
    )
    save = {k: lambda t, y, u, k=k: getattr(u, k) for k in ("M_inp", "E_inp")}
    sol = model.run(200, 0.5, noise=noise, key=jr.key(7), save=save, solver=nmm.Euler())
    assert sol["M_inp"].shape == (200, 50)
    spread = [np.std(sol[k][:, 2:]) for k in save]  # of regions that hear nobody
    assert np.allclose(spread, [0.5, 0.02], rtol=0.05)


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
    for index in ((1, 0), (3, 2)):
        step = jnp.zeros((4, 4)).at[index].set(1e-5)
        slope = (loss(model.w_f + step) - loss(model.w_f - step)) / 2e-5
        assert abs(slope) > 1e-6 and np.allclose(gradient[index], slope, rtol=1e-5)
    assert not np.any(np.diag(gradient))
