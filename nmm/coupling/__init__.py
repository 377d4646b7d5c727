"""Couplings: what a region hears of the others."""

from ._base import AbstractCoupling as AbstractCoupling
from ._kuramoto import Kuramoto as Kuramoto
from ._linear import Diffusive as Diffusive, Linear as Linear, Scaling as Scaling
from ._pairwise import AbstractPairwise as AbstractPairwise
from ._sigmoidal import (
    PreSigmoidal as PreSigmoidal,
    Sigmoidal as Sigmoidal,
    SigmoidalJansenRit as SigmoidalJansenRit,
    SumOfTanh as SumOfTanh,
    TanhOfSum as TanhOfSum,
)
