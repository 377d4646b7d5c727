"""Speed of fits and sweeps on dk84, against tvboptim 0.4.0, by turns in one process.

    python -m benchmarks.fitting

An optimisation step is a value, its gradient and an update of Adam, compiled as one; the loss is
the root mean squared difference of BOLD-FC over one simulated minute. tvboptim takes part where it
is installed (extra `peers`); its optimiser goes in reverse mode unless told otherwise, ours in the
mode that is faster. A sweep uses all cores as devices, on either side.
"""

import argparse
import os
import sys

import equinox as eqx
import jax

if __name__ == "__main__":
    jax.config.update("jax_num_cpu_devices", os.cpu_count())

import jax.numpy as jnp
import numpy as np
import optax

import fitting
from fitting._parameters import free_parameters
from fitting._side_by_side import SideBySide
from fitting._training import Training

from . import bare, peers
from ._timing import by_turns, first_call, ratio, table
from .speed import FC, HELD, KEY, NETWORK, WEIGHTS, WHITE, ours_bold_fc, states

FREE = {"G": ("coupling.G", 0.2), "w": ("node.w", np.full(84, 0.6))}


def our_training(free, held=False):
    path, start = FREE[free]
    where = (lambda net: net.coupling.G) if free == "G" else (lambda net: net.node.w)
    net = eqx.tree_at(where, HELD if held else NETWORK, jnp.asarray(start, jnp.float32))
    parameters = free_parameters(net, {path: fitting.Interval(0.0, 1.0)})
    value = ours_bold_fc(free, held)
    mode = "forward" if free == "G" else "reverse"
    return Training(lambda net, key: value(where(net)), parameters, optax.adam(0.01), False, mode)


def step_of(loss, forward):
    """A step of Adam on any loss of plain values."""
    optimizer = optax.adam(0.01)

    def step(x):
        if forward:
            value, gradient = jax.jvp(loss, (x,), (jnp.ones_like(x),))
        else:
            value, gradient = jax.value_and_grad(loss)(x)
        updates, _ = optimizer.update(gradient, optimizer.init(x), x)
        return value, optax.apply_updates(x, updates)

    return jax.jit(step)


def steps(rounds):
    for free, (_, start) in FREE.items():
        for held, how in ((False, "at every stage"), (True, "held over the step")):
            training = our_training(free, held)
            x, state = training.init()
            step = jax.jit(
                lambda x, training=training, state=state: training.step(x, state, KEY, 0)[0]
            )
            runs = {"nmm": lambda x=x, step=step: step(x)}
            if peers.AVAILABLE:
                rival = peers.TVBOptim(WEIGHTS, noise=True, per_stage=not held)
                loss = rival.bold_fc_loss(60_000.0, FC, free)
                at = jnp.asarray(start, jnp.float32)
                if free == "G":
                    forward = step_of(loss, True)
                    runs["tvboptim, forward"] = lambda step=forward, at=at: step(at)
                reverse = step_of(loss, False)  # its default
                runs["tvboptim"] = lambda step=reverse, at=at: step(at)
            title = f"A step of a BOLD-FC fit, {np.size(start)} free, coupling {how}"
            _show(title, runs, rounds)


def multi_start(rounds):
    training = our_training("w")
    x, state = training.init()
    eight = jax.tree.map(lambda leaf: np.stack([leaf] * 8), x)
    spread = SideBySide(training, eight, KEY)
    start = spread.init()
    many = jax.tree.map(lambda leaf: jnp.stack([leaf] * 8), (x, state))
    one = jax.jit(lambda: training.step(x, state, KEY, 0)[0])
    runs = {
        "nmm, 8 starts on all cores": lambda: spread.advance(start, 1, [])[0][1],
        "nmm, 8 starts on one device": jax.jit(
            lambda: jax.vmap(lambda x, s: training.step(x, s, KEY, 0)[0])(*many)
        ),
        "nmm, one": one,
    }
    _show("A step of 8 starts, 84 free each", runs, rounds)


def by_hand(G, duration, held):
    return bare.simulate(WEIGHTS, G, int(duration), keep=False)


def products(G, duration, held):
    """The products of weights and states of a run, and nothing else."""
    weights = jnp.asarray(WEIGHTS)

    def step(x, _):
        return weights @ x, None

    return jax.lax.scan(step, jnp.full(len(weights), G), length=int(duration) * (2 - held))[0]


def sweep(rounds, cells):
    values = np.linspace(0.05, 0.25, cells, dtype=np.float32)
    duration, devices = 2_000.0, jax.device_count()
    for held, how in ((False, "at every stage"), (True, "held over the step")):

        def loss(net, key, held=held):
            return states(net.coupling.G, duration, WHITE, held, save_every=duration)

        def ours(loss=loss):
            over = {"coupling.G": values}
            return fitting.sweep(loss, NETWORK, over, key=KEY, progress=False).values

        runs = {"nmm": ours}
        if peers.AVAILABLE:
            last = peers.TVBOptim(WEIGHTS, noise=True, per_stage=not held).last(duration)
            each = jax.pmap(
                lambda Gs, last=last: jax.lax.map(last, Gs, batch_size=min(128, cells // devices))
            )
            runs["tvboptim"] = lambda each=each: each(values.reshape(devices, -1))
        for name, work in (("scan by hand, no noise", by_hand), ("products alone", products)):
            bound = jax.pmap(jax.vmap(lambda G, work=work, held=held: work(G, duration, held)))
            if not held or work is products:
                runs = {name: lambda bound=bound: bound(values.reshape(devices, -1))} | runs
        title = f"A sweep of {cells:,} noisy runs of 2 s, {devices} devices, coupling {how}"
        _show(title, runs, rounds)


def _show(title, runs, rounds):
    first = {name: first_call(run) for name, run in runs.items()}
    seconds = by_turns(runs, rounds)
    last = list(runs)[-1]
    rows = [
        [
            name,
            f"{first[name]:.2f}",
            f"{np.median(values) * 1e3:.0f}",
            "" if name == last else ratio(seconds, name, last),
        ]
        for name, values in seconds.items()
    ]
    table(title, ["", "first call, s", "ms", f"ratio to {last}"], rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cells", type=int, default=1024)
    parser.add_argument("--only", nargs="*", default=["steps", "starts", "sweep"])
    options = parser.parse_args()
    print(f"Python {sys.version.split()[0]}, jax {jax.__version__}, {jax.devices()[0].platform}")
    if "steps" in options.only:
        steps(options.rounds)
    if "starts" in options.only:
        multi_start(max(options.rounds // 2, 3))
    if "sweep" in options.only:
        sweep(max(options.rounds // 2, 3), options.cells)


if __name__ == "__main__":
    main()
