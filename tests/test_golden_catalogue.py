"""The smaller models against the numbers of The Virtual Brain, tvboptim and brainmass.

Each function below says how a package's parameters and inputs read in ours; where a package departs
from the published equations, it says how.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import GOLDEN, field, golden, solve

import nmm

rhs = golden("rhs_catalogue")
trajectories = golden("traj_catalogue")


def tvb_stuart_landau(p, x_inp=0.0, y_inp=0.0):
    return nmm.StuartLandau(a=p["a"], w=p["omega"]), {"x_inp": x_inp, "y_inp": y_inp}


def brainmass_threshold_linear(p, E_inp, I_inp):
    """Their slots are the whole of the drive."""
    return nmm.ThresholdLinear.preset("brainmass", **p), {"E_inp": E_inp, "I_inp": I_inp}


def kuramoto(p, *inputs):
    return nmm.Kuramoto(omega=p["omega"]), {"theta_inp": sum(inputs)}


def tvb_generic_2d(p, c=0.0):
    return nmm.Generic2dOscillator(**p), {"V_inp": c}


def tvboptim_generic_2d(p, local, c, stimulus):
    """Their local coupling is scaled by gamma too; their stimulus is added to the derivative."""
    inputs = {"V_inp": c + local, "V_local": stimulus / (p["d"] * p["tau"])}
    return nmm.Generic2dOscillator(**p), inputs


def lorenz(p, c=0.0):
    return nmm.Lorenz(**p), {"x_inp": c}


def modulated_lorenz(p, c, modulation):
    """Their second coupling scales sigma."""
    same = {k: p[k] for k in ("rho", "beta")}
    sigma = p["sigma"] * (1 + p["modulation_strength"] * modulation)
    return nmm.Lorenz(**same, sigma=sigma), {"x_inp": c}


def linear(p, *inputs):
    return nmm.Linear(**p), {"x_inp": sum(inputs)}


def brainmass_wong_wang(p, coherence):
    """Their rate is a rectifier, which ours is in the limit of large d."""
    same = {k: v for k, v in p.items() if k != "theta"}
    model = nmm.WongWang.preset("brainmass", **same, b=p["a"] * p["theta"])
    return model, {"coherence_inp": coherence}


def epileptor(p, x1_inp=0.0, x2_inp=0.0):
    """Their s is without effect."""
    inputs = {"x1_inp": x1_inp, "x2_inp": x2_inp}
    return nmm.Epileptor(**{k: v for k, v in p.items() if k != "s"}), inputs


translations = {
    "tvb/StuartLandau": tvb_stuart_landau,
    "brainmass/StuartLandau": lambda p, x, y: (
        nmm.StuartLandau(**p),
        {"x_inp": x, "y_inp": y},
    ),
    "brainmass/VanDerPol": lambda p, x, y: (nmm.VanDerPol(**p), {"x_inp": x, "y_inp": y}),
    "brainmass/FitzHughNagumo": lambda p, V, w: (
        nmm.FitzHughNagumo(**p),
        {"V_inp": V, "w_inp": w},
    ),
    "brainmass/ThresholdLinear": brainmass_threshold_linear,
    "tvb/Kuramoto": kuramoto,
    "tvboptim/Kuramoto": kuramoto,
    "tvb/Generic2dOscillator": tvb_generic_2d,
    "tvboptim/Generic2dOscillator": tvboptim_generic_2d,
    "brainmass/Generic2dOscillator": tvb_generic_2d,
    "tvboptim/Lorenz": lorenz,
    "tvboptim/FlexibleLorenz": modulated_lorenz,
    "brainmass/Lorenz": lorenz,
    "tvb/Linear": linear,
    "tvboptim/Linear": linear,
    "brainmass/Linear": linear,
    "brainmass/WongWang": brainmass_wong_wang,
    "tvb/Epileptor": epileptor,
    "tvboptim/Epileptor": lambda p, l1=0.0, l2=0.0, c1=0.0, c2=0.0: epileptor(p, l1 + c1, l2 + c2),
    "brainmass/Epileptor": epileptor,
    "tvboptim/CoombesByrne": lambda p, local=0.0, c=0.0: (
        nmm.CoombesByrne(**p),
        {"v_inp": local + c},
    ),
    "brainmass/CoombesByrne": lambda p, r, v: (
        nmm.CoombesByrne(**p),
        {"r_inp": r, "v_inp": v},
    ),
    "tvboptim/LarterBreakspear": lambda p, local=0.0, c=0.0: (
        nmm.LarterBreakspear(**p),
        {"V_local": local, "V_inp": c},
    ),
    "brainmass/LarterBreakspear": lambda p, c: (nmm.LarterBreakspear(**p), {"V_inp": c}),
}


def translate(key, entry, arrays):
    """Our model and inputs for rows of a package's parameters and inputs."""
    parameters = dict(zip(entry["parameters"], arrays["params"].T, strict=True))
    model, inputs = translations[key](parameters, *arrays["inputs"].T)
    return model, model.Inputs(**inputs)


@pytest.mark.parametrize("key", rhs)
def test_right_hand_side_equals_that_of_the_package(key):
    arrays, entry = rhs[key]
    model, inputs = translate(key, entry, arrays)
    derivative = field(model, model.State(*jnp.asarray(arrays["state"].T)), inputs)
    ours, theirs = np.stack(jax.tree.leaves(derivative), axis=-1), arrays["dstate"]
    if key == "brainmass/ThresholdLinear":
        theirs = theirs * [1, -1]  # the sign of the whole inhibitory equation is wrong there
    error = np.max(np.abs(ours - theirs), axis=-1)
    assert np.all(error <= 1e-12 * np.max(np.abs(theirs), axis=-1))


@pytest.mark.parametrize("key", trajectories)
def test_trajectory_equals_that_of_the_package(key):
    arrays, entry = trajectories[key]
    model, inputs = translate(key, entry, arrays)
    y0 = model.State(*jnp.asarray(arrays["y"][0]))
    states = solve(model, y0, jnp.asarray(arrays["t"]), inputs, tol=1e-11)
    error = np.abs(np.stack(jax.tree.leaves(states), axis=-1) - arrays["y"])
    # Chaos and the switches of the Epileptor amplify the errors of both solvers.
    tolerance = 1e-5 if entry["uncertainty"] > 1e-10 or "Lorenz" in key else 1e-7
    assert np.max(error / np.max(np.abs(arrays["y"]), axis=0)) < tolerance


def test_kuramoto_networks_equal_those_of_brainmass():
    with np.load(GOLDEN / "rhs_catalogue.npz") as file:
        name = "brainmass/KuramotoNetwork/"
        case = {k.removeprefix(name): file[k] for k in file.files if k.startswith(name)}
    for k, (use_conn, normalised, exclude_self) in enumerate(case["flags"].astype(bool)):
        weights = case["conn"][k] if use_conn else np.ones((6, 6))
        coupling = nmm.coupling.Kuramoto(
            G=case["K"][k], alpha=case["alpha"][k], divisor="regions" if normalised else "one"
        )
        network = nmm.Network(
            nmm.Kuramoto(omega=case["omega"][k]),
            jnp.asarray(weights * (1 - np.eye(6) if exclude_self else 1)),
            coupling,
        )
        state = nmm.Kuramoto.State(theta=jnp.asarray(case["state"][k]))
        inputs = nmm.Kuramoto.Inputs(theta_inp=jnp.asarray(case["inputs"][k]))
        assert np.allclose(field(network, state, inputs).theta, case["dstate"][k], rtol=1e-12)
