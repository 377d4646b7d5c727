"""Many fits in one compiled step, side by side on all devices."""

import dataclasses
import math
import warnings
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from ._checkpoint import strong
from ._descent import choose_mode
from ._devices import Devices, one_by_one
from ._loop import AbstractMethod, Row
from ._loss import LOSS, message
from ._training import Training


def _step(shared: tuple[Training, Any, Any], fits: PyTree) -> PyTree:
    training, key, n = shared

    def one(fit: PyTree) -> PyTree:
        x, state = fit
        x, state, record = training.step(x, state, key, n)
        return x, state, record.row, record.good

    if _by_turns(training, len(jax.tree.leaves(fits)[0])):
        return jax.lax.map(one, fits)
    return jax.vmap(one)(fits)


def _by_turns(training: Training, fits: int) -> bool:
    """Whether the fits of a device go one after another, for the sake of compilation.

    Measured with the loss that the examples fit, on a CPU: gradients of 4 runs of 84 regions take
    as long at once as one after another, and longer to compile.
    """
    regions = math.prod(getattr(training.parameters.model, "shape", ()))
    return jax.default_backend() == "cpu" and regions >= _LARGE and fits <= _FEW


_LARGE, _FEW = 64, 4


@dataclasses.dataclass
class SideBySide(AbstractMethod):
    """Steps of all fits at once. A fit that is not finite stays where it is, and stops no other;
    one whose loss raises an error is given up.

    **Attributes:**

    - `training`: the step of one of them.
    - `start`: the free numbers at the start, the fits in front.
    - `key`: of the random numbers, the same in all fits.
    - `prune_every`: after so many steps the worse half is given up, and so on; never if `None`.
    - `automatic`: whether the mode is the one expected to be faster.
    """

    training: Training
    start: PyTree
    key: Any
    prune_every: int | None = None
    automatic: bool = False

    def __post_init__(self) -> None:
        self._devices = Devices()

    def init(self) -> Any:
        x = strong(self.start)
        state = strong(jax.vmap(self.training.optimizer.init)(x))
        count = len(jax.tree.leaves(x)[0])
        if self.automatic:
            one = jax.tree.map(lambda leaf: leaf[0], x)
            fits = self._padded((x, state))
            self.training = choose_mode(
                self.training,
                one,
                lambda training: self._devices.lower(
                    _step, (training, self.key, jnp.asarray(0)), fits
                ),
            )
            self.automatic = False
        # The last are those that each fit has reached, also fits that were given up.
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
        kept, results = self._run(alive, x, state, n)
        if results is None:
            row = {name: np.full_like(values, np.nan) for name, values in rows[-1].items()}
            ending = f"stopped: The loss raised an error for all starts in step {n}."
            return (kept, x, state, reached), row, ending
        alive, (x, state, found, good) = kept, results
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

    def _run(
        self, alive: np.ndarray, x: PyTree, state: PyTree, n: int
    ) -> tuple[np.ndarray, PyTree | None]:
        """The numbers of the fits whose loss did not raise, and the results of their step."""
        shared = (self.training, self.key, jnp.asarray(n))
        try:
            results = self._devices.run(_step, shared, self._padded((x, state)))
            return alive, jax.tree.map(lambda leaf: leaf[: len(alive)], results)
        except eqx.EquinoxRuntimeError:
            kept, results, errors = one_by_one(_step, shared, (x, state))
        if n == 0 and not len(kept):
            errors[0].add_note("It was raised for every start.")
            raise errors[0]
        for i, error in list(errors.items())[:1]:
            warnings.warn(
                f"The loss raised an error for {len(errors)} of {len(alive)} starts in step {n}, "
                f"which are given up, the first of them start {alive[i]}: {message(error)}",
                stacklevel=5,
            )
        return alive[kept], results

    def _padded(self, fits: PyTree) -> PyTree:
        """With the last one again and again, so that all devices have as many."""

        def pad(leaf: Any) -> np.ndarray:
            size = self._devices.whole(len(leaf))
            return np.concatenate([leaf, np.repeat(leaf[-1:], size - len(leaf), axis=0)])

        return jax.tree.map(pad, jax.device_get(fits))


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
