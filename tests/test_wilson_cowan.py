"""The Wilson–Cowan family: variants against brainmass, their known states, and neutral parts."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from helpers import build, eigenvalues, field, fixed_point, golden, period_of, solve, together
from jax.flatten_util import ravel_pytree

import nmm
from nmm._balance import _CONTROLS

rhs = golden("rhs_wilson_cowan")
trajectories = golden("traj_wilson_cowan")

variants = (
    "no_saturation",
    "symmetric",
    "simplified",
    "linear",
    "divisive_gain",
    "divisive_input",
)

# Where each model ends from rest under the drives P = 1 and P = 2, Q = 0.5.
driven = {
    (nmm.WilsonCowan, None): ((0.484306, 0.258463), (0.489123, 0.288168)),
    (nmm.WilsonCowan, "no_saturation"): ((0.966209, 0.695364), (0.966353, 0.726603)),
    (nmm.WilsonCowanSymmetric, None): ((0.470871, 0.278044), (0.486444, 0.316087)),
    (nmm.WilsonCowanSimplified, None): ((0.283734, 0.058814), (0.429577, 0.129102)),
    (nmm.WilsonCowan, "linear"): ((0.580840, 0.263163), (0.708564, 0.451891)),
    (nmm.WilsonCowan, "divisive_gain"): ((0.302062, 0.013277), (0.405032, 0.036564)),
    (nmm.WilsonCowan, "divisive_input"): ((0.292536, 0.012543), (0.443157, 0.039305)),
    (nmm.WilsonCowanAdaptive, None): (
        (0.483889, 0.257082, 0.048389, 0.020567),
        (0.488993, 0.286876),
    ),
    (nmm.WilsonCowanAdaptive, "brainmass"): (
        (0.486904, 0.048962, 0.048690, 0.003917),
        (0.489670, 0.068295),
    ),
    (nmm.WilsonCowanThreePopulation, None): (
        (0.488669, 0.283626, 0.209678),
        (0.490427, 0.308427, 0.186377),
    ),
    (nmm.WilsonCowanThreePopulation, "brainmass"): (
        (0.490440, 0.080381, 0.391872),
        (0.491013, 0.101450, 0.379399),
    ),
}


def translate(key, p):
    """Our model for a variant of brainmass.

    Half of its variants name a weight by its source first and half by its target.
    """
    source_first = key in ("NoSaturation", "Symmetric", "Linear")
    populations = "EIM" if key == "ThreePopulation" else "EI"
    if key == "Simplified":
        weights = [[p["w_exc"], p["w_inh"]]] * 2
    else:
        weights = [
            [p[f"w{j}{i}" if source_first else f"w{i}{j}"] for j in populations]
            for i in populations
        ]
    parameters = {"weights": jnp.array(weights)}
    for k in populations:
        a, theta = (p.get(f"{name}_{k}", p.get(name)) for name in ("a", "theta"))
        parameters[f"tau_{k}"] = p.get(f"tau_{k}", p.get("tau"))
        parameters[f"r_{k}"] = p.get("r", 0.0)
        linear = key == "Linear"
        parameters[f"transfer_{k}"] = nmm.Rectified() if linear else nmm.Sigmoid(a=a, theta=theta)
    if key == "Adaptive":
        extra = {name: p[name] for name in ("tau_aE", "tau_aI", "b_E", "b_I")}
        return nmm.WilsonCowanAdaptive(nmm.WilsonCowan(**parameters), **extra)
    cls = nmm.WilsonCowanThreePopulation if key == "ThreePopulation" else nmm.WilsonCowan
    return cls(**parameters)


def ours(key, entry, arrays):
    model = translate(key, dict(zip(entry["parameters"], arrays["params"].T, strict=True)))
    return model, model.Inputs(*jnp.asarray(arrays["inputs"].T))


@pytest.mark.parametrize("key", rhs)
def test_right_hand_side_equals_that_of_brainmass(key):
    arrays, entry = rhs[key]
    model, inputs = ours(key, entry, arrays)
    derivative = field(model, model.State(*jnp.asarray(arrays["state"].T)), inputs)
    error = np.abs(np.stack(jax.tree.leaves(derivative), axis=-1) - arrays["dstate"])
    assert np.all(error <= 1e-12 * np.max(np.abs(arrays["dstate"]), axis=-1, keepdims=True))


@pytest.mark.parametrize("key", trajectories)
def test_trajectory_equals_that_of_brainmass(key):
    arrays, entry = trajectories[key]
    model, inputs = ours(key, entry, arrays)
    states = solve(
        model,
        model.State(*jnp.asarray(arrays["y"][0])),
        jnp.asarray(arrays["t"]),
        inputs,
        tol=1e-11,
    )
    error = np.abs(np.stack(jax.tree.leaves(states), axis=-1) - arrays["y"])
    assert np.max(error / np.max(np.abs(arrays["y"]), axis=0)) < 1e-7


@pytest.mark.parametrize("cls, preset", driven)
def test_driven_state_is_the_known_one(cls, preset):
    model = build(cls, preset)
    inputs = model.Inputs(rE_inp=jnp.array([1.0, 2.0]), rI_inp=jnp.array([0.0, 0.5]))
    end = solve(model, model.initial_state((2,)), jnp.array([0.0, 3000.0]), inputs, tol=1e-8)
    found = np.stack(jax.tree.leaves(end))[:, -1]
    for column, known in zip(found.T, driven[cls, preset], strict=True):
        assert np.allclose(column[: len(known)], known, atol=2e-6)


def rest_and(model, *guesses):
    """The fixed points that Newton's method finds from these, and whether they are stable."""
    points = [fixed_point(model, model.State(*jnp.array(guess))) for guess in guesses]
    stable = [np.all(eigenvalues(model, point).real < 0) for point in points]
    return np.array([jax.tree.leaves(point) for point in points]), stable


