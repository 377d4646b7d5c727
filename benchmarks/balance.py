"""Feedback inhibition control on the embedded connectomes, against the global coupling.

    python -m benchmarks.balance
    python -m benchmarks.balance --connectome dk84 --couplings 0 0.66

Prints the table of the guide on networks: for each coupling the rates to which the closed-form
start leads with noise, the rounds that were needed, and the rates of new minutes that the control
has not seen (smallest and largest region each); and the coupling at which the noise-free state at
the target loses its stability.
"""

import argparse

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

import nmm

NOISE = nmm.noise.White(S_e=0.01, S_i=0.01)
MINUTE, TRANSIENT = 60_000.0, 2_000.0  # ms


def network(name: str) -> nmm.Network:
    """A whole brain with the weights scaled to a spectral radius of 1."""
    connectome = nmm.datasets.load_connectome(name).scale("spectral_radius")
    return nmm.Network(nmm.WongWangExcInh(), connectome, nmm.coupling.Linear(G=0.0))


@eqx.filter_jit
def rates(net: nmm.Network, keys):
    """The mean rate of each region over a minute for each key."""

    def minute(key):
        save = {"rate": nmm.observe.TemporalAverage(TRANSIENT, "H_e")}
        run = {"key": key, "noise": NOISE, "save": save, "transient": TRANSIENT, "throw": False}
        return nmm.simulate(net, TRANSIENT + MINUTE, 1.0, **run)["rate"]

    return jnp.mean(jax.vmap(minute)(keys), axis=(0, 1))


def ends(values) -> str:
    return f"{jnp.min(values):.3g}–{jnp.max(values):.3g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--connectome", nargs="+", default=["dk84", "schaefer100"])
    couplings = [0.0, 0.3, 0.66, 1.0, 1.3, 1.6, 1.9]
    parser.add_argument("--couplings", nargs="+", type=float, default=couplings)
    options = parser.parse_args()
    for name in options.connectome:
        net = network(name)
        print(f"\n| G | {name}: start | rounds | rates, Hz |\n|---|---|---|---|")
        for G in options.couplings:
            at = eqx.tree_at(lambda n: n.coupling.G, net, jnp.asarray(G, net.coupling.G.dtype))
            tuned = nmm.balance(at, noise=NOISE, key=jr.key(0))
            history = tuned.history["rates"]
            later = ends(rates(tuned.network, jr.split(jr.key(1), 3)))
            flag = "" if tuned.converged else " (not converged)"
            print(f"| {G:g} | {ends(history[0])} | {len(history)}{flag} | {later} |", flush=True)
        print(f"The noise-free state loses its stability at G = {nmm.critical_coupling(net):.3g}.")


if __name__ == "__main__":
    main()
