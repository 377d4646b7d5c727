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
from ._online import (
    AbstractStatistic as AbstractStatistic,
    OnlineCovariance as OnlineCovariance,
    OnlineFC as OnlineFC,
    OnlineMean as OnlineMean,
    OnlineSpectrum as OnlineSpectrum,
)
from ._readout import (
    AbstractReadout as AbstractReadout,
    SpatialAverage as SpatialAverage,
    SubSample as SubSample,
    TemporalAverage as TemporalAverage,
)
