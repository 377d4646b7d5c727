"""Which freedom makes a fit of functional connectivity depend more on the anatomy?

    python examples/closed_form_freedoms.py                      # 84 regions
    python examples/closed_form_freedoms.py --data schaefer100   # 100 regions, with maps
    python examples/closed_form_freedoms.py --weights raw        # counts, not their logarithm
    python examples/closed_form_freedoms.py --only shared regions
    python examples/closed_form_freedoms.py --slowest 2          # shared values at the edge

Two values a region reach a high correlation with the empirical FC on shuffled weights too: they
are more freedom than the anatomy supplies. Here the network of `closed_form_fit.py` is given other
freedoms, and each is judged by its margin: how much better it fits than with the same freedom on
shuffled weights, and on regions whose names are permuted.

- shared: the coupling, and one recurrence and one background current for all regions.
- maps: these two follow maps of the cortex, myelin and thickness (`schaefer100` only).
- regions: both are free in each region.
- pathways: as regions, and edges within a hemisphere, between hemispheres, and between mirrored
  regions have couplings of their own. Tractography misses long callosal fibres; the mirrored edges
  are there whatever it found, and are not shuffled.
- shared + pathways: the three couplings without regional values.
- edges: as regions, and each connection has a gain. A penalty on the square of its logarithm keeps
  gains near 1 where the data do not ask for others. Edges that do not exist stay so.
- shared + edges: the gains without regional values.

Delays are no such freedom: BOLD is slower than conduction by a factor of 100, and what is late by
70 ms at most changes its FC by less than a run tells.
"""

import argparse
import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from closed_form_fit import BOLD, COLUMNS, FREE, Effort, Loss, fit, simulate, sweep
from jaxtyping import Array

import fitting
import nmm

EFFORT = Effort(steps=300, polish=100, cells=17)
QUICK = Effort(steps=3, polish=2, cells=3, minutes=1.0, seeds=2)
SHARED = {path: dataclasses.replace(constraint, shape=None) for path, constraint in FREE.items()}


class GainsLoss(eqx.Module):
    """The loss, and the mean square of the logarithm of the gains of all edges."""

    loss: Loss
    weights: Array
    strength: float = 0.5

    def __call__(self, net):
        edges = self.weights > 0
        ratio = jnp.where(edges, net.connectome.weights / jnp.where(edges, self.weights, 1), 1)
        gains = jnp.sum(jnp.log(ratio) ** 2) / jnp.sum(edges)
        total, parts = self.loss(net)
        return total + self.strength * gains, parts | {"gains": gains}


def pathways(net, conn):
    """The network with couplings for edges within a hemisphere, between them, and mirrored ones."""
    centres = np.asarray(conn.centres)
    left = centres[:, 0] < 0
    same = np.equal.outer(left, left)
    distances = np.linalg.norm(centres * [-1, 1, 1] - centres[:, None], axis=-1)
    mirror = np.argmin(np.where(same, np.inf, distances), axis=1)
    mirrored = np.zeros(same.shape)
    mirrored[np.arange(len(mirror)), mirror] = 1
    weights = conn.weights
    kinds = (weights * same, weights * ~same, jnp.asarray(np.maximum(mirrored, mirrored.T)))
    # The start is off the edge of stability, to which the mirrored edges add.
    gains = (0.8 * net.coupling.G, 0.8 * net.coupling.G, 0.02)
    return nmm.Network(
        net.node,
        tuple(eqx.tree_at(lambda c: c.weights, conn, kind) for kind in kinds),
        tuple(nmm.coupling.Linear(G=G) for G in gains),
        noise=net.noise,
    )


