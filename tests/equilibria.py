"""Equilibria of one region and their stability, for the numbers of models."""

import jax
import numpy as np
from helpers import at, eigenvalues, field, fixed_point


def rest(model, *guess, inputs=None):
    """The equilibrium near a guess, and the eigenvalues there, the largest real part first."""
    state = fixed_point(model, at(model, *guess), inputs)
    assert np.max(np.abs(jax.tree.leaves(field(model, state, inputs)))) < 1e-9
    return np.array(jax.tree.leaves(state)), eigenvalues(model, state, inputs)
