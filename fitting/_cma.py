"""Search without gradients, for losses that are not smooth: CMA-ES by the package `cma`."""

import dataclasses
import pickle
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import PyTree

from nmm._extras import require

from ._devices import one_by_one
from ._loop import AbstractMethod, Row
from ._loss import LOSS, RESIDUALS, Loss, mean_over_seeds, split, with_parts
from ._non_finite import OnNonFinite, noted, report
from ._parameters import Parameters


@dataclasses.dataclass(frozen=True)
class CMA:
    """Evolution strategy with adaptation of the covariance matrix (CMA-ES).

    It needs no gradient, so the loss may have steps, and its values but not their scale count. Each
    step evaluates a population side by side, all on the same noise; candidates that are not finite
    are the worst. It copes with tens of free numbers; for a global start, begin with a wide `sigma`
    and hand `result.best` to an optimiser with gradients.

    Reference: Hansen, arXiv:1604.00772 (2016). Needs `pip install nmm[evo]`.

    **Arguments:**

    - `sigma`: the standard deviation of the first population, in unconstrained numbers (of which a
        unit is a quarter of the width in the middle of an `Interval`, and a factor of e in a
        `Positive`).
    - `population`: candidates a step; by default 4 + 3 log(n) for n free numbers.
    - `seed`: of the search.
    """

    sigma: float = 0.5
    population: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.sigma > 0:
            raise ValueError(f"`sigma` should be positive, got {self.sigma}.")
        if self.population is not None and self.population < 4:
            raise ValueError(f"`population` should be at least 4, got {self.population}.")


class _Normal:
    """Standard normal numbers, in a form that a file can hold."""

    def __init__(self, seed: int):
        self._generator = np.random.default_rng(seed)

    def __call__(self, *shape: int) -> np.ndarray:
        return self._generator.standard_normal(shape)


def _population(shared: tuple[Loss, Parameters, Any, int], x: PyTree) -> dict[str, Any]:
    loss, parameters, key, seeds = shared

    def one(x: PyTree) -> dict[str, Any]:
        value, parts = split(mean_over_seeds(loss, parameters.model_at(x), key, seeds))
        parts.pop(RESIDUALS, None)
        return with_parts({LOSS: value, **parameters.reported(x)}, parts)

    return jax.vmap(one)(x)


_compiled = eqx.filter_jit(_population)


@dataclasses.dataclass
class Search(AbstractMethod):
    """Generations of CMA-ES, whose rows are those of the best candidates."""

    loss: Loss
    parameters: Parameters
    cma: CMA
    key: Any
    fresh_noise: bool
    seeds: int
    on_non_finite: OnNonFinite

    def __post_init__(self) -> None:
        self._module = require("cma", "evo")
        start, unravel = ravel_pytree(self.parameters.to_unconstrained(self.parameters.start))
        self._start, self._unravel = np.asarray(start, float), jax.vmap(unravel)
        self._dtype = start.dtype

    def init(self) -> Any:
        options = {"verbose": -9, "randn": _Normal(self.cma.seed), "seed": np.nan}
        if self.cma.population is not None:
            options["popsize"] = self.cma.population
        # The method is not made for one dimension: a second one, without effect, is added.
        start = np.pad(self._start, (0, max(0, 2 - self._start.size)))
        return self._module.CMAEvolutionStrategy(start, self.cma.sigma, options)

    def _numbers(self, candidates: Any) -> PyTree:
        flat = np.asarray(candidates, self._dtype)[:, : self._start.size]
        return self._unravel(jnp.asarray(flat))

    def reached(self, carry: Any) -> PyTree:
        return jax.tree.map(lambda x: x[0], self._numbers([carry.mean]))

    def advance(self, carry: Any, n: int, rows: list[Row]) -> tuple[Any, Row, str | None]:
        carry = pickle.loads(pickle.dumps(carry))  # An interruption leaves the old one whole.
        key = self.key
        if key is not None and self.fresh_noise:
            key = jax.random.fold_in(key, n)
        candidates = carry.ask()
        x = self._numbers(candidates)
        table = self._evaluate(x, key, n)
        losses = np.asarray(table[LOSS], float)
        if not np.any(np.isfinite(losses)):
            row = {name: values[0] for name, values in table.items()}
            values = jax.device_get(self.parameters.from_unconstrained(self.reached(carry)))
            ending = report("No candidate has a finite loss", n, values, self.on_non_finite)
            return carry, row, None if self.on_non_finite == "skip" else ending
        worst = np.max(losses[np.isfinite(losses)])
        carry.tell(candidates, np.where(np.isfinite(losses), losses, worst + abs(worst) + 1))
        best = np.nanargmin(np.where(np.isfinite(losses), losses, np.nan))
        ending = ", ".join(carry.stop()) or None
        row = {name: values[best] for name, values in table.items()}
        return carry, row, ending and f"converged ({ending})"

    def _evaluate(self, x: PyTree, key: Any, n: int) -> dict[str, Any]:
        """The table of a population. Candidates for which the loss raises are not finite."""
        shared = (self.loss, self.parameters, key, self.seeds)
        try:
            return jax.device_get(_compiled(shared, x))
        except eqx.EquinoxRuntimeError:
            good, found, errors = one_by_one(_population, shared, x)
        values = jax.device_get(jax.vmap(self.parameters.reported)(x))
        if not len(good):
            with noted(n, lambda: values):
                raise next(iter(errors.values()))
        table = {}
        for name, of_good in found.items():
            table[name] = np.full((len(good) + len(errors), *of_good.shape[1:]), np.nan)
            table[name][good] = of_good
        return table | values

    def pack(self, carry: Any) -> dict[str, np.ndarray]:
        return {"strategy": np.frombuffer(pickle.dumps(carry), np.uint8)}

    def unpack(self, arrays: dict[str, np.ndarray]) -> Any:
        return pickle.loads(arrays["strategy"].tobytes())
