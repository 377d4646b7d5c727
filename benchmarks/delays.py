"""Networks with conduction delays on dk84, against tvboptim's fastest buffer.

    python -m benchmarks.delays

Every table is measured in this process, by turns, after a first call; ratios are medians over the
rounds with their quartiles. tvboptim 0.4.0 takes part where it is installed (extra `peers`), used
as its authors use it: Heun, delayed linear coupling held over the step, delays rounded to steps.
"""

import argparse
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

import nmm

from . import peers
from ._timing import by_turns, first_call, ratio, table

CONNECTOME = nmm.datasets.load_connectome("dk84")
SPEED = 3.0
WAYS = {
    "rounded, held over the step": {"reading": "nearest", "hold": True},
    "linear, at the stages": {"reading": "linear"},
}
BUFFERS = ("roll", "circular", "preallocated") if peers.AVAILABLE else ()
COLUMNS = ["", "first call, s", "µs a step", "ratio to the fastest of tvboptim"]


def network(**options):
    options = {"speed": SPEED} | options
    return nmm.Network(nmm.ReducedWongWang(), CONNECTOME, nmm.coupling.Linear(G=0.2), **options)


def with_value(net, which, value):
    where = {"G": lambda n: n.coupling.G, "weights": lambda n: n.connectome.weights}[which]
    return eqx.tree_at(where, net, value)


def states(net, steps, dt):
    y0 = net.State(S=jnp.full(net.shape, 0.1))
    return nmm.simulate(net, steps * dt, dt, y0=y0, throw=False).ys.S


def ours(way, which, steps, dt, keep=True):
    net = network(**WAYS[way])

    def run(value):
        every = states(with_value(net, which, value), steps, dt)
        return every if keep else every[-1]

    return run


def rivals(which, steps, dt):
    delays = np.asarray(CONNECTOME.delays(SPEED))
    return {
        f"tvboptim, {buffer}": peers.TVBOptim(CONNECTOME.weights, buffer=buffer).delayed(
            steps * dt, dt, delays, which
        )
        for buffer in BUFFERS
    }


def squared(run):
    return lambda value: jnp.mean(run(value) ** 2)


def start_of(which):
    return jnp.asarray(0.2) if which == "G" else CONNECTOME.weights


def measure(title, contenders, value, rounds, per):
    """Runs contenders by turns, and prints their cost a step and the ratio to tvboptim's best."""
    runs, first = {}, {}
    for name, function in contenders.items():
        compiled = jax.jit(function)
        runs[name] = lambda compiled=compiled: compiled(value)
        first[name] = first_call(runs[name])
    seconds = by_turns(runs, rounds)
    theirs = [name for name in contenders if name.startswith("tvboptim")]
    best = min(theirs, key=lambda name: np.median(seconds[name]), default=None)
    rows = []
    for name, values in seconds.items():
        compared = "" if best is None or name in theirs else ratio(seconds, name, best)
        cost = f"{np.median(values) / per * 1e6:.2f}"
        rows.append([name, f"{first[name]:.2f}", cost, compared])
    table(title, COLUMNS, rows)


def forward(rounds, steps, dt):
    contenders = {way: ours(way, "G", steps, dt) for way in WAYS} | rivals("G", steps, dt)
    measure(f"Forward, {steps:,} steps of {dt} ms", contenders, start_of("G"), rounds, steps)


def gradient(rounds, steps, dt, which):
    contenders = {}
    runs = {way: ours(way, which, steps, dt) for way in WAYS} | rivals(which, steps, dt)
    for name, run in runs.items():
        loss = squared(run)
        contenders[f"{name}, reverse"] = jax.value_and_grad(loss)
        if which == "G":
            contenders[f"{name}, forward"] = lambda x, f=loss: jax.jvp(f, (x,), (jnp.ones(()),))
    title = f"Value and gradient in {which}, {steps:,} steps of {dt} ms"
    measure(title, contenders, start_of(which), rounds, steps)


