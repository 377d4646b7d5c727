"""Feedback inhibition control: every region at its target, and until which coupling it rests."""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.optimize
from helpers import field
from tiny import Relax

import nmm

NOISE = nmm.noise.White(S_e=0.01, S_i=0.01)


def network(G, regions=10):
    conn = nmm.datasets.load_connectome("dk84").subset(range(20, 20 + regions))
    conn = conn.scale("spectral_radius")
    return nmm.Network(nmm.WongWangExcInh(), conn, nmm.coupling.Linear(G=G))


def published(net, rate=3.0):
    """The closed form of the sheet of the paper: all regions share S_e, S_i and x_e."""

    def H(x, a, b, d):
        return (a * x - b) / (1 - np.exp(-d * (a * x - b)))

    x_e = scipy.optimize.brentq(lambda x: H(x, 310, 125, 0.16) - rate, 0.3, 0.4, xtol=1e-15)
    S_e = 0.0641 * rate / (1 + 0.0641 * rate)
    S_i = scipy.optimize.brentq(
        lambda s: 0.01 * H(0.15 * S_e - s + 0.7 * 0.382, 615, 177, 0.087) - s, 0, 0.2, xtol=1e-15
    )
    heard = net.coupling.G * S_e * net.connectome.strength
    return (1.4 * 0.15 * S_e + 0.382 + 0.15 * heard - x_e) / S_i


@pytest.mark.parametrize("G", (0.0, 0.66))
def test_start_is_the_published_closed_form(G):
    net = network(G)
    np.testing.assert_allclose(nmm.balance(net).weights, published(net), rtol=1e-9)
    if G == 0:
        np.testing.assert_allclose(nmm.balance(net).weights, 1.0107, atol=5e-5)


def test_noise_free_network_rests_at_the_target():
    node = nmm.WilsonCowan(P=jnp.array([1.0, 1.5, 2.0]))
    weights = jnp.array([[0.0, 1.0, 0.2], [0.5, 0.0, 1.0], [1.0, 0.3, 0.0]])
    net = nmm.Network(node, weights, nmm.coupling.Linear(G=0.5))
    tuned = nmm.balance(net, 0.1)
    assert tuned.network.node.weights.shape == (2, 2, 3) and tuned.stable and tuned.converged
    np.testing.assert_array_equal(tuned.network.node.weights[1, 0], 13.0)
    np.testing.assert_array_equal(tuned.network.node.weights[0, 1], tuned.weights)
    end = nmm.simulate(tuned.network, 50.0, 0.1, save=[]).y1
    start = tuned.network.State(rE=jnp.full(3, 0.1), rI=end.rI)
    slope = field(tuned.network, start)
    np.testing.assert_allclose(end.rE, 0.1, rtol=1e-6)
    np.testing.assert_allclose(slope.rE, 0.0, atol=1e-7)


def test_delays_do_not_move_the_rest_and_are_kept():
    conn = nmm.datasets.load_connectome("dk84").subset(range(3))
    parts = nmm.WongWangExcInh(), conn, nmm.coupling.Linear(G=0.5)
    delayed, at_once = nmm.balance(nmm.Network(*parts, speed=3.0)), nmm.balance(nmm.Network(*parts))
    np.testing.assert_array_equal(delayed.weights, at_once.weights)
    assert delayed.network.delayed


def test_regions_with_parameters_of_their_own_reach_targets_of_any_signal():
    net = eqx.tree_at(lambda n: n.node.w_p, network(0.3, 3), jnp.array([1.2, 1.4, 1.5]))
    by_rate = nmm.balance(net)
    S_e = 0.0641 * 3 / (1 + 0.0641 * 3)
    by_state = nmm.balance(net, S_e, rate="S_e", weight="J_i")
    np.testing.assert_allclose(by_state.weights, by_rate.weights, rtol=1e-9)
    assert np.ptp(by_rate.weights) > 0.1


def test_rounds_hold_noisy_regions_where_the_closed_form_runs_away():
    net = network(1.9)
    tuned = nmm.balance(net, noise=NOISE, key=jr.key(0))
    assert tuned.converged and not tuned.stable and "unstable" in repr(tuned)
    rounds = tuned.history["rates"]
    assert jnp.max(rounds[0]) > 10 and len(rounds) < 50
    # A minute that the control has not seen.
    average = {"rate": nmm.observe.TemporalAverage(2_000.0, "H_e")}
    run = {"t1": 20_000.0, "dt": 1.0, "noise": NOISE, "save": average, "transient": 2_000.0}
    new = [nmm.simulate(tuned.network, key=jr.key(i), **run)["rate"] for i in (1, 2, 3)]
    rates = np.mean(np.concatenate(new), axis=0)
    assert rates.min() > 2.6 and rates.max() < 3.6
    # The same run again, from the same key.
    again = nmm.balance(net, noise=NOISE, key=jr.key(0), rounds=1)
    np.testing.assert_array_equal(again.rates, rounds[0])
    assert not again.converged and "outside" in repr(again)


