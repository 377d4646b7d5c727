"""What the packages compute at one state, with default parameters."""

import jax
import numpy as np
import pytest
from helpers import at, field

import nmm


def known_derivatives():
    yield (
        "CanonicalMicrocircuit",
        (0.1, 0.02, -0.1, 0.03, 0.2, -0.02, 0.05, 0.01),
        {"U": 0.01},
        (0.02, -0.066627230601, 0.03, 0.008328397256, -0.02, 0.001095886961, 0.01, -0.001313065784),
    )
    yield (
        "EpileptorRestingState",
        (-1.2, -8, 3.5, -0.5, 0.1, -0.1, 0.4, -0.6),
        {"x1_inp": 0.1, "x2_inp": 0.2, "x_rs_inp": 0.3},
        (-2.352, 1.8, -0.000665, -0.225, -0.01, -0.0002, 0.00232, -0.108),
    )
    yield "ReducedWongWang", (0.2,), {"c": 0.1}, (0.0005333017845,)
    yield "DecoBalancedExcInh", (0.2, 0.1), {"c": 0.2}, (-0.00125412063, -0.009555580464)
    yield "Epileptor2D", (-1.2, 3.5), {"x1_inp": 0.1}, (-0.552, -0.000665)
    yield (
        "EpileptorCodim3",
        (0.3, 0.1, 0.05),
        {"x_inp": 0.1},
        (-0.1, -0.09234802129, 6.953063087e-05),
    )
    yield (
        "EpileptorCodim3SlowMod",
        (0.3, 0.1, 0.05, 0.2, 0.3),
        {"x_inp": 0.1},
        (-0.1, -0.1885853854, -0.0001114886696, 0.0001, 0.00012),
    )
    yield (
        "ZerlautAdaptationFirstOrder",
        (0.005, 0.010, 30, 0, 1e-4),
        {"c": 0.001},
        (0.001427633139, 0.002655226816, 0.3781745332, 0, -2e-05),
    )
    yield (
        "CoombesByrne4D",
        (0.5, -0.3, 1.2, 0.1),
        {"c": 0.1},
        (-0.7408450569, 6.0825989, 0.095, 0.1622565105),
    )
    state, inputs = (0.5, -0.3, 0.2, 0.1), {"c_r": 0.1, "c_V": 0.2}
    expected = (0.3366197724, 0.2078788997, 0.01, -0.015)
    yield "GastSchmidtKnosche_SD", state, inputs, expected
    yield "GastSchmidtKnosche_SF", state, inputs, (0.3366197724, 9.1291989, 0.01, 0.46)
    yield (
        "DumontGutkin",
        (0.05, -1, 0.2, 0.3, 0.06, -1.1, 0.4, 0.5),
        {"c": 0.1},
        (-0.006816901138, -0.74674011, -0.1, 0.3, -0.01001690114, -0.8343057584, 0.1, 0.4),
    )
    yield (
        "AdaptiveQIFDopamine",
        (0.05, -60, 2, 0.1, 0.05, 0.5),
        {"c_inh": 0.001, "c_exc": 0.002, "c_dopa": 1e-5},
        (-0.0672676046, 37.7831497, 0.262, -0.0184, -0.0088, -0.00663787375),
    )
    synapses = (0.1, 0.2, 0.3, 0.4, 0.01, 0.02, 0.03, 0.04)
    yield (
        "Thalamus",
        (-65, -60, 5e-4, 0.1, 0.2, 0.05, 0.1, *synapses),
        {},
        (
            *(3.98979158, 4.79258405, 1.91937704e-4, -0.00483203137, -0.00649670763),
            *(2.05464792e-4, -8.05447471e-5, 0.01, 0.02, 0.03, 0.04),
            *(-0.00189, 0.00177081698, -0.00494715739, 0.0268540849),
        ),
    )
    yield (
        "KIonEx",
        (0.1, -60, 0.2, -1, -6),
        {"c": 0.1},
        (-1.000159155, -208.1807118, -0.02675495137, -0.004477195838, 0.0037),
    )
    yield (
        "ZetterbergJansen",
        (1, 0.01, 6, 0.02, 2, 0.03, 3, 0.04, 0.5, 0.05),
        {"c": 0.1},
        (
            *(0.01, 0.08102630594, 0.02, -0.01488202652, 0.03, 0.0149185707, 0.04, 0.01454976194),
            *(0.05, 0.0039360314241),
        ),
    )
    yield "Hopfield", (0.2,), {"x_inp": 0.1}, (-0.1,)
    yield "LileySteynRoss", (-65, -66), {"c": 0.1}, (-9.009595664, -13.39137185)
    yield "MorrisLecar", (-20, 0.1), {"c": 300}, (10.43166904, -0.002622592023)


@pytest.mark.parametrize("name, state, inputs, expected", tuple(known_derivatives()))
def test_derivative_is_the_one_that_the_packages_compute(name, state, inputs, expected):
    model = getattr(nmm, name)()
    found = field(model, at(model, *state), model.Inputs(**inputs))
    assert np.allclose(jax.tree.leaves(found), expected, rtol=1e-8, atol=1e-12)
