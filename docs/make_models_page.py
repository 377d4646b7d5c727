"""Writes docs/models.md and its figures from the models themselves.

    python docs/make_models_page.py
    python docs/make_models_page.py --only Hopf JansenRit      # figures of these alone

Text and equations are those of the docstrings; the numbers under a figure are measured in the run
that it shows. A model without a scene of its own is shown at its defaults and first presets.
"""

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import nmm
from nmm._describe import _prose
from nmm.models._base import evaluate

FOLDER = Path(__file__).parent
COLOURS = nmm.plot.COLOURS
SAMPLES = 10_000


class Scene(NamedTuple):
    """What a figure shows.

    - `runs`: by label, the parameters that differ from the defaults; `preset` names a preset.
    - `t1`, `dt`: duration and step, in ms; `skip`: of the start, what is not shown.
    - `start`: of state variables, where they start, one number or one a run.
    - `inputs`: a function of the model and time, `-> Inputs`.
    - `right`: the right panel: a pair of state variables, `"plane"` for the first two, or
        `"spectrum"` of what the left one shows.
    - `output`: what the left panel shows; the default output of the model.
    - `says`: a sentence before what is measured.
    """

    runs: dict[str, dict[str, Any]]
    t1: float = 1000.0
    dt: float = 0.05
    skip: float = 0.0
    start: dict[str, Any] = {}
    inputs: Callable[..., Any] | None = None
    right: Any = "plane"
    output: str | None = None
    says: str = ""


def pulses(slot: str, *values: tuple[float, float, float]) -> Callable[..., Any]:
    """Constant inputs, each a value, from and until when."""

    def inputs(model: Any, t: Any) -> Any:
        total = sum(jnp.where((t >= a) & (t < b), value, 0.0) for value, a, b in values)
        return model.Inputs(**{slot: total})

    return inputs


def presets(*names: str) -> dict[str, dict[str, Any]]:
    return {name: {"preset": name} for name in names}


