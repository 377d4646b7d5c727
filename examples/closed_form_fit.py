"""Fits functional connectivity of real fMRI in closed form, in seconds, and then simulates it.

    python examples/closed_form_fit.py                      # 84 regions
    python examples/closed_form_fit.py --data schaefer100   # 100 regions, with a test group
    python examples/closed_form_fit.py --controls           # other starts; without the anatomy
    python examples/closed_form_fit.py --rates bounded      # rates that cannot leave 1 to 10 Hz

About its fixed point a network of reduced Wong–Wang regions is linear. The functional connectivity
(FC) of its BOLD signal is then known in closed form (`nmm.analysis.linear_response`) and can be
differentiated, free of sampling noise. The coupling and two values a region, its recurrence `w`
and background current `I_o`, are fitted to the concordance with the empirical FC. A penalty keeps
rates near 1 to 10 Hz, and the slowest mode below 2 s: close to the edge of stability the noise is
not small any more, and linear theory no longer holds. With `--rates bounded` the fit moves, in
place of the background current, the current that a region receives in all. That alone decides on
its rate, so that no step leaves 1 to 10 Hz; recurrences end at 0.8, and the slowest mode at 1.5 s.

What was fitted is then simulated for 20 minutes on noise of several seeds: mean and standard
deviation of what a single run gives. The fit is judged beside what a regression on region effects
reaches without any connectome, and, with `--controls`, beside the same fit on shuffled weights,
permuted regions and equal weights: two values a region are more freedom than the anatomy supplies,
and what it adds is the margin over these.
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

TR = 720.0
SIGMA = 0.003
RATES = (1.0, 10.0)
BOLD = nmm.observe.BOLD(TR, step=40.0)
FREE = {
    "coupling.G": fitting.Interval(0.0, 1.0),
    "node.w": fitting.Interval(0.0, 1.0, shape="region"),
    "node.I_o": fitting.Interval(0.2, 0.45, shape="region"),
}


@dataclasses.dataclass(frozen=True)
class Effort:
    """How much is computed.

    **Attributes:**

    - `steps`, `polish`: of a fit, by Adam and by L-BFGS.
    - `cells`: of the sweep of the coupling before it.
    - `minutes`, `seeds`: of the simulations.
    - `starts`: fits from different starts, with `--controls`.
    - `bounded`: whether rates cannot leave their range, or are penalised outside.
    """

    steps: int = 400
    polish: int = 150
    cells: int = 33
    minutes: float = 20.0
    seeds: int = 5
    starts: int = 5
    bounded: bool = False


QUICK = Effort(10, 3, 5, 1.0, 2, 2)


class Loss(eqx.Module):
    """1 - concordance with the empirical FC, and penalties on rates and on slow modes.

    **Attributes:**

    - `fc`: the empirical one.
    - `slowest`: the longest time constant of a mode, ms.
    """

    fc: Array
    slowest: float = eqx.field(static=True, default=2000.0)

    def __call__(self, net, guess=None):
        of = fitting.objectives
        save = {"bold": BOLD, "rate": "H"}
        response = nmm.analysis.linear_response(net, guess=guess, save=save, throw=False)
        fc = of.fc_concordance(response.fc("bold"), self.fc, simulated_is="fc")
        rates = of.rate_penalty(response.mean("rate"), *RATES)
        edge = of.stability_penalty(response, slowest=self.slowest)
        return of.combine(fc=(1.0, 1 - fc), rates=(100.0, rates), edge=(1.0, edge))


class AtRest(eqx.Module):
    """A network by where its regions rest.

    **Attributes:**

    - `network`: all but the background currents, one `w` a region.
    - `current`: what each region receives in all at rest, nA.
    """

    network: nmm.Network
    current: Array

    @classmethod
    def of(cls, net, w):
        """The regions of a network where they rest, with recurrences of their own from then on."""
        state = nmm.analysis.fixed_point(net).state
        node = net.node
        current = node.I_o + node.J_N * (node.w * state.S + net.receive(0.0, state, None).c)
        low, high = CURRENTS
        inside = jnp.clip(current, low + 0.01 * (high - low), high - 0.01 * (high - low))
        return cls(eqx.tree_at(lambda n: n.node.w, net, w), inside)

    def state(self):
        """Where the regions rest: as many channels open as close."""
        node = self.network.node
        opening = node.gamma * node.tau_s * rate(node, self.current) / 1000
        return node.State(S=opening / (1 + opening))

    def built(self):
        """The network, whose background currents are what is left for them."""
        state, net = self.state(), self.network
        heard = net.node.w * state.S + net.receive(0.0, state, None).c
        return eqx.tree_at(lambda n: n.node.I_o, net, self.current - net.node.J_N * heard)


class LossAtRest(eqx.Module):
    """The loss of a network by where its regions rest."""

    loss: Loss

    def __call__(self, rest):
        return self.loss(rest.built(), rest.state())


def rate(node, current):
    """The rate of a region that receives a current, Hz."""
    alone = eqx.tree_at(lambda n: n.I_o, node, jnp.asarray(current))
    return alone.H(node.State(S=jnp.zeros(())), node.Inputs())


_GRID = np.linspace(0.2, 0.5, 3001, dtype=np.float32)
CURRENTS = tuple(map(float, np.interp(RATES, rate(nmm.ReducedWongWang(), _GRID), _GRID)))
# Regions of a stronger recurrence than this are close to two states of their own.
FREE_AT_REST = {
    "network.coupling.G": fitting.Interval(0.0, 1.0),
    "network.node.w": fitting.Interval(0.0, 0.8),
    "current": fitting.Interval(*CURRENTS),
}


def network(conn):
    """The model, with equal regions and a weak coupling."""
    return nmm.Network(
        nmm.ReducedWongWang(), conn, nmm.coupling.Linear(G=0.2), noise=nmm.noise.White(S=SIGMA)
    )


RATES_OF_LEARNING = {"G": 0.01, "w": 0.1, "I_o": 0.2, "current": 0.1}


@functools.cache
def optimizers(regional, shared, steps):
    """Adam on a decreasing rate, with steps of regional parameters that add up to 0; then L-BFGS.

    Near the edge of stability, where the fit is good, all regions moved the same way by one step
    would end in silence or beyond the edge. The level is left to the coupling, on a small rate.
    A loss without noise has line searches, and these keep off the edge by themselves.
    """
    schedule = functools.partial(optax.cosine_decay_schedule, decay_steps=steps, alpha=0.02)
    centred = optax.stateless(lambda updates, _: jax.tree.map(lambda u: u - u.mean(), updates))
    parts = {}
    for path in regional + shared:
        parts[path] = optax.adam(
            schedule(RATES_OF_LEARNING.get(path.rpartition(".")[2], 0.02)), b2=0.99
        )
    parts |= {path: optax.chain(parts[path], centred) for path in regional}
    return optax.multi_transform(parts, {path: path for path in parts}), optax.lbfgs()


def sweep(conn, fc, cells):
    """The network with equal regions and the best coupling.

    The sweep ends below the edge of stability by itself: beyond it the loss is that of silence.
    """
    values = {"coupling.G": jnp.linspace(0.2, 0.36, cells)}
    return fitting.sweep(
        Loss(jnp.asarray(fc)), network(conn), values, chunk=1, progress=False
    ).model_at()


def fit(model, loss, free, effort, regional):
    """The fit by one optimiser and then the other; `regional` are the paths of such values."""
    shared = tuple(path for path in free if path not in regional)
    adam, lbfgs = optimizers(tuple(regional), shared, effort.steps)
    first = fitting.Stage(loss, adam, effort.steps)
    return fitting.fit(
        loss, model, free, start=first, optimizer=lbfgs, steps=effort.polish, progress=False
    )


def fit_regions(conn, fc, effort, key=None):
    """Sweep of the coupling, then the fit; with a key, from regions jittered at the start.

    **Returns:**

    The best network, and the result.
    """
    net = sweep(conn, fc, effort.cells)
    w = jnp.full(net.shape, net.node.w)
    if key is not None:
        jitter = 0.05 * jax.random.normal(key, net.shape)
        w = w + (jitter - jnp.mean(jitter))
    if effort.bounded:
        loss = LossAtRest(Loss(jnp.asarray(fc), slowest=1500.0))
        regional = ("network.node.w", "current")
        result = fit(AtRest.of(net, w), loss, FREE_AT_REST, effort, regional)
        return result.best.built(), result
    net = eqx.tree_at(lambda n: n.node.w, net, w)
    result = fit(net, Loss(jnp.asarray(fc)), FREE, effort, ("node.w", "node.I_o"))
    return result.best, result


@eqx.filter_jit
def simulated_fc(net, key, minutes):
    """FC and mean rates of a run, without its first 43 s."""
    transient = 60 * TR
    duration = TR * round(minutes * nmm.units.minute / TR)
    save = {"bold": BOLD, "rate": nmm.observe.TemporalAverage(10 * TR, "H")}
    sol = nmm.simulate(net, transient + duration, 4.0, key=key, transient=transient, save=save)
    return nmm.analysis.fc(sol["bold"]), jnp.mean(sol["rate"], axis=0)


def simulate(net, effort):
    """FC of runs on noise of their own, and the range of rates."""
    keys = jax.random.split(jax.random.key(2**31), effort.seeds)
    fcs, rates = zip(*(simulated_fc(net, key, effort.minutes) for key in keys), strict=True)
    return fcs, (np.min(rates), np.max(rates))


def beyond_regions(fc, target):
    """Correlation of two FCs, each without its own region effects."""
    left = [np.asarray(x) - fitting.region_effects(x) for x in (fc, target)]
    return fitting.objectives.correlation(*map(nmm.analysis.upper_triangle, left))


COLUMNS = {
    "correlation": functools.partial(fitting.objectives.fc_correlation, simulated_is="fc"),
    "concordance": functools.partial(fitting.objectives.fc_concordance, simulated_is="fc"),
    "beyond regions": beyond_regions,
    "mean FC": lambda fc, _: jnp.mean(nmm.analysis.upper_triangle(fc)),
}


def show_header(title):
    print(f"\n| {title} | " + " | ".join(COLUMNS) + " | rates, Hz | slowest mode, s |")
    print("|---" * (len(COLUMNS) + 3) + "|")


def show(name, fcs, target, rates=None, slowest=None):
    """A line of the table: mean, and standard deviation over several FCs."""
    cells = []
    for measure in COLUMNS.values():
        values = [float(measure(fc, target)) for fc in fcs]
        spread = f" ± {np.std(values):.3f}" if len(values) > 1 else ""
        cells.append(f"{np.mean(values):.3f}{spread}")
    cells.append("" if rates is None else "{:.1f}–{:.1f}".format(*rates))
    cells.append("" if slowest is None else f"{slowest / 1000:.2f}")
    print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def show_fit(name, net, target, effort):
    """The fit in closed form, and simulated."""
    response = nmm.analysis.linear_response(net, save={"bold": BOLD, "rate": "H"})
    rates = response.mean("rate")
    fc = response.fc("bold")
    show(f"{name}, closed form", [fc], target, (rates.min(), rates.max()), -1 / response.growth)
    fcs, rates = simulate(net, effort)
    show(f"{name}, simulated", fcs, target, rates)
    return fc, fcs


def surrogates(raw, key):
    """Connectomes for the controls, all of spectral radius 1."""
    equal = eqx.tree_at(
        lambda c: c.weights, raw, jnp.ones_like(raw.weights) - jnp.eye(len(raw.weights))
    )
    for scale in ("log", "raw"):
        conn = raw.log() if scale == "log" else raw
        for kind in ("anatomy", "shuffle", "permute"):
            used = conn if kind == "anatomy" else conn.surrogate(kind, key=key)
            yield f"{scale} weights, {kind}", used.scale("spectral_radius")
    yield "equal weights", equal.scale("spectral_radius")


def show_controls(raw, fc, effort, key):
    """The same fit without the anatomy, and from other starts."""
    show_header("controls")
    for name, conn in surrogates(raw, key):
        show_fit(name, fit_regions(conn, fc, effort)[0], fc, effort)
    conn = raw.log().scale("spectral_radius")
    keys = jax.random.split(key, effort.starts)
    nets = [fit_regions(conn, fc, effort, k)[0] for k in keys]
    for i, net in enumerate(nets):
        show_fit(f"log weights, start {i + 1}", net, fc, effort)
    above = np.triu_indices(len(nets), 1)
    for path in ("w", "I_o"):
        between = np.corrcoef([getattr(net.node, path) for net in nets])[above]
        print(f"{path} of {len(nets)} starts correlate {between.min():.2f} to {between.max():.2f}")


def draw(path, fc, closed, simulated, losses, node, labels):
    """Empirical FC, closed form and simulated; the loss; and the regional parameters."""
    import matplotlib.pyplot as plt

    layout = [["empirical", "closed", "simulated", "loss"], ["w"] * 4, ["I_o"] * 4]
    figure, axes = plt.subplot_mosaic(
        layout, figsize=(16, 9), layout="constrained", height_ratios=(1.6, 1, 1)
    )
    limits = {"vmin": 0.0, "vmax": float(np.percentile(nmm.analysis.upper_triangle(fc), 99))}
    titles = {"empirical": "empirical FC", "closed": "closed form", "simulated": "20 minutes, mean"}
    matrices = {"empirical": fc, "closed": closed, "simulated": simulated}
    for name, matrix in matrices.items():
        nmm.plot.matrix(matrix, labels, ax=axes[name], title=titles[name], **limits)
    axes["loss"].plot(losses, linewidth=1)
    axes["loss"].set(xlabel="step", ylabel="loss", title="fit in closed form")
    for name, unit in (("w", "w"), ("I_o", "I_o (nA)")):
        values = np.asarray(getattr(node, name))
        axes[name].bar(np.arange(len(values)), values - values.mean(), width=0.8)
        axes[name].set(ylabel=f"{unit} - mean", xmargin=0.01)
        axes[name].set_xticks(np.arange(len(values)), labels, rotation=90, fontsize=5)
    for name in ("loss", "w", "I_o"):
        axes[name].spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    print(f"\nFigure: {path}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", choices=["dk84", "schaefer100"], default="dk84")
    parser.add_argument("--controls", action="store_true", help="other starts, no anatomy")
    parser.add_argument("--rates", choices=["penalised", "bounded"], default="penalised")
    parser.add_argument("--quick", action="store_true", help="a demonstration, in under a minute")
    parser.add_argument("--figure", type=Path, default=Path("figures/closed_form_fit.png"))
    options = parser.parse_args()
    effort = QUICK if options.quick else Effort()
    if options.rates == "bounded":
        effort = dataclasses.replace(effort, polish=2 * effort.polish, bounded=True)
    raw = nmm.datasets.load_connectome(options.data, scaling="raw")
    conn = raw.log().scale("spectral_radius")
    # The first group is the one that is fitted.
    groups = {"": None}
    if options.data == "schaefer100":
        groups = {"training group": "train", "test group": "test"}
    targets = {
        name: nmm.datasets.load_functional(options.data, group=group).fc
        for name, group in groups.items()
    }
    fc = next(iter(targets.values()))

    begin = time.perf_counter()
    net, result = fit_regions(conn, fc, effort)
    seconds = time.perf_counter() - begin
    print(result)
    for name, target in targets.items():
        show_header(name)
        show("empirical", [target], target)
        show("log weights alone", [raw.log().weights], target)
        show("region effects, no connectome", [fitting.region_effects(fc)], target)
        closed, simulated = show_fit("fit", net, target, effort)
    print(f"\nTime of the fit, compilation included: {seconds:.0f} s", flush=True)
    losses = np.concatenate([stage.history["loss"] for stage in result.stages])
    mean = np.mean(simulated, axis=0)
    draw(options.figure, fc, closed, mean, losses, net.node, conn.labels)
    if options.controls:
        show_controls(raw, fc, effort, jax.random.key(0))


if __name__ == "__main__":
    main()
