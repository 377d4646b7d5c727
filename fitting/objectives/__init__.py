"""Differentiable distances and similarities between a simulation and data."""

from ._agreement import (
    concordance as concordance,
    correlation as correlation,
    cosine as cosine,
    ks_distance as ks_distance,
    rmse as rmse,
    wasserstein as wasserstein,
)
from ._combine import combine as combine, residuals as residuals
from ._covariance import covariance_error as covariance_error
from ._fc import (
    fc_concordance as fc_concordance,
    fc_correlation as fc_correlation,
    fc_fisher_z as fc_fisher_z,
    fc_rmse as fc_rmse,
)
from ._fcd import fcd_ks as fcd_ks, fcd_wasserstein as fcd_wasserstein
from ._linear import (
    stability_penalty as stability_penalty,
    whittle as whittle,
    wishart as wishart,
)
from ._rates import rate_penalty as rate_penalty, target_rates as target_rates
from ._spectra import (
    aperiodic_slope as aperiodic_slope,
    band_power_distance as band_power_distance,
    cross_spectral_error as cross_spectral_error,
    cross_spectrum as cross_spectrum,
    log_spectral_distance as log_spectral_distance,
    peak_frequency as peak_frequency,
)
from ._synchrony import (
    phase_locking_rmse as phase_locking_rmse,
    synchrony_error as synchrony_error,
)
from ._time_series import (
    time_series_correlation as time_series_correlation,
    time_series_cosine as time_series_cosine,
    time_series_rmse as time_series_rmse,
    unexplained_variance as unexplained_variance,
)
