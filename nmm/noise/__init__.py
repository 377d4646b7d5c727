"""Noise: white, and with memory. Time in ms; intensities per sqrt(ms)."""

from ._base import AbstractForcing as AbstractForcing, AbstractNoise as AbstractNoise
from ._brownian import Brownian as Brownian
from ._coloured import Coloured as Coloured
from ._diffusion import AbstractDiffusion as AbstractDiffusion
from ._mixing import mixing as mixing
from ._multiplicative import Affine as Affine, Multiplicative as Multiplicative
from ._ornstein_uhlenbeck import OrnsteinUhlenbeck as OrnsteinUhlenbeck
from ._white import White as White
