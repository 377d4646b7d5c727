"""Embedded connectomes and the functional connectivity of the same people."""

from ._load import (
    FunctionalData as FunctionalData,
    load_connectome as load_connectome,
    load_functional as load_functional,
)
