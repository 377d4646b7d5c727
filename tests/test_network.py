"""Networks: what arrives at a region, and that it is a vector field like any other."""

import jax
import jax.numpy as jnp
import jax.random as jr
import jaxtyping
import numpy as np
import pytest
from gradients import assert_gradients_match_differences
from tiny import Relax, Riccati, assert_variance, order

import nmm
from nmm._custom_types import Parameter

WEIGHTS = jnp.array([[0.0, 2.0], [0.5, 0.0]])
X = jnp.array([1.0, 3.0])


def network(coupling=None, weights=WEIGHTS, **options):
    return nmm.Network(Relax(), weights, coupling, **options)


def state(x=X, y=0.0):
    return Relax.State(x=x, y=jnp.broadcast_to(y, jnp.shape(x)))


class Kuramoto(nmm.coupling.AbstractCoupling):
    """sum of W sin(x_j - x_i), from two features."""

    G: Parameter = nmm.param(1.0, unit="1", doc="coupling")
    source: str | None = None
    target: str | None = None

    def message(self, source):
        return {"sin": jnp.sin(source), "cos": jnp.cos(source)}

    def receive(self, target, sums, row_sums):
        return self.G * (sums["sin"] * jnp.cos(target) - sums["cos"] * jnp.sin(target))


@pytest.mark.parametrize(
    "coupling, expected",
    [
        (None, [6.0, 0.5]),
        (nmm.coupling.Linear(G=0.5, b=0.1), [3.1, 0.35]),
        (nmm.coupling.Diffusive(), [4.0, -1.0]),
        (nmm.coupling.Diffusive(G=jnp.array([1.0, 3.0])), [4.0, -3.0]),
        (nmm.coupling.Linear(source="double"), [12.0, 1.0]),
        (Kuramoto(), [1.818595, -0.454649]),
    ],
)
def test_values_worked_by_hand(coupling, expected):
    heard = network(coupling).receive(0.0, state(), None)
    np.testing.assert_allclose(heard.u, expected, rtol=1e-6)
    np.testing.assert_array_equal(heard.v, 0.0)


def test_row_is_target_and_column_is_source():
    net = network(weights=jnp.array([[0.0, 1.0], [0.0, 0.0]]))
    np.testing.assert_array_equal(net.receive(0.0, state(jnp.array([0.0, 1.0])), None).u, [1, 0])


def test_coupling_goes_to_the_target_that_it_names():
    heard = network(nmm.coupling.Linear(source="y", target="v")).receive(0.0, state(y=1.0), None)
    np.testing.assert_array_equal(heard.v, [2.0, 0.5])
    np.testing.assert_array_equal(heard.u, 0.0)


def test_several_couplings_each_go_their_own_way_and_add_up():
    linear, Linear = nmm.coupling.Linear(), nmm.coupling.Linear
    several = (linear, Linear(G=0.5, source="double"), Linear(source="y", target="v"))
    heard = network(several).receive(0.0, state(y=1.0), Relax.Inputs(v=0.1))
    np.testing.assert_allclose(heard.u, [12.0, 1.0])
    np.testing.assert_allclose(heard.v, [2.1, 0.6])
    # Each on a connectome of its own.
    other = nmm.Connectome(WEIGHTS.T, labels=("a", "b"))
    net = network(several, (other, WEIGHTS, 2 * WEIGHTS))
    heard = net.receive(0.0, state(y=1.0), None)
    np.testing.assert_allclose(heard.u, [0.5 * 3 + 6, 2 * 1 + 0.5])
    np.testing.assert_allclose(heard.v, [4.0, 1.0])
    assert net.shape == (2,) and net.labels == ("a", "b")


