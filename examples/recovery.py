"""Recovers parameters, drawn at random, from the spectra of noisy recordings: one family a row.

    python examples/recovery.py           # 20 draws of each family
    python examples/recovery.py --quick   # 2 of one

Each draw takes parameters at random, simulates a recording with them, and fits them to its power
spectra by Whittle's likelihood in closed form, from the middle of their ranges. The table has, for
each parameter, its range, how true and fitted values correlate, the median of their relative
error, how many draws are within 5 %, and how large errors are (by their median) beside the
standard error that each fit states by itself: 1 if that is right.

Noise is small, since the spectra are those of the linearised model: with noise as strong as in
whole-brain studies the mean state of the Wong–Wang models moves, and what is found moves with it.

An error of more than 5 % is no failure of a fit where the recording does not tell more: that is
what the standard error says.
"""

import argparse
import dataclasses
import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

import fitting
import nmm

# The first comes near, the second to the end.
OPTIMIZERS = (optax.adam(0.1), optax.lbfgs())


@dataclasses.dataclass(frozen=True)
class Family:
    """A network whose parameters are drawn at random, and how it is recorded.

    **Attributes:**

    - `net`: the network. What is free in it should be within its range, since the search for
        fixed points begins where it rests; otherwise it does not matter.
    - `free`: the ranges of parameters, by path.
    - `signal`: what is recorded, every `period` ms: far more often than the band asks for, since
        what is faster folds into it.
    - `dt`: of the simulation, ms.
    - `minutes`: of the recording.
    - `segment`: of Welch's method, ms.
    - `band`: the frequencies that are fitted, Hz.
    """

    net: nmm.Network
    free: dict[str, tuple[float, float]]
    signal: str
    dt: float
    period: float
    minutes: float
    segment: float
    band: tuple[float, float]


def alone(model, **sigma):
    """One region."""
    return nmm.Network(model, jnp.zeros((1, 1)), noise=nmm.noise.White(**sigma))


def some_regions():
    """Eight coupled regions of a connectome."""
    conn = nmm.datasets.load_connectome("dk84").subset(range(8)).scale("spectral_radius")
    return nmm.Network(
        nmm.ReducedWongWang(), conn, nmm.coupling.Linear(G=0.15), noise=nmm.noise.White(S=5e-4)
    )


