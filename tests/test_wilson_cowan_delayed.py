"""Wilson–Cowan populations that hear each other late."""

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import field, golden, period_of

import nmm

swapped = [[12.0, 13.0], [4.0, 11.0]]  # the strengths between E and I as brainmass has them
usual = [[12.0, 4.0], [13.0, 11.0]]


def test_equation_with_delayed_rates_given_equals_that_of_brainmass():
    arrays, entry = golden("rhs_wilson_cowan_delayed")["brainmass/WilsonCowanDelayed"]
    p = dict(zip(entry["parameters"], arrays["params"].T, strict=True))
    given = dict(zip(entry["inputs"], arrays["inputs"].T, strict=True))
    node = nmm.WilsonCowan(
        tau_E=p["tau_E"],
        tau_I=p["tau_I"],
        r_E=p["r"],
        r_I=p["r"],
        transfer_E=nmm.Sigmoid(a=p["a_E"], theta=p["theta_E"]),
        transfer_I=nmm.Sigmoid(a=p["a_I"], theta=p["theta_I"]),
        weights=jnp.zeros((2, 2)),
    )
    heard = [
        given[f"r{k}_inp"]
        + p[f"w{k}E"] * given[f"rE_delayed_to_{k}"]
        - p[f"w{k}I"] * given[f"rI_delayed_to_{k}"]
        for k in "EI"
    ]
    slope = field(node, node.State(*jnp.asarray(arrays["state"].T)), node.Inputs(*heard))
    assert np.allclose(np.stack([slope.rE, slope.rI], axis=-1), arrays["dstate"], rtol=1e-12)


def test_delays_move_no_equilibrium():
    P, Q = np.array([1.0, 1.0, 2.0, 2.0]), np.array([0.0, 0.0, 0.5, 0.5])
    weights = np.stack([usual, swapped, usual, swapped], axis=-1)
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
