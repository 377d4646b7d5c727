"""Known numbers of the reduced sets: integrals of their modes, and a transposed term."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import at, field
from scipy.special import ndtri

import nmm
from nmm.models._reduced_set import projection


@pytest.mark.parametrize(
    "mu, sigma, I, G, Q, C, D",
    (
        (
            *(0.0, 0.35),
            (0.98613729, 0.54890389, 0.98613729),
            (0.33749518, 0.60686661, 0.33749518),
            (1.0283128, 3.31900098, 1.0283128),
            None,
            (-0.62805227, 0, 0.62805227),
        ),
        (
            *(3.3, 0.3),
            (0.91298572, 0.50818626, 0.91298572),
            (0.36453646, 0.65549086, 0.36453646),
            (1.19969826, 3.87216781, 1.19969826),
            (1.09530738, 1.96778246, 1.09530738),
            (2.51445567, 1.67701464, 3.51125009),
        ),
    ),
)
def test_modes_have_the_known_integrals(mu, sigma, I, G, Q, C, D):
    found = projection(jnp.asarray(mu), jnp.asarray(sigma))
    for ours, known in zip(found, (I, G, Q, C, D), strict=True):
        assert known is None or np.allclose(ours, known, atol=6e-9)
    # And by the trapezoidal rule on 1500 quantiles.
    z = ndtri(np.arange(1, 1501) / 1501)
    Z, density = mu + sigma * z, np.exp(-(z**2) / 2) / (sigma * math.sqrt(2 * math.pi))
    for k in range(3):
        V = np.zeros(1500)
        V[500 * k : 500 * (k + 1)] = 1.0
        V /= math.sqrt(np.trapezoid(V**2, Z))
        integrals = [np.trapezoid(x, Z) for x in (V, density * V, V**4, V**3, Z * V)]
        assert np.allclose([values[k] for values in found], integrals, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "cls, expected",
    (
        (
            nmm.ReducedSetFitzHughNagumo,
            (
                *(-2.08035612, -0.673892093, 0.991221346, 0.121253926, 0.0290022504, 0.0679205929),
                *(-2.12899863, -1.29579572, 0.227439378, 0.127920593, 0.0423355837, 0.0879205929),
            ),
        ),
        (
            nmm.ReducedSetHindmarshRose,
            (
                *(2.49445304, 1.5801313, 3.44292908, 0.658220351, -0.285370236, -0.179902602),
                *(0.0356586517, 0.0207143522, 0.0368586517, 2.87134513, 3.20371554, 5.75782199),
                *(-0.463260186, -6.78871762, -8.47322743, 0.0410586517, 0.0315143522, 0.0530586517),
            ),
        ),
    ),
)
def test_reduced_sets_of_the_package_differ_in_a_transposed_term_alone(cls, expected):
    values = [(j + 1) * k / 10 for j in range(len(expected) // 3) for k in (1, 2, 3)]
    model, corrected = cls.preset("tvb"), cls()
    inputs = model.Inputs(drive=0.03)
    y = at(model, *values)
    found = np.array(jax.tree.leaves(field(model, y, inputs)))
    assert np.allclose(found, expected, rtol=3e-9)
    right = np.array(jax.tree.leaves(field(corrected, y, inputs)))
    p = projection(model.mu, model.sigma)
    alpha = np.array([y.alpha1, y.alpha2, y.alpha3])
    term = np.array(p.I) * (np.array(p.G) @ alpha) - np.array(p.G) * (np.array(p.I) @ alpha)
    assert np.allclose(right[:3] - found[:3], -model.K12 * term)
    assert np.array_equal(right[3:], found[3:])


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("cls", "preset", "low", "high", "near", "cycle"),
    (
        (nmm.ReducedSetFitzHughNagumo, "tvb", -1.773, 0.809, 0.01, 9.3),
        (nmm.ReducedSetFitzHughNagumo, None, -1.804, 0.660, 0.01, 10.0),
        # Bursts are irregular: the extremes of one run differ from those of another.
        (nmm.ReducedSetHindmarshRose, "tvb", -1.824, 1.821, 0.2, None),
        (nmm.ReducedSetHindmarshRose, None, -1.824, 1.882, 0.2, None),
    ),
)
def test_reduced_sets_stay_in_the_known_ranges(cls, preset, low, high, near, cycle):
    model = cls() if preset is None else cls.preset(preset)
    sol = nmm.simulate(model, t1=2000.0, dt=0.02, save=["mean_field"], save_every=0.2)
    signal = np.asarray(sol["mean_field"])[1000:]
    np.testing.assert_allclose([signal.min(), signal.max()], [low, high], atol=near)
    if cycle is None:
        # A spike of a burst rises above 1, and no spike comes for long between bursts.
        spikes = np.flatnonzero((signal[:-1] < 1) & (signal[1:] >= 1))
        between = np.diff(spikes)
        assert between.max() > 5 * np.median(between)
    else:
        above = signal > signal.mean()
        rises = np.flatnonzero(above[1:] & ~above[:-1])
        assert abs(0.2 * np.mean(np.diff(rises)) - cycle) < 0.1
