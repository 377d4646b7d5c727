"""A visual-evoked potential: a flash to the visual cortex of a whole-brain Jansen-Rit network.

    python examples/visual_evoked_potential.py --figure vep.png

Columns of Jansen and Rit on the structural connectome dk84 receive a pulse of input in both
pericalcarine cortices (V1) at time 0. The network hears of it by its connections, with noise of
its own; EEG on a spherical head is averaged over trials and set against the mean before the flash.
The figure shows all electrodes against time, and the map of the head at the peak of the occipital
ones. The orientation of the sources is radial, and their moment a round number: the latency and
the shape are the model's, the size in µV is only of the right order.
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np

import nmm
from nmm.units import Hz

OCCIPITAL = ("O1", "Oz", "O2")
DT, BEFORE, AFTER = 0.5, 300.0, 500.0
SETTLE = 1200.0


def flash(connectome, size, width):
    """An input rate onto both visual cortices that begins when the settling and baseline end."""
    pulse = nmm.stimulus.Alpha(size, onset=SETTLE + BEFORE, rise=width, decay=width)
    return pulse.at(connectome, ("L.PCAL", "R.PCAL")).onto("E_inp")


def evoked(trials, key, connectome, eeg, size=8.0, width=5.0):
    """EEG of each trial, `(trials, time, sensors)`, and times from the flash on."""
    # Below the onset of alpha the columns rest, and answer a pulse by a damped oscillation.
    network = nmm.Network(nmm.JansenRit(p=60 * Hz), connectome, nmm.coupling.Linear(G=5.0))
    inputs = flash(connectome, size, width)

    @jax.jit
    def run(key):
        return nmm.simulate(
            network,
            SETTLE + BEFORE + AFTER,
            DT,
            key=key,
            noise=nmm.noise.White(Ev=0.02),
            inputs=inputs,
            save={"eeg": eeg},
            transient=SETTLE,
        )["eeg"]

    samples = jnp.stack([run(k) for k in jax.random.split(key, trials)])
    times = eeg.period * np.arange(1, samples.shape[1] + 1) - BEFORE
    return samples, times


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--figure", help="where to write the figure")
    parser.add_argument("--quick", action="store_true", help="few trials")
    options = parser.parse_args()
    connectome = nmm.datasets.load_connectome("dk84")
    eeg = nmm.observe.EEG.spherical(connectome.centres, period=2.0, electrodes="10-10", moment=20.0)
    trials = 4 if options.quick else options.trials
    samples, times = evoked(trials, jax.random.key(0), connectome, eeg)
    average = np.asarray(samples.mean(axis=0))
    average = average - average[times <= 0].mean(axis=0)
    names = eeg.lead_field.sensors
    occipital = average[:, [names.index(name) for name in OCCIPITAL]].mean(axis=1)
    late = times > 0
    peak = int(np.flatnonzero(late)[np.abs(occipital[late]).argmax()])
    spread = np.asarray(samples)[:, times <= 0].mean(axis=(1,)).std(axis=0).mean()
    strongest = names[int(np.abs(average[peak]).argmax())]
    print(
        f"visual-evoked potential of {trials} trials: {occipital[peak]:+.2f} µV over the occipital "
        f"electrodes {times[peak]:.0f} ms after the flash, strongest at {strongest} "
        f"({average[peak][names.index(strongest)]:+.2f} µV); "
        f"baselines vary by {spread:.2f} µV from trial to trial"
    )
    if options.figure:
        draw(times, average, occipital, peak, eeg, options.figure)


def draw(times, average, occipital, peak, eeg, path):
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(
        1, 2, figsize=(8.6, 3.4), width_ratios=[1.7, 1], layout="constrained"
    )
    left.plot(times, average, color="0.75", linewidth=0.6)
    left.plot(times, occipital, color=nmm.plot.COLOURS[0], linewidth=1.8, label="O1, Oz, O2")
    left.axvline(0, color="0.4", linewidth=0.8, linestyle=":")
    left.axvline(times[peak], color=nmm.plot.COLOURS[1], linewidth=0.8, zorder=0)
    left.set_xlim(-100, 400)
    left.set_xlabel("Time from the flash (ms)")
    left.set_ylabel("EEG, average reference (µV)")
    left.legend(frameon=False)
    left.spines[["top", "right"]].set_visible(False)
    nmm.plot.topography(
        average[peak],
        eeg.lead_field.positions,
        right,
        title=f"{times[peak]:.0f} ms",
        label="µV",
    )
    figure.savefig(path, dpi=200)
    plt.close(figure)


if __name__ == "__main__":
    main()