FAMILIES = {
    "Hopf": Family(
        alone(nmm.Hopf(a=-0.01, w=0.06), x=5e-4),
        {"node.a": (-0.02, -0.004), "node.w": (0.04, 0.09), "noise.sigma.x": (2e-4, 1e-3)},
        "x", 0.5, 1.0, 4.0, 4000.0, (1.0, 40.0),
    ),
    "FitzHughNagumo": Family(
        alone(nmm.FitzHughNagumo(I=0.4), V=0.001),
        {"node.tau": (15.0, 25.0), "node.I": (0.2, 0.5), "noise.sigma.V": (5e-4, 2e-3)},
        "V", 0.1, 0.5, 2.0, 500.0, (2.0, 100.0),
    ),
    "Generic2dOscillator": Family(
        alone(nmm.Generic2dOscillator(), V=0.001),
        {"node.tau": (0.8, 1.3), "node.d": (0.015, 0.025), "noise.sigma.V": (5e-4, 2e-3)},
        "V", 0.25, 0.5, 4.0, 2000.0, (1.0, 60.0),
    ),
    "MontbrioPazoRoxin": Family(
        alone(nmm.MontbrioPazoRoxin(tau=20.0, eta=1.0), v=2e-4),
        {"node.eta": (0.5, 2.0), "node.Delta": (0.7, 1.4), "noise.sigma.v": (1e-4, 4e-4)},
        "v", 0.1, 0.5, 4.0, 4000.0, (20.0, 100.0),
    ),
    "JansenRit": Family(
        alone(nmm.JansenRit(p=600 * nmm.units.Hz), Ev=0.003),
        {"node.be": (0.09, 0.11), "node.bi": (0.045, 0.055), "noise.sigma.Ev": (1e-3, 5e-3)},
        "eeg", 0.5, 2.0, 4.0, 2000.0, (2.0, 40.0),
    ),
    "CanonicalMicrocircuit": Family(
        alone(nmm.models.CanonicalMicrocircuit(), I_ss=0.001),
        {"node.T_ii": (12.0, 20.0), "node.T_sp": (1.6, 2.4), "noise.sigma.I_ss": (5e-4, 2e-3)},
        "V_sp", 0.25, 1.0, 2.0, 500.0, (2.0, 80.0),
    ),
    "WilsonCowan": Family(
        alone(nmm.WilsonCowan.preset("limit_cycle", P=3.1), rE=2e-4),
        {"node.P": (2.8, 3.4), "node.tau_I": (7.2, 8.4), "noise.sigma.rE": (1e-4, 5e-4)},
        "rE", 0.1, 0.5, 2.0, 2000.0, (2.0, 150.0),
    ),
    "LarterBreakspear": Family(
        alone(nmm.LarterBreakspear.preset("fixed_point", d_V=0.525), V=2e-4),
        {"node.d_V": (0.5, 0.55), "node.t_scale": (0.8, 1.2), "noise.sigma.V": (1e-4, 5e-4)},
        "V", 0.05, 0.25, 2.0, 2000.0, (5.0, 300.0),
    ),
    "MorrisLecar": Family(
        alone(nmm.MorrisLecar(I=170.0), V=0.05),
        {"node.I": (120.0, 220.0), "node.C": (16.0, 24.0), "noise.sigma.V": (0.02, 0.1)},
        "V", 0.1, 0.5, 2.0, 2000.0, (2.0, 100.0),
    ),
    "CoombesByrne": Family(
        alone(nmm.CoombesByrne(eta=3.0), v=5e-3),
        {"node.eta": (2.0, 4.0), "node.Delta": (0.7, 1.4), "noise.sigma.v": (2e-3, 1e-2)},
        "r", 0.02, 0.1, 1.0, 100.0, (20.0, 1500.0),
    ),
    "ZetterbergJansen": Family(
        alone(nmm.ZetterbergJansen(), y2=0.003),
        {"node.ke": (0.09, 0.11), "node.ki": (0.045, 0.055), "noise.sigma.y2": (1e-3, 5e-3)},
        "v6", 0.5, 2.0, 4.0, 2000.0, (2.0, 40.0),
    ),
    "ZerlautAdaptationFirstOrder": Family(
        alone(nmm.ZerlautAdaptationFirstOrder.preset("asynchronous"), ou_drift=5e-6),
        {"node.b_e": (40.0, 80.0), "node.T": (15.0, 25.0), "noise.sigma.ou_drift": (2e-6, 1e-5)},
        "E", 0.5, 1.0, 10.0, 10_000.0, (0.2, 100.0),
    ),
    "Epileptor": Family(
        alone(nmm.Epileptor(x0=-2.3), y1=0.05, x2=0.005),
        {"node.x0": (-2.5, -2.2), "noise.sigma.y1": (0.02, 0.1), "noise.sigma.x2": (2e-3, 1e-2)},
        "lfp", 0.02, 0.1, 1.0, 2000.0, (2.0, 500.0),
    ),
    "Linear": Family(
        alone(nmm.Linear(gamma=-0.1), x=1e-3),
        {"node.gamma": (-0.15, -0.05), "noise.sigma.x": (5e-4, 2e-3)},
        "x", 0.25, 0.25, 2.0, 2000.0, (1.0, 100.0),
    ),
    "ReducedWongWang": Family(
        alone(nmm.ReducedWongWang(), S=5e-4),
        {"node.w": (0.45, 0.65), "noise.sigma.S": (2e-4, 1e-3)},
        "S", 2.0, 2.0, 20.0, 10_000.0, (0.1, 10.0),
    ),
    "WongWangExcInh": Family(
        alone(nmm.WongWangExcInh(), S_e=1e-3),
        {"node.w_p": (1.2, 1.5), "noise.sigma.S_e": (5e-4, 2e-3)},
        "S_e", 1.0, 2.0, 20.0, 10_000.0, (0.1, 20.0),
    ),
    "network of 8 ReducedWongWang": Family(
        some_regions(),
        {"coupling.G": (0.1, 0.25), "node.w": (0.5, 0.62), "noise.sigma.S": (2e-4, 1e-3)},
        "S", 2.0, 2.0, 20.0, 10_000.0, (0.1, 10.0),
    ),
}  # fmt: skip


