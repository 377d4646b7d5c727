"""Fits parameters that follow maps of the cortex, `a + b * map`, to functional connectivity.

    python examples/map_fit.py

The coupling of a network of 100 reduced Wong–Wang regions and, for the recurrence `w` and the
background current `I_o`, an intercept `a` and a slope `b` on maps of myelin and cortical thickness
(`fitting.Regression`) are fitted to the FC of the training group of `schaefer100`: in closed form,
as in `closed_form_fit.py`, from the best equal regions on a grid. The fits are then simulated for
20 minutes on noise that they never saw: mean and standard deviation of single runs over 5 seeds,
for both groups.

What the maps say is the margin over the same fit without a map, and over those on maps that are
permuted between regions, and spun: turned about the middle of each hemisphere at random, mirrored
in the other, so that neighbours stay neighbours. The spin is of the centres of regions on a sphere,
with the nearest of them, and not of the surface of the cortex. Of these the table has mean and
standard deviation over all surrogates, in simulations with one run each.
"""

import argparse
import dataclasses
import time
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import optax
from closed_form_fit import BOLD, Effort, Loss, network, simulate

import fitting
import nmm

SLOWEST = 500.0  # ms: regions that are nearly alike go over the edge together, as noise grows.
EFFORT = Effort(steps=150, polish=50, cells=17)
QUICK = Effort(steps=3, polish=2, cells=3, minutes=1.0, seeds=2)


def free_with(maps):
    """The coupling, and two parameters that follow these maps or, with none, are shared."""
    free = {"coupling.G": fitting.Interval(0.0, 1.0)}
    for path, limits in {"node.w": (0.0, 1.0), "node.I_o": (0.2, 0.45)}.items():
        inside = fitting.Interval(*limits)
        free[path] = fitting.Regression(jnp.stack(maps), inside) if maps else inside
    return free


