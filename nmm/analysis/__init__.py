"""What is read off simulated and recorded series: functional connectivity, spectra, filters."""

from ._fc import fc as fc, fcd as fcd, upper_triangle as upper_triangle
from ._preprocess import Preprocess as Preprocess
from ._signal import (
    bandpass as bandpass,
    detrend as detrend,
    regress_global_signal as regress_global_signal,
    zscore as zscore,
)
from ._spectrum import band_power as band_power, power_spectrum as power_spectrum
