"""What holds of every model; a new model joins the list in `helpers` and gets all of it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from helpers import all_models, all_presets, build, eigenvalues, field
from jax.flatten_util import ravel_pytree

import nmm
from nmm._declare import declarations, declared_parameters
from nmm.models._base import evaluate, observables

every_model = pytest.mark.parametrize("cls", all_models)
every_preset = pytest.mark.parametrize("cls, preset", all_presets())
both_precisions = pytest.mark.parametrize("dtype", (jnp.float32, jnp.float64))


def draw(key, low, high, shape, dtype, ends):
    """Uniform in a range; with `ends`, a third of the numbers are at either end of it."""
    value = jr.uniform(key, shape, dtype, low, high)
    if not ends:
        return value
    third = jr.randint(key, shape, 0, 6)
    return jnp.where(third == 0, low, jnp.where(third == 1, high, value)).astype(dtype)


def random_case(cls, regions, seed=0, dtype=jnp.float64, ends=False):
    """A model with regional parameters anywhere in their plausible ranges, a state and inputs."""
    keys = iter(jr.split(jr.key(seed), 100))

    def value(d, bounds):
        return draw(next(keys), *bounds, (*d.shape, regions), dtype, ends)

    usual = cls()
    drawn = [value(d, d.bounds) for _, d, _ in declared_parameters(usual)]
    model = jax.tree.unflatten(jax.tree.structure(usual), drawn)
    state = {name: value(d, d.start) for name, d in declarations(cls.State).items()}
    slots = declarations(cls.Inputs).items()
    inputs = {name: value(d, d.bounds or (-0.5, 0.5)) for name, d in slots}
    return model, cls.State(**state), cls.Inputs(**inputs)


def outputs(model, state, inputs):
    """All that a model computes: the derivatives and the observables."""
    observed = {k: evaluate(model, k, state, lambda: inputs) for k in observables(model)}
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
    for name in (cls.source, cls.output, *observables(cls)):
        assert evaluate(model, name, state, model.Inputs).shape == (3,)
    assert cls.target in declarations(cls.Inputs)
    with pytest.raises(ValueError, match="'nothing' is neither a state variable nor an observable"):
        evaluate(model, "nothing", state, model.Inputs)


@every_model
@both_precisions
def test_derivative_has_the_shape_and_dtype_of_the_state(cls, dtype):
    scalar = jax.tree.map(lambda x: x.astype(dtype), cls())
    regional, _, _ = random_case(cls, 3, dtype=dtype)
    for model, shape in ((scalar, ()), (scalar, (3,)), (scalar, (2, 3)), (regional, (2, 3))):
        state = model.initial_state(shape, key=jr.key(1))
        inputs = model.Inputs(*(jnp.zeros((), dtype) for _ in declarations(cls.Inputs)))
        for leaf in jax.tree.leaves((state, outputs(model, state, inputs))):
            assert leaf.shape == shape and leaf.dtype == dtype
    assert regional.shape == (3,) and scalar.shape == ()
    assert jax.tree.leaves(regional.initial_state())[0].shape == (3,)


@every_model
def test_jit_and_vmap_and_scalar_regions_agree_with_the_plain_call(cls):
    case = random_case(cls, 3)
    plain = outputs(*case)
    # The region axis is the last one everywhere, so that mapping over it runs each region alone.
    alone = eqx.filter_vmap(outputs, in_axes=-1, out_axes=-1)(*case)
    second = outputs(*jax.tree.map(lambda x: x[..., 1], case))
    for other in (eqx.filter_jit(outputs)(*case), alone):
        assert eqx.tree_equal(other, plain, rtol=1e-12, atol=1e-14)
    assert eqx.tree_equal(second, jax.tree.map(lambda x: x[1], plain), rtol=1e-12, atol=1e-14)


@every_model
def test_a_scalar_equals_the_same_value_in_every_region(cls):
    model = cls()
    declared = declared_parameters(model)
    equal = jax.tree.unflatten(
        jax.tree.structure(model),
        [jnp.broadcast_to(x[..., None], (*d.shape, 4)) for _, d, x in declared],
    )
    state = model.initial_state((4,), key=jr.key(0))
    assert eqx.tree_equal(
        outputs(model, state, model.Inputs()),
        outputs(equal, state, model.Inputs()),
        rtol=1e-13,
        atol=1e-15,
    )


@every_model
def test_gradients_of_everything_equal_finite_differences(cls):
    case = random_case(cls, 4, seed=1)
    theta, unravel = ravel_pytree(case)
    mixture = jr.normal(jr.key(2), (100,))

    def total(theta):
        values = jnp.stack(jax.tree.leaves(outputs(*unravel(theta))))
        values = values / jnp.max(jnp.abs(reference), axis=1, keepdims=True)
        return jnp.sum(mixture[: len(values), None] * values)

    reference = jnp.stack(jax.tree.leaves(outputs(*case)))
    step = 1e-5 * jnp.abs(theta)
    shifts = jnp.diag(step)
    evaluate_all = jax.jit(jax.vmap(total))
    slope = (evaluate_all(theta + shifts) - evaluate_all(theta - shifts)) / (2e-5)
    reverse, forward = jax.jit(lambda x: (jax.grad(total)(x), jax.jacfwd(total)(x)))(theta)
    # In units of each parameter's own size, since their sizes differ by orders of magnitude.
    assert np.allclose(reverse * jnp.abs(theta), slope, rtol=1e-6, atol=1e-8)
    assert np.allclose(forward, reverse, rtol=1e-10, atol=1e-12)
    model, _, inputs = unravel(reverse)
    for path, _, gradient in declared_parameters(model):
        assert np.any(gradient != 0), f"`{path}` changes nothing"
    assert all(np.any(leaf != 0) for leaf in jax.tree.leaves(inputs))


@every_model
@both_precisions
def test_values_and_gradients_are_finite_over_the_plausible_range(cls, dtype):
    case = random_case(cls, 4000, seed=3, dtype=dtype, ends=True)

    @eqx.filter_jit
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
    for path, d, _ in declared_parameters(cls()):
        cases = (
            (TypeError, "a number or an array of numbers", "many"),
            (TypeError, "a number or an array of numbers", None),
            (TypeError, "a number or an array of numbers", True),
            (TypeError, "a number or an array of numbers", 1j * np.ones(d.shape)),
            (ValueError, "should have the shape", np.ones((5, *d.shape, 5))),
            (ValueError, "should be finite", np.full(d.shape, np.nan)),
            (ValueError, "should be finite", np.full(d.shape, np.inf)),
        )
        for error, message, wrong in cases:
            with pytest.raises(error, match=rf"`{path}` of `{cls.__name__}`.*{message}"):
                with_value(cls, path, wrong)


@every_model
def test_parameters_for_different_regions_are_refused(cls):
    (first, d1, _), (second, d2, _), *_ = declared_parameters(cls())
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
