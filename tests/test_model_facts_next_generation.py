"""Known numbers of next-generation mean fields: synapses, adaptation, gamma, dopamine."""

import math

import jax
import numpy as np
import pytest
from equilibria import rest
from helpers import at, build, field
from runge_kutta import cycle

import nmm


@pytest.mark.parametrize("preset, expected", ((None, 2.082942), ("slower", 3.505794)))
def test_coombes_byrne_4d_cycles_with_the_known_periods(preset, expected):
    model = build(nmm.CoombesByrne4D, preset)
    period, low, high, _ = cycle(model, (0.5, 0.0, 1.0, 0.0), 100, 130, level=0.5)
    assert abs(period - expected) < 6e-6
    if preset is None:
        assert np.allclose([low[0], high[0]], [0.206295, 1.439409], atol=2e-6)
        known = [-1.119, 2.480, 1.4976, 1.7705]
        assert np.allclose([low[1], high[1], low[2], high[2]], known, atol=6e-4)


def test_coombes_byrne_4d_rests_and_has_the_two_variable_model_as_its_limit():
    point, values = rest(nmm.CoombesByrne4D.preset("resting"), 0.09, -3.0, 0.27, 0.0)
    assert abs(point[0] - 0.0871912) < 6e-8 and values[0].real < 0
    fast = nmm.CoombesByrne()
    same = nmm.CoombesByrne4D(Delta=fast.Delta, eta=fast.eta, v_syn=fast.v_syn, k=fast.k)
    g = math.pi * 0.3
    ours = field(same, at(same, 0.3, -0.4, g, 0.0))
    other = field(fast, at(fast, 0.3, -0.4))
    assert np.allclose([ours.r, ours.V], [other.r, other.v]) and np.allclose(ours.q, 0.0)


@pytest.mark.parametrize(
    "model, guess, known",
    (
        (nmm.GastSchmidtKnosche_SD(), (0.2, -1.6, 0.1, 0), (0.1966354, -1.6187824, 0.0983177)),
        (nmm.GastSchmidtKnosche_SD(eta=-4.0), (0.8, -0.4, 0.4, 0), (0.80201,)),
        (nmm.GastSchmidtKnosche_SF(eta=3.0), (1.36, -0.2, 13.6, 0), (1.36317,)),
        (nmm.GastSchmidtKnosche_SF(eta=-5.0), (0.17, -1.8, 1.7, 0), (0.17396,)),
    ),
)
def test_gast_schmidt_knosche_rests_at_the_known_points(model, guess, known):
    point, values = rest(model, *guess)
    tolerance = 6e-8 if len(known) == 3 else 6e-6
    assert np.allclose(point[: len(known)], known, atol=tolerance) and values[0].real < 0


@pytest.mark.parametrize(
    "model, level, expected",
    (
        (nmm.GastSchmidtKnosche_SD.preset("bursting"), 0.2, 57.360),
        (nmm.GastSchmidtKnosche_SD.preset("bursting_fast"), 0.25, 42.526),
        (nmm.GastSchmidtKnosche_SF(), 8.0, 46.1215),
    ),
)
def test_gast_schmidt_knosche_bursts_with_the_known_periods(model, level, expected):
    # The slow variable rises through a level once a burst.
    period, low, high, _ = cycle(model, (0.3, -1.0, level, 0.0), 600, 900, 2, level)
    assert abs(period - expected) < (6e-4 if isinstance(model, nmm.GastSchmidtKnosche_SD) else 6e-5)
    if isinstance(model, nmm.GastSchmidtKnosche_SF):
        assert np.allclose([low[0], high[0]], [0.10410, 3.6270], rtol=0, atol=[6e-6, 6e-5])
        assert np.allclose([low[2], high[2]], [5.877, 12.642], rtol=0, atol=6e-4)


def test_dumont_gutkin_rests_at_the_known_point():
    point, values = rest(nmm.DumontGutkin(), 0.007, -2.4, 0, 0.06, 0.006, -2.4, 0, 0.1)
    known = [0.0066705, -2.38597, 0.0064894, -2.45254]
    assert np.allclose(point[[0, 1, 4, 5]], known, atol=6e-6)
    assert np.allclose(values[0], -0.4606 + 0.1865j, atol=6e-5)


def test_dumont_gutkin_ping_is_a_gamma_rhythm():
    model = nmm.DumontGutkin.preset("ping")
    start = (0.05, -1.0, 0.0, 0.0, 0.05, -1.0, 0.0, 0.0)
    period, low, high, _ = cycle(model, start, 400, 600, level=0.1)
    assert abs(period - 14.1643) < 6e-4
    assert np.allclose([low[0], high[0]], [0.0043635, 0.5180219], rtol=0, atol=6e-7)


def test_dopamine_rests_alone_and_oscillates_when_driven():
    model = nmm.AdaptiveQIFDopamine()
    point, values = rest(model, 0.032, -67.5, 2.5, 0, 0, 0.0)
    assert np.allclose(point[:3], [0.0319415, -67.482705, 2.491355], rtol=2e-6)
    assert values[0].real < 0 and abs(point[5]) < 1e-12
    inputs = model.Inputs(c_exc=0.01, c_dopa=1e-5)
    start = (0.03, -67.0, 0.0, 0.04, 0.0, 0.1154734)
    _, low, high, end = cycle(model, start, 2000, 2400, inputs=inputs)
    assert np.allclose([low[0], high[0]], [0.01723, 0.09100], atol=2e-5)
    assert abs(end[5] - 0.1154734) < 1e-7


def test_dopamine_network_has_a_connectome_for_each_of_its_slots():
    slots = ("c_exc", "c_inh", "c_dopa")
    W = np.random.default_rng(0).uniform(size=(3, 4, 4))
    couplings = tuple(nmm.coupling.Linear(G=1e-4, target=slot) for slot in slots)
    net = nmm.Network(nmm.AdaptiveQIFDopamine(), tuple(W), couplings)
    y = net.initial_state(key=jax.random.key(0))
    heard = net.receive(0.0, y, net.node.Inputs())
    expected = 1e-4 * W @ np.asarray(y.r)
    assert np.allclose([getattr(heard, slot) for slot in slots], expected, rtol=1e-12)
