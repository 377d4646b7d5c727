"""Speed of every model: 100 uncoupled regions against a bare scan of the same vector field.

    python -m benchmarks.models
    python -m benchmarks.models --only Hopf JansenRit

All take Heun steps in float32 and keep the first state variable of every step. Contenders run by
turns in one process after a first call; each counts with its fastest round, which other work on the
machine disturbs least. Ratios are time per step relative to the bare scan: 1.2 or less is the aim,
and less than 1 does happen, since the compiler fuses either program in its own way. brainmass 0.1.1
takes part where it has the model and is installed, with the same scheme (its "rk2") where the class
lets one choose, and else with its own.
"""

import argparse
import importlib.util
import inspect
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import nmm

from ._timing import by_turns, first_call, table

REGIONS = 100
# Stiff systems, which no longer step would keep finite.
DT = 0.01
# Variants that brainmass has as classes, and ours as presets.
VARIANTS = {
    "NoSaturation": "no_saturation",
    "Linear": "linear",
    "Divisive": "divisive_gain",
    "DivisiveInput": "divisive_input",
}


def contenders(model: nmm.AbstractModel, steps: int) -> dict:
    """The same run by `nmm.simulate` and by a scan written by hand."""
    first = next(iter(vars(model.initial_state())))
    inputs = model.Inputs()

    @eqx.filter_jit
    def ours(model):
        run = nmm.simulate(model, steps * DT, DT, shape=(REGIONS,), save=[first], throw=False)
        return run[first]

    @eqx.filter_jit
    def bare(model):
        def step(y, _):
            k1 = model.vector_field(0.0, y, inputs)
            k2 = model.vector_field(0.0, jax.tree.map(lambda x, d: x + DT * d, y, k1), inputs)
            y = jax.tree.map(lambda x, a, b: x + 0.5 * DT * (a + b), y, k1, k2)
            return y, getattr(y, first)

        return jax.lax.scan(step, model.initial_state((REGIONS,)), length=steps)[1]

    return {"bare": lambda: bare(model), "nmm": lambda: ours(model)}


def brainmass_run(name: str, steps: int):
    """The same work in brainmass; `None` if it has no such model."""
    if importlib.util.find_spec("brainmass") is None:
        return None
    import brainmass
    import brainstate
    import brainunit as u

    cls = getattr(brainmass, f"{name}Step", None)
    if cls is None:
        return None
    scheme = {"method": "rk2"} if "method" in inspect.signature(cls).parameters else {}
    model = cls(REGIONS, **scheme)
    brainstate.nn.init_all_states(model)
    # HORN alone cannot go without an input.
    inputs = (jnp.zeros(REGIONS),) if name == "HORN" else ()

    @brainstate.transform.jit
    def run():
        with brainstate.environ.context(dt=DT * u.ms):
            return brainstate.transform.for_loop(lambda i: model.update(*inputs), jnp.arange(steps))

    return run


def compare(title: str, model: nmm.AbstractModel, theirs: str, options) -> list[str]:
    """A row of the table."""
    runs = contenders(model, options.steps)
    rival = brainmass_run(theirs, options.steps)
    if rival is not None:
        runs["brainmass"] = rival
    for run in runs.values():
        first_call(run)
    best = {name: np.min(values) for name, values in by_turns(runs, options.rounds).items()}
    row = [title, f"{options.steps / best['bare']:,.0f}"]
    for name in ("nmm", "brainmass"):
        if name in best:
            row += [f"{options.steps / best[name]:,.0f}", f"{best[name] / best['bare']:.2f}"]
        else:
            row += ["", ""]
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--only", nargs="*", help="names of models; all by default")
    options = parser.parse_args()
    print(f"Python {sys.version.split()[0]}, jax {jax.__version__}, {jax.devices()[0].platform}")
    rows = []
    for entry in nmm.list_models():
        if options.only and entry.name not in options.only:
            continue
        rows.append(compare(entry.name, getattr(nmm, entry.name)(), entry.name, options))
        print(*rows[-1], sep="  ", file=sys.stderr, flush=True)
        for theirs, preset in VARIANTS.items() if entry.name == "WilsonCowan" else ():
            model = nmm.WilsonCowan.preset(preset)
            rows.append(compare(f"WilsonCowan, {preset}", model, f"WilsonCowan{theirs}", options))
    columns = ["model", "bare, steps/s", "nmm, steps/s", "nmm to bare"]
    columns += ["brainmass, steps/s", "brainmass to bare"]
    table(f"{options.steps:,} Heun steps of {REGIONS} uncoupled regions", columns, rows)


if __name__ == "__main__":
    main()
