"""Fits a whole-brain model to the functional connectivity of real fMRI, by gradient.

    python examples/fit_bold_fc.py                      # 84 regions, a few minutes on two cores
    python examples/fit_bold_fc.py --data schaefer100   # 100 cortical regions, with a test group
    python examples/fit_bold_fc.py --controls           # and the same fits without the anatomy

A network of reduced Wong–Wang regions on the group connectome, driven by noise, is observed as
BOLD. The global coupling is swept in closed form, by linear response; then the coupling and the
local recurrence `w` are fitted by gradient through the simulation, with one `w` for all regions.
With one for each region, the fit begins in closed form, and is finished by gradient through the
simulation. What is fitted is Lin's concordance of simulated and empirical functional connectivity
(FC), since correlation ignores the level; rates are kept between 1 and 10 Hz.

Every number in the table is from 20 simulated minutes of noise that no fit ever saw: mean and
standard deviation over 5 seeds of what a single run gives. Beside the fits stand what the log
weights alone, and a regression on region effects without any connectome, reach.
"""

import argparse
import dataclasses
import functools
import multiprocessing
import operator
import os
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import optimistix
from jaxtyping import Array

import fitting
import nmm

TR = 720.0
DT = 4.0
SIGMA = 0.003
RATES = (1.0, 10.0)
STIFF = 100.0  # Weight of the penalty on rates: they are to stay, not to be traded for FC.


@dataclasses.dataclass(frozen=True)
class Effort:
    """How much is simulated.

    **Attributes:**

    - `cells`: of the sweep of the coupling.
    - `global_steps`, `minutes`: of the global fit, and simulated in each step.
    - `closed_steps`: of a regional fit in closed form, by Adam and by BFGS.
    - `regional_steps`, `regional_minutes`: of a regional fit by simulation.
    - `starts`, `control_starts`: regional fits from near starts; with `--controls`, also from far
      ones.
    - `test_minutes`, `seeds`: of the noise on which everything is judged.
    """

    cells: int = 17
    global_steps: int = 30
    minutes: float = 3.0
    closed_steps: tuple[int, int] = (80, 200)
    regional_steps: int = 16
    regional_minutes: float = 10.0
    starts: int = 2
    control_starts: int = 5
    test_minutes: float = 20.0
    seeds: int = 5


QUICK = Effort(5, 3, 0.5, (40, 0), 3, 0.5, 1, 2, 1.0, 2)


def observe(net, key, minutes, dt=DT):
    """BOLD, and the mean rate of each region, of one run whose first 43 s are dropped."""
    transient = 60 * TR
    duration = TR * round(minutes * nmm.units.minute / TR)
    sol = nmm.simulate(
        net,
        transient + duration,
        dt,
        key=key,
        transient=transient,
        save={
            "bold": nmm.observe.BOLD(TR, step=40.0),
            "rate": nmm.observe.TemporalAverage(10 * TR, "H"),
        },
    )
    return sol["bold"], jnp.mean(sol["rate"], axis=0)


class Loss(eqx.Module):
    """1 - concordance with the empirical FC, plus a penalty on rates outside of their range."""

    fc: Array
    minutes: float = eqx.field(static=True)

    def __call__(self, net, key):
        bold, rates = observe(net, key, self.minutes)
        concordance = fitting.objectives.fc_concordance(bold, self.fc, simulated_is="series")
        penalty = fitting.objectives.rate_penalty(rates, *RATES)
        return fitting.objectives.combine(fc=(1.0, 1 - concordance), rates=(STIFF, penalty))


class ClosedFormLoss(eqx.Module):
    """The same in closed form, and a penalty on modes slower than 2 s, near the edge of stability.

    There the noise is not small any more, and what is linear in it does not hold.
    """

    fc: Array

    def __call__(self, net):
        of = fitting.objectives
        bold = nmm.observe.BOLD(TR, step=40.0)
        response = nmm.analysis.linear_response(net, save={"bold": bold, "rate": "H"}, throw=False)
        concordance = of.fc_concordance(response.fc("bold"), self.fc, simulated_is="fc")
        penalty = of.rate_penalty(response.mean("rate"), *RATES)
        edge = of.stability_penalty(response, slowest=2000.0)
        return of.combine(fc=(1.0, 1 - concordance), rates=(STIFF, penalty), edge=(1.0, edge))


def network(conn):
    """The model, with equal regions and a weak coupling."""
    return nmm.Network(
        nmm.ReducedWongWang(),
        conn,
        nmm.coupling.Linear(G=0.2),
        noise=nmm.noise.White(S=SIGMA),
    )


def sweep(net, fc, effort):
    """The network with the coupling at which the loss in closed form is lowest."""
    values = {"coupling.G": jnp.linspace(0.2, 0.36, effort.cells)}
    return fitting.sweep(ClosedFormLoss(fc), net, values, chunk=1, progress=False).model_at()


