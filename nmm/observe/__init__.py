"""Observation: from states to what a scanner sees."""

from ._balloon_windkessel import (
    BalloonWindkessel as BalloonWindkessel,
    ClassicalSignal as ClassicalSignal,
    FixedSignal as FixedSignal,
    HaemodynamicState as HaemodynamicState,
    RevisedSignal as RevisedSignal,
)
from ._base import AbstractObserver as AbstractObserver
from ._bold import BOLD as BOLD
from ._temporal_average import TemporalAverage as TemporalAverage