SCENES = {
    "Hopf": Scene(
        {"a = 0.25": {}, "a = -0.02": {"a": -0.02}},
        t1=200.0, start={"x": 0.8, "y": 0.0},
        says="On either side of the bifurcation.",
    ),
    "StuartLandau": Scene(
        {f"a = {a:g}": {"a": a} for a in (0.25, 0.1, -0.02)},
        t1=200.0, start={"x": 0.8, "y": 0.0},
        says="The radius is the root of a, or 0.",
    ),
    "VanDerPol": Scene(
        {f"mu = {mu:g}": {"mu": mu} for mu in (0.5, 1.0, 5.0)},
        t1=60.0, dt=0.01, start={"x": 0.5},
        says="From nearly harmonic to relaxation oscillation.",
    ),
    "FitzHughNagumo": Scene(
        {
            "at rest, kicked": {"preset": "fitzhugh1961"},
            "driven": {"preset": "fitzhugh1961_spiking"},
        },
        t1=200.0, start={"V": -0.6, "w": -0.62},
        says="A kick makes one spike, a constant drive many.",
    ),
    "Generic2dOscillator": Scene(
        {"default": {}, **presets("excitable", "oscillating")}, t1=1500.0,
        says="Ringing, one excursion from an excitable state, and a limit cycle.",
    ),
    "ThresholdLinear": Scene(
        {f"h = {h:g}": {"h": h} for h in (0.0, 0.3, 0.6)}, t1=500.0,
        says="Areas higher up in the hierarchy answer later and more.",
    ),
    "Linear": Scene(
        {f"gamma = {g:g}": {"gamma": g} for g in (-0.02, -0.05, -0.2)}, t1=200.0,
        start={"x": 1.0}, inputs=pulses("x_inp", (0.02, 100.0, 200.0)), right="rate",
        says="Decay, and an approach to a constant input that begins at 100 ms.",
    ),
    "Lorenz": Scene(
        {"rho = 28": {}, "rho = 14": {"rho": 14.0}}, t1=40.0, dt=0.005, right=("x", "z"),
        says="Chaos, and a stable point.",
    ),
    "JansenRit": Scene(
        presets("alpha", "slow_spikes", "spike_wave"), t1=8000.0, dt=0.5, skip=4500.0,
        right="spectrum", says="Three regimes of a column, without noise.",
    ),
    "WilsonCowan": Scene(
        presets("limit_cycle"), t1=300.0,
        says="The limit cycle and the nullclines that it turns about.",
    ),
    "WilsonCowanAdaptive": Scene(
        {f"b_E = {b:g}": {"preset": "slow_oscillation", "b_E": b} for b in (5.0, 0.1)},
        t1=1000.0, right=("rE", "aE"),
        says="Strong adaptation switches the active state off, again and again.",
    ),
    "WilsonCowanSymmetric": Scene(
        {f"P = {P:g}": {"P": P} for P in (0.0, 1.0, 2.0)}, t1=15.0, dt=0.01, start={"rE": 0.3},
        says="Rest without drive, activity with it.",
    ),
    "WilsonCowanSimplified": Scene(
        {f"P = {P:g}": {"P": P} for P in (0.0, 1.0, 2.0)}, t1=15.0, dt=0.01, start={"rE": 0.3},
        says="Rest without drive, activity with it.",
    ),
    "WilsonCowanThreePopulation": Scene(
        {"from 0.1": {}, "from 0.4": {}}, t1=20.0, dt=0.01, start={"rE": [0.1, 0.4]},
        right=("rE", "rM"), says="Two stable states: it depends on the start which one is reached.",
    ),
    "WongWang": Scene(
        {f"coherence {c:g}": {"coherence": c} for c in (0.032, 0.128, 0.512)}, t1=1500.0, dt=0.5,
        says="The more coherent the motion, the sooner pool 1 wins.",
    ),
    "WongWangExcInh": Scene(
        {f"J_i = {J:g}": {"J_i": J} for J in (0.5, 1.0, 1.5)}, t1=1500.0, dt=0.5,
        says="The feedback inhibition sets the level of activity.",
    ),
    "ReducedWongWang": Scene(
        {"default": {}, "deco2013": {"preset": "deco2013"}}, t1=1000.0, dt=0.5,
        start={"S": 0.5}, right="rate",
        says="Both return from high activity to rest.",
    ),
    "MontbrioPazoRoxin": Scene(
        {"default": {}}, t1=200.0, dt=0.005,
        inputs=pulses("v_inp", (3.0, 40.0, 70.0), (-3.0, 130.0, 160.0)),
        says="A current pulse switches the population on at 40 ms, another one off at 130 ms.",
    ),
    "CoombesByrne": Scene(
        {f"k = {k:g}": {"k": k} for k in (0.2, 1.0, 2.0)}, t1=10.0, dt=0.005,
        start={"r": 1.0, "v": 1.0},
        says="Synapses damp the spiking and lower the rate.",
    ),
    "LarterBreakspear": Scene(
        presets("fixed_point", "limit_cycle", "chaos"), t1=2000.0, dt=0.1, skip=1500.0,
        start={"V": -0.1, "W": 0.2, "Z": 0.1}, right=("V", "Z"),
        says="Three widths of the threshold of excitation.",
    ),
    "Epileptor": Scene(
        presets("seizing", "resting"), t1=5000.0, dt=0.05, right=("x1", "z"),
        says="Seizures begin and end by themselves, or not at all.",
    ),
    "HORN": Scene(
        {"gamma = 0.01": {}, "gamma = 0.05": {"gamma": 0.05}}, t1=300.0,
        inputs=pulses("u", (0.5, 50.0, 150.0)),
        says="A constant input from 50 to 150 ms displaces the oscillator, which rings.",
    ),
    "AdaptiveQIFDopamine": Scene(
        {"driven": {}}, t1=600.0, dt=0.01, skip=100.0, right=("r", "V"),
        inputs=lambda model, t: model.Inputs(c_exc=jnp.asarray(0.01), c_dopa=jnp.asarray(1e-5)),
        says="Constant excitation and dopamine.",
    ),
    "BVEP": Scene(presets("healthy", "epileptogenic"), t1=100.0, dt=0.01),
    "CanonicalMicrocircuit": Scene(
        {"default": {}}, t1=400.0, inputs=pulses("U", (0.032, 50.0, 100.0)),
        says="The response to an input of 32 per s from 50 to 100 ms.",
    ),
    "CoombesByrne4D": Scene(
        {"default": {}, **presets("resting")}, t1=30.0, dt=0.005, right=("r", "V"),
    ),
    "DecoBalancedExcInh": Scene(
        {f"M_i = {M:g}": {"M_i": M} for M in (1.0, 1.2, 1.5)}, t1=1500.0, dt=0.5,
        says="The gain of a region, at the same feedback inhibition.",
    ),
    "DumontGutkin": Scene(presets("ping"), t1=200.0, dt=0.01, right=("r_e", "r_i")),
    "Epileptor2D": Scene(presets("seizing", "resting"), t1=6000.0),
    "EpileptorCodim3": Scene(presets("seizing", "resting"), t1=3000.0, right=("z", "x")),
    "EpileptorCodim3SlowMod": Scene(
        {"default": {}}, t1=20_000.0, right=("z", "x"), says="Seizures grow along the path.",
    ),
    "EpileptorRestingState": Scene(
        {name: {"preset": name, "p": 0.5} for name in ("seizing", "resting")},
        t1=5000.0, right=("x1", "z"), says="Half of the signal is the Epileptor's.",
    ),
    "GastSchmidtKnosche_SD": Scene(
        {"default": {}, **presets("bursting")}, t1=150.0, dt=0.005,
    ),
    "GastSchmidtKnosche_SF": Scene(
        {"default": {}, **presets("firing", "resting")}, t1=150.0, dt=0.002,
    ),
    "Hopfield": Scene(
        {"default": {}}, t1=100.0, inputs=pulses("x_inp", (1.0, 20.0, 60.0)),
        says="A node alone follows its input and forgets it.",
    ),
    "HopfieldDynamic": Scene(
        {"default": {}}, t1=100.0, inputs=pulses("x_inp", (1.0, 20.0, 60.0)),
        says="A node alone follows its input and forgets it.",
    ),
    "KIonEx": Scene(
        presets("resting", "bursting", "depolarisation_block"), t1=20_000.0, dt=0.01,
        right=("V", "n"), says="The potassium of the bath decides.",
    ),
    "LileySteynRoss": Scene(
        {"from rest": {}, "from -50 mV": {}, "anaesthesia": {"preset": "anaesthesia"}}, t1=30.0,
        start={"he": [-80.0, -50.0, -50.0], "hi": [-75.0, -55.0, -55.0]},
        says="A quiet and an active state, and a lower one under the anaesthetic.",
    ),
    "MorrisLecar": Scene(presets("oscillating", "resting"), t1=300.0),
    "ReducedSetFitzHughNagumo": Scene({"default": {}}, t1=200.0, dt=0.01),
    "ReducedSetHindmarshRose": Scene({"default": {}}, t1=600.0, dt=0.01),
    "Thalamus": Scene(
        {"default": {}}, t1=8000.0, dt=0.01, skip=2000.0, right="spectrum", says="Sleep spindles.",
    ),
    "ZerlautAdaptationFirstOrder": Scene(
        {"silent": {}, **presets("asynchronous")}, t1=500.0, right=("E", "I"),
        says="Without input, and with an external excitation of 4 Hz.",
    ),
    "ZerlautAdaptationSecondOrder": Scene(
        {"silent": {}, **presets("asynchronous")}, t1=500.0, dt=0.01, right=("E", "I"),
        says="Without input, and with an external excitation of 4 Hz.",
    ),
    "ZetterbergJansen": Scene(
        {"default": {}}, t1=600.0, says="An approach to rest, which rings.",
    ),
}  # fmt: skip


