"""What holds of every model; a new model joins the list in `helpers` and gets all of it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from helpers import all_models, all_presets, build, eigenvalues, field, regional_observables
from jax.flatten_util import ravel_pytree

import nmm
from nmm._declare import declarations, declared_parameters
from nmm.models._base import evaluate

every_model = pytest.mark.parametrize("cls", all_models)
every_preset = pytest.mark.parametrize("cls, preset", all_presets())
both_precisions = pytest.mark.parametrize("dtype", (jnp.float32, jnp.float64))


def random_case(cls, regions, seed=0, dtype=np.float64, ends=False):
    """A model with regional parameters anywhere in their plausible ranges, a state and inputs.

    With `ends`, a third of the numbers are at either end of their range.
    """
    rng = np.random.default_rng(seed)

    def value(d, bounds):
        low, high = bounds
        shape = (*d.shape, regions)
        drawn = rng.uniform(low, high, shape)
        if ends:
            pick = rng.integers(0, 6, shape)
            drawn = np.where(pick == 0, low, np.where(pick == 1, high, drawn))
        return jnp.asarray(drawn, dtype)

    usual = cls()
    drawn = [value(d, d.bounds) for _, d, _ in declared_parameters(usual)]
    model = jax.tree.unflatten(jax.tree.structure(usual), drawn)
    state = {name: value(d, d.start) for name, d in declarations(cls.State).items()}
    slots = declarations(cls.Inputs).items()
    inputs = {name: value(d, d.bounds or (-0.5, 0.5)) for name, d in slots}
    return model, cls.State(**state), cls.Inputs(**inputs)


def outputs(model, state, inputs):
    """All that a model computes of a region: the derivatives and the observables."""
    names = regional_observables(type(model))
    observed = {name: evaluate(model, name, state, lambda: inputs) for name in names}
    return field(model, state, inputs), observed


@every_model
def test_every_declaration_is_complete_and_its_default_plausible(cls):
    for path, d, _ in declared_parameters(cls()):
        low, high = d.bounds
        assert d.doc and d.unit and low <= np.min(d.default) and np.max(d.default) <= high, path
    for name, d in declarations(cls.State).items():
        low, high = d.bounds or (None, None)
        assert d.doc and d.unit and d.start[0] < d.start[1], name
        assert (low is None or low <= d.start[0]) and (high is None or d.start[1] <= high), name
    assert all(d.doc and d.unit for d in declarations(cls.Inputs).values())


@every_model
def test_source_output_and_target_exist(cls):
    model = cls()
    state = model.initial_state((3,))
    for name in (cls.source, cls.output, *regional_observables(cls)):
        assert evaluate(model, name, state, model.Inputs).shape == (3,)
    assert cls.target in declarations(cls.Inputs)
    with pytest.raises(ValueError, match="'nothing' is neither a state variable nor an observable"):
        evaluate(model, "nothing", state, model.Inputs)


@every_model
@both_precisions
def test_derivative_has_the_shape_and_dtype_of_the_state(cls, dtype):
    scalar = jax.tree.map(lambda x: x.astype(dtype), cls())
    regional, _, _ = random_case(cls, 3, dtype=dtype)

    def start_and_outputs(model, shape):
        state = model.initial_state(shape, key=jr.key(1))
        inputs = model.Inputs(*(jnp.zeros((), dtype) for _ in declarations(cls.Inputs)))
        return state, outputs(model, state, inputs)

    for model, shape in ((scalar, ()), (scalar, (3,)), (scalar, (2, 3)), (regional, (2, 3))):
        for leaf in jax.tree.leaves(
            jax.eval_shape(lambda m, s=shape: start_and_outputs(m, s), model)
        ):
            assert leaf.shape == shape and leaf.dtype == dtype
    assert regional.shape == (3,) and scalar.shape == ()
    assert jax.tree.leaves(regional.initial_state())[0].shape == (3,)


@every_model
def test_jit_and_vmap_and_scalars_agree_with_the_plain_call(cls):
    case = random_case(cls, 3)
    model, (_, state, inputs) = cls(), case
    equal = jax.tree.unflatten(
        jax.tree.structure(model),
        [jnp.broadcast_to(x[..., None], (*d.shape, 3)) for _, d, x in declared_parameters(model)],
    )

    @jax.jit
    def together(case, model, equal):
        # The region axis is the last one everywhere, so mapping over it runs each region alone.
        alone = jax.vmap(outputs, in_axes=-1, out_axes=-1)(*case)
        second = outputs(*jax.tree.map(lambda x: x[..., 1], case))
        scalar, same = (outputs(m, state, inputs) for m in (model, equal))
        return outputs(*case), alone, second, scalar, same

    plain = outputs(*case)
    jitted, alone, second, scalar, same = together(case, model, equal)
    for value, other in (
        (jitted, plain),
        (alone, plain),
        (second, jax.tree.map(lambda x: x[1], plain)),
        (scalar, same),
    ):
        assert eqx.tree_equal(value, other, rtol=1e-12, atol=1e-14)


@every_model
def test_gradients_of_everything_equal_finite_differences(cls):
    case = random_case(cls, 4, seed=1)
    theta, unravel = ravel_pytree(case)
    rng = np.random.default_rng(2)
    mixture, direction = rng.normal(size=100), rng.normal(size=theta.shape)

    @jax.jit
    def derivatives(theta, shifts):
        reference = jnp.stack(jax.tree.leaves(outputs(*unravel(theta))))
        size = jnp.max(jnp.abs(reference), axis=1, keepdims=True)

        def total(theta):
            values = jnp.stack(jax.tree.leaves(outputs(*unravel(theta))))
            return jnp.sum(mixture[: len(values), None] * values / jnp.where(size > 0, size, 1.0))

        forward = jax.jvp(total, (theta,), (direction,))[1]
        return jax.grad(total)(theta), forward, jax.lax.map(total, theta + shifts)

    # In units of each parameter's own size, since their sizes differ by orders of magnitude.
    shifts = 1e-5 * jnp.diag(jnp.abs(theta))
    reverse, forward, shifted = derivatives(theta, jnp.concatenate([shifts, -shifts]))
    upper, lower = jnp.split(shifted, 2)
    assert np.allclose(reverse * jnp.abs(theta), (upper - lower) / 2e-5, rtol=1e-6, atol=1e-8)
    assert np.allclose(forward, reverse @ direction, rtol=1e-10, atol=1e-12)
    model, _, inputs = unravel(reverse)
    for path, _, gradient in declared_parameters(model):
        assert np.any(gradient != 0), f"`{path}` changes nothing"
    assert all(np.any(leaf != 0) for leaf in jax.tree.leaves(inputs))


@every_model
@both_precisions
def test_values_and_gradients_are_finite_over_the_plausible_range(cls, dtype):
    case = random_case(cls, 4000, seed=3, dtype=dtype, ends=True)

    @jax.jit
    def value_and_gradient(case):
        values, pull = jax.vjp(lambda case: outputs(*case), case)
        return values, pull(jax.tree.map(jnp.ones_like, values))

    for leaf in jax.tree.leaves(value_and_gradient(case)):
        assert leaf.dtype == dtype and np.all(np.isfinite(leaf))


@every_preset
def test_no_model_starts_on_an_unstable_fixed_point(cls, preset):
    model = build(cls, preset)
    state = model.initial_state()
    size = max(float(jnp.abs(x)) for x in jax.tree.leaves(field(model, state)))
    assert size > 1e-8 or np.all(eigenvalues(model, state).real < 0)


@every_model
def test_every_preset_runs_from_its_default_start_and_stays_finite(cls):
    @jax.jit
    def run(model):
        def step(y, _):
            slope = field(model, y)
            ahead = jax.tree.map(lambda x, d: x + 0.01 * d, y, slope)
            mean = jax.tree.map(lambda a, b: (a + b) / 2, slope, field(model, ahead))
            return jax.tree.map(lambda x, d: x + 0.01 * d, y, mean), None

        return jax.lax.scan(step, model.initial_state(), length=20_000)[0]

    for preset in (None, *cls.presets):
        end = jax.tree.leaves(run(build(cls, preset)))
        assert np.all(np.isfinite(end)), preset


@every_model
def test_random_starts_stay_in_their_range_and_follow_the_key(cls):
    model = cls()
    state = model.initial_state((500,), key=jr.key(0))
    for name, d in declarations(cls.State).items():
        values, (low, high) = getattr(state, name), d.start
        assert np.all((values >= low) & (values <= high))
        assert np.ptp(values) > 0.9 * (high - low)
    assert eqx.tree_equal(state, model.initial_state((500,), key=jr.key(0)))
    assert not eqx.tree_equal(state, model.initial_state((500,), key=jr.key(1)))


def with_value(cls, path, value):
    """The model with one parameter, possibly of a part, set to something."""
    name, _, inner = path.partition(".")
    if inner:
        value = type(getattr(cls(), name))(**{inner: value})
    return cls(**{name: value})


@every_model
def test_wrong_parameters_are_refused_by_name(cls):
    for k, (path, d, _) in enumerate(declared_parameters(cls())):
        cases = (
            (ValueError, "should be finite", np.full(d.shape, np.nan)),
            (ValueError, "should be finite", np.full(d.shape, np.inf)),
            (ValueError, "should have the shape", np.ones((5, *d.shape, 5))),
            (TypeError, "a number or an array of numbers", "many"),
            (TypeError, "a number or an array of numbers", None),
            (TypeError, "a number or an array of numbers", True),
            (TypeError, "a number or an array of numbers", 1j * np.ones(d.shape)),
        )
        # All ways of being wrong for the first parameter, one way for each of the others.
        for error, message, wrong in cases[: None if k == 0 else 1]:
            with pytest.raises(error, match=rf"`{path}` of `{cls.__name__}`.*{message}"):
                with_value(cls, path, wrong)


@every_model
def test_parameters_for_different_regions_are_refused(cls):
    declared = list(declared_parameters(cls()))
    if len(declared) < 2:
        pytest.skip("has one parameter alone")
    (first, d1, _), (second, d2, _), *_ = declared
    wrong = {first: np.ones((*d1.shape, 3)), second: np.ones((*d2.shape, 4))}
    with pytest.raises(ValueError, match=f"`{first}` has 3, `{second}` has 4"):
        cls(**wrong)


@every_model
def test_unknown_names_are_refused(cls):
    with pytest.raises(ValueError, match=f"`name` should be a preset of `{cls.__name__}`"):
        cls.preset("nobody2099")
    with pytest.raises(TypeError, match="unexpected keyword argument 'nothing'"):
        cls(nothing=1.0)


@every_preset
def test_preset_sets_what_it_names_and_gives_way_to_keywords(cls, preset):
    model = build(cls, preset)
    chosen = {} if preset is None else cls.presets[preset]
    for name, value in chosen.items():
        if not callable(value):
            assert np.allclose(getattr(model, name), value)
    if preset is not None:
        name = next(iter(chosen))
        value = 0.5 * getattr(model, name)
        assert np.allclose(getattr(cls.preset(preset, **{name: value}), name), value)


class Decay(nmm.AbstractModel):
    """A model as a user writes it: nothing to register, nothing to subclass but this."""

    tau: jax.Array = nmm.param(10.0, unit="ms", doc="time constant", bounds=(1.0, 100.0))

    class State(nmm.State):
        x: jax.Array = nmm.variable(1.0, unit="mV", doc="potential")

    class Inputs(nmm.Inputs):
        drive: jax.Array = nmm.slot(unit="mV", doc="drive")

    source, target = "x", "drive"

    def vector_field(self, t, state, inputs):
        return self.State(x=(inputs.drive - state.x) / self.tau)


def test_a_model_of_ones_own_takes_ten_lines():
    model = Decay(tau=[5.0, 20.0])
    derivative = field(model, model.initial_state(), model.Inputs(drive=jnp.array([0.0, 3.0])))
    assert np.allclose(derivative.x, [-0.2, 0.1])
    assert "time constant" in nmm.describe(model)
    with pytest.raises(ValueError, match="`tau` of `Decay` should be finite"):
        Decay(tau=np.nan)


def test_a_model_without_a_target_is_refused():
    class Deaf(nmm.AbstractModel):
        State, Inputs, source = Decay.State, Decay.Inputs, "x"

        def vector_field(self, t, state, inputs):
            return state

    with pytest.raises(TypeError, match="`Deaf` should define `target`"):
        Deaf()


def test_a_vector_field_that_forgets_a_derivative_is_an_error():
    with pytest.raises(TypeError, match="missing .*'y'"):
        nmm.Hopf.State(x=jnp.array(0.0))
