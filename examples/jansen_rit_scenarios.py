"""The Jansen–Rit column in five textbook scenarios, with what they really show, and two more.

    python examples/jansen_rit_scenarios.py --figures figures

The five are alpha, sinusoidal drive, spike–wave, reduced inhibition and irregular activity, as
tutorials set them up: one column, started from 0, driven by a mean rate with noise or a sinusoid.
Measured, only the sinusoidal one is at 10 Hz, since the noise of the others is so strong (30 Hz
sqrt(s) is 1342 Hz in each step of 0.5 ms) that it swamps the cycle. So beside the alpha scenario
as it is usually written (1) stands one that is alpha (1b): more input and less noise. The last (6)
sweeps a weak sinusoid through all frequencies, which draws the resonance curve of the column.

For each it prints mean, standard deviation, range, dominant frequency and the share of alpha
(8–12 Hz) in the power of the EEG after the first second, over several draws of the noise; and it
draws M, E, I and the EEG against time beside the spectrum.
"""

import argparse
import dataclasses
import math
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, PRNGKeyArray
from scipy.signal import welch

import nmm
from nmm.units import Hz, s

DT = 0.5
TRANSIENT = 1.0 * s
BAND = (0.5, 50.0)
ALPHA = (8.0, 12.0)
PANELS = {
    "M": "Pyramidal PSP, M (mV)",
    "E": "Excitatory PSP, E (mV)",
    "I": "Inhibitory PSP, I (mV)",
    "eeg": "EEG, E − I (mV)",
}


class Sinusoid(eqx.Module):
    """A sinusoid on the input rate, whose frequency moves steadily from `start` to `end`.

    **Attributes:**

    - `amplitude`, `start`, `end`: in 1/ms.
    - `duration`: of the sweep, in ms.
    """

    amplitude: Array = eqx.field(converter=jnp.asarray, default=0.0)
    start: Array = eqx.field(converter=jnp.asarray, default=0.0)
    end: Array = eqx.field(converter=jnp.asarray, default=0.0)
    duration: Array = eqx.field(converter=jnp.asarray, default=1.0)

    def frequency(self, t: Any) -> Any:
        return self.start + (self.end - self.start) * t / self.duration

    def phase(self, t: Any) -> Any:
        return 2 * math.pi * (self.start + (self.end - self.start) * t / (2 * self.duration)) * t

    def __call__(self, t: Any) -> nmm.JansenRit.Inputs:
        return nmm.JansenRit.Inputs(E_inp=self.amplitude * jnp.sin(self.phase(t)))


class Scenario(eqx.Module):
    """A column and its input.

    **Attributes:**

    - `title`: what the figure is called.
    - `model`: the column; its `p` is the mean of the input rate.
    - `noise`: intensity of the white noise on the input rate, in Hz sqrt(s).
    - `drive`: the sinusoid that adds to the input rate.
    - `duration`: ms.
    """

    title: str = eqx.field(static=True)
    model: nmm.JansenRit
    noise: Array = eqx.field(converter=jnp.asarray, default=0.0)
    drive: Sinusoid = eqx.field(default_factory=Sinusoid)
    duration: float = eqx.field(static=True, default=10.0 * s)


def scenarios() -> dict[str, Scenario]:
    """All of them, by number."""
    preset = nmm.JansenRit.preset
    ten = Sinusoid(amplitude=70 * Hz, start=10 * Hz, end=10 * Hz)
    sweep = Sinusoid(amplitude=1 * Hz, start=6 * Hz, end=16 * Hz, duration=100 * s)
    return {
        "1": Scenario("Alpha, as it is usually written", preset("slow_spikes"), noise=30.0),
        "1b": Scenario("Alpha", preset("alpha"), noise=2.0),
        "2": Scenario("Sinusoidal drive", nmm.JansenRit(p=80 * Hz), drive=ten, duration=5 * s),
        "3": Scenario("Spike–wave", preset("spike_wave"), noise=10.0),
        "4": Scenario("Reduced inhibition", preset("reduced_inhibition"), noise=20.0),
        "5": Scenario("Irregular", nmm.JansenRit(), noise=80.0),
        "6": Scenario("Resonance", nmm.JansenRit(p=400 * Hz), drive=sweep, duration=100 * s),
    }