@pytest.mark.parametrize(
    "coupling, connectome, message",
    [
        ((), WEIGHTS, "one for each coupling"),
        ((nmm.coupling.Linear(),), (WEIGHTS, WEIGHTS), "got 2 for 1 couplings"),
        ((nmm.coupling.Linear(),) * 2, (WEIGHTS, jnp.ones((3, 3))), "got 2 and 3"),
        (
            (nmm.coupling.Linear(),) * 2,
            tuple(nmm.Connectome(WEIGHTS, labels=("a", b)) for b in "bc"),
            "the same `labels` .* 'b' and 'c' for region 1",
        ),
        ((nmm.coupling.Linear(), nmm.coupling.Linear(target="w")), WEIGHTS, "coupling.target"),
        ((nmm.coupling.Linear(), nmm.coupling.Linear(source="z")), WEIGHTS, "'z' is neither"),
    ],
)
def test_several_couplings_that_do_not_fit_are_named(coupling, connectome, message):
    with pytest.raises(ValueError, match=message):
        network(coupling, connectome)


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"save": ["vector_field"]}, ValueError, "'vector_field' is neither a state variable nor"),
        ({"transient": "a"}, TypeError, "`transient` should be a number of ms .* got 'a'"),
        ({"key": 0}, TypeError, "`key` should be a random key"),
    ],
)
def test_arguments_of_a_run_that_do_not_fit_are_named(options, error, message, monkeypatch):
    # With its types checked, no argument of another type arrives.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(error, match=message):
        nmm.simulate(network(), 1.0, 0.5, **options)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"node": nmm.Hopf}, "`node` should be a model, .* got <class"),
        ({"speed": "fast"}, "`speed` should be a number or numbers, got 'fast'"),
        ({"delays": True}, "`delays` should be a number or numbers, got True"),
        ({"delays": (None, "a")}, "`delays` should be a number or numbers, got 'a'"),
        ({"hold": "yes"}, "`hold` should be `True` or `False`, got 'yes'"),
    ],
)
def test_parts_of_another_kind_are_named(options, message, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    couplings = (nmm.coupling.Linear(),) * 2
    with pytest.raises(TypeError, match=message):
        nmm.Network(**{"node": nmm.Hopf(), "connectome": WEIGHTS, "coupling": couplings} | options)


@pytest.mark.parametrize("coupling", [nmm.coupling.Diffusive(), Kuramoto()])
def test_differences_vanish_for_a_uniform_state(coupling):
    weights = jr.uniform(jr.key(0), (20, 20))
    heard = network(coupling, weights).receive(0.0, state(jnp.full(20, 0.7)), None)
    np.testing.assert_allclose(heard.u, 0.0, atol=1e-13)


def test_batch_axes_in_front():
    x = jr.normal(jr.key(1), (4, 3, 2))
    for coupling in (nmm.coupling.Diffusive(), Kuramoto()):
        net = network(coupling)
        together = net.vector_field(0.0, state(x), net.Inputs(u=0.5))
        for i in np.ndindex(4, 3):
            alone = net.vector_field(0.0, state(x[i]), net.Inputs(u=0.5))
            np.testing.assert_allclose(together.x[i], alone.x, rtol=1e-13)


def test_inputs_stimulus_and_coupling_add_up():
    net = network(stimulus=lambda t: Relax.Inputs(u=t, v=1.0))
    heard = net.receive(10.0, state(), Relax.Inputs(u=jnp.array([0.1, 0.2])))
    np.testing.assert_allclose(heard.u, [16.1, 10.7])
    np.testing.assert_allclose(heard.v, 1.0)
    derivative = net.vector_field(10.0, state(), None)
    np.testing.assert_allclose(derivative.x, [15.0, 7.5])


def test_diffusion_keeps_the_sum_and_its_modes_decay():
    # x' = k sum_j (x_j - x_i) on a ring: cos(q i) decays by k (2 - 2 cos q).
    n, k, q = 8, 0.4, 2 * np.pi / 8
    ring = jnp.asarray(np.roll(np.eye(n), 1, axis=0) + np.roll(np.eye(n), -1, axis=0))
    net = nmm.Network(Relax(rate=0.0), ring, nmm.coupling.Diffusive(G=k))
    mode = jnp.cos(q * jnp.arange(n))
    sol = nmm.simulate(net, 3.0, 0.05, y0=state(1.0 + mode), solver=nmm.RungeKutta4(), save="x")
    np.testing.assert_allclose(sol["x"].sum(axis=1), n, rtol=1e-13)
    decay = np.exp(-k * (2 - 2 * np.cos(q)) * np.asarray(sol.ts))
    np.testing.assert_allclose(sol["x"], 1 + np.multiply.outer(decay, mode), rtol=1e-7)


def test_stimulus_is_seen_at_the_time_of_each_stage():
    net = network(stimulus=lambda t: Relax.Inputs(v=3 * t**2), weights=jnp.zeros((2, 2)))
    still = nmm.Network(Relax(rate=0.0), jnp.zeros((2, 2)), stimulus=net.stimulus)
    sol = nmm.simulate(still, 2.0, 0.25, solver=nmm.RungeKutta4())
    np.testing.assert_allclose(sol["y"][:, 0], sol.ts**3, rtol=1e-12)


def test_coupling_at_every_stage_keeps_second_order():
    weights = jnp.array([[0.0, 1.0], [-2.0, 0.0]])
    net = nmm.Network(Relax(rate=0.5), weights)
    exact = jax.scipy.linalg.expm(2.0 * (weights - 0.5 * jnp.eye(2))) @ X
    ends = [nmm.simulate(net, 2.0, dt, y0=state(), save=[]).y1.x for dt in (0.1, 0.05, 0.025)]
    errors = [np.max(np.abs(end - exact)) for end in ends]
    np.testing.assert_allclose(order(errors), 2, atol=0.1)


def test_regional_parameters_reach_their_regions():
    rate = jnp.array([0.5, 2.0])
    net = nmm.Network(Relax(rate=rate), jnp.zeros((2, 2)))
    np.testing.assert_allclose(net.vector_field(0.0, state(), None).x, -rate * X)
    assert net.shape == (2,) and net.initial_state().x.shape == (2,)
    assert net.initial_state((3, 2)).x.shape == (3, 2)


def test_noise_of_the_network_is_used_and_adds_to_that_of_the_run():
    slow = nmm.Network(Relax(rate=0.0), jnp.zeros((2, 2)), noise=nmm.noise.White(x=0.5))
    options = {"key": jr.key(2), "save": [], "shape": (5000, 2)}
    y1 = nmm.simulate(slow, 1.0, 0.25, noise=nmm.noise.White(y=2.0), **options).y1
    assert_variance(y1.x, 0.25)
    assert_variance(y1.y, 4.0)
    with pytest.raises(ValueError, match="`noise` should act on 'x' once"):
        nmm.simulate(slow, 1.0, 0.25, noise=nmm.noise.White(x=2.0), **options)


def test_connectome_names_the_regions_of_a_divergence():
    # One region explodes; what is infinite reaches all others, even at weight 0.
    conn = nmm.Connectome(jnp.zeros((3, 3)), labels=("one", "two", "three"))
    start = Riccati.State(x=jnp.array([1.0, -1.0, 1.0]))
    with pytest.raises(nmm.DivergenceError, match=r"`x` \(regions \['one', 'two'"):
        nmm.simulate(nmm.Network(Riccati(), conn), 5.0, 0.01, y0=start)


def test_gradients_in_weights_coupling_and_what_is_part_of_the_network():
    def end(p):
        net = nmm.Network(
            Relax(rate=p[5]),
            p[:4].reshape(2, 2),
            nmm.coupling.Diffusive(G=p[4]),
            noise=nmm.noise.White(x=p[6], resolution=0.1),
            stimulus=lambda t: Relax.Inputs(u=p[7] * jnp.sin(t)),
        )
        return nmm.simulate(net, 1.0, 0.1, y0=state(), key=jr.key(3), save_every=0.5)["x"]

    assert_gradients_match_differences(end, jnp.array([0.1, 2.0, 0.5, 0.2, 0.7, 0.9, 0.3, 0.4]))
