"""Regions that differ: parameters that follow maps, and regions that follow different models."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
from gradients import assert_gradients_match_differences
from tiny import Relax, Riccati

import fitting
import nmm

MYELIN = jnp.array([-1.0, 0.0, 0.5, 2.0])


def test_map_stands_for_its_values_in_every_model_and_coupling():
    parameter = nmm.Map(1.4, 0.1, MYELIN)
    values = 1.4 + 0.1 * MYELIN
    np.testing.assert_allclose(parameter, values)
    several = nmm.Map(1.0, [0.1, -0.2], jnp.stack([MYELIN, MYELIN**2]))
    np.testing.assert_allclose(several, 1 + 0.1 * MYELIN - 0.2 * MYELIN**2)
    for cls, name in (
        (nmm.WongWangExcInh, "w_p"),
        (nmm.JansenRit, "C"),
        (nmm.MontbrioPazoRoxin, "eta"),
        (nmm.Epileptor, "x0"),
    ):
        mapped, plain = cls(**{name: parameter}), cls(**{name: values})
        state = plain.initial_state((4,), jr.key(0))
        assert mapped.shape == (4,)
        for a, b in zip(
            jax.tree.leaves(mapped.vector_field(0.0, state, mapped.Inputs())),
            jax.tree.leaves(plain.vector_field(0.0, state, plain.Inputs())),
            strict=True,
        ):
            np.testing.assert_allclose(a, b, rtol=1e-14)
    weights = jr.uniform(jr.key(1), (4, 4))
    x = Relax.State(x=MYELIN, y=MYELIN)
    heard = [
        nmm.Network(Relax(), weights, nmm.coupling.Diffusive(G=G)).receive(0.0, x, None).u
        for G in (parameter, values)
    ]
    np.testing.assert_allclose(*heard)


def test_arithmetic_of_maps_is_that_of_their_values():
    p, v = nmm.Map(2.0, 0.5, MYELIN), 2.0 + 0.5 * MYELIN
    w = jnp.arange(1.0, 5.0)
    pairs = [
        (p + w, v + w), (w + p, w + v), (p - 1, v - 1), (1 - p, 1 - v), (p * w, v * w),
        (w * p, w * v), (p / w, v / w), (1 / p, 1 / v), (p**2, v**2), (2**p, 2**v), (-p, -v),
        (jnp.exp(p), jnp.exp(v)), (p[1:], v[1:]), (p * p, v * v),
    ]  # fmt: skip
    for found, expected in pairs:
        np.testing.assert_allclose(found, expected, rtol=1e-14)


def run(net):
    return nmm.simulate(net, 2.0, 0.25, y0=Relax.State(x=1 + MYELIN**2, y=MYELIN), save=[]).y1.x


def test_both_numbers_of_a_map_can_be_fitted_and_swept_by_path():
    def network(intercept, slope):
        return nmm.Network(Relax(rate=nmm.Map(intercept, slope, MYELIN)), jnp.zeros((4, 4)))

    truth = run(network(0.8, 0.2))

    def loss(net):
        return jnp.mean((run(net) - truth) ** 2)

    result = fitting.fit(
        loss,
        network(0.5, 0.0),
        free={"node.rate.intercept": None, "node.rate.slope": None},
        optimizer=optax.adam(0.05),
        steps=300,
    )
    rate = result.model.node.rate
    np.testing.assert_allclose([rate.intercept, rate.slope], [0.8, 0.2], atol=2e-3)
    table = fitting.sweep(loss, network(0.8, 0.0), over={"node.rate.slope": jnp.array([0.0, 0.2])})
    losses = table.values["loss"]
    assert losses[1] < 1e-12 < losses[0]
    assert_gradients_match_differences(lambda p: run(network(p[0], p[1])), jnp.array([0.8, 0.2]))


def test_maps_are_described_and_work_with_the_control_of_inhibition():
    net = nmm.Network(nmm.WongWangExcInh(w_p=nmm.Map(1.4, 0.1, MYELIN)), jnp.zeros((4, 4)))
    assert "| `node.w_p` " in nmm.describe(net) and "1.3 to 1.6 (4 values)" in nmm.describe(net)
    plain = eqx.tree_at(lambda n: n.node.w_p, net, 1.4 + 0.1 * MYELIN)
    np.testing.assert_allclose(nmm.balance(net).weights, nmm.balance(plain).weights, rtol=1e-9)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: nmm.Map(1.0, 0.1), r"`map` should have the shape \(regions,\) .*; got \(\)"),
        (lambda: nmm.Map(1.0, 0.1, MYELIN.at[1].set(jnp.nan)), "`map` should be finite"),
        (lambda: nmm.Map(1.0, 0.1, jnp.ones(3)), "`map` should differ between regions"),
        (lambda: nmm.Map(1.0, [0.1], MYELIN), r"`slope` .* shape \(\), .*; got \(1,\) and \(\)"),
        (lambda: nmm.Map(jnp.inf, 0.1, MYELIN), "`intercept` of `Map` should be finite"),
        (
            lambda: nmm.Network(Relax(rate=nmm.Map(1.0, 0.1, MYELIN)), jnp.eye(3)),
            "`node` should be given for the 3 regions of `connectome`, got 4",
        ),
        (
            lambda: nmm.JansenRit(C=nmm.Map(1.0, 0.1, MYELIN), be=[0.1, 0.2]),
            "`be` has 2, `C` has 4",
        ),
    ],
)
def test_maps_that_do_not_fit_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# Regions that follow different models.

CORTEX, THALAMUS = (0, 2, 3), (4, 1)


@pytest.fixture(scope="module")
def parts():
    cortex = nmm.WilsonCowan(P=jnp.array([1.0, 1.2, 0.8]))
    thalamus = nmm.FitzHughNagumo()
    weights = jr.uniform(jr.key(5), (5, 5))
    node = nmm.mix({"cortex": (cortex, CORTEX), "thalamus": (thalamus, THALAMUS)})
    return cortex, thalamus, nmm.Network(node, weights, nmm.coupling.Linear(G=0.2))


def test_mixed_regions_follow_their_own_models(parts):
    cortex, thalamus, net = parts
    state = net.initial_state(key=jr.key(6))
    inputs = net.Inputs(cortex_rI_inp=jnp.arange(5.0))
    slope = net.vector_field(0.0, state, inputs)
    sent = np.zeros(5)
    sent[list(CORTEX)] = state.cortex_rE[jnp.array(CORTEX)]
    source = getattr(state, f"thalamus_{thalamus.source}")
    sent[list(THALAMUS)] = source[jnp.array(THALAMUS)]
    heard = 0.2 * net.connectome.weights @ sent
    for name, model, where, more in (
        ("cortex", cortex, jnp.array(CORTEX), {"rI_inp": jnp.array([0.0, 2.0, 3.0])}),
        ("thalamus", thalamus, jnp.array(THALAMUS), {}),
    ):
        variables = [k.removeprefix(f"{name}_") for k in vars(state) if k.startswith(name)]
        own = model.State(**{k: getattr(state, f"{name}_{k}")[where] for k in variables})
        arrives = model.Inputs(**{model.target: heard[where]}, **more)
        expected = model.vector_field(0.0, own, arrives)
        for k in variables:
            found = getattr(slope, f"{name}_{k}")
            np.testing.assert_allclose(found[where], getattr(expected, k), rtol=1e-12)
            others = np.setdiff1d(np.arange(5), where)
            np.testing.assert_array_equal(found[others], 0.0)
            np.testing.assert_array_equal(getattr(state, f"{name}_{k}")[others], 0.0)


def test_mixed_networks_run_with_noise_outputs_and_gradients(parts):
    _, _, net = parts
    start = net.initial_state(key=jr.key(7))

    def end(P):
        changed = eqx.tree_at(lambda n: n.node.parts["cortex"].P, net, P)
        sol = nmm.simulate(
            changed, 2.0, 0.25, y0=start, key=jr.key(8), save=["observed", "thalamus_V", "sent"],
            noise=nmm.noise.White(cortex_rE=0.01),
        )  # fmt: skip
        return sol["observed"]

    assert end(net.node.parts["cortex"].P).shape == (8, 5)
    assert_gradients_match_differences(end, net.node.parts["cortex"].P)
    text = nmm.describe(net)
    assert "`node.parts.cortex.P`" in text and "| `thalamus_V` " in text


def test_noise_and_reports_leave_out_regions_of_other_models():
    inside, outside = [0, 2], [1]
    node = nmm.mix({"a": (Relax(), inside), "b": (Riccati(), outside)})
    noise = (
        nmm.noise.White(a_x=0.1),
        nmm.noise.OrnsteinUhlenbeck(0.1, 5.0, onto="a_y"),
        nmm.noise.Multiplicative(b_x=0.1, interpretation="ito"),
    )
    sol = nmm.simulate(node, 8.0, 0.25, key=jr.key(0), noise=noise)
    for name, where in (("a_x", outside), ("a_y", outside), ("b_x", inside)):
        np.testing.assert_array_equal(sol[name][:, where], 0.0)
        assert np.all(np.std(np.delete(sol[name], where, axis=1), axis=0) > 0)
    assert dict(sol.within) == {"a_x": (0, 2), "a_y": (0, 2), "b_x": (1,)}
    report = nmm.check(sol)
    assert not any("does not change" in warning for warning in report.warnings)
    means = {row.name: row.mean for row in report.rows}
    np.testing.assert_allclose(means["a_x"], np.mean(sol["a_x"][:, inside]))
    np.testing.assert_allclose(means["b_x"], np.mean(sol["b_x"][:, outside]))


@pytest.mark.thorough
def test_mixed_networks_take_delays():
    node = nmm.mix({"a": (Relax(), [0, 2]), "b": (Riccati(), [1])})
    weights = jr.uniform(jr.key(5), (3, 3))

    def run(**delays):
        net = nmm.Network(node, weights, **delays)
        y0 = net.State(a_x=jnp.array([1.0, 0, -1]), a_y=jnp.zeros(3), b_x=jnp.array([0, 2.0, 0]))
        return nmm.simulate(net, 1.0, 0.25, y0=y0, save="sent", solver=nmm.Euler())["sent"]

    late = run(delays=jnp.full((3, 3), 0.75))
    sent, x = jnp.array([1.0, 2.0, -1.0]), jnp.array([1.0, 2.0, -1.0])
    for n in range(3):  # Until then, what arrives is what was sent before the start.
        x = x + 0.25 * (weights @ sent - jnp.array([x[0], x[1] ** 2, x[2]]))
        np.testing.assert_allclose(late[n], x, rtol=1e-12)


def test_mixtures_that_do_not_fit_are_refused():
    model = nmm.WilsonCowan()
    for parts, message in (
        (
            {"a": (model, [0, 1]), "b": (model, [1, 2])},
            r"from 0 to 2 once, got \[0, 1",
        ),
        ({"a": (model, [1, 2])}, r"every region from 0 to 2 once, got \[1, 2\]"),
        ({"a b": (model, [0])}, "`parts` should have names such as 'cortex', got 'a b'"),
        ({"a": (nmm.WilsonCowan(P=[1.0, 2.0]), [0])}, "should be given for its 1 regions, got 2"),
    ):
        with pytest.raises(ValueError, match=message):
            nmm.mix(parts)
