"""How well data and simulations agree with themselves: the most that a fit can be asked for."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike

from nmm._custom_types import Key
from nmm.analysis import fc, upper_triangle
from nmm.analysis._signal import as_series

Agreement = Callable[[Any, Any], Any]


def split_half(
    series: ArrayLike, agreement: Agreement, *, feature: Callable[[Any], Any] | None = None
) -> tuple[float, float]:
    r"""Agreement of the first half of a recording with the second.

    A correlation r of halves foretells that of whole recordings with each other by the formula of
    Spearman and Brown, $2 r / (1 + r)$; the second number is that, and the noise ceiling of a model
    that has to predict this recording is its root.

    **Arguments:**

    - `series`: `(time, regions)`.
    - `agreement`: of two features, such as `fitting.objectives.correlation`.
    - `feature`: of a series; its FC over the upper triangle by default.

    **Returns:**

    The agreement of the halves, and that of whole recordings.

    **Raises:**

    - `ValueError`: `series` has another rank or fewer than 4 samples.
    """
    series = as_series(series, samples=4)
    of = _fc_edges if feature is None else feature
    half = len(series) // 2
    found = float(agreement(of(series[:half]), of(series[half : 2 * half])))
    return found, 2 * found / (1 + found)


def region_effects(fc: ArrayLike) -> np.ndarray:
    """The FC that comes closest to another as a sum of what its two regions bring, `a_i + a_j`.

    What can be said of an FC without any connectome: a fit with one value a region is to be judged
    beside it. By least squares over the pairs of regions; the diagonal is 1.

    **Arguments:**

    - `fc`: `(regions, regions)`, at least three of them.

    **Raises:**

    - `ValueError`: `fc` is not such a matrix.
    """
    fc = np.asarray(fc, float)
    if fc.ndim != 2 or fc.shape[0] != fc.shape[1] or len(fc) < 3:
        raise ValueError(f"`fc` should be (regions, regions), at least 3, got {fc.shape}.")
    i, j = np.triu_indices(len(fc), 1)
    design = np.zeros((len(i), len(fc)))
    design[np.arange(len(i)), i] = design[np.arange(len(i)), j] = 1
    effects = np.linalg.lstsq(design, fc[i, j], rcond=None)[0]
    predicted = effects[:, None] + effects
    np.fill_diagonal(predicted, 1)
    return predicted


def noise_ceiling(features: ArrayLike, agreement: Agreement) -> tuple[float, float]:
    """The most that a model of a group can agree with each of its subjects.

    **Arguments:**

    - `features`: one row a subject, such as `upper_triangle` of the FC of each.
    - `agreement`: of two features, such as `fitting.objectives.correlation`.

    **Returns:**

    The lower and the upper bound: the mean agreement of each subject with the mean of the others,
    and with the mean of all, which includes it.

    **Raises:**

    - `ValueError`: there are fewer than 3 subjects.
    """
    rows = jnp.asarray(features)
    if rows.ndim < 2 or len(rows) < 3:
        raise ValueError(f"`features` must hold at least 3 subjects; got shape {rows.shape}.")
    whole = jnp.mean(rows, axis=0)
    others = (len(rows) * whole - rows) / (len(rows) - 1)
    lower = np.mean([agreement(row, other) for row, other in zip(rows, others, strict=True)])
    return float(lower), float(np.mean([agreement(row, whole) for row in rows]))


def seed_to_seed(
    record: Callable[[Any, Key], Any],
    model: Any,
    key: Key,
    agreement: Agreement,
    *,
    lengths: tuple[int, ...] = (),
    seeds: int = 4,
    feature: Callable[[Any], Any] | None = None,
) -> dict[int, float]:
    """Agreement of simulations that differ by their noise alone, for several lengths of the run.

    The run length needed is where it levels off: what is fitted or reported on shorter runs is
    partly their noise.

    **Arguments:**

    - `record`: `record(model, key)` returns a series `(time, regions)`.
    - `model`: the model.
    - `key`: from which the keys of the runs are split.
    - `agreement`: of two features, such as `fitting.objectives.correlation`.
    - `lengths`: samples from the beginning that are used; all by default.
    - `seeds`: how many runs.
    - `feature`: of a series; its FC over the upper triangle by default.

    **Returns:**

    The mean agreement of all pairs of runs, by length.

    **Raises:**

    - `ValueError`: there are fewer than 2 seeds, or a length is longer than the series.
    """
    if seeds < 2:
        raise ValueError(f"`seeds` should be at least 2, got {seeds}.")
    runs = _runs(record, model, jax.random.split(key, seeds))
    of = _fc_edges if feature is None else feature
    report = {}
    for length in lengths or (runs.shape[1],):
        if not 2 <= length <= runs.shape[1]:
            raise ValueError(f"`lengths` should be 2 to {runs.shape[1]} samples, got {length}.")
        features = [of(run[:length]) for run in runs]
        pairs = [agreement(a, b) for i, a in enumerate(features) for b in features[:i]]
        report[length] = float(np.mean(pairs))
    return report


@eqx.filter_jit
def _runs(record: Callable[[Any, Key], Any], model: Any, keys: Any) -> Any:
    return jax.vmap(lambda key: record(model, key))(keys)


def _fc_edges(series: Any) -> Any:
    return upper_triangle(fc(series))
