"""Orders of convergence, and solvers of Diffrax on the grid and with steps that adapt."""

import diffrax
import jax
import jax.numpy as jnp
import jax.random as jr
import lineax as lx
import numpy as np
import pytest
from tiny import Relax, Riccati, assert_correlation, assert_variance, order

import nmm

orders = pytest.mark.parametrize(
    "solver, autonomous, forced",
    [
        (nmm.Euler(), 1, 1),
        (nmm.Heun(), 2, 2),
        (nmm.RungeKutta4(), 4, 4),
        # Of a single variable without input it takes the whole Jacobian into account.
        (nmm.ExponentialEuler(), 2, 1),
    ],
)


def driven(t):
    """With this input the solution of `Riccati` is 2 + sin(t)."""
    return Riccati.Inputs(u=jnp.cos(t) + (2 + jnp.sin(t)) ** 2)


@orders
def test_order_of_convergence(solver, autonomous, forced):
    for expected, inputs, start, end in (
        (autonomous, None, 1.0, 0.5),
        (forced, driven, 2.0, 2 + np.sin(1.0)),
    ):
        options = {"y0": Riccati.State(start), "inputs": inputs, "solver": solver, "save": []}
        runs = [nmm.simulate(Riccati(), 1.0, dt, **options) for dt in (1 / 20, 1 / 40, 1 / 80)]
        errors = [abs(sol.y1.x - end) for sol in runs]
        assert errors[-1] < 0.02
        np.testing.assert_allclose(order(errors), expected, atol=0.12)


def test_exponential_euler_is_exact_for_linear_decay_at_any_step():
    model = Relax(rate=jnp.array([0.0, 1e-6, 0.3, 3.0]))
    start, inputs = Relax.State(x=2.0, y=-1.0), Relax.Inputs(u=0.6)
    options = {"inputs": inputs, "solver": nmm.ExponentialEuler(), "y0": start}
    sol = nmm.simulate(model, 10.0, 2.5, **options)
    decay = np.exp(-np.outer(sol.ts, model.rate))
    # (1 - exp(-rate t)) / rate, with its limit t.
    rise = np.stack([sol.ts, *((1 - decay[:, 1:]) / model.rate[1:]).T], axis=1)
    np.testing.assert_allclose(sol["x"], 2 * decay + 0.6 * rise, rtol=1e-9)
    np.testing.assert_allclose(sol["y"], -decay, rtol=1e-9)


def test_exponential_euler_takes_the_derivative_of_a_regions_own_equation():
    weights = jnp.array([[5.0, 2.0], [1.0, 0.0]])
    net = nmm.Network(Relax(rate=1.0), weights)
    start = Relax.State(x=jnp.array([1.0, 2.0]), y=jnp.zeros(2))
    new = nmm.step(net, start, dt=0.5, solver=nmm.ExponentialEuler())
    settled = weights @ start.x
    np.testing.assert_allclose(new.x, settled + (start.x - settled) * np.exp(-0.5), rtol=1e-12)


@pytest.mark.parametrize("solver", [nmm.Euler(), nmm.Heun(), nmm.RungeKutta4()])
def test_strong_order_one_for_additive_noise(solver):
    fine, rate, sigma = 2.0**-9, 1.5, 0.8
    noise = nmm.noise.White(x=sigma, resolution=fine)
    options = {"key": jr.key(0), "shape": 400, "noise": noise}
    # With rate 0 the state is the Brownian motion itself, of which the solution is known.
    path = nmm.simulate(Relax(rate=0.0), 1.0, fine, **options)
    brownian = np.concatenate([np.zeros((1, 400)), path["x"]])
    decay = np.exp(-rate * (1 - np.arange(513) * fine))[:, None]
    exact = brownian[-1] - rate * np.trapezoid(decay * brownian, dx=fine, axis=0)
    errors = [
        np.sqrt(
            np.mean(
                (
                    nmm.simulate(Relax(rate=rate), 1.0, dt, solver=solver, save=[], **options).y1.x
                    - exact
                )
                ** 2
            )
        )
        for dt in (1 / 8, 1 / 16, 1 / 32)
    ]
    # The root mean square of 400 normal numbers has a relative standard error of 3.5 %.
    assert errors[-1] < 0.02
    np.testing.assert_allclose(order(errors), 1, atol=0.15)


