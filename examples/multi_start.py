"""Many starts against one, on a model with two states: where a gradient alone gets stuck.

    python examples/multi_start.py

The mean field of Montbrió, Pazó and Roxin has a silent and an active state beside each other. A
trace of its rate, in which a pulse of input switches it on, is fitted by three parameters. From a
start at which the pulse does not switch, no small change helps: the gradient leads nowhere.
"""

import argparse
import time
from pathlib import Path

import jax.numpy as jnp
import optax

import fitting
import nmm

FREE = {
    "eta": fitting.Interval(-10.0, 0.0),
    "J": fitting.Interval(5.0, 25.0),
    "Delta": fitting.Interval(0.3, 3.0),
}


def trace(model):
    """The rate over 40 units of time, with a pulse of input from 10 to 20."""

    def stimulus(t):
        return model.Inputs(v_inp=jnp.where((t > 10) & (t < 20), 3.0, 0.0))

    # Every 10th step is kept. Some starts diverge, which must not stop the others.
    options = {"inputs": stimulus, "save": ["r"], "save_every": 0.2, "throw": False}
    return nmm.simulate(model, 40.0, 0.02, **options)["r"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="4 starts, 20 steps")
    parser.add_argument("--figure", type=Path, default=Path("figures/multi_start.png"))
    options = parser.parse_args()
    starts, steps = (4, 20) if options.quick else (16, 300)
    truth = nmm.MontbrioPazoRoxin(Delta=1.0, eta=-5.0, J=15.0)
    recorded = trace(truth)

    def loss(model):
        return fitting.objectives.rmse(trace(model), recorded)

    begin = time.perf_counter()
    start = nmm.MontbrioPazoRoxin(Delta=2.0, eta=-8.0, J=8.0)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.05))
    common = {"optimizer": optimizer, "steps": steps, "progress": False}
    fits = fitting.multi_start(
        loss, start, FREE, starts=starts, prune_every=max(steps // 4, 1), **common
    )
    one = fitting.fit(loss, start, FREE, **common)
    print(fits)
    print(f"\nOne start reaches a loss of {one.best_loss:.4f}, the best of {starts} "
          f"{fits.best.best_loss:.4f}")  # fmt: skip
    for path in FREE:
        found = [float(getattr(model, path)) for model in (truth, one.best, fits.best.best)]
        print(f"  {path:6s} true {found[0]:6.2f}   one start {found[1]:6.2f}   "
              f"multi-start {found[2]:6.2f}")  # fmt: skip
    print(f"Time: {time.perf_counter() - begin:.0f} s")

    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.5), layout="constrained")
    fits.plot(left)
    left.set_yscale("log")
    left.legend().remove()
    for model, name in ((truth, "recorded"), (one.best, "one start"), (fits.best.best, "best")):
        right.plot(trace(model), label=name)
    right.set(xlabel="sample", ylabel="rate r")
    right.legend(frameon=False)
    options.figure.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.figure, dpi=120)


if __name__ == "__main__":
    main()
