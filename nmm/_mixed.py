"""Networks whose regions follow different models."""

import functools
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array

from ._custom_types import Key, Value
from ._declare import declarations, slot, variable
from .models._base import AbstractModel, Inputs, State, evaluate, observable, observables


def mix(parts: Mapping[str, tuple[AbstractModel, Sequence[int]]]) -> AbstractModel:
    """A model of which some regions follow one model, and others another.

    ```python
    node = nmm.mix({
        "cortex": (nmm.WilsonCowan(), range(0, 68)),
        "thalamus": (nmm.FitzHughNagumo(), [68, 69]),
    })
    net = nmm.Network(node, conn, nmm.coupling.Linear(G=0.1))
    ```

    In a network every region sends the source of its own model (`sent`) and receives at the target
    of its own model (the slot `heard`). State variables, slots and observables have the name of
    their part in front, as in `cortex_rE`, for noise, stimuli and `save`; they are there for all
    regions, 0 and of no effect outside of their part, where noise does not move them either.
    Parameters have paths such as `"node.parts.cortex.P"`. The default output, `observed`, is the
    output of each region's model.

    **Arguments:**

    - `parts`: model and regions of each part, by name. Parameters of a model may be regional, for
        the regions of its part, in the order given.

    **Returns:**

    A model for all of these regions, for `nmm.Network` and `nmm.simulate`.

    **Raises:**

    - `ValueError` if a name is no identifier, a region belongs to no part or to two, or regional
        parameters are not given for the regions of the part.
    - `TypeError` if a part is no model.
    """
    for name, (model, regions) in parts.items():
        if not isinstance(model, AbstractModel):
            raise TypeError(f"`parts[{name!r}]` should hold a model, got {model!r}.")
        if not name.isidentifier():
            raise ValueError(f"`parts` should have names such as 'cortex', got {name!r}.")
        if model.shape not in ((), (len(regions),)):
            raise ValueError(
                f"The regional parameters of `parts[{name!r}]` should be given for its "
                f"{len(regions)} regions, got {model.shape[0]}."
            )
    found = sorted(int(i) for _, regions in parts.values() for i in regions)
    if not found or found != list(range(len(found))):
        raise ValueError(
            f"`parts` should hold every region from 0 to {max(found, default=0)} once, got {found}."
        )
    cls = _class_of(tuple((name, type(model)) for name, (model, _) in parts.items()))
    return cls(
        {name: model for name, (model, _) in parts.items()},
        {name: tuple(int(i) for i in regions) for name, (_, regions) in parts.items()},
    )


class AbstractMixture(AbstractModel):
    """What all mixtures share; their states and slots are made for them by `mix`."""

    parts: dict[str, AbstractModel]
    regions: dict[str, tuple[int, ...]] = eqx.field(static=True)

    @property
    def shape(self) -> tuple[int]:
        return (sum(map(len, self.regions.values())),)

    def vector_field(self, t: Any, state: Any, inputs: Any) -> Any:
        slopes = {}
        for name, model in self.parts.items():
            own = model.vector_field(t, self._state(name, state), self._inputs(name, inputs))
            for field, slope in vars(own).items():
                key = f"{name}_{field}"
                slopes[key] = self._spread(name, slope, getattr(state, key))
        return self.State(**slopes)

    def initial_state(self, shape: tuple[int, ...] = (), key: Key | None = None) -> Any:
        shape = np.broadcast_shapes(shape, self.shape)
        start = {}
        for i, (name, model) in enumerate(self.parts.items()):
            own = model.initial_state(
                (*shape[:-1], len(self.regions[name])), None if key is None else jr.fold_in(key, i)
            )
            for field, value in vars(own).items():
                empty = jnp.zeros(shape, value.dtype)
                start[f"{name}_{field}"] = self._spread(name, value, empty)
        return self.State(**start)

    def regions_of(self, signal: Any) -> tuple[int, ...] | None:
        """The regions that have a state variable, slot or observable; `None` if all have it."""
        for name, model in self.parts.items() if isinstance(signal, str) else ():
            own = {*declarations(model.State), *declarations(model.Inputs), *observables(model)}
            if signal in {f"{name}_{each}" for each in own}:
                return self.regions[name]
        return None

    def confine(self, values: dict[str, Any]) -> dict[str, Any]:
        """Values by state variable, 0 in regions that do not have it."""
        there = {name: np.zeros(self.shape, bool) for name in values}
        for name, each in there.items():
            each[list(self.regions_of(name) or ())] = True
        return {name: jnp.where(there[name], value, 0) for name, value in values.items()}

    def _state(self, name: str, state: Any) -> Any:
        """The state of a part alone."""
        cls, where = self.parts[name].State, np.array(self.regions[name])
        return cls(**{k: getattr(state, f"{name}_{k}")[..., where] for k in declarations(cls)})

    def _inputs(self, name: str, inputs: Any) -> Any:
        """What arrives at a part alone."""
        model, where = self.parts[name], np.array(self.regions[name])

        def of_part(value: Any) -> Any:
            return value if jnp.ndim(value) == 0 else value[..., where]

        slots = {k: of_part(getattr(inputs, f"{name}_{k}")) for k in declarations(model.Inputs)}
        slots[model.target] = slots[model.target] + of_part(inputs.heard)
        return model.Inputs(**slots)

    def _spread(self, name: str, values: Value, like: Array) -> Array:
        """Values of a part at its regions, 0 elsewhere."""
        where = np.array(self.regions[name])
        return jnp.zeros_like(like).at[..., where].set(values)

    def _signal(self, name: str, signal: str, state: Any, inputs: Any) -> Array:
        """A signal of a part at its regions, 0 elsewhere."""

        def received() -> Any:
            return self._inputs(name, inputs)

        value = evaluate(self.parts[name], signal, self._state(name, state), received)
        shape = (*value.shape[:-1], *self.shape)
        return self._spread(name, value, jnp.zeros(shape, value.dtype))


