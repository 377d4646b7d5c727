"""Fits the weight of every edge of a connectome to functional connectivity, at once and lagged.

    python examples/effective_connectivity.py              # known edges, 20 regions
    python examples/effective_connectivity.py --data dk84  # or schaefer100: real FC

A network of Hopf regions below their bifurcation is linear in its noise: functional connectivity
(FC) and its lags are known in closed form. Existing edges are fitted to them in two ways: by the
published rule, `fitting.effective_connectivity`, and by gradient, `fitting.fit`. The control has
as many free edges, with the same weights at the start, at random places: five times.

First the edges are known. The strongest fifth of the pairs of 20 regions of `dk84` have log weights
that are multiplied by random numbers, different in the two directions; a run of this network is the
recording. A fit begins at the log weights, which are symmetric, and knows where the edges are. The
embedded real data have FC, but no series, so no lags: what is fitted to them are symmetric weights.
They are judged on 20 minutes of new noise: mean and standard deviation of single runs over 5 seeds.
"""

import argparse
import dataclasses
import functools
import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

import fitting
import nmm
from nmm.units import Hz, s

TR = 2.0 * s
LAGS = (0, 1)  # In samples.
REGIONS, DENSITY = 20, 0.2
LARGEST = 0.2  # Weight at the start, 1/s with the coupling of `network`.


@dataclasses.dataclass(frozen=True)
class Effort:
    """How much is computed.

    **Attributes:**

    - `rule_steps`, `steps`: of a fit by the rule, and by gradient.
    - `placements`: of random edges.
    - `minutes`: of the recordings with known edges; infinite for the closed form itself.
    - `test_minutes`, `seeds`: of the noise on which fits of real FC are judged.
    """

    rule_steps: int = 600
    steps: int = 150
    placements: int = 5
    minutes: tuple[float, ...] = (60.0,)
    test_minutes: float = 20.0
    seeds: int = 5


QUICK = Effort(20, 10, 1, (5.0,), 1.0, 2)


def network(weights):
    """Hopf regions just below their bifurcation, at 0.05 Hz, diffusively coupled."""
    return nmm.Network(
        nmm.Hopf(a=-0.02 / s, w=2 * np.pi * 0.05 * Hz, beta=1 / s),
        weights,
        nmm.coupling.Diffusive(G=1 / s),
        noise=nmm.noise.White(x=1e-4, y=1e-4),
    )


def as_correlations(lagged):
    """Covariances at lags, the first of them 0, by the standard deviations."""
    scale = jnp.sqrt(jnp.diag(lagged[0]))
    return lagged / (scale[:, None] * scale)


def closed_form(net, lags=LAGS):
    """The correlations at each lag, row = the region that is later."""
    response = nmm.analysis.linear_response(net, save=["x"], throw=False)
    if lags == (0,):
        return response.fc()[None]
    return as_correlations(response.lagged_covariance(TR * jnp.array(lags)))


@eqx.filter_jit
def record(net, key, minutes):
    """The same of a run of the model."""
    sol = nmm.simulate(
        net, minutes * nmm.units.minute + 100 * s, 0.1 * s, key=key, transient=100 * s, save=["x"],
        save_every=TR,
    )  # fmt: skip
    return as_correlations(
        jnp.stack([nmm.analysis.lagged_covariance(sol["x"], lag) for lag in LAGS])
    )


class Loss(eqx.Module):
    """Mean squared difference from empirical correlations, over lags and pairs of regions."""

    empirical: Array
    lags: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, net):
        apart = ~np.eye(len(self.empirical[0]), dtype=bool)
        difference = closed_form(net, self.lags) - self.empirical
        return jnp.mean(difference[:, apart] ** 2)


def by_rule(net, empirical, lags, effort):
    """The fit by the published rule, at 100 times its rates."""
    connectivity = functools.partial(closed_form, lags=lags)
    return fitting.effective_connectivity(
        connectivity, net, empirical, rates=(0.2, 0.05)[: len(lags)], steps=effort.rule_steps,
        progress=False,
    )[0]  # fmt: skip


def by_gradient(net, empirical, lags, effort):
    """The fit by gradient; without lags, of symmetric weights."""
    edges = np.asarray(net.connectome.weights) > 0
    positive = fitting.Positive()
    constraint = (
        fitting.Symmetric(positive, edges) if lags == (0,) else fitting.Masked(edges, positive)
    )
    schedule = optax.cosine_decay_schedule(0.1, effort.steps, 0.02)
    return fitting.fit(
        Loss(empirical, lags), net, {"connectome.weights": constraint},
        optimizer=optax.adam(schedule), steps=effort.steps, progress=False,
    ).best  # fmt: skip


WAYS = {"rule": by_rule, "gradient": by_gradient}


def strongest(weights):
    """The strongest pairs, in log weights, the largest of them `LARGEST`."""
    logs = np.log1p(np.asarray(weights))
    above = logs[np.triu_indices(len(logs), 1)]
    kept = np.where(logs > np.quantile(above, 1 - DENSITY), logs, 0)
    return LARGEST * kept / kept.max()


def elsewhere(weights, rng):
    """The same weights at pairs drawn at random."""
    above = np.triu_indices(len(weights), 1)
    placed = np.zeros_like(weights)
    placed[above] = rng.permutation(weights[above])
    return placed + placed.T


def starts(weights, effort):
    """What fits begin at: the existing edges, and each of the random placements."""
    rng = np.random.default_rng(1)
    return weights, [elsewhere(weights, rng) for _ in range(effort.placements)]


