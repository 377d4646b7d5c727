"""Large networks: full matrices against lists of edges, with their gradients.

    python -m benchmarks.large_networks

Prints for each network the time of a step of Heun's method, of a step with its gradient in all
weights, and of a step of each of four simulations side by side. One coupling evaluation a stage,
two stages a step, float32.
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
    return nmm.SparseConnectome(targets, sources.ravel(), weights, nodes)


def end(conn, G):
    net = nmm.Network(nmm.WongWangExcInh(), conn, nmm.coupling.Linear(G=G))
    return jnp.mean(nmm.simulate(net, float(STEPS), 1.0, save=[], throw=False).y1.S_e)


def of_weights(weights, conn):
    return end(eqx.tree_at(lambda c: c.weights, conn, weights), 0.5)


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
        "1,000 regions, full": full(1000),
        "1,000 nodes, 50 edges each": sparse(1000, 50),
        "5,000 nodes, 50 edges each": sparse(5000, 50),
        "20,000 nodes, 50 edges each": sparse(20_000, 50),
    }
    print("| network | edges | step, ms | with gradient, ms | one of four, ms |")
    print("|---|---|---|---|---|")
    for name, conn in cases.items():
        edges = np.count_nonzero(conn.weights)
        forward = seconds(end, conn, 0.5)
        gradient = seconds(eqx.filter_grad(of_weights), conn.weights, conn)
        four = seconds(jax.vmap(end, in_axes=(None, 0)), conn, jnp.linspace(0.1, 0.7, 4)) / 4
        cells = [f"{1e3 * t / STEPS:.2f}" for t in (forward, gradient, four)]
        print(f"| {name} | {edges:,} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
