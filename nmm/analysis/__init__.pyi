"""What is read off series: connectivity, spectra, filters. Fixed points, and response to noise."""

from ._fc import (
    fc as fc,
    fcd as fcd,
    lagged_covariance as lagged_covariance,
    upper_triangle as upper_triangle,
)
from ._fixed_points import (
    FixedPoint as FixedPoint,
    fixed_point as fixed_point,
    fixed_points as fixed_points,
)
from ._linear_response import linear_response as linear_response
from ._preprocess import Preprocess as Preprocess
from ._response import LinearResponse as LinearResponse
from ._signal import (
    bandpass as bandpass,
    detrend as detrend,
    evoked_response as evoked_response,
    regress_global_signal as regress_global_signal,
    zscore as zscore,
)
from ._spectrum import band_power as band_power, power_spectrum as power_spectrum
from ._synchrony import (
    analytic_signal as analytic_signal,
    kuramoto_order as kuramoto_order,
    metastability as metastability,
    phase_locking as phase_locking,
)