def fit_global(net, fc, effort, key):
    """Fits the coupling, and one `w` for all regions."""
    return fitting.fit(
        Loss(fc, effort.minutes),
        net,
        free={"coupling.G": fitting.Interval(0.0, 1.0), "node.w": fitting.Interval(0.0, 1.0)},
        optimizer=optax.adam(optax.cosine_decay_schedule(0.01, effort.global_steps, 0.1)),
        steps=effort.global_steps,
        key=key,
        on_non_finite="skip",
    ).model


@functools.cache
def regional_optimizer(steps, rate):
    """Adam on a decreasing rate, with steps of `w` that add up to 0.

    Near the edge of stability, where the fit is good, all `w` moved the same way by one step would
    end in silence or in runaway excitation. The level is left to the coupling, on a small rate.
    """
    schedule = functools.partial(optax.cosine_decay_schedule, decay_steps=steps, alpha=0.1)
    centred = optax.stateless(lambda updates, _: jax.tree.map(lambda u: u - u.mean(), updates))
    parts = {
        "coupling.G": optax.adam(schedule(0.1 * rate), b2=0.99),
        "node.w": optax.chain(optax.adam(schedule(rate), b2=0.99), centred),
    }
    return optax.multi_transform(parts, {path: path for path in parts})


REGIONAL = {
    "coupling.G": fitting.Interval(0.0, 1.0),
    "node.w": fitting.Interval(0.0, 1.0, shape="region"),
}


def fit_closed_form(net, fc, effort, progress=True):
    """Fits the coupling, and one `w` for each region, without simulating anything.

    Adam finds the way from any connectome, also where the loss is flat; a method that learns the
    curvature goes on from there.
    """
    loss = ClosedFormLoss(fc)
    adam, bfgs = effort.closed_steps
    for optimizer, steps in (
        (regional_optimizer(adam, 0.1), adam),
        (optimistix.BFGS(rtol=1e-6, atol=1e-6), bfgs),
    ):
        if steps:
            net = fitting.fit(
                loss, net, REGIONAL, optimizer=optimizer, steps=steps, progress=progress
            ).best
    return net


def fit_simulated(net, fc, effort, key, progress=True):
    """Fits the coupling, and one `w` for each region, through the simulation.

    Short runs give a biased level of FC, so these are long, and the steps few and small.
    """
    steps = effort.regional_steps
    result = fitting.fit(
        Loss(fc, effort.regional_minutes),
        net,
        REGIONAL,
        optimizer=regional_optimizer(steps, 0.03),
        steps=steps,
        key=key,
        on_non_finite="skip",
        progress=progress,
    )
    return result.model, result.history["loss"]


def jittered(net, key):
    """The network with a `w` of its own for each region, a little off the common one."""
    w = net.node.w + 0.03 * jax.random.normal(key, net.shape)
    return eqx.tree_at(lambda n: n.node.w, net, w)


def scattered(net, key):
    """The network with a `w` for each region from nearly all over its range."""
    w = jax.random.uniform(key, net.shape, maxval=0.8)
    return eqx.tree_at(lambda n: n.node.w, net, w)


def regional_fit(weights, values, fc, effort, start):
    """A regional fit in a process of its own, from numbers to numbers.

    The first `effort.starts` begin near the common `w`, the others far from it.

    Gives coupling and `w` after the closed form and at the end, and the losses of the simulations.
    """
    key, fc = jax.random.key(start + 1), jnp.asarray(fc)
    begin = jittered if start < effort.starts else scattered
    closed = begin(with_values(network(nmm.Connectome(weights)), values), key)
    closed = fit_closed_form(closed, fc, effort, progress=start == 0)
    net, losses = fit_simulated(closed, fc, effort, key, progress=start == 0)
    return values_of(closed), values_of(net), losses


def values_of(net):
    return np.asarray(net.coupling.G), np.asarray(net.node.w)


def with_values(net, values):
    """The network with this coupling and local recurrence."""
    where = operator.attrgetter("coupling.G", "node.w")
    return eqx.tree_at(where, net, tuple(map(jnp.asarray, values)))


def submit(pool, swept, fc, effort, start):
    weights = np.asarray(swept.connectome.weights)
    return pool.submit(regional_fit, weights, values_of(swept), np.asarray(fc), effort, start)


def processes():
    """One for each core, to fit side by side."""
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(os.cpu_count(), mp_context=spawn)


@eqx.filter_jit
def test_run(net, key, minutes, dt):
    """FC and rates of one run."""
    bold, rates = observe(net, key, minutes, dt)
    return nmm.analysis.fc(bold), rates


