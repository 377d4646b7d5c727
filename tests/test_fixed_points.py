"""Fixed points: found, named, differentiated, and missed in words."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from tiny import Riccati

import nmm
from nmm.analysis import fixed_point, fixed_points
from nmm.analysis._eigenvalues import leading_eigenvalues

START = nmm.Hopf.State(jnp.array(0.1), jnp.array(0.0))
WEIGHTS = jnp.array([[0.0, 1.0, 0.4], [0.7, 0.0, 0.2], [0.1, 0.9, 0.0]])


def at_four(u):
    """The stable fixed point of x' = u - x², the root of u."""
    return fixed_point(Riccati(), inputs=Riccati.Inputs(u=u), throw=False)


def test_fixed_point_is_the_root_with_its_derivatives_of_any_order():
    x, dx, ddx = jax.vmap(
        lambda u: (
            at_four(u).state.x,
            jax.grad(lambda u: at_four(u).state.x)(u),
            jax.jacfwd(jax.grad(lambda u: at_four(u).state.x))(u),
        )
    )(jnp.array([4.0, 9.0]))
    root = np.array([2.0, 3.0])
    np.testing.assert_allclose(x, root, rtol=1e-9)
    np.testing.assert_allclose(dx, 1 / (2 * root), rtol=1e-9)
    np.testing.assert_allclose(ddx, -1 / (4 * root**3), rtol=1e-9)


def test_where_there_is_no_fixed_point_the_error_says_so_and_gradients_stay_finite():
    with pytest.raises(ValueError, match="There is no fixed point near the guess"):
        fixed_point(Riccati(), inputs=Riccati.Inputs(u=-1.0))
    point = at_four(-1.0)
    assert not point.found
    assert not point.stable
    assert point.kind == "none"
    gradient = jax.grad(lambda u: jnp.sum(at_four(u).jacobian))(-1.0)
    assert np.isfinite(gradient)


def test_all_fixed_points_of_a_bistable_model_are_found_once_and_named():
    down, saddle, up = fixed_points(
        nmm.MontbrioPazoRoxin(Delta=0.7, eta=-4.6, J=14.5), key=jr.key(0), starts=32
    )[-3:]
    states = [float(p.state.r) for p in (down, saddle, up)]
    np.testing.assert_allclose(states, [0.0571, 0.4523, 1.0080], atol=1e-4)
    assert [p.kind for p in (down, saddle, up)] == ["stable node", "saddle", "stable focus"]
    assert repr(saddle).startswith("FixedPoint(saddle: r=0.4523")


def test_eigenvalues_of_the_normal_form_and_the_gradient_of_growth():
    point = fixed_point(nmm.Hopf(a=0.25, w=0.2), shape=(2,), guess=START)
    np.testing.assert_allclose(
        np.unique(np.round(point.eigenvalues, 9)), [0.25 - 0.2j, 0.25 + 0.2j]
    )
    assert point.kind == "unstable focus"

    def growth(a):
        # Of two regions, whose eigenvalues coincide.
        return fixed_point(nmm.Hopf(a=a, w=0.2), shape=2, guess=START, throw=False).growth

    np.testing.assert_allclose(jax.value_and_grad(growth)(-0.1), (-0.1, 1.0), rtol=1e-9)


EDGES = {
    "zero": np.zeros((2, 2)),
    "on the edge": np.diag([0.0, -2.0]),
    "coinciding": -np.eye(3),
    "of all sizes": np.diag([-1e8, -1e-3]),
}


@pytest.mark.parametrize("name", EDGES)
def test_growth_and_its_gradient_where_matrices_are_singular_or_eigenvalues_meet(name):
    matrix = jnp.asarray(EDGES[name])
    growth, gradient = jax.value_and_grad(lambda a: leading_eigenvalues(a)[1])(matrix)
    np.testing.assert_allclose(growth, np.linalg.eigvals(EDGES[name]).real.max(), atol=1e-12)
    # All eigenvalues move with the diagonal.
    np.testing.assert_allclose(jnp.trace(gradient), 1.0, rtol=1e-6)


def test_growth_is_a_number_also_where_rounding_makes_a_pivot_zero():
    """Of many matrices in float32, some have an eigenvalue whose shift is exactly singular."""
    weights = np.random.default_rng(0).random((400, 5, 5))
    matrices = jnp.asarray(weights + weights.swapaxes(1, 2) - 4 * np.eye(5), jnp.float32)
    growth, gradients = jax.vmap(jax.value_and_grad(lambda a: leading_eigenvalues(a)[1]))(matrices)
    expected = np.linalg.eigvalsh(np.asarray(matrices, float))[:, -1]
    np.testing.assert_allclose(growth, expected, atol=2e-5)
    np.testing.assert_allclose(jnp.trace(gradients, axis1=1, axis2=2), 1.0, rtol=1e-5)


def test_network_rests_where_a_run_without_noise_ends():
    net = nmm.Network(nmm.ReducedWongWang(), WEIGHTS, nmm.coupling.Linear(G=0.1))
    point = fixed_point(net)
    end = nmm.simulate(net, 8000.0, 4.0, save_every=8000.0).y1
    np.testing.assert_allclose(point.state.S, end.S, rtol=1e-8)
    assert point.kind == "stable node"


def test_inputs_that_change_are_refused():
    with pytest.raises(TypeError, match="`inputs` should be constant"):
        fixed_point(Riccati(), inputs=lambda t: Riccati.Inputs(u=t))
    with pytest.raises(ValueError, match="should be scalar or have the regions"):
        fixed_point(Riccati(), inputs=Riccati.Inputs(u=jnp.ones(3)), shape=(2,))


@pytest.mark.parametrize(
    "model, settled",
    (
        (nmm.Epileptor.preset("resting"), {"x2": -0.71289}),
        (nmm.ZetterbergJansen(ki=0.06), {}),
        (nmm.ZerlautAdaptationFirstOrder.preset("asynchronous", T=15.0), {}),
    ),
    ids=lambda x: type(x).__name__,
)
def test_a_run_that_settles_late_is_followed_to_its_end(model, settled):
    point = nmm.analysis.fixed_point(model)
    assert float(jnp.max(jnp.linalg.eigvals(point.jacobian).real)) < 0
    for name, value in settled.items():
        np.testing.assert_allclose(getattr(point.state, name), value, atol=1e-4)