@pytest.mark.parametrize(
    "solver, factor",
    [
        (nmm.Euler(), lambda h: 1 - h),
        (nmm.Heun(), lambda h: 1 - h + h**2 / 2),
        (nmm.RungeKutta4(), lambda h: 1 - h + h**2 / 2 - h**3 / 6 + h**4 / 24),
        (nmm.ExponentialEuler(), lambda h: np.exp(-h)),
    ],
)
def test_stationary_variance_is_that_of_the_scheme(solver, factor):
    h, noise = 0.5, nmm.noise.White(x=1.0)
    sol = nmm.simulate(
        Relax(), 20.0, h, noise=noise, key=jr.key(1), shape=40_000, save=[], solver=solver
    )
    # One step multiplies by `a` and adds noise times `b`, the mean of the factors at the stages.
    a = factor(h)
    b = {nmm.Heun: 1 - h / 2, nmm.RungeKutta4: 1 - h / 2 + h**2 / 6 - h**3 / 24}.get(
        type(solver), 1.0
    )
    assert_variance(sol.y1.x, b**2 * h / (1 - a**2))


@pytest.mark.parametrize(
    "solver, rtol",
    [
        (diffrax.Tsit5(), 1e-8),
        (diffrax.Dopri5(), 1e-8),
        (diffrax.Heun(), 1e-3),
        (diffrax.Midpoint(), 1e-3),
        (diffrax.ImplicitEuler(root_finder=diffrax.VeryChord(1e-8, 1e-8)), 0.02),
        (diffrax.Kvaerno3(root_finder=diffrax.VeryChord(1e-6, 1e-6)), 1e-5),
    ],
)
def test_solvers_of_diffrax_run_on_the_grid(solver, rtol):
    sol = nmm.simulate(
        Riccati(), 1.0, 0.05, y0=Riccati.State(2.0), inputs=driven, solver=solver, save_every=0.25
    )
    assert sol.result == nmm.RESULTS.successful
    np.testing.assert_allclose(sol["x"], 2 + np.sin(sol.ts), rtol=rtol)


def test_solver_of_diffrax_does_not_reuse_what_was_evaluated_before_an_input_jumped():
    rows = jnp.where(jnp.arange(20) < 10, 1.0, -1.0)
    sol = nmm.simulate(Relax(rate=0.0), 2.0, 0.1, inputs=rows, solver=diffrax.Tsit5())
    np.testing.assert_allclose(sol["x"], jnp.cumsum(rows) * 0.1, atol=1e-12)


@pytest.mark.parametrize("solver", [diffrax.ShARK(), diffrax.SRA1(), diffrax.SlowRK()])
def test_solvers_with_levy_areas_run_on_the_grid(solver):
    sol = nmm.simulate(
        Relax(),
        8.0,
        0.25,
        noise=nmm.noise.White(x=1.0),
        key=jr.key(2),
        shape=20_000,
        save=[],
        solver=solver,
        y0=Relax.State(x=3.0, y=5.0),
    )
    assert_variance(sol.y1.x - 3 * np.exp(-8), 0.5)
    np.testing.assert_allclose(sol.y1.y, 5 * np.exp(-8), rtol=0.12)


class Spy(diffrax.AbstractStratonovichSolver):
    """Hands out what it was given of the Brownian motion, as fast as it can."""

    term_structure = diffrax.AbstractTerm
    interpolation_cls = diffrax.LocalLinearInterpolation
    minimal_levy_area = diffrax.AbstractSpaceTimeTimeLevyArea

    def order(self, terms):
        return 1

    def init(self, terms, t0, t1, y0, args):
        return None

    def func(self, terms, t0, y0, args):
        return terms.vf(t0, y0, args)

    def step(self, terms, t0, t1, y0, args, solver_state, made_jump):
        area = terms.terms[1].contr(t0, t1, use_levy=True)
        # Of three equal batches of regions, each keeps one of the three.
        x = jnp.stack([area.W.x[0], area.H.x[0], area.K.x[0]])
        y1 = Relax.State(x=x, y=area.W.y)
        return y1, None, {"y0": y0, "y1": y1}, None, diffrax.RESULTS.successful


def test_areas_of_the_brownian_motion_are_independent_with_the_right_variance():
    options = {"noise": nmm.noise.White(x=1.0), "key": jr.key(3), "solver": Spy()}
    sol = nmm.simulate(Relax(), 0.3, 0.3, shape=(3, 40_000), save=[], **options)
    w, h, k = sol.y1.x
    for area, variance in ((w, 0.3), (h, 0.3 / 12), (k, 0.3 / 720)):
        assert_variance(area, variance)
    for a, b in ((w, h), (w, k), (h, k)):
        assert_correlation(a, b, 0.0)
    assert not np.any(sol.y1.y)