def scene_of(cls: type[nmm.AbstractModel]) -> Scene:
    """The scene of a model, or one of its defaults and first presets."""
    if cls.__name__ in SCENES:
        return SCENES[cls.__name__]
    return Scene({"default": {}, **presets(*list(cls.presets)[:2])}, t1=2000.0)


def build(cls: type[nmm.AbstractModel], options: dict[str, Any]) -> nmm.AbstractModel:
    options = dict(options)
    preset = options.pop("preset", None)
    return cls(**options) if preset is None else cls.preset(preset, **options)


class Run(NamedTuple):
    """One line of a figure."""

    label: str
    model: nmm.AbstractModel
    ts: np.ndarray
    states: dict[str, np.ndarray]
    shown: np.ndarray


def simulate(cls: type[nmm.AbstractModel], scene: Scene) -> list[Run]:
    """The runs of a scene, each for itself."""
    output = scene.output or cls.output
    found = []
    every = scene.dt * max(1, round((scene.t1 - scene.skip) / scene.dt / SAMPLES))

    @jax.jit
    def run(model: Any, y0: Any) -> Any:
        inputs = None if scene.inputs is None else lambda t: scene.inputs(model, t)
        save = {"states": lambda t, y, u: y}
        save["shown"] = lambda t, y, u: evaluate(model, output, y, lambda: u)
        options = {"save": save, "save_every": every, "transient": scene.skip, "throw": False}
        sol = nmm.simulate(model, scene.t1, scene.dt, y0=y0, inputs=inputs, **options)
        return sol["states"], sol["shown"]

    for k, (label, options) in enumerate(scene.runs.items()):
        model = build(cls, options)
        y0 = model.initial_state()
        chosen = {name: jnp.asarray(np.broadcast_to(x, len(scene.runs))[k], jnp.float32)
                  for name, x in scene.start.items()}  # fmt: skip
        y0 = type(y0)(**{**vars(y0), **chosen})
        states, shown = run(model, y0)
        ts = scene.skip + every * (1 + np.arange(len(shown)))
        states = {name: np.asarray(x, float) for name, x in vars(states).items()}
        found.append(Run(label, model, ts, states, np.asarray(shown, float)))
    return found


