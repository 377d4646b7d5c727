"""What a run keeps: states, observables and observers, by name."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import equinox as eqx

from .._custom_types import Signal
from .._declare import declarations
from .._mixed import AbstractMixture
from ..models._base import AbstractDynamics, AbstractModel, evaluate, observables, unknown_signal
from ..observe import AbstractObserver, AbstractStatistic, AfferentInput
from ..observe._base import Axes


class Outputs(eqx.Module):
    """What a run keeps.

    **Attributes:**

    - `whole`: whether whole states are kept, as a State.
    - `signals`: values kept as they are every so often, by name.
    - `observers`: observers that ride along, by name.
    - `statistics`: those of them whose samples are not kept, but gathered.
    """

    whole: bool = eqx.field(static=True)
    signals: dict[str, Signal] = eqx.field(static=True)
    observers: dict[str, AbstractObserver]
    statistics: dict[str, AbstractStatistic]


def parse_save(model: AbstractDynamics, save: Any) -> Outputs:
    """Reads the argument `save` of `nmm.simulate`.

    **Raises:**

    - `ValueError` if it names what the model does not have.
    - `TypeError` if it is of no kind that is understood.
    """
    node = model.node
    if save is None:
        return Outputs(True, {}, {}, {})
    if isinstance(save, str):
        save = [save]
    if isinstance(save, AbstractObserver | AbstractStatistic) or callable(save):
        raise TypeError(
            "`save` should give names to observers and functions, as in {'bold': "
            f"nmm.observe.BOLD(720.0)}}; got {save!r}."
        )
    if not isinstance(save, Mapping):
        if not isinstance(save, Sequence) or not all(isinstance(name, str) for name in save):
            raise TypeError(f"`save` should be None, names, or a dict by name; got {save!r}.")
        save = {name: name for name in save}
    signals, observers, statistics = {}, {}, {}
    for name, what in save.items():
        if not isinstance(name, str) or not name:
            raise TypeError(f"`save` should have names for keys, got {name!r}.")
        if isinstance(what, AbstractStatistic):
            statistics[name] = what
            what = what.of
        if isinstance(what, AbstractObserver):
            check_signal(node, what.signal)
            observers[name] = what
        else:
            check_signal(node, what)
            signals[name] = what
    return Outputs(False, signals, observers, statistics)


def warn_of_nothing(
    outputs: Outputs, t1: float, transient: float, save_every: float | None
) -> None:
    """Warns of what has no value by the end of a run, since its first one is due later."""

    def due(period: float, rhythm: int = 1, fewest: int = 1) -> float:
        dropped = int(transient / period * (1 + 1e-9))
        return (-(-dropped // rhythm) * rhythm + fewest) * period

    kept = ["whole states"] if outputs.whole else list(outputs.signals)
    firsts = {} if save_every is None else {name: due(save_every) for name in kept}
    for name, observer in outputs.observers.items():
        statistic = outputs.statistics.get(name)
        needed = () if statistic is None else (statistic.rhythm, statistic.fewest)
        firsts[name] = due(observer.period, *needed)
    late = {name: first for name, first in firsts.items() if first > t1 * (1 + 1e-9)}
    for name, first in late.items():
        warnings.warn(
            f"`save` gets nothing of {name!r}, whose first value is due at {first:g} ms: the run "
            f"ends at {t1:g} ms. Raise `t1`, or go on by `y0=sol`.",
            stacklevel=3,
        )


def check_signal(node: AbstractModel, signal: Signal) -> None:
    """Refuses the name of what the model does not have."""
    if isinstance(signal, AfferentInput) and signal.slot not in declarations(node.Inputs):
        raise ValueError(
            f"`slot` of `AfferentInput` should be an input slot of `{type(node).__name__}`, one of "
            f"{list(declarations(node.Inputs))}; got {signal.slot!r}."
        )
    if signal is None or (callable(signal) and not isinstance(signal, type)):
        return
    if not isinstance(signal, str):
        raise TypeError(
            "A signal should be a name, a function (t, state, inputs) or an observer; "
            f"got {signal!r}."
        )
    known = {*declarations(node.State), *observables(node)}
    # Methods of every model, such as `vector_field`, are no signals.
    own = not signal.startswith("_") and not hasattr(AbstractModel, signal)
    public_method = own and callable(getattr(node, signal, None))
    if signal not in known and not public_method:
        raise ValueError(unknown_signal(node, signal))


def evaluate_signal(
    node: AbstractModel, signal: Signal, t: Any, state: Any, inputs: Callable[[], Any]
) -> Any:
    """The value of a signal. `inputs` is called only if it is needed."""
    if signal is None:
        signal = node.output
    if isinstance(signal, str):
        return evaluate(node, signal, state, inputs)
    return signal(t, state, inputs())


def meanings(
    node: AbstractModel, outputs: Outputs
) -> tuple[dict[str, str | None], dict[str, Axes]]:
    """The units of all outputs, and the axes of those that are not by region."""
    signals = list(vars(node.initial_state())) if outputs.whole else outputs.signals
    units = {name: unit_of(node, outputs.signals.get(name, name)) for name in signals}
    axes: dict[str, Axes] = {}
    for name, observer in outputs.observers.items():
        statistic = outputs.statistics.get(name)
        units[name] = (statistic or observer).unit(unit_of(node, observer.signal or node.output))
        of_sample = observer.axes
        if statistic is not None:
            axes[name] = statistic.axes(of_sample or (("region", None),))
        elif of_sample is not None:
            axes[name] = of_sample
    return units, axes


def within(node: AbstractModel, outputs: Outputs) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Of outputs that only some regions of a mixture of models have, which."""
    if not isinstance(node, AbstractMixture):
        return ()
    signals: dict[str, Signal] = {name: name for name in declarations(node.State)}
    signals = signals if outputs.whole else dict(outputs.signals)
    signals |= {n: o.signal for n, o in outputs.observers.items() if o.axes is None}
    samples = signals.keys() - outputs.statistics.keys()
    found = ((name, node.regions_of(signals[name])) for name in signals if name in samples)
    return tuple((name, regions) for name, regions in found if regions is not None)


def unit_of(node: AbstractModel, signal: Signal) -> str | None:
    """The unit of a signal, as far as it is declared."""
    if isinstance(signal, AfferentInput):
        return declarations(node.Inputs)[signal.slot].unit
    if not isinstance(signal, str):
        return None
    variables = declarations(node.State)
    if signal in variables:
        return variables[signal].unit
    return observables(node).get(signal, (None,))[0]
