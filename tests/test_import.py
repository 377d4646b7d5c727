"""Importing does no work, prints nothing and leaves JAX as it was."""

import subprocess
import sys

import pytest

CODE = """
import os, sys
os.environ["EAGER_IMPORT"] = "{eager}"
import jax, diffrax, optax
before = dict(jax.config.values)
import nmm, fitting
nmm.simulate, fitting.fit
assert dict(jax.config.values) == before, "a setting of JAX changed"
assert not jax._src.xla_bridge.backends_are_initialized(), "a device was taken"
heavy = {{"matplotlib", "mne", "xarray", "scipy.io", "cma", "tqdm"}} & set(sys.modules)
assert not heavy, heavy
"""


@pytest.mark.parametrize("eager", ["", "1"])
def test_importing_is_silent_and_changes_nothing(eager):
    code = CODE.format(eager=eager)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
