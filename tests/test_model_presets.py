"""The defaults of other packages are ours, or a preset named after the package."""

import jax
import numpy as np
import pytest
import test_golden_catalogue as catalogue
import test_golden_models as core
import test_horn as horn
import test_models_beyond_golden as beyond
import test_wilson_cowan as variants
import test_wilson_cowan_delayed as delayed
from helpers import build

import nmm
from nmm._declare import declared_parameters


def in_our_terms():
    """For each model of each package, ours with its parameters; the first rows are defaults."""
    for key, (arrays, entry) in core.rhs.items():
        yield key, core.translate(key, entry, arrays, arrays["state"])[0]
    for key, (arrays, entry) in catalogue.rhs.items():
        yield key, catalogue.translate(key, entry, arrays)[0]
    for key, (arrays, entry) in beyond.rhs.items():
        yield key, next(beyond.translate(key, entry, arrays))[0]
    for key, (arrays, entry) in variants.rhs.items():
        yield f"brainmass/WilsonCowan{key}", variants.ours(key, entry, arrays)[0]
    for kind, part in (("", nmm.DivisiveGain), ("Input", nmm.DivisiveInput)):
        yield f"brainmass/WilsonCowanDivisive{kind}", divisive(part)
    yield "brainmass/WilsonCowanDelayed", delayed.ours()[0]
    yield "brainmass/HORN", horn.ours("steps")[1]
    yield "brainmass/KuramotoNetwork", nmm.Kuramoto(omega=0.0)


def divisive(part):
    """Both of the divisive variants have these, weights named by their target first."""
    p = {"wEE": 6.0, "wIE": 2.0, "wEI": 6.5, "wII": 5.5, "r": 1.0}
    p |= {"tau_E": 1.0, "a_E": 1.2, "theta_E": 2.8, "tau_I": 1.0, "a_I": 1.0, "theta_I": 4.0}
    inhibition = {f"inhibition_{k}": part(sigma=1.0) for k in "EI"}
    model = variants.translate("Divisive", p)
    return type(model)(**{**vars(model), **inhibition})


theirs = dict(in_our_terms())
# Variants that are classes of their own there, and presets here.
named = {
    "brainmass/WilsonCowanNoSaturation": "no_saturation",
    "brainmass/WilsonCowanSymmetric": "symmetric",
    "brainmass/WilsonCowanSimplified": "simplified",
    "brainmass/WilsonCowanLinear": "linear",
    "brainmass/WilsonCowanDivisive": "divisive_gain",
    "brainmass/WilsonCowanDivisiveInput": "divisive_input",
    "brainmass/WilsonCowanDelayed": "brainmass_delayed",
}


@pytest.mark.parametrize("key", theirs)
def test_defaults_of_a_package_are_ours_or_a_preset_of_its_name(key):
    model = theirs[key]
    usual = {
        path: x[..., 0] if np.ndim(x) > len(d.shape) else x
        for path, d, x in declared_parameters(model)
    }

    def is_theirs(preset):
        ours = build(type(model), preset)
        same = jax.tree.structure(ours) == jax.tree.structure(model)
        return same and all(
            np.allclose(x, usual[path], rtol=1e-9) for path, _, x in declared_parameters(ours)
        )

    # The classes of tvboptim are those of The Virtual Brain, with their defaults.
    package = key.partition("/")[0].replace("tvboptim", "tvb")
    presets = {None, named.get(key, package)} & {None, *type(model).presets}
    assert any(is_theirs(preset) for preset in presets)
