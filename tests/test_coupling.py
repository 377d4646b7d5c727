"""Couplings: their formulas, against The Virtual Brain and by hand."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from helpers import golden
from tiny import Relax

import nmm
from nmm import coupling as c

WEIGHTS = jnp.array([[0.0, 2.0], [0.5, 0.0]])
X = jnp.array([1.0, 3.0])

ALL = (
    c.Linear(),
    c.Scaling(),
    c.Diffusive(),
    c.Sigmoidal(),
    c.TanhOfSum(),
    c.SumOfTanh(),
    c.SigmoidalJansenRit(source="x"),
    c.PreSigmoidal(),
    c.Kuramoto(),
)


def network(coupling, weights=WEIGHTS, node=Relax):
    return nmm.Network(node(), weights, coupling)


def heard(coupling, x=X, **options):
    net = network(coupling, **options)
    return net.receive(0.0, Relax.State(x=x, y=0 * x), None).u


def logistic(z):
    return 1 / (1 + np.exp(-np.asarray(z)))


@pytest.mark.parametrize(
    "coupling, expected",
    [
        (c.Linear(), [6.0, 0.5]),
        (c.Scaling(G=0.1), [0.6, 0.05]),
        (c.Diffusive(), [4.0, -1.0]),
        (c.TanhOfSum(), 0.5 * np.tanh([12.0, 1.0])),
        (c.SumOfTanh(), [2 * (1 + np.tanh(3)), 0.5 * (1 + np.tanh(1))]),
        (c.Sigmoidal(), logistic([6.0, 0.5])),
        (c.SigmoidalJansenRit(source="x"), [0.01 * logistic(-1.68), 0.0025 * logistic(-2.8)]),
        (c.Kuramoto(), [2 * np.sin(2), -0.5 * np.sin(2)]),
        (c.Kuramoto(alpha=0.3), [2 * np.sin(1.7), 0.5 * np.sin(-2.3)]),
        # Both senders are far above the threshold.
        (c.PreSigmoidal(), [2.0, 0.5]),
        (c.PreSigmoidal(slope=0.5), [1 + np.tanh(1.25), 0.25 * (1 + np.tanh(0.25))]),
    ],
    ids=lambda x: type(x).__name__ if isinstance(x, c.AbstractCoupling) else "",
)
def test_values_worked_by_hand(coupling, expected):
    np.testing.assert_allclose(heard(coupling), expected, rtol=1e-12)


def tvb(case, p):
    """The same coupling here."""
    match case:
        case "Linear":
            return c.Linear(G=p["a"], b=p["b"])
        case "Scaling":
            return c.Scaling(G=p["a"])
        case "Difference":
            return c.Diffusive(G=p["a"])
        case "HyperbolicTangent":
            return c.SumOfTanh(G=p["a"], slope=p["b"] / p["sigma"], midpoint=p["midpoint"] / p["b"])
        case "Sigmoidal":
            limits = {name: p[name] for name in ("cmin", "cmax", "midpoint")}
            return c.Sigmoidal(slope=p["a"] / p["sigma"], **limits)
        case "SigmoidalJansenRit":
            return c.SigmoidalJansenRit(G=p.pop("a"), **p)
        case "Kuramoto_1cvar":
            return c.Kuramoto(G=p["a"])


@pytest.mark.parametrize("case", sorted(set(golden("couplings")) - {"laplacian"}))
def test_couplings_of_the_virtual_brain(case):
    # Its messages are delayed, each edge by its own time, so that they are summed here.
    arrays, entry = golden("couplings")[case]
    delayed, now = arrays["x_j_delayed"], arrays["now"]
    if case == "SigmoidalJansenRit":
        delayed, now = delayed[:1] - delayed[1:], now[:1] - now[1:]
    coupling, weights = tvb(case, dict(entry["params"])), arrays["weights"]
    for variable, expected in enumerate(arrays["coupling"][: len(now)]):
        messages = coupling.message(jnp.asarray(delayed[variable]))
        kinds = messages if isinstance(messages, tuple) else (messages,)
        sums = tuple(jnp.sum(weights * each, axis=-1) for each in kinds)
        sums = sums if isinstance(messages, tuple) else sums[0]
        found = coupling.receive(jnp.asarray(now[variable]), sums, weights.sum(axis=-1))
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("coupling", ALL, ids=lambda x: type(x).__name__)
def test_gain_multiplies_what_is_heard_and_is_declared(coupling):
    (path, declaration, value) = next(nmm._declare.declared_parameters(coupling))
    assert path == "G" and declaration.bounds[0] == 0
    twice = type(coupling)(G=2 * value, source=coupling.source)
    np.testing.assert_allclose(heard(twice), 2 * heard(coupling), rtol=1e-14)
    assert nmm.describe(coupling).startswith(f"# {type(coupling).__name__}\n")


@pytest.mark.parametrize("coupling", [c.Diffusive(), c.Kuramoto()])
def test_what_symmetric_differences_bring_sums_to_zero(coupling):
    weights = jr.uniform(jr.key(0), (20, 20))
    x = jr.normal(jr.key(1), (20,))
    assert abs(jnp.sum(heard(coupling, x, weights=weights + weights.T))) < 1e-12


def test_thresholds_can_be_sent_along():
    x, y = jnp.array([0.3, 0.8]), jnp.array([0.1, 0.9])
    net = network(c.PreSigmoidal(slope=2.0, source=("x", "y")))
    found = net.receive(0.0, Relax.State(x=x, y=y), None).u
    expected = 0.5 * WEIGHTS @ (1 + np.tanh(2 * (x - y)))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_jansen_rit_sends_its_potential():
    node, weights = nmm.JansenRit(), WEIGHTS
    state = node.initial_state((2,), jr.key(0))
    net = nmm.Network(node, weights, c.SigmoidalJansenRit(G=3.0, cmax=node.s_max))
    same = nmm.Network(node, weights, c.Linear(G=3.0))
    np.testing.assert_allclose(
        net.receive(0.0, state, None).E_inp, same.receive(0.0, state, None).E_inp, rtol=1e-12
    )


def test_a_coupling_of_ones_own_takes_a_few_lines():
    class Product(c.AbstractCoupling):
        """x_i times the sum of the squares of the others."""

        G: nmm.Parameter = nmm.param(1.0, unit="1", doc="coupling")

        def message(self, source):
            return source**2

        def receive(self, target, sums, row_sums):
            return self.G * target * sums

    np.testing.assert_allclose(heard(Product(G=0.5)), [9.0, 0.75])
    with pytest.raises(ValueError, match="`G` of `Product` should be finite"):
        Product(G=jnp.nan)


# The Laplacian.


def path_graph(n):
    return jnp.asarray(np.eye(n, k=1) + np.eye(n, k=-1))


@pytest.mark.parametrize("kind, name", [(None, ""), ("random_walk", "_rw"), ("symmetric", "_sym")])
def test_laplacians_of_brainmass(kind, name):
    arrays, _ = golden("couplings")["laplacian"]
    found = nmm.Connectome(arrays["conn"]).laplacian(kind).weights
    np.testing.assert_allclose(found, arrays["laplacian" + name], rtol=1e-12, atol=1e-14)


def test_laplacian_of_graphs_with_known_eigenvalues():
    n = 7
    complete = nmm.Connectome(jnp.ones((n, n))).laplacian().weights
    np.testing.assert_allclose(np.linalg.eigvalsh(complete), [-n] * (n - 1) + [0], atol=1e-12)
    path = nmm.Connectome(path_graph(n)).laplacian().weights
    expected = -(2 - 2 * np.cos(np.pi * np.arange(n) / n))
    np.testing.assert_allclose(np.linalg.eigvalsh(path)[::-1], expected, atol=1e-12)
    walk = nmm.Connectome(path_graph(n)).laplacian("random_walk").weights
    values = np.linalg.eigvals(walk).real
    assert values.min() > -2 - 1e-12 and values.max() < 1e-12


def test_linear_coupling_of_the_laplacian_is_diffusive_coupling():
    weights, x = jr.uniform(jr.key(2), (6, 6)), jr.normal(jr.key(3), (6,))
    conn = nmm.Connectome(weights)
    diffusive = heard(c.Diffusive(G=0.7), x, weights=conn)
    laplacian = heard(c.Linear(G=0.7), x, weights=conn.laplacian())
    np.testing.assert_allclose(diffusive, laplacian, rtol=1e-12)
    walk = heard(c.Linear(), x, weights=conn.laplacian("random_walk"))
    np.testing.assert_allclose(walk, heard(c.Diffusive(), x, weights=conn.scale("row_sum")))


@pytest.mark.parametrize("kind", [None, "random_walk", "symmetric"])
def test_region_without_connections_has_a_laplacian_of_zero(kind):
    weights = jnp.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    found = nmm.Connectome(weights).laplacian(kind).weights
    np.testing.assert_array_equal(found, [[-1, 1, 0], [1, -1, 0], [0, 0, 0]])


def test_impossible_laplacians_are_refused():
    with pytest.raises(ValueError, match="row sums that are not negative .* smallest is -1"):
        nmm.Connectome(-jnp.eye(2)).laplacian("symmetric")


# What a coupling needs of a model.


@pytest.mark.parametrize(
    "coupling, message",
    [
        (c.Diffusive(source="z"), r"'z' is neither a state variable .* `Relax`; .* \['x', 'y'"),
        (c.PreSigmoidal(source=("x", "z")), "'z' is neither a state variable"),
        (c.SigmoidalJansenRit(), "'eeg' is neither a state variable"),
        (c.Kuramoto(source="net"), "`coupling.source` should be computed from the state alone"),
        (c.Sigmoidal(target="w"), r"`coupling.target` should be an input slot .* \['u', 'v'\]"),
    ],
)
def test_what_the_model_lacks_is_refused_by_name(coupling, message):
    with pytest.raises(ValueError, match=message):
        network(coupling)


class Misfit(c.AbstractCoupling):
    """Receives one number too many."""

    def message(self, source):
        return source

    def receive(self, target, sums, row_sums):
        return jnp.concatenate([sums, sums[..., :1]], axis=-1)


class Scalar(c.AbstractCoupling):
    """Sends what is not regional."""

    def message(self, source):
        return 1.0

    def receive(self, target, sums, row_sums):
        return sums


@pytest.mark.parametrize(
    "coupling, message",
    [
        (c.Linear(source=("x", "y")), r"`coupling` .* its source, \('x', 'y'\).* `Linear` failed"),
        (c.Kuramoto(source=("x", "y")), "that of `Kuramoto` failed"),
        (c.PreSigmoidal(source=("x", "y", "x")), "that of `PreSigmoidal` failed"),
        (Misfit(), r"one number for each of the 2 regions; `Misfit` received the shape \(3,\)"),
        (Scalar(), "that of `Scalar` failed"),
    ],
)
def test_a_coupling_that_makes_no_input_of_its_source_is_refused(coupling, message):
    with pytest.raises(ValueError, match=message):
        network(coupling)


def test_kuramoto_divides_by_the_parcels_that_send():
    weights, mapping = jr.uniform(jr.key(4), (3, 3)), np.array([2, 0, 0, 1, 2, 2])
    parcels = nmm.ParcelConnectome(weights, mapping)
    x = jr.normal(jr.key(5), (3,))
    coupling = c.Kuramoto(divisor="regions")
    small, large = heard(coupling, x, weights=weights), heard(coupling, x[mapping], weights=parcels)
    np.testing.assert_allclose(small, heard(c.Kuramoto(), x, weights=weights) / 3, rtol=1e-14)
    np.testing.assert_allclose(large, small[mapping], rtol=1e-12)


# Of pairs.


class Sines(c.AbstractPairwise):
    """What `Kuramoto` is, without its features."""

    G: nmm.Parameter = nmm.param(1.0, unit="1", doc="coupling")

    def pair(self, source, target):
        return jnp.sin(source - target)

    def receive(self, target, sums, row_sums):
        return self.G * sums


def test_a_coupling_of_pairs_is_that_of_features_where_it_factors():
    weights = np.random.default_rng(0).normal(size=(6, 6)) * (np.arange(36).reshape(6, 6) % 3 > 0)
    weights[2], weights[4] = 1.0, 0.0
    x = jr.normal(jr.key(6), (3, 6))
    expected = heard(c.Kuramoto(0.7), x, weights=weights)
    for conn in (nmm.Connectome(weights), nmm.SparseConnectome.from_dense(weights)):
        found = jax.jit(lambda x, conn=conn: heard(Sines(0.7), x, weights=conn))(x)
        np.testing.assert_allclose(found, expected, atol=1e-13)


def test_a_coupling_of_pairs_acts_at_once_on_edges_that_are_known():
    options = {"delays": jnp.ones((2, 2))}
    with pytest.raises(ValueError, match="`coupling` of pairs, `Sines`, should act at once"):
        nmm.Network(Relax(), WEIGHTS, Sines(), **options)
    with pytest.raises(ValueError, match="`coupling` of pairs, `Sines`, should act at once"):
        network(Sines(), nmm.ParcelConnectome(WEIGHTS, [0, 1, 1]))
