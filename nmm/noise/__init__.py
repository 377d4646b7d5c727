"""Noise: white, and with memory. Time in ms; intensities per sqrt(ms)."""

from ._base import (
    AbstractDiffusion as AbstractDiffusion,
    AbstractForcing as AbstractForcing,
    AbstractNoise as AbstractNoise,
)
from ._ornstein_uhlenbeck import OrnsteinUhlenbeck as OrnsteinUhlenbeck
from ._white import White as White
