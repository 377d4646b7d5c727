"""Figures, by matplotlib: `pip install nmm[plot]`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import ArrayLike, Real, Shaped

from ._extras import require
from ._phase_plane import phase_plane as phase_plane
from .analysis._spectrum import power_spectrum

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Of Okabe and Ito, which colour-blind readers can tell apart."""

MOST_LINES = len(COLOURS)
"""Regions that are drawn as lines of their own colours; more become an image."""


def time_series(
    solution: Any,
    names: Sequence[str] | str | None = None,
    ax: Any = None,
    *,
    regions: Sequence[str | int] | None = None,
    **options: Any,
) -> Any:
    """Draws the outputs of a run against time, one panel each.

    Up to seven regions are lines; more are an image with one row a region.

    **Arguments:**

    - `solution`: the `nmm.Solution` of a run.
    - `names`: outputs to draw; all by default.
    - `ax`: the axes to draw on, for a single output; a new figure by default.
    - `regions`: labels or numbers of the regions to draw; all by default.
    - `options`: passed to `Axes.plot` or `Axes.imshow`.

    **Returns:**

    The figure.

    **Raises:**

    - `KeyError` if there is no output of that name.
    - `ValueError` if there is no region of that name, `ax` is given for several outputs, or an
        output is not `(time,)` or `(time, regions)`.
    - `ModuleNotFoundError` without matplotlib: `pip install nmm[plot]`.
    """
    names = [names] if isinstance(names, str) else list(names or solution.outputs)
    if ax is not None and len(names) != 1:
        raise ValueError(f"`ax` is for one output, got {names}; choose one by `names`.")
    data = [_by_region(solution, name, regions) for name in names]
    times = [np.asarray(solution.times[name]) for name in names]
    axes = [ax] if ax is not None else _panels([len(labels) for _, labels in data])
    unit, scale = (
        ("s", 1000) if max((t[-1] for t in times if len(t)), default=0) >= 5000 else ("ms", 1)
    )
    for name, panel, t, (series, labels) in zip(names, axes, times, data, strict=True):
        title = _with_unit(name, dict(solution.units).get(name))
        draw = _image if len(labels) > MOST_LINES else _lines
        draw(panel, t / scale, series, labels, title, options)
    coloured = [p for p, (_, ls) in zip(axes, data, strict=True) if 1 < len(ls) <= MOST_LINES]
    for panel in coloured[:1]:
        panel.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False, handlelength=1)
    axes[-1].set_xlabel(f"Time ({unit})")
    axes[0].figure.align_ylabels(axes)
    return axes[0].figure


def matrix(
    matrix: Shaped[ArrayLike, "rows columns"],
    labels: Sequence[str] | None = None,
    ax: Any = None,
    *,
    title: str | None = None,
    label: str | None = None,
    **options: Any,
) -> Any:
    """Draws a matrix between regions, such as weights or functional connectivity.

    The colours span what lies off the diagonal, and are centred on 0 if either sign weighs there.

    **Arguments:**

    - `matrix`: `matrix[target, source]`.
    - `labels`: of the regions.
    - `ax`: the axes to draw on; a new figure by default.
    - `title`: above the matrix.
    - `label`: beside the colour bar, with its unit.
    - `options`: passed to `Axes.imshow`, such as `vmin`, `vmax`, `cmap`; `norm="log"` shows weights
        of all sizes.

    **Returns:**

    The axes.

    **Raises:**

    - `ValueError` if there is not one label for each row.
    - `ModuleNotFoundError` without matplotlib: `pip install nmm[plot]`.
    """
    values = np.asarray(matrix)
    if labels is not None and len(labels) != len(values):
        raise ValueError(
            f"`labels` should name each of the {len(values)} rows, got {len(labels)} labels."
        )
    ax = _axes((4.8, 4.0)) if ax is None else ax
    beside = values[~np.eye(*values.shape, dtype=bool)]
    picture = ax.imshow(values, **_colours(beside, options))
    if labels is not None:
        _label_rows(ax.yaxis, labels, 40)
        _label_rows(ax.xaxis, labels, 40, rotation=90)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    if title:
        ax.set_title(title)
    _colour_bar(ax, picture, label)
    return ax


