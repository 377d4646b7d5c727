"""Fitting, sweeping and inference for `nmm` models."""

from . import objectives as objectives