@pytest.mark.thorough
@pytest.mark.parametrize("name", ("dk84", "schaefer100"))
@pytest.mark.parametrize("times_radius", (0.0, 0.95, 1.9))
def test_every_region_is_brought_to_the_published_range(name, times_radius):
    conn = nmm.datasets.load_connectome(name).scale("spectral_radius")
    net = nmm.Network(nmm.WongWangExcInh(), conn, nmm.coupling.Linear(G=times_radius))
    tuned = nmm.balance(net, noise=NOISE, key=jr.key(0))
    assert tuned.converged
    average = {"rate": nmm.observe.TemporalAverage(2_000.0, "H_e")}
    run = {"t1": 62_000.0, "dt": 1.0, "noise": NOISE, "save": average, "transient": 2_000.0}
    rates = np.mean(nmm.simulate(tuned.network, key=jr.key(1), **run)["rate"], axis=0)
    assert rates.min() > 2.6 and rates.max() < 3.6


def test_critical_coupling_is_where_the_largest_growth_rate_changes_its_sign():
    critical = nmm.critical_coupling(network(0.5, 5))
    assert 1.2 < critical < 1.6
    assert nmm.balance(network(critical - 0.006, 5)).growth < 0
    assert nmm.balance(network(critical + 0.001, 5)).growth > 0
    assert nmm.critical_coupling(network(0.5, 5), upper=1.0) == np.inf


def test_a_round_that_ends_in_nan_does_not_spoil_the_next(monkeypatch):
    starts = []

    def round_(network, control, noise, state, *rest):
        starts.append(state)
        bad = len(starts) == 1
        lost = eqx.tree_at(lambda s: s.S_e, state, state.S_e * (jnp.nan if bad else 1.0))
        return jnp.full(network.shape, jnp.nan if bad else 3.0), lost

    monkeypatch.setattr("nmm._balance._round", round_)
    tuned = nmm.balance(network(0.66), noise=NOISE, key=jr.key(0), rounds=6)
    assert len(starts) == 4 and tuned.converged
    np.testing.assert_array_equal(starts[1].S_e, starts[0].S_e)
    weights = tuned.history["weights"]
    np.testing.assert_allclose(weights[1], 1.1 * weights[0], rtol=1e-6)


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(target=-1.0), "`target` should be a positive rate, got -1.0"),
        (dict(accepted=(4.0, 5.0)), "`accepted` should hold the target, 3.0, got"),
        (dict(noise=NOISE), "`key` should be given, since there is noise"),
        (dict(noise=NOISE, key=jr.key(0), rounds=0), "`rounds` should be at least 1 .* got 0"),
        (dict(rate="H_e"), "`rate` and `weight` should be given both, got 'H_e' and None"),
        (dict(rate="H_e", weight="J"), r"`weight` should be a parameter .* got 'J'"),
        (dict(rate="H_e", weight=("J_i", 0)), r"`weight` .* got \('J_i', 0\)"),
        (
            dict(target=3.0, rate="rate", weight="J_i"),
            "'rate' is neither a state variable nor an observable",
        ),
    ],
)
def test_impossible_arguments_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        nmm.balance(network(0.5, 2), **change)


def test_impossible_targets_and_models_are_refused():
    silent = eqx.tree_at(lambda n: n.node.I_o, network(0.5, 3), jnp.array([0.382, 0.3, 0.382]))
    name = silent.labels[1]
    with pytest.raises(ValueError, match=f"negative inhibition .* the regions \\['{name}'\\] to 3"):
        nmm.balance(silent)
    weights = jnp.ones((2, 2))
    with pytest.raises(ValueError, match="`rate` and `weight` should be given for `Relax`"):
        nmm.balance(nmm.Network(Relax(), weights), 1.0)
    with pytest.raises(ValueError, match="`target` should be given for `WilsonCowan`"):
        nmm.balance(nmm.Network(nmm.WilsonCowan(), weights))
    bare = nmm.Network(nmm.WongWangExcInh(), jnp.zeros((2, 2)))
    with pytest.raises(ValueError, match="`upper` should be given where the spectral radius .* 0"):
        nmm.critical_coupling(bare)
    with pytest.raises(ValueError, match="`network` should have one coupling, with a scalar `G`"):
        nmm.critical_coupling(network(jnp.ones(2), 2))
