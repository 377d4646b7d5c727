"""Fitting by gradient: the loop."""

import contextlib
import dataclasses
import functools
import warnings
from collections.abc import Callable
from typing import Any, Literal, TypeAlias, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import PyTree

from nmm._custom_types import Key

from . import _paths
from ._fit_result import FitResult
from ._gradient import Mode, forward_is_faster
from ._loss import LOSS, Loss, message
from ._parameters import Free, Parameters, free_parameters, summary
from ._progress import progress_bar
from ._training import Record, Training

OnNonFinite: TypeAlias = Literal["stop", "skip", "raise"]


# Compiled once for all fits that differ in numbers alone.
_step: Any = eqx.filter_jit(Training.step)


@functools.cache
def _default_optimizer() -> optax.GradientTransformation:
    return optax.adam(0.05)


def fit(
    loss: Loss,
    model: Any,
    free: Free,
    *,
    optimizer: optax.GradientTransformation | None = None,
    steps: int = 100,
    key: Key | None = None,
    mode: Mode | Literal["auto"] = "auto",
    fresh_noise: bool = True,
    progress: bool = True,
    on_non_finite: OnNonFinite = "stop",
    callback: Callable[[int, dict[str, Any]], Any] | None = None,
) -> FitResult:
    """Fits parameters of a model by gradient descent on a loss.

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
        below this path.
    - `optimizer`: any of Optax, also those that need values or a line search, such as
        `optax.lbfgs()`; `optax.adam(0.05)` by default.
    - `steps`: how many steps to take.
    - `key`: of the random numbers in the loss.
    - `mode`: how the gradient is computed: `"forward"` (no memory for the past; its time grows with
        the number of free numbers), `"reverse"`, or `"auto"` for the one expected to be faster.
    - `fresh_noise`: whether each step has a key of its own, `jax.random.fold_in(key, step)`. With
        the same key in all steps the fit also fits that one draw of the noise.
    - `progress`: whether to show a progress bar.
    - `on_non_finite`: when the loss or its gradient is non-finite, or the compiled loss raises (as
        `nmm.simulate` does when a run diverges): `"stop"` there with a warning, `"skip"` the step
        with a warning (and go on with other noise; without fresh noise it stops), or `"raise"`.
    - `callback`: called after each step as `callback(step, values)` with the values that `history`
        keeps; the fit ends if it returns something true.

    **Returns:**

    A `fitting.FitResult`: `result.model`, `result.best`, `result.history`, `result.plot()`.

    **Raises:**

    - `ValueError` or `TypeError`, naming the argument or path, for what does not fit.
    - `FloatingPointError` if anything is non-finite and `on_non_finite="raise"`.
    - Errors of the compiled loss, if they come at the first step or with `on_non_finite="raise"`.
    """
    _check_options(steps, mode, on_non_finite)
    optimizer = _default_optimizer() if optimizer is None else optimizer
    parameters = free_parameters(model, free)
    can_skip = on_non_finite == "skip" and fresh_noise and key is not None
    gradient_mode = "reverse" if mode == "auto" else mode
    training = Training(loss, parameters, optimizer, fresh_noise, gradient_mode)
    x, state = training.init()
    good_x, rows, outcome = x, [], "completed"
    try:
        if mode == "auto" and forward_is_faster(x):
            training = _forward_if_possible(training, x, state, key)
        with progress_bar(steps, "fit", progress) as bar:
            for n in range(steps):
                try:
                    new_x, new_state, record = _step(training, x, state, key, jnp.asarray(n))
                except eqx.EquinoxRuntimeError as error:
                    values = jax.device_get(parameters.from_unconstrained(x))
                    error.add_note(f"This was in step {n}, at {_listed(values)}.")
                    if on_non_finite == "raise" or not rows:
                        raise
                    new_x, new_state = x, state
                    rows.append(_row_of_nan(rows[-1]) | values)
                    problem = f"The loss raised an error ({message(error)})"
                else:
                    rows.append(jax.device_get(record.row))
                    problem = _problem(record)
                if problem:
                    values = {path: rows[-1][path] for path in parameters.constraints}
                    problem = f"{problem} in step {n}, at {_listed(values)}."
                    if on_non_finite == "raise":
                        raise FloatingPointError(f"{problem} {_ADVICE}")
                    warnings.warn(f"{problem} {_ADVICE}", stacklevel=2)
                    if not can_skip:
                        x, outcome = good_x, f"stopped: {problem}"
                        break
                else:
                    good_x = x
                x, state = new_x, new_state
                bar.set_postfix(loss=f"{rows[-1][LOSS]:.4g}", refresh=False)
                bar.update()
                if callback is not None and callback(n, rows[-1]):
                    outcome = f"ended by the callback in step {n}"
                    break
    except KeyboardInterrupt:
        outcome = "interrupted"
    return _result(parameters, x, rows, outcome)


_ADVICE = "Try a smaller learning rate, or tighter constraints."


def _check_options(steps: int, mode: str, on_non_finite: str) -> None:
    if steps < 1:
        raise ValueError(f"`steps` should be at least 1, got {steps}.")
    for name, value, options in (
        ("mode", mode, ("auto", *get_args(Mode))),
        ("on_non_finite", on_non_finite, get_args(OnNonFinite)),
    ):
        if value not in options:
            raise ValueError(f"`{name}` should be one of {list(options)}, got {value!r}.")


def _forward_if_possible(training: Training, x: PyTree, state: PyTree, key: Any) -> Training:
    """In forward mode, which some losses do not have: those with an adjoint of Diffrax, say."""
    forward = dataclasses.replace(training, mode="forward")
    with contextlib.suppress(TypeError):
        # What is traced here is what runs afterwards, not traced again.
        _step.lower(forward, x, state, key, jnp.asarray(0))
        return forward
    return training


def _problem(record: Record) -> str:
    """What was non-finite, if anything."""
    finite = jax.device_get(record.finite)
    if not finite["loss"]:
        return f"The loss became {record.row[LOSS]}"
    for what in ("gradient", "update"):
        bad = [f"`{path}`" for path, good in finite[what].items() if not good]
        if bad:
            return f"The {what} of {', '.join(bad)} became non-finite"
    return ""


def _listed(values: dict[str, Any]) -> str:
    return ", ".join(f"{path} = {summary(value)}" for path, value in values.items())


def _row_of_nan(like: dict[str, Any]) -> dict[str, Any]:
    """The row of a step that reported nothing."""
    return {name: np.full(np.shape(entry), np.nan) for name, entry in like.items()}


def _result(
    parameters: Parameters, x: PyTree, rows: list[dict[str, Any]], outcome: str
) -> FitResult:
    history = {name: np.stack([row[name] for row in rows]) for name in rows[0]} if rows else {}
    losses = history.get(LOSS, np.empty(0))
    finite = np.flatnonzero(np.isfinite(losses))
    best, best_loss = parameters.model, float("nan")
    if finite.size:
        lowest = finite[np.argmin(losses[finite])]
        values = {path: jnp.asarray(history[path][lowest]) for path in parameters.constraints}
        best, best_loss = _paths.replace(best, values), float(losses[lowest])
    return FitResult(parameters, parameters.model_at(x), best, best_loss, history, outcome)
