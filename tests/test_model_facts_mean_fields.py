"""Known numbers of mean fields of spiking neurons: bistability, folds, synchrony."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import (
    at,
    eigenvalues,
    field,
    fixed_point,
    solve,
)
from scipy.optimize import brentq

import nmm

# Montbrio–Pazo–Roxin


def mpr_state(r, v):
    return nmm.MontbrioPazoRoxin.State(r=jnp.array(r), v=jnp.array(v))


@pytest.mark.parametrize("tau", (1.0, 10.0))
@pytest.mark.parametrize(
    "point, values, order",
    (
        ((0.081134, -1.961620), (-2.449, -5.398), 0.9011),
        ((0.472980, -0.336494), (1.642, -2.988), None),
        ((1.030597, -0.154430), (-0.30886 + 3.31863j, -0.30886 - 3.31863j), 0.5290),
    ),
)
def test_montbrio_pazo_roxin_is_bistable_and_scales_with_tau(tau, point, values, order):
    model = nmm.MontbrioPazoRoxin(tau=tau)
    found = fixed_point(model, mpr_state(point[0] / tau, point[1]))
    assert np.allclose([found.r * tau, found.v], point, atol=1e-6)
    assert np.allclose(eigenvalues(model, found) * tau, values, atol=6e-4)
    if order is not None:
        assert abs(float(model.synchrony(found)) - order) < 5e-5


def test_montbrio_pazo_roxin_is_switched_by_a_pulse_of_current_and_stays():
    model = nmm.MontbrioPazoRoxin()
    state, rates = mpr_state(0.081134, -1.961620), []
    for current, duration in ((3.0, 30.0), (0.0, 60.0), (-3.0, 30.0), (0.0, 60.0)):
        inputs = model.Inputs(v_inp=current)
        run = solve(model, state, jnp.array([0.0, duration]), inputs)
        state = jax.tree.map(lambda x: x[-1], run)
        rates.append(float(state.r))
    assert np.allclose(rates[1::2], [1.030597, 0.081134], atol=2e-6)


def test_montbrio_pazo_roxin_folds_where_the_equilibrium_curve_turns():
    def eta(rate, J=15.0, Delta=1.0):
        """The excitability of which this tau r is an equilibrium."""
        return (math.pi * rate) ** 2 - J * rate - Delta**2 / (2 * math.pi * rate) ** 2

    slope = jax.grad(eta)
    for low, high, rate, fold in ((0.5, 1.0, 0.753919, -5.743527), (0.1, 0.3, 0.162570, -3.136134)):
        found = brentq(slope, low, high)
        assert abs(found - rate) < 1e-6 and abs(eta(found) - fold) < 1e-6
        # The vector field agrees: at rest there, with an eigenvalue of 0.
        model, state = nmm.MontbrioPazoRoxin(eta=fold), mpr_state(rate, -1 / (2 * math.pi * rate))
        assert np.allclose(jax.tree.leaves(field(model, state)), 0, atol=1e-5)
        assert np.min(np.abs(eigenvalues(model, state))) < 1e-4
    # The folds meet in a cusp: the least J at which the slope reaches 0.
    rates = np.linspace(0.1, 1.0, 200_001)
    cusp = np.min(2 * math.pi**2 * rates + 1 / (2 * math.pi**2 * rates**3))
    assert abs(cusp - 7.7962) < 5e-5


@pytest.mark.parametrize(
    "eta, point", ((2.0, (0.463251, -0.343561)), (-5.0, (0.0708265, -2.247111)))
)
def test_montbrio_pazo_roxin_without_recurrence_is_known_in_closed_form(eta, point):
    model = nmm.MontbrioPazoRoxin(eta=eta, J=0.0)
    r = math.sqrt((eta + math.hypot(eta, 1.0)) / 2) / math.pi
    v = -1 / (2 * math.pi * r)
    assert np.allclose([r, v], point, atol=5e-7)
    assert all(abs(x) < 1e-12 for x in jax.tree.leaves(field(model, mpr_state(r, v))))
    expected = 2 * v + 2 * math.pi * r * 1j
    assert np.allclose(eigenvalues(model, mpr_state(r, v)), [expected, expected.conjugate()])


def test_montbrio_pazo_roxin_of_brainmass_rests_at_the_known_points():
    model = nmm.MontbrioPazoRoxin.preset("brainmass")
    low = fixed_point(model, mpr_state(7.1e-5, -2.2358))
    high = fixed_point(model, mpr_state(1.026, -0.00016))
    assert np.allclose([low.r, low.v], [7.1e-5, -2.2358], rtol=5e-3)
    assert eigenvalues(model, low)[0].real < 0
    assert abs(float(high.r) - 1.026096) < 1e-6
    assert np.allclose(eigenvalues(model, high)[0], -0.00031 + 3.28373j, atol=5e-6)


def test_montbrio_pazo_roxin_rate_cannot_cross_zero():
    model = nmm.MontbrioPazoRoxin(tau=[0.5, 1.0, 10.0])
    slope = field(model, mpr_state(np.zeros(3), np.array([-3.0, 0.0, 2.0]))).r
    assert np.allclose(slope, 1 / (math.pi * np.array([0.5, 1.0, 10.0]) ** 2))


def test_order_parameter_is_zero_and_smoothly_so_at_complete_asynchrony():
    model = nmm.MontbrioPazoRoxin()
    order, slope = jax.value_and_grad(model.synchrony)(mpr_state(1 / math.pi, 0.0))
    assert order < 1e-8 and np.all(np.isfinite(jax.tree.leaves(slope)))


def test_montbrio_pazo_roxin_of_whole_brain_studies_is_bistable_at_the_known_rates():
    model = nmm.MontbrioPazoRoxin.preset("whole_brain")
    stable = []
    for rate in (0.0571, 0.4523, 1.0080):
        found = fixed_point(model, mpr_state(rate, -0.7 / (2 * math.pi * rate)))
        assert abs(found.r - rate) < 6e-5
        stable.append(eigenvalues(model, found)[0].real < 0)
    assert stable == [True, False, True]


# Coombes–Byrne


@pytest.mark.parametrize(
    "k, point",
    ((1.0, (0.184726, -0.571409)), (0.5, (0.262204, -0.401053)), (2.0, (0.128104, -0.83994))),
)
def test_coombes_byrne_rests_in_the_known_focus(k, point):
    model = nmm.CoombesByrne(k=k)
    state = fixed_point(model, at(model, 0.2, -0.5))
    assert np.allclose(jax.tree.leaves(state), point, atol=1e-6)
    r = float(state.r)
    assert np.allclose(state.v, k * math.pi * r / 2 - 1 / (2 * math.pi * r))
    if k == 1.0:
        assert np.allclose(eigenvalues(model, state)[0], -2.01332 + 2.28963j, atol=6e-6)
        assert abs(model.synchrony(state) - 0.4219) < 5e-5
        assert np.allclose(model.conductance(state), math.pi * r)
        # Along the line where the rate rests, the potential does in one point only.
        rates = np.linspace(1e-3, 5.0, 20_001)
        line = at(model, rates, math.pi * rates / 2 - 1 / (2 * math.pi * rates))
        assert np.sum(np.diff(np.sign(field(model, line).v)) != 0) == 1


def test_coombes_byrne_without_synapses_is_montbrio_pazo_roxin_without_recurrence():
    r, v = jnp.asarray(np.random.default_rng(2).uniform(0, 1, (2, 100)))
    ours, other = nmm.CoombesByrne(k=0.0), nmm.MontbrioPazoRoxin(J=0.0, eta=2.0)
    one, two = field(ours, at(ours, r, v)), field(other, at(other, r, v))
    assert np.allclose([one.r, one.v], [two.r, two.v], rtol=1e-14, atol=1e-15)
    rest = fixed_point(ours, at(ours, 0.4, -0.3))
    assert np.allclose(jax.tree.leaves(rest), [0.463251, -0.343561], atol=1e-6)
