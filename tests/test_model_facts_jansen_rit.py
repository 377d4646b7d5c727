"""Known numbers of the Jansen–Rit column: synapses, bifurcations, cycles."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import (
    eigenvalues,
    fixed_point,
    jacobian,
    period_of,
    solve,
)
from scipy.optimize import brentq
from scipy.signal import hilbert

import nmm


def test_jansen_rit_sigmoid_is_half_at_its_midpoint():
    model = nmm.JansenRit()
    assert np.allclose(model.sigmoid(jnp.array([6.0, 0.0])) * 1000, [2.5, 0.167846], atol=5e-7)


def test_jansen_rit_synapses_have_the_known_impulse_response_and_gain():
    model = nmm.JansenRit(s_max=0.0, p=0.0)  # nothing but the synapses
    kick = {"Mv": model.Ae * model.be, "Ev": model.Ae * model.be, "Iv": model.Ai * model.bi}
    at_rest = {name: jnp.array(0.0) for name in ("M", "E", "I")}
    ts = np.array([0.0, 5.0, 10.0, 20.0, 60.0])
    states = solve(model, model.State(**at_rest, **kick), jnp.asarray(ts))
    for signal, gain, rate in ((states.M, 3.25, 0.1), (states.E, 3.25, 0.1), (states.I, 22, 0.05)):
        assert np.allclose(signal, gain * rate * ts * np.exp(-rate * ts), atol=1e-8)
    assert np.allclose([states.E[2], states.I[3]], [1.1956, 8.0933], atol=5e-5)  # the peaks
    steady = fixed_point(nmm.JansenRit(s_max=0.0, p=0.001), model.initial_state())
    assert np.allclose(steady.E, 0.0325)  # mV per Hz
    steady = fixed_point(nmm.JansenRit(C=1.0, a3=0.0), model.initial_state())
    assert np.allclose(steady.I / (0.25 * nmm.JansenRit().sigmoid(jnp.array(0.0))), 440.0)


def jansen_rit_equilibrium(model, eeg):
    """The state at rest with this EEG, and the input that it takes: all equilibria, in one line."""
    A, B, S, C = model.Ae / model.be, model.Ai / model.bi, model.sigmoid, model.C
    M = A * S(eeg)
    I = B * model.a4 * C * S(model.a3 * C * M)
    E = eeg + I
    p = E / A - model.a2 * C * S(model.a1 * C * M)
    zero = jnp.zeros_like(eeg)
    return model.State(M=M, E=E, I=I, Mv=zero, Ev=zero, Iv=zero), p


def jansen_rit_bifurcations(v0):
    """Saddle-nodes, and Hopf bifurcations with their frequencies, in Hz, in order."""
    model = nmm.JansenRit(v0=v0)

    @jax.jit
    def at(eeg):
        state, p = jansen_rit_equilibrium(model, eeg)
        slope = jax.grad(lambda x: jansen_rit_equilibrium(model, x)[1])(eeg)
        return p, slope, jacobian(model, state)

    def leading_pair(eeg):
        values = np.linalg.eigvals(np.asarray(at(eeg)[2]))
        pairs = values[values.imag > 1e-9]
        return pairs[np.argmax(pairs.real)]

    grid = np.linspace(-5.0, 15.0, 801)
    slopes = np.array([at(x)[1] for x in grid])
    reals = np.array([leading_pair(x).real for x in grid])

    def roots(function, samples):
        at_sign_changes = np.flatnonzero(np.diff(np.sign(samples)))
        return [brentq(function, grid[k], grid[k + 1], xtol=1e-10) for k in at_sign_changes]

    nodes = sorted(1000 * float(at(x)[0]) for x in roots(lambda x: float(at(x)[1]), slopes))
    # Where two real eigenvalues meet, the leading pair is another one and its sign may jump.
    crossings = [
        x for x in roots(lambda x: leading_pair(x).real, reals) if abs(leading_pair(x).real) < 1e-8
    ]
    hopf = [(1000 * float(at(x)[0]), 1000 * leading_pair(x).imag / 2 / np.pi) for x in crossings]
    return nodes, sorted(hopf)


@pytest.mark.parametrize(
    "v0, nodes, hopf",
    (
        (6.0, (-41.30, 113.59), ((-12.147, 7.239), (89.829, 10.377), (315.696, 11.164))),
        (5.52, (-13.82, 111.79), ((516.07, None),)),
        (5.9, None, ((3.14, None), (65.39, None), (364.25, None))),
    ),
)
def test_jansen_rit_bifurcates_at_the_published_inputs(v0, nodes, hopf):
    found_nodes, found_hopf = jansen_rit_bifurcations(v0)
    if nodes is not None:
        assert np.allclose(found_nodes, nodes, atol=0.006)
    assert np.allclose([p for p, _ in found_hopf], [p for p, _ in hopf], atol=0.01)
    for (_, found), (_, frequency) in zip(found_hopf, hopf, strict=True):
        assert frequency is None or abs(found - frequency) < 6e-4


def test_jansen_rit_equilibria_without_input_and_in_the_alpha_cycle():
    quiet, driven = nmm.JansenRit(p=0.0), nmm.JansenRit()
    state = fixed_point(quiet, quiet.initial_state())
    assert np.allclose([state.M, state.E, state.I], [0.00192064, 0.677651, 2.581452], rtol=5e-6)
    assert np.allclose(quiet.eeg(state), -1.903802, atol=5e-7)
    assert np.all(eigenvalues(quiet, state).real < 0)
    sinusoidal = nmm.JansenRit(p=80 * nmm.units.Hz)  # the mean input of that scenario
    rest = fixed_point(sinusoidal, quiet.initial_state())
    assert abs(sinusoidal.eeg(rest) - 0.7716) < 6e-5 and eigenvalues(sinusoidal, rest)[0].real < 0
    state, p = jansen_rit_equilibrium(driven, jnp.array(7.520290))
    assert abs(1000 * p - 220) < 1e-4
    assert np.allclose([state.M, state.E, state.I], [0.113889, 24.608385, 17.088095], rtol=5e-6)
    assert eigenvalues(driven, state)[0].real > 0


@functools.cache
def jansen_rit_runs():
    """EEG after 10 s, for the inputs of the table below, each a region of its own."""
    cases = [
        # p in Hz, v0, frequency in Hz to the digits that are known, least and largest EEG
        (150, 6.0, "10.6231", 5.794, 8.434),
        (180, 6.0, "10.775", 5.852, 8.763),
        (220, 6.0, "10.9380", 6.088, 9.034),
        (250, 6.0, "11.030", 6.382, 9.102),
        (300, 6.0, "11.1371", 7.243, 8.772),
        (114, 6.0, "0.944", 0.90, 10.99),
        (120, 6.0, "2.3846", 1.226, 11.170),
        (130, 6.0, "3.170", None, None),
        (135, 6.0, "3.706", None, None),
        (137, 6.0, "4.283", None, None),
        (138, 6.0, "10.55", None, None),
        (112.5, 5.52, "1.34", None, None),
        (120, 5.52, "2.7415", -1.113, 9.843),
        (150, 5.52, "4.10", None, None),
        (180, 5.52, "4.87", None, None),
        (220, 5.52, "6.801", 2.149, 11.902),
        (300, 5.52, "10.61", 3.99, 10.23),
        (400, 5.52, "11.04", None, None),
        (330, 6.0, None, None, None),
        # These two start on the alpha cycle, which only the first of them has.
        (120, 6.0, "10.468", 5.890, 7.956),
        (120, 5.52, "2.7415", -1.113, 9.843),
    ]
    p, v0 = np.array([case[:2] for case in cases]).T
    model = nmm.JansenRit(p=p * nmm.units.Hz, v0=v0)
    y0 = model.initial_state()
    elsewhere = {"M": 0.12, "E": 20.0, "I": 12.8}
    y0 = model.State(
        **{
            name: getattr(y0, name).at[-2:].set(elsewhere.get(name, 0.0))
            for name in model.State.__dataclass_fields__
        }
    )
    ts = np.arange(12_000.0, 20_000.0, 0.5)
    eeg = solve(
        model,
        y0,
        jnp.asarray(np.concatenate([[0.0], ts])),
        None,
        lambda model, y: model.eeg(y),
        1e-8,
    )
    return cases, ts, np.asarray(eeg[1:])


def test_jansen_rit_cycles_have_the_known_frequencies_and_ranges():
    cases, ts, eeg = jansen_rit_runs()
    for (p, v0, frequency, low, high), signal in zip(cases, eeg.T, strict=True):
        if frequency is None:
            # Past the upper Hopf bifurcation, the oscillation dies out, slowly.
            assert np.ptp(signal[-4000:]) < 0.5 * np.ptp(signal[:4000])
            continue
        found = 1000 / period_of(ts, signal)
        last_digit = 10.0 ** -len(frequency.partition(".")[2])
        tolerance = max(last_digit, 2e-5 * found)
        assert abs(found - float(frequency)) < tolerance, (p, v0, found)
        if low is not None:
            assert np.allclose([signal.min(), signal.max()], [low, high], atol=6e-3), (p, v0)
    assert abs(eeg[:, 2].std() - 1.037) < 2e-3  # at 220 Hz


@pytest.mark.parametrize("dt, frequency", ((0.1, 10.81), (1.0, 8.96)))
def test_jansen_rit_by_exponential_euler_is_slower_as_known(dt, frequency):
    options = {"solver": nmm.ExponentialEuler(), "save": ["eeg"], "transient": 5000.0}
    sol = nmm.simulate(nmm.JansenRit(), 10_000.0, dt, **options)
    assert abs(1000 / period_of(np.asarray(sol.ts), sol["eeg"]) - frequency) < 0.006


@pytest.mark.thorough
def test_jansen_rit_alpha_is_entrained_by_a_drive_near_its_frequency_alone():
    model = nmm.JansenRit()  # alone at 10.938 Hz
    drive = jnp.array([10.7, 10.9, 11.1, 8.0, 9.5, 12.5, 14.0])  # Hz; three near, four far

    def sinusoidal(t):
        return model.Inputs(E_inp=10 * nmm.units.Hz * jnp.sin(2 * jnp.pi * drive * t / 1000))

    run = {"inputs": sinusoidal, "shape": 7, "save": ["eeg"], "transient": 10_000.0}
    sol = nmm.simulate(model, 20_000.0, 0.5, solver=nmm.RungeKutta4(), **run)
    ts, eeg = np.asarray(sol.ts), np.asarray(sol["eeg"])
    # How far the response slips against the drive within the last 10 s, in turns.
    analytic = hilbert(eeg - eeg.mean(axis=0), axis=0)
    slip = np.unwrap(np.angle(analytic), axis=0) / (2 * np.pi) - ts[:, None] * drive / 1000
    slipped = np.abs(slip[-1000] - slip[1000])
    assert np.all(slipped[:3] < 0.05) and np.all(slipped[3:] > 5), slipped