def freedoms(net, conn, fc, maps, slowest):
    """By name: the network, what is free in it, and the loss."""
    loss = Loss(fc)
    # Regions that are all alike lose stability together: by a fold, beyond which noise carries a
    # run that is slower than this to high rates, whatever the closed form says.
    off_the_fold = Loss(fc, slowest=slowest)
    edges = fitting.Symmetric(fitting.Positive(), mask=np.asarray(conn.weights > 0))
    couplings = {f"coupling.{i}.G": FREE["coupling.G"] for i in range(3)}
    nodes = {path: c for path, c in FREE.items() if path.startswith("node")}
    shared = {path: c for path, c in SHARED.items() if path.startswith("node")}
    yield "shared", net, SHARED, off_the_fold
    if maps:
        follow = {
            path: fitting.Regression(jnp.stack(list(maps.values())), constraint)
            for path, constraint in shared.items()
        }
        yield "maps", net, follow | {"coupling.G": FREE["coupling.G"]}, off_the_fold
    yield "shared + pathways", pathways(net, conn), couplings | shared, off_the_fold
    gains = SHARED | {"connectome.weights": edges}
    yield "shared + edges", net, gains, GainsLoss(off_the_fold, conn.weights)
    yield "regions", net, FREE, loss
    yield "pathways", pathways(net, conn), couplings | nodes, loss
    gains = FREE | {"connectome.weights": edges}
    yield "edges", net, gains, GainsLoss(loss, conn.weights)


MEASURES = ("concordance", "correlation", "beyond regions")


def judge(net, target, effort):
    """The measures in closed form, and of single simulated runs on new noise; their rates."""
    response = nmm.analysis.linear_response(net, save={"bold": BOLD}, throw=False)
    runs, rates = simulate(net, effort)
    closed = [float(COLUMNS[name](response.fc("bold"), target)) for name in MEASURES]
    simulated = [[float(COLUMNS[name](fc, target)) for fc in runs] for name in MEASURES]
    return np.array(closed), np.mean(simulated, axis=1), rates


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", choices=["dk84", "schaefer100"], default="dk84")
    parser.add_argument("--weights", choices=["log", "raw"], default="log")
    parser.add_argument("--only", nargs="+", help="which freedoms, all by default")
    parser.add_argument(
        "--slowest", type=float, default=0.5, help="slowest mode of shared values, in s"
    )
    parser.add_argument("--quick", action="store_true", help="a demonstration")
    options = parser.parse_args()
    effort = QUICK if options.quick else EFFORT
    raw = nmm.datasets.load_connectome(options.data, scaling="raw")
    functional = nmm.datasets.load_functional(options.data)
    key = jax.random.key(0)
    found = {}
    for kind in ("anatomy", "shuffle", "permute"):
        conn = raw.log() if options.weights == "log" else raw
        conn = conn if kind == "anatomy" else conn.surrogate(kind, key=key)
        conn = conn.scale("spectral_radius")
        start = sweep(conn, functional.fc, effort.cells)
        slowest, maps = 1000 * options.slowest, functional.maps
        for name, net, free, loss in freedoms(start, conn, functional.fc, maps, slowest):
            if options.only and name not in options.only:
                continue
            regional = [p for p, c in free.items() if getattr(c, "shape", None) == "region"]
            best = fit(net, loss, free, effort, regional).best
            found[name, kind] = judge(best, functional.fc, effort)
            closed, simulated, (low, high) = found[name, kind]
            print(
                f"{name}, {kind}: {closed.round(3)}, simulated {simulated.round(3)} "
                f"at {low:.1f} to {high:.1f} Hz",
                flush=True,
            )
    for title, which in (("closed form", 0), ("simulated", 1)):
        columns = [f"{m}; over shuffled; over permuted" for m in MEASURES]
        print(f"\n| {title} | " + " | ".join(columns) + " |")
        print("|---" * (len(columns) + 1) + "|")
        for name in dict.fromkeys(name for name, _ in found):
            anatomy, *controls = (
                found[name, kind][which] for kind in ("anatomy", "shuffle", "permute")
            )
            cells = [
                "; ".join([f"{value:.3f}"] + [f"{value - c[i]:+.3f}" for c in controls])
                for i, value in enumerate(anatomy)
            ]
            print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
