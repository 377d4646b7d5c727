"""Fits the Jansen–Rit column to the power spectrum of an EEG, and asks what can be known from it.

    python examples/jansen_rit_spectrum.py

The EEG is simulated, with noise and with parameters that the fit does not know, so that what it
finds can be checked: the excitatory gain, both rate constants and the noise on the input. The loss
is the distance of the spectra in decibels, averaged over several draws of the noise, which are
others in each step.
"""

import argparse
import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

import fitting
import nmm
from nmm.units import Hz, s

DT, BAND, DRAWS = 1.0, (2.0, 40.0), 8
FREE = {
    "column.Ae": fitting.Interval(2.6, 4.5),
    "column.be": fitting.Interval(0.07, 0.15),
    "column.bi": fitting.Interval(0.03, 0.08),
    "noise": fitting.Interval(0.5, 8.0),
}


class EEG(eqx.Module):
    """A column, and the noise on its input in Hz sqrt(s)."""

    column: nmm.JansenRit
    noise: jax.Array = eqx.field(converter=jnp.asarray)

    def spectrum(self, key, seconds, draws=DRAWS):
        """Frequencies in Hz and the power at each, over so many draws of the noise."""
        # Noise on the input rate is filtered by the excitatory synapse.
        sigma = self.column.Ae * self.column.be / np.sqrt(1000) * self.noise
        sol = nmm.simulate(
            self.column,
            (seconds + 1) * s,
            DT,
            key=key,
            noise=nmm.noise.White(Ev=sigma),
            save=["eeg"],
            transient=1 * s,
            save_every=4.0,
            shape=(draws,),
            throw=False,
        )
        frequency, power = nmm.analysis.power_spectrum(sol["eeg"], 4.0, segment=1 * s)
        return frequency, jnp.mean(power, axis=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="3 steps on short runs")
    parser.add_argument("--figure", type=Path, default=Path("figures/jansen_rit_spectrum.png"))
    options = parser.parse_args()
    steps, seconds = (3, 2.0) if options.quick else (200, 8.0)
    begin = time.perf_counter()
    truth = EEG(nmm.JansenRit(Ae=3.6, be=0.11, bi=0.055, p=220 * Hz), 2.0)
    start = EEG(nmm.JansenRit(p=220 * Hz), 4.0)
    frequency, recorded = truth.spectrum(jax.random.key(1), 4 * seconds)
    inside = np.flatnonzero((frequency >= BAND[0]) & (frequency <= BAND[1]))

    def decibels(power):
        return 10 * jnp.log10(power[inside])

    def loss(model, key):
        return fitting.objectives.rmse(
            decibels(model.spectrum(key, seconds)[1]), decibels(recorded)
        )

    optimizer = optax.chain(optax.clip_by_global_norm(2.0), optax.adam(0.05))
    result = fitting.fit(
        loss, start, FREE, optimizer=optimizer, steps=steps, key=jax.random.key(0),
        on_non_finite="skip",
    )  # fmt: skip
    print(result)
    found = fitting.evaluate(loss, result.model, jax.random.key(2), seeds=4)["loss"]
    best = fitting.evaluate(loss, truth, jax.random.key(2), seeds=4)["loss"]
    print(f"On new noise: fit {found.mean():.2f} dB, the true parameters {best.mean():.2f} dB")
    wanted = fitting.free_parameters(truth, FREE).start
    for path, fitted in fitting.free_parameters(result.model, FREE).start.items():
        true = wanted[path]
        print(f"  {path:10s} true {true:7.4f}   fitted {fitted:7.4f}   ({fitted / true - 1:+.1%})")
    print(f"Time: {time.perf_counter() - begin:.0f} s")

    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
    ax.plot(frequency[inside], decibels(recorded), "k", label="recorded")
    for model, name in ((start, "start"), (result.model, "fit")):
        ax.plot(
            frequency[inside],
            decibels(model.spectrum(jax.random.key(3), 4 * seconds)[1]),
            label=name,
        )
    ax.set(xlabel="frequency (Hz)", ylabel="power (dB of 1 mV²/Hz)")
    ax.legend(frameon=False)
    options.figure.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.figure, dpi=120)


if __name__ == "__main__":
    main()
