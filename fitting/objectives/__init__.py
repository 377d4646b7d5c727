"""Differentiable distances and similarities between a simulation and data."""

from ._agreement import (
    concordance as concordance,
    correlation as correlation,
    rmse as rmse,
)
from ._combine import combine as combine
from ._fc import (
    fc_concordance as fc_concordance,
    fc_correlation as fc_correlation,
    fc_rmse as fc_rmse,
)
from ._rates import rate_penalty as rate_penalty
from ._time_series import time_series_rmse as time_series_rmse
