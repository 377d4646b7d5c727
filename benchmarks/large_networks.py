"""Large networks: full matrices against lists of edges, with their gradients.

    python -m benchmarks.large_networks

Prints for each network the time of a step of Heun's method, of a step with its gradient in all
weights, and of a step of each of four simulations side by side, and the memory that a run and a run
with its gradient take besides what they are given. One coupling evaluation a stage, two stages a
step, float32. With delays of 5 to 25 ms, a chunk of five steps is read at once.
"""

import argparse
import sys
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import nmm

STEPS = 100


def full(nodes: int) -> nmm.Connectome:
    weights = np.random.default_rng(0).uniform(size=(nodes, nodes)) / nodes
    lengths = np.random.default_rng(1).uniform(20.0, 100.0, size=(nodes, nodes))
    return nmm.Connectome(weights.astype(np.float32), lengths.astype(np.float32))


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


def cost(function, *args) -> tuple[float, float]:
    """Seconds of a call, the least of three, and the megabytes it takes at its peak."""
    compiled = eqx.filter_jit(function).lower(*args).compile()
    jax.block_until_ready(compiled(*args))
    times = []
    for _ in range(3):
        start = time.perf_counter()
        jax.block_until_ready(compiled(*args))
        times.append(time.perf_counter() - start)
    return min(times), compiled.compiled.memory_analysis().temp_size_in_bytes / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--full", type=int, nargs="*", default=[1_000], help="regions, all to all")
    parser.add_argument("--nodes", type=int, nargs="*", default=[1_000, 5_000, 20_000])
    options = parser.parse_args()
    connectomes = {f"{n:,} regions, full": lambda n=n: full(n) for n in options.full}
    connectomes |= {f"{n:,} nodes, 50 edges each": lambda n=n: sparse(n, 50) for n in options.nodes}
    print(f"Python {sys.version.split()[0]}, jax {jax.__version__}, {jax.devices()[0].platform}\n")
    columns = (
        "network | edges | step, ms | with gradient, ms | one of four, ms | MB | with gradient"
    )
    print(f"| {columns} |")
    print("|" + "---|" * len(columns.split("|")))
    for name, build in connectomes.items():
        conn = build()
        edges = np.count_nonzero(conn.weights)
        for delayed in (False, True):
            net = network(conn, delayed)
            forward, memory = cost(end, net, jnp.asarray(0.5))
            gradient, more = cost(eqx.filter_grad(of_weights), net.connectome.weights, net)
            batch = jax.vmap(end, in_axes=(None, 0))
            four, _ = cost(batch, net, jnp.linspace(0.1, 0.7, 4))
            cells = [f"{1e3 * t / STEPS:.2f}" for t in (forward, gradient, four / 4)]
            cells += [f"{size:.0f}" for size in (memory, more)]
            title = name + (", delayed" if delayed else "")
            print(f"| {title} | {edges:,} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
