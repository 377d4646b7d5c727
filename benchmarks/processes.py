"""Sweeps beside neurolib and cuBNM, timed as whole processes: import, compile and run.

    python -m benchmarks.processes --neurolib PYTHON --cubnm PYTHON

Each of the two wants a Python of its own, whose interpreter is given (or by `NEUROLIB_PYTHON` and
`CUBNM_PYTHON`); one without is left out. Both sides compute the same model on dk84 with the same
steps of Euler and the same outputs, on all cores and by turns. Random numbers differ, so that what
comes out agrees within what two draws differ by: it is printed beside.

neurolib: its Hopf network with Ornstein–Uhlenbeck noise, with delays and without, in steps of
0.1 ms, by its own loop in a pool of processes: what its exploration does, but for the files. cuBNM:
60 s of its reduced Wong–Wang network with white noise in steps of 0.1 ms, BOLD, FC and FCD.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import nmm

from ._timing import ratio, table

CONNECTOME = nmm.datasets.load_connectome("dk84")

CASES = {
    "neurolib": {
        "a": -0.02, "w": 0.2, "sigma": 0.01, "tau": 5.0, "speed": 20.0,
        "dt": 0.1, "t1": 2_000.0, "transient": 500.0, "limits": (0.0, 0.2), "runs": 128,
    },
    "cubnm": {
        "sigma": 0.01, "dt": 0.1, "t1": 60_000.0, "transient": 30_000.0, "tr": 1000.0, "step": 1.0,
        "window": 10, "window_step": 2, "limits": (0.1, 0.4), "runs": 8,
    },
}  # fmt: skip
CASES["neurolib, no delays"] = CASES["neurolib"] | {"speed": 0.0, "runs": 1024}


def write(name: str, folder: Path, runs: int | None) -> tuple[Path, np.ndarray]:
    """The file that both sides read, and the couplings in it."""
    case = dict(CASES[name])
    limits, count = case.pop("limits"), case.pop("runs")
    couplings = np.linspace(*limits, runs or count)
    path = folder / "case.npz"
    arrays = {"weights": CONNECTOME.weights, "lengths": CONNECTOME.tract_lengths, "G": couplings}
    np.savez(path, **arrays, **case)
    return path, couplings


def timed(command: list[Any], folder: Path) -> tuple[float, dict[str, np.ndarray]]:
    """Seconds of a process, and what it printed."""
    begun = time.perf_counter()
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True,
        env=os.environ | {"HOME": str(folder)},  # where packages leave files
    )  # fmt: skip
    seconds = time.perf_counter() - begun
    if done.returncode:
        raise RuntimeError(f"{command} failed:\n{done.stderr[-2000:]}")
    answer = json.loads(done.stdout.splitlines()[-1])
    return seconds, {key: np.asarray(values) for key, values in answer.items()}


def compare(name: str, python: str, rounds: int, runs: int | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, couplings = write(name, Path(folder), runs)
        package = name.partition(",")[0]
        theirs = Path(__file__).with_name("_other_process.py")
        commands = {
            "nmm": [sys.executable, "-m", "benchmarks._our_process", package, path],
            package: [python, theirs, package, path],
        }
        seconds: dict[str, list[float]] = {side: [] for side in commands}
        results = {}
        for _ in range(rounds):
            for side, command in commands.items():
                took, results[side] = timed(command, Path(folder))
                seconds[side].append(took)
    arrays = {side: np.array(values) for side, values in seconds.items()}
    t1 = CASES[name]["t1"] / 1000
    rows = [
        [side, f"{np.median(values):.1f} ({values.min():.1f}–{values.max():.1f})",
         ratio(arrays, side, package) if side == "nmm" else ""]
        for side, values in arrays.items()
    ]  # fmt: skip
    title = f"{name}: {len(couplings)} runs of {t1:g} s over the coupling, 84 regions"
    table(title, ["whole process", "s", f"ratio to {package}"], rows)
    few = np.unique(np.linspace(0, len(couplings) - 1, 4).round().astype(int))
    rows = [
        [f"{side}, {what}", *(f"{values[i]:.3f}" for i in few)]
        for what in results[package]
        for side, values in ((side, results[side][what]) for side in commands)
    ]
    table("What came out", ["coupling", *(f"{couplings[i]:.3f}" for i in few)], rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name in ("neurolib", "cubnm"):
        parser.add_argument(f"--{name}", default=os.environ.get(f"{name.upper()}_PYTHON"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=list(CASES), choices=CASES)
    parser.add_argument("--runs", type=int, help="how many, if not as many as by default")
    options = vars(parser.parse_args())
    for name in options["only"]:
        python = options[name.partition(",")[0]]
        if python is not None:
            compare(name, python, options["rounds"], options["runs"])


if __name__ == "__main__":
    main()
