"""What observation costs: BOLD of 20 minutes of 100 regions, in time and in memory.

    python -m benchmarks.observation

Time by turns in one process, as ratios to the run without BOLD; memory as the temporary memory of
the compiled program, and as the peak of a whole process of its own.
"""

import argparse
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import nmm

from ._timing import by_turns, ratio, table

DT = 0.5
MINUTE = 60_000.0
NETWORK = nmm.Network(
    nmm.ReducedWongWang(), nmm.datasets.load_connectome("schaefer100"), nmm.coupling.Linear(G=0.2)
)


def number(minutes, save):
    """A number that needs all of the samples of a run."""

    def run(G):
        sol = nmm.simulate(
            eqx.tree_at(lambda net: net.coupling.G, NETWORK, G),
            minutes * MINUTE,
            DT,
            key=jax.random.key(0),
            noise=nmm.noise.White(S=0.003),
            save=save,
            save_every=minutes * MINUTE,
            throw=False,
        )
        return sum(jnp.mean(x) for x in jax.tree.leaves(sol.ys))

    return run


def observers(regions):
    eeg = nmm.observe.EEG(np.random.default_rng(0).normal(size=(64, regions)), 4.0, "S")
    bold = nmm.observe.BOLD(720.0, "S")
    return {
        "the last state alone": {"S": "S"},
        "BOLD": {"bold": bold},
        "BOLD, its FC online": {"fc": nmm.observe.OnlineFC(bold)},
        "convolution BOLD": {"bold": nmm.observe.ConvolutionBOLD(720.0, "S")},
        "EEG at 250 Hz, 64 electrodes": {"eeg": eeg},
        "its spectrum online": {"psd": nmm.observe.OnlineSpectrum(eeg, 2000.0)},
    }


def speed(rounds, seconds):
    rows, minutes = [], seconds / 60
    for title, transform in (("value", lambda f: f), ("gradient", jax.grad)):
        runs = {}
        for name, save in observers(100).items():
            compiled = jax.jit(transform(number(minutes, save)))
            runs[name] = lambda compiled=compiled: compiled(jnp.asarray(0.2))
            jax.block_until_ready(runs[name]())
        measured = by_turns(runs, rounds)
        base = "the last state alone"
        for name, values in measured.items():
            cost = np.median(values) / (seconds * 1000 / DT) * 1e6
            rows.append([title, name, f"{cost:.2f}", ratio(measured, name, base)])
        jax.clear_caches()
    table(
        f"{seconds:g} s of 100 regions at {DT} ms",
        ["", "", "µs a step", "ratio to the last state alone"],
        rows,
    )


def temporary():
    rows = []
    for title, transform in (("value", lambda f: f), ("gradient", jax.grad)):
        for name, save in observers(100).items():
            sizes = []
            for minutes in (2, 20):
                compiled = jax.jit(transform(number(minutes, save)))
                memory = compiled.lower(jnp.asarray(0.2)).compile().memory_analysis()
                sizes.append(memory.temp_size_in_bytes / 1e6)
            rows.append([title, name, *(f"{x:.1f}" for x in sizes)])
    table("Temporary memory", ["", "", "2 minutes, MB", "20 minutes, MB"], rows)


def whole(minutes):
    """The peak memory of processes that run 20 minutes with BOLD, forward and for a gradient."""
    rows = []
    for title in ("value", "gradient"):
        program = (
            "import resource, jax, jax.numpy as jnp\n"
            "from benchmarks.observation import number\n"
            "import nmm\n"
            f"f = number({minutes}, {{'bold': nmm.observe.BOLD(720.0, 'S')}})\n"
            f"f = jax.jit({'f' if title == 'value' else 'jax.grad(f)'})\n"
            "print(float(f(jnp.asarray(0.2))))\n"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)\n"
        )
        out = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        rows.append([title, f"{float(out.stdout.split()[-1]):.0f}"])
    table(f"Whole processes with BOLD of {minutes} minutes", ["", "peak, MB"], rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--minutes", type=int, default=20)
    parser.add_argument("--only", nargs="*", default=["speed", "temporary", "whole"])
    options = parser.parse_args()
    print(f"Python {sys.version.split()[0]}, jax {jax.__version__}, {jax.devices()[0].platform}")
    if "whole" in options.only:
        # First, since a process inherits the peak of the one that starts it.
        whole(options.minutes)
    if "speed" in options.only:
        speed(options.rounds, options.seconds)
    if "temporary" in options.only:
        temporary()


if __name__ == "__main__":
    main()
