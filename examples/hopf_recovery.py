"""Recovers the coupling and the noise of a Hopf network from its functional connectivity.

    python examples/hopf_recovery.py

Parameters are drawn at random; a run of the network with them is the recording, and a fit has to
find them from its functional connectivity (FC), from how that changes over time (FCD), and from its
power. The first table says how far off the fits are; below it stands by how much fits to several
recordings of one network differ, since no fit can be better than that. The second says how well new
runs agree with the recording in FC and FCD: those of the fit, beside those of the true parameters,
which differ from the recording by noise alone, and of the start; mean and standard deviation over
all runs.
"""

import argparse
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

import fitting
import nmm
from nmm.units import Hz, s

TR, DT, REGIONS = 2.0 * s, 200.0, 16
FREE = {
    "coupling.G": fitting.Interval(0.0, 4e-3),
    "noise.sigma.x": fitting.Interval(1e-4, 2e-3),
    "noise.sigma.y": fitting.Tied("noise.sigma.x"),
}


def network(G=1e-3, sigma=5e-4):
    """Hopf regions just below their bifurcation, at 0.05 Hz, diffusively coupled."""
    weights = nmm.datasets.load_connectome("dk84", scaling="raw").log().weights
    weights = weights[:REGIONS, :REGIONS]
    return nmm.Network(
        nmm.Hopf(a=-0.02 / s, w=2 * np.pi * 0.05 * Hz, beta=1 / s),
        0.2 * weights / weights.max(),
        nmm.coupling.Diffusive(G=G),
        noise=nmm.noise.White(x=sigma, y=sigma),
    )


def record(net, key, minutes):
    """The signal x, which stands for BOLD, once a repetition time."""
    sol = nmm.simulate(
        net, minutes * nmm.units.minute + 100 * s, DT, key=key, transient=100 * s, save=["x"],
        save_every=TR, throw=False,
    )  # fmt: skip
    return sol["x"]


class Loss(eqx.Module):
    """How far the FC, FCD and power of a run are from those of the recording."""

    recorded: jax.Array
    minutes: float = eqx.field(static=True)

    def __call__(self, net, key):
        x = record(net, key, self.minutes)
        of = fitting.objectives
        power = jnp.log(jnp.var(x)) - jnp.log(jnp.var(self.recorded))
        return of.combine(
            fc=(1.0, of.fc_rmse(x, self.recorded, empirical_is="series")),
            fcd=(0.3, of.fcd_wasserstein(x, self.recorded, window=30, step=5)),
            power=(0.3, power**2),
        )


@eqx.filter_jit
def agreement(net, recorded, keys, minutes):
    """Of a run for each key with the recording: correlation of FC, distances of FCD."""
    of = fitting.objectives

    def one(key):
        x = record(net, key, minutes)
        return jnp.stack([
            of.fc_correlation(x, recorded, empirical_is="series"),
            of.fc_rmse(x, recorded, empirical_is="series"),
            of.fcd_ks(x, recorded, window=30, step=5),
            of.fcd_wasserstein(x, recorded, window=30, step=5),
        ])  # fmt: skip

    return jax.vmap(one)(keys)


def show_agreement(found):
    """The second table."""
    print("\n| new runs of | FC correlation | FC RMSE | FCD, KS | FCD, Wasserstein |")
    print("|---|---|---|---|---|")
    for name, values in found.items():
        rows = np.concatenate(values)
        cells = [f"{m:.3f} ± {d:.3f}" for m, d in zip(rows.mean(0), rows.std(0), strict=True)]
        print(f"| {name} | " + " | ".join(cells) + " |")


def recover(G, sigma, minutes, steps, seed):
    """A recording, and what is fitted to it."""
    recorded = record(network(G, sigma), jax.random.key(100 + seed), minutes)
    result = fitting.fit(
        Loss(recorded, minutes), network(), FREE, seeds=4, key=jax.random.key(seed), steps=steps,
        optimizer=optax.adam(optax.cosine_decay_schedule(0.2, steps, 0.05)), progress=False,
    )  # fmt: skip
    return recorded, result.model


def errors_of(net, G, sigma):
    """Of coupling and noise, relative to the truth."""
    return [float(net.coupling.G) / G - 1, float(net.noise.sigma["x"]) / sigma - 1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="1 draw, 3 steps on short runs")
    options = parser.parse_args()
    draws, repeats, steps, minutes, seeds = (
        (1, 1, 3, 6.0, 2) if options.quick else (20, 10, 60, 20.0, 5)
    )
    begin = time.perf_counter()
    truths = fitting.draw(
        network(),
        {
            "coupling.G": fitting.Interval(3e-4, 2e-3),
            "noise.sigma.x": fitting.Interval(3e-4, 1e-3),
        },
        draws,
    )
    print("| draw | G (1/s), true | found | sigma (1/sqrt(s)), true | found |")
    print("|---|---|---|---|---|")
    errors, agreements = [], {"the true parameters": [], "the fit": [], "the start": []}
    for i, (G, sigma) in enumerate(zip(*truths.values(), strict=True)):
        recorded, net = recover(G, sigma, minutes, steps, i)
        errors.append(errors_of(net, G, sigma))
        found = [(1 + error) * true for error, true in zip(errors[-1], (G, sigma), strict=True)]
        print(
            f"| {i + 1} | {G * s:.3f} | {found[0] * s:.3f} | {sigma * np.sqrt(s):.4f} | "
            f"{found[1] * np.sqrt(s):.4f} |",
            flush=True,
        )
        keys = jax.random.split(jax.random.key(10_000 + i), seeds)
        nets = network(G, sigma), net, network()
        for net, rows in zip(nets, agreements.values(), strict=True):
            rows.append(agreement(net, recorded, keys, minutes))
    middle, worst = np.median(np.abs(errors), axis=0), np.max(np.abs(errors), axis=0)
    print(f"Relative error of G: median {middle[0]:.1%}, at most {worst[0]:.1%}; "
          f"of the noise: median {middle[1]:.1%}, at most {worst[1]:.1%}")  # fmt: skip
    mean, spread = np.mean(errors, axis=0), np.std(errors, axis=0)
    print(f"Mean and SD of the errors: G {mean[0]:+.1%}, {spread[0]:.1%}; "
          f"noise {mean[1]:+.1%}, {spread[1]:.1%}")  # fmt: skip
    middling = 1e-3, 6e-4
    again = [
        errors_of(recover(*middling, minutes, steps, 1_000 + i)[1], *middling)
        for i in range(repeats)
    ]
    mean, spread = np.mean(again, axis=0), np.std(again, axis=0)
    print(f"Of {repeats} recordings of one network: G {mean[0]:+.1%}, {spread[0]:.1%}; "
          f"noise {mean[1]:+.1%}, {spread[1]:.1%}")  # fmt: skip
    show_agreement(agreements)
    print(f"Time: {time.perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    main()
