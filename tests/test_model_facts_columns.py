"""Known numbers of cortical columns: microcircuit, Zetterberg–Jansen, Liley–Steyn-Ross."""

import jax
import jax.numpy as jnp
import numpy as np
from equilibria import rest
from helpers import at, field, jacobian, solve
from jax.flatten_util import ravel_pytree
from scipy.optimize import root

import nmm

# Canonical microcircuit


def test_canonical_microcircuit_rings_at_the_known_frequencies():
    model = nmm.CanonicalMicrocircuit()
    point, values = rest(model, *np.zeros(8))
    known = [-0.618669 + 0.285658j, -0.387156 + 0.282695j]
    known += [-0.058599 + 0.106268j, -0.033790 + 0.045638j]
    upper = sorted(values[values.imag > 0], key=lambda x: x.real)
    assert np.allclose(point, 0, atol=1e-12)
    assert np.allclose(upper, known, atol=8e-7)
    A = np.asarray(jacobian(model, model.initial_state()))
    drive = np.asarray(ravel_pytree(field(model, model.initial_state(), model.Inputs(U=1.0)))[0])
    frequencies = np.arange(15, 30, 0.05)
    gain = [
        abs(np.linalg.solve(2j * np.pi * f / 1000 * np.eye(8) - A, drive)[2]) for f in frequencies
    ]
    assert abs(frequencies[np.argmax(gain)] - 21.75) < 0.12


def test_canonical_microcircuit_rests_at_the_known_point_under_drive():
    model = nmm.CanonicalMicrocircuit()
    point, _ = rest(model, *np.zeros(8), inputs=model.Inputs(U=0.032))
    assert np.allclose(point[::2], [0.0400986, 0.0084413, 0.0205466, -0.0198379], atol=6e-8)


def test_canonical_microcircuit_subtracts_what_comes_backward():
    model = nmm.CanonicalMicrocircuit()
    inputs = model.Inputs(A1=1.0, A2=1.0, A3=1.0, A4=1.0)
    found = field(model, model.initial_state(), inputs)
    assert np.allclose(
        [found.I_ss, found.I_dp, found.I_sp, found.I_ii], [0.2 / 2, 0.1 / 28, -0.2 / 2, -0.1 / 16]
    )


# Zetterberg–Jansen


def test_zetterberg_jansen_rests_and_rings_as_known():
    model = nmm.ZetterbergJansen()
    end = solve(model, model.initial_state(), jnp.array([0.0, 2000.0]), tol=1e-8)
    point, values = rest(model, *(x[-1] for x in jax.tree.leaves(end)))
    y = at(model, *point)
    assert np.allclose([model.v6(y), model.v7(y)], [9.1445357, 3.1146083], atol=6e-8)
    assert np.allclose(values[0], -0.0235007 + 0.0822990j, atol=6e-8)


def test_zetterberg_jansen_of_the_virtual_brain_rests_elsewhere():
    """Their inhibitory loop decays with the square of the wrong rate constant."""
    model = nmm.ZetterbergJansen()
    slope = jax.jit(lambda x: jnp.stack(jax.tree.leaves(field(model, at(model, *x)))))

    def theirs(x):
        return np.asarray(slope(x)) + (model.ki**2 - model.ke**2) * x[8] * np.eye(10)[9]

    found = root(theirs, np.zeros(10), tol=1e-12).x
    y = at(model, *found)
    assert np.allclose(theirs(found), 0.0, atol=1e-10)
    assert np.allclose([model.v6(y), model.v7(y)], [-2.0739457, 2.7911291], atol=6e-8)


# Liley–Steyn-Ross


def test_liley_steyn_ross_is_bistable_and_anaesthesia_lowers_its_quiet_state():
    for guess, point in (
        ((-85.0, -85.0), (-85.6083096, -85.6232920)),
        ((-50.0, -59.0), (-50.3649809, -58.9652945)),
    ):
        found, values = rest(nmm.LileySteynRoss(), *guess)
        assert np.allclose(found, point, atol=6e-8) and values[0].real < 0
    found, _ = rest(nmm.LileySteynRoss.preset("anaesthesia"), -87.0, -87.0)
    assert abs(found[0] + 87.2855653) < 1e-6


def test_liley_steyn_ross_takes_the_rates_of_others_as_its_own_long_range_ones():
    model = nmm.LileySteynRoss()
    y = at(model, -60.0, -60.0)
    more = field(model, y, model.Inputs(phi=0.1)).he - field(model, y).he
    assert np.allclose(more, (45 + 60) / 115 * 4000 * 0.1 * 0.18 / 0.3 / 40)
