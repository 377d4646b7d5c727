"""What tvboptim 0.4.0 reaches on the work of the main job, fitted as its authors fit.

    python -m benchmarks.tvboptim_fit                      # needs the extra `peers`; 10 minutes
    python -m benchmarks.tvboptim_fit --data schaefer100   # fitted to the training group

First its documented workflow: RMSE of FC on 90 s of one noise; G and one `w` by 100 steps of
Adam, then one `w` a region by 100 more. Then the loss of `examples/fit_bold_fc.py`, rates included,
on its weights, from where its sweep ends, with new noise in every step: the same two steps with the
same free parameters and as many simulated minutes; and the regional fit again, from the same global
one, for as long as that of the example takes, which is run beside it. That time is the processor's,
with compilation, so that it means the same on a busy machine. All are judged as there: 20 simulated
minutes of noise that no fit saw, single runs, mean and SD over 5 seeds.
"""

import argparse
import copy
import time
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import fitting
import nmm
from examples import fit_bold_fc as main_job

from .peers import AVAILABLE

DT = 4.0
MEASURES = ("correlation", "concordance", "rmse")
COLUMNS = (*MEASURES, "mean FC", "lowest rate, Hz", "highest rate, Hz")

Groups = dict[str, np.ndarray]
"""Empirical FC by group; the first is fitted."""


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
        """FC and rates of a run, as a function of its configuration, and the configuration."""
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

        def run(config: Any) -> tuple[Any, Any]:
            solution = model(config)
            return compute_fc(bold(solution), skip_t=self.skip), self.rates(config, solution.ys)

        return run, config

    def rates(self, config: Any, series: Any) -> Any:
        """Mean rate of each region in Hz, from its S every 100 ms after the transient."""
        S = series[round(self.skip * self.period / DT) :: round(100 / DT), 0]
        node = config.dynamics
        heard = value(config.coupling.instant.G) * S @ self.weights.T
        x = node.a * (node.J_N * (value(node.w) * S + heard) + node.I_o) - node.b
        return 1000 * jnp.mean(x / (1 - jnp.exp(-node.d * x)), axis=0)

    def judge(self, config: Any, targets: Groups, minutes: float, seeds: int) -> dict[str, Any]:
        """Agreement with each group on new noise."""
        run, fresh = self.prepare(minutes * nmm.units.minute + self.skip * self.period)
        fresh = copy.deepcopy(fresh)
        fresh.dynamics.w, fresh.coupling.instant.G = (
            value(config.dynamics.w),
            value(config.coupling.instant.G),
        )
        run = jax.jit(run)
        found: dict[str, Any] = {group: {name: [] for name in COLUMNS} for group in targets}
        for key in jax.random.split(jax.random.key(2**31), seeds):
            fresh.noise.key = jax.random.key_data(key) if legacy(fresh.noise.key) else key
            simulated, rates = run(fresh)
            for group, target in targets.items():
                row = found[group]
                for name in MEASURES:
                    measure = getattr(fitting.objectives, f"fc_{name}")
                    row[name].append(float(measure(simulated, target, simulated_is="fc")))
                row["mean FC"].append(float(jnp.mean(nmm.analysis.upper_triangle(simulated))))
                row["lowest rate, Hz"].append(float(jnp.min(rates)))
                row["highest rate, Hz"].append(float(jnp.max(rates)))
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


def optimise(
    loss: Any, config: Any, optimizer: Any, steps: int, *, fresh: bool = False, limit: float = 1e9
) -> tuple[Any, int]:
    """What tvboptim's optimiser reaches in so many steps or seconds, and how many steps it took."""
    from tvboptim.optim import OptaxOptimizer

    begin, taken = time.process_time(), 0

    def after(step: int, free: Any, fixed: Any, *rest: Any) -> tuple[bool, Any, Any]:
        nonlocal taken
        taken = step + 1
        stop, free, fixed = new_noise(step, free, fixed) if fresh else (False, free, fixed)
        return stop or time.process_time() - begin > limit, free, fixed

    fitted, _ = OptaxOptimizer(loss, optimizer, callback=after).run(config, max_steps=steps)
    return fitted, taken


def free_all(config: Any) -> Any:
    from tvboptim.types import Parameter

    config.coupling.instant.G = Parameter(value(config.coupling.instant.G))
    config.dynamics.w = Parameter(value(config.dynamics.w))
    return config


def documented(
    raw: np.ndarray, target: np.ndarray, steps: int
) -> Iterator[tuple[str, Work, Any, Any]]:
    weights = raw / raw.max()
    work = Work(weights, period=1000.0, skip=20, sigma=0.00283, G=0.15, w=0.3, I_o=0.32)
    run, config = work.prepare(90_000.0)

    def loss(config: Any) -> Any:
        return jnp.sqrt(jnp.mean((run(config)[0] - target) ** 2))

    common, taken = optimise(loss, free_all(config), optax.adam(0.01), steps)
    yield "documented workflow, global fit", work, common, taken
    regional = copy.deepcopy(common)
    regional.dynamics.w.shape = (len(target),)
    regional.coupling.instant.G = value(regional.coupling.instant.G)
    regional, taken = optimise(loss, regional, optax.adam(0.005), steps)
    yield "documented workflow, regional fit", work, regional, taken


