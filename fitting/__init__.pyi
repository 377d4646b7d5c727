"""Fitting, sweeping and inference for `nmm` models."""

from . import objectives as objectives
from ._cma import CMA as CMA
from ._constraints import (
    AbstractConstraint as AbstractConstraint,
    Interval as Interval,
    Positive as Positive,
    Real as Real,
)
from ._continued import ContinuedSweep as ContinuedSweep, continued_sweep as continued_sweep
from ._draw import draw as draw
from ._effective_connectivity import effective_connectivity as effective_connectivity
from ._evaluate import evaluate as evaluate
from ._fit import fit as fit
from ._fit_result import FitResult as FitResult
from ._fits import Fits as Fits
from ._group import fit_group as fit_group
from ._multi_start import multi_start as multi_start
from ._parameters import Parameters as Parameters, free_parameters as free_parameters
from ._provenance import Provenance as Provenance
from ._reliability import (
    noise_ceiling as noise_ceiling,
    region_effects as region_effects,
    seed_to_seed as seed_to_seed,
    split_half as split_half,
)
from ._stage import Stage as Stage
from ._structures import (
    Grouped as Grouped,
    Masked as Masked,
    Regression as Regression,
    Simplex as Simplex,
    Symmetric as Symmetric,
    Tied as Tied,
)
from ._sweep import sweep as sweep
from ._sweep_result import SweepResult as SweepResult
from ._truncated import truncated as truncated
from ._uncertainty import Uncertainty as Uncertainty, uncertainty as uncertainty