def spectrum(
    signal: Real[ArrayLike, "time *regions"],
    dt: float | int,
    ax: Any = None,
    *,
    label: str | None = None,
    unit: str | None = None,
    segment: float | int | None = None,
    **options: Any,
) -> Any:
    """Draws the power spectral density of a saved signal, by Welch's method.

    Of several regions the mean is drawn, and the range of the middle 80 % of them.

    **Arguments:**

    - `signal`: one row a sample, without the transient.
    - `dt`: ms from row to row.
    - `ax`: the axes to draw on; a new figure by default.
    - `label`: of the line, for a legend.
    - `unit`: of the signal.
    - `segment`: length of the Hann windows in ms, which overlap by half; a quarter of the signal
        by default. Its inverse is the resolution.
    - `options`: passed to `Axes.plot`.

    **Returns:**

    The axes; logarithmic, from the lowest resolved frequency to that of Nyquist.

    **Raises:**

    - `ValueError` if the segment is shorter than 4 samples or longer than the signal.
    - `ModuleNotFoundError` without matplotlib: `pip install nmm[plot]`.
    """
    values = np.asarray(signal, dtype=float)
    resolved, powers = power_spectrum(values.reshape(len(values), -1), dt, segment=segment)
    # The ends are 0 and Nyquist's frequency, which have no counterpart at negative frequencies.
    frequency, power = np.asarray(resolved)[1:-1], np.asarray(powers).T[:, 1:-1]
    ax = _axes((5.6, 3.6)) if ax is None else ax
    (line,) = ax.loglog(frequency, power.mean(axis=0), label=label, **_line_options(options))
    if len(power) > 1:
        low, high = np.quantile(power, (0.1, 0.9), axis=0)
        ax.fill_between(frequency, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
    ax.set_xlim(frequency[0], frequency[-1])
    ax.set_xlabel("Frequency (Hz)")
    ax.set_ylabel(f"Power ({unit}²/Hz)" if unit and unit != "1" else "Power (1/Hz)")
    _clean(ax)
    return ax


def topography(
    values: Real[ArrayLike, " sensors"],
    positions: Real[ArrayLike, "sensors 3"],
    ax: Any = None,
    *,
    names: Sequence[str] | None = None,
    title: str | None = None,
    label: str | None = None,
    **options: Any,
) -> Any:
    """Draws what the sensors see at one moment as a map of the head from above, nose up.

    Positions are put on the sphere that fits them best, which is unrolled from the vertex; between
    sensors it is interpolated by the thinnest plate through their values.

    **Arguments:**

    - `values`: one a sensor.
    - `positions`: of the sensors, `LeadField.positions`: x to the right, y to the front, z up.
    - `ax`: the axes to draw on; a new figure by default.
    - `names`: of the sensors, to write beside them.
    - `title`: above the map.
    - `label`: beside the colour bar, with its unit; without it there is no bar.
    - `options`: passed to `Axes.contourf`, such as `levels`, `cmap`, `vmin` and `vmax`.

    **Returns:**

    The axes.

    **Raises:**

    - `ValueError` if there is not one position for each value, or there are fewer than 4.
    - `ModuleNotFoundError` without matplotlib: `pip install nmm[plot]`.
    """
    seen, places = np.asarray(values, float), np.asarray(positions, float)
    if len(seen) < 4 or places.shape != (len(seen), 3):
        raise ValueError(
            f"`positions` should be (sensors, 3) for the {len(seen)} `values`, at least 4; got "
            f"{places.shape}."
        )
    ax = _axes((3.6, 3.2)) if ax is None else ax
    points, rim = _unrolled(places)
    grid = np.linspace(-1, 1, 121)
    across, up = np.meshgrid(grid, grid)
    picture = _thin_plate(points / rim, seen, np.stack([across.ravel(), up.ravel()], axis=1))
    picture = np.ma.masked_where(across**2 + up**2 > 1, picture.reshape(across.shape))
    limit = 1.02 * float(np.abs(seen).max()) or 1.0
    colours = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit} | options
    levels = np.linspace(colours["vmin"], colours["vmax"], 21)
    shades = ax.contourf(across, up, picture, **({"levels": levels, "extend": "both"} | colours))
    angle = np.linspace(0, 2 * np.pi, 200)
    ax.plot(np.cos(angle), np.sin(angle), color="black", linewidth=1.2)
    ax.plot([-0.12, 0, 0.12], [0.995, 1.12, 0.995], color="black", linewidth=1.2)
    ax.plot(*(points / rim).T, "o", color="black", markersize=2)
    for (x, y), name in zip(points / rim, names or (), strict=False):
        ax.annotate(name, (x, y), fontsize=6, xytext=(0, 2), textcoords="offset points")
    ax.set(aspect="equal", xlim=(-1.05, 1.05), ylim=(-1.05, 1.15))
    ax.set_axis_off()
    if title:
        ax.set_title(title)
    if label:
        bar = ax.figure.colorbar(shades, ax=ax, label=label, aspect=25, pad=0.02)
        ends = colours["vmin"], colours["vmax"]
        ticks = require("matplotlib.ticker", "plot").MaxNLocator(6).tick_values(*ends)
        bar.set_ticks([tick for tick in ticks if ends[0] <= tick <= ends[1]])
        bar.outline.set_visible(False)
    return ax


