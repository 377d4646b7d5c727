"""Fitting by gradient: a compiled step, and the loop around it."""

import functools
import warnings
from collections.abc import Callable
from typing import Any, Literal, TypeAlias, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int, PyTree

from nmm._custom_types import Key

from . import _paths
from ._fit_result import FitResult
from ._gradient import Mode, value_and_gradient
from ._loss import Loss, call, message, split
from ._parameters import Free, Parameters, free_parameters, summary
from ._progress import progress_bar

OnNonFinite: TypeAlias = Literal["stop", "skip", "raise"]


class Training(eqx.Module):
    """All that does not change from step to step."""

    loss: Loss
    parameters: Parameters
    optimizer: optax.GradientTransformation
    mode: Mode
    fresh_noise: bool

    def init(self) -> tuple[PyTree, PyTree]:
        """The free parameters, unconstrained, and the state of the optimiser."""
        x = self.parameters.to_unconstrained(self.parameters.start)
        return x, self.optimizer.init(x)

    def step(
        self, x: PyTree, state: PyTree, key: Key | None, n: Int[Array, ""]
    ) -> tuple[PyTree, PyTree, "Record"]:
        """Step number `n`: pure, so that it can be vmapped over `x`, `state` and `key`.

        A step on which anything is non-finite changes nothing.
        """
        if key is not None and self.fresh_noise:
            key = jr.fold_in(key, n)

        def objective(x: PyTree) -> tuple[Float[Array, ""], dict[str, Any]]:
            return split(call(self.loss, self.parameters.model_at(x), key))

        value, parts, gradient = value_and_gradient(objective, x, self.mode)
        updates, new_state = optax.with_extra_args_support(self.optimizer).update(
            gradient, state, x, value=value, grad=gradient, value_fn=lambda x: objective(x)[0]
        )
        new_x = optax.apply_updates(x, updates)
        finite = {
            "loss": jnp.isfinite(value),
            "gradient": jax.tree.map(lambda g: jnp.all(jnp.isfinite(g)), gradient),
            "update": jax.tree.map(lambda u: jnp.all(jnp.isfinite(u)), updates),
        }
        good = jnp.all(jnp.stack(jax.tree.leaves(finite)))
        new_x, new_state = jax.tree.map(
            lambda new, old: jnp.where(good, new, old), (new_x, new_state), (x, state)
        )
        record = Record(
            loss=value,
            gradient_norm=optax.global_norm(gradient),
            values=self.parameters.from_unconstrained(x),
            parts=parts,
            finite=finite,
            good=good,
        )
        return new_x, new_state, record


class Record(eqx.Module):
    """What a step reports: of the point at which it took the gradient, not the one it led to."""

    loss: Float[Array, ""]
    gradient_norm: Float[Array, ""]
    values: dict[str, Array]
    parts: dict[str, Any]
    finite: dict[str, Any]
    good: Bool[Array, ""]


# Compiled once for all fits that differ in numbers alone.
_step = eqx.filter_jit(Training.step)


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
    mode: Mode = "auto",
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
    training = Training(loss, free_parameters(model, free), optimizer, mode, fresh_noise)
    x, state = training.init()
    reached, records, outcome = x, [], "completed"
    can_skip = on_non_finite == "skip" and fresh_noise and key is not None
    try:
        with progress_bar(steps, "fit", progress) as bar:
            for n in range(steps):
                try:
                    new_x, new_state, record = _step(training, x, state, key, jnp.asarray(n))
                except eqx.EquinoxRuntimeError as error:
                    error.add_note(f"In step {n} of `fit`, at {_where(training.parameters, x)}.")
                    if on_non_finite == "raise" or not records:
                        raise
                    record, problem = _failed(training.parameters, x, records[-1]), f"The loss raised an error ({message(error)})"
                else:
                    record = jax.device_get(record)
                    problem = None if record.good else _problem(record)
                records.append(record)
                if problem is not None:
                    problem += f" in step {n}, at {_where(training.parameters, x)}."
                    if on_non_finite == "raise":
                        raise FloatingPointError(f"{problem} {_ADVICE}")
                    warnings.warn(f"{problem} {_ADVICE}", stacklevel=2)
                    if not can_skip:
                        x, outcome = reached, f"stopped: {problem}"
                        break
                else:
                    reached, x, state = x, new_x, new_state
                bar.set_postfix(loss=f"{record.loss:.4g}", refresh=False)
                bar.update()
                if callback is not None and callback(n, _row(record)):
                    outcome = f"ended by the callback after step {n}"
                    break
    except KeyboardInterrupt:
        outcome = f"interrupted after {len(records)} steps"
    return _result(training.parameters, x, records, outcome)


_ADVICE = "Try a smaller learning rate, or tighter constraints."


def _check_options(steps: int, mode: str, on_non_finite: str) -> None:
    if steps < 1:
        raise ValueError(f"`steps` should be at least 1, got {steps}.")
    for name, value, options in (
        ("mode", mode, get_args(Mode)),
        ("on_non_finite", on_non_finite, get_args(OnNonFinite)),
    ):
        if value not in options:
            raise ValueError(f"`{name}` should be one of {list(options)}, got {value!r}.")


def _problem(record: Record) -> str:
    """What was non-finite."""
    if not record.finite["loss"]:
        return f"The loss became {record.loss}"
    for what in ("gradient", "update"):
        bad = [f"`{path}`" for path, finite in record.finite[what].items() if not finite]
        if bad:
            return f"The {what} of {', '.join(bad)} became non-finite"
    raise AssertionError


def _failed(parameters: Parameters, x: PyTree, like: Record) -> Record:
    """The record of a step that raised."""
    nothing = jax.tree.map(lambda leaf: np.full_like(leaf, np.nan), (like.loss, like.parts))
    return Record(
        loss=nothing[0],
        gradient_norm=nothing[0],
        values=jax.device_get(parameters.from_unconstrained(x)),
        parts=nothing[1],
        finite=like.finite,
        good=np.array(False),
    )


def _where(parameters: Parameters, x: PyTree) -> str:
    values = parameters.from_unconstrained(x)
    return ", ".join(f"{path} = {summary(value)}" for path, value in values.items())


def _row(record: Record) -> dict[str, Any]:
    named = {"loss": record.loss, "gradient_norm": record.gradient_norm}
    return named | record.values | record.parts


def _result(parameters: Parameters, x: PyTree, records: list[Record], outcome: str) -> FitResult:
    rows = [_row(record) for record in records]
    history = jax.tree.map(lambda *leaves: np.stack(leaves), *rows) if rows else {}
    losses = history.get("loss", np.array([np.nan]))
    best, best_loss = parameters.model, float("nan")
    if np.any(np.isfinite(losses)):
        lowest = int(np.nanargmin(np.where(np.isfinite(losses), losses, np.nan)))
        values = jax.tree.map(jnp.asarray, records[lowest].values)
        best, best_loss = _paths.replace(parameters.model, values), float(losses[lowest])
    return FitResult(parameters, parameters.model_at(x), best, best_loss, history, outcome)
