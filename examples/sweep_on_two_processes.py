"""The sweep of `sweep_map.py` on two processes, which could as well be two computers.

    python examples/sweep_on_two_processes.py

On a cluster each process makes the same calls, `jax.distributed.initialize()` first; here the
script starts two of itself. Both end up with the whole result, and it is that of one process.
"""

import argparse
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import numpy as np
from sweep_map import problem

import fitting


def work(size, target):
    """The sweep, its results to a file."""
    loss, net, over = problem(*size)
    table = fitting.sweep(loss, net, over, key=jax.random.key(0), progress=False)
    np.savez(target, **table.values)


def start(size, folder, processes):
    """Runs the sweep on so many processes, and returns what the last one has found."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    begin = time.perf_counter()
    targets = [folder / f"{processes}-{rank}.npz" for rank in range(processes)]
    workers = [
        subprocess.Popen(
            [sys.executable, __file__, "--worker", str(rank), str(processes), str(port),
             str(target), *map(str, size)]
        )
        for rank, target in enumerate(targets)
    ]  # fmt: skip
    if any(worker.wait() for worker in workers):
        raise SystemExit("A process failed.")
    print(f"{processes} process{'es' * (processes > 1)}: {time.perf_counter() - begin:.0f} s")
    return dict(np.load(targets[-1]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="9 cells of half a minute")
    parser.add_argument("--worker", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        rank, processes, port, target, cells, minutes = options.worker
        if int(processes) > 1:
            # On a cluster `jax.distributed.initialize()` finds these by itself.
            jax.distributed.initialize(
                f"127.0.0.1:{port}", num_processes=int(processes), process_id=int(rank)
            )
        work((int(cells), float(minutes)), target)
        return
    size = (3, 0.5) if options.quick else (8, 1.0)
    with tempfile.TemporaryDirectory() as folder:
        one, two = (start(size, Path(folder), processes) for processes in (1, 2))
    apart = max(float(np.nanmax(np.abs(one[name] - two[name]))) for name in one)
    print(f"{one['concordance'].size} cells; largest difference of any number: {apart:.1e}")


if __name__ == "__main__":
    main()
