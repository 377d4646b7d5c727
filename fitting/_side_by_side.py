"""Many fits in one compiled step, side by side on all devices."""

import dataclasses
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from ._checkpoint import strong
from ._devices import Devices
from ._loop import AbstractMethod, Row
from ._loss import LOSS, Loss
from ._training import Training


@dataclasses.dataclass(frozen=True)
class _WithData:
    """A loss on the data of one of the fits."""

    loss: Loss
    data: Any

    def __call__(self, model: Any, *key: Any) -> Any:
        return self.loss(model, self.data, *key)


def _step(shared: tuple[Training, Any, Any], fits: PyTree) -> PyTree:
    training, key, n = shared

    def one(fit: PyTree) -> PyTree:
        x, state, data = fit
        mine = training
        if data is not None:
            mine = dataclasses.replace(training, loss=_WithData(training.loss, data))
        x, state, record = mine.step(x, state, key, n)
        return x, state, record.row, record.good

    return jax.vmap(one)(fits)


@dataclasses.dataclass
class SideBySide(AbstractMethod):
    """Steps of all fits at once. A fit that is not finite stays where it is, and stops no other.

    **Attributes:**

    - `training`: the step of one of them.
    - `start`: the free numbers at the start, the fits in front.
    - `data`: of each fit, in front; its loss is then `loss(model, data, key)`. Or `None`.
    - `key`: of the random numbers, the same in all fits.
    - `prune_every`: after so many steps the worse half is given up, and so on; never if `None`.
    """

    training: Training
    start: PyTree
    data: Any
    key: Any
    prune_every: int | None = None

    def __post_init__(self) -> None:
        self._devices = Devices()

    def init(self) -> Any:
        x = strong(self.start)
        state = strong(jax.vmap(self.training.optimizer.init)(x))
        count = len(jax.tree.leaves(x)[0])
        # The last model of each fit whose loss was finite, also of fits given up.
        return np.arange(count), *jax.device_get((x, state, x))

    def reached(self, carry: Any) -> PyTree:
        return carry[3]

    def advance(self, carry: Any, n: int, rows: list[Row]) -> tuple[Any, Row, str | None]:
        alive, x, state, reached = jax.device_get(carry)
        if self.prune_every is not None and n and n % self.prune_every == 0 and len(alive) > 1:
            recent = np.array([row[LOSS][alive] for row in rows[-max(self.prune_every // 2, 1) :]])
            mean = np.mean(np.where(np.isfinite(recent), recent, np.inf), axis=0)
            best = np.sort(np.argsort(mean, kind="stable")[: (len(alive) + 1) // 2])
            alive, x, state = jax.tree.map(lambda leaf: np.asarray(leaf)[best], (alive, x, state))
        data = jax.tree.map(lambda leaf: np.asarray(leaf)[alive], self.data)
        size = self._devices.whole(len(alive))
        padded = jax.tree.map(
            lambda leaf: np.concatenate([leaf, np.repeat(leaf[-1:], size - len(leaf), axis=0)]),
            (x, state, data),
        )
        results = self._devices.run(_step, (self.training, self.key, jnp.asarray(n)), padded)
        x, state, found, good = jax.tree.map(lambda leaf: leaf[: len(alive)], results)
        if not np.any(good) and not self.training.fresh_noise:
            row = _among(found, alive, reached)
            return (alive, x, state, reached), row, f"stopped: All are non-finite in step {n}."
        if not np.all(good) and n == 0:
            warnings.warn(
                f"{np.sum(~good)} of {good.size} starts are non-finite and stay where they are.",
                stacklevel=4,
            )
        reached = jax.tree.map(lambda all_of, new: _with(all_of, alive, new), reached, x)
        return (alive, x, state, reached), _among(found, alive, reached), None


def _with(all_of: np.ndarray, alive: np.ndarray, new: np.ndarray) -> np.ndarray:
    changed = np.array(all_of)
    changed[alive] = new
    return changed


def _among(found: Row, alive: np.ndarray, reached: PyTree) -> Row:
    """A row with the values of all fits: NaN for those given up."""
    count = len(jax.tree.leaves(reached)[0])
    return {
        name: _with(np.full((count, *np.shape(values)[1:]), np.nan), alive, values)
        for name, values in found.items()
    }