def test_without_saturation_the_active_state_is_near_one():
    model = nmm.WilsonCowan.preset("no_saturation")
    known = [[0.0, 0.0], [0.14072, 0.04623], [0.96569, 0.69494]]
    points, stable = rest_and(model, *known)
    assert np.allclose(points, known, atol=5e-6) and stable == [True, False, True]


@pytest.mark.parametrize(
    "preset, values",
    (
        ("symmetric", (-0.7642, -1.2109)),
        ("simplified", None),
        ("divisive_gain", (-0.7664, -1.0)),
        ("divisive_input", (-0.7664, -1.0)),
    ),
)
def test_some_variants_rest_in_one_state_only(preset, values):
    model = nmm.WilsonCowan.preset(preset)
    grid = jnp.meshgrid(jnp.linspace(0.0, 1.0, 15), jnp.linspace(0.0, 1.0, 15))
    starts = model.State(*(x.ravel() for x in grid))
    end = solve(model, starts, jnp.array([0.0, 300.0]), tol=1e-8)
    assert np.max(np.abs(ravel_pytree(jax.tree.map(lambda x: x[-1], end))[0])) < 1e-6
    if values is not None:
        assert np.allclose(eigenvalues(model, model.initial_state()), values, atol=5e-5)


def test_linear_variant_without_refractoriness_is_a_linear_system():
    model = nmm.WilsonCowan.preset("linear", r_E=0.0, r_I=0.0, P=1.0)
    point = fixed_point(model, model.State(jnp.array(2.0), jnp.array(1.0)))
    jacobian = np.array([[-0.2, -0.3], [1.0, -1.85]])
    assert np.allclose([point.rE, point.rI], np.linalg.solve(jacobian, [-1.0, 0.0]), rtol=1e-12)
    assert np.allclose([point.rE, point.rI], [2.761194, 1.492537], atol=5e-7)
    assert np.allclose(eigenvalues(model, point), [-0.40805, -1.64195], atol=5e-6)


def test_strong_adaptation_makes_a_slow_oscillation():
    # By region: two that oscillate, and two that rest.
    b_E = [5.0, 10.0, 0.1, 20.0]
    model = nmm.WilsonCowanAdaptive.preset("slow_oscillation", b_E=b_E)
    ts = np.arange(3000.0, 4000.0, 0.2)
    states = solve(model, model.initial_state(), jnp.asarray(np.concatenate([[0.0], ts])), tol=1e-8)
    rE = np.asarray(states.rE[1:])
    assert np.allclose([period_of(ts, rE[:, k]) for k in (0, 1)], [189.2, 143.6], atol=0.06)
    assert np.allclose([rE[:, 0].min(), rE[:, 0].max()], [-0.018, 0.472], atol=6e-4)
    assert np.all(np.ptp(rE[:, 2:], axis=0) < 1e-6)


@pytest.mark.parametrize(
    "preset, up", ((None, (0.48134, 0.27814, 0.20518)), ("brainmass", (0.48796, 0.07982, 0.39026)))
)
def test_three_populations_have_a_rest_and_an_active_state(preset, up):
    model = build(nmm.WilsonCowanThreePopulation, preset)
    points, stable = rest_and(model, (0.0,) * 3, up, (0.15, 0.03, 0.05))
    assert np.allclose(points[:2], [(0.0,) * 3, up], atol=5e-6) and stable == [True, True, False]
    # Between them, a saddle: one direction leads away.
    assert 0.01 < points[2, 0] < up[0] - 0.01
    values = eigenvalues(model, model.State(*jnp.asarray(points[2])))
    assert np.sum(values.real > 0) == 1