def show(name, rows):
    """A line of a table, from one row of numbers or several: mean, and standard deviation."""
    cells = []
    for values in np.transpose(rows):
        spread = f" ± {np.std(values):.3f}" if len(values) > 1 else ""
        cells.append(f"{np.mean(values):.3f}{spread}")
    print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def fits(weights, empirical, lags, effort):
    """Networks by kind of edges and way of the fit: one of existing edges, several of random ones.

    Beside the fits, what they begin at.
    """
    rng = np.random.default_rng(1)
    random = [elsewhere(weights, rng) for _ in range(effort.placements)]
    for kind, each in (("existing", [weights]), ("random", random)):
        nets = [network(one) for one in each]
        yield kind, "start", nets
        for way, fit in WAYS.items():
            yield kind, way, [fit(net, empirical, lags, effort) for net in nets]


def recovered(net, truth, empirical):
    """How far a network is from the data, and how well its weights and their asymmetry are found.

    Over all pairs of regions, so that edges at other places count as well.
    """
    found = np.asarray(net.connectome.weights)
    apart, above = ~np.eye(len(truth), dtype=bool), np.triu_indices(len(truth), 1)
    skewed = (found - found.T)[above]
    return (
        float(jnp.sqrt(Loss(empirical, LAGS)(net))),
        np.corrcoef(found[apart], truth[apart])[0, 1],
        np.corrcoef(skewed, (truth - truth.T)[above])[0, 1] if skewed.any() else 0.0,
    )


def recover(effort):
    """The table of known edges; the truth, and the weights found in the longest recording."""
    raw = nmm.datasets.load_connectome("dk84", scaling="raw")
    weights = strongest(raw.weights[:REGIONS, :REGIONS])
    truth = weights * np.exp(0.7 * np.random.default_rng(0).normal(size=weights.shape))
    print(f"{np.count_nonzero(weights)} edges between {len(weights)} regions, known")
    print("| recording | free edges | fit | RMS difference | r of weights | r of asymmetry |")
    print("|---|---|---|---|---|---|")
    found = {}
    for minutes in effort.minutes:
        net = network(truth)
        if np.isfinite(minutes):
            name, empirical = f"{minutes:.0f} min", record(net, jax.random.key(0), minutes)
        else:
            name, empirical = "closed form", closed_form(net)
        for kind, way, nets in fits(weights, empirical, LAGS, effort):
            show(f"{name} | {kind} | {way}", [recovered(net, truth, empirical) for net in nets])
            found[kind, way] = np.asarray(nets[0].connectome.weights)
    return truth, found


@eqx.filter_jit
def simulated(net, keys, minutes):
    """FC of a run for each key."""
    return jax.vmap(lambda key: record(net, key, minutes)[0])(keys)


def fit_real(data, effort):
    """The table of real FC; that FC, and those of the fits."""
    raw = nmm.datasets.load_connectome(data, scaling="raw")
    # The first group is the one that is fitted.
    groups = {"": None} if data == "dk84" else {"training group": "train", "test group": "test"}
    targets = [nmm.datasets.load_functional(data, group=g).fc for g in groups.values()]
    weights = strongest(raw.weights)
    print(f"{np.count_nonzero(weights) // 2} symmetric edges between {len(weights)} regions")
    of, keys = fitting.objectives, jax.random.split(jax.random.key(2**31), effort.seeds)
    measures = of.fc_correlation, of.fc_concordance
    head = [f"{part} {m}" for part in ("", "simulated") for m in ("correlation", "concordance")]
    head = [f"{group} {name}".strip() for group in groups for name in head]
    print("| free edges | fit | " + " | ".join(head) + " |")
    print("|---" * (len(head) + 2) + "|")
    found = {}
    for kind, way, nets in fits(weights, targets[0][None], (0,), effort):
        rows = []
        for net in nets:
            closed, runs = closed_form(net, (0,))[0], simulated(net, keys, effort.test_minutes)
            rows += [
                [
                    float(m(fc, target, simulated_is="fc"))
                    for target in targets
                    for fc in (closed, run)
                    for m in measures
                ]
                for run in runs
            ]
        show(f"{kind} | {way}", rows)
        found[kind, way] = np.asarray(closed_form(nets[0], (0,))[0])
    return np.asarray(targets[0]), found


def draw(path, truth, found, title):
    """What was found against what is true, for each kind of edges and each way."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(10, 6.5), layout="constrained", sharey=True)
    apart = ~np.eye(len(truth), dtype=bool)
    for ax, ((kind, way), values) in zip(axes.flat, found.items(), strict=True):
        ax.plot(truth[apart], values[apart], ".", markersize=3)
        ax.axline((0, 0), slope=1, color="0.7", linewidth=1)
        ax.set(xlabel=title, ylabel="found", title=f"{kind} edges, {way}")
        ax.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    print(f"\nFigure: {path}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", choices=["known", "dk84", "schaefer100"], default="known")
    parser.add_argument("--quick", action="store_true", help="a demonstration")
    parser.add_argument("--figure", type=Path, default=Path("figures/effective_connectivity.png"))
    options = parser.parse_args()
    effort = QUICK if options.quick else Effort()
    begin = time.perf_counter()
    if options.data == "known":
        draw(options.figure, *recover(effort), "true weight, 1/s")
    else:
        draw(options.figure, *fit_real(options.data, effort), "FC")
    print(f"Time: {time.perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    main()
