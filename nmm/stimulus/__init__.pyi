"""Stimuli: what arrives at a model from outside, as functions of time. Time in ms."""

from ._base import (
    AbstractPattern as AbstractPattern,
    AbstractStimulus as AbstractStimulus,
    Constant as Constant,
    Placed as Placed,
    Product as Product,
    Sum as Sum,
)
from ._data import Data as Data
from ._jumps import (
    Alternating as Alternating,
    Pulse as Pulse,
    PulseTrain as PulseTrain,
    Step as Step,
)
from ._noise import Noise as Noise
from ._sequence import Sequence as Sequence
from ._smooth import Alpha as Alpha, Gaussian as Gaussian, Ramp as Ramp, Sinusoid as Sinusoid
