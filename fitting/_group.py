"""Fits of many subjects in one program: each by itself, or with what they share."""

import dataclasses
import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from nmm._custom_types import Key

from . import _paths
from ._constraints import AbstractConstraint
from ._fit import fit, loss_on_other_noise
from ._fit_result import FitResult, last_finite, lowest, outcome_of
from ._fits import Fits
from ._loss import LOSS, RESIDUALS, Loss, call, check_call, split, with_parts
from ._parameters import Free, Parameters, free_parameters
from ._structures import Regression, Tied

_EACH = "subjects"
"""The part of the group's loss that holds the loss of each."""


class _Group(eqx.Module):
    """What the subjects share, and what each has of its own, by path, the subjects in front."""

    shared: Any
    own: dict[str, Array]

    @property
    def shape(self) -> Any:
        return getattr(self.shared, "shape", ())

    def subject(self, own: Mapping[str, Array]) -> Any:
        return _paths.replace(self.shared, own)


class _Stacked(AbstractConstraint):
    """The constraint of one subject, for the values of all of them."""

    constraint: AbstractConstraint
    shape: Literal["region"] | None = eqx.field(default=None, static=True, init=False)

    def to_unconstrained(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        return jax.vmap(self.constraint.to_unconstrained)(value)

    def from_unconstrained(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return jax.vmap(self.constraint.from_unconstrained)(x)

    def contains(self, value: Float[Array, "..."]) -> Bool[Array, "..."]:
        # All start from what was checked for one.
        return jnp.ones(value.shape, bool)

    def starting_at(self, value: Float[Array, "..."]) -> "_Stacked":
        del value
        return self

    def __repr__(self) -> str:
        return repr(self.constraint)


class _GroupLoss(eqx.Module):
    """The mean loss over the subjects, plus what pulls them together.

    **Attributes:**

    - `loss`: of one subject.
    - `batches`: the data of subjects of equal shapes, in front, with their numbers.
    - `constraints`: of what each has of its own.
    - `spread`: the standard deviation between subjects, in unconstrained numbers.
    - `shared`: the paths that all have in common.
    - `forward`: whether the gradient is taken in forward mode.
    """

    loss: Loss
    batches: tuple[tuple[tuple[int, ...], Any], ...]
    constraints: dict[str, Any]
    spread: float
    shared: tuple[str, ...]
    forward: bool

    def __call__(self, group: _Group, key: Key | None = None) -> Any:
        count = sum(len(members) for members, _ in self.batches)
        keys = None if key is None else jax.random.split(key, count)

        # All that a gradient is taken of is in `common` and `own`.
        model = eqx.combine(
            jax.lax.stop_gradient(eqx.filter(group.shared, eqx.is_inexact_array)), group.shared
        )
        common = {path: _paths.read(group.shared, path)[path] for path in self.shared}
        score = _score if self.forward else _apart

        def one(own: Mapping[str, Array], data: Any, key: Key | None) -> Any:
            return score({**common, **own}, (self.loss, model, data, key))

        each: dict[str, Array] = {}
        for members, data in self.batches:
            where = np.array(members)
            own = {path: values[where] for path, values in group.own.items()}
            mine = None if keys is None else keys[where]
            found = jax.vmap(one, in_axes=(0, 0, None if keys is None else 0))(own, data, mine)
            for name, values in found.items():
                of_all = each.setdefault(name, jnp.zeros((count, *values.shape[1:]), values.dtype))
                if of_all.shape[1:] != values.shape[1:]:
                    raise ValueError(
                        f"The part `{name}` of the loss should have one shape for all subjects, "
                        f"got {of_all.shape[1:]} and {values.shape[1:]}."
                    )
                each[name] = of_all.at[where].set(values)
        losses = each.pop(LOSS)
        good = jnp.isfinite(losses)
        # One that is not finite should not stop the others; all of them are NaN.
        total = jnp.sum(jnp.where(good, losses, 0)) / jnp.sum(good)
        if math.isfinite(self.spread):
            for path, constraint in self.constraints.items():
                x = jax.vmap(constraint.to_unconstrained)(group.own[path])
                total += 0.5 * jnp.sum(jnp.var(x, axis=0)) / self.spread**2
        return total, {_EACH: losses, **each}


def _score(values: Mapping[str, Array], rest: Any) -> dict[str, Array]:
    """Loss and parts of one subject."""
    loss, model, data, key = rest
    model = _paths.replace(model, values)
    value, parts = split(call(lambda model, *key: loss(model, data, *key), model, key))
    parts.pop(RESIDUALS, None)
    return with_parts({LOSS: value}, parts, _EACH, *values)


@eqx.filter_custom_vjp
def _apart(values: Mapping[str, Array], rest: Any) -> dict[str, Array]:
    """The same, with a gradient of 0 where the loss is not finite.

    In reverse mode the loss of such a subject would make the gradient of what all share NaN, even
    under the weight 0.
    """
    return _score(values, rest)


@_apart.def_fwd
def _apart_forward(perturbed: Any, values: Mapping[str, Array], rest: Any) -> Any:
    del perturbed

    def objective(values: Mapping[str, Array]) -> tuple[Array, dict[str, Array]]:
        found = _score(values, rest)
        return found[LOSS], found

    _, pull, found = jax.vjp(objective, dict(values), has_aux=True)
    return found, (pull, jnp.isfinite(found[LOSS]))


@_apart.def_bwd
def _apart_backward(
    residuals: Any, cotangents: Any, perturbed: Any, values: Mapping[str, Array], rest: Any
) -> Any:
    del perturbed, values, rest
    pull, good = residuals
    (gradient,) = pull(cotangents[LOSS])
    return jax.tree.map(lambda g: jnp.where(good, g, 0), gradient)


def fit_group(
    loss: Loss,
    model: Any,
    free: Free,
    data: Mapping[str, Any] | Sequence[Any],
    *,
    shared: Iterable[str] = (),
    spread: float = math.inf,
    key: Key | None = None,
    checkpoint: str | Path | None = None,
    **options: Any,
) -> tuple[Fits, FitResult]:
    """Fits many subjects at once, in one compiled program.

    ```python
    def loss(net, fc, key):
        sol = nmm.simulate(net, 60_000.0, 4.0, key=key, save={"bold": nmm.observe.BOLD(720.0)})
        return 1 - fitting.objectives.fc_concordance(sol["bold"], fc)

    free = {"coupling.G": fitting.Interval(0.0, 1.0), "node.w": fitting.Interval(0.0, 1.0)}
    fits, group = fitting.fit_group(loss, net, free, fcs, shared=["node.w"], key=key)
    fits.to_xarray(), group.model.shared.node.w
    ```

    The loss of the group is the mean over subjects; each has noise of its own. Data of different
    shapes (recordings of different lengths) are simulated in one batch for each shape. A subject
    whose loss is not finite is left out of the mean, and stops no other: its `outcome` says so, and
    its `model` is the last one with a loss. (A loss that raises stops all: pass `throw=False` to
    `nmm.simulate`.)

    **Arguments:**

    - `loss`: `loss(model, data, key)`, or `loss(model, data)` without a key, of one subject. The
        parts that it returns are kept in the history of each.
    - `model`: at which all start.
    - `free`: as in `fitting.fit`, of one subject. A `fitting.Regression` that is not shared gives
        each subject an intercept and slopes of its own, in its `history` and in the table of all.
    - `data`: of each subject, by name or in order: any PyTree of arrays.
    - `shared`: the paths that all subjects have in common; each has its own value of the others.
    - `spread`: if given, subjects are pulled to their mean as if their unconstrained numbers were
        normal with this standard deviation (hierarchical), in units of the mean loss.
    - `key`, `checkpoint`, `options`: as in `fitting.fit`, but no `start` and no method for least
        squares.

    **Returns:**

    The `fitting.Fits` of the subjects, whose `to_xarray()` is the table of the group, and whose
    losses are, with a key, those for other draws of the noise; and the `fitting.FitResult` of the
    group as a whole, which is best where the mean is.

    **Raises:**

    - `ValueError`, naming the argument or path, for what does not fit.
    """
    names = tuple(data) if isinstance(data, Mapping) else tuple(map(str, range(len(data))))
    subjects = list(data.values() if isinstance(data, Mapping) else data)
    if not subjects:
        raise ValueError("`data` should hold at least one subject.")
    if not spread > 0:
        raise ValueError(f"`spread` should be positive, got {spread}.")
    _check_options(**options)
    parameters = free_parameters(model, free)
    check_call(loss, key is not None, "model", "data")
    tied = [path for path, c in parameters.constraints.items() if isinstance(c, Tied)]
    if tied:
        raise ValueError(f"`free` should have no `fitting.Tied` in a group, got it for {tied}.")
    common = (shared,) if isinstance(shared, str) else tuple(dict.fromkeys(shared))
    if not parameters.constraints.keys() >= set(common):
        raise ValueError(
            f"`shared` should name free parameters, of {list(parameters.constraints)}, got "
            f"{list(common)}."
        )
    own = {path: c for path, c in parameters.moved.items() if path not in common}
    if not own:
        raise ValueError("`shared` should leave each subject a free parameter of its own.")
    values = {p: jnp.stack([parameters.start[p]] * len(subjects)) for p in own}
    every = {f"shared.{path}": parameters.constraints[path] for path in common}
    every |= {f"own.{path}": _Stacked(constraint) for path, constraint in own.items()}
    forward = options.get("mode") == "forward"
    group_loss = _GroupLoss(loss, _batches(subjects), own, float(spread), common, forward)
    result = fit(
        group_loss, _Group(parameters.model, values), every, key=key, checkpoint=checkpoint,
        **options,
    )  # fmt: skip
    units = {path: parameters.units[path.partition(".")[2]] for path in every}
    result = dataclasses.replace(
        result, parameters=dataclasses.replace(result.parameters, units=units)
    )
    result.provenance.options.update(subjects=len(subjects), shared=common, spread=spread)
    fits = tuple(_of_subject(result, parameters, i) for i in range(len(subjects)))
    losses = np.array([fit.history[LOSS][-1] if fit.history else np.nan for fit in fits], float)
    failed = [name for name, loss in zip(names, losses, strict=True) if not np.isfinite(loss)]
    if failed and result.history:
        warnings.warn(f"The loss of the subjects {failed} is not finite.", stacklevel=2)
    if key is not None and result.history and result.outcome != "interrupted":
        fresh = jax.random.fold_in(key, len(result.history[LOSS]))
        other = loss_on_other_noise(group_loss, result.model, fresh, part=_EACH)
        losses = np.full_like(losses, np.nan) if other is None else np.mean(other, axis=0)
    return Fits(fits, losses, names, "subject"), result


def _check_options(start: Any = None, optimizer: Any = None, **others: Any) -> None:
    del others
    import optimistix

    if start is not None:
        raise ValueError("`start` should be left out in a group, whose subjects have data each.")
    if isinstance(optimizer, optimistix.AbstractLeastSquaresSolver):
        raise TypeError(
            "`optimizer` should be a minimiser in a group, whose loss is a mean and no longer has "
            f"residuals, such as `optimistix.BFGS(1e-6, 1e-6)`, got {optimizer!r}."
        )


def _batches(subjects: list[Any]) -> tuple[tuple[tuple[int, ...], Any], ...]:
    """The subjects by the shapes of their data."""
    alike: dict[str, list[int]] = {}
    for i, one in enumerate(subjects):
        shapes = jax.tree.map(lambda leaf: (jnp.shape(leaf), jnp.result_type(leaf)), one)
        alike.setdefault(str(shapes), []).append(i)
    return tuple(
        (tuple(members), jax.tree.map(lambda *x: jnp.stack(x), *(subjects[i] for i in members)))
        for members in alike.values()
    )


def _of_subject(result: FitResult, parameters: Parameters, i: int) -> FitResult:
    """The part of the group's result that is about one subject."""
    history = {}
    for name, values in result.history.items():
        if name == _EACH:
            history[LOSS] = values[:, i]
        elif name.startswith("own."):
            history[name.removeprefix("own.")] = values[:, i]
        elif name.startswith("shared."):
            history[name.removeprefix("shared.")] = values
        elif name not in (LOSS, "gradient_norm"):  # Those are of the group.
            history[name] = values[:, i]
    for path, constraint in parameters.moved.items():
        if isinstance(constraint, Regression) and f"own.{path}" in result.history:
            x = jax.vmap(constraint.to_unconstrained)(jnp.asarray(history[path]))
            history |= {f"{path}.a": np.asarray(x[:, 0]), f"{path}.b": np.asarray(x[:, 1:])}
    rows = [{LOSS: loss} for loss in history.get(LOSS, ())]
    outcome = outcome_of(rows, result.outcome)
    best, best_loss = lowest(parameters, history)
    model = result.model.subject({path: values[i] for path, values in result.model.own.items()})
    if outcome != result.outcome:
        model = last_finite(parameters, history)
    return FitResult(parameters, model, best, best_loss, history, outcome, result.provenance)
