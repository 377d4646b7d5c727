"""One fit from many starts, side by side."""

import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import PyTree

from nmm._custom_types import Key
from nmm.integrate._problem import check_key

from ._checkpoint import Folder
from ._constraints import Interval
from ._fit import check_options, check_seeds, loss_on_other_noise
from ._fit_result import collect, last_finite, outcome_of
from ._fits import Fits
from ._gradient import Mode
from ._loop import run
from ._loss import LOSS, Loss, check_call
from ._optimizers import default_optimizer, name_of_optimizer
from ._parameters import Free, Parameters, free_parameters
from ._provenance import gather
from ._side_by_side import SideBySide
from ._training import Training


def multi_start(
    loss: Loss,
    model: Any,
    free: Free,
    *,
    starts: int | Mapping[str, Any] = 8,
    prune_every: int | None = None,
    optimizer: optax.GradientTransformation | None = None,
    steps: int = 100,
    key: Key | None = None,
    mode: Mode | Literal["auto"] = "auto",
    fresh_noise: bool = True,
    seeds: int = 1,
    progress: bool = True,
    checkpoint: str | Path | None = None,
    every: int = 10,
    seed: int = 0,
) -> Fits:
    """Fits from many starts at once, in one compiled step, spread over all devices.

    ```python
    fits = fitting.multi_start(loss, net, {"coupling.G": None}, starts=8, prune_every=20, key=key)
    fits.best.model, fits.agreement()
    ```

    A start that is not finite stays where it is, one whose loss raises an error is given up, and
    neither stops another: see the `outcome` of each; its `model` is the last one with a finite
    loss. Pass `throw=False` to `nmm.simulate` in the
    loss: it is faster, since no step has to run twice.

    **Arguments:**

    - `loss`, `model`, `free`, `steps`, `key`, `mode`, `fresh_noise`, `seeds`, `progress`,
        `checkpoint`, `every`: as in `fitting.fit`.
    - `starts`: how many. The first is the model as it is; the others are drawn, uniformly from an
        `Interval`, else from normal numbers around the unconstrained ones of the model. Or the
        values by path, the starts in front, such as `fitting.draw(model, free, 16)`.
    - `prune_every`: if given, the worse half is given up after so many steps, by the mean loss over
        half of them, and so on until one is left.
    - `optimizer`: one of Optax; `optax.adam(0.05)` by default.
    - `seed`: of the starts.

    **Returns:**

    A `fitting.Fits`: `fits.best`, `fits[0]`, `fits.values`, `fits.agreement()`, `fits.plot()`.

    **Raises:**

    - `ValueError` or `TypeError`, naming the argument or path, for what does not fit.
    """
    check_options(mode, steps=steps, seeds=seeds, every=every)
    if not isinstance(optimizer, optax.GradientTransformation | None):
        raise TypeError(
            "`optimizer` should be one of Optax, whose steps can go side by side, got "
            f"{optimizer!r}. `fitting.fit` takes others, one start at a time."
        )
    if isinstance(starts, int):
        check_options(starts=starts)
    if prune_every is not None:
        check_options(prune_every=prune_every)
    began = time.perf_counter()
    optimizer = default_optimizer() if optimizer is None else optimizer
    parameters = free_parameters(model, free)
    check_call(loss, key is not None)
    check_key(key)
    check_seeds(seeds, key)
    x = _starts(parameters, starts, seed)
    chosen = "reverse" if mode == "auto" else mode
    training = Training(loss, parameters, optimizer, fresh_noise, chosen, seeds)
    method = SideBySide(training, x, key, prune_every, automatic=mode == "auto")
    options = {
        "optimizer": name_of_optimizer(optimizer), "mode": mode, "fresh_noise": fresh_noise,
        "seeds": seeds, "starts": len(jax.tree.leaves(x)[0]), "seed": seed,
        "prune_every": prune_every,
    }  # fmt: skip
    provenance = gather(loss, model, key, options)
    folder = None
    if checkpoint is not None:
        identity = provenance.identity(
            free=parameters.constraints, starts=x, optimizer=optimizer, loss=loss
        )
        folder = Folder(checkpoint, identity, shared=True)
    reached, rows, outcome = run(method, steps, folder=folder, every=every, progress=progress)
    provenance.options["mode"] = method.training.mode
    fits, losses = [], []
    for i in range(options["starts"]):
        begin, end = (_one_of(y, i) for y in (x, x if reached is None else reached))
        mine = Parameters(parameters.model_at(begin), parameters.constraints, parameters.units)
        own = [{name: values[i] for name, values in row.items()} for row in rows]
        own = own[: next((n for n, row in enumerate(own) if _absent(row, parameters)), len(own))]
        whole = len(own) == len(rows)
        ended = outcome_of(own, outcome if whole else f"given up after {len(own)} steps")
        fit = collect(mine, end, own, ended, provenance.after(began))
        # Those that were given up, or failed, are not to be compared with the others.
        finite = whole and len(own) and np.isfinite(own[-1][LOSS])
        losses.append(own[-1][LOSS] if finite else np.nan)
        fits.append(
            fit if finite else dataclasses.replace(fit, model=last_finite(mine, fit.history))
        )
    if key is not None and rows and outcome != "interrupted":
        fresh = jax.random.fold_in(key, steps)
        for i in np.flatnonzero(np.isfinite(losses)):
            other = loss_on_other_noise(loss, fits[i].model, fresh)
            losses[i] = np.nan if other is None else np.mean(other)
    return Fits(tuple(fits), np.array(losses, float), tuple(map(str, range(len(fits)))), "start")


