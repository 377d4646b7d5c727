"""Small delayed networks, for tests."""

import jax.numpy as jnp
from tiny import Relax

import nmm

State = Relax.State
TWO = jnp.array([[0.0, 1.0], [0.0, 0.0]])
WEIGHTS = jnp.array([[0.0, 0.5, 0.1], [0.3, 0.0, 0.2], [0.1, 0.4, 0.05]])
LENGTHS = jnp.array([[0.0, 11.0, 33.0], [11.0, 0.0, 70.0], [33.0, 70.0, 0.0]])


def start(x):
    return State(x=jnp.asarray(x), y=0.0)


def network(weights, rate=0.0, coupling=None, **options):
    return nmm.Network(Relax(rate=rate), jnp.asarray(weights), coupling, **options)
