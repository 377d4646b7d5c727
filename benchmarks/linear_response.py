"""A gradient in closed form against one through a simulation of a minute, by number of regions.

    python -m benchmarks.linear_response

The loss is the concordance of the FC of BOLD, of reduced Wong–Wang regions with one free `w` each.
"""

import argparse
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import fitting
import nmm

from ._timing import by_turns, first_call, ratio, table

KEY = jax.random.key(0)
BOLD = nmm.observe.BOLD(720.0)


def network(regions):
    """Dk84 itself, or a random network of its log-normal weights."""
    if regions == 84:
        conn = nmm.datasets.load_connectome("dk84")
    else:
        draw = np.exp(np.random.default_rng(0).normal(size=(regions, regions)))
        conn = nmm.Connectome(np.where(np.eye(regions), 0, draw + draw.T))
        conn = conn.scale("spectral_radius")
    noise = nmm.noise.White(S=0.003)
    return nmm.Network(nmm.ReducedWongWang(), conn, nmm.coupling.Linear(G=0.15), noise=noise)


def losses(net):
    regions = net.shape[0]
    target = 0.2 + 0.8 * jnp.eye(regions)
    concordance = fitting.objectives.fc_concordance

    def with_w(w):
        return eqx.tree_at(lambda n: n.node.w, net, w)

    def closed(w):
        response = nmm.analysis.linear_response(with_w(w), save={"bold": BOLD}, throw=False)
        return 1 - concordance(response.fc(), target, simulated_is="fc")

    def simulated(w):
        sol = nmm.simulate(
            with_w(w), 60_000.0, 1.0, key=KEY, save={"bold": BOLD}, transient=7_200.0, throw=False
        )
        return 1 - concordance(sol["bold"], target, simulated_is="series")

    return {"closed form": closed, "simulation of 60 s": simulated}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--regions", type=int, nargs="*", default=[50, 84, 100, 200, 400])
    options = parser.parse_args()
    print(f"Python {sys.version.split()[0]}, jax {jax.__version__}, {jax.devices()[0].platform}")
    rows = []
    for regions in options.regions:
        w = jnp.full(regions, 0.6)
        runs, first = {}, {}
        for name, loss in losses(network(regions)).items():
            compiled = jax.jit(jax.value_and_grad(loss))
            runs[name] = lambda compiled=compiled, w=w: compiled(w)
            first[name] = first_call(runs[name])
        seconds = by_turns(runs, options.rounds)
        closed, simulated = (np.median(x) for x in seconds.values())
        rows.append(
            [
                str(regions),
                f"{closed * 1e3:.0f}",
                f"{simulated * 1e3:.0f}",
                ratio(seconds, *runs),
                *(f"{x:.1f}" for x in first.values()),
            ]  # fmt: skip
        )
    columns = ["regions", "closed form, ms", "simulation, ms", "ratio", "first call, s", "and s"]
    table("Value and gradient of the concordance of BOLD-FC, one w a region", columns, rows)


if __name__ == "__main__":
    main()
