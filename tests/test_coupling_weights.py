"""Trainable connections: constraints of `fitting` on the weights of a connectome."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tiny import Relax

import fitting
import nmm

WEIGHTS = jnp.array([[0.0, 0.5, 0.0], [0.5, 0.0, 0.3], [0.0, 0.3, 0.0]])
START = Relax.State(x=jnp.array([1.0, 2.0, -1.0]), y=jnp.zeros(3))
TARGET = jnp.array([1.5, 0.2, 0.4])


def loss(net):
    return jnp.mean((nmm.simulate(net, 1.0, 0.25, y0=START, save=[]).y1.x - TARGET) ** 2)


def fitted(conn, constraint):
    net = nmm.Network(Relax(), conn)
    result = fitting.fit(
        loss,
        net,
        free={"connectome.weights": constraint},
        optimizer=optax.adam(0.1),
        steps=40,
    )
    assert loss(result.model) < 0.9 * loss(net)
    return np.asarray(result.model.connectome.weights)


@pytest.mark.parametrize("symmetric", (False, True))
def test_weights_stay_on_their_edges_and_positive(symmetric):
    kind = fitting.Symmetric if symmetric else fitting.Masked
    found = fitted(nmm.Connectome(WEIGHTS), kind(mask=WEIGHTS != 0, constraint=fitting.Positive()))
    assert np.all((found > 0) == (WEIGHTS > 0)) and not np.allclose(found, WEIGHTS)
    assert np.array_equal(found, found.T) == symmetric


def test_edges_that_exist_are_free_by_default():
    found = fitted(nmm.Connectome(WEIGHTS), None)
    assert np.all((found > 0) == (WEIGHTS > 0)) and not np.allclose(found, WEIGHTS)
    signed = WEIGHTS.at[0, 1].set(-0.1)
    for weights, inner in ((signed, fitting.Real), (WEIGHTS, fitting.Positive)):
        free = fitting.free_parameters(nmm.Network(Relax(), weights), "connectome.weights")
        constraint = free.constraints["connectome.weights"]
        assert isinstance(constraint.constraint, inner)
        np.testing.assert_array_equal(constraint.mask.values, weights != 0)
    alone = fitting.free_parameters(nmm.Network(Relax(), jnp.zeros((1, 1))), "connectome.weights")
    assert isinstance(alone.constraints["connectome.weights"], fitting.Real)
    conn = nmm.Connectome(WEIGHTS, tract_lengths=10 * WEIGHTS)
    net = nmm.Network(Relax(), conn, speed=5.0, speed_range=(2.0, 10.0))
    assert isinstance(fitting.free_parameters(net, "speed").constraints["speed"], fitting.Positive)


@pytest.mark.thorough
def test_rows_stay_normalised():
    full = jnp.array([[0.2, 0.5, 0.3], [0.4, 0.3, 0.3], [0.3, 0.3, 0.4]])
    found = fitted(nmm.Connectome(full), fitting.Simplex())
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-12)
    assert np.all(found > 0) and not np.allclose(found, full)


def test_rows_stay_normalised_on_their_edges():
    weights = nmm.Connectome(jnp.where(WEIGHTS > 0, WEIGHTS + 0.1, 0)).scale("row_sum").weights
    weights = weights.at[2].set(0.0)
    constraint = fitting.Masked(weights != 0, fitting.Simplex())
    found = fitted(nmm.Connectome(weights), constraint)
    np.testing.assert_array_equal(found != 0, weights != 0)
    np.testing.assert_allclose(found.sum(axis=1), [1.0, 1.0, 0.0], rtol=1e-12)
    assert found[0, 1] == 1.0 and not np.allclose(found[1], weights[1])
    # Rows of different length each have the numbers of their own simplex.
    rng = np.random.default_rng(0)
    full = rng.uniform(0.1, 1, (4, 5)) * (rng.uniform(size=(4, 5)) < 0.7)
    full = 2 * full / full.sum(axis=1, keepdims=True)
    rows = fitting.Masked(full != 0, fitting.Simplex(2.0)).starting_at(jnp.asarray(full))
    x = rows.to_unconstrained(jnp.asarray(full))
    alone = [fitting.Simplex(2.0).to_unconstrained(jnp.asarray(r[r != 0])) for r in full]
    np.testing.assert_allclose(x, np.concatenate(alone), atol=1e-12)
    np.testing.assert_allclose(rows.from_unconstrained(x), full, atol=1e-12)
    assert np.all(rows.contains(jnp.asarray(full)))
    with pytest.raises(ValueError, match="connectome.weights"):
        fitted(nmm.Connectome(2 * weights), constraint)


def test_edges_of_a_sparse_connectome_can_be_fitted():
    conn = nmm.SparseConnectome.from_dense(WEIGHTS)
    found = fitted(conn, fitting.Positive())
    assert found.shape == conn.weights.shape and np.all(found > 0)