def _one_of(x: PyTree, i: int) -> PyTree:
    return jax.tree.map(lambda leaf: jnp.asarray(leaf[i]), x)


def _absent(row: dict[str, Any], parameters: Parameters) -> bool:
    """Whether a row is of a fit that was given up: its parameters are not known."""
    return any(np.all(np.isnan(row[path])) for path in parameters.constraints)


def _starts(parameters: Parameters, starts: int | Mapping[str, Any], seed: int) -> PyTree:
    """The unconstrained numbers of all starts."""
    if isinstance(starts, Mapping):
        missing = parameters.moved.keys() ^ starts.keys()
        if missing:
            raise ValueError(
                f"`starts` should have values for {list(parameters.moved)}, got {list(starts)}."
            )
        values = {path: jnp.asarray(starts[path], leaf.dtype) for path, leaf in _moved(parameters)}
        lengths = {path: len(value) if value.ndim else 0 for path, value in values.items()}
        if len(set(lengths.values())) > 1 or 0 in lengths.values():
            raise ValueError(
                f"`starts` should have as many values for all paths, at least one, got {lengths}."
            )
        for path, leaf in _moved(parameters):
            inside = jax.vmap(parameters.moved[path].contains)(values[path])
            if values[path].shape[1:] != leaf.shape or not np.all(inside):
                raise ValueError(
                    f"`starts[{path!r}]` should hold values of the shape {leaf.shape} inside of "
                    f"{parameters.moved[path]!r}, one a start, got {starts[path]}."
                )
        return jax.vmap(parameters.to_unconstrained)(values)
    rng = np.random.default_rng(seed)
    x = {}
    for path, constraint in parameters.moved.items():
        start = np.asarray(parameters.start[path])
        here = np.asarray(constraint.to_unconstrained(jnp.asarray(start)))
        if isinstance(constraint, Interval):
            share = rng.uniform(1e-3, 1 - 1e-3, (starts - 1, *start.shape)).astype(start.dtype)
            values = constraint.lower + (constraint.upper - constraint.lower) * share
            others = np.asarray(constraint.to_unconstrained(jnp.asarray(values)))
        else:
            others = here + rng.normal(size=(starts - 1, *here.shape)).astype(here.dtype)
        x[path] = jnp.asarray(np.concatenate([here[None], others]))
    return x


def _moved(parameters: Parameters) -> list[tuple[str, Any]]:
    return [(path, parameters.start[path]) for path in parameters.moved]
