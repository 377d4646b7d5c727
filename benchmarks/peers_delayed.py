"""A delayed network of WongWangExcInh on dk84 beside brainmass, The Virtual Brain and neurolib.

    python -m benchmarks.peers_delayed --tvb PYTHON --neurolib PYTHON

brainmass 0.1.1 runs in this process, where it is installed. The others want a Python of their own,
whose interpreter is given; they run in processes that wait while another is timed. All keep every
state of every step, and start from a constant past. The mean of `S_e` after 20 ms shows whether
they compute the same.
"""

import argparse
import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import nmm

from ._timing import by_turns, first_call, ratio, table

CONNECTOME = nmm.datasets.load_connectome("dk84")
SPEED = 3.0
G = 0.3
START = 0.1


def ours(t1: float, dt: float, **options: Any) -> Callable[[], Any]:
    net = nmm.Network(
        nmm.WongWangExcInh(), CONNECTOME, nmm.coupling.Linear(G=G), speed=SPEED, **options
    )
    start = jnp.full(net.shape, START)
    y0 = net.State(S_e=start, S_i=start)
    run = jax.jit(
        lambda gain: (
            nmm.simulate(
                eqx.tree_at(lambda n: n.coupling.G, net, gain), t1, dt, y0=y0, throw=False
            ).ys
        )
    )
    return lambda: run(jnp.asarray(G)).S_e


def brainmass(t1: float, dt: float, method: str) -> Callable[[], Any]:
    import brainmass
    import brainstate
    import brainunit as u
    from braintools.init import Constant

    start = Constant(START)
    node = brainmass.WongWangExcInhStep(
        len(CONNECTOME.weights), G=1.0, init_S_e=start, init_S_i=start, method=method
    )
    weights, delays = np.asarray(CONNECTOME.weights), np.asarray(CONNECTOME.delays(SPEED))
    with brainstate.environ.context(dt=dt * u.ms):
        network = brainmass.Network(
            node,
            conn=weights,
            distance=delays,
            speed=1.0,
            coupling="additive",
            coupled_var="S_e",
            k=G,
            delay_init=start,
        )
    simulator = brainmass.Simulator(network, dt=dt * u.ms)
    monitors = {"S_e": lambda net: net.node.S_e.value, "S_i": lambda net: net.node.S_i.value}
    run = brainstate.transform.jit(lambda: simulator.run(t1 * u.ms, monitors=monitors))
    return lambda: run()["S_e"]


@contextmanager
def elsewhere(python: str, which: str, t1: float, dt: float) -> Iterator[Callable[[], np.ndarray]]:
    """A run in a process of another interpreter, one for each line that it is sent."""
    with tempfile.TemporaryDirectory() as folder:
        case = Path(folder) / "case.npz"
        np.savez(
            case,
            weights=CONNECTOME.weights,
            lengths=CONNECTOME.tract_lengths,
            speed=SPEED,
            G=G,
            start=START,
            t1=t1,
            dt=dt,
        )
        script = Path(__file__).with_name("_other_interpreter.py")
        process = subprocess.Popen(
            [python, str(script), which, str(case)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdin is not None and process.stdout is not None
        asked, answers = process.stdin, process.stdout

        def run() -> np.ndarray:
            asked.write("run\n")
            asked.flush()
            answer = answers.readline()
            if not answer:
                raise RuntimeError(f"`--{which} {python}` has ended: run it by hand to see why.")
            return np.array(answer.split(), float)

        try:
            yield run
        finally:
            asked.close()
            process.wait()


def early(result: Any, dt: float) -> np.ndarray:
    """`S_e` of every region after 20 ms; other interpreters send no more than that."""
    return np.asarray(result if result.ndim == 1 else result[round(20 / dt) - 1])


def measure(rounds: int, steps: int, dt: float, pythons: dict[str, str | None]) -> None:
    t1 = steps * dt
    runs = {
        "rounded, held over the step": ours(t1, dt, reading="nearest", hold=True),
        "linear, at the stages": ours(t1, dt),
    }
    if importlib.util.find_spec("brainmass"):
        runs["brainmass, exponential Euler"] = brainmass(t1, dt, "exp_euler")
        runs["brainmass, Heun"] = brainmass(t1, dt, "rk2")
    with ExitStack() as stack:
        for which, python in pythons.items():
            if python is not None:
                runs[which] = stack.enter_context(elsewhere(python, which, t1, dt))
        first = {name: first_call(run) for name, run in runs.items()}
        means = {name: early(run(), dt).mean() for name, run in runs.items()}
        seconds = by_turns(runs, rounds)
    rows = [
        [
            name,
            f"{first[name]:.2f}",
            f"{np.median(seconds[name]) / steps * 1e6:.2f}",
            ratio(seconds, name, "linear, at the stages"),
            f"{means[name]:.5f}",
        ]
        for name in runs
    ]
    columns = ["", "first call, s", "µs a step", "ratio to linear", "mean S_e at 20 ms"]
    table(f"WongWangExcInh on dk84, delayed, {steps:,} steps of {dt} ms", columns, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tvb", metavar="PYTHON", help="an interpreter with tvb-library")
    parser.add_argument("--neurolib", metavar="PYTHON", help="an interpreter with neurolib")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=5_000)
    parser.add_argument("--dt", type=float, nargs="*", default=[1.0, 0.1])
    options = parser.parse_args()
    print(f"Python {sys.version.split()[0]}, jax {jax.__version__}, {jax.devices()[0].platform}")
    for dt in options.dt:
        pythons = {"tvb": options.tvb, "neurolib": options.neurolib}
        measure(options.rounds, options.steps, dt, pythons)


if __name__ == "__main__":
    main()
