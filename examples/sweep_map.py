"""A map of two parameters on all cores: how well each pair explains the connectivity of real fMRI.

    python examples/sweep_map.py

The global coupling and the local recurrence of a whole-brain network are swept together, on the
same noise in every cell. Where the network leaves the plausible rates, the map shows it. Killed and
started again, it goes on where it was (`--checkpoint folder`).
"""

import argparse
import os
import time
from pathlib import Path

import jax
import numpy as np

import fitting
import nmm

TR = 720.0


def problem(cells, minutes):
    """The loss, the network and the values of the sweep, of `cells` by `cells` cells."""
    conn = nmm.datasets.load_connectome("dk84", scaling="raw").log().scale("spectral_radius")
    fc = nmm.datasets.load_functional("dk84").fc
    net = nmm.Network(
        nmm.ReducedWongWang(),
        conn,
        nmm.coupling.Linear(G=0.2),
        noise=nmm.noise.White(S=0.003),
    )
    transient, duration = 40 * TR, TR * round(minutes * nmm.units.minute / TR)

    def loss(net, key):
        save = {
            "bold": nmm.observe.BOLD(TR, step=40.0),
            "rate": nmm.observe.TemporalAverage(10 * TR, "H"),
        }
        sol = nmm.simulate(
            net, transient + duration, 4.0, key=key, transient=transient, save=save, throw=False
        )
        concordance = fitting.objectives.fc_concordance(sol["bold"], fc, simulated_is="series")
        return {"concordance": concordance, "highest rate": sol["rate"].mean(axis=0).max()}

    over = {
        "coupling.G": np.linspace(0.15, 0.35, cells),
        "node.w": np.linspace(0.45, 0.65, cells),
    }
    return loss, net, over


def draw(table, path):
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for name, ax in zip(table.values, axes, strict=True):
        table.plot(name, ax)
    axes[0].set_title("concordance with the FC of real fMRI")
    axes[1].set_title("highest rate of any region, Hz")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    print(f"Figure: {path}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="9 cells of half a minute")
    parser.add_argument("--checkpoint", type=Path, help="folder to go on from")
    parser.add_argument("--figure", type=Path, default=Path("figures/sweep_map.png"))
    options = parser.parse_args()
    # Each core becomes a device; this has to come before anything else of JAX.
    jax.config.update("jax_num_cpu_devices", os.cpu_count())
    loss, net, over = problem(3, 0.5) if options.quick else problem(14, 2.0)
    begin = time.perf_counter()
    table = fitting.sweep(loss, net, over, key=jax.random.key(0), checkpoint=options.checkpoint)
    print(table)
    print(f"{table.axes.size} cells on {jax.device_count()} devices: "
          f"{time.perf_counter() - begin:.0f} s")  # fmt: skip
    values = table.values["concordance"]
    best = np.unravel_index(np.nanargmax(values), values.shape)
    where = ", ".join(
        f"{path} = {axis[i]:.3f}" for (path, axis), i in zip(over.items(), best, strict=True)
    )
    print(f"Highest concordance {values[best]:.3f} at {where}")
    draw(table, options.figure)


if __name__ == "__main__":
    main()
