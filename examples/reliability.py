"""How long a run has to be, and how well data and simulations agree with themselves.

    python examples/reliability.py                      # 84 regions
    python examples/reliability.py --data schaefer100   # 100 regions

The model of `fit_bold_fc.py`, with its coupling and recurrences fitted in closed form, is run on
noise of five seeds. For each length of the run, from its beginning, the table has the correlation
of functional connectivity (FC)

- between runs (`fitting.seed_to_seed`): the most that two recordings of that length agree;
- of the first half of a run with the second, and what that foretells of whole runs
  (`fitting.split_half`, Spearman and Brown);
- of each run with the mean of the others, and with the mean of all (`fitting.noise_ceiling`): the
  most that a model of the group agrees with a single run;
- of single runs with the empirical FC.

The embedded data are averages over people: they have no series and no subjects, so of the data
themselves only the agreement of the two groups of `schaefer100` is known.
"""

import argparse
import time

import jax
import jax.numpy as jnp
import numpy as np
from fit_bold_fc import QUICK, TR, Effort, fit_closed_form, jittered, network, observe, sweep

import fitting
import nmm

edges = nmm.analysis.upper_triangle
agree = jax.jit(fitting.objectives.correlation)


def spread(values):
    return f"{np.mean(values):.3f} ± {np.std(values):.3f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", choices=["dk84", "schaefer100"], default="dk84")
    parser.add_argument("--quick", action="store_true", help="a demonstration")
    options = parser.parse_args()
    begin = time.perf_counter()
    effort = QUICK if options.quick else Effort()
    minutes, seeds = ((1, 2), 3) if options.quick else ((2, 5, 10, 20, 40), 5)
    conn = nmm.datasets.load_connectome(options.data, scaling="raw").log()
    conn = conn.scale("spectral_radius")
    empirical = nmm.datasets.load_functional(options.data).fc
    net = sweep(network(conn), empirical, effort)
    net = jittered(net, jax.random.key(1))
    net = fit_closed_form(net, empirical, effort, progress=False)
    if options.data == "schaefer100":
        other = nmm.datasets.load_functional(options.data, group="test").fc
        print(f"The two groups of people: {agree(edges(empirical), edges(other)):.3f}\n")

    key = jax.random.key(2**31)
    kept = {}

    def record(net, key):
        return observe(net, key, max(minutes))[0]

    lengths = {m: round(m * nmm.units.minute / TR) for m in minutes}
    between = fitting.seed_to_seed(
        record, net, key, agree, lengths=tuple(lengths.values()), seeds=seeds
    )
    # The same runs, for what is not a matter of pairs of them.
    runs = jax.jit(jax.vmap(record, in_axes=(None, 0)))(net, jax.random.split(key, seeds))
    fc_of = jax.jit(lambda series: edges(nmm.analysis.fc(series)))
    head = ["minutes", "seed to seed", "split half", "whole runs, foretold", "noise ceiling",
            "with the empirical FC"]  # fmt: skip
    print("| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|")
    for m, length in lengths.items():
        beginnings = runs[:, :length]
        halves = [fitting.split_half(run, agree, feature=fc_of) for run in beginnings]
        fcs = jnp.stack([fc_of(run) for run in beginnings])
        low, high = fitting.noise_ceiling(fcs, agree)
        with_data = [agree(fc, edges(empirical)) for fc in fcs]
        half, whole = np.transpose(halves)
        kept[m] = between[length]
        print(
            f"| {m} | {kept[m]:.3f} | {spread(half)} | {spread(whole)} | {low:.3f} to {high:.3f} "
            f"| {spread(with_data)} |",
            flush=True,
        )
    enough = [m for m, r in kept.items() if r > 0.8]
    print(
        f"\nRuns agree above 0.8 {f'from {min(enough)} minutes on' if enough else 'at no length'}"
    )
    print(f"Time: {time.perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    main()