def test_adaptive_steps_agree_with_the_grid_in_all_outputs():
    save = {
        "x": "x",
        "mean": nmm.observe.TemporalAverage(50.0, "x"),
        "bold": nmm.observe.BOLD(100.0, "x"),
    }
    slow = nmm.Network(Relax(rate=0.05), jnp.array([[0.0, 0.02], [0.01, 0.0]]))
    options = {
        "y0": Relax.State(x=jnp.array([1.0, 0.5]), y=0.0),
        "inputs": lambda t: Relax.Inputs(u=0.05 + 0.05 * jnp.sin(t / 20)),
        "save": save,
        "save_every": 20.0,
        "transient": 40.0,
    }
    grid = nmm.simulate(slow, 300.0, 0.5, solver=nmm.RungeKutta4(), **options)
    controller = diffrax.PIDController(rtol=1e-8, atol=1e-10)
    adaptive = nmm.simulate(slow, 300.0, stepsize_controller=controller, **options)
    assert set(adaptive.times) == set(grid.times)
    # The grid averages over the ends of steps, which lag half a step behind.
    for name, tolerance in (("x", 1e-5), ("mean", 1e-2), ("bold", 2e-2)):
        np.testing.assert_allclose(adaptive.times[name], grid.times[name])
        np.testing.assert_allclose(adaptive[name], grid[name], rtol=tolerance)


@pytest.mark.thorough
def test_variance_with_noise_where_steps_adapt():
    sol = nmm.simulate(
        Relax(),
        4.0,
        0.1,
        noise=(
            nmm.noise.White(x=0.7),
            nmm.noise.OrnsteinUhlenbeck(sigma=0.5, tau=2.0, onto="v"),
        ),
        key=jr.key(4),
        shape=1000,
        save={"rest": "x", "forced": "y"},
        save_every=1.0,
        stepsize_controller=diffrax.PIDController(rtol=1e-2, atol=1e-2),
    )
    ts = sol.ts[:, None]
    for i, t in enumerate(ts[:, 0]):
        assert_variance(sol["rest"][i], 0.7**2 / 2 * (1 - np.exp(-2 * t)))
    # The sum of two exponentials: the response to stationary noise of correlation time 2.
    s = np.linspace(0, 4.0, 2001)
    kernel = np.exp(-s)
    correlation = 0.5**2 * 2.0 / 2 * np.exp(-np.abs(s[:, None] - s) / 2.0)
    variance = np.trapezoid(np.trapezoid(kernel[:, None] * kernel * correlation, s), s)
    assert_variance(sol["forced"][-1], variance)
    again = jax.tree.leaves(sol.ending.carry.forcing)[0]
    assert_variance(again, 0.5**2 * 2.0 / 2)


def test_diffusion_is_a_diagonal_operator():
    from nmm.integrate._field import Diffusion, Moment

    state = Relax.State(x=jnp.zeros(3), y=jnp.zeros(3))
    noise = nmm.noise.White(y=jnp.array([1.0, 2.0, 3.0]))
    operator = Diffusion((noise,), Relax())(
        0.0, state, Moment((jnp.zeros(()), jnp.zeros(())), None, (), None)
    )
    assert isinstance(operator, lx.DiagonalLinearOperator)
    np.testing.assert_array_equal(operator.diagonal.x, 0.0)
    np.testing.assert_array_equal(operator.diagonal.y, [1.0, 2.0, 3.0])


def test_event_ends_a_run_and_is_no_failure():
    event = diffrax.Event(lambda t, y, args, **_: y.state.x - 0.5)
    start = Relax.State(x=1.0, y=0.0)
    sol = nmm.simulate(Relax(), 5.0, 0.01, y0=start, event=event, save_every=0.1)
    np.testing.assert_allclose(sol.y1.x, 0.5, atol=0.01)
    np.testing.assert_allclose(sol["x"][5], np.exp(-0.6), rtol=1e-6)
    assert sol.result == nmm.RESULTS.event_occurred


def test_last_sample_where_steps_adapt_is_not_lost_to_rounding():
    controller = diffrax.PIDController(rtol=1e-6, atol=1e-6)
    options = {"stepsize_controller": controller, "inputs": Relax.Inputs(u=1.0)}
    sol = nmm.simulate(Relax(rate=0.0), 0.3, save_every=0.1, **options)  # 3 * 0.1 is above 0.3
    np.testing.assert_allclose(sol["x"], [0.1, 0.2, 0.3], rtol=1e-6)
