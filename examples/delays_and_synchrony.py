"""Synchrony and metastability of a whole brain against conduction delays: a published effect.

    python examples/delays_and_synchrony.py

Gamma oscillators in all regions of dk84 hear each other's phase after the time that each tract
takes, as in Cabral, Hugues, Sporns, Deco (2011) NeuroImage 57:130. Their global order parameter is
mapped against the mean delay and the coupling: its mean over time is the synchrony, its standard
deviation the metastability. Shown beside is how much slower than a region alone all of them turn,
since what is heard late holds back (Niebur, Schuster, Kammen (1991) Physical Review Letters
67:2753). A batch of couplings runs at once. The runs are compiled for a range of delays, so that
every further row of the map, which has another delay, takes no compilation.
"""

import argparse
import math
import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

import nmm

FREQUENCY = 40.0  # Hz
NOISE = 0.1  # rad per square root of a ms
DT = 0.5  # ms


def build(regions: int, mean_delays) -> nmm.Network:
    """Phase oscillators, with delays that may be changed within these means."""
    connectome = nmm.datasets.load_connectome("dk84").subset(range(regions))
    # As in the paper, the mean weight of all pairs is 1.
    connectome = nmm.Connectome(
        connectome.weights / jnp.mean(connectome.weights), connectome.tract_lengths
    )
    speeds = tuple(float(mean_length(connectome) / d) for d in (mean_delays[-1], mean_delays[0]))
    return nmm.Network(
        nmm.Kuramoto(omega=2 * math.pi * FREQUENCY / 1000),
        connectome,
        nmm.coupling.Kuramoto(divisor="regions"),
        noise=nmm.noise.White(theta=NOISE),
        speed=speeds[1],
        speed_range=speeds,
    )


def mean_length(connectome: nmm.Connectome):
    """Of the tracts between two regions, mm."""
    return jnp.sum(connectome.tract_lengths) / jnp.sum(connectome.tract_lengths > 0)


def run(network: nmm.Network, mean_delay, G, duration: float):
    """Mean and deviation of the order parameter over time, and the frequency in Hz."""
    speed = mean_length(network.connectome) / mean_delay
    network = eqx.tree_at(lambda net: (net.speed, net.coupling.G), network, (speed, G))
    phases = jr.uniform(jr.key(0), network.shape, maxval=2 * math.pi)
    transient = duration / 4
    solution = nmm.simulate(
        network,
        duration,
        DT,
        key=jr.key(1),
        y0=network.State(theta=phases),
        history=lambda t: network.State(theta=phases + network.node.omega * t),
        save={"R": "order_parameter", "theta": "theta"},
        save_every=10.0,
        transient=transient,
        throw=False,
    )
    order, theta = solution["R"], solution["theta"]
    turned = jnp.mean(theta[-1] - theta[0]) / (10.0 * (len(theta) - 1))
    return jnp.mean(order), jnp.std(order), turned * 1000 / (2 * math.pi)


def draw(values, mean_delays, gains, path: Path) -> None:
    import matplotlib.pyplot as plt

    titles = ("synchrony: mean of R", "metastability: deviation of R", "mean frequency, Hz")
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained", sharey=True)
    for ax, each, title in zip(axes, values, titles, strict=True):
        image = ax.pcolormesh(mean_delays, gains, each.T, shading="nearest")
        figure.colorbar(image, ax=ax)
        ax.set(title=title, xlabel="mean delay, ms")
    axes[0].set_ylabel("coupling G, rad/ms")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    print(f"Figure: {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few regions, cells and steps")
    parser.add_argument("--figure", type=Path, default=Path("figures/delays_and_synchrony.png"))
    options = parser.parse_args()
    regions, cells, duration = (20, 3, 200.0) if options.quick else (84, 16, 3000.0)

    mean_delays = np.linspace(1.0, 16.0, cells)
    gains = np.linspace(0.0, 0.15, cells)
    network = build(regions, mean_delays)

    @jax.jit
    def row(mean_delay):
        return jax.vmap(lambda G: run(network, mean_delay, G, duration))(jnp.asarray(gains))

    rows, seconds = [], []
    for mean_delay in mean_delays:
        begin = time.perf_counter()
        rows.append(jax.block_until_ready(row(jnp.asarray(mean_delay))))
        seconds.append(time.perf_counter() - begin)
    values = np.moveaxis(np.array(rows), 1, 0)
    print(f"{regions} regions, {cells} couplings at once, {duration:g} ms at {DT:g} ms a step")
    print(
        f"first delay {seconds[0]:.1f} s with compilation, each other {np.mean(seconds[1:]):.1f} s"
    )
    for title, each in zip(("synchrony", "metastability"), values, strict=False):
        i, k = np.unravel_index(np.argmax(each), each.shape)
        print(f"highest {title} {each[i, k]:.2f} at {mean_delays[i]:.1f} ms, G = {gains[k]:.3f}")
    slowest = values[2].min()
    print(f"slowest common frequency {slowest:.1f} Hz; a region alone has {FREQUENCY:g} Hz")
    draw(values, mean_delays, gains, options.figure)


if __name__ == "__main__":
    main()
