"""Weights of existing edges from correlations at two lags, of a network whose edges are known."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fitting

TRUTH = np.zeros((6, 6))
for i, j, there, back in (
    (0, 1, 0.9, 0.3),
    (1, 2, 0.2, 0.8),
    (2, 3, 0.7, 0.5),
    (3, 4, 0.1, 0.9),
    (4, 5, 0.6, 0.3),
    (5, 0, 0.8, 0.2),
):
    TRUTH[i, j], TRUTH[j, i] = there, back
START = 0.5 * (TRUTH > 0)
ELSEWHERE = START[np.ix_(*[[0, 2, 4, 1, 3, 5]] * 2)]  # As many edges, two of them existing ones.


def network(weights):
    """Regions that hear each other from one sample to the next, with noise of their own."""
    return {"weights": jnp.asarray(weights)}


@jax.jit
def connectivity(net):
    """Correlations at lags of 0 and 1 sample, by the discrete Lyapunov equation."""
    step = 0.4 * jnp.eye(6) + 0.25 * net["weights"]
    noise = jnp.eye(6).ravel()
    covariance = jnp.linalg.solve(jnp.eye(36) - jnp.kron(step, step), noise).reshape(6, 6)
    scale = jnp.sqrt(jnp.diag(covariance))
    return jnp.stack([covariance, step @ covariance]) / (scale[:, None] * scale)


@functools.cache
def known():
    return connectivity(network(TRUTH))


def effective_connectivity(*args, **options):
    return fitting.effective_connectivity(*args, **{"path": "weights", "progress": False} | options)


def by_rule(start, **options):
    return effective_connectivity(
        connectivity, network(start), known(), rates=(0.5, 0.5), **options
    )


def test_rule_finds_known_edges_and_their_directions_and_random_edges_fit_worse():
    net, errors = by_rule(START, steps=100)
    found = np.asarray(net["weights"])
    np.testing.assert_array_equal(found[START == 0], 0)
    np.testing.assert_allclose(found, TRUTH, atol=0.005)
    assert errors.shape == (100,)
    # The error belongs to the model that is returned.
    left = (connectivity(net) - known())[:, ~np.eye(6, dtype=bool)]
    np.testing.assert_allclose(jnp.sqrt(jnp.mean(left**2)), errors.min(), rtol=1e-6)
    random, errors_of_random = by_rule(ELSEWHERE, steps=100)
    assert errors_of_random.min() > 100 * errors.min()


def test_gradient_on_the_same_edges_finds_them_too():
    def loss(net):
        return jnp.mean((connectivity(net) - known()) ** 2)

    result = fitting.fit(
        loss,
        network(START),
        {"weights": fitting.Masked(START > 0, fitting.Positive())},
        optimizer=optax.adam(0.1),
        steps=300,
        progress=False,
    )
    np.testing.assert_allclose(result.best["weights"], TRUTH, atol=0.005)


def test_rule_takes_the_step_that_is_published_and_keeps_the_largest_weight():
    start = network(START)
    difference = known() - connectivity(start)
    expected = START + 0.5 * (0.002 * difference[0] + 0.0005 * difference[1])
    expected = jnp.where(START > 0, expected, 0)
    step = functools.partial(effective_connectivity, connectivity)
    # What a step ends at is seen by the next one; the best of two is the second.
    np.testing.assert_allclose(step(start, known(), steps=2)[0]["weights"], expected)
    kept = step(start, known(), steps=2, keep_largest=True)[0]["weights"]
    np.testing.assert_allclose(kept, expected * 0.5 / expected.max())


def test_noise_is_new_in_each_step_and_what_does_not_fit_is_refused():
    seen = []

    def noisy(net, key):
        jax.debug.callback(lambda x: seen.append(float(x)), jax.random.uniform(key))
        return net["weights"][None]

    fit = effective_connectivity
    fit(noisy, network(START), TRUTH[None], rates=(0.1,), steps=3, key=jax.random.key(0))
    jax.effects_barrier()
    assert len(set(seen)) == 3
    with pytest.raises(ValueError, match=r"`empirical` should be \(lags, regions, regions\)"):
        fit(connectivity, network(START), known()[0])
    with pytest.raises(ValueError, match="`rates` should hold 2, one for each lag, got 1"):
        fit(connectivity, network(START), known(), rates=(0.1,))
    with pytest.raises(ValueError, match="`edges` should be booleans"):
        fit(connectivity, network(START), known(), edges=np.zeros((6, 6), bool))
    with pytest.raises(ValueError, match="`connectivity` should return the shape"):
        fit(lambda net: net["weights"], network(START), known(), steps=1)
    with pytest.raises(FloatingPointError, match="not finite in step 0"):
        fit(lambda net: known() * np.nan, network(START), known(), steps=1)
