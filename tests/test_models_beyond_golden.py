"""The models beyond the core against the numbers of The Virtual Brain.

Each function below says how the package's parameters and inputs read in ours; where the package
departs from the published equations, it says how.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import field, golden
from runge_kutta import samples

import nmm

rhs = golden("rhs_beyond")
trajectories = golden("traj_beyond")


def same(cls, *slots):
    """Parameters of the same names, and the first inputs at these slots."""
    return lambda p, *inputs: (cls(**p), dict(zip(slots, inputs, strict=False)))


def deco_balanced(p, c=0.0):
    """Their global coupling is in the node, their stimulus a parameter."""
    others = {k: v for k, v in p.items() if k not in ("G", "I_ext")}
    return nmm.DecoBalancedExcInh(**others), {"c": p["G"] * c, "I_ext": p["I_ext"]}


def reduced_set(cls):
    """Their term is transposed; the inputs of their second variable have no effect."""
    return lambda p, c=0.0, _=0.0: (cls.preset("tvb", **p), {"drive": c})


def zerlaut(cls):
    def translate(p, c=0.0):
        others = {k: v for k, v in p.items() if "[" not in k}
        fits = {k: jnp.stack([p[f"{k}[{i}]"] for i in range(10)]) for k in ("P_e", "P_i")}
        return cls.preset("tvb", **others, **fits), {"c": c}

    return translate


translations = {
    "ZetterbergJansen": same(nmm.ZetterbergJansen, "c"),
    "DecoBalancedExcInh": deco_balanced,
    "GastSchmidtKnosche_SD": same(nmm.GastSchmidtKnosche_SD, "c_r", "c_V"),
    "GastSchmidtKnosche_SF": same(nmm.GastSchmidtKnosche_SF, "c_r", "c_V"),
    "DumontGutkin": same(nmm.DumontGutkin, "c"),
    "Epileptor2D": same(nmm.Epileptor2D, "x1_inp"),
    "EpileptorCodim3": same(nmm.EpileptorCodim3, "x_inp"),
    "EpileptorCodim3SlowMod": same(nmm.EpileptorCodim3SlowMod, "x_inp"),
    "ReducedSetFitzHughNagumo": reduced_set(nmm.ReducedSetFitzHughNagumo),
    "ReducedSetHindmarshRose": reduced_set(nmm.ReducedSetHindmarshRose),
    "Hopfield": lambda p, c: (nmm.Hopfield(taux=p["taux"]), {"x_inp": c}),
    "HopfieldDynamic": same(nmm.HopfieldDynamic, "x_inp", "theta_inp"),
    "ZerlautAdaptationFirstOrder": zerlaut(nmm.ZerlautAdaptationFirstOrder),
    "ZerlautAdaptationSecondOrder": zerlaut(nmm.ZerlautAdaptationSecondOrder),
    "KIonEx": same(nmm.KIonEx, "c"),
}


def translate(key, entry, arrays):
    """Our model and inputs for rows of a package's parameters and inputs, and which rows.

    Their integer `N` picks the program: there is a model for each of its values.
    """
    parameters = dict(zip(entry["parameters"], jnp.asarray(arrays["params"].T), strict=True))
    inputs = jnp.asarray(arrays["inputs"].T) if "inputs" in arrays else ()
    branches = np.asarray(parameters.pop("N", np.zeros(len(arrays["params"]))))
    for N in np.unique(branches):
        chosen = {"N": int(N)} if N else {}
        model, slots = translations[key.removeprefix("tvb/")]({**parameters, **chosen}, *inputs)
        yield model, model.Inputs(**slots), branches == N


def our_states(model, entry):
    """The columns of their states in the order of ours; they may have more."""
    return [entry["states"].index(name) for name in model.State.__dataclass_fields__]


@pytest.mark.parametrize("key", rhs)
def test_right_hand_side_equals_that_of_the_package(key):
    arrays, entry = rhs[key]
    for model, inputs, rows in translate(key, entry, arrays):
        columns = our_states(model, entry)
        state = model.State(*jnp.asarray(arrays["state"].T[columns]))
        ours = np.stack(jax.tree.leaves(field(model, state, inputs)), axis=-1)
        theirs = arrays["dstate"][:, columns]
        if key == "tvb/ZetterbergJansen":
            # The wrong rate constant in their last equation.
            theirs[:, -1] += (model.ke**2 - model.ki**2) * state.v5
        error = np.max(np.abs(ours - theirs), axis=-1) / np.max(np.abs(theirs), axis=-1)
        # They differentiate the second order numerically, by differences of 1e-7.
        assert np.all(error[rows] <= (1e-8 if "Second" in key else 1e-12))
        each = np.max(np.abs(ours - theirs)[rows], axis=0) / np.max(np.abs(theirs)[rows], axis=0)
        assert np.all(each <= (1e-9 if "Second" in key else 1e-12))


@pytest.mark.parametrize("key", trajectories)
def test_trajectory_equals_that_of_the_package(key):
    arrays, entry = trajectories[key]
    one = {"params": arrays["params"][None]}
    ((model, _, _),) = translate(key, entry, one)
    model = jax.tree.map(lambda x: x[..., 0] if x.ndim and x.shape[-1] == 1 else x, model)
    ts, y = arrays["t"], arrays["y"]
    every = math.ceil((ts[1] - ts[0]) / 0.002)
    dt, steps = (ts[1] - ts[0]) / every, every * (len(ts) - 1)
    run = samples(model, model.State(*jnp.asarray(y[0])), None, dt, steps, every)
    size = np.max(np.abs(y), axis=0)
    # The switches of seizures amplify the errors of both solvers.
    tolerance = 1e-5 if entry["uncertainty"] > 1e-8 else 1e-7
    assert np.all(np.max(np.abs(run.T - y[1:]), axis=0) <= tolerance * size)
