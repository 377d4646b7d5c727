"""The contract of a model: local dynamics of a region; nothing of networks, noise or solvers."""

import abc
import inspect
import types
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

import equinox as eqx
import jax.random as jr
import numpy as np
from jaxtyping import Array

from .._custom_types import Key
from .._declare import (
    broadcast_to,
    check_parameters,
    declarations,
    float_dtype,
    parameter_shape,
)

_Method = TypeVar("_Method", bound=Callable[..., Any])
_Model = TypeVar("_Model", bound="AbstractModel")


class State(eqx.Module):
    """Base of the states of models: one field a state variable, declared by `nmm.variable`."""


class Inputs(eqx.Module):
    """Base of the inputs of models: one field a slot, declared by `nmm.slot`, 0 by default."""


class AbstractDynamics(eqx.Module):
    """A vector field that can be simulated: a model, or a network of models.

    **Attributes:**

    - `node`: the model of a region; a model is its own.
    """

    node: eqx.AbstractVar[Any]

    @property
    @abc.abstractmethod
    def shape(self) -> tuple[int, ...]:
        """`(regions,)`, or `()` if nothing in it says how many regions there are."""

    @abc.abstractmethod
    def receive(self, t: Any, state: Any, inputs: Any) -> Any:
        """All that arrives at the slots: `inputs` plus what the regions hear of each other."""

    @abc.abstractmethod
    def vector_field(self, t: Any, state: Any, inputs: Any) -> Any:
        """The time derivative of `state`, per ms."""

    @abc.abstractmethod
    def initial_state(self, shape: tuple[int, ...] = (), key: Key | None = None) -> Any:
        """The state in which a run starts."""


class AbstractModel(AbstractDynamics):
    """Local dynamics of a region. Knows nothing of coupling, noise, delays or solvers.

    A model declares its parameters (`nmm.param`), its state variables (a nested
    `State`, `nmm.variable`) and its inputs (a nested `Inputs`, `nmm.slot`), names what it sends
    and where it receives, and writes down its equations in `vector_field`. Everything in it
    broadcasts: a scalar state is one region, `(regions,)` are several.

    **Attributes:**

    - `source`: the state variable or observable that other regions hear by default.
    - `target`: the input slot on which other regions act by default.
    - `output`: the state variable or observable that is observed by default.
    - `reference`: the paper that the equations follow.
    - `category`, `use`: for the catalogue of `nmm.list_models`, what kind of model it is and what
        it is typically used for.
    - `presets`: named sets of parameters; see `preset`.
    """

    State: ClassVar[type[State]]
    Inputs: ClassVar[type[Inputs]]
    source: ClassVar[str]
    target: ClassVar[str]
    output: ClassVar[str]
    reference: ClassVar[str] = ""
    category: ClassVar[str] = ""
    use: ClassVar[str] = ""
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    def __check_init__(self) -> None:
        for attribute in ("State", "Inputs", "source", "target"):
            if not hasattr(type(self), attribute):
                raise TypeError(f"The model `{type(self).__name__}` should define `{attribute}`.")
        check_parameters(self)

    @classmethod
    def preset(cls: type[_Model], name: str, **parameters: Any) -> _Model:
        """The model with the named set of published parameters.

        **Arguments:**

        - `name`: one of `cls.presets`.
        - `parameters`: values that go before those of the set.

        **Raises:**

        - `ValueError` if there is no set of that name.
        """
        if name not in cls.presets:
            raise ValueError(
                f"`name` should be a preset of `{cls.__name__}`, one of "
                f"{sorted(cls.presets)}, got {name!r}."
            )
        chosen = {**cls.presets[name], **parameters}
        # A part, such as a transfer function, is written as its class or a function that makes it,
        # since no array may be made on import.
        makes = (type, types.FunctionType)
        return cls(**{k: v() if isinstance(v, makes) else v for k, v in chosen.items()})

    @property
    def node(self: _Model) -> _Model:
        return self

    @property
    def shape(self) -> tuple[int, ...]:
        return parameter_shape(self)

    def receive(self, t: Any, state: Any, inputs: Any) -> Any:
        del t, state  # A region alone hears nobody.
        return inputs

    def initial_state(self, shape: tuple[int, ...] = (), key: Key | None = None) -> Any:
        """The state in which a run starts.

        **Arguments:**

        - `shape`: of the regions, `()` or `(regions,)`; batch axes may stand in front.
        - `key`: draws every variable uniformly from its declared range of starts. Without it,
            each variable has its default value.

        **Returns:**

        A `State` with leaves of that shape, broadcast against regional parameters.
        """
        shape = np.broadcast_shapes(shape, self.shape)
        dtype = float_dtype(self)
        declared = declarations(self.State)
        if key is None:
            start = {k: broadcast_to(d.default, shape, dtype) for k, d in declared.items()}
        else:
            keys = jr.split(key, len(declared))
            start = {
                name: jr.uniform(k, shape, dtype, *(d.start or (d.default, d.default)))
                for k, (name, d) in zip(keys, declared.items(), strict=True)
            }
        return self.State(**start)


def observable(unit: str) -> Callable[[_Method], _Method]:
    """Marks a method of a model as an observable, `f(state)` or `f(state, inputs)`.

    `nmm.describe` lists it, with its unit and the first line of its docstring.
    """

    def mark(method: _Method) -> _Method:
        method.__nmm_unit__ = unit  # type: ignore[attr-defined]
        return method

    return mark


def observables(model: AbstractModel | type[AbstractModel]) -> dict[str, tuple[str, str]]:
    """Unit and meaning of each observable of a model, by name."""
    cls = model if isinstance(model, type) else type(model)
    found = {}
    for name, member in inspect.getmembers(cls):
        unit = getattr(member, "__nmm_unit__", None)
        if unit is not None:
            found[name] = (unit, (inspect.getdoc(member) or "").partition("\n")[0])
    return found


def evaluate(model: AbstractModel, name: str, state: Any, inputs: Any) -> Array:
    """The state variable or observable called `name`.

    **Arguments:**

    - `inputs`: a function without arguments that returns the inputs; called only if needed.

    **Raises:**

    - `ValueError` if the model has nothing of that name.
    """
    if name in declarations(model.State):
        return getattr(state, name)
    method: Callable[..., Array] | None = getattr(model, name, None)
    if not callable(method) or name.startswith("_"):
        raise ValueError(unknown_signal(model, name))
    if len(inspect.signature(method).parameters) > 1:
        return method(state, inputs())
    return method(state)


def unknown_signal(model: AbstractModel, name: str) -> str:
    """The message about a name that is neither a state variable nor an observable."""
    known = [*declarations(model.State), *observables(model)]
    return (
        f"{name!r} is neither a state variable nor an observable of `{type(model).__name__}`; "
        f"it should be one of {known}."
    )
