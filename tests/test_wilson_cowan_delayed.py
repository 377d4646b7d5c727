"""Wilson–Cowan populations that hear each other late."""

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import golden, period_of

import nmm


def ours():
    """Our circuit with the parameters of brainmass, the inputs, a state and its derivative."""
    arrays, entry = golden("rhs_wilson_cowan_delayed")["brainmass/WilsonCowanDelayed"]
    p = dict(zip(entry["parameters"], arrays["params"].T, strict=True))
    node = nmm.WilsonCowan(
        tau_E=p["tau_E"],
        tau_I=p["tau_I"],
        r_E=p["r"],
        r_I=p["r"],
        transfer_E=nmm.Sigmoid(a=p["a_E"], theta=p["theta_E"]),
        transfer_I=nmm.Sigmoid(a=p["a_I"], theta=p["theta_I"]),
        weights=jnp.array([[p[f"w{i}{j}"] for j in "EI"] for i in "EI"]),
    )
    given = dict(zip(entry["inputs"], arrays["inputs"].T, strict=True))
    return node, given, node.State(*jnp.asarray(arrays["state"].T)), arrays["dstate"].T


def test_equation_with_delayed_rates_given_equals_that_of_brainmass():
    node, given, state, expected = ours()
    delays = {"EE": 2.0, "EI": 1.5, "IE": 2.7, "II": 0.4}
    matrix = [[delays[i + j] for j in "EI"] for i in "EI"]
    net = nmm.wilson_cowan_delayed(node, matrix, regions=len(state.rE))

    def past(t):
        """Straight lines through what was sent to E and what was sent to I."""
        sent = {}
        for k in "EI":
            to_E, to_I = (given[f"r{k}_delayed_to_{i}"] for i in "EI")
            slope = (to_E - to_I) / (delays[f"I{k}"] - delays[f"E{k}"])
            sent[f"r{k}"] = to_E + slope * (t + delays[f"E{k}"])
        return node.State(**sent)

    inputs = node.Inputs(rE_inp=given["rE_inp"], rI_inp=given["rI_inp"])
    run = {"y0": state, "history": past, "inputs": inputs, "solver": nmm.Euler()}
    moved = nmm.simulate(net, 0.1, 0.1, save=[], **run).y1
    found = [(moved.rE - state.rE) / 0.1, (moved.rI - state.rI) / 0.1]
    assert np.allclose(found, expected, rtol=1e-10)


def test_delays_move_no_equilibrium():
    P, Q = np.array([1.0, 1.0, 2.0, 2.0]), np.array([0.0, 0.0, 0.5, 0.5])
    circuits = (nmm.WilsonCowan(), nmm.WilsonCowan.preset("brainmass_delayed")) * 2
    weights = np.stack([circuit.weights for circuit in circuits], axis=-1)
    net = nmm.wilson_cowan_delayed(nmm.WilsonCowan(weights=weights, P=P, Q=Q), regions=4)
    end = nmm.simulate(net, 300.0, 0.1, save=[]).y1
    assert np.allclose(end.rE, [0.484306, 0.487165, 0.489123, 0.489768], atol=2e-6)
    assert np.allclose(end.rI, [0.258463, 0.049138, 0.288168, 0.068530], atol=2e-6)


def test_delays_slow_the_cycle_down_as_known():
    delays = np.stack([np.zeros((2, 2)), [[2.0, 1.5], [2.0, 1.5]], np.full((2, 2), 5.0)], axis=-1)
    circuit = nmm.WilsonCowan.preset("limit_cycle")
    net = nmm.wilson_cowan_delayed(circuit, delays, regions=3)
    sol = nmm.simulate(net, 2500.0, 0.05, save=["rE"], transient=1000.0)
    rE = np.asarray(sol["rE"])
    periods = [period_of(sol.ts, x) for x in rE.T]
    assert abs(periods[0] - 40.027) < 0.002
    assert np.allclose(periods[1:], [97.8, 147.1], rtol=0.005)
    known = ((0.10152, 0.27149), (0.0357, 0.3345), (0.0168, 0.4040))
    assert np.allclose(np.stack([rE.min(axis=0), rE.max(axis=0)], axis=1), known, atol=1e-3)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"`delays` should have the shape \(2, 2\)"):
        nmm.wilson_cowan_delayed(delays=np.ones((3, 3)))
    with pytest.raises(ValueError, match="`node` should have `nmm.Subtractive` inhibition"):
        nmm.wilson_cowan_delayed(nmm.WilsonCowan.preset("divisive_gain"))
