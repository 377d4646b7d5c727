"""Dynamic causal models, and Hopfield's: linear systems with exact solutions."""

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import at, field, run
from scipy.linalg import expm

import nmm


def test_hopfield_forgets_exponentially():
    model = nmm.Hopfield(taux=2.0)
    ts = np.linspace(0.1, 5.0, 20)
    (x,) = run(model, at(model, 1.5), ts, model.Inputs(x_inp=jnp.array(0.4)))
    assert np.allclose(x, 0.4 + 1.1 * np.exp(-ts / 2), atol=1e-9)


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
