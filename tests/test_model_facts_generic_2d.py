"""Known numbers of the generic two-dimensional oscillator: equilibria, cycles, regimes."""

import functools
import math

import jax
import numpy as np
import pytest
from helpers import (
    at,
    eigenvalues,
    field,
    period_of,
    run,
    together,
)
from scipy.optimize import brentq

import nmm


def generic_equilibria(model):
    """All equilibria: roots of a cubic in V, sorted, each with its leading eigenvalue."""
    f, e, g, I = (float(x) for x in (model.f, model.e, model.g, model.gamma * model.I))
    a, b, c = (float(model.alpha / model.beta * x) for x in (model.a, model.b, model.c))
    roots = np.roots([-f, e + c, g + b, a + I])
    V = np.sort(roots[np.abs(roots.imag) < 1e-9].real)
    W = (model.a + model.b * V + model.c * V**2) / model.beta
    states = [at(model, *vw) for vw in zip(V, W, strict=True)]
    for state in states:
        assert np.allclose(jax.tree.leaves(field(model, state)), 0, atol=1e-9)
    return V, np.asarray(W), np.array([eigenvalues(model, state)[0] for state in states])


@pytest.mark.parametrize(
    "parameters, point, leading",
    (
        ({}, (-0.18865, -0.11348), -0.02239 + 0.06320j),
        ({"a": -0.5}, None, -0.01303 + 0.06286j),
        ({"d": 0.1}, (-0.18865, -0.11348), 5 * (-0.02239 + 0.06320j)),
    ),
)
def test_generic_2d_rings_at_ten_hertz_times_its_rate(parameters, point, leading):
    V, W, values = generic_equilibria(nmm.Generic2dOscillator(**parameters))
    assert len(V) == 1 and np.allclose(values[0], leading, atol=3e-5)
    if point:
        assert np.allclose([V[0], W[0]], point, atol=6e-6)


def test_generic_2d_ghosh_set_rings_at_15_7_hertz():
    model = nmm.Generic2dOscillator.preset("ghosh2008")
    V, W, values = generic_equilibria(model)
    assert np.allclose([V[0], W[0]], [1.17672, -0.63360], atol=6e-6) and values[0].real < 0
    assert abs(1000 * values[0].imag / (2 * math.pi) - 15.71) < 6e-3


def test_generic_2d_starts_to_oscillate_at_the_known_shift():
    def largest(a):
        return generic_equilibria(nmm.Generic2dOscillator(a=a))[2][0].real

    assert abs(brentq(largest, 1.5, 2.0, xtol=1e-9) - 1.740193) < 1e-6
    assert abs(brentq(largest, 14.0, 14.5, xtol=1e-9) - 14.259807) < 1e-6
    V, _, _ = generic_equilibria(nmm.Generic2dOscillator(a=1.740193))
    assert abs(V[0] - (1 - math.sqrt(2 / 3))) < 1e-6


@functools.cache
def generic_2d_runs():
    """V after 20 s, for starts and parameters of the tests below, each a region of its own."""
    preset = nmm.Generic2dOscillator.preset
    cases = {
        "oscillating": (preset("oscillating"), (0.0, 0.0)),
        "bistable, 0": (preset("bistable"), (0.0, 0.0)),
        "bistable, 1": (preset("bistable"), (-1.0, 1.0)),
        "bistable, 2": (preset("bistable"), (2.0, -5.0)),
        "bistable, 3": (preset("bistable"), (0.5, 0.5)),
        "bistable, I = 1": (preset("bistable", I=1.0), (0.0, 0.0)),
        "bistable, I = 2": (preset("bistable", I=2.0), (0.0, 0.0)),
        "bistable, I = -0.1": (preset("bistable", I=-0.1), (0.0, 0.0)),
        "slow": (preset("excitable", b=0.4), (0.0, 0.0)),
    }
    model = together(*(model for model, _ in cases.values()))
    ts = np.arange(20_000.0, 36_000.0, 0.5)
    V, W = run(model, at(model, *np.transpose([y for _, y in cases.values()])), ts, tol=1e-9)
    return ts, dict(zip(cases, V.T, strict=True)), dict(zip(cases, W.T, strict=True))


def test_generic_2d_cycles_have_the_known_periods_and_ranges():
    ts, V, _ = generic_2d_runs()
    for case, period, low, high in (
        ("oscillating", 108.550, -0.3358, 0.8234),
        ("bistable, 0", 931.74, -0.9310, 1.6860),
        ("bistable, 1", 931.74, -0.9310, 1.6860),
        ("bistable, 3", 931.74, -0.9310, 1.6860),
        ("bistable, I = 1", 310.22, None, None),
        ("bistable, I = 2", 216.88, None, None),
        ("slow", 2713.7, -0.948, 1.842),
    ):
        assert abs(period_of(ts, V[case]) / period - 1) < 5e-5, case
        if low is not None:
            assert np.allclose([V[case].min(), V[case].max()], [low, high], atol=6e-4), case


def test_generic_2d_bistable_set_is_a_node_beside_a_cycle():
    V, W, values = generic_equilibria(nmm.Generic2dOscillator.preset("bistable"))
    assert np.allclose(V, [-1.618034, -1.0, 0.618034]) and np.allclose(W[:2], [-12.0902, -4.0])
    assert values[0].real < 0 < values[1].real and values[0].imag == values[1].imag == 0
    assert np.allclose(values[2], 0.01562 + 0.03469j, atol=6e-6)
    _, runs, _ = generic_2d_runs()
    assert np.allclose(runs["bistable, 2"], -1.618034, atol=1e-6)
    assert np.ptp(runs["bistable, I = -0.1"]) < 1e-6  # the cycle is gone
    V, W, values = generic_equilibria(nmm.Generic2dOscillator.preset("bistable", I=-2.0))
    assert np.allclose([V, W], [[-2.20557], [-23.3227]], atol=6e-5) and values[0].real < 0
    V, W, _ = generic_equilibria(nmm.Generic2dOscillator.preset("bistable", I=-1.001))
    assert len(V) == 1 and np.allclose([V[0], W[0]], [-2.0, -19.0], atol=5e-3)
    double = at(nmm.Generic2dOscillator(), 0.0, 1.0)
    node = nmm.Generic2dOscillator.preset("bistable", I=-1.0)
    assert np.allclose(jax.tree.leaves(field(node, double)), 0.0)
    assert np.min(np.abs(eigenvalues(node, double))) < 1e-12


def test_generic_2d_excitable_set_has_a_node_a_saddle_and_a_focus():
    V, W, values = generic_equilibria(nmm.Generic2dOscillator.preset("excitable"))
    assert np.allclose(V, [-1.14201, -0.59448, 0.73649], atol=6e-6)
    assert abs(W[0] + 5.40194) < 6e-6
    assert values[0].real < 0 < values[1].real and values[2].real > 0 != values[2].imag


def test_generic_2d_of_a_gallery_page_of_brainmass_rings_at_49_7_hertz():
    _, _, values = generic_equilibria(nmm.Generic2dOscillator(a=-0.5, d=0.1, I=0.5))
    assert values[0].real < 0 and abs(1000 * values[0].imag / (2 * math.pi) - 49.7) < 0.05
