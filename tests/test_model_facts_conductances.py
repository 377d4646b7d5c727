"""Known numbers of models with ion channels: thalamus, ion exchange, Morris–Lecar."""

import jax
import numpy as np
import pytest
from equilibria import rest
from helpers import at, crossings, field, jacobian
from jax.flatten_util import ravel_pytree
from runge_kutta import cycle
from scipy.integrate import solve_ivp

import nmm

# Thalamus


@pytest.mark.thorough
def test_thalamus_makes_spindles_of_the_known_frequencies():
    model = nmm.Thalamus(g_LK=[0.018, 0.033])
    options = {"solver": nmm.Euler(), "save": ["V_t"], "save_every": 0.2, "transient": 10_000.0}
    V = np.asarray(nmm.simulate(model, t1=20_000.0, dt=0.01, **options)["V_t"])
    power = np.abs(np.fft.rfft(V - V.mean(axis=0), axis=0))
    peaks = np.fft.rfftfreq(len(V), 0.2e-3)[np.argmax(power, axis=0)]
    assert np.all(np.abs(peaks - np.array([13.4, 11.9])) < 0.15)
    assert np.allclose([V[:, 0].min(), V[:, 0].max()], [-67.27, -49.77], atol=0.01)


def test_thalamus_sends_rates_per_ms_and_shows_them_in_hertz():
    model = nmm.Thalamus()
    y = model.initial_state()
    expected = 400 / (1 + np.exp(-1.8137993642 * (-68 + 58.5) / 6))
    assert np.allclose([model.rate_t(y), model.rate_r(y)], expected, rtol=1e-12)
    assert np.allclose([model.Q_t(y), model.Q_r(y)], expected / 1000, rtol=1e-12)


def test_thalamus_without_h_current_rests_hyperpolarised():
    model = nmm.Thalamus.preset("hyperpolarised")
    x0, unravel = ravel_pytree(model.initial_state())
    f = jax.jit(lambda x: ravel_pytree(field(model, unravel(x)))[0])
    run = solve_ivp(lambda t, x: np.asarray(f(x)), (0, 20_000), x0, "LSODA", rtol=1e-10, atol=1e-12)
    assert np.allclose(run.y[:2, -1], [-83.6168, -84.4401], atol=1e-4)


# Ions


def test_kionex_spikes_the_more_the_more_potassium_until_it_is_blocked():
    model = nmm.KIonEx(K_bath=[5.5, 10.0, 15.0, 20.0])
    sol = nmm.simulate(model, t1=20_000.0, dt=0.01, save=["V"], save_every=0.5, transient=10_000.0)
    ts, V = np.asarray(sol.ts), np.asarray(sol["V"])
    counts = [len(crossings(ts, x, -31.0)) / 10 for x in V.T]
    assert np.allclose(counts, [0.0, 27.3, 71.7, 0.0], atol=0.15), counts
    assert abs(V[-1, 0] + 73.4) < 0.1 and abs(V[-1, 3] + 20.31) < 0.05


def test_kionex_is_finite_where_potassium_outside_would_be_negative():
    model = nmm.KIonEx()
    y = at(model, 0.1, -70.0, 0.1, 0.0, -20.0)
    assert model.K_o(y) < 0
    assert np.all(np.isfinite(jacobian(model, y)))


# Morris–Lecar


@pytest.mark.parametrize("I, guess, V", ((0.0, -50.0, -49.9921902), (250.0, -4.0, -3.7874542)))
def test_morris_lecar_rests_at_the_known_potentials(I, guess, V):
    point, values = rest(nmm.MorrisLecar(I=I), guess, 0.0 if I == 0 else 0.4)
    assert abs(point[0] - V) < 6e-8 and values[0].real < 0


def test_morris_lecar_oscillates_under_current():
    model = nmm.MorrisLecar.preset("oscillating")
    period, low, high, _ = cycle(model, (-40.0, 0.0), 500, 800)
    assert abs(period - 27.5888) < 6e-4
    assert np.allclose([low[0], high[0]], [-9.85, 9.99], atol=6e-3)
