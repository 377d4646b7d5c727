"""Tests run in float64; those about float32 pass float32 arrays or switch it off themselves."""

import jax

jax.config.update("jax_enable_x64", True)
