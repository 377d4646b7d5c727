"""Known numbers of Wilson–Cowan circuits: equilibria, basins, the limit cycle."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import (
    eigenvalues,
    fixed_point,
    period_of,
    solve,
)
from scipy.optimize import brentq

import nmm


def wilson_cowan_state(rE, rI):
    return nmm.WilsonCowan.State(rE=jnp.array(rE), rI=jnp.array(rI))


@pytest.mark.parametrize(
    "point, values",
    (
        ((0.0, 0.0), (-0.5922, -1.1349)),
        ((0.17804, 0.06280), (0.7343, -1.5994)),
        ((0.46246, 0.24336), (-1.434, -2.881)),
    ),
)
def test_wilson_cowan_has_two_stable_states_and_a_saddle(point, values):
    model = nmm.WilsonCowan()
    found = fixed_point(model, wilson_cowan_state(*point))
    assert np.allclose([found.rE, found.rI], point, atol=5e-6)
    assert np.allclose(eigenvalues(model, found), values, atol=5e-4)


def test_wilson_cowan_basins_and_driven_states():
    model = nmm.WilsonCowan(P=[0.0] * 4 + [1.0, 2.0], Q=[0.0] * 5 + [0.5])
    y0 = wilson_cowan_state([0.1, 0.17, 0.2, 0.3, 0.0, 0.0], [0.05, 0.06, 0.06, 0.1, 0.0, 0.0])
    end = solve(model, y0, jnp.array([0.0, 200.0]))
    rest, up = (0.0, 0.0), (0.46246, 0.24336)
    expected = np.array([rest, rest, up, up, (0.484306, 0.258463), (0.489123, 0.288168)])
    assert np.allclose(end.rE[-1], expected[:, 0], atol=5e-6)
    assert np.allclose(end.rI[-1], expected[:, 1], atol=5e-6)


def test_wilson_cowan_limit_cycle_has_the_known_period_range_and_drive():
    # By region: six drives; the paper's k = sup F; two other time constants.
    P = np.array([1.05, 1.1, 1.25, 1.5, 1.8, 2.0, 1.25, 1.25, 1.25])
    tau = np.array([8.0] * 7 + [10.0, 1.0])
    k_E, k_I = np.ones(9), np.ones(9)
    k_E[6], k_I[6] = 1 - 1 / (1 + math.exp(1.3 * 4.0)), 1 - 1 / (1 + math.exp(2.0 * 3.7))
    model = nmm.WilsonCowan.preset("limit_cycle", P=P, tau_E=tau, tau_I=tau, k_E=k_E, k_I=k_I)
    ts = np.arange(2000.0, 2500.0, 0.02)
    states = solve(model, model.initial_state(), jnp.asarray(np.concatenate([[0.0], ts])))
    rE, rI = np.asarray(states.rE[1:]), np.asarray(states.rI[1:])
    cycling = [1, 2, 3, 4, 7, 8]
    periods = [period_of(ts, rE[:, i]) for i in cycling]
    assert np.allclose(periods, [74.85, 40.027, 26.709, 20.174, 50.034, 5.0034], rtol=1e-4)
    assert np.all(np.ptp(rE[:, [0, 5]], axis=0) < 1e-3)  # no cycle on either side
    assert np.allclose([rE[:, 2].min(), rE[:, 2].max()], [0.10152, 0.27149], atol=1e-5)
    assert np.allclose([rI[:, 2].min(), rI[:, 2].max()], [0.02141, 0.19745], atol=1e-5)
    assert abs(abs(period_of(ts, rE[:, 6]) / periods[1] - 1) - 1.5e-3) < 1e-4


def test_wilson_cowan_cycle_ends_in_a_hopf_bifurcation():
    def largest(P):
        model = nmm.WilsonCowan.preset("limit_cycle", P=P)
        return eigenvalues(model, fixed_point(model, wilson_cowan_state(0.22, 0.12)))[0]

    P = brentq(lambda P: largest(P).real, 1.85, 2.0, xtol=1e-9)
    assert abs(P - 1.909) < 5e-4
    assert abs(largest(P).imag - 0.3369) < 5e-5  # rad/ms, a period of 18.65 ms
