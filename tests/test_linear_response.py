"""Linear response: against formulas, against itself by another way, and against simulation."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from gradients import assert_gradients_match_differences
from scipy.special import lambertw

import nmm
from fitting import objectives
from nmm.analysis import linear_response
from nmm.analysis._lyapunov import solve_sylvester
from nmm.noise import OrnsteinUhlenbeck, White

WEIGHTS = jnp.array([[0.0, 1.0, 0.4], [0.7, 0.0, 0.2], [0.1, 0.9, 0.0]])
BOLD = nmm.observe.BOLD(720.0)
HERTZ = jnp.array([1.0, 7.0, 30.0])
OMEGA = 2 * np.pi * np.asarray(HERTZ) / 1000


def wong_wang(G=0.1, weights=WEIGHTS, **options):
    node = nmm.ReducedWongWang(w=jnp.linspace(0.5, 0.7, len(weights)))
    return nmm.Network(node, weights, nmm.coupling.Linear(G=G), noise=White(S=0.001), **options)


def test_sylvester_equation_is_solved_by_matrices_and_by_blocks():
    def stable(seed, *shape):
        return jr.normal(jr.key(seed), shape) * 0.003 - jnp.diag(jnp.array([0.01, 0.1, 1.0]))

    @jax.jit
    def residual(left, right):
        matrix = jax.scipy.linalg.block_diag(*left) if left.ndim == 3 else left
        constant = jr.normal(jr.key(2), (len(matrix), 3))
        x = solve_sylvester(left, right, constant, 0.1)
        return (matrix @ x + x @ right.T + constant) / jnp.max(jnp.abs(x))

    for left in (stable(0, 3, 3), stable(0, 4, 3, 3)):
        np.testing.assert_allclose(residual(left, stable(1, 3, 3)), 0, atol=1e-15)


def test_ornstein_uhlenbeck_process_has_its_formulas():
    rate, sigma = 0.1, 0.3
    response = linear_response(nmm.Linear(gamma=-rate), noise=White(x=sigma))
    variance = sigma**2 / (2 * rate)
    np.testing.assert_allclose(response.covariance(), [[variance]], rtol=1e-12)
    lagged = response.lagged_covariance(jnp.array([0.0, 5.0]))[:, 0, 0]
    np.testing.assert_allclose(lagged, variance * np.exp([0, -rate * 5]), rtol=1e-12)
    spectrum = 2 / 1000 * sigma**2 / (rate**2 + OMEGA**2)
    np.testing.assert_allclose(response.spectrum(HERTZ), spectrum, rtol=1e-12)
    transfer = response.transfer(HERTZ, "x_inp")[:, 0, 0]
    np.testing.assert_allclose(transfer, 1 / (rate + 1j * OMEGA), rtol=1e-12)


def test_fast_models_are_followed_over_long_times():
    rate, window = 200.0, 1e4
    mean = nmm.observe.TemporalAverage(window, "x")
    response = linear_response(
        nmm.Linear(gamma=-rate), noise=White(x=0.3), save={"x": "x", "mean": mean}
    )
    variance = 0.3**2 / (2 * rate)
    lagged = response.lagged_covariance(jnp.array([0.0, 1e4]), "x")[:, 0, 0]
    np.testing.assert_allclose(lagged, [variance, 0], atol=1e-12 * variance)
    expected = 2 * variance / (rate * window) * (1 - 1 / (rate * window))
    np.testing.assert_allclose(response.covariance("mean"), [[expected]], rtol=1e-9)


def test_noise_with_memory_is_filtered_by_what_it_drives():
    rate, tau = 0.1, 20.0
    noise = OrnsteinUhlenbeck(sigma=0.3, tau=tau, mean=0.5)
    response = linear_response(nmm.Linear(gamma=-rate), noise=noise)
    np.testing.assert_allclose(response.mean(), 0.5 / rate, rtol=1e-12)
    variance = 0.3**2 * tau / 2 / (rate * (rate + 1 / tau))
    np.testing.assert_allclose(response.covariance(), [[variance]], rtol=1e-12)


def test_two_coupled_regions_have_the_covariance_of_the_lyapunov_equation():
    weights = jnp.array([[0.0, 0.5], [-0.3, 0.0]])
    sigma = jnp.array([0.1, 0.4])
    net = nmm.Network(nmm.Linear(gamma=-1.0), weights, noise=White(x=sigma))
    drift = np.asarray(weights) - np.eye(2)
    kronecker = np.kron(drift, np.eye(2)) + np.kron(np.eye(2), drift)
    expected = np.linalg.solve(kronecker, -np.diag(sigma**2).ravel()).reshape(2, 2)
    response = linear_response(net)
    np.testing.assert_allclose(response.covariance(), expected, rtol=1e-12)
    correlation = expected[0, 1] / np.sqrt(expected[0, 0] * expected[1, 1])
    np.testing.assert_allclose(response.fc(), [[1, correlation], [correlation, 1]], rtol=1e-12)
    means = {"mean": nmm.observe.TemporalAverage(0.01)}
    short = linear_response(net, save=means)
    np.testing.assert_allclose(short.covariance(), expected, rtol=0.01)


def test_cross_spectrum_of_bold_integrates_to_its_covariance():
    response = linear_response(wong_wang(), save={"bold": BOLD})
    # The trapezoidal rule on a logarithmic axis; BOLD has no power above a few Hz.
    hertz = jnp.concatenate([jnp.zeros(1), jnp.logspace(-5, 1, 600)])
    density = response.cross_spectrum(hertz).real
    np.testing.assert_allclose(
        np.trapezoid(density, hertz, axis=0), response.covariance(), rtol=1e-4
    )


def test_sensors_see_the_sources_through_their_lead_field_and_their_window():
    lead_field = jnp.array([[1.0, -0.5, 0.2], [0.3, 0.8, -1.0]])
    eeg = nmm.observe.EEG(lead_field, 4.0, "S", reference=None)
    response = linear_response(wong_wang(), save={"eeg": eeg, "S": "S"})
    window = np.sinc(np.asarray(HERTZ) * 4.0 / 1000)[:, None, None] ** 2
    expected = window * (lead_field @ response.cross_spectrum(HERTZ, "S") @ lead_field.T)
    np.testing.assert_allclose(response.cross_spectrum(HERTZ, "eeg"), expected, rtol=1e-9)
    np.testing.assert_allclose(response.mean("eeg"), lead_field @ response.mean("S"), rtol=1e-9)


def penalised(x, throw=False):
    """The level of BOLD-FC and the margin, with the coupling and `w` free."""
    net = eqx.tree_at(lambda n: (n.coupling.G, n.node.w), wong_wang(), (x[0], x[1:]))
    response = linear_response(net, save={"bold": BOLD}, throw=throw)
    edge = objectives.stability_penalty(response, slowest=1000.0)
    return jnp.append(response.fc()[jnp.triu_indices(3, 1)], edge)


def test_gradients_match_differences():
    x = jnp.array([0.3, 0.62, 0.58, 0.6])
    assert_gradients_match_differences(penalised, x, rtol=1e-5)


def pair(G):
    """Two regions that decay in 1 ms, with the edge of stability at G = 1.25."""
    weights = jnp.array([[0.0, 0.8], [0.8, 0.0]])
    return nmm.Network(
        nmm.Linear(gamma=-1.0), weights, nmm.coupling.Linear(G=G), noise=White(x=0.1)
    )


def test_unstable_fixed_point_is_an_error_with_its_eigenvalue():
    with pytest.raises(ValueError, match=r"unstable: its leading eigenvalue is 0\.2\+0j per ms"):
        linear_response(pair(1.5))
    with pytest.raises(eqx.EquinoxRuntimeError, match="The fixed point is unstable"):
        eqx.filter_jit(lambda G: linear_response(pair(G)).fc())(jnp.array(1.5))


def test_unstable_fixed_point_is_silent_in_a_loss_and_the_penalty_leads_back():
    def parts(G):
        response = linear_response(pair(G), throw=False)
        seen = jnp.sum(response.covariance()) + jnp.sum(response.spectrum(HERTZ))
        fc = response.fc()
        edge = objectives.stability_penalty(response, slowest=2.0)
        return jnp.stack([seen, fc[0, 1], edge, response.growth])

    G = 1.5
    values, slopes = jax.jit(lambda G: (parts(G), jax.jacfwd(parts)(G)))(G)
    growth = 0.8 * G - 1
    np.testing.assert_allclose(values, [0, 0, (1 + 2 * growth) ** 2, growth], atol=1e-12)
    np.testing.assert_allclose(slopes, [0, 0, 4 * (1 + 2 * growth) * 0.8, 0.8], atol=1e-9)


NODES = {
    "Hopf": (nmm.Hopf(a=-0.02, w=0.06), White(x=1e-3, y=1e-3), None),
    "JansenRit": (nmm.JansenRit(p=0.05), White(Ev=1e-4), None),
    "WilsonCowan": (nmm.WilsonCowan.preset("wilson_cowan1972"), White(rE=1e-4), None),
}


@pytest.mark.parametrize("name", NODES)
def test_spectrum_is_that_of_a_run(name):
    model, noise, inputs = NODES[name]
    seconds, regions = 10, 64
    response = linear_response(model, noise=noise, inputs=inputs)
    start = jax.tree.map(lambda x: jnp.full(regions, x), response.fixed_point.state)
    run = nmm.simulate(
        model,
        1000.0 * (seconds + 1),
        0.5,
        key=jr.key(0),
        noise=noise,
        inputs=inputs,
        y0=start,
        save=[model.output],
        transient=1000.0,
        save_every=2.0,
    )
    hertz, power = nmm.analysis.power_spectrum(run[model.output], 2.0, segment=500.0)
    inside = (hertz > 3) & (hertz < 60)
    ratio = jnp.mean(power, axis=1)[inside] / response.spectrum(hertz[inside])
    # Windows that overlap by half are worth 0.95 / 2 of as many independent ones.
    error = 1 / np.sqrt(regions * 0.95 * seconds / 0.5)
    assert np.max(np.abs(ratio - 1)) < 4.5 * error + 0.03
    assert abs(np.mean(ratio) - 1) < 0.03


def test_bold_fc_of_runs_has_the_pattern_and_the_level():
    weights = nmm.datasets.load_connectome("dk84").log().weights[30:42, 30:42]
    weights = weights / jnp.max(jnp.abs(jnp.linalg.eigvals(weights)))
    net = wong_wang(0.25, weights)
    closed = linear_response(net, save={"bold": BOLD}).fc()

    def run(key):
        sol = nmm.simulate(net, 720.0 * 460, 4.0, key=key, save={"bold": BOLD}, transient=43200.0)
        return nmm.analysis.fc(sol["bold"])

    fcs = jax.jit(jax.vmap(run))(jr.split(jr.key(0), 8))
    edges = nmm.analysis.upper_triangle(jnp.concatenate([closed[None], fcs]))
    between = np.corrcoef(edges)
    # Two runs share the truth and not their errors: each correlates with it by the root of this.
    reliability = np.mean(between[1:, 1:][np.triu_indices(8, 1)])
    assert np.mean(between[0, 1:]) > np.sqrt(reliability) - 0.02
    assert abs(np.mean(edges[1:]) / np.mean(edges[0]) - 1) < 0.1


def whole_brain(name, sigma=None):
    """84 regions, what is seen of them, the step of a run, and the noise at which it is linear."""
    conn = nmm.datasets.load_connectome("dk84")
    noise = nmm.noise.White
    if name == "ReducedWongWang":
        node, noise, seen, dt = nmm.ReducedWongWang(), noise(S=sigma or 0.001), BOLD, 4.0
        coupling = nmm.coupling.Linear(G=0.25)
    elif name == "WongWangExcInh":
        conn, noise, seen, dt = conn.scale("spectral_radius"), noise(S_e=sigma or 0.001), BOLD, 2.0
        net = nmm.Network(nmm.WongWangExcInh(), conn, nmm.coupling.Linear(G=0.66))
        node, coupling = nmm.balance(net).network.node, net.coupling
    else:
        node = nmm.Hopf(a=-2e-5, w=2 * np.pi * 0.05e-3, beta=1e-3)
        conn = eqx.tree_at(lambda c: c.weights, conn, 0.2 * conn.weights / conn.weights.max())
        noise, seen, dt = (
            noise(x=sigma or 2e-4, y=sigma or 2e-4),
            "x",
            100.0,
        )
        coupling = nmm.coupling.Diffusive(G=1e-3)
    return nmm.Network(node, conn, coupling, noise=noise), {"seen": seen}, dt


@pytest.mark.thorough
@pytest.mark.parametrize("name", ("ReducedWongWang", "WongWangExcInh", "Hopf"))
def test_fc_of_a_whole_brain_has_the_pattern_and_the_level(name, capsys):
    def compare(sigma=None):
        """Correlation with runs, what the reliability of runs allows, and the level of FC."""
        net, save, dt = whole_brain(name, sigma)
        closed = linear_response(net, save=save).fc()

        def run(key):
            # What is no observer is saved every so often.
            every = 700.0 if save["seen"] == "x" else 720.0
            options = {"save": save, "save_every": every, "transient": 100_800.0, "throw": False}
            sol = nmm.simulate(net, 1_310_400.0, dt, key=key, **options)
            return nmm.analysis.fc(sol["seen"])

        fcs = jax.jit(jax.vmap(run))(jr.split(jr.key(0), 5))
        edges = nmm.analysis.upper_triangle(jnp.concatenate([closed[None], fcs]))
        between = np.corrcoef(edges)
        reliability = np.mean(between[1:, 1:][np.triu_indices(5, 1)])
        level = np.mean(edges[1:]) / np.mean(edges[0])
        return np.mean(between[0, 1:]), np.sqrt(reliability), level

    found, possible, level = compare()
    assert found > possible - 0.02 and possible > 0.5
    assert abs(level - 1) < 0.1
    default = {"ReducedWongWang": 0.003, "WongWangExcInh": 0.01, "Hopf": 6.3e-4}[name]
    with capsys.disabled():
        print(f"\n{name}: {found:.3f} of {possible:.3f}, level {level:.2f}; at sigma {default}: ")
        print("{:.3f} of {:.3f}, level {:.2f}".format(*compare(default)))


DELAYS = jnp.array([[0.0, 30.0, 12.0], [25.0, 0.0, 7.0], [3.0, 40.0, 0.0]])


def fed_back(G=0.15, tau=7.0):
    """dx = (-0.1 x(t) - G x(t - tau)) dt + 0.3 dW."""
    return nmm.Network(
        nmm.Linear(gamma=-0.1),
        -jnp.ones((1, 1)),
        nmm.coupling.Linear(G=G),
        delays=jnp.asarray(tau).reshape(1, 1),
        delay_range=(1.0, 30.0),
        noise=White(x=0.3),
    )


def test_delayed_feedback_has_its_characteristic_roots_and_spectrum():
    a, b, tau = 0.1, 0.15, 7.0
    point = nmm.analysis.fixed_point(fed_back(), nodes=24)
    roots = [-a + lambertw(-b * tau * np.exp(a * tau), k) / tau for k in (0, -1, 1, -2)]
    np.testing.assert_allclose(
        np.sort_complex(point.eigenvalues[:4]), np.sort_complex(roots), rtol=1e-8
    )
    assert point.kind == "stable focus"
    response = linear_response(fed_back())
    gain = 1 / (1j * OMEGA + a + b * np.exp(-1j * OMEGA * tau))
    np.testing.assert_allclose(response.transfer(HERTZ, "x_inp")[:, 0, 0], gain, rtol=1e-12)
    spectrum = 2 / 1000 * 0.3**2 * np.abs(gain) ** 2
    np.testing.assert_allclose(response.spectrum(HERTZ)[:, 0], spectrum, rtol=1e-12)


def test_delayed_feedback_has_the_variance_of_its_formula():
    """Küchler and Mensch (1992) Stochastics and Stochastics Reports 40:23."""
    a, b, tau = -0.1, -0.15, 7.0
    omega = np.sqrt(b**2 - a**2)
    sine, cosine = np.sin(omega * tau), np.cos(omega * tau)
    variance = 0.3**2 / 2 * (b * sine - omega) / (omega * (a + b * cosine))
    errors = []
    for nodes in (6, 24):
        got = linear_response(fed_back(), nodes=nodes).covariance()[0, 0]
        errors.append(abs(float(got) / variance - 1))
    assert errors[0] < 2e-3 and errors[1] < errors[0] / 10


def test_feedback_that_is_late_is_unstable():
    """The edge lies at tau = arccos(-a / b) / sqrt(b² - a²), here 20.6 ms."""
    edge = np.arccos(-0.1 / 0.15) / np.sqrt(0.15**2 - 0.1**2)
    assert nmm.analysis.fixed_point(fed_back(tau=edge - 0.1)).stable
    assert not nmm.analysis.fixed_point(fed_back(tau=edge + 0.1)).stable
    with pytest.raises(ValueError, match="unstable: its leading eigenvalue"):
        linear_response(fed_back(tau=edge + 0.1))

    def parts(tau):
        response = linear_response(fed_back(tau=tau), throw=False)
        seen = jnp.sum(response.covariance()) + jnp.sum(response.spectrum(HERTZ))
        return jnp.stack([seen, response.growth])

    (seen, growth), (no_slope, slope) = parts(edge + 0.1), jax.jacfwd(parts)(edge + 0.1)
    assert (seen, no_slope) == (0, 0) and growth > 0 and slope > 0


def test_delayed_network_agrees_with_its_simulation():
    net = wong_wang(delays=DELAYS)
    response = linear_response(net, save={"S": "S", "H": "H", "bold": BOLD})
    assert not np.allclose(
        response.covariance("S"), linear_response(wong_wang()).covariance("S"), rtol=0.01
    )
    runs = jax.vmap(
        lambda key: (
            nmm.simulate(
                net, 300_000.0, 2.0, key=key, save=["S", "H"], save_every=20.0, transient=4000.0
            ).ys
        )
    )(jr.split(jr.key(1), 16))
    # What 25 Hz folds back is small below 2 Hz.
    hertz, power = jax.vmap(lambda x: nmm.analysis.power_spectrum(x, 20.0, segment=10_000.0))(
        runs["S"]
    )
    low = (hertz[0] > 0.15) & (hertz[0] < 2)
    ratio = jnp.mean(power, axis=0)[low] / response.spectrum(hertz[0, low], "S")
    # Windows that overlap by half are worth 0.95 / 2 of as many independent ones, in 16 runs.
    error = 1 / np.sqrt(16 * 0.95 * 296 / 10)
    assert np.max(np.abs(ratio - 1)) < 4.5 * error + 0.03
    assert abs(np.mean(ratio) - 1) < 0.03
    for name in ("S", "H"):
        each = np.array([np.cov(np.asarray(x).T) for x in runs[name]])
        expected = np.asarray(response.covariance(name))
        error = each.std(axis=0, ddof=1) / np.sqrt(len(each))
        np.testing.assert_array_less(np.abs(each.mean(axis=0) - expected), 4 * error)
        assert np.max(error / np.sqrt(np.outer(*2 * [np.diag(expected)]))) < 0.02


@pytest.mark.thorough
def test_what_is_delayed_by_nothing_or_in_two_couplings_is_the_same():
    instantaneous = linear_response(wong_wang(), save=["H"])
    none = linear_response(wong_wang(delays=1e-4 * DELAYS), save=["H"])
    np.testing.assert_allclose(none.covariance(), instantaneous.covariance(), rtol=1e-4)
    half = nmm.coupling.Linear(G=0.05)
    several = nmm.Network(
        nmm.ReducedWongWang(w=jnp.linspace(0.5, 0.7, 3)), WEIGHTS, (half, half),
        delays=(DELAYS, DELAYS), noise=White(S=0.001),
    )  # fmt: skip
    one = linear_response(wong_wang(delays=DELAYS))
    both = linear_response(several)
    np.testing.assert_allclose(both.covariance(), one.covariance(), rtol=1e-9)
    np.testing.assert_allclose(both.cross_spectrum(HERTZ), one.cross_spectrum(HERTZ), rtol=1e-9)
    late = one.cross_spectrum(HERTZ) - linear_response(wong_wang()).cross_spectrum(HERTZ)
    assert np.max(np.abs(late)) > 1e-3 * np.max(np.abs(one.cross_spectrum(HERTZ)))


def test_gradients_with_delays():
    def number(params):
        G, tau = params
        response = linear_response(fed_back(G, tau))
        return response.covariance()[0, 0] + 100 * response.spectrum(HERTZ)[1, 0]

    assert_gradients_match_differences(number, (jnp.asarray(0.12), jnp.asarray(6.0)))


def test_delays_that_have_no_response_are_refused():
    sparse = nmm.SparseConnectome([0, 1], [1, 0], [1.0, 1.0], n_regions=2)
    net = nmm.Network(nmm.Linear(), sparse, delays=5.0, noise=White(x=0.1))
    with pytest.raises(ValueError, match=r"dense `nmm.Connectome` .* `SparseConnectome`"):
        linear_response(net)
    with pytest.raises(ValueError, match="`nodes` should be at least 2, got 1"):
        linear_response(fed_back(), nodes=1)


@pytest.mark.parametrize("beta", [1.0, -1.0])
def test_coloured_noise_is_filtered_by_what_it_drives(beta):
    noise = nmm.noise.Coloured(beta, 0.3)
    response = linear_response(nmm.Linear(gamma=-0.1), noise=noise)
    fast = linear_response(nmm.Linear(gamma=-1e4), noise=noise)
    # What is fast follows the noise: its variance, and its spectrum before it is filtered.
    np.testing.assert_allclose(1e8 * fast.covariance(), [[0.09]], rtol=1e-3)
    np.testing.assert_allclose(
        response.spectrum(HERTZ), 1e8 * fast.spectrum(HERTZ) / (0.1**2 + OMEGA**2), rtol=1e-3
    )
    slope = np.diff(np.log(1e8 * fast.spectrum(HERTZ))) / np.diff(np.log(HERTZ))
    np.testing.assert_allclose(slope, -beta, atol=0.1)
