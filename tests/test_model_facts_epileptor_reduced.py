"""Known numbers of the reduced and extended Epileptors: folds, bursts, paths of bifurcations."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from equilibria import rest
from helpers import at, field
from runge_kutta import cycle
from scipy.optimize import brentq

import nmm
from nmm.models._epileptor_codim3 import along_arc, angle, resting_branch

# Epileptor in two variables, and of the virtual patient


@pytest.mark.parametrize("cls", (nmm.Epileptor2D, nmm.BVEP))
def test_two_variable_epileptors_start_to_seize_where_their_cubic_folds(cls):
    def largest(x0):
        model = cls(x0=x0)
        x = brentq(lambda x: 4.1 - x**3 - 2 * x**2 - 4 * (x - x0), -3, 0)
        # The fast slope alone decides, the more exactly the slower z is.
        return (-3 * x**2 - 4 * x, x, rest(model, x, 4 * (x - x0))[0])

    critical = brentq(lambda x0: largest(x0)[0], -2.2, -2.0, xtol=1e-12)
    assert abs(critical + 2.0620370) < 6e-8
    slope, x, point = largest(critical)
    assert np.allclose([x, *point], [-4 / 3, -4 / 3, 2.9148148], atol=6e-8)


def test_epileptor_2d_seizes_and_rests_as_known():
    model = nmm.Epileptor2D()
    period, low, high, _ = cycle(model, (-1.5, 3.5), 2000, 9000, level=-0.5, dt=0.05)
    assert abs(period - 1721.66) < 0.02
    assert np.allclose([*low, *high], [-2.0021, 2.9027, 0.5655, 4.1132], atol=6e-5)
    point, values = rest(nmm.Epileptor2D.preset("resting"), -1.46, 2.95)
    assert np.allclose(point, [-1.4624260, 2.9502960], atol=6e-8) and values[0].real < 0


def test_bvep_rests_and_cycles_as_known():
    point, values = rest(nmm.BVEP(), -2.2, 5.1)
    assert np.allclose(point, [-2.2134938, 5.1460247], atol=6e-8) and values[0].real < 0
    period, low, high, _ = cycle(nmm.BVEP(x0=-2.0), (-2.0, 3.5), 200, 400)
    assert abs(period - 16.117) < 1e-3 and abs(high[0] - low[0] - 2.35) < 5e-3
    period, *_ = cycle(nmm.BVEP.preset("epileptogenic"), (-2.0, 3.5), 200, 400)
    assert abs(period - 12.30) < 5e-3
    known = at(nmm.BVEP(), -1.2, 3.5)
    found = field(nmm.BVEP(), known, nmm.BVEP.Inputs(c=0.1))
    # 1 + 1.728 - 2.88 - 3.5 + 3.1 and (4 (-1.2 + 3.5) - 3.5 - 0.1) / 10
    assert np.allclose([found.x, found.z], [-0.552, 0.56])


# Epileptor with resting activity


def test_epileptor_resting_state_has_a_focus_at_ten_hertz():
    model = nmm.EpileptorRestingState.preset("resting")
    x1, z = -1.462426, 2.950296
    guess = (x1, 1 - 5 * x1**2, z, -1.0, 0.0, 0.1 * x1, -0.19, -0.11)
    point, values = rest(model, *guess)
    assert np.allclose(point[[0, 2]], [x1, z], atol=6e-7)
    assert np.allclose(point[6:], [-0.1886518, -0.1134825], atol=6e-8)
    focus = values[np.argmin(np.abs(values - (-0.0223868 + 0.0632005j)))]
    assert abs(focus - (-0.0223868 + 0.0632005j)) < 1e-7
    assert abs(focus.imag / (2 * math.pi) * 1000 - 10.06) < 5e-3


def test_epileptor_resting_state_seizes_as_the_epileptor_does():
    model, alone = nmm.EpileptorRestingState(p=0.25), nmm.Epileptor()
    values = np.random.default_rng(0).normal(size=(8, 50))
    y = at(model, *values)
    ours, other = field(model, y), field(alone, at(alone, *values[:6]))
    for name in ("x1", "y1", "z", "x2", "y2", "g"):
        assert np.array_equal(getattr(ours, name), getattr(other, name))
    assert np.allclose(model.signal(y), 0.25 * (y.x2 - y.x1) + 0.75 * y.x_rs)


def test_epileptor_resting_state_keeps_its_resting_pace_when_seizures_are_slowed():
    usual, slow = nmm.EpileptorRestingState(), nmm.EpileptorRestingState(tt=0.25)
    y = at(usual, *np.random.default_rng(1).normal(size=(8, 20)))
    found, other = field(usual, y), field(slow, y)
    for name in ("x1", "y1", "z", "x2", "y2", "g"):
        assert np.allclose(getattr(other, name), getattr(found, name) / 4, rtol=1e-12)
    assert np.array_equal([other.x_rs, other.y_rs], [found.x_rs, found.y_rs])


# Epileptors of codimension 3


def test_epileptor_codim3_path_is_the_known_arc():
    model = nmm.EpileptorCodim3()
    start, stop = model.ends(model.initial_state())
    quarter = jnp.asarray(math.pi / 2)
    one = jnp.asarray(1.0)
    E, F = along_arc(start, stop, 0 * quarter, one), along_arc(start, stop, quarter, one)
    assert np.allclose(E, [0.862078, 0.057130, 0.503545], atol=6e-7)
    assert np.allclose(F, [-0.127726, 0.986043, 0.106797], atol=6e-7)
    assert abs(angle(start, stop) - 0.1322108) < 6e-8
    moving = nmm.EpileptorCodim3SlowMod()
    y = at(moving, 0, 0, 0, 10.0, 10.0)
    last_A, last_B = moving.ends(y)  # they stop at the ends of their arcs
    ends = (0.07337, -0.06485, -0.3878), (-0.02792, -0.03676, -0.3973)
    for found, end in zip((last_A, last_B), ends, strict=True):
        assert np.allclose(found, 0.4 * np.array(end) / np.linalg.norm(end))
    first = (moving.mu2_Ain, -moving.mu1_Ain, moving.nu_Ain)
    assert abs(angle(first, last_A) - 2.1510106) < 6e-8
    first = (moving.mu2_Bin, -moving.mu1_Bin, moving.nu_Bin)
    assert abs(angle(first, last_B) - 2.5565532) < 6e-8


@pytest.mark.thorough
def test_epileptor_codim3_branches_are_the_roots_of_the_cubic():
    rng = np.random.default_rng(0)
    mu2 = rng.uniform(-0.4, 0.4, 400)
    mu1 = rng.uniform(-1, 1, 400) * np.sqrt(4 / 27 * np.abs(mu2) ** 3) * 2
    exact = [np.roots([1, 0, -b, -a]) for a, b in zip(mu1, mu2, strict=True)]
    real = [np.sort(x[np.abs(x.imag) < 1e-9].real) for x in exact]
    for N, pick in ((1, -1), (2, 0), (3, 1)):
        found = np.asarray(resting_branch(jnp.asarray(mu1), jnp.asarray(mu2), N))
        three = np.array([len(x) == 3 for x in real])
        expected = np.array([x[pick] if len(x) == 3 else x[0] for x in real])
        sure = three | (mu2 < 0) | ((N == 1) & (mu1 > 0))
        assert np.allclose(found[sure], expected[sure], atol=1e-9)
        if N == 1:
            assert np.allclose(found[~sure], -expected[~sure] / 2)  # real part of the lost pair
    assert abs(resting_branch(jnp.asarray(0.05), jnp.asarray(-0.1), 1) - 0.2801) < 5e-5
    for N in (1, 2, 3):  # also where the cubic is x^3 and where two roots meet
        points = jnp.array([0.0, 2.0, -2.0]), jnp.array([0.0, 3.0, 3.0])
        slopes = jax.grad(lambda a, b, N=N: jnp.sum(resting_branch(a, b, N)), (0, 1))(*points)
        assert np.all(np.isfinite(slopes))


def test_epileptor_codim3_bursts_and_rests_as_known():
    period, low, high, _ = cycle(
        nmm.EpileptorCodim3(), (0.5, 0.0, 0.05), 2000, 5500, 2, 0.07, dt=0.02
    )
    assert abs(period - 693.763) < 0.01
    known = [-0.99203, 0.55326, 0.007902, 0.141574]
    assert np.allclose([low[0], high[0], low[2], high[2]], known, atol=3e-4)
    point, values = rest(nmm.EpileptorCodim3.preset("resting"), 0.72, 0.0, -0.4)
    assert np.allclose(point, [0.723318, 0, -0.405723], atol=6e-7)
    assert abs(values[0].real + 3.87e-4) < 1e-6


@pytest.mark.thorough
def test_epileptor_codim3_seizures_grow_along_the_slow_path():
    model = nmm.EpileptorCodim3SlowMod()
    sol = nmm.simulate(
        model,
        t1=14_000.0,
        dt=0.1,
        y0=at(model, 0.5, 0.0, 0.05, 0.0, 0.0),
        solver=nmm.RungeKutta4(),
        save=["x"],
        save_every=1.0,
    )
    x = np.asarray(sol["x"])
    ranges = [x[:3500].min(), x[:3500].max(), x[10_500:].min(), x[10_500:].max()]
    assert np.allclose(ranges, [-0.986, 0.671, -1.239, 1.089], atol=0.03)
