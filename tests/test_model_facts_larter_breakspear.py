"""Known numbers of Larter–Breakspear: equilibria, cycles, chaos."""

import functools
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
    lyapunov_exponent,
    period_of,
    run,
    solve,
    together,
)
from scipy.optimize import brentq

import nmm


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
    assert eigenvalues(model, state)[0].real < 0


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
        return eigenvalues(model, larter_breakspear_rest(model))[0]

    d = brentq(lambda d: largest(d).real, 0.5, 0.6, xtol=1e-9)
    assert abs(d - expected) < 6e-6
    assert period is None or abs(2 * math.pi / largest(d).imag - period) < 6e-3


def test_larter_breakspear_cycles_have_the_known_ranges():
    model = together(alstott(0.58), nmm.LarterBreakspear.preset("limit_cycle"))
    ts = np.arange(8000.0, 9000.0, 0.05)
    start = at(model, [-0.18] * 2, [0.23] * 2, [0.1] * 2)
    states = solve(model, start, jnp.asarray(np.concatenate([[0.0], ts])), tol=1e-9)
    V = np.asarray(states.V[1:])
    assert abs(period_of(ts, V[:, 0]) - 8.69) < 0.01
    ranges = [V[:, 0].min(), V[:, 0].max(), V[:, 1].min(), V[:, 1].max()]
    assert np.allclose(ranges, [-0.1976, -0.1384, -0.219, -0.116], atol=6e-4)


@pytest.mark.slow
@pytest.mark.thorough
def test_larter_breakspear_is_chaotic_only_where_it_is_known_to_be():
    usual = {"gCa": 1.1, "aee": 0.4, "d_Z": 0.7, "C": 0.1}
    cases = [
        # parameters, exponent per ms
        *(({**usual, "d_V": d}, 0.0) for d in np.linspace(0.53, 0.70, 16)),
        ({**usual, "d_V": 0.65}, 0.0),
        ({**usual, "d_V": 0.50}, -0.032),
    ]
    for d, C, exponent in (
        *((d, 0.1, 0.0) for d in (0.58, 0.60, 0.61)),
        *((0.62, 0.1, 0.0128), (0.63, 0.1, 0.0105), (0.65, 0.1, 0.0093), (0.70, 0.1, 0.0075)),
        *((0.61, 0.0, 0.0079), (0.64, 0.0, 0.0), (0.65, 0.0, 0.0097)),
    ):
        cases.append(({"gCa": 1.0, "aee": 0.36, "d_Z": d, "d_V": d, "C": C}, exponent))
    sets, expected = zip(*cases, strict=True)
    model = nmm.LarterBreakspear(**{k: [s[k] for s in sets] for k in sets[0]})
    # In the periodic window at C = 0, most runs are chaotic for a long while, but not this one.
    window = (model.C == 0.0) & (model.d_V == 0.64)
    start = at(model, jnp.where(window, 0.1, 0.0), jnp.zeros(len(sets)), jnp.zeros(len(sets)))
    found = lyapunov_exponent(model, start, 0.05, 400_000, 20_000)
    # Of a chaotic run, the exponent is known to what a run of 19 s tells.
    tolerance = np.where(np.array(expected) > 0, 3e-3, 5e-4)
    assert np.all(np.abs(found - np.array(expected)) < tolerance), found


def test_larter_breakspear_bursts_at_its_defaults():
    ts = np.arange(2000.0, 4000.0, 0.5)
    model = nmm.LarterBreakspear()
    V, _, _ = run(model, model.initial_state(), ts, tol=1e-8)
    assert np.allclose([V.min(), V.max()], [-0.55, 0.37], atol=0.04)


def test_larter_breakspear_preset_of_a_fixed_point_has_a_stable_one():
    model = nmm.LarterBreakspear.preset("fixed_point")
    assert eigenvalues(model, larter_breakspear_rest(model))[0].real < 0


@pytest.mark.thorough
def test_larter_breakspear_presets_are_what_they_are_called():
    names = ("fixed_point", "limit_cycle", "chaos")
    model = together(*map(nmm.LarterBreakspear.preset, names))
    exponents = lyapunov_exponent(model, model.initial_state((3,)), 0.1, 60_000, 10_000)
    rest, cycle, chaos = exponents
    assert rest < -2e-3 and abs(cycle) < 1e-3 and chaos > 5e-3, exponents


def test_larter_breakspear_input_is_a_shift_of_its_parameter():
    state = at(nmm.LarterBreakspear(), -0.2, 0.3, 0.1)
    slot = field(nmm.LarterBreakspear(), state, nmm.LarterBreakspear.Inputs(I_ext=0.05))
    shifted = field(nmm.LarterBreakspear(Iext=0.35), state)
    assert np.allclose(jax.tree.leaves(slot), jax.tree.leaves(shifted), rtol=1e-14)
    alone = field(nmm.LarterBreakspear(), state)
    assert abs(slot.V - alone.V) > 0.04 and abs(slot.Z - alone.Z) > 1e-3
