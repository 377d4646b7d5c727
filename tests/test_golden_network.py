"""Delayed networks against The Virtual Brain: delays rounded to steps, coupling held over the step.

The Virtual Brain ran with its history in float64; its weights are `[target, source]`, its delays
tract lengths over speed, rounded half to even.

Further runs, on its own connectome, are not ours to copy: they are compared where the environment
variable `NMM_GOLDEN` names a folder that has them, `network_tvb.json` and `network_tvb.npz`.
"""

import functools
import json
import os
import pathlib

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import golden
from test_golden_catalogue import rhs as catalogue, translations as catalogue_translations
from test_golden_models import rhs as models, translations as model_translations

import nmm

cases = golden("networks")
rhs = {**models, **catalogue}
translations = {**model_translations, **catalogue_translations}


def parameters_of(entry, arrays):
    """The default parameters of The Virtual Brain, but for those of the case."""
    defaults, about = rhs[f"tvb/{entry['model']}"]
    parameters = dict(zip(about["parameters"], defaults["params"][0], strict=True))
    changed = {k.removeprefix("param_"): v for k, v in arrays.items() if k.startswith("param_")}
    return parameters | {k: v if v.size > 1 else v[0] for k, v in changed.items()}


def coupling_of(entry, parameters):
    p = entry["coupling_params"]
    match entry["coupling"]:
        case "Linear" if entry["model"] == "MontbrioPazoRoxin":
            # Both of their couplings end in v, with weights that belong to the model.
            return tuple(
                nmm.coupling.Linear(w * p["a"], w * p["b"], source=source, target="v_inp")
                for source, w in (("r", parameters["cr"]), ("v", parameters["cv"]))
            )
        case "Linear":
            return nmm.coupling.Linear(p["a"], p["b"])
        case "Sigmoidal":
            slope = p["a"] / p["sigma"]
            return nmm.coupling.Sigmoidal(1.0, p["cmin"], p["cmax"], slope, p["midpoint"])
        case "HyperbolicTangent":
            return nmm.coupling.SumOfTanh(p["a"], p["b"] / p["sigma"], p["midpoint"] / p["b"])
        case "SigmoidalJansenRit":
            return nmm.coupling.SigmoidalJansenRit(
                p["a"], p["cmin"], p["cmax"], p["midpoint"], p["r"]
            )
        case "Kuramoto":
            return nmm.coupling.Kuramoto(p["a"])
        case "Difference":
            sources = ("x1", "x2") if entry["model"] == "Epileptor" else ("x", "y")
            return tuple(
                nmm.coupling.Diffusive(p["a"], source=x, target=f"{x}_inp") for x in sources
            )


def network(entry, arrays, connectome):
    weights, lengths = connectome["weights"], connectome["tract_lengths"]
    parameters = parameters_of(entry, arrays)
    return nmm.Network(
        translations[f"tvb/{entry['model']}"](parameters)[0],
        nmm.Connectome(weights, lengths),
        coupling_of(entry, parameters),
        speed=entry["speed"],
        reading="nearest",
        hold=True,
    )


def compare(entry, arrays, connectome):
    net = network(entry, arrays, connectome)
    rows = net.State(*jnp.moveaxis(jnp.asarray(arrays["history"]), 1, 0))
    history = rows if len(arrays["history"]) > 1 else None
    y0 = net.State(*jnp.asarray(arrays["history"][-1]))
    every = entry["sample_dt"]
    solver = getattr(nmm, entry.get("solver", "Heun"))()
    run = {"y0": y0, "history": history, "save_every": every, "solver": solver}
    sol = nmm.simulate(net, entry["t_end"], entry["dt"], **run)
    ours = np.stack([sol[name] for name in vars(y0)], axis=1)
    np.testing.assert_allclose(sol.ts, arrays["t"], rtol=1e-12)
    return np.max(np.abs(ours - arrays["y"])) / np.max(np.abs(arrays["y"]))


connectome = cases.pop("connectome")[0]


USUAL = ("jr_synth12", "suphopf_synth12", "kuramoto_synth12", "mpr_linear_both")


@pytest.mark.parametrize(
    "name",
    [*USUAL, *(pytest.param(n, marks=pytest.mark.thorough) for n in cases if n not in USUAL)],
)
def test_a_delayed_network_is_that_of_the_virtual_brain(name):
    arrays, entry = cases[name]
    assert compare(entry, arrays, arrays if "weights" in arrays else connectome) < 1e-9


@functools.cache
def further():
    """Manifest and arrays of the runs that are not ours to copy."""
    folder = os.environ.get("NMM_GOLDEN")
    if not folder or not (pathlib.Path(folder) / "network_tvb.json").exists():
        pytest.skip("`NMM_GOLDEN` names no folder with `network_tvb.json`")
    folder = pathlib.Path(folder)
    with np.load(folder / "network_tvb.npz") as file:
        arrays = {name: file[name] for name in file.files}
    return json.loads((folder / "network_tvb.json").read_text())["cases"], arrays


def below(arrays, prefix):
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


FULL = [pytest.param(name, marks=pytest.mark.thorough) for name in ("g2d_full76", "rww_full76")]


@pytest.mark.parametrize("name", ("g2d_sub10", "rww_sub10", *FULL))
def test_a_network_on_the_connectome_of_the_virtual_brain_is_its_own(name):
    manifest, arrays = further()
    entry = manifest[name] | {"speed": manifest[name]["conduction_speed_mm_per_ms"]}
    own = below(arrays, f"connectome/{entry['connectome']}/")
    # Rounding grows as the run itself amplifies it.
    amplified = 1e3 * entry["amplification_of_1e12_perturbation"]
    assert compare(entry, below(arrays, f"{name}/"), own) < max(1e-9, amplified)
