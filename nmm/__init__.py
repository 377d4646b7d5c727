"""Differentiable neural mass models."""

from . import models as models, units as units
from ._declare import param as param, slot as slot, variable as variable
from .models import (
    AbstractDynamics as AbstractDynamics,
    AbstractModel as AbstractModel,
    Hopf as Hopf,
    Inputs as Inputs,
    JansenRit as JansenRit,
    MontbrioPazoRoxin as MontbrioPazoRoxin,
    observable as observable,
    ReducedWongWang as ReducedWongWang,
    Sigmoid as Sigmoid,
    State as State,
    WilsonCowan as WilsonCowan,
    WongWangExcInh as WongWangExcInh,
)
