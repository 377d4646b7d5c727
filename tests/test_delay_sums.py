"""Weighted sums of what was sent earlier, edge by edge and all at once."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmm._delays._sums import _at_once, _by_place, add_up

ROWS, POINTS, PLACES, REGIONS, TIME, CHANNELS, LENGTH = 5, 2, 4, 3, 12, 2, 6
rng = np.random.default_rng(0)
SOURCES = rng.integers(0, REGIONS, (ROWS, PLACES))
STARTS = rng.integers(0, TIME - LENGTH - POINTS + 2, (ROWS, PLACES))
WEIGHTS = jnp.asarray(rng.normal(size=(ROWS, POINTS, PLACES)))
HISTORY = jnp.asarray(rng.normal(size=(REGIONS, TIME, CHANNELS)))
WAYS = {"at once": _at_once, "by place": _by_place, "chosen": add_up}


def sums(way, weights, history):
    return WAYS[way](weights, history, SOURCES, jnp.asarray(STARTS), LENGTH)


@pytest.mark.parametrize("way", WAYS)
def test_what_arrives_is_the_sum_over_edges_and_points(way):
    expected = np.zeros((ROWS, LENGTH, CHANNELS))
    for row, point, place in np.ndindex(ROWS, POINTS, PLACES):
        start = STARTS[row, place] + POINTS - 1 - point
        sent = np.asarray(HISTORY)[SOURCES[row, place], start : start + LENGTH]
        expected[row] += float(WEIGHTS[row, point, place]) * sent
    np.testing.assert_allclose(sums(way, WEIGHTS, HISTORY), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("of", [(0,), (1,), (0, 1)], ids=["weights", "history", "both"])
def test_both_ways_have_the_same_derivatives(of):
    values = {0: WEIGHTS, 1: HISTORY}
    directions = [values[i] ** 2 for i in of]

    def along(way):
        """Of the squares: the tangent, the gradient, and the second derivative along it."""

        def loss(*chosen):
            weights, history = (
                dict(zip(of, chosen, strict=True)).get(i, values[i]) for i in (0, 1)
            )
            return jnp.sum(sums(way, weights, history) ** 2)

        start = [values[i] for i in of]
        gradient = jax.grad(loss, tuple(range(len(of))))
        _, tangent = jax.jvp(loss, start, directions)
        _, second = jax.jvp(gradient, start, directions)
        return tangent, gradient(*start), second

    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-11, atol=1e-11),
        along("by place"),
        along("at once"),
    )
