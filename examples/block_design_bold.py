"""BOLD of a block design, by the balloon model and by convolutions, from one neural signal.

    python examples/block_design_bold.py --figure block_design.png

A network of Wong-Wang regions on the structural connectome dk84 is at rest; in blocks of 20 s both
pericalcarine cortices (V1) are stimulated. While it runs, the same gating variable S drives the
Balloon-Windkessel model and is convolved with two response functions, the first-order Volterra
kernel and a gamma density: three observers of one run. The figure shows stimulus and activity, the
mean response to a block, each relative to the baseline before it and per unit of its own peak, and
by how much the convolutions differ from the balloon model. The Volterra kernel is that of the blood
flow alone, which the volume and the deoxyhaemoglobin of the balloon follow with delay; the gamma
density has no undershoot.
"""

import argparse

import jax
import numpy as np

import nmm
from nmm.observe import BOLD, ConvolutionBOLD, GammaKernel, TemporalAverage, VolterraKernel
from nmm.units import s

STIMULATED = ("L.PCAL", "R.PCAL")
DT, TR = 1.0, 0.5 * s
SETTLE, BASELINE, ON, OFF = 30 * s, 10 * s, 20 * s, 30 * s
MODELS = {
    "balloon": "Balloon-Windkessel",
    "volterra": "Volterra kernel",
    "gamma": "gamma kernel",
}


def experiment(connectome, blocks, key):
    """The run, and its stimulus."""
    stimulus = nmm.stimulus.PulseTrain(
        amplitude=0.02, onset=SETTLE + BASELINE, duration=ON, period=ON + OFF, count=blocks
    )
    network = nmm.Network(
        nmm.ReducedWongWang(),
        connectome,
        nmm.coupling.Linear(G=0.2),
        stimulus=stimulus.at(connectome, STIMULATED).onto("I_ext"),
    )
    run = nmm.simulate(
        network,
        SETTLE + BASELINE + blocks * (ON + OFF),
        DT,
        key=key,
        noise=nmm.noise.White(S=0.001),
        save={
            "activity": TemporalAverage(TR, "S"),
            "balloon": BOLD(TR, "S"),
            "volterra": ConvolutionBOLD(TR, "S", kernel=VolterraKernel()),
            "gamma": ConvolutionBOLD(TR, "S", kernel=GammaKernel()),
        },
        transient=SETTLE,
    )
    return run, stimulus


def responses(run, regions, blocks):
    """Mean response to a block of each output, `(time,)`, per unit of its peak."""
    before, length = round(BASELINE / TR), round((BASELINE + ON + OFF) / TR)
    starts = [k * round((ON + OFF) / TR) for k in range(blocks)]
    found = {}
    for name in ("activity", *MODELS):
        series = np.asarray(run[name])[:, regions].mean(axis=1)
        mean = np.mean([series[start : start + length] for start in starts], axis=0)
        change = mean - mean[:before].mean()
        found[name] = change / np.abs(change).max()
    return TR * np.arange(1, length + 1) - BASELINE, found


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--blocks", type=int, default=6)
    parser.add_argument("--figure", help="where to write the figure")
    parser.add_argument("--quick", action="store_true", help="one block")
    options = parser.parse_args()
    blocks = 1 if options.quick else options.blocks
    connectome = nmm.datasets.load_connectome("dk84")
    run, stimulus = experiment(connectome, blocks, jax.random.key(0))
    regions = [connectome.index(label) for label in STIMULATED]
    times, mean = responses(run, regions, blocks)
    within = (times > 0) & (times <= ON)
    for name, title in MODELS.items():
        half = times[within][np.argmax(mean[name][within] >= 0.5)] / s
        print(
            f"block response, {title}: half of its peak {half:.1f} s after the onset, peak at "
            f"{times[mean[name].argmax()] / s:.1f} s, undershoot {mean[name].min():.2f} of it"
        )
    for name in ("volterra", "gamma"):
        apart = np.abs(mean[name] - mean["balloon"])
        print(f"{MODELS[name]} and balloon differ by {apart.max():.2f} of the peak at most")
    if options.figure:
        draw(run, stimulus, regions, times, mean, options.figure)


def draw(run, stimulus, regions, times, mean, path):
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        2, 2, figsize=(9.6, 5.0), width_ratios=[1.5, 1], sharex="col", layout="constrained"
    )
    (activity, response), (bold, difference) = axes
    whole = np.asarray(run.times["activity"]) / s
    shown = jax.vmap(stimulus)(np.asarray(run.times["activity"]) - TR / 2) > 0
    for ax in (activity, bold):
        ax.fill_between(
            whole, 0, 1, where=shown, transform=ax.get_xaxis_transform(), color="0.92", step="pre"
        )
        ax.margins(x=0)
    for ax in (response, difference):
        ax.axvspan(0, ON / s, color="0.92", zorder=0)
        ax.axhline(0, color="0.6", linewidth=0.6)
        ax.set_xlim(times[0] / s, times[-1] / s)
    activity.plot(whole, np.asarray(run["activity"])[:, regions].mean(axis=1), color="0.3")
    activity.set_ylabel("Activity S of V1")
    response.plot(times / s, mean["activity"], color="0.3", linewidth=1, label="activity")
    for colour, (name, title) in zip(nmm.plot.COLOURS, MODELS.items(), strict=False):
        series = np.asarray(run[name])[:, regions].mean(axis=1)
        series = series - series[whole <= (SETTLE + BASELINE) / s].mean()
        bold.plot(whole, series / np.abs(series).max(), color=colour, linewidth=1.2)
        response.plot(times / s, mean[name], color=colour, label=title)
        if name != "balloon":
            difference.plot(times / s, mean[name] - mean["balloon"], color=colour)
    bold.set_ylabel("BOLD (per unit peak)")
    bold.set_xlabel("Time (s)")
    response.set_ylabel("Response (per unit peak)")
    response.set_ylim(-0.35, 1.1)
    figure.legend(
        *response.get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False
    )
    difference.set_ylabel("Kernel less balloon")
    difference.set_xlabel("Time from the onset of a block (s)")
    for ax in axes.flat:
        ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=200)
    plt.close(figure)


if __name__ == "__main__":
    main()