def random_states(model):
    keys = iter(jr.split(jr.key(0), 10))
    state = model.State(*(jr.uniform(next(keys), (50,)) for _ in model.State.__dataclass_fields__))
    return state, model.Inputs(*(jr.uniform(next(keys), (50,)) for _ in vars(model.Inputs())))


@pytest.mark.parametrize("divided", ("gain", "input"))
def test_divisive_field_is_its_equation(divided):
    part = nmm.DivisiveGain if divided == "gain" else nmm.DivisiveInput
    (w_EE, w_EI), (w_IE, w_II) = weights = np.random.default_rng(1).uniform(1, 10, (2, 2))
    constants = {"tau_E": 2.0, "tau_I": 3.0, "r_E": 0.8, "r_I": 1.2}
    parts = {"inhibition_E": part(sigma=1.7), "inhibition_I": part(sigma=0.6)}
    model = nmm.WilsonCowan(weights=weights, **constants, **parts)
    state, inputs = random_states(model)
    rE, rI, to_E, to_I = (np.asarray(x) for x in jax.tree.leaves((state, inputs)))

    def F(x, a, theta):
        return 1 / (1 + np.exp(-a * (x - theta))) - 1 / (1 + np.exp(a * theta))

    by_E, by_I = 1.7 + w_EI * rI, 0.6 + w_II * rI
    if divided == "gain":
        F_E = F(w_EE * rE + to_E, 1.2, 2.8) / by_E
        F_I = F(w_IE * rE + to_I, 1.0, 4.0) / by_I
    else:
        F_E = F(w_EE * rE / by_E + to_E, 1.2, 2.8)
        F_I = F(w_IE * rE / by_I + to_I, 1.0, 4.0)
    found = field(model, state, inputs)
    assert np.allclose(found.rE, (-rE + (1 - 0.8 * rE) * F_E) / 2.0, rtol=1e-12)
    assert np.allclose(found.rI, (-rI + (1 - 1.2 * rI) * F_I) / 3.0, rtol=1e-12)


@pytest.mark.parametrize("part", (nmm.DivisiveGain, nmm.DivisiveInput))
def test_divisive_parts_change_nothing_where_nothing_inhibits(part):
    model = nmm.WilsonCowan(weights=[[12.0, 0.0], [13.0, 0.0]], P=0.3, k_E=0.9)
    state, inputs = random_states(model)
    is_inhibition = lambda m: (m.inhibition_E, m.inhibition_I)  # noqa: E731
    other = eqx.tree_at(is_inhibition, model, (part(), part()))
    assert eqx.tree_equal(field(other, state, inputs), field(model, state, inputs))
    # The part is in use: with another constant it does change something.
    other = eqx.tree_at(is_inhibition, model, (part(sigma=2.0), part(sigma=2.0)))
    assert not np.any(field(other, state, inputs).rE == field(model, state, inputs).rE)


@pytest.mark.parametrize("preset", (None, *variants))
def test_adaptation_of_no_strength_changes_nothing(preset):
    model = build(nmm.WilsonCowan, preset)
    tireless = nmm.WilsonCowanAdaptive(model, b_E=0.0, b_I=0.0)
    state, inputs = random_states(tireless)
    at_rest = eqx.tree_at(lambda s: (s.aE, s.aI), state, (jnp.zeros(50), jnp.zeros(50)))
    expected = field(model, model.State(state.rE, state.rI), inputs)
    found = field(tireless, at_rest, inputs)
    assert eqx.tree_equal((found.rE, found.rI), (expected.rE, expected.rI))
    assert not np.any(found.aE) and not np.any(found.aI)
    # Nor does what is left of earlier adaptation last.
    assert np.allclose(field(tireless, state, inputs).aE, -state.aE / tireless.tau_aE)


@pytest.mark.parametrize("preset", (None, *variants))
def test_a_third_population_that_nobody_hears_changes_nothing(preset):
    model = build(nmm.WilsonCowan, preset)
    weights = jnp.array([[0.0] * 3, [0.0] * 3, [8.0, 6.0, 2.0]]).at[:2, :2].set(model.weights)
    three = nmm.WilsonCowanThreePopulation(**(vars(model) | {"weights": weights}))
    state, inputs = random_states(three)
    found = field(three, state, inputs)
    heard = model.Inputs(inputs.rE_inp, inputs.rI_inp)
    expected = field(model, model.State(state.rE, state.rI), heard)
    assert eqx.tree_equal((found.rE, found.rI), (expected.rE, expected.rI), rtol=1e-15)


