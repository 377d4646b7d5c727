"""Differentiable neural mass models."""

from . import models as models, units as units
from ._declare import param as param, slot as slot, variable as variable
from ._describe import describe as describe
from .models import (
    AbstractDynamics as AbstractDynamics,
    AbstractModel as AbstractModel,
    Hopf as Hopf,
    Inputs as Inputs,
    JansenRit as JansenRit,
    MontbrioPazoRoxin as MontbrioPazoRoxin,
    ReducedWongWang as ReducedWongWang,
    Sigmoid as Sigmoid,
    State as State,
    WilsonCowan as WilsonCowan,
    WongWangExcInh as WongWangExcInh,
    observable as observable,
)
