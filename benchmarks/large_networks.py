"""Large networks: full matrices against lists of edges, with their gradients.

    python -m benchmarks.large_networks

Prints for each network the time of a step of Heun's method, of a step with its gradient in all
weights, and of a step of each of four simulations side by side. One coupling evaluation a stage,
two stages a step, float32. With delays of 5 to 25 ms, a chunk of five steps is read at once.
"""

import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import nmm

STEPS = 20


def full(nodes: int) -> nmm.Connectome:
    weights = np.random.default_rng(0).uniform(size=(nodes, nodes)) / nodes
    return nmm.Connectome(weights.astype(np.float32))


def sparse(nodes: int, degree: int) -> nmm.SparseConnectome:
    rng = np.random.default_rng(0)
    # Different sources for each target: multiples of a step that shares no factor with `nodes`.
    offsets = np.cumsum(rng.integers(1, nodes // degree, (nodes, degree)), axis=1)
    sources = (np.arange(nodes)[:, None] + offsets) % nodes
    targets = np.repeat(np.arange(nodes), degree)
    weights = rng.uniform(size=nodes * degree).astype(np.float32) / degree
    lengths = rng.uniform(20.0, 100.0, nodes * degree).astype(np.float32)
    return nmm.SparseConnectome(targets, sources.ravel(), weights, nodes, lengths=lengths)


def network(conn, delayed):
    speed = 4.0 if delayed else None
    return nmm.Network(nmm.WongWangExcInh(), conn, nmm.coupling.Linear(G=0.5), speed=speed)


def end(net, G):
    net = eqx.tree_at(lambda net: net.coupling.G, net, G)
    return jnp.mean(nmm.simulate(net, float(STEPS), 1.0, save=[], throw=False).y1.S_e)


def of_weights(weights, net):
    net = eqx.tree_at(lambda net: net.connectome.weights, net, weights)
    return end(net, jnp.asarray(0.5))


def seconds(function, *args) -> float:
    function = eqx.filter_jit(function)
    jax.block_until_ready(function(*args))
    times = []
    for _ in range(3):
        start = time.perf_counter()
        jax.block_until_ready(function(*args))
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    cases = {
        "1,000 regions, full": network(full(1000), False),
    }
    for nodes in (1_000, 5_000, 20_000):
        conn = sparse(nodes, 50)
        cases[f"{nodes:,} nodes, 50 edges each"] = network(conn, False)
        cases[f"{nodes:,} nodes, 50 edges each, delayed"] = network(conn, True)
    print("| network | edges | step, ms | with gradient, ms | one of four, ms |")
    print("|---|---|---|---|---|")
    for name, net in cases.items():
        weights = net.connectome.weights
        edges = np.count_nonzero(weights)
        forward = seconds(end, net, jnp.asarray(0.5))
        gradient = seconds(eqx.filter_grad(of_weights), weights, net)
        four = seconds(jax.vmap(end, in_axes=(None, 0)), net, jnp.linspace(0.1, 0.7, 4)) / 4
        cells = [f"{1e3 * t / STEPS:.2f}" for t in (forward, gradient, four)]
        print(f"| {name} | {edges:,} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
