"""Fits of many subjects in one program: each by itself, or with what they share."""

import math
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
from ._fit import fit
from ._fit_result import FitResult
from ._fits import Fits
from ._loss import LOSS, Loss, call
from ._parameters import Free, Parameters, free_parameters
from ._structures import Tied

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
    """

    loss: Loss
    batches: tuple[tuple[tuple[int, ...], Any], ...]
    constraints: dict[str, Any]
    spread: float

    def __call__(self, group: _Group, key: Key | None = None) -> Any:
        count = sum(len(members) for members, _ in self.batches)
        keys = None if key is None else jax.random.split(key, count)

        def one(own: Mapping[str, Array], data: Any, key: Key | None) -> Array:
            output = call(lambda model, *k: self.loss(model, data, *k), group.subject(own), key)
            return jnp.asarray(output[0] if isinstance(output, tuple) else output)

        losses = jnp.zeros(count)
        for members, data in self.batches:
            where = np.array(members)
            own = {path: values[where] for path, values in group.own.items()}
            mine = None if keys is None else keys[where]
            each = jax.vmap(one, in_axes=(0, 0, None if keys is None else 0))(own, data, mine)
            losses = losses.astype(each.dtype).at[where].set(each)
        total = jnp.mean(losses)
        if math.isfinite(self.spread):
            for path, constraint in self.constraints.items():
                x = jax.vmap(constraint.to_unconstrained)(group.own[path])
                total += 0.5 * jnp.sum(jnp.var(x, axis=0)) / self.spread**2
        return total, {_EACH: losses}


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
    shapes (recordings of different lengths) are simulated in one batch for each shape.

    **Arguments:**

    - `loss`: `loss(model, data, key)`, or `loss(model, data)` without a key, of one subject.
    - `model`: at which all start.
    - `free`: as in `fitting.fit`, of one subject.
    - `data`: of each subject, by name or in order: any PyTree of arrays.
    - `shared`: the paths that all subjects have in common; each has its own value of the others.
    - `spread`: if given, subjects are pulled to their mean as if their unconstrained numbers were
        normal with this standard deviation (hierarchical), in units of the mean loss.
    - `key`, `checkpoint`, `options`: as in `fitting.fit`.

    **Returns:**

    The `fitting.Fits` of the subjects, whose `to_xarray()` is the table of the group, and the
    `fitting.FitResult` of the group as a whole.

    **Raises:**

    - `ValueError`, naming the argument or path, for what does not fit.
    """
    names = tuple(data) if isinstance(data, Mapping) else tuple(map(str, range(len(data))))
    subjects = list(data.values() if isinstance(data, Mapping) else data)
    if not subjects:
        raise ValueError("`data` should hold at least one subject.")
    if not spread > 0:
        raise ValueError(f"`spread` should be positive, got {spread}.")
    parameters = free_parameters(model, free)
    common = set(shared)
    unknown = common - parameters.constraints.keys()
    if unknown or any(isinstance(c, Tied) for c in parameters.constraints.values()):
        raise ValueError(
            f"`shared` should name free parameters, none of them tied, of "
            f"{list(parameters.constraints)}, got {sorted(common)}."
        )
    own = {path: c for path, c in parameters.moved.items() if path not in common}
    if not own:
        raise ValueError("`shared` should leave each subject a free parameter of its own.")
    values = {p: jnp.stack([parameters.start[p]] * len(subjects)) for p in own}
    every = {f"shared.{path}": parameters.constraints[path] for path in common}
    every |= {f"own.{path}": _Stacked(constraint) for path, constraint in own.items()}
    group_loss = _GroupLoss(loss, _batches(subjects), own, float(spread))
    result = fit(
        group_loss, _Group(parameters.model, values), every, key=key, checkpoint=checkpoint,
        **options,
    )  # fmt: skip
    fits = tuple(_of_subject(result, parameters, i) for i in range(len(subjects)))
    losses = np.array([fit.history[LOSS][-1] if fit.history else np.nan for fit in fits])
    return Fits(fits, losses, names, "subject"), result


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

    def model_of(group: _Group) -> Any:
        return group.subject({path: values[i] for path, values in group.own.items()})

    history = {}
    for name, values in result.history.items():
        if name == _EACH:
            history[LOSS] = values[:, i]
        elif name.startswith("own."):
            history[name.removeprefix("own.")] = values[:, i]
        elif name.startswith("shared."):
            history[name.removeprefix("shared.")] = values
    losses = history.get(LOSS, np.empty(0))
    best = float(np.nanmin(losses)) if np.any(np.isfinite(losses)) else math.nan
    return FitResult(
        parameters, model_of(result.model), model_of(result.best), best, history, result.outcome,
        result.provenance,
    )  # fmt: skip