@eqx.filter_jit
def run(scenario: Scenario, key: PRNGKeyArray, draws: int) -> nmm.Solution:
    """M, E, I and the EEG of a scenario, `(time, draws)`, each draw with noise of its own."""
    model = scenario.model
    # Noise on the input rate is filtered by the excitatory synapse: it acts on the velocity of E.
    per_rate = model.Ae * model.be / math.sqrt(1000)  # Hz sqrt(s) = sqrt(ms) / ms / sqrt(1000)
    return nmm.simulate(
        model,
        t1=scenario.duration,
        dt=DT,
        key=key,
        inputs=scenario.drive,
        noise=nmm.noise.White(Ev=per_rate * scenario.noise),
        save=list(PANELS),
        shape=(draws,),
    )


class Measured(NamedTuple):
    """Statistics of the EEG after the transient, one value a draw: mV, Hz, and a share."""

    mean: np.ndarray
    sd: np.ndarray
    least: np.ndarray
    largest: np.ndarray
    frequency: np.ndarray
    alpha: np.ndarray


def spectrum(eeg: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies in Hz and power in mV²/Hz, `(frequency, draws)`, at a resolution of 0.25 Hz."""
    segment = min(round(4 * s / DT), len(eeg))
    return welch(eeg, fs=s / DT, nperseg=segment, detrend="constant", axis=0)


def measure(sol: nmm.Solution) -> Measured:
    """Statistics of a run."""
    eeg = np.asarray(sol["eeg"], float)[sol.ts > TRANSIENT]
    frequency, power = spectrum(eeg)
    band = (frequency >= BAND[0]) & (frequency <= BAND[1])
    alpha = (frequency >= ALPHA[0]) & (frequency <= ALPHA[1])
    return Measured(
        mean=eeg.mean(axis=0),
        sd=eeg.std(axis=0),
        least=eeg.min(axis=0),
        largest=eeg.max(axis=0),
        frequency=frequency[band][np.argmax(power[band], axis=0)],
        alpha=power[alpha].sum(axis=0) / power[band].sum(axis=0),
    )


def resonance(scenario: Scenario, sol: nmm.Solution) -> tuple[np.ndarray, np.ndarray]:
    """How much the EEG follows a sweep, in mV per Hz of input rate, against its frequency in Hz.

    The EEG is demodulated by the phase of the sweep and averaged over two seconds.
    """
    ts = np.asarray(sol.ts, float)
    eeg = np.asarray(sol["eeg"], float)[:, 0]
    window = np.hanning(round(2 * s / DT))
    window /= window.sum()
    slow = np.convolve(eeg, window, "same")
    rotating = (eeg - slow) * np.exp(-1j * np.asarray(scenario.drive.phase(ts)))
    envelope = 2 * np.abs(np.convolve(rotating, window, "same"))
    # The averages are whole only between the ends.
    inside = (ts > 3 * s) & (ts < ts[-1] - 3 * s)
    gain = envelope / (float(scenario.drive.amplitude) / Hz)
    return np.asarray(scenario.drive.frequency(ts))[inside] / Hz, gain[inside]


def linear_response(model: nmm.JansenRit, frequency: np.ndarray) -> np.ndarray:
    """The same gain by the linearised equations at the state of rest, in mV per Hz."""
    rest = nmm.simulate(model, t1=20 * s, dt=DT, save=[]).y1
    jacobian = jax.jacfwd(lambda y: model.vector_field(0.0, y, model.Inputs()))(rest)
    names = list(vars(rest))
    matrix = np.array([[getattr(getattr(jacobian, i), j) for j in names] for i in names])
    into = np.array([float(model.Ae * model.be) if name == "Ev" else 0.0 for name in names])
    read = np.array([{"E": 1.0, "I": -1.0}.get(name, 0.0) for name in names])
    turning = 2j * np.pi * frequency[:, None, None] * Hz * np.eye(len(names))
    return np.abs(np.linalg.solve(turning - matrix, into[:, None])[..., 0] @ read) * Hz


def report(number: str, title: str, measured: Measured) -> str:
    """A row of the table: mean over draws, and standard deviation between them."""
    cells = [f"{x.mean():6.2f} ± {x.std():4.2f}" for x in measured]
    return f"{number:>2}  {title:32s}" + "  ".join(cells)


def draw(number: str, scenario: Scenario, sol: nmm.Solution, path: Path) -> None:
    """M, E, I and the EEG of the first draw against time; the spectrum, or the resonance curve."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    colours = nmm.plot.COLOURS
    figure = plt.figure(figsize=(11, 6), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(3, 2))
    figure.suptitle(f"Jansen–Rit, scenario {number}: {scenario.title}", fontsize=13)
    swept = float(scenario.drive.start) != float(scenario.drive.end)
    # Five seconds show the waves; a sweep is shown as a whole, once the column has settled.
    ts = np.asarray(sol.ts)
    shown = ts > 5 * TRANSIENT if swept else (ts > TRANSIENT) & (ts <= TRANSIENT + 5 * s)
    panels = left.subplots(len(PANELS), 1, sharex=True)
    for (name, label), ax, colour in zip(PANELS.items(), panels, colours, strict=False):
        ax.plot(ts[shown] / s, np.asarray(sol[name])[shown, 0], color=colour, linewidth=0.9)
        ax.set_title(label, loc="left", fontsize=9)
        ax.spines[["top", "right"]].set_visible(False)
        ax.margins(x=0)
    panels[-1].set_xlabel("Time (s)")
    ax = right.subplots()
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_xlabel("Frequency (Hz)")
    if swept:
        draw_resonance(ax, scenario, sol)
    else:
        eeg = np.asarray(sol["eeg"], float)[ts > TRANSIENT]
        frequency, power = spectrum(eeg)
        inside = (frequency > 0) & (frequency <= 30)
        mean = power[inside].mean(axis=1)
        low, high = np.quantile(power[inside], (0.1, 0.9), axis=1)
        ax.axvspan(*ALPHA, color="0.92", zorder=0)
        ax.text(10, 0.98, "alpha", ha="center", va="top", transform=ax.get_xaxis_transform())
        ax.fill_between(frequency[inside], low, high, color=colours[3], alpha=0.25, linewidth=0)
        ax.semilogy(frequency[inside], mean, color=colours[3])
        peak = frequency[inside][np.argmax(mean)]
        ax.plot(peak, mean.max(), "o", color=colours[3])
        ax.annotate(
            f"{peak:g} Hz", (peak, mean.max()), (8, 2), textcoords="offset points", fontsize=10
        )
        ax.set_ylim(max(low[low > 0].min(), 1e-7 * mean.max()), 4 * mean.max())
        ax.set_xlim(0, 30)
        ax.set_ylabel("Power of the EEG (mV²/Hz)")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def draw_resonance(ax: Any, scenario: Scenario, sol: nmm.Solution) -> None:
    """The resonance curve of the scenario, and for comparison that of a column with less input."""
    quiet = eqx.tree_at(lambda m: m.p, scenario.model, jnp.asarray(80 * Hz))
    other = dataclasses.replace(scenario, model=quiet)
    cases = ((scenario, sol), (other, run(other, jr.key(0), np.shape(sol["eeg"])[1])))
    for (case, outcome), colour in zip(cases, nmm.plot.COLOURS, strict=False):
        frequency, gain = resonance(case, outcome)
        label = f"input {float(case.model.p) / Hz:g} Hz"
        ax.plot(frequency, 1000 * gain, color=colour, linewidth=2.5, alpha=0.6, label=label)
        ax.plot(frequency, 1000 * linear_response(case.model, frequency), "k--", linewidth=0.9)
    ax.plot([], [], "k--", linewidth=0.9, label="linear response")
    ax.set_yscale("log")
    ticks = [10, 20, 50, 100, 200, 500]
    ax.set_yticks(ticks, [str(tick) for tick in ticks])
    ax.set_yticks([], minor=True)
    ax.set_ylim(10, 500)
    ax.set_ylabel("EEG per input rate (µV/Hz)")
    ax.legend(frameon=False, loc="upper left")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--figures", type=Path, default=Path("figures"), help="folder to draw into")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="2 draws of the noise instead of 32")
    args = parser.parse_args(arguments)
    args.figures.mkdir(parents=True, exist_ok=True)
    draws = 2 if args.quick else 32

    header = ("mean (mV)", "SD (mV)", "least (mV)", "largest (mV)", "peak (Hz)", "alpha")
    print(f"EEG after {TRANSIENT / s:g} s; mean over {draws} draws of the noise ± SD between them")
    print(f"{'':36s}" + "  ".join(f"{name:>13s}" for name in header))
    keys = jr.split(jr.key(args.seed), len(scenarios()))
    for key, (number, scenario) in zip(keys, scenarios().items(), strict=True):
        noisy = float(scenario.noise) > 0
        sol = run(scenario, key, draws if noisy else 1)
        print(report(number, scenario.title, measure(sol)))
        draw(number, scenario, sol, args.figures / f"jansen_rit_{number}.png")
    frequency, gain = resonance(scenario, sol)
    best = np.argmax(gain)
    print(f"Resonance at {frequency[best]:.2f} Hz: {1000 * gain[best]:.0f} µV per Hz of input rate")
    print(f"Figures are in {args.figures}/")


if __name__ == "__main__":
    main()
