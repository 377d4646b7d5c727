"""How inhibition acts on a population: parts of the Wilson–Cowan models."""

import abc
from typing import Any

import equinox as eqx

from .._custom_types import Parameter, Value
from .._declare import param


class AbstractInhibition(eqx.Module):
    """What a population makes of the excitation and the inhibition that reach it."""

    @abc.abstractmethod
    def __call__(self, excitation: Value, inhibition: Value) -> tuple[Any, Any]:
        """The net input of the transfer function, and the gain of its response."""


class Subtractive(AbstractInhibition):
    """Inhibition is taken off the input, $F(e - i)$: the form of Wilson and Cowan."""

    def __call__(self, excitation: Value, inhibition: Value) -> tuple[Any, Any]:
        return excitation - inhibition, 1.0


class DivisiveGain(AbstractInhibition):
    r"""Inhibition divides the response, $F(e) / (\sigma + i)$.

    At $\sigma$ = 1 and without inhibition it changes nothing. $\sigma + i$ must stay above 0.

    Reference: Carandini, Heeger (2012) Nature Reviews Neuroscience 13:51.
    """

    sigma: Parameter = param(1.0, unit="1", doc="semi-saturation", bounds=(0.5, 5.0))

    def __call__(self, excitation: Value, inhibition: Value) -> tuple[Any, Any]:
        return excitation, 1 / (self.sigma + inhibition)


class DivisiveInput(AbstractInhibition):
    r"""Inhibition divides the recurrent input, $F(e / (\sigma + i))$, but no external drive.

    At $\sigma$ = 1 and without inhibition it changes nothing. $\sigma + i$ must stay above 0.

    Reference: Reynolds, Heeger (2009) Neuron 61:168.
    """

    sigma: Parameter = param(1.0, unit="1", doc="semi-saturation", bounds=(0.5, 5.0))

    def __call__(self, excitation: Value, inhibition: Value) -> tuple[Any, Any]:
        return excitation / (self.sigma + inhibition), 1.0