def judge(net, targets, effort, dt=DT):
    """Rows of the table, one for each empirical FC, from noise that no fit saw; and the mean FC."""
    G, w = values_of(net)
    net = with_values(net, (G, np.broadcast_to(w, net.shape)))  # Compiled once for all.

    def run(key):
        return test_run(net, key, effort.test_minutes, dt)

    first, *keys = jax.random.split(jax.random.key(2**31), effort.seeds)
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # Compiled code runs side by side.
        # The first one compiles; it does not wait for its numbers.
        runs = [run(first), *pool.map(run, keys)]
    fcs, rates = zip(*runs, strict=True)
    rows = [
        {**measures(target, fcs), "rates": (np.min(rates), np.max(rates))} for target in targets
    ]
    return rows, np.mean(fcs, axis=0)


def measures(target, fcs):
    """Agreement of each FC with the empirical one."""
    of = fitting.objectives
    functions = {"correlation": of.fc_correlation, "concordance": of.fc_concordance}
    functions["RMSE"] = of.fc_rmse
    values = {
        name: [float(f(fc, target, simulated_is="fc")) for fc in fcs]
        for name, f in functions.items()
    }
    values["mean FC"] = [float(jnp.mean(nmm.analysis.upper_triangle(fc))) for fc in fcs]
    return values


COLUMNS = ("correlation", "concordance", "RMSE", "mean FC")
KINDS = ("shuffle", "permute")


def show_header(group):
    print(f"\n| {group} | " + " | ".join(COLUMNS) + " | rates, Hz |")
    print("|---" * (len(COLUMNS) + 2) + "|")


def show(name, row, only=COLUMNS):
    """A line of the table: mean, and standard deviation over the seeds if there are several."""
    cells = []
    for column in COLUMNS:
        values = row[column] if column in only else []
        spread = f" ± {np.std(values):.3f}" if len(values) > 1 else ""
        cells.append(f"{np.mean(values):.3f}{spread}" if values else "")
    rates = "{:.1f}–{:.1f}".format(*row["rates"]) if "rates" in row else ""
    print(f"| {name} | " + " | ".join(cells) + f" | {rates} |", flush=True)


def show_controls(raw, swept, anatomy, fc, effort, key):
    """The same fit as `anatomy`, a row, on other weights, and from far starts."""
    conns = {"log weights, " + kind: raw.log().surrogate(kind, key=key) for kind in KINDS}
    conns["raw weights, the anatomy"] = raw
    conns |= {"raw weights, " + kind: raw.surrogate(kind, key=key) for kind in KINDS}
    conns["equal weights"] = nmm.Connectome(1 - np.eye(len(raw.weights)))
    nets = {name: network(conn.scale("spectral_radius")) for name, conn in conns.items()}
    with processes() as pool:
        far = range(effort.starts, effort.starts + effort.control_starts)
        jobs = {
            name: submit(pool, sweep(net, fc, effort), fc, effort, 0) for name, net in nets.items()
        }
        # Of nearly equal regions with equal weights all pairs are alike: little leads away.
        name = "equal weights, far start 1"
        nets[name] = nets["equal weights"]
        jobs[name] = submit(pool, sweep(nets[name], fc, effort), fc, effort, far[0])
        far = [submit(pool, swept, fc, effort, start) for start in far]
        far = [job.result()[1] for job in far]
        fits = {name: job.result()[1] for name, job in jobs.items()}
    show_header("controls: regional fit, first start")
    rows = {"log weights, the anatomy": anatomy}
    for name, values in fits.items():
        (rows[name],), _ = judge(with_values(nets[name], values), [fc], effort)
    for name, row in rows.items():
        show(name, row)
    for i, values in enumerate(far):
        (row,), _ = judge(with_values(swept, values), [fc], effort)
        show(f"log weights, the anatomy, far start {i + 1}", row)
    print("\nMargin of the anatomy in correlation:")
    for name in fits:
        real = f"{'raw' if name.startswith('raw') else 'log'} weights, the anatomy"
        if name != real:
            ours, theirs = rows[real]["correlation"], rows[name]["correlation"]
            spread = np.hypot(np.std(ours), np.std(theirs))
            print(f"{np.mean(ours) - np.mean(theirs):+.3f} ± {spread:.3f} over {name}")
    show_agreement(np.array([w for _, w in far]), "far")


def show_agreement(values, where):
    """Whether starts agree on which region has which `w`, without which nothing may be said of one.

    Those that begin near the same network agree easily, which alone shows little.
    """
    pairs = np.corrcoef(values)[np.triu_indices(len(values), 1)]
    between, spreads = np.std(values.mean(axis=0)), np.std(values, axis=0)
    verdict = "are not ruled out" if np.mean(spreads) < between else "are ruled out"
    print(
        f"\nw of {len(values)} {where} starts: they correlate {np.mean(pairs):.2f} "
        f"({pairs.min():.2f} to {pairs.max():.2f}); SD between regions {between:.3f}, between "
        f"starts {np.mean(spreads):.3f}, the larger of the two in {np.sum(spreads > between)} of "
        f"{len(spreads)} regions: statements on single regions {verdict}"
    )


