"""Dynamic causal models, and Hopfield's: linear systems with exact solutions, and memories."""

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import at, field, run
from scipy.linalg import expm

import nmm

# Two memories that exclude each other, and the weights that store them.
MEMORIES = np.array([[1.0, 1.0, 1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]])
STORED = (0.8 * MEMORIES.T @ MEMORIES - 0.4 * MEMORIES.T @ MEMORIES[::-1]) / 3
DAMAGED = np.array([1.0, 0.9, 0.2, 0.1, 0.8, 0.0])


def moving_thresholds(followed):
    """Thresholds that follow these means of the messages."""
    sent = ("x", "theta")
    own = nmm.coupling.PreSigmoidal(source=sent, target="theta_inp")
    couplings = (nmm.coupling.PreSigmoidal(source=sent), own)
    return nmm.Network(nmm.HopfieldDynamic(), (STORED, followed), couplings)


def test_hopfield_forgets_exponentially():
    model = nmm.Hopfield(taux=2.0)
    ts = np.linspace(0.1, 5.0, 20)
    (x,) = run(model, at(model, 1.5), ts, model.Inputs(x_inp=jnp.array(0.4)))
    assert np.allclose(x, 0.4 + 1.1 * np.exp(-ts / 2), atol=1e-9)


def test_hopfield_network_completes_a_memory():
    net = nmm.Network(nmm.Hopfield(), STORED, nmm.coupling.PreSigmoidal())
    sol = nmm.simulate(net, t1=30.0, dt=0.05, y0=at(net.node, DAMAGED))
    assert np.allclose(sol.y1.x, STORED @ MEMORIES[0], atol=1e-8)


@pytest.mark.parametrize("followed", (np.eye(6), np.ones((6, 6)) / 6))
def test_hopfield_thresholds_follow_their_own_messages_or_the_mean_of_all(followed):
    net = moving_thresholds(followed)
    x, theta = np.random.default_rng(0).uniform(0.45, 0.55, (2, 6))
    found = net.vector_field(0.0, at(net.node, x, theta), net.node.Inputs())
    message = 0.5 * (1 + np.tanh(60 * (x - theta)))
    assert np.allclose(found.x, STORED @ message - x, rtol=1e-12)
    to = message if followed[0, 1] == 0 else np.full(6, message.mean())
    assert np.allclose(found.theta, (to - theta) / 5, rtol=1e-12)


def test_hopfield_leaves_a_memory_for_the_other_when_its_thresholds_have_risen():
    net = moving_thresholds(np.eye(6))
    y0 = at(net.node, DAMAGED, np.full(6, 0.5))
    sol = nmm.simulate(net, t1=20.0, dt=0.05, y0=y0)
    ts, x, theta = (np.asarray(v) for v in (sol.ts, sol.ys.x, sol.ys.theta))
    holds, changed = 0.8 * MEMORIES - 0.4 * MEMORIES[::-1]
    early, late = np.searchsorted(ts, [3.5, 18.0])
    assert np.allclose(x[early], holds, atol=0.05) and np.allclose(x[late], changed, atol=0.02)
    # Until then, those of the memory rise towards 1 from where they started.
    assert np.allclose(theta[early, :2], 1 - 0.5 * np.exp(-ts[early] / 5), atol=2e-3)
    # It is lost where they have met the level at which it holds.
    lost = ts[np.argmax((x[:, 0] < theta[:, 0]) & (ts > 2))]
    assert abs(lost - 5 * np.log(0.5 / 0.2)) < 0.6


def test_dcm_follows_its_matrix_exponential_and_switches_with_its_condition():
    A = np.array([[-0.5, 0.1, 0.0], [0.3, -0.5, 0.2], [0.0, 0.4, -0.5]])
    B = np.zeros((3, 3, 2))
    B[1, 0, 1] = 0.3
    C = np.array([[0.2, 0.0], [0.0, 0.0], [0.1, 0.3]])
    x0 = np.array([1.0, -0.5, 0.2])
    alone = nmm.BilinearDCM(A)
    sol = nmm.simulate(alone, t1=4.0, dt=0.01, y0=at(alone.node, x0), solver=nmm.RungeKutta4())
    assert np.allclose(sol.y1.x, expm(4.0 * A) @ x0, atol=1e-9)
    u = np.array([0.7, 1.0])
    driven = nmm.BilinearDCM(A, B, C, lambda t: jnp.asarray(u))
    found = field(driven, at(alone.node, x0), alone.node.Inputs(x_inp=0.1)).x
    assert np.allclose(found, (A + B @ u) @ x0 + C @ u + 0.1, rtol=1e-14)


def test_dcm_refuses_matrices_that_disagree():
    with pytest.raises(ValueError, match=r"`B` of `BilinearDCM` should have the shape \(2, 2, 1\)"):
        nmm.BilinearDCM(np.eye(2), np.zeros((3, 3, 1)), None, lambda t: jnp.ones(1))
    with pytest.raises(ValueError, match="`conditions` should be given together with `B` or `C`"):
        nmm.BilinearDCM(np.eye(2), C=np.zeros((2, 1)))
