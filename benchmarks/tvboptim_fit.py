"""What tvboptim 0.4.0 reaches on the work of the main job, fitted as its authors fit.

    python -m benchmarks.tvboptim_fit            # needs the extra `peers`; ten minutes or more

First its documented workflow: RMSE of FC on 90 s of one noise; G and one `w` by 100 steps of
Adam, then one `w` a region by 100 more. Then the same two steps with the loss of
`examples/fit_bold_fc.py`, on its weights, from where its sweep ends, with new noise in every step;
for the regional fit 300 simulated minutes, where that example, which begins in closed form,
simulates 160. Both are judged as there: 20 simulated minutes of noise that no fit saw, single runs,
mean and SD over 5 seeds.
"""

import argparse
import copy
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import fitting
import nmm

from .peers import AVAILABLE

DT = 4.0
SWEPT = 0.3  # The coupling at which the main job begins, from its sweep.
MEASURES = ("correlation", "concordance", "rmse")


class Work:
    """tvboptim's reduced Wong–Wang network with BOLD."""

    def __init__(
        self,
        weights: np.ndarray,
        period: float,
        skip: int,
        sigma: float,
        *,
        G: float,
        w: float,
        I_o: float,
    ):
        self.weights, self.period, self.skip = jnp.asarray(weights), period, skip
        self.sigma, self.G, self.node = sigma, G, {"w": w, "I_o": I_o}

    def prepare(self, t1: float) -> tuple[Any, Any]:
        """FC of a run, as a function of its configuration, and the configuration."""
        from tvboptim.experimental.network_dynamics import Network, prepare
        from tvboptim.experimental.network_dynamics.coupling import LinearCoupling
        from tvboptim.experimental.network_dynamics.dynamics.tvb import ReducedWongWang
        from tvboptim.experimental.network_dynamics.graph import DenseGraph
        from tvboptim.experimental.network_dynamics.noise import AdditiveNoise
        from tvboptim.experimental.network_dynamics.solvers import Heun
        from tvboptim.observations.observation import compute_fc
        from tvboptim.observations.tvb_monitors import Bold

        network = Network(
            dynamics=ReducedWongWang(**self.node, INITIAL_STATE=(0.3,)),
            coupling={"instant": LinearCoupling(incoming_states=["S"], G=self.G)},
            graph=DenseGraph(self.weights),
            noise=AdditiveNoise(sigma=self.sigma, apply_to="S"),
        )
        # A run before gives the haemodynamics their history, as the documentation does.
        model, config = prepare(network, Heun(), t1=t1, dt=DT)
        history = model(config)
        network.update_history(history)
        model, config = prepare(network, Heun(), t1=t1, dt=DT)
        bold = Bold(period=self.period, downsample_period=DT, voi=0, history=history)
        return lambda config: compute_fc(bold(model(config)), skip_t=self.skip), config

    def judge(self, config: Any, target: np.ndarray, minutes: float, seeds: int) -> dict[str, Any]:
        """Agreement with `target` on new noise."""
        fc, fresh = self.prepare(minutes * nmm.units.minute + self.skip * self.period)
        fresh = copy.deepcopy(fresh)
        fresh.dynamics.w, fresh.coupling.instant.G = (
            value(config.dynamics.w),
            value(config.coupling.instant.G),
        )
        fc = jax.jit(fc)
        found: dict[str, Any] = {name: [] for name in (*MEASURES, "mean FC")}
        for key in jax.random.split(jax.random.key(2**31), seeds):
            fresh.noise.key = jax.random.key_data(key) if legacy(fresh.noise.key) else key
            simulated = fc(fresh)
            for name in MEASURES:
                measure = getattr(fitting.objectives, f"fc_{name}")
                found[name].append(float(measure(simulated, target, simulated_is="fc")))
            found["mean FC"].append(float(jnp.mean(nmm.analysis.upper_triangle(simulated))))
        return found


def value(parameter: Any) -> Any:
    """The array in a parameter that is free, or the array itself."""
    return jnp.asarray(getattr(parameter, "value", parameter))


def legacy(key: Any) -> bool:
    """Whether a key is an array of integers."""
    return not jnp.issubdtype(key.dtype, jax.dtypes.prng_key)


def new_noise(step: int, free: Any, fixed: Any, *_: Any) -> tuple[bool, Any, Any]:
    """A callback of tvboptim's optimiser: the next step sees another noise."""
    del step
    fixed.noise.key = jax.random.split(fixed.noise.key)[0]
    return False, free, fixed


