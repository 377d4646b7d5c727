"""The six models against the numbers of The Virtual Brain, tvboptim and brainmass.

Each function below says how a package's parameters and inputs read in ours; where a package departs
from the published equations, it says how.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import field, golden, solve

import nmm

rhs = golden("rhs_models")
trajectories = golden("traj_models")


def tvb_hopf(p, x_inp=0.0, y_inp=0.0):
    return nmm.Hopf(a=p["a"], w=p["omega"]), {"x_inp": x_inp, "y_inp": y_inp}


def brainmass_hopf(p, x_inp, y_inp):
    return nmm.Hopf(**p), {"x_inp": x_inp, "y_inp": y_inp}


def tvb_wilson_cowan(p, to_E=0.0, to_I=0.0):
    """Their input is scaled by alpha inside the sigmoid, their response by c as a whole."""

    def transfer(k):
        return nmm.Sigmoid(
            a=p[f"a_{k}"] * p[f"alpha_{k}"],
            theta=p[f"b_{k}"] / p[f"alpha_{k}"],
            threshold=p[f"theta_{k}"],
            shift=p["shift_sigmoid"],
        )

    model = nmm.WilsonCowan(
        tau_E=p["tau_e"],
        tau_I=p["tau_i"],
        weights=jnp.array([[p["c_ee"], p["c_ei"]], [p["c_ie"], p["c_ii"]]]),
        P=p["P"],
        Q=p["Q"],
        k_E=p["k_e"] * p["c_e"],
        k_I=p["k_i"] * p["c_i"],
        r_E=p["r_e"] * p["c_e"],
        r_I=p["r_i"] * p["c_i"],
        transfer_E=transfer("e"),
        transfer_I=transfer("i"),
    )
    return model, {"rE_inp": to_E, "rI_inp": to_I}


def brainmass_wilson_cowan(p, to_E, to_I):
    """Their weights are named source first, whatever their documentation says."""
    model = nmm.WilsonCowan(
        tau_E=p["tau_E"],
        tau_I=p["tau_I"],
        weights=jnp.array([[p["wEE"], p["wIE"]], [p["wEI"], p["wII"]]]),
        r_E=p["r"],
        r_I=p["r"],
        transfer_E=nmm.Sigmoid(a=p["a_E"], theta=p["theta_E"]),
        transfer_I=nmm.Sigmoid(a=p["a_I"], theta=p["theta_I"]),
    )
    return model, {"rE_inp": to_E, "rI_inp": to_I}


def tvb_jansen_rit(p, c=0.0):
    """Their nu_max is e0, half of the maximal rate."""
    same = {"Ae": "A", "Ai": "B", "be": "a", "bi": "b", "C": "J", "p": "mu", "v0": "v0", "r": "r"}
    gains = {f"a{k}": p[f"a_{k}"] for k in (1, 2, 3, 4)}
    ours = {name: p[theirs] for name, theirs in same.items()}
    return nmm.JansenRit(**ours, **gains, s_max=2 * p["nu_max"]), {"E_inp": c}


def brainmass_jansen_rit(p, M_inp, E_inp, I_inp):
    """They have no constant input: all of it comes through the slot."""
    return nmm.JansenRit(**p, p=0.0), {"M_inp": M_inp, "E_inp": E_inp, "I_inp": I_inp}


def tvb_reduced_wong_wang(p, c=0.0):
    return nmm.ReducedWongWang(**{k: p[k] for k in p if k != "sigma_noise"}), {"c": c}


def tvb_wong_wang_exc_inh(p, c=0.0):
    """Their G and I_ext belong to the node; ours to the coupling and to the inputs."""
    model = nmm.WongWangExcInh(**{k: v for k, v in p.items() if k not in ("G", "I_ext")})
    return model, {"c": p["G"] * c, "I_ext": p["I_ext"]}


def tvb_montbrio_pazo_roxin(p, c_r=0.0, c_v=0.0):
    """Both of their couplings end in v, with weights of their own."""
    model = nmm.MontbrioPazoRoxin(**{k: p[k] for k in ("tau", "I", "Delta", "J", "eta")})
    return model, {"v_inp": p["cr"] * c_r + p["cv"] * c_v}


def brainmass_montbrio_pazo_roxin(p, r_inp, v_inp, r, v):
    """Their width is Delta / tau, and their 2 r v is divided by 1 ms where it should be tau."""
    tau = p["tau"]
    model = nmm.MontbrioPazoRoxin(tau=tau, Delta=p["delta"] * tau, eta=p["eta"], J=p["J"])
    return model, {"r_inp": r_inp + 2 * r * v * (1 - 1 / tau), "v_inp": v_inp}


# From the inputs in the order of the file to those of the functions above.
translations = {
    "tvb/Hopf": tvb_hopf,
    "tvboptim/Hopf": lambda p, local, x, y: tvb_hopf(p, local + x, y),
    "brainmass/Hopf": brainmass_hopf,
    # The second row of coupling is ignored.
    "tvb/WilsonCowan": lambda p, c_E=0.0, c_I=0.0: tvb_wilson_cowan(p, c_E),
    # Local activity of either population drives both.
    "tvboptim/WilsonCowan": lambda p, E, I, c: tvb_wilson_cowan(p, c + E + I, E + I),
    "brainmass/WilsonCowan": brainmass_wilson_cowan,
    "tvb/JansenRit": lambda p, c_y1=0.0, c_y2=0.0: tvb_jansen_rit(p, c_y1),
    "tvboptim/JansenRit": lambda p, local=0.0, c=0.0: tvb_jansen_rit(p, local + c),
    "brainmass/JansenRit": brainmass_jansen_rit,
    "tvb/ReducedWongWang": tvb_reduced_wong_wang,
    "tvboptim/ReducedWongWang": lambda p, local, c: tvb_reduced_wong_wang(p, local + c),
    "tvb/WongWangExcInh": tvb_wong_wang_exc_inh,
    "tvboptim/WongWangExcInh": lambda p, local, c: tvb_wong_wang_exc_inh(p, local + c),
    "brainmass/WongWangExcInh": tvb_wong_wang_exc_inh,
    "tvb/MontbrioPazoRoxin": tvb_montbrio_pazo_roxin,
    "tvboptim/MontbrioPazoRoxin": lambda p, lr, lv, r, v: tvb_montbrio_pazo_roxin(
        p, lr + r, lv + v
    ),
    "brainmass/MontbrioPazoRoxin": brainmass_montbrio_pazo_roxin,
}


def translate(key, entry, arrays, state):
    """Our model, inputs and state for rows of a package's parameters, inputs and states."""
    parameters = dict(zip(entry["parameters"], arrays["params"].T, strict=True))
    # The one translation that has to repair an equation needs the state for it.
    extra = state.T if key == "brainmass/MontbrioPazoRoxin" else ()
    model, inputs = translations[key](parameters, *arrays["inputs"].T, *extra)
    return model, model.State(*jnp.asarray(state.T)), model.Inputs(**inputs)


@pytest.mark.parametrize("key", rhs)
def test_right_hand_side_equals_that_of_the_package(key):
    arrays, entry = rhs[key]
    model, state, inputs = translate(key, entry, arrays, arrays["state"])
    ours = np.stack(jax.tree.leaves(field(model, state, inputs)), axis=-1)
    error = np.max(np.abs(ours - arrays["dstate"]), axis=-1)
    assert np.all(error <= 1e-12 * np.max(np.abs(arrays["dstate"]), axis=-1))


@pytest.mark.parametrize("key", trajectories)
def test_trajectory_equals_that_of_the_package(key):
    arrays, entry = trajectories[key]
    model, y0, inputs = translate(key, entry, arrays, arrays["y"][0])
    states = solve(model, y0, jnp.asarray(arrays["t"]), inputs, tol=1e-11)
    ours = np.stack(jax.tree.leaves(states), axis=-1)
    scale = np.max(np.abs(arrays["y"]), axis=0)
    assert np.max(np.abs(ours - arrays["y"]) / scale) < 1e-7