def draw(path, fc, simulated, losses, values, labels):
    """Empirical and fitted FC, the losses, and `w` of each region over the starts."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplot_mosaic(
        [["empirical", "fitted", "loss"], ["w", "w", "w"]],
        figsize=(13, 7.5),
        layout="constrained",
        height_ratios=(1.4, 1),
    )
    limits = {"vmin": 0.0, "vmax": float(np.percentile(nmm.analysis.upper_triangle(fc), 99))}
    for name, matrix, title in (
        ("empirical", fc, "empirical FC"),
        ("fitted", simulated, "fitted FC, mean of the test runs"),
    ):
        nmm.plot.matrix(matrix, labels, ax=axes[name], title=title, **limits)
    for start, loss in enumerate(losses):
        axes["loss"].plot(loss, linewidth=1, label=f"start {start + 1}")
    axes["loss"].set(
        xlabel="step",
        ylabel="loss (fresh noise in every step)",
        title="regional fit, by simulation",
    )
    axes["loss"].legend(frameon=False)
    order = np.argsort(np.mean(values, axis=0))
    mean, spread = np.mean(values, axis=0)[order], np.std(values, axis=0)[order]
    axes["w"].errorbar(np.arange(len(order)), mean, spread, fmt="o", markersize=3, capsize=2)
    axes["w"].set(
        ylabel="w", title=f"local recurrence: mean and SD over {len(values)} starts", xmargin=0.01
    )
    axes["w"].set_xticks(np.arange(len(order)), np.asarray(labels)[order], rotation=90, fontsize=6)
    for name in ("loss", "w"):
        axes[name].spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    print(f"\nFigure: {path}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", choices=["dk84", "schaefer100"], default="dk84")
    parser.add_argument("--controls", action="store_true", help="fit without the anatomy, too")
    parser.add_argument("--quick", action="store_true", help="a demonstration, in under a minute")
    parser.add_argument("--figure", type=Path, default=Path("figures/fit_bold_fc.png"))
    options = parser.parse_args()
    begin = time.perf_counter()
    effort = QUICK if options.quick else Effort()
    key = jax.random.key(0)

    raw = nmm.datasets.load_connectome(options.data, scaling="raw")
    conn = raw.log().scale("spectral_radius")
    # The first group is the one that is fitted.
    groups = (
        {"": None} if options.data == "dk84" else {"training group": "train", "test group": "test"}
    )
    fcs = [nmm.datasets.load_functional(options.data, group=g).fc for g in groups.values()]
    print(conn)

    start = network(conn)
    swept = sweep(start, fcs[0], effort)
    with processes() as pool:
        jobs = [submit(pool, swept, fcs[0], effort, i) for i in range(effort.starts)]
        common = fit_global(swept, fcs[0], effort, key)
        fits = [job.result() for job in jobs]
    closed = with_values(start, fits[0][0])
    regional = [with_values(start, values) for _, values, _ in fits]
    candidates = {
        "start, G = 0.2": start,
        "sweep of G, in closed form": swept,
        "global fit, G and w": common,
        "closed form, G and w of each region, start 1": closed,
    }
    for i, net in enumerate(regional):
        candidates[f"regional fit, G and w of each region, start {i + 1}"] = net
    judged = {name: judge(net, fcs, effort) for name, net in candidates.items()}
    if options.controls:
        judged["the last one at dt = 1 ms"] = judge(regional[-1], fcs, effort, dt=1.0)
    for i, (group, fc) in enumerate(zip(groups, fcs, strict=True)):
        show_header(group)
        show("empirical", measures(fc, [fc]))
        show("log weights alone", measures(fc, [np.asarray(raw.log().weights)]), COLUMNS[:1])
        show("region effects, no connectome", measures(fc, [fitting.region_effects(fcs[0])]))
        for name, (rows, _) in judged.items():
            show(name, rows[i])
    values = np.array([net.node.w for net in regional])
    print(
        f"\nG: start 0.2, sweep {swept.coupling.G:.3f}, global {common.coupling.G:.3f}, regional "
        + ", ".join(f"{net.coupling.G:.3f}" for net in regional)
    )
    if len(values) > 1:
        show_agreement(values, "near")
    (anatomy, *_), best = judged["regional fit, G and w of each region, start 1"]
    draw(options.figure, fcs[0], best, [losses for *_, losses in fits], values, conn.labels)
    print(f"Time: {time.perf_counter() - begin:.0f} s", flush=True)
    if options.controls:
        show_controls(raw, swept, anatomy, fcs[0], effort, key)


if __name__ == "__main__":
    main()
