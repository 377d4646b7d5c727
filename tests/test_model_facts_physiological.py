"""Known numbers of decisions, conductances and seizures: equilibria, thresholds, exponents."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import (
    crossings,
    eigenvalues,
    field,
    fixed_point,
    lyapunov_exponent,
    period_of,
    solve,
)
from scipy.optimize import brentq
from scipy.signal import lfilter

import nmm


def at(model, *values):
    """A state of a model, its variables in order."""
    return model.State(*(jnp.asarray(x, float) for x in values))


def leading(model, state):
    return eigenvalues(model, state)[0]


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
    assert leading(model, state).real < 0
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
    assert np.allclose(fraction, [0.511, 0.716, 0.886, 0.991, 1.0], atol=0.07)
    assert np.allclose(np.nanmean(late, axis=1), [661, 641, 591, 475, 359], atol=30)


def test_wong_wang_of_brainmass_never_decides():
    model = nmm.WongWang.preset("brainmass", coherence=[0.0, 0.128, 0.512, 1.0])
    end = solve(model, at(model, np.zeros(4), np.zeros(4)), jnp.array([0.0, 10_000.0]))
    end = jax.tree.map(lambda x: x[-1], end)
    r1, r2 = model.r1(end, model.Inputs()), model.r2(end, model.Inputs())
    assert np.allclose([end.S1[0], end.S2[0]], 0.7597, atol=6e-5) and abs(r1[0] - 49.3) < 0.06
    assert np.all((r1 > 46.5) & (r1 < 52.5) & (r2 > 46.5) & (r2 < 52.5))


def test_wong_wang_decision_names_the_faster_pool_above_threshold():
    model = nmm.WongWang()
    state = at(model, [0.66, 0.05, 0.1], [0.05, 0.66, 0.1])
    assert np.array_equal(model.decision(state, model.Inputs()), [1.0, 2.0, 0.0])


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
        assert np.allclose(leading(model, state), -2.01332 + 2.28963j, atol=6e-6)
        assert abs(model.synchrony(state) - 0.4219) < 5e-5
        assert np.allclose(model.conductance(state), math.pi * r)


def test_coombes_byrne_without_synapses_is_montbrio_pazo_roxin_without_recurrence():
    r, v = jnp.asarray(np.random.default_rng(2).uniform(0, 1, (2, 100)))
    ours, other = nmm.CoombesByrne(k=0.0), nmm.MontbrioPazoRoxin(J=0.0, eta=2.0)
    one, two = field(ours, at(ours, r, v)), field(other, at(other, r, v))
    assert np.allclose([one.r, one.v], [two.r, two.v], rtol=1e-14, atol=1e-15)
    rest = fixed_point(ours, at(ours, 0.4, -0.3))
    assert np.allclose(jax.tree.leaves(rest), [0.463251, -0.343561], atol=1e-6)


# Larter–Breakspear


def alstott(d, **parameters):
    return nmm.LarterBreakspear(gCa=1.0, aee=0.36, d_V=d, d_Z=d, **parameters)


def larter_breakspear_rest(model):
    return fixed_point(model, at(model, -0.18, 0.23, 0.1))


@pytest.mark.parametrize("build", (lambda d: nmm.LarterBreakspear(d_V=d), alstott))
def test_larter_breakspear_equilibrium_depends_on_the_inhibitory_drive_alone(build):
    model = build(0.5)
    state = larter_breakspear_rest(model)
    assert abs(state.V + 0.186526) < 1e-6 and np.allclose(state.W, model.m_K(state))
    assert np.allclose(0.4 * 0.3 + 2.0 * state.V * model.Q_V(state), 0.0)


def test_larter_breakspear_rests_at_the_known_point():
    model = nmm.LarterBreakspear(d_V=0.5)
    state = larter_breakspear_rest(model)
    assert np.allclose(jax.tree.leaves(state), [-0.186526, 0.223826, 0.104447], atol=1e-6)
    assert leading(model, state).real < 0


@pytest.mark.parametrize(
    "build, expected, period",
    (
        (lambda d: nmm.LarterBreakspear(d_V=d), 0.51527, 9.26),
        (alstott, 0.57071, 8.56),
        (functools.partial(alstott, C=0.0), 0.56353, None),
    ),
)
def test_larter_breakspear_starts_to_oscillate_at_the_known_slope(build, expected, period):
    def largest(d):
        model = build(d)
        return leading(model, larter_breakspear_rest(model))

    d = brentq(lambda d: largest(d).real, 0.5, 0.6, xtol=1e-9)
    assert abs(d - expected) < 6e-6
    assert period is None or abs(2 * math.pi / largest(d).imag - period) < 6e-3


def test_larter_breakspear_cycles_have_the_known_ranges():
    model = alstott([0.58, 0.60])
    ts = np.arange(8000.0, 9000.0, 0.05)
    start = at(model, [-0.18] * 2, [0.23] * 2, [0.1] * 2)
    states = solve(model, start, jnp.asarray(np.concatenate([[0.0], ts])), tol=1e-9)
    V = np.asarray(states.V[1:])
    assert abs(period_of(ts, V[:, 0]) - 8.69) < 0.01
    ranges = [V[:, 0].min(), V[:, 0].max(), V[:, 1].min(), V[:, 1].max()]
    assert np.allclose(ranges, [-0.1976, -0.1384, -0.219, -0.116], atol=6e-4)


@pytest.mark.slow
def test_larter_breakspear_is_chaotic_only_where_it_is_known_to_be():
    usual = {"gCa": 1.1, "aee": 0.4, "d_Z": 0.7, "C": 0.1}
    cases = [
        # parameters, exponent per ms
        *(({**usual, "d_V": d}, 0.0) for d in (0.53, 0.57, 0.60, 0.65, 0.70)),
        ({**usual, "d_V": 0.50}, -0.032),
    ]
    for d, C, exponent in (
        *((d, 0.1, 0.0) for d in (0.58, 0.60, 0.61)),
        *((0.62, 0.1, 0.0128), (0.63, 0.1, 0.0105), (0.65, 0.1, 0.0093), (0.70, 0.1, 0.0075)),
        *((0.61, 0.0, 0.0079), (0.65, 0.0, 0.0097)),
    ):
        cases.append(({"gCa": 1.0, "aee": 0.36, "d_Z": d, "d_V": d, "C": C}, exponent))
    sets, expected = zip(*cases, strict=True)
    model = nmm.LarterBreakspear(**{k: [s[k] for s in sets] for k in sets[0]})
    found = lyapunov_exponent(model, model.initial_state(), 0.05, 400_000, 20_000)
    # Of a chaotic run, the exponent is known to what a run of 19 s tells.
    tolerance = np.where(np.array(expected) > 0, 3e-3, 5e-4)
    assert np.all(np.abs(found - np.array(expected)) < tolerance), found


# Epileptor


@functools.cache
def epileptor_runs():
    """x1 and z from the default start, for parameters of the tests below, a region each."""
    usual = {"x0": -1.6, "r": 0.00035, "tt": 1.0, "modification": 0.0}
    cases = {
        **{x0: {"x0": x0} for x0 in (-1.6, -1.8, -2.0, -2.03, -2.05, -2.06)},
        **{x0: {"x0": x0} for x0 in (-2.07, -2.1, -2.2, -2.4)},
        "fast": {"r": 0.0035},
        "half": {"tt": 0.5},
        **{f"sigmoidal {x0}": {"modification": 1.0, "x0": x0} for x0 in (1.0, 1.5, 2.0, 2.9, 3.0)},
    }
    sets = [{**usual, **parameters} for parameters in cases.values()]
    model = nmm.Epileptor(**{k: [s[k] for s in sets] for k in usual})
    sol = nmm.simulate(
        model,
        t1=20_000.0,
        dt=0.05,
        solver=nmm.RungeKutta4(),
        save=["x1", "z", "lfp"],
        save_every=0.25,
    )
    series = (np.asarray(sol[k]).T for k in ("x1", "z", "lfp"))
    return np.asarray(sol.ts), {k: v for k, *v in zip(cases, *series, strict=True)}


def seizures(ts, x1, gap):
    """Times of the discharges of each seizure."""
    spikes = crossings(ts, x1)
    return np.split(spikes, np.flatnonzero(np.diff(spikes) > gap) + 1)


def test_epileptor_has_the_known_seizures():
    ts, runs = epileptor_runs()
    x1, z, lfp = runs[-1.6]
    found = seizures(ts, x1, 300.0)
    onsets = np.array([spikes[0] for spikes in found])
    assert abs(onsets[0] - 604) < 1 and np.allclose(np.diff(onsets), 1933.3, atol=1.0)
    spikes = found[1]
    # The last discharge of a seizure just reaches 0 or just does not: 98 with finer steps.
    assert len(spikes) in (97, 98) and 682 < spikes[-1] - spikes[0] < 685
    assert abs(np.interp(spikes[0], ts, z) - 2.856) < 2e-3 and abs(z.max() - 4.143) < 2e-3
    assert np.allclose([x1.min(), x1.max()], [-1.993, 1.58], atol=5e-3)
    assert np.allclose([lfp.min(), lfp.max()], [-2.73, 2.41], atol=1e-2)
    first, last = (np.sum(spikes < spikes[0] + 100), np.sum(spikes > spikes[-1] - 100))
    assert abs(first / 100 - 0.20) < 0.02 and abs(last / 100 - 0.06) < 0.015


def test_epileptor_seizes_the_less_the_lower_x0_and_not_at_all_below_the_threshold():
    ts, runs = epileptor_runs()
    for x0, interval in ((-1.8, 2010), (-2.0, 2430), (-2.03, 2590), (-2.05, 2750), (-2.06, 2920)):
        onsets = [spikes[0] for spikes in seizures(ts, runs[x0][0], 300.0)]
        assert np.allclose(np.diff(onsets[1:]), interval, atol=12), x0
    for x0 in (-2.07, -2.1, -2.2, -2.4):
        assert runs[x0][0].max() < -1.3


def test_epileptor_time_scales_with_r_and_tt():
    ts, runs = epileptor_runs()
    fast = [spikes[0] for spikes in seizures(ts, runs["fast"][0], 50.0)]
    assert abs(np.mean(np.diff(fast[2:])) - 253) < 3
    half = [spikes[0] for spikes in seizures(ts, runs["half"][0], 600.0)]
    assert np.allclose(np.diff(half), 3870, atol=10)


def test_epileptor_with_the_sigmoid_seizes_and_recovers_for_x0_from_1_5_to_2_9():
    ts, runs = epileptor_runs()
    for x0, least in ((1.5, 3), (2.0, 3), (2.9, 1)):
        x1 = runs[f"sigmoidal {x0}"][0]
        found = seizures(ts, x1, 300.0)
        assert len(found) >= least and np.any(x1[ts > found[0][-1]] < -1.4), x0
    x1, z, _ = runs["sigmoidal 1.0"]
    assert np.all(x1[ts > 10_000] > 0) and abs(z[-1] - 3.996) < 1e-3  # it never ends
    assert len(crossings(ts, runs["sigmoidal 3.0"][0])) == 0
    with pytest.raises(nmm.DivergenceError):
        nmm.simulate(nmm.Epileptor(modification=1.0), t1=20_000.0, dt=0.1, save=["lfp"])


def interictal(x0):
    """The equilibrium of the first population below 0, from its polynomial."""
    (x1,) = (x.real for x in np.roots([-1, -2, -4, 4 * x0 + 1 + 3.1]) if abs(x.imag) < 1e-9)
    return x1, 1 - 5 * x1**2, 4 * (x1 - x0)


def test_epileptor_interictal_point_loses_stability_at_the_known_x0():
    def state(model, x0):
        x1, y1, z = interictal(x0)
        return fixed_point(model, at(model, x1, y1, z, -1.0, 0.0, 0.1 * x1))

    def largest(x0):
        model = nmm.Epileptor(x0=x0)
        return leading(model, state(model, x0)).real

    critical = brentq(largest, -2.1, -2.0, xtol=1e-9)
    assert abs(critical + 2.060459) < 2e-6
    model = nmm.Epileptor(x0=critical)
    found = state(model, critical)
    assert np.allclose([found.x1, found.z], [-1.331754, 2.914820], atol=2e-6)
    assert np.allclose([found.x1, found.y1, found.z], interictal(critical), atol=1e-9)
    assert np.allclose(found.g, 0.1 * found.x1)