def optimise(loss: Any, config: Any, optimizer: Any, steps: int, fresh: bool = False) -> Any:
    from tvboptim.optim import OptaxOptimizer

    callback = new_noise if fresh else None
    return OptaxOptimizer(loss, optimizer, callback=callback).run(config, max_steps=steps)[0]


def free_all(config: Any) -> Any:
    from tvboptim.types import Parameter

    config.coupling.instant.G = Parameter(value(config.coupling.instant.G))
    config.dynamics.w = Parameter(value(config.dynamics.w))
    return config


def documented(target: np.ndarray, steps: int) -> tuple[Work, dict[str, Any]]:
    raw = nmm.datasets.load_connectome("dk84", scaling="raw").weights
    weights = np.asarray(raw / raw.max())
    work = Work(weights, period=1000.0, skip=20, sigma=0.00283, G=0.15, w=0.3, I_o=0.32)
    fc, config = work.prepare(90_000.0)

    def loss(config: Any) -> Any:
        return jnp.sqrt(jnp.mean((fc(config) - target) ** 2))

    found = {"global fit": optimise(loss, free_all(config), optax.adam(0.01), steps)}
    regional = copy.deepcopy(found["global fit"])
    regional.dynamics.w.shape = (len(target),)
    regional.coupling.instant.G = value(regional.coupling.instant.G)
    found["regional fit"] = optimise(loss, regional, optax.adam(0.005), steps)
    return work, found


def ours(target: np.ndarray, stages: list[tuple[int, float]], steps: int) -> tuple[Work, Any]:
    conn = nmm.datasets.load_connectome("dk84", scaling="raw").log().scale("spectral_radius")
    skip = 60
    node = nmm.ReducedWongWang()
    start = {"G": SWEPT, "w": float(node.w), "I_o": float(node.I_o)}
    work = Work(np.asarray(conn.weights), period=720.0, skip=skip, sigma=0.003, **start)

    def fit(config: Any, minutes: float, optimizer: Any, steps: int) -> Any:
        fc, start = work.prepare(720.0 * (skip + round(minutes * nmm.units.minute / 720.0)))
        start = free_all(copy.deepcopy(start))
        if config is not None:
            start.coupling.instant.G, start.dynamics.w = (
                config.coupling.instant.G,
                config.dynamics.w,
            )

        def loss(config: Any) -> Any:
            simulated = fc(config)
            return 1 - fitting.objectives.fc_concordance(simulated, target, simulated_is="fc")

        return optimise(loss, start, optimizer, steps, fresh=True)

    config = fit(None, 3.0, optax.adam(0.01), steps)
    found = {"global fit": config}
    config = copy.deepcopy(config)
    config.dynamics.w.shape = (len(target),)
    for steps, minutes in stages:
        config = fit(config, minutes, optax.adam(0.005), steps)
    found["regional fit"] = config
    return work, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a few steps, to see that it runs")
    parser.add_argument("--only", choices=["documented", "ours"], nargs="*")
    options = parser.parse_args()
    if not AVAILABLE:
        raise SystemExit("tvboptim is not installed: pip install 'nmm[peers]' (Python 3.12).")
    target = np.asarray(nmm.datasets.load_functional("dk84").fc)
    few = options.quick
    stages = [(2, 0.5)] if few else [(60, 2.0), (20, 4.0), (10, 10.0)]
    columns = (*MEASURES, "mean FC")
    print("| tvboptim 0.4.0 | " + " | ".join(columns) + " | time of both fits |")
    print("|---" * (len(columns) + 2) + "|")
    for name, run, arguments in (
        ("documented workflow", documented, (2 if few else 100,)),
        ("loss of the main job", ours, (stages, 2 if few else 40)),
    ):
        if run.__name__ not in (options.only or [run.__name__]):
            continue
        # Its documentation computes in float64; the second row, like the main job, in float32.
        with jax.enable_x64(run is documented):
            begin = time.perf_counter()
            work, found = run(target, *arguments)
            taken = time.perf_counter() - begin
            for step, config in found.items():
                row = work.judge(config, target, 1.0 if few else 20.0, 2 if few else 5)
                cells = [f"{np.mean(row[c]):.3f} ± {np.std(row[c]):.3f}" for c in columns]
                print(
                    f"| {name}, {step} | " + " | ".join(cells) + f" | {taken:.0f} s |", flush=True
                )


if __name__ == "__main__":
    main()
