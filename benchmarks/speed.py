"""Speed and memory of whole-brain runs on dk84, against a scan by hand and against tvboptim.

    python -m benchmarks.speed

Every table is measured in this process, by turns, after a first call; ratios are medians over the
rounds with their quartiles. tvboptim 0.4.0 takes part where it is installed (extra `peers`).
"""

import argparse
import subprocess
import sys
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import fitting
import nmm

from . import bare, peers
from ._timing import by_turns, first_call, ratio, table

SIGMA = 0.003
CONNECTOME = nmm.datasets.load_connectome("dk84")
WEIGHTS = CONNECTOME.weights
FC = nmm.datasets.load_functional("dk84").fc
KEY = jax.random.key(0)
NETWORK = nmm.Network(nmm.ReducedWongWang(), CONNECTOME, nmm.coupling.Linear(G=0.2))
HELD = nmm.Network(nmm.ReducedWongWang(), CONNECTOME, nmm.coupling.Linear(G=0.2), hold=True)
WHITE = nmm.noise.White(S=SIGMA)


def with_coupling(G, held=False):
    return eqx.tree_at(lambda net: net.coupling.G, HELD if held else NETWORK, G)


def states(G, t1, noise=None, held=False, **options):
    key = None if noise is None else KEY
    net = with_coupling(G, held)
    return nmm.simulate(net, t1, 1.0, key=key, noise=noise, throw=False, **options).ys.S


def compare(title, contenders, baseline, arguments, rounds, per=None):
    """Runs contenders by turns, and prints seconds and their ratio to the baseline."""
    runs, first = {}, {}
    for name, function in contenders.items():
        compiled = jax.jit(function)
        runs[name] = lambda compiled=compiled: compiled(*arguments)
        first[name] = first_call(runs[name])
    seconds = by_turns(runs, rounds)
    rows = []
    for name, values in seconds.items():
        middle = np.median(values)
        cost = f"{middle * 1e3:.1f}" + (f" ({middle / per * 1e6:.2f} µs a step)" if per else "")
        compared = "" if name == baseline else ratio(seconds, name, baseline)
        rows.append([name, f"{first[name]:.2f}", cost, compared])
    table(title, ["", "first call, s", "ms", f"ratio to {baseline}"], rows)


def forward(rounds, steps):
    hand = {"scan by hand": lambda G: bare.simulate(WEIGHTS, G, steps)}
    ours = {"nmm": lambda G: states(G, float(steps))}
    tvboptim = {}
    if peers.AVAILABLE:
        tvboptim["tvboptim"] = peers.TVBOptim(WEIGHTS).forward(float(steps))
    G = jnp.asarray(0.2)
    compare(
        f"{steps:,} Heun steps, no noise, every state kept",
        hand | ours | tvboptim, "scan by hand", (G,), rounds, steps,
    )  # fmt: skip
    noisy = {"nmm, no noise": ours["nmm"], "nmm, noise": lambda G: states(G, float(steps), WHITE)}
    compare(f"{steps:,} steps with noise on S", noisy, "nmm, no noise", (G,), rounds, steps)
    if peers.AVAILABLE:
        for held, how in ((False, "at every stage"), (True, "held over the step")):
            rival = peers.TVBOptim(WEIGHTS, noise=True, per_stage=not held)
            compare(
                f"{steps:,} steps with noise, coupling {how}",
                {
                    "nmm": lambda G, held=held: states(G, float(steps), WHITE, held),
                    "tvboptim": rival.forward(float(steps)),
                },
                "tvboptim", (G,), rounds, steps,
            )  # fmt: skip


def vmapped(rounds, steps):
    duration = float(steps)

    def by_hand(G):
        return bare.simulate(WEIGHTS, G, steps, keep=False)

    def ours(G):
        return states(G, duration, save_every=duration)

    def ours_noisy(G):
        return states(G, duration, WHITE, save_every=duration)

    functions = {"scan by hand": by_hand, "nmm": ours, "nmm, noise": ours_noisy}
    if peers.AVAILABLE:
        functions["tvboptim"] = peers.TVBOptim(WEIGHTS).last(duration)
        functions["tvboptim, noise"] = peers.TVBOptim(WEIGHTS, noise=True).last(duration)
    for batch in (32, 128, 256):
        contenders = {name: jax.vmap(function) for name, function in functions.items()}
        Gs = jnp.linspace(0.1, 0.25, batch)
        title = f"{batch} simulations of {steps:,} steps, vmapped over G"
        compare(title, contenders, "scan by hand", (Gs,), rounds, steps * batch)