def best_shared(conn, loss, cells):
    """The network with equal regions that is best on a grid, from which all fits start."""
    values = {
        "coupling.G": np.linspace(0.05, 0.45, cells),
        "node.w": np.linspace(0.2, 0.8, cells // 3 + 1),
        "node.I_o": np.linspace(0.28, 0.36, cells // 3 + 1),
    }
    return fitting.sweep(loss, network(conn), values, chunk=1, progress=False).model_at()


def fit(net, loss, free, effort):
    """By Adam, which finds the way, and by L-BFGS, which keeps off the edge of stability."""
    adam = optax.adam(optax.cosine_decay_schedule(0.03, effort.steps, 0.02), b2=0.99)
    for optimizer, steps in ((adam, effort.steps), (optax.lbfgs(), effort.polish)):
        net = fitting.fit(loss, net, free, optimizer=optimizer, steps=steps, progress=False).best
    return net


def rotation(rng):
    """A random rotation, uniform over all of them."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q * np.sign(np.linalg.det(q))


def spun(brain_map, centres, rng):
    """The map with its hemispheres turned about their middles, one mirroring the other."""
    turn, mirror = rotation(rng), np.diag([-1.0, 1.0, 1.0])
    turned = np.empty_like(brain_map)
    for side in (centres[:, 0] < 0, centres[:, 0] >= 0):
        on_sphere = centres[side] - centres[side].mean(axis=0)
        on_sphere /= np.linalg.norm(on_sphere, axis=1, keepdims=True)
        nearest = np.argmax(on_sphere @ turn @ on_sphere.T, axis=1)
        turned[side] = brain_map[side][nearest]
        turn = mirror @ turn @ mirror
    return (turned - turned.mean()) / turned.std()


def judge(net, targets, effort):
    """In closed form and for each run, correlation and concordance with each of the targets."""
    of = fitting.objectives
    response = nmm.analysis.linear_response(net, save={"bold": BOLD})
    fcs, rates = simulate(net, effort)
    measures = of.fc_correlation, of.fc_concordance
    agreement = [
        [[float(m(fc, target, simulated_is="fc")) for target in targets for m in measures]]
        for fc in (response.fc("bold"), *fcs)
    ]
    return np.concatenate(agreement[:1]), np.concatenate(agreement[1:]), rates


HEAD = ["train r", "train concordance", "test r", "test concordance"]


def show(name, closed, simulated, rates):
    """Two lines of the table: mean, and standard deviation of several."""
    for kind, rows in (("closed form", closed), ("simulated", simulated)):
        cells = [
            f"{np.mean(v):.3f}" + (f" ± {np.std(v):.3f}" if len(v) > 1 else "")
            for v in np.transpose(rows)
        ]
        span = "{:.1f}–{:.1f}".format(*rates) if kind == "simulated" else ""
        print(f"| {name} | {kind} | " + " | ".join(cells) + f" | {span} |", flush=True)


def show_coefficients(name, net, free):
    """Intercept and slopes, in the unconstrained numbers of `fitting.Interval`, and the range."""
    for path, constraint in free.items():
        values = np.asarray(getattr(net.node, path.rpartition(".")[2])) if "node" in path else None
        if isinstance(constraint, fitting.Regression):
            a, *b = np.asarray(constraint.to_unconstrained(jnp.asarray(values)))
            slopes = ", ".join(f"{slope:+.2f}" for slope in b)
            print(f"{name}: {path} = sigmoid({a:+.2f}, slopes {slopes}), "
                  f"{values.min():.3f} to {values.max():.3f}", flush=True)  # fmt: skip


def draw(path, names, closed, simulated):
    """The correlation with the training group, of each set of maps."""
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(8, 3.5), layout="constrained")
    for offset, rows, label in ((-0.15, closed, "closed form"), (0.15, simulated, "simulated")):
        for i, values in enumerate(rows):
            ax.plot(
                np.full(len(values), i + offset), values[:, 0], "o", markersize=4, alpha=0.6,
                color="C0" if offset < 0 else "C1", label=label if i == 0 else None,
            )  # fmt: skip
    ax.set_xticks(range(len(names)), names)
    ax.set(ylabel="correlation with the FC of the training group")
    ax.legend(frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    print(f"\nFigure: {path}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--surrogates", type=int, default=4, help="of each kind")
    parser.add_argument("--quick", action="store_true", help="a demonstration")
    parser.add_argument("--figure", type=Path, default=Path("figures/map_fit.png"))
    options = parser.parse_args()
    effort, count = (QUICK, 1) if options.quick else (EFFORT, options.surrogates)
    begin = time.perf_counter()
    conn = nmm.datasets.load_connectome("schaefer100", scaling="raw").log()
    conn = conn.scale("spectral_radius")
    groups = [nmm.datasets.load_functional("schaefer100", group=g) for g in ("train", "test")]
    targets = [group.fc for group in groups]
    maps = {name: np.asarray(values) for name, values in groups[0].maps.items()}
    rng, centres = np.random.default_rng(0), np.asarray(conn.centres)
    sets = {
        "no map": [()],
        "myelin": [(maps["myelin"],)],
        "myelin, spun": [(spun(maps["myelin"], centres, rng),) for _ in range(count)],
        "myelin, permuted": [(rng.permutation(maps["myelin"]),) for _ in range(count)],
        "thickness": [(maps["thickness"],)],
        "both maps": [tuple(maps.values())],
    }
    loss = Loss(targets[0], slowest=SLOWEST)
    start = best_shared(conn, loss, effort.cells)
    print("| maps | | " + " | ".join(HEAD) + " | rates, Hz |")
    print("|---" * (len(HEAD) + 3) + "|")
    one_run = dataclasses.replace(effort, seeds=1)
    nets, closed, simulated = {}, [], []
    for name, several in sets.items():
        found = []
        for given in several:
            net = fit(start, loss, free_with(given), effort)
            found.append(judge(net, targets, effort if len(several) == 1 else one_run))
        nets[name] = net
        in_closed_form, runs, rates = zip(*found, strict=True)
        closed.append(np.concatenate(in_closed_form))
        simulated.append(np.concatenate(runs))
        show(name, closed[-1], simulated[-1], (np.min(rates), np.max(rates)))
    print()
    for name, several in sets.items():
        if len(several) == 1:
            show_coefficients(name, nets[name], free_with(several[0]))
    draw(options.figure, list(sets), closed, simulated)
    print(f"Time: {time.perf_counter() - begin:.0f} s; G: "
          + ", ".join(f"{name} {net.coupling.G:.3f}" for name, net in nets.items()))  # fmt: skip


if __name__ == "__main__":
    main()