@functools.cache
def _class_of(kinds: tuple[tuple[str, type[AbstractModel]], ...]) -> Any:
    """One class for each combination of models, so that compiled functions are found again."""
    title = "".join(f"{cls.__name__}In{name.capitalize()}" for name, cls in kinds)
    variables, signals = {}, {}
    slots = {"heard": slot(unit="1", doc="at the target of each region's model")}
    for name, cls in kinds:
        for field, d in declarations(cls.State).items():
            options = {"unit": d.unit, "doc": d.doc, "start": d.start, "bounds": d.bounds}
            variables[f"{name}_{field}"] = variable(d.default, **options)
        for field, d in declarations(cls.Inputs).items():
            slots[f"{name}_{field}"] = slot(unit=d.unit, doc=d.doc, bounds=d.bounds)
        for signal, (unit, doc) in observables(cls).items():
            takes_inputs = _takes_inputs(cls, signal)
            signals[f"{name}_{signal}"] = _observable(((name, signal),), unit, doc, takes_inputs)
    outputs = [(name, getattr(cls, "output", cls.source)) for name, cls in kinds]
    need = any(
        _takes_inputs(cls, signal) for (_, cls), (_, signal) in zip(kinds, outputs, strict=True)
    )
    sources = [(name, cls.source) for name, cls in kinds]
    signals["sent"] = _observable(tuple(sources), "1", "Source of each region's model.", False)
    signals["observed"] = _observable(tuple(outputs), "1", "Output of each region's model.", need)
    make: Any = type(eqx.Module)
    return make(
        title,
        (AbstractMixture,),
        {
            "__doc__": f"Regions that follow {', '.join(cls.__name__ for _, cls in kinds)}.",
            "__module__": __name__,
            "State": _record(State, f"{title}State", variables),
            "Inputs": _record(Inputs, f"{title}Inputs", slots),
            "source": "sent",
            "target": "heard",
            "output": "observed",
            **signals,
        },
    )


def _takes_inputs(cls: type, signal: str) -> bool:
    method = getattr(cls, signal, None)
    return callable(method) and len(inspect.signature(method).parameters) > 2


def _record(base: type, title: str, fields: dict[str, Any]) -> type:
    annotations = dict.fromkeys(fields, Any)
    return type(base)(title, (base,), {"__annotations__": annotations, **fields})


def _observable(parts: tuple[tuple[str, str], ...], unit: str, doc: str, takes_inputs: bool) -> Any:
    """A method that sums a signal of each part, of which others are 0 there."""

    def with_inputs(self: Any, state: Any, inputs: Any) -> Any:
        return sum(self._signal(name, signal, state, inputs) for name, signal in parts)

    def of_state(self: Any, state: Any) -> Any:
        return with_inputs(self, state, None)

    method = with_inputs if takes_inputs else of_state
    method.__doc__ = doc
    return observable(unit=unit)(method)