@pytest.mark.parametrize("part", (nmm.Rectified, nmm.Sigmoid))
def test_models_of_tied_constants_are_wilson_cowan_with_equal_ones(part):
    symmetric = nmm.WilsonCowanSymmetric(tau=3.0, P=0.3, k=0.9, r=0.7, transfer=part())
    untied = {f"{name}_{k}": getattr(symmetric, name) for name in ("tau", "k", "r") for k in "EI"}
    parts = {"transfer_E": part(), "transfer_I": part(), "P": 0.3}
    simplified = nmm.WilsonCowanSimplified(tau_E=3.0, w_exc=7.0, r=0.7, **parts)
    same = {"tau_E": 3.0, "weights": [[7.0, 12.0]] * 2, "r_E": 0.7, "r_I": 0.7}
    for tied, model in (
        (symmetric, nmm.WilsonCowan(**untied, **parts)),
        (simplified, nmm.WilsonCowan(**same, **parts)),
    ):
        state, inputs = random_states(model)
        assert eqx.tree_equal(field(tied, state, inputs), field(model, state, inputs))


@pytest.mark.parametrize("preset", ("no_saturation", "linear", "divisive_gain", "divisive_input"))
@pytest.mark.parametrize("dtype", (jnp.float32, jnp.float64))
def test_gradients_of_other_parts_are_finite_and_equal_finite_differences(preset, dtype):
    usual = jax.tree.map(lambda x: x.astype(dtype), nmm.WilsonCowan.preset(preset))
    state, inputs = jax.tree.map(lambda x: x.astype(dtype), random_states(usual))
    theta, unravel = ravel_pytree(usual)

    def total(theta):
        derivative = field(unravel(theta), state, inputs)
        return jnp.sum(derivative.rE) - 0.7 * jnp.sum(derivative.rI)

    gradient = jax.grad(total)(theta)
    assert gradient.dtype == dtype and np.all(np.isfinite(gradient))
    if dtype == jnp.float64:
        steps = 1e-6 * jnp.eye(len(theta))
        both = jax.jit(jax.vmap(total))
        slope = (both(theta + steps) - both(theta - steps)) / 2e-6
        assert np.allclose(gradient, slope, rtol=1e-6, atol=1e-7)


def test_cycles_of_published_sets_have_the_known_periods():
    # A gallery page of brainmass, as intended and as coded there.
    intended, coded = (
        nmm.WilsonCowan(tau_E=2.5, tau_I=3.75, P=1.0, weights=[[16.0, w], [27.0 - w, 3.0]])
        for w in (12.0, 15.0)
    )
    preset = nmm.WilsonCowan.preset
    cycles = (intended, coded, preset("daffertshofer2011"), preset("neurolib", P=0.8))
    model = together(*cycles, preset("neurolib", P=0.7))
    ts = np.arange(1000.0, 1500.0, 0.02)
    states = solve(model, model.initial_state(), jnp.append(0.0, ts))
    *cycling, resting = np.asarray(states.rE[1:]).T
    periods = [period_of(ts, x) for x in cycling]
    assert np.allclose(periods, [17.36, 17.05, 47.222, 22.39], atol=0.006)
    assert np.allclose([cycling[2].min(), cycling[2].max()], [0.1958, 0.6766], atol=5e-5)
    assert np.ptp(resting) < 1e-4


def test_set_of_the_paper_has_the_largest_response_for_its_k():
    model = nmm.WilsonCowan.preset("wilson_cowan1972")
    assert np.allclose(model.k_E, model.transfer_E(jnp.array(1e3)), atol=5e-7)
    assert np.allclose(model.k_I, model.transfer_I(jnp.array(1e3)), atol=5e-7)


def test_description_names_the_parts_that_a_preset_exchanges():
    rows = nmm.describe(nmm.WilsonCowan).splitlines()
    parts = {"linear": "Rectified", "divisive_gain": "DivisiveGain", "symmetric": "transfer_I.a"}
    for preset, part in parts.items():
        (row,) = (row for row in rows if row.startswith(f"| `{preset}`"))
        assert part in row


def test_inhibition_control_finds_the_weight_of_every_circuit_of_the_family():
    for cls in (nmm.WilsonCowan, nmm.WilsonCowanAdaptive, nmm.WilsonCowanThreePopulation):
        control = _CONTROLS[cls]
        network = nmm.Network(cls(), jnp.ones((3, 3)))
        assert np.all(control.read(network) == 4.0)
        assert np.all(control.read(control.write(network, jnp.arange(3.0))) == np.arange(3.0))