def ours_bold_fc(free, held=False):
    network = HELD if held else NETWORK

    def loss(value):
        where = (lambda net: net.coupling.G) if free == "G" else (lambda net: net.node.w)
        sol = nmm.simulate(
            eqx.tree_at(where, network, value), 60_000.0, 1.0, key=KEY, noise=WHITE,
            save={"bold": nmm.observe.BOLD(720.0)}, transient=7_200.0, throw=False,
        )  # fmt: skip
        return fitting.objectives.fc_rmse(sol["bold"], FC, simulated_is="series")

    return loss


def with_gradients(name, loss, forward):
    """A loss, with its gradient in reverse and, for one parameter, in forward mode."""
    contenders = {f"{name}, value alone": loss, f"{name}, reverse": jax.value_and_grad(loss)}
    if forward:
        contenders[f"{name}, forward"] = lambda x: jax.jvp(loss, (x,), (jnp.ones_like(x),))
    return contenders


def gradient(rounds):
    titles = {"G": "1 free parameter, G", "w": "84 free parameters, w of each region"}
    for free, start in {"G": jnp.asarray(0.2), "w": jnp.full(84, 0.6)}.items():
        for held in (False, True):
            contenders = with_gradients("nmm", ours_bold_fc(free, held), free == "G")
            baseline = "nmm, value alone"
            if peers.AVAILABLE:
                rival = peers.TVBOptim(WEIGHTS, noise=True, per_stage=not held)
                theirs = rival.bold_fc_loss(60_000.0, FC, free)
                contenders |= with_gradients("tvboptim", theirs, free == "G")
                baseline = "tvboptim, reverse"
            how = "held over the step" if held else "at every stage"
            title = f"BOLD-FC over 60 s at 1 ms, value and gradient, {titles[free]}, coupling {how}"
            compare(title, contenders, baseline, (start,), rounds)


def bold_run(minutes):
    """A number that needs all of the BOLD signal of a run."""

    def number(G):
        save = {"bold": nmm.observe.BOLD(720.0)}
        sol = nmm.simulate(
            with_coupling(G), minutes * 60_000.0, 1.0, key=KEY, noise=WHITE, save=save, throw=False
        )
        return jnp.mean(nmm.analysis.fc(sol["bold"]))

    return number


def memory():
    rows = []
    for name, transform in (("value", lambda f: f), ("gradient", jax.value_and_grad)):
        sizes = []
        for minutes in (1, 10):
            compiled = jax.jit(transform(bold_run(minutes))).lower(jnp.asarray(0.2)).compile()
            sizes.append(compiled.memory_analysis().temp_size_in_bytes)
        rows.append([name, *(f"{x / 1e6:.2f}" for x in sizes), f"{sizes[1] / sizes[0]:.2f}"])
    columns = ["", "1 minute, MB", "10 minutes, MB", "growth"]
    table("Memory that a noisy BOLD run takes at its peak", columns, rows)


def whole_processes(rounds):
    run = (
        "import jax, nmm;"
        "net = nmm.Network(nmm.ReducedWongWang(), nmm.datasets.load_connectome('dk84'),"
        " nmm.coupling.Linear(G=0.2));"
        "jax.block_until_ready(nmm.simulate(net, 10_000.0, 1.0).ys)"
    )
    programs = {
        "import diffrax, optax": "import diffrax, optax",
        "import nmm, fitting": "import nmm, fitting",
        "the same, and every module of both loaded": (
            "import os; os.environ['EAGER_IMPORT'] = '1'; import nmm, fitting"
        ),
        "import nmm, first run of 10 s on dk84": run,
    }
    if peers.AVAILABLE:
        programs["import tvboptim.experimental.network_dynamics"] = (
            "import tvboptim.experimental.network_dynamics"
        )
    seconds = {name: [] for name in programs}
    for program in programs.values():
        subprocess.run([sys.executable, "-c", program], check=True)
    for _ in range(rounds):
        for name, program in programs.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", program], check=True)
            seconds[name].append(time.perf_counter() - start)
    seconds = {name: np.array(values) for name, values in seconds.items()}
    base = "import diffrax, optax"
    rows = [
        [name, f"{np.median(values):.2f}", "" if name == base else ratio(seconds, name, base)]
        for name, values in seconds.items()
    ]
    table("Whole processes", ["", "s", f"ratio to {base}"], rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument(
        "--only", nargs="*", default=["forward", "vmapped", "gradient", "memory", "process"]
    )
    options = parser.parse_args()
    print(f"Python {sys.version.split()[0]}, jax {jax.__version__}, {jax.devices()[0].platform}")
    if "forward" in options.only:
        forward(options.rounds, options.steps)
    if "vmapped" in options.only:
        vmapped(max(options.rounds // 3, 3), options.steps // 10)
    if "gradient" in options.only:
        gradient(max(options.rounds // 2, 3))
    if "memory" in options.only:
        memory()
    if "process" in options.only:
        whole_processes(max(options.rounds // 2, 3))


if __name__ == "__main__":
    main()