def what_happens(run: Run, unit: str) -> str:
    """In words, what the second half of a run does."""
    x, ts = run.shown[len(run.shown) // 2 :], run.ts[len(run.ts) // 2 :]
    unit = "" if unit == "1" else f" {unit}"
    if not np.all(np.isfinite(x)):
        return "diverges"
    size = np.ptp(run.shown) or 1.0
    low, high = f"{x.min():.3g}", f"{x.max():.3g}{unit}"
    if np.ptp(x) < 1e-3 * max(size, abs(x.mean())):
        return f"ends at rest, at {x[-1]:.3g}{unit}"
    early, late = (np.ptp(part) for part in (x[: len(x) // 3], x[-(len(x) // 3) :]))
    if late < 0.6 * early:
        return f"comes to rest near {np.mean(x[-(len(x) // 3) :]):.3g}{unit}"
    middle = (x.min() + x.max()) / 2
    above = x > middle
    ups = ts[1:][above[1:] & ~above[:-1]]
    if len(ups) < 3:
        return f"varies between {low} and {high}"
    gaps = np.diff(ups)
    if np.std(gaps) < 0.05 * np.mean(gaps):
        return f"repeats at {1000 / np.mean(gaps):.3g} Hz, between {low} and {high}"
    return f"varies between {low} and {high}"


def draw_plane(ax: Any, runs: list[Run], pair: tuple[str, str], nullclines: bool) -> None:
    first, second = pair
    for run, colour in zip(runs, COLOURS, strict=False):
        ax.plot(run.states[first], run.states[second], color=colour, linewidth=0.9)
        ax.plot(run.states[first][-1], run.states[second][-1], "o", color=colour, markersize=3)
    ax.margins(0.12)
    if nullclines:
        nmm.plot.phase_plane(runs[0].model, ax, points=(), flow=False)
    ax.set_xlabel(first)
    ax.set_ylabel(second)


def draw_spectrum(ax: Any, runs: list[Run]) -> None:
    for run, colour in zip(runs, COLOURS, strict=False):
        x = run.shown[len(run.shown) // 4 :]
        x = (x - x.mean()) * np.hanning(len(x))
        rate = 1000 / (run.ts[1] - run.ts[0])
        power = np.abs(np.fft.rfft(x)) ** 2
        frequency = np.fft.rfftfreq(len(x), 1 / rate)
        inside = (frequency > 0) & (frequency <= min(50.0, rate / 2))
        top = power[inside].max()
        if top > 0:
            ax.semilogy(frequency[inside], power[inside] / top, color=colour, linewidth=0.9)
    ax.set_ylim(1e-7, 3)
    ax.set_xlabel("frequency (Hz)")
    ax.set_ylabel("power (of its peak)")


def draw_rate_of_change(ax: Any, runs: list[Run]) -> None:
    """Of a model of one variable: its slope over the variable."""
    for run, colour in zip(runs, COLOURS, strict=False):
        (name,) = run.states
        low, high = np.min(run.states[name]), np.max(run.states[name])
        span = high - low or 1.0
        x = jnp.linspace(low - 0.1 * span, high + 0.1 * span, 400)
        slope = run.model.vector_field(0.0, run.model.State(x), run.model.Inputs())
        ax.plot(x, jax.tree.leaves(slope)[0], color=colour, linewidth=0.9)
    ax.axhline(0.0, color="0.6", linewidth=0.8)
    ax.set_xlabel(name)
    ax.set_ylabel(f"d{name}/dt (per ms)")


def tidy(*axes: Any) -> None:
    """Small letters, no boxes."""
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(labelsize=7)
        ax.xaxis.label.set_size(8)
        ax.yaxis.label.set_size(8)


def draw(cls: type[nmm.AbstractModel], scene: Scene, runs: list[Run], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(
        1, 2, figsize=(7.6, 2.5), width_ratios=(5, 3), layout="constrained"
    )
    for run, colour in zip(runs, COLOURS, strict=False):
        left.plot(run.ts, run.shown, color=colour, linewidth=0.9, label=run.label)
    left.set_xlabel("time (ms)")
    left.set_ylabel(scene.output or cls.output)
    left.margins(x=0)
    if len(runs) > 1:
        place = {"loc": "lower left", "bbox_to_anchor": (0, 0.98), "ncols": len(runs)}
        left.legend(frameon=False, fontsize=7, borderpad=0, **place)
    names = tuple(runs[0].states)
    if scene.right == "rate" or (scene.right == "plane" and len(names) == 1):
        draw_rate_of_change(right, runs)
    elif scene.right == "spectrum":
        draw_spectrum(right, runs)
    else:
        pair = names[:2] if scene.right == "plane" else scene.right
        draw_plane(right, runs, pair, nullclines=len(names) == 2)
    tidy(left, right)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def caption(cls: type[nmm.AbstractModel], scene: Scene, runs: list[Run]) -> str:
    """One line on what the figure shows, measured."""
    from nmm._declare import declarations
    from nmm.models._base import observables

    output = scene.output or cls.output
    declared = declarations(cls.State)
    unit = declared[output].unit if output in declared else observables(cls)[output][0]
    parts = [f"{run.label}: {what_happens(run, unit)}" for run in runs]
    right = "rate of change" if scene.right == "rate" or len(runs[0].states) == 1 else "phase plane"
    if scene.right == "spectrum":
        right = "spectrum"
    elif len(runs[0].states) == 2:
        right += " with the nullclines of the first"
    measured = "; ".join(parts)
    return f"*{scene.says + ' ' if scene.says else ''}`{output}` ({measured}). Right: {right}.*"


def kuramoto(path: Path) -> str:
    """Phases only do something together: a network on either side of the onset of synchrony."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    n = 100
    # An even spread over the quantiles of a Lorentzian of half width 0.005 per ms around 10 Hz.
    omega = 2 * np.pi * 0.01 + 0.005 * np.tan(np.pi * ((np.arange(n) + 0.5) / n - 0.5))
    strengths = jnp.array([0.005, 0.015, 0.04])

    def run(G: Any) -> Any:
        coupling = nmm.coupling.Kuramoto(G=G, divisor="regions")
        net = nmm.Network(nmm.Kuramoto(omega=omega), jnp.ones((n, n)), coupling)
        save = ["signal", "order_parameter"]
        y0 = net.initial_state(key=jax.random.key(0))
        return nmm.simulate(net, 1500.0, 0.5, y0=y0, save=save, throw=False).ys

    ys = jax.jit(jax.vmap(run))(strengths)
    ts = 0.5 * (1 + np.arange(3000))
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(7.6, 2.5), width_ratios=(5, 3), layout="constrained"
    )
    left.plot(ts, np.asarray(ys["signal"])[2, :, ::10], linewidth=0.5, color=COLOURS[2], alpha=0.6)
    left.set_ylabel("signal")
    for G, R, colour in zip(strengths, ys["order_parameter"], COLOURS, strict=False):
        right.plot(ts, R, color=colour, linewidth=0.9, label=f"G = {G:g}")
    right.set_ylabel("order parameter")
    right.set_ylim(0, 1)
    place = {"loc": "lower left", "bbox_to_anchor": (0, 0.98), "ncols": 3}
    right.legend(frameon=False, fontsize=6, borderpad=0, handlelength=1, **place)
    for ax in (left, right):
        ax.set_xlabel("time (ms)")
        ax.margins(x=0)
    tidy(left, right)
    figure.savefig(path, dpi=110)
    plt.close(figure)
    late = np.mean(np.asarray(ys["order_parameter"])[:, 1500:], axis=1)
    found = ", ".join(f"{R:.2f} at G = {G:g}" for G, R in zip(strengths, late, strict=True))
    return (
        f"*{n} phases around 10 Hz that all hear each other: `signal` of ten of them at G = 0.04. "
        f"Right: their order parameter, which ends at {found}; synchrony sets in at 0.01.*"
    )


def section(name: str, told: str) -> str:
    """The part of the page about a model."""
    cls = getattr(nmm, name)
    text, reference = _prose(cls)
    # A heading of the page would end where a line of the docstring starts with a hash.
    sets = ", ".join(f"`{preset}`" for preset in cls.presets)
    lines = [
        f"## {name}",
        text,
        f"![{name}](models/{name}.png)",
        told,
        f"Presets: {sets}." if sets else "",
        f"Reference: {reference}",
    ]
    return "\n\n".join(line for line in lines if line)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", help="models whose figures are drawn; all by default")
    args = parser.parse_args(arguments)
    page = FOLDER / "models.md"
    figures = FOLDER / "models"
    figures.mkdir(exist_ok=True)
    old = page.read_text() if page.exists() else ""
    captions = dict(re.findall(r"!\[(\w+)\]\(models/\w+\.png\)\n\n(\*.*\*)\n", old))
    for entry in nmm.list_models():
        if args.only and entry.name not in args.only and entry.name in captions:
            continue
        cls = getattr(nmm, entry.name)
        path = figures / f"{entry.name}.png"
        if cls is nmm.Kuramoto:
            captions[entry.name] = kuramoto(path)
        else:
            scene = scene_of(cls)
            runs = simulate(cls, scene)
            draw(cls, scene, runs, path)
            captions[entry.name] = caption(cls, scene, runs)
        print(entry.name, captions[entry.name], flush=True)
    head = (
        "# The models\n\n"
        "<!-- Written by docs/make_models_page.py from the models themselves: edit those. -->\n\n"
        "Time is in ms, and `nmm.describe(model)` shows the parameters of each. In the phase planes"
        " a dot marks the end of a run, and grey lines are nullclines (dashed: of the second "
        "variable)."
    )
    sections = [section(entry.name, captions[entry.name]) for entry in nmm.list_models()]
    page.write_text("\n\n".join([head, repr(nmm.list_models()), *sections]) + "\n")


if __name__ == "__main__":
    main()