def spectrum(family, net, key):
    """Frequencies and power of a recording."""
    transient = 5 * family.segment
    sol = nmm.simulate(
        net, transient + family.minutes * nmm.units.minute, family.dt, key=key, transient=transient,
        save=[family.signal], save_every=family.period, throw=False,
    )  # fmt: skip
    hertz, power = nmm.analysis.power_spectrum(
        sol[family.signal], family.period, segment=family.segment
    )
    return {"hertz": hertz, "power": power}


def resting(family):
    """Where the network of a family settles without noise; near it rest all that are drawn."""
    quiet = eqx.tree_at(lambda net: net.noise, family.net, None)
    return nmm.simulate(quiet, 5 * family.segment, family.dt, save=[]).y1


class Loss(eqx.Module):
    """The negative log-likelihood of power spectra; `guess` is near the fixed point."""

    hertz: Array
    power: Array
    signal: str = eqx.field(static=True)
    segments: float = eqx.field(static=True)
    guess: nmm.State

    def __call__(self, net):
        response = nmm.analysis.linear_response(
            net, save=[self.signal], guess=self.guess, throw=False
        )
        spectrum = response.spectrum(self.hertz)
        return fitting.objectives.whittle(spectrum, self.power, self.segments)


def recover(family, draws, steps):
    """By path: the true and the fitted values, and the standard errors."""
    ends = family.free.items()
    values = fitting.draw(family.net, {p: fitting.Interval(*e) for p, e in ends}, draws)
    # A fit may look beyond the range of the draws.
    free = {p: fitting.Interval(1.3 * a - 0.3 * b, 1.3 * b - 0.3 * a) for p, (a, b) in ends}
    keys = jax.random.split(jax.random.key(0), draws)
    recordings = fitting.sweep(
        functools.partial(spectrum, family), family.net, values | {"key": keys},
        mode="zip", chunk=1, progress=False,
    ).values  # fmt: skip
    hertz = recordings["hertz"][0]
    inside = (hertz >= family.band[0]) & (hertz <= family.band[1])
    # Windows that overlap by half are worth 0.95 / 2 of as many independent ones.
    segments = 0.95 * family.minutes * nmm.units.minute / family.segment
    guess = resting(family)
    fits = []
    for power in recordings["power"]:
        loss = Loss(hertz[inside], power[inside], family.signal, segments, guess)
        net = family.net
        for optimizer in OPTIMIZERS:
            fit = fitting.fit(loss, net, free, optimizer=optimizer, steps=steps, progress=False)
            net = fit.best
        fits.append(fitting.uncertainty(loss, eqx.tree_at(lambda f: f.model, fit, fit.best)))
    return {
        path: (
            true,
            np.array([float(fit.values[path]) for fit in fits]),
            np.array([float(fit.standard_errors[path]) for fit in fits]),
        )
        for path, true in values.items()
    }


def main():
    jax.config.update("jax_enable_x64", True)  # the curvature of a likelihood needs the digits
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a demonstration")
    parser.add_argument("--only", nargs="*", default=list(FAMILIES), choices=FAMILIES)
    options = parser.parse_args()
    draws, steps = (2, 10) if options.quick else (20, 40)
    names = ["JansenRit"] if options.quick else options.only
    columns = "| family | parameter | range | r | median error | within 5 % | errors / stated |"
    print(f"{columns}\n{'|---' * 7}|")
    for name in names:
        for path, (true, found, stated) in recover(FAMILIES[name], draws, steps).items():
            error = np.abs(found / true - 1)
            low, high = FAMILIES[name].free[path]
            print(
                f"| {name} | {path} | {low:g} to {high:g} | {np.corrcoef(true, found)[0, 1]:.3f} | "
                f"{100 * np.median(error):.1f} % | {np.sum(error < 0.05)} of {draws} | "
                f"{np.median(np.abs(found - true) / stated) / 0.6745:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
