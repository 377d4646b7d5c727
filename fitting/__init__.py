"""Fitting, sweeping and inference for `nmm` models."""

from . import objectives as objectives
from ._constraints import (
    AbstractConstraint as AbstractConstraint,
    Interval as Interval,
    Positive as Positive,
    Real as Real,
)
from ._fit import fit as fit
from ._fit_result import FitResult as FitResult
from ._sweep import sweep as sweep
from ._sweep_result import SweepResult as SweepResult
