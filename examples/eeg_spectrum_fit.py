"""Recovers parameters of Jansen–Rit columns from the spectra of an EEG, in closed form.

    python examples/eeg_spectrum_fit.py           # 20 recordings
    python examples/eeg_spectrum_fit.py --quick   # 2 short ones

Columns that ring at alpha are driven by noise and seen by the 61 electrodes of the 10-10 system on
a spherical head. Recordings are simulated, and the columns' parameters are recovered from the power
spectra of the channels alone, by Whittle's likelihood of the spectra that
`nmm.analysis.linear_response` has in closed form: dynamic causal modelling of spectra. The table
compares the spread of the estimates over recordings with the standard error that each fit states
by itself. The noise is small: spectra in closed form are those of the linearised column.

Then the alpha peak of a column is moved to where a given spectrum has it.
"""

import argparse
import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

import fitting
import nmm

REGIONS = 8
SENSORS = 61
PERIOD = 2.0
SEGMENT = 2000.0
FREE = {
    "node.be": fitting.Interval(0.05, 0.15),
    "node.bi": fitting.Interval(0.025, 0.075),
    "coupling.G": fitting.Interval(0.0, 20.0),
    "noise.sigma.Ev": fitting.Positive(),
}


@dataclasses.dataclass(frozen=True)
class Effort:
    """How much is computed: recordings, their length, and steps of each fit."""

    draws: int = 20
    seconds: float = 120.0
    steps: int = 40


QUICK = Effort(2, 5.0, 5)


def network(be=0.1, bi=0.05, G=5.0, sigma=0.002):
    """Columns whose resting state is stable, with weak couplings at random."""
    rng = np.random.default_rng(0)
    weights = rng.uniform(size=(REGIONS, REGIONS)) * (1 - np.eye(REGIONS))
    weights = weights / np.abs(np.linalg.eigvals(weights)).max()
    node = nmm.JansenRit(p=450 * nmm.units.Hz, be=be, bi=bi)
    noise = nmm.noise.White(Ev=sigma)
    return nmm.Network(node, jnp.asarray(weights), nmm.coupling.Linear(G=G), noise=noise)


def recorder():
    """Electrodes over a sphere with dipoles within it, in directions at random."""
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(REGIONS, 3))
    centres *= 60 / np.linalg.norm(centres, axis=1, keepdims=True)
    orientations = rng.normal(size=(REGIONS, 3))
    orientations /= np.linalg.norm(orientations, axis=1, keepdims=True)
    return nmm.observe.EEG.spherical(centres, PERIOD, electrodes="10-10", orientations=orientations)


class Loss(eqx.Module):
    """The negative log-likelihood of the power of each channel."""

    power: Array
    hertz: Array
    eeg: nmm.observe.EEG
    segments: float = eqx.field(static=True)

    def __call__(self, net):
        response = nmm.analysis.linear_response(net, save={"eeg": self.eeg}, throw=False)
        spectrum = response.spectrum(self.hertz)
        # As many channels as there are sources are independent.
        worth = self.segments * REGIONS / SENSORS
        return fitting.objectives.whittle(spectrum, self.power, worth)


@eqx.filter_jit
def record(net, eeg, key, seconds):
    """Power spectra of a recording, from 3 to 40 Hz."""
    sol = nmm.simulate(
        net, 1000 * seconds + 2000, 1.0, key=key, save={"eeg": eeg}, transient=2000.0
    )
    return nmm.analysis.power_spectrum(sol["eeg"], PERIOD, segment=SEGMENT)


def recover(effort):
    """The table of parameters: true, over recordings, and by the standard errors of the fits."""
    net, eeg = network(), recorder()
    rest = nmm.analysis.linear_response(net, save={"eeg": eeg})
    print(f"Columns: {rest.fixed_point.kind}, slowest mode {-1 / rest.growth:.0f} ms")
    away = network(be=0.11, bi=0.055, G=2.0, sigma=0.004)
    # Windows that overlap by half are worth 0.95 / 2 of as many independent ones.
    segments = 0.95 * effort.seconds * 1000 / SEGMENT
    estimates, errors = [], []
    for key in jax.random.split(jax.random.key(0), effort.draws):
        hertz, power = record(net, eeg, key, effort.seconds)
        inside = (np.asarray(hertz) >= 3) & (np.asarray(hertz) <= 40)
        loss = Loss(power[inside], hertz[inside], eeg, segments)
        result = fit(loss, away, FREE, effort.steps)
        result = eqx.tree_at(lambda r: r.model, result, result.best)
        stated = fitting.uncertainty(loss, result)
        estimates.append([float(stated.values[path]) for path in FREE])
        errors.append([float(stated.standard_errors[path]) for path in FREE])
    print(stated)
    print(f"\n| {effort.draws} recordings | true | mean | SD | standard error stated |")
    print("|---|---|---|---|---|")
    true = [0.1, 0.05, 5.0, 0.002]
    for path, value, found, error in zip(
        FREE, true, np.transpose(estimates), np.transpose(errors), strict=True
    ):
        print(
            f"| {path} | {value:.4g} | {np.mean(found):.4g} | {np.std(found):.2g} | "
            f"{np.median(error):.2g} |"
        )


# The same objects in every fit, so that one compilation serves all. The first comes near, also
# from where a line search would end at a bound; the second to the end.
OPTIMIZERS = (optax.adam(0.03), optax.lbfgs())


def fit(loss, model, free, steps):
    """The result of the last of the optimisers."""
    for optimizer in OPTIMIZERS:
        result = fitting.fit(loss, model, free, optimizer=optimizer, steps=steps, progress=False)
        model = result.best
    return result


def move_alpha(effort):
    """Moves the alpha peak of a column to 9 Hz, as a given spectrum has it."""
    hertz = jnp.arange(4.0, 20.0, 0.25)
    target = 1 / (1 + (hertz - 9.0) ** 2)
    noise = nmm.noise.White(Ev=0.01)

    def spectrum(model):
        return nmm.analysis.linear_response(model, noise=noise, throw=False).spectrum(hertz)

    def loss(model):
        power = spectrum(model)
        return fitting.objectives.whittle(power / jnp.mean(power), target / jnp.mean(target))

    start = nmm.JansenRit(p=380 * nmm.units.Hz)
    free = {
        "be": fitting.Interval(0.05, 0.15),
        "bi": fitting.Interval(0.025, 0.075),
        "p": fitting.Interval(0.32, 0.6),
    }
    result = fit(loss, start, free, 5 * effort.steps)
    print(f"\n{result}")
    for name, model in (("before", start), ("after", result.best)):
        print(f"Alpha peak {name}: {hertz[jnp.argmax(spectrum(model))]:.2f} Hz")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a demonstration, in under a minute")
    options = parser.parse_args()
    effort = QUICK if options.quick else Effort()
    recover(effort)
    move_alpha(effort)


if __name__ == "__main__":
    main()
