"""The phase plane of models with two variables."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ._declare import declarations
from ._extras import require
from .models._base import AbstractModel

Limits = Sequence[float | int] | None


def phase_plane(
    model: AbstractModel,
    ax: Any = None,
    *,
    inputs: Any = None,
    limits: tuple[Limits, Limits] = (None, None),
    points: Sequence[Any] | None = None,
    flow: bool = True,
) -> Any:
    """Draws where the two variables of a model go: its nullclines, flow and fixed points.

    A variable does not change on its nullcline, that of the first is solid, of the second dashed. A
    full dot is a stable fixed point, a ring one that is not.

    ```python
    nmm.plot.phase_plane(nmm.FitzHughNagumo(), limits=((-0.5, 1.2), (-0.2, 0.4)))
    ```

    **Arguments:**

    - `model`: a bare model of two variables, with scalar parameters.
    - `ax`: the axes to draw on; a new figure by default. What is on them already, a run, say, is
        kept.
    - `inputs`: constant `Inputs`, or `None`.
    - `limits`: `(low, high)` of the first and of the second variable. By default those of the axes
        if something is drawn there, else the declared range of random starts.
    - `points`: the fixed points; by default those that `nmm.analysis.fixed_points` finds.
    - `flow`: whether to draw the direction of the flow.

    **Returns:**

    The figure.

    **Raises:**

    - `ValueError` if the model has not two variables, or limits are none.
    - `ModuleNotFoundError` without matplotlib: `pip install nmm[plot]`.
    """
    names = list(declarations(model.State)) if isinstance(model, AbstractModel) else []
    if len(names) != 2:
        raise ValueError(
            f"`model` should be a bare model of two variables, got {type(model).__name__} of "
            f"{names}."
        )
    if ax is None:
        pyplot = require("matplotlib.pyplot", "plot")
        ax = pyplot.subplots(figsize=(4, 3.6), layout="constrained")[1]
    drawn = (ax.get_xlim(), ax.get_ylim()) if ax.has_data() else (None, None)
    ends = [_ends(model, *each) for each in zip(names, limits, drawn, strict=True)]
    x, y = np.meshgrid(*(np.linspace(*pair, 120) for pair in ends))
    inputs = model.Inputs() if inputs is None else inputs
    field = jax.jit(jax.vmap(lambda *xy: model.vector_field(0.0, model.State(*xy), inputs)))
    slopes = jax.tree.leaves(field(jnp.asarray(x.ravel()), jnp.asarray(y.ravel())))
    slopes = [np.asarray(slope).reshape(x.shape) for slope in slopes]
    if flow:
        options = {"color": "0.8", "linewidth": 0.5, "arrowsize": 0.6, "density": 0.9}
        ax.streamplot(x, y, *slopes, zorder=0.5, **options)
    for slope, style in zip(slopes, ("-", "--"), strict=True):
        line = {"colors": "0.6", "linewidths": 0.8, "linestyles": style}
        ax.contour(x, y, slope, levels=[0.0], **line)
    if points is None:
        from .analysis import fixed_points  # Runs import plots, and need no fixed points.

        points = fixed_points(model, key=jax.random.key(0), inputs=inputs)
    for point in points:
        place = [float(getattr(point.state, name)) for name in names]
        face = "black" if bool(point.stable) else "white"
        ax.plot(*place, "o", color="black", markerfacecolor=face, markersize=4)
    for axis, name, pair in zip("xy", names, ends, strict=True):
        unit = declarations(model.State)[name].unit
        ax.set(**{f"{axis}lim": pair, f"{axis}label": name if unit == "1" else f"{name} ({unit})"})
    ax.spines[["top", "right"]].set_visible(False)
    return ax.figure


def _ends(model: Any, name: str, given: Limits, drawn: Limits) -> tuple[float, float]:
    """The limits of one variable."""
    if given is not None:
        if len(given) != 2 or not given[0] < given[1]:
            raise ValueError(f"`limits` of {name!r} should be (low, high), got {given!r}.")
        return float(given[0]), float(given[1])
    if drawn is not None:
        return float(drawn[0]), float(drawn[1])
    declaration = declarations(model.State)[name]
    low, high = declaration.start or (declaration.default - 1, declaration.default + 1)
    return float(low), float(high)
