"""Observation: from states to what a scanner sees."""

from ._afferent import AfferentInput as AfferentInput
from ._balloon_windkessel import (
    BalloonWindkessel as BalloonWindkessel,
    ClassicalSignal as ClassicalSignal,
    FixedSignal as FixedSignal,
    HaemodynamicState as HaemodynamicState,
    LinearSignal as LinearSignal,
    RevisedSignal as RevisedSignal,
    StephanSignal as StephanSignal,
)
from ._band_power import BandPower as BandPower
from ._base import AbstractObserver as AbstractObserver
from ._bold import BOLD as BOLD
from ._convolution import ConvolutionBOLD as ConvolutionBOLD
from ._electrophysiology import (
    EEG as EEG,
    MEG as MEG,
    SEEG as SEEG,
    AbstractElectrophysiology as AbstractElectrophysiology,
    SensorNoise as SensorNoise,
)
from ._export import to_mne as to_mne, to_volume as to_volume, write_bids as write_bids
from ._head import SphericalHead as SphericalHead
from ._kernels import (
    AbstractKernel as AbstractKernel,
    CanonicalKernel as CanonicalKernel,
    DoubleExponentialKernel as DoubleExponentialKernel,
    GammaKernel as GammaKernel,
    MixtureOfGammasKernel as MixtureOfGammasKernel,
    SampledKernel as SampledKernel,
    VolterraKernel as VolterraKernel,
)
from ._lead_field import (
    LeadField as LeadField,
    lead_field_from_mne as lead_field_from_mne,
)
from ._montage import electrode_positions as electrode_positions
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
from ._resample import resample as resample
