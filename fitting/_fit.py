"""Fitting: one loss, and every way to move the parameters."""

import math
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import equinox as eqx
import jax
import optax

from nmm._custom_types import Key
from nmm.integrate._problem import check_key

from ._checkpoint import Folder
from ._cma import CMA, Search
from ._descent import Descent
from ._evaluate import evaluate
from ._fit_result import FitResult, collect
from ._gradient import Mode
from ._loop import run
from ._loss import LOSS, Loss, check_call, message
from ._non_finite import OnNonFinite
from ._optimizers import default_optimizer, name_of_optimizer
from ._parameters import Free, free_parameters
from ._provenance import gather
from ._solver import Solver
from ._stage import Stage
from ._training import Training

Optimizer: TypeAlias = Any
"""Of Optax, of Optimistix, or a `fitting.CMA`."""

_FRESH_SEEDS = 4


def fit(
    loss: Loss,
    model: Any,
    free: Free,
    *,
    optimizer: Optimizer | None = None,
    steps: int = 100,
    start: Stage | Loss | None = None,
    key: Key | None = None,
    mode: Mode | Literal["auto"] = "auto",
    fresh_noise: bool = True,
    seeds: int = 1,
    progress: bool = True,
    on_non_finite: OnNonFinite = "stop",
    callback: Callable[[int, dict[str, Any]], Any] | None = None,
    checkpoint: str | Path | None = None,
    every: int = 10,
    memory: float | int = math.inf,
) -> FitResult:
    """Fits parameters of a model to a loss.

    ```python
    def loss(net, key):
        sol = nmm.simulate(net, 60_000.0, 1.0, key=key, save={"bold": nmm.observe.BOLD(tr=720.0)})
        return 1 - fitting.objectives.fc_concordance(sol["bold"], empirical_fc)

    result = fitting.fit(loss, net, free={"coupling.G": fitting.Interval(0.0, 3.0)}, key=key)
    ```

    The optimiser sees the unconstrained numbers behind the parameters; see `fitting.Interval`,
    `fitting.Positive` and `fitting.Real` for what a step of it means. A step is compiled once, also
    for later fits with the same `loss` and `optimizer`. Ctrl-C ends the fit with what was reached.

    **Arguments:**

    - `loss`: a pure function `loss(model, key)`, or `loss(model)` where there is no key. It returns
        a scalar, or a pair of a scalar and a dict of arrays that `history` keeps, such as that of
        `fitting.objectives.combine`.
    - `model`: the model at the start.
    - `free`: what is fitted: a dict from path to constraint, such as `{"coupling.G":
        fitting.Interval(0.0, 3.0), "node.J_i": fitting.Positive(shape="region")}`; or paths alone,
        whose constraints then follow from the declared ranges. `"noise.sigma"` frees all arrays
        below this path. See `fitting.free_parameters` for all there is.
    - `optimizer`: `optax.adam(0.05)` by default. Any of Optax, also those that need values or a
        line search, such as `optax.lbfgs()`. A minimiser of Optimistix, such as
        `optimistix.BFGS(rtol, atol)`, or, for a loss that has a part named `"residuals"`
        (`fitting.objectives.residuals`), one of its methods for least squares, such as
        `optimistix.LevenbergMarquardt(rtol, atol)`: these keep one draw of the noise, and end when
        they have converged. Or `fitting.CMA()`, without gradients.
    - `steps`: how many steps to take.
    - `start`: a `fitting.Stage`, or its loss alone, that is fitted before, such as one in closed
        form; this fit then goes on from its best values. `result.start` is what came of it. `free`,
        `on_non_finite`, `progress`, `checkpoint`, `every` and `memory` count for both.
    - `key`: of the random numbers in the loss.
    - `mode`: how the gradient is computed: `"forward"` (no memory for the past; its time grows with
        the number of free numbers), `"reverse"`, or `"auto"` for the one expected to be faster.
    - `fresh_noise`: whether each step has a key of its own, `jax.random.fold_in(key, step)`. With
        the same key in all steps the fit also fits that one draw of the noise; how much, tells
        `result.fresh_loss`.
    - `seeds`: over how many draws of the noise, simulated side by side, a step averages the loss.
    - `progress`: whether to show a progress bar.
    - `on_non_finite`: when the loss or its gradient is non-finite, or the compiled loss raises (as
        `nmm.simulate` does when a run diverges): `"stop"` there with a warning, `"skip"` the step
        with a warning (and go on with other noise; without fresh noise it stops), `"shrink"` the
        step that led there to half, again and again, or `"raise"`. Methods of Optimistix choose
        their steps themselves, and stop unless they are to raise; for `fitting.CMA` it counts where
        no candidate is finite, and `"skip"` draws others.
    - `callback`: called after each step as `callback(step, values)` with the values that `history`
        keeps; the fit ends if it returns something true.
    - `checkpoint`: a folder. Every so many steps, and at the end, what was reached is written to
        it; the same call with the same folder goes on from there after a kill, with the same
        numbers bit for bit, or with more `steps` after an end.
    - `every`: how many steps there are between two writes.
    - `memory`: bytes that a step may take in `"auto"` mode, as far as the backend tells. The mode
        expected to be faster is used if it fits, else the other one; where neither does, the one
        that takes less, with a warning.

    **Returns:**

    A `fitting.FitResult`: `result.model`, `result.best`, `result.history`, `result.plot()`,
    `result.methods()`.

    **Raises:**

    - `ValueError` or `TypeError`, naming the argument or path, for what does not fit.
    - `FloatingPointError` if anything is non-finite and `on_non_finite="raise"`.
    - Errors of the compiled loss, if they come at the first step or with `on_non_finite="raise"`.
    """
    check_options(mode, on_non_finite, steps=steps, seeds=seeds, every=every)
    began = time.perf_counter()
    optimizer = default_optimizer() if optimizer is None else optimizer
    parameters = free_parameters(model, free)
    check_call(loss, key is not None)
    check_key(key)
    check_seeds(seeds, key)
    before = None
    if start is not None:
        stage = Stage.of(start)
        before = fit(
            stage.loss, model, free, optimizer=stage.optimizer, steps=stage.steps,
            start=stage.start, progress=progress, on_non_finite=on_non_finite,
            checkpoint=None if checkpoint is None else Path(checkpoint) / "start",
            every=every, memory=memory,
        )  # fmt: skip
        model = before.best
        parameters = free_parameters(model, free)
    if isinstance(optimizer, optax.GradientTransformation):
        chosen = "reverse" if mode == "auto" else mode
        training = Training(loss, parameters, optimizer, fresh_noise, chosen, seeds)
        method = Descent(training, key, on_non_finite, float(memory) if mode == "auto" else None)
    elif isinstance(optimizer, CMA):
        mode = "auto"  # There are no gradients.
        method = Search(loss, parameters, optimizer, key, fresh_noise, seeds, on_non_finite)
    else:
        method = Solver(loss, parameters, optimizer, key, mode, seeds, on_non_finite)
        fresh_noise = False
    options = {
        "optimizer": name_of_optimizer(optimizer), "mode": mode, "fresh_noise": fresh_noise,
        "seeds": seeds, "on_non_finite": on_non_finite,
    }  # fmt: skip
    provenance = gather(loss, model, key, options)
    folder = None
    if checkpoint is not None:
        identity = provenance.identity(free=parameters.constraints, optimizer=optimizer, loss=loss)
        folder = Folder(checkpoint, identity)
    if before is not None and before.outcome == "interrupted":
        return collect(parameters, None, [], "interrupted", provenance.after(began), before)
    x, rows, outcome = run(
        method, steps, folder=folder, every=every, progress=progress, callback=callback
    )
    if isinstance(method, Descent):
        provenance.options["mode"] = method.training.mode
    result = collect(parameters, x, rows, outcome, provenance.after(began), before)
    if key is None or fresh_noise or not rows or outcome == "interrupted":
        return result
    return result.with_fresh_loss(
        loss_on_other_noise(loss, result.model, jax.random.fold_in(key, steps))
    )