def _unrolled(places: np.ndarray) -> tuple[np.ndarray, float]:
    """Sensors in the plane, their angles from the vertex as distances, and that of the rim."""
    # The sphere through them: |p|^2 = 2 c . p + constant, by least squares.
    design = np.concatenate([2 * places, np.ones((len(places), 1))], axis=1)
    centre = np.linalg.lstsq(design, np.sum(places**2, axis=1), rcond=None)[0][:3]
    away = places - centre
    angle = np.arctan2(np.hypot(away[:, 0], away[:, 1]), away[:, 2])
    azimuth = np.arctan2(away[:, 1], away[:, 0])
    points = angle[:, None] * np.stack([np.cos(azimuth), np.sin(azimuth)], axis=1)
    return points, float(angle.max()) * 1.05


def _thin_plate(points: np.ndarray, values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Interpolation by radial functions r^2 log r, and a plane."""

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        square = np.sum((a[:, None] - b) ** 2, axis=-1)
        return square * np.log(np.where(square > 0, square, 1))

    plane = np.concatenate([np.ones((len(points), 1)), points], axis=1)
    system = np.block([[kernel(points, points), plane], [plane.T, np.zeros((3, 3))]])
    weights = np.linalg.lstsq(system, np.concatenate([values, np.zeros(3)]), rcond=None)[0]
    return kernel(at, points) @ weights[:-3] + weights[-3] + at @ weights[-2:]


def _by_region(
    solution: Any, name: str, regions: Sequence[str | int] | None
) -> tuple[np.ndarray, list[str]]:
    """An output as `(time, regions)`, and the labels of its regions; `""` if there is but one."""
    values = np.asarray(solution[name])
    if values.ndim not in (1, 2):
        raise ValueError(
            f"{name!r} should have the shape (time,) or (time, regions), got {values.shape}; one "
            "run of a batch is `jax.tree.map(lambda x: x[0], sol)`."
        )
    if values.ndim == 1:
        return values[:, None], [""]
    known = [str(i) for i in range(values.shape[1])]
    if solution.regions is not None and len(solution.regions) == len(known):
        known = list(solution.regions)
    chosen = list(range(len(known)))
    if regions is not None:
        for region in regions:
            if region not in (*known, *range(len(known))):
                raise ValueError(
                    f"`regions` should be labels or numbers below {len(known)}, got {region!r}."
                )
        chosen = [known.index(r) if isinstance(r, str) else r for r in regions]
    return values[:, chosen], [known[i] for i in chosen]


def _panels(regions: list[int]) -> list[Any]:
    """One panel under the other, with room for this many regions."""
    heights = [2.6 if n > MOST_LINES else 1.6 for n in regions]
    _, axes = require("matplotlib.pyplot", "plot").subplots(
        len(heights),
        figsize=(8, 0.6 + sum(heights)),
        height_ratios=heights,
        sharex=True,
        squeeze=False,
        layout="constrained",
    )
    return list(axes[:, 0])


def _axes(size: tuple[float, float]) -> Any:
    return require("matplotlib.pyplot", "plot").subplots(figsize=size, layout="constrained")[1]


def _lines(
    ax: Any, times: np.ndarray, series: np.ndarray, labels: list[str], title: str, options: dict
) -> None:
    for label, values, colour in zip(labels, series.T, COLOURS, strict=False):
        ax.plot(times, values, label=label, **_line_options({"color": colour} | options))
    ax.set_ylabel(title)
    ax.margins(x=0)
    _clean(ax)


def _image(
    ax: Any, times: np.ndarray, series: np.ndarray, labels: list[str], title: str, options: dict
) -> None:
    # A sample fills the time since the one before.
    start = 2 * times[0] - times[1] if len(times) > 1 else 0.0
    edges = (start, times[-1], len(labels) - 0.5, -0.5)
    fill = {"aspect": "auto", "extent": edges} | options
    picture = ax.imshow(series.T, **_colours(series, fill))
    _label_rows(ax.yaxis, labels, 16)
    ax.tick_params(axis="y", length=0)
    ax.spines[:].set_visible(False)
    _colour_bar(ax, picture, title)


def _colours(values: np.ndarray, options: dict) -> dict:
    """Options of an image: sequential colours, or diverging ones where either sign weighs."""
    finite = values[np.isfinite(values)]
    base = {"interpolation": "nearest", "cmap": "viridis"}
    if "norm" in options or not finite.size:
        return base | options
    low, high = float(options.get("vmin", finite.min())), float(options.get("vmax", finite.max()))
    if min(-low, high) > max(-low, high) / 10:
        low, high = -max(-low, high), max(-low, high)
        base["cmap"] = "RdBu_r"
    return base | {"vmin": low, "vmax": high} | options


def _colour_bar(ax: Any, picture: Any, label: str | None) -> None:
    # Masked where a logarithm has no value, which is beyond neither end.
    scaled = np.ma.filled(picture.norm(picture.get_array()), 0.5)
    beyond = bool(np.any(scaled < -1e-6)), bool(np.any(scaled > 1 + 1e-6))
    ends = {(True, True): "both", (True, False): "min", (False, True): "max"}
    bar = ax.figure.colorbar(
        picture, ax=ax, label=label, extend=ends.get(beyond, "neither"), aspect=25, pad=0.02
    )
    bar.outline.set_visible(False)


def _label_rows(axis: Any, labels: Sequence[str], most: int, **text: Any) -> None:
    """Writes as many of the labels, evenly spaced, as are legible."""
    every = -(-len(labels) // most)
    size = 9 if len(labels) <= most // 2 else 6
    places = range(0, len(labels), every)
    axis.set_ticks(places, [labels[i] for i in places], fontsize=size, **text)


def _line_options(options: dict) -> dict:
    return {"linewidth": 1.0} | options


def _clean(ax: Any) -> None:
    ax.spines[["top", "right"]].set_visible(False)


def _with_unit(name: str, unit: str | None) -> str:
    return name if unit in (None, "1") else f"{name} ({unit})"
