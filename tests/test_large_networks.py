"""Sparse connectomes, parcels of nodes and local kernels, against the same as full matrices."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from gradients import assert_gradients_match_differences
from tiny import Relax

import nmm

N = 12


def matrix(hubs=True):
    """A sparse matrix in which one node hears all, and one nobody."""
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(N, N)) * (rng.uniform(size=(N, N)) < 0.2)
    if hubs:
        weights[3], weights[5] = rng.normal(size=N), 0
    return weights


def heard(conn, x, coupling=None):
    net = nmm.Network(Relax(), conn, coupling)
    return net.receive(0.0, Relax.State(x=x, y=x), None).u


@pytest.mark.parametrize("weights", [matrix(), np.roll(np.eye(N), 1, axis=0) + np.eye(N)])
def test_sparse_connectome_is_the_full_one(weights):
    sparse = nmm.SparseConnectome.from_dense(weights)
    x = jr.normal(jr.key(0), (3, N))
    for coupling in (nmm.coupling.Diffusive(G=0.3), nmm.coupling.Kuramoto(alpha=0.2)):
        full = heard(jnp.asarray(weights), x, coupling)
        np.testing.assert_allclose(heard(sparse, x, coupling), full, atol=1e-13)
    assert sparse.n_edges == np.count_nonzero(weights)
    np.testing.assert_array_equal(sparse.to_dense().weights, weights)


def test_places_are_at_most_twice_the_edges_and_nodes():
    rng = np.random.default_rng(1)
    targets = np.repeat(np.arange(500), np.minimum(rng.geometric(1 / 20, 500), 400))
    sources = np.concatenate([np.arange(n) for n in np.bincount(targets)])
    conn = nmm.SparseConnectome(targets, sources, np.ones(len(targets)), 500)
    assert conn.weights.size <= 2 * (len(targets) + 500) and conn.n_edges == len(targets)


def test_gradients_flow_to_edges_and_only_to_them():
    weights = matrix()
    sparse = nmm.SparseConnectome.from_dense(weights)
    targets, sources, values = sparse.edges
    x = jr.normal(jr.key(1), (N,))

    def end(conn):
        net = nmm.Network(Relax(), conn)
        return nmm.simulate(net, 1.0, 0.25, y0=Relax.State(x=x, y=x), save=[]).y1.x

    def of_edges(values):
        return end(nmm.SparseConnectome(targets, sources, values, N))

    assert_gradients_match_differences(of_edges, values)
    by_edge = jax.grad(lambda w: jnp.sum(of_edges(w) ** 2))(values)
    full = jax.grad(lambda w: jnp.sum(end(nmm.Connectome(w)) ** 2))(jnp.asarray(weights))
    np.testing.assert_allclose(by_edge, full[targets, sources], rtol=1e-9)


def test_parcels_hear_the_mean_messages_of_parcels():
    mapping = np.array([2, 0, 0, 1, 2, 2, 1, 0])
    parcels = nmm.Connectome(np.random.default_rng(2).normal(size=(3, 3)))
    conn = nmm.ParcelConnectome(parcels, mapping)
    x = jr.normal(jr.key(2), (2, 8))
    mean = jnp.stack([x[:, mapping == p].mean(axis=1) for p in range(3)], axis=-1)
    np.testing.assert_allclose(conn.means(x), mean, rtol=1e-12)
    np.testing.assert_allclose(heard(conn, x), (mean @ parcels.weights.T)[:, mapping], rtol=1e-12)
    # States that are equal within each parcel are those of the network of parcels.
    alike = jr.normal(jr.key(3), (3,))
    coupling = nmm.coupling.Diffusive(G=0.7)
    expected = heard(parcels, alike, coupling)[mapping]
    np.testing.assert_allclose(heard(conn, alike[mapping], coupling), expected, rtol=1e-12)
    identity = nmm.ParcelConnectome(parcels, np.arange(3))
    np.testing.assert_allclose(heard(identity, alike), heard(parcels, alike), rtol=1e-12)


def test_surface_has_local_and_long_connections_at_once():
    rng = np.random.default_rng(3)
    positions, mapping = rng.uniform(0, 30, (40, 3)), np.arange(40) % 4
    local = nmm.SparseConnectome.local(positions, nmm.MexicanHat(sigma=5.0), cutoff=15.0)
    distance = np.linalg.norm(positions[:, None] - positions, axis=-1)
    half = (distance / 5) ** 2 / 2
    expected = np.where((distance <= 15) & (distance > 0), (1 - half) * np.exp(-half), 0)
    np.testing.assert_allclose(local.to_dense().weights, expected, atol=1e-12)
    parcels = nmm.Connectome(rng.uniform(size=(4, 4)))
    long = nmm.ParcelConnectome(parcels, mapping)
    couplings = (nmm.coupling.Linear(G=0.1), nmm.coupling.Diffusive(G=0.2, target="v"))
    net = nmm.Network(Relax(), (local, long), couplings)
    x = jr.normal(jr.key(4), (40,))
    found = net.receive(0.0, Relax.State(x=x, y=x), None)
    np.testing.assert_allclose(found.u, 0.1 * expected @ x, atol=1e-12)
    np.testing.assert_allclose(found.v, heard(long, x, nmm.coupling.Diffusive(G=0.2)), atol=1e-12)


def test_delayed_sparse_network_is_the_full_one_with_its_gradients():
    # Some edges without delay, some of less than a step.
    weights, lengths = matrix(), np.random.default_rng(6).uniform(0, 9, (N, N))
    np.fill_diagonal(lengths, 0)
    targets, sources = np.nonzero(weights)
    y0 = Relax.State(x=jr.normal(jr.key(5), (N,)), y=0.0)

    def run(conn):
        coupling, span = nmm.coupling.Diffusive(G=0.3), {"delay_range": (0.0, 5.0)}
        net = nmm.Network(Relax(rate=0.4), conn, coupling, speed=2.0, **span)
        past = lambda t: jnp.cos(y0.x + t)  # noqa: E731
        x = nmm.simulate(net, 8.0, 0.5, y0=y0, history=past, save="x", throw=False)["x"]
        return jnp.sum(x[-1] ** 2), x

    def sparse(weights, lengths):
        edges = weights[targets, sources], lengths[targets, sources]
        return run(nmm.SparseConnectome(targets, sources, edges[0], N, lengths=edges[1]))

    def full(weights, lengths):
        return run(nmm.Connectome(weights, lengths))

    values = jnp.asarray(weights), jnp.asarray(lengths)
    found, expected = (
        jax.value_and_grad(way, (0, 1), has_aux=True)(*values) for way in (sparse, full)
    )
    np.testing.assert_allclose(found[0][1], expected[0][1], atol=1e-13)
    edges = weights != 0
    for mine, theirs in zip(found[1], expected[1], strict=True):
        np.testing.assert_allclose(mine[edges], theirs[edges], atol=1e-12)
        assert np.all(np.any(mine, axis=0))


def test_delayed_parcels_are_the_network_of_parcels():
    mapping = np.array([2, 0, 0, 1, 2, 2, 1, 0])
    rng = np.random.default_rng(7)
    lengths = rng.uniform(0.5, 6, (3, 3))
    parcels = nmm.Connectome(rng.normal(size=(3, 3)), (lengths + lengths.T) * (1 - np.eye(3)))
    coupling, x = nmm.coupling.Diffusive(G=0.7), jr.normal(jr.key(8), (3,))

    def run(conn, x):
        net = nmm.Network(Relax(rate=0.4), conn, coupling, speed=2.0)
        return nmm.simulate(net, 6.0, 0.5, y0=Relax.State(x=x, y=0.0), save="x")

    small, large = run(parcels, x), run(nmm.ParcelConnectome(parcels, mapping), x[mapping])
    np.testing.assert_allclose(large["x"], small["x"][:, mapping], rtol=1e-12)
    stored = (s.ending.carry.history[0] for s in (small, large))
    np.testing.assert_allclose(next(stored), next(stored), rtol=1e-12)


def test_kernels_have_their_shapes_and_can_be_fitted():
    d = jnp.linspace(0, 60, 601)
    np.testing.assert_allclose(nmm.Gaussian(sigma=10.0)(10.0), np.exp(-0.5), rtol=1e-12)
    np.testing.assert_allclose(nmm.Exponential(length=10.0)(20.0), np.exp(-2), rtol=1e-12)
    hat = nmm.MexicanHat(sigma=5.0)(d)
    assert hat[0] == 1 and np.all(np.sign(hat[d > 5 * np.sqrt(2) + 0.1]) <= 0)
    np.testing.assert_allclose(np.trapezoid(d * hat, d), 0.0, atol=1e-3)
    conn = nmm.SparseConnectome([0, 1, 2], [1, 2, 0], [1.0, 1.0, 1.0], 3, lengths=[1.0, 5.0, 9.0])
    assert_gradients_match_differences(
        lambda s: conn.reweight(nmm.Gaussian(sigma=s)).weighted_sum(jnp.ones(3)), jnp.array(4.0)
    )


def test_lengths_go_along_from_and_to_a_matrix():
    weights = matrix()
    lengths = np.random.default_rng(1).uniform(1, 9, (N, N))
    sparse = nmm.SparseConnectome.from_dense(nmm.Connectome(weights, lengths))
    back = sparse.to_dense()
    np.testing.assert_array_equal(back.weights, weights)
    np.testing.assert_array_equal(back.tract_lengths, np.where(weights != 0, lengths, 0))
    targets, sources, values = sparse.edges
    np.testing.assert_array_equal(sparse.lengths[sparse.layout.known[2]], lengths[targets, sources])
    same = nmm.SparseConnectome.from_dense(weights, lengths=lengths)
    np.testing.assert_array_equal(same.lengths, sparse.lengths)
    np.testing.assert_array_equal(sparse.place(values)[sparse.layout.known[2]], values)


@pytest.mark.thorough
def test_delays_by_edge_are_those_of_the_matrix():
    weights = matrix()
    delays = np.random.default_rng(2).uniform(0.2, 3.0, (N, N))
    sparse = nmm.SparseConnectome.from_dense(weights)
    targets, sources, _ = sparse.edges
    y0 = Relax.State(x=jnp.cos(jnp.arange(N)), y=0.0)

    def network(conn, delays):
        return nmm.Network(Relax(), conn, delays=delays, delay_range=(0.1, 4.0))

    def end(net):
        return nmm.simulate(net, 4.0, 0.5, y0=y0, save=[]).y1.x

    by_edge = jnp.asarray(delays[targets, sources])
    net = eqx.tree_at(lambda n: n.delays, network(sparse, jnp.ones(len(targets))), by_edge)
    np.testing.assert_array_equal(net.all_delays()[0][sparse.layout.known[2]], by_edge)
    np.testing.assert_allclose(end(net), end(network(weights, delays)), rtol=1e-12)


def test_scaling_to_the_spectral_radius():
    conn = nmm.SparseConnectome.from_dense(np.abs(matrix()))
    radius = nmm.Connectome(np.abs(matrix())).spectral_radius
    np.testing.assert_allclose(conn.spectral_radius, radius, rtol=1e-5)
    assert abs(conn.scale(1 / radius).spectral_radius - 1) < 1e-5
    two = nmm.SparseConnectome([0, 1], [1, 0], [2.0, 8.0], 2)
    np.testing.assert_allclose(two.spectral_radius, 4.0)
    with pytest.raises(TypeError, match="`factor` should be a number, .* got 'spectral_radius'"):
        two.scale("spectral_radius")


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: nmm.SparseConnectome([0, 3], [1, 0], [1.0, 1.0], 3), "`targets` .* 0 to 2, got 0"),
        (lambda: nmm.SparseConnectome([0, 1], [1], [1.0], 3), "`sources` should be whole numbers"),
        (lambda: nmm.SparseConnectome([0, 0], [1, 1], [1.0, 1.0], 3), r"once, got \(0, 1\) twice"),
        (
            lambda: nmm.SparseConnectome([0], [1], [1.0, 2.0], 3),
            "`weights` .* of the 1 edges",
        ),
        (lambda: nmm.SparseConnectome([0], [1], [np.nan], 3), "`weights` should be finite"),
        (lambda: nmm.SparseConnectome([0], [1], [1.0], 3).reweight(jnp.exp), "`lengths` should"),
        (lambda: nmm.SparseConnectome.from_dense(np.ones((2, 3))), "`weights` should be a square"),
        (
            lambda: nmm.SparseConnectome.local(np.eye(3), jnp.exp, cutoff=0.1),
            "`cutoff` should reach some neighbour, got 0.1 mm",
        ),
        (lambda: nmm.ParcelConnectome(jnp.eye(2), [0, 2]), "`mapping` .* 0 to 1, got 0 to 2"),
        (lambda: nmm.ParcelConnectome(jnp.eye(3), [0, 2]), r"without are \[1\]"),
        (lambda: nmm.ParcelConnectome(jnp.eye(2), [0.5]), "`mapping` should be one whole number"),
        (
            lambda: nmm.Network(Relax(), nmm.SparseConnectome([0], [1], [1.0], 2), speed=3.0),
            "`speed` should go with `tract_lengths`",
        ),
        (
            lambda: nmm.Network(
                Relax(), nmm.SparseConnectome([0], [1], [1.0], 2), delays=jnp.ones((1, 2))
            ),
            r"`delays` should have the shape \(2, 1\), as the weights",
        ),
        (
            lambda: nmm.Network(
                Relax(), nmm.SparseConnectome([0], [1], [1.0], 2), delays=jnp.ones(2)
            ),
            r"by edge should have the shape \(1,\), one for each .* got \(2,\)",
        ),
        (
            lambda: nmm.SparseConnectome([0], [1], [1.0], 2, lengths=[-1.0]),
            "`lengths` should not be negative, in mm; the smallest is -1",
        ),
        (
            lambda: nmm.SparseConnectome.from_dense(np.eye(2), lengths=np.eye(3)),
            r"`lengths` should have the shape of the weights, \(2, 2\), got \(3, 3\)",
        ),
        (
            lambda: nmm.SparseConnectome([0], [1], [1.0], 0),
            "`n_regions` should be a positive whole number, got 0",
        ),
        (
            lambda: nmm.Network(
                Relax(rate=[1.0, 1.0]), nmm.ParcelConnectome(jnp.eye(2), [0, 1, 1])
            ),
            "regional parameters of `node` should be given for the 3 regions",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ("sparse", "sparse delayed", "dense", "dense delayed"))
def test_networks_of_many_nodes_run(kind):
    rng = np.random.default_rng(0)
    if "sparse" in kind:
        n, edges = 20_000, 50
        sources = np.stack([rng.choice(n - 1, edges, replace=False) for _ in range(n)])
        targets = np.repeat(np.arange(n), edges)
        sources = (targets + 1 + sources.ravel()) % n
        weights, lengths = np.full(n * edges, 0.5 / edges), rng.uniform(5, 60, n * edges)
        conn = nmm.SparseConnectome(targets, sources, weights, n, lengths=lengths)
        assert conn.n_edges == 10**6 and conn.weights.size <= 2 * (10**6 + n)
    else:
        n = 1_000
        lengths = rng.uniform(5, 60, (n, n))
        conn = nmm.Connectome(np.full((n, n), 0.5 / n), lengths)
    ways = {"speed": 3.0} if "delayed" in kind else {}
    net = nmm.Network(Relax(rate=1.0), conn, **ways)
    # All hear half of the mean: x' = x / 2 - x from one start for all, or with its past.
    sol = nmm.simulate(net, 4.0, 0.5, y0=Relax.State(x=jnp.ones(n), y=0.0), save=[])
    x = np.asarray(sol.y1.x)
    if "delayed" in kind:
        assert np.all((x > np.exp(-2.0)) & (x < 0.6))
    else:
        # Eight of Heun's steps.
        np.testing.assert_allclose(x, (1 - 0.25 + 0.25**2 / 2) ** 8, rtol=1e-12)