def loss_on_other_noise(loss: Loss, model: Any, key: Key, part: str = LOSS) -> Any:
    """The losses for a few draws of the noise; `None`, with a warning, if they raise an error."""
    try:
        return evaluate(loss, model, key, seeds=_FRESH_SEEDS)[part]
    except eqx.EquinoxRuntimeError as error:
        warnings.warn(
            f"The loss raised an error for noise that was not fitted: {message(error)}",
            stacklevel=3,
        )
        return None


def check_seeds(seeds: int, key: Key | None) -> None:
    """Refuses several draws of no noise."""
    if seeds > 1 and key is None:
        raise ValueError(
            f"`seeds` should be 1 without a `key`, as without noise all draws are the same, got "
            f"{seeds}."
        )


def check_options(mode: str = "auto", on_non_finite: str = "stop", **counts: int) -> None:
    """Refuses options that are none, and counts below 1."""
    for name, value in counts.items():
        if value < 1:
            raise ValueError(f"`{name}` should be at least 1, got {value}.")
    for name, value, options in (
        ("mode", mode, ("auto", *get_args(Mode))),
        ("on_non_finite", on_non_finite, get_args(OnNonFinite)),
    ):
        if value not in options:
            raise ValueError(f"`{name}` should be one of {list(options)}, got {value!r}.")
