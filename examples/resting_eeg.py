"""Resting EEG with alpha on a spherical head.

    python examples/resting_eeg.py --figure resting_eeg.png

A whole-brain network of Jansen-Rit columns on the structural connectome dk84 at rest. Columns at
the back of the head get the input at which they cycle at 10 to 11 Hz (alpha), the others less, at
which they only follow their noise. Nothing of the states is kept: EEG of 21 electrodes on a head
of four shells rides along, its spectrum is gathered by Welch's method, and so is the power in the
alpha band. The figure shows some seconds of EEG, the spectra at the front and at the back, and the
map of alpha.
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np

import nmm
from nmm.observe import EEG, BandPower, OnlineSpectrum, SensorNoise
from nmm.units import Hz, s

DT = 1.0
ALPHA = (8.0, 13.0)
TRANSIENT = 2 * s
BACK, FRONT = ("O1", "Oz", "O2", "P3", "Pz", "P4"), ("Fp1", "Fpz", "Fp2", "F3", "Fz", "F4")


def network(connectome):
    """Columns that cycle at the back of the head, and rest in front."""
    y = connectome.centres[:, 1]
    from_the_back = (y - y.min()) / (y.max() - y.min())
    p = jnp.where(from_the_back < 0.35, 230 * Hz, 60 * Hz)
    return nmm.Network(nmm.JansenRit(p=p), connectome, nmm.coupling.Linear(G=1.0))


def rest(connectome, duration, key):
    """The run, and its EEG."""
    start, noise = jax.random.split(key)
    net = network(connectome)
    eeg = EEG.spherical(
        connectome.centres, period=4.0, moment=20.0, noise=SensorNoise(0.25, jax.random.key(1))
    )
    run = nmm.simulate(
        net,
        duration,
        DT,
        key=noise,
        noise=nmm.noise.White(Ev=0.05),
        y0=net.initial_state(key=start),
        save={
            "eeg": eeg,
            "spectrum": OnlineSpectrum(eeg, 2 * s),
            "alpha": BandPower(eeg, ALPHA, 1 * s),
        },
        transient=TRANSIENT,
    )
    return run, eeg


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=62.0)
    parser.add_argument("--figure", help="where to write the figure")
    parser.add_argument("--quick", action="store_true", help="a few seconds")
    options = parser.parse_args()
    connectome = nmm.datasets.load_connectome("dk84")
    seconds = 8.0 if options.quick else options.seconds
    run, eeg = rest(connectome, seconds * s, jax.random.key(0))
    frequencies = OnlineSpectrum(eeg, 2 * s).frequencies
    names = eeg.lead_field.sensors
    spectra = {
        place: np.asarray(run["spectrum"])[:, [names.index(e) for e in electrodes]].mean(axis=1)
        for place, electrodes in (("back", BACK), ("front", FRONT))
    }
    search = (frequencies > 5) & (frequencies < 20)
    peak = frequencies[search][spectra["back"][search].argmax()]
    alpha = np.sqrt(np.asarray(run["alpha"]).mean(axis=0))
    inside = (frequencies >= ALPHA[0]) & (frequencies < ALPHA[1])
    ratio = spectra["back"][inside].sum() / spectra["front"][inside].sum()
    print(
        f"resting EEG of {seconds:g} s: {np.std(run['eeg'], axis=0).mean():.1f} µV, alpha peak at "
        f"{peak:.1f} Hz, {ratio:.1f} times as much power at the back as in front, strongest at "
        f"{names[int(alpha.argmax())]} ({alpha.max():.1f} µV)"
    )
    if options.figure:
        draw(run, eeg, frequencies, spectra, alpha, options.figure)


def draw(run, eeg, frequencies, spectra, alpha, path):
    import matplotlib.pyplot as plt

    figure, (left, middle, right) = plt.subplots(
        1, 3, figsize=(10.2, 3.4), width_ratios=[1.5, 1.2, 1], layout="constrained"
    )
    times = np.asarray(run.times["eeg"]) / 1000
    shown = times <= times[0] + 3
    samples = np.asarray(run["eeg"])[shown]
    samples = samples - samples.mean(axis=0)
    # The larger swings may overlap with their neighbours.
    spacing = 3 * samples.std()
    order = np.arange(len(eeg.lead_field.sensors))
    left.plot(times[shown], samples - spacing * order, color="black", linewidth=0.5)
    left.set_yticks(-spacing * order, eeg.lead_field.sensors, fontsize=6)
    left.tick_params(axis="y", length=0)
    left.set_xlabel("Time (s)")
    left.margins(x=0)
    left.spines[["top", "right", "left"]].set_visible(False)
    for colour, (place, power) in zip(nmm.plot.COLOURS, spectra.items(), strict=False):
        middle.semilogy(frequencies[1:], power[1:], color=colour, label=place)
    middle.axvspan(*ALPHA, color="0.93", zorder=0)
    middle.set_xlim(0.5, 45)
    middle.set_ylim(np.min(spectra["front"][frequencies < 45]) / 2, None)
    middle.set_xlabel("Frequency (Hz)")
    middle.set_ylabel("Power (µV²/Hz)")
    middle.legend(frameon=False)
    middle.spines[["top", "right"]].set_visible(False)
    nmm.plot.topography(
        alpha, eeg.lead_field.positions, right, title="alpha", label="Root mean square (µV)",
        cmap="viridis", vmin=0, vmax=float(1.05 * alpha.max()),
    )  # fmt: skip
    figure.savefig(path, dpi=200)
    plt.close(figure)


if __name__ == "__main__":
    main()
