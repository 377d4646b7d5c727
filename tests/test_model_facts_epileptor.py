"""Known numbers of the Epileptor: seizures, their intervals and threshold."""

import functools

import numpy as np
import pytest
from helpers import (
    at,
    crossings,
    eigenvalues,
    field,
    fixed_point,
    together,
)
from scipy.optimize import brentq

import nmm


@functools.cache
def epileptor_runs():
    """x1 and z from the default start, for parameters of the tests below, a region each."""
    preset = nmm.Epileptor.preset
    cases = {
        -1.6: preset("seizing"),
        **{x0: nmm.Epileptor(x0=x0) for x0 in (-1.8, -2.0, -2.03, -2.05, -2.06)},
        -2.1: preset("resting"),
        **{x0: nmm.Epileptor(x0=x0) for x0 in (-2.07, -2.2, -2.4)},
        "fast": nmm.Epileptor(r=0.0035),
        "half": nmm.Epileptor(tt=0.5),
        "sigmoidal 2.0": preset("sigmoidal"),
        **{f"sigmoidal {x0}": preset("sigmoidal", x0=x0) for x0 in (1.0, 1.5, 2.9, 3.0)},
    }
    model = together(*cases.values())
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
    onsets = [spikes[0] for spikes in seizures(ts, runs["sigmoidal 2.0"][0], 300.0)]
    assert np.allclose(np.diff(onsets), 5270.8, atol=1.0)
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
        return eigenvalues(model, state(model, x0))[0].real

    critical = brentq(largest, -2.1, -2.0, xtol=1e-9)
    assert abs(critical + 2.060459) < 2e-6
    model = nmm.Epileptor(x0=critical)
    found = state(model, critical)
    assert np.allclose([found.x1, found.z], [-1.331754, 2.914820], atol=2e-6)
    assert np.allclose([found.x1, found.y1, found.z], interictal(critical), atol=1e-9)
    assert np.allclose(found.g, 0.1 * found.x1)


def test_epileptor_inputs_are_shifts_of_its_parameters():
    model = nmm.Epileptor()
    state = model.initial_state()
    slots = field(model, state, model.Inputs(I_ext=0.3, I_ext2=-0.2))
    shifted = field(nmm.Epileptor(Iext=3.4, Iext2=0.25), state)
    alone = field(model, state)
    for name, shift in (("x1", 0.3), ("y1", 0), ("z", 0), ("x2", -0.2), ("y2", 0), ("g", 0)):
        assert np.allclose(getattr(slots, name), getattr(shifted, name), rtol=1e-13)
        assert np.allclose(getattr(slots, name) - getattr(alone, name), shift, atol=1e-13)
