"""Speed of every model: 100 uncoupled regions against a bare scan of the same vector field.

    python -m benchmarks.models
    python -m benchmarks.models --only Hopf JansenRit

All take Heun steps in float32, HORN semi-implicit ones of Euler, as it is meant and as brainmass
takes them. The bare scan keeps variables within their declared bounds, too. The first two columns
keep the last state alone; in the last three the first state variable of every step is kept, which
of the cheapest models takes as long as their equations. Contenders run by turns in one process
after a first call; each counts with its fastest round, which other work on the machine disturbs
least. Ratios are time per step relative to a bare scan that keeps as much: 1.2 or less is the aim,
and less than 1 does happen, since the compiler fuses either program in its own way. brainmass 0.1.1
takes part where it has the model and is installed, with the same scheme (its "rk2") where the class
lets one choose, and else with its own.
"""

import argparse
import importlib.util
import inspect
import sys
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import nmm
from nmm._declare import declarations

from ._timing import by_turns, first_call, table

REGIONS = 100
# Stiff systems, which no longer step would keep finite.
DT = 0.01
# Of all rounds of a model, about.
SECONDS = 3.0
# Variants that brainmass has as classes, and ours as presets.
VARIANTS = {
    "NoSaturation": "no_saturation",
    "Linear": "linear",
    "Divisive": "divisive_gain",
    "DivisiveInput": "divisive_input",
}


def by_hand(model: Any):
    """One step as one writes it without a library."""
    inputs = model.Inputs()
    bounds = {k: d.bounds for k, d in declarations(model.State).items() if d.bounds}

    def field(y):
        return model.vector_field(0.0, y, inputs)

    def heun(y):
        k1 = field(y)
        k2 = field(jax.tree.map(lambda x, d: x + DT * d, y, k1))
        return jax.tree.map(lambda x, a, b: x + 0.5 * DT * (a + b), y, k1, k2)

    def semi_implicit(y):
        faster = model.State(x=y.x, y=y.y + DT * field(y).y)
        return model.State(x=y.x + DT * field(faster).x, y=faster.y)

    advance = semi_implicit if isinstance(model, nmm.HORN) else heun

    def step(y):
        y = advance(y)
        kept = {k: jnp.clip(getattr(y, k), *limits) for k, limits in bounds.items()}
        return model.State(**{**vars(y), **kept})

    return step


def contenders(model: nmm.AbstractModel, steps: int) -> dict:
    """The same run by `nmm.simulate` and by a scan, which keep the last state or every one."""
    first = next(iter(vars(model.initial_state())))
    solver = nmm.SemiImplicitEuler("y") if isinstance(model, nmm.HORN) else nmm.Heun()
    options = {"shape": (REGIONS,), "solver": solver, "save": [first], "throw": False}

    @eqx.filter_jit
    def ours(model, every):
        return nmm.simulate(model, steps * DT, DT, save_every=every * DT, **options)[first]

    @eqx.filter_jit
    def bare(model, every):
        advance = by_hand(model)

        def step(y, _):
            y = advance(y)
            return y, getattr(y, first) if every == 1 else None

        last, kept = jax.lax.scan(step, model.initial_state((REGIONS,)), length=steps)
        return last if kept is None else kept

    return {
        "bare": lambda: bare(model, steps),
        "nmm": lambda: ours(model, steps),
        "bare, kept": lambda: bare(model, 1),
        "nmm, kept": lambda: ours(model, 1),
    }


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
    scheme = {"method": "rk2"} if "method" in inspect.signature(cls.__init__).parameters else {}
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
    # What takes long needs fewer rounds; brainmass compiles in its second call again.
    once = sum(first_call(run) for run in runs.values())
    rounds = int(np.clip(SECONDS / once, 3, options.rounds))
    best = {name: np.min(values) for name, values in by_turns(runs, rounds).items()}
    row = [title, f"{options.steps / best['bare']:,.0f}", f"{best['nmm'] / best['bare']:.2f}"]
    row += [f"{best['nmm, kept'] / best['bare, kept']:.2f}"]
    if rival is None:
        return [*row, "", ""]
    ratios = (f"{best['brainmass'] / best[name]:.2f}" for name in ("bare, kept", "nmm, kept"))
    return [*row, *ratios]


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
    columns = ["model", "bare, steps/s", "nmm to bare", "every step kept: nmm to bare"]
    columns += ["brainmass to bare", "brainmass to nmm"]
    table(f"{options.steps:,} Heun steps of {REGIONS} uncoupled regions", columns, rows)


if __name__ == "__main__":
    main()