def ours(
    swept: nmm.Network, target: np.ndarray, effort: main_job.Effort, limit: float
) -> Iterator[tuple[str, Work, Any, Any]]:
    skip = 60
    start = {"G": float(swept.coupling.G), "w": float(swept.node.w), "I_o": float(swept.node.I_o)}
    weights = np.asarray(swept.connectome.weights)
    work = Work(weights, period=720.0, skip=skip, sigma=0.003, **start)

    def fit(config: Any, minutes: float, rate: float, steps: int, limit: float = 1e9) -> Any:
        run, start = work.prepare(720.0 * (skip + round(minutes * nmm.units.minute / 720.0)))
        start = free_all(copy.deepcopy(start))
        if config is not None:
            start.coupling.instant.G, start.dynamics.w = (
                config.coupling.instant.G,
                config.dynamics.w,
            )

        def loss(config: Any) -> Any:
            simulated, rates = run(config)
            fc = fitting.objectives.fc_concordance(simulated, target, simulated_is="fc")
            penalty = fitting.objectives.rate_penalty(rates, *main_job.RATES)
            return 1 - fc + main_job.STIFF * penalty

        return optimise(loss, start, optax.adam(rate), steps, fresh=True, limit=limit)

    common, taken = fit(None, effort.minutes, 0.01, effort.global_steps)
    yield "loss of the main job, global fit", work, common, taken
    common.dynamics.w.shape = (len(target),)
    arguments = effort.regional_minutes, 0.005
    regional, taken = fit(copy.deepcopy(common), *arguments, effort.regional_steps)
    yield "the same, regional fit, as many simulated minutes", work, regional, taken
    regional, taken = fit(copy.deepcopy(common), *arguments, 10_000, limit)
    yield "the same, regional fit, as much time", work, regional, taken


def main_job_fit(
    swept: nmm.Network, target: np.ndarray, effort: main_job.Effort
) -> tuple[Any, float]:
    """The first regional fit of the main job, from its sweep on, and the time of the processor."""
    begin = time.process_time()
    weights, values = np.asarray(swept.connectome.weights), main_job.values_of(swept)
    _, values, _ = main_job.regional_fit(weights, values, target, effort, start=0)
    return main_job.with_values(swept, values), time.process_time() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a few steps, to see that it runs")
    parser.add_argument("--data", choices=["dk84", "schaefer100"], default="dk84")
    parser.add_argument("--only", choices=["documented", "ours"], nargs="*")
    options = parser.parse_args()
    if not AVAILABLE:
        raise SystemExit("tvboptim is not installed: pip install 'nmm[peers]' (Python 3.12).")
    raw = nmm.datasets.load_connectome(options.data, scaling="raw")
    groups = {"all": None} if options.data == "dk84" else {"train": "train", "test": "test"}
    targets = {
        name: np.asarray(nmm.datasets.load_functional(options.data, group=group).fc)
        for name, group in groups.items()
    }
    target = next(iter(targets.values()))
    effort = main_job.QUICK if options.quick else main_job.Effort()
    head = ["tvboptim 0.4.0", "group", *COLUMNS, "steps", "time of the processor, s"]
    print("| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|")

    def show(name: str, rows: dict[str, Any], steps: int, taken: float) -> None:
        for group, row in rows.items():
            cells = [f"{np.mean(row[c]):.3f} ± {np.std(row[c]):.3f}" for c in COLUMNS]
            print(f"| {name} | {group} | {' | '.join(cells)} | {steps} | {taken:.0f} |", flush=True)

    def show_all(rows: Iterator[tuple[str, Work, Any, Any]]) -> None:
        begin = time.process_time()
        for name, work, config, steps in rows:
            taken = time.process_time() - begin
            show(name, work.judge(config, targets, effort.test_minutes, effort.seeds), steps, taken)
            begin = time.process_time()

    # Its documentation computes in float64; the other rows, like the main job, in float32.
    if "documented" in (options.only or ["documented"]):
        with jax.enable_x64(True):
            show_all(documented(np.asarray(raw.weights), target, 2 if options.quick else 100))
    if "ours" in (options.only or ["ours"]):
        start = main_job.network(raw.log().scale("spectral_radius"))
        swept = main_job.sweep(start, target, effort)
        net, taken = main_job_fit(swept, target, effort)
        judged, _ = main_job.judge(net, list(targets.values()), effort)
        rows = {}
        for group, row in zip(targets, judged, strict=True):
            low, high = row.pop("rates")
            rows[group] = row | {"rmse": row["RMSE"]}
            rows[group] |= {"lowest rate, Hz": [low], "highest rate, Hz": [high]}
        show("the main job itself, regional fit", rows, effort.regional_steps, taken)
        show_all(ours(swept, target, effort, taken))


if __name__ == "__main__":
    main()