def memory(steps, steps_of):
    rows = []
    for dt in steps_of:
        for which in ("G", "weights"):
            functions = {way: ours(way, which, steps, dt) for way in WAYS}
            functions |= rivals(which, steps, dt)
            sizes = {}
            for name, run in functions.items():
                compiled = (
                    jax.jit(jax.value_and_grad(squared(run))).lower(start_of(which)).compile()
                )
                sizes[name] = compiled.memory_analysis().temp_size_in_bytes / 1e6
            theirs = [size for name, size in sizes.items() if name.startswith("tvboptim")]
            base = min(theirs, default=None)
            rows += [
                [f"{dt} ms, {which}, {name}", f"{size:.1f}", f"{size / base:.2f}" if base else ""]
                for name, size in sizes.items()
            ]
    columns = ["", "MB", "ratio to the smallest of tvboptim"]
    table(f"Memory that a gradient through {steps:,} steps takes at its peak", columns, rows)


def vmapped(rounds, steps, dt, batch=32):
    rows = []
    for way in WAYS:
        run = ours(way, "G", steps, dt, keep=False)
        alone, many = jax.jit(run), jax.jit(jax.vmap(run))
        runs = {
            "alone": lambda alone=alone: alone(jnp.asarray(0.2)),
            "batch": lambda many=many: many(jnp.linspace(0.1, 0.25, batch)),
        }
        for each in runs.values():
            first_call(each)
        seconds = by_turns(runs, rounds)
        seconds["batch"] = seconds["batch"] / batch
        cost = f"{np.median(seconds['batch']) / steps * 1e6:.2f}"
        rows.append([way, cost, ratio(seconds, "batch", "alone")])
    columns = ["", "µs a step and simulation", "ratio to one alone"]
    table(f"{batch} simulations vmapped, {steps:,} steps of {dt} ms", columns, rows)


def random_network(regions, longest, dt):
    """Dense, with delays spread evenly from 4 steps to the longest."""
    weights, lengths = jr.uniform(jr.key(0), (2, regions, regions), jnp.float32)
    weights = weights / regions * (1 - jnp.eye(regions))
    delays = 4 * dt + lengths * (longest - 4 * dt)
    return nmm.Network(nmm.ReducedWongWang(), weights, nmm.coupling.Linear(G=0.2), delays=delays)


def scaling(rounds, steps):
    rows = []
    cases = [(n, 60.0, 1.0) for n in (50, 100, 200, 500, 1000, 2000)]
    cases += [(100, longest, 1.0) for longest in (10.0, 30.0, 120.0, 240.0)]
    cases += [(100, 60.0, dt) for dt in (0.5, 0.2, 0.1)]
    for regions, longest, dt in cases:
        net = random_network(regions, longest, dt)
        fewer = max(steps * 50 // regions, 100)
        run = jax.jit(lambda net=net, fewer=fewer, dt=dt: states(net, fewer, dt)[-1])
        first = first_call(run)
        cost = np.median(by_turns({"": run}, rounds)[""]) / fewer
        each = f"{cost / regions**2 * 1e9:.2f}"
        rows.append(
            [str(regions), f"{longest:g}", f"{dt:g}", f"{first:.1f}", f"{cost * 1e6:.1f}", each]
        )
    columns = ["regions", "longest delay, ms", "dt, ms", "first call, s", "µs a step", "ns an edge"]
    table("Dense networks, linear reading at the stages", columns, rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--dt", type=float, nargs="*", default=[1.0, 0.1])
    parser.add_argument(
        "--only",
        nargs="*",
        default=["forward", "gradient", "weights", "memory", "vmapped", "scaling"],
    )
    options = parser.parse_args()
    print(f"Python {sys.version.split()[0]}, jax {jax.__version__}, {jax.devices()[0].platform}")
    for dt in options.dt:
        if "forward" in options.only:
            forward(options.rounds, options.steps, dt)
        if "gradient" in options.only:
            gradient(max(options.rounds // 2, 3), options.steps, dt, "G")
        if "weights" in options.only:
            gradient(max(options.rounds // 2, 3), options.steps, dt, "weights")
        if "vmapped" in options.only:
            vmapped(max(options.rounds // 2, 3), options.steps // 5, dt)
    if "memory" in options.only:
        memory(options.steps, options.dt)
    if "scaling" in options.only:
        scaling(max(options.rounds // 2, 3), 2_000)


if __name__ == "__main__":
    main()
