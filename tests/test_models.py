"""What holds of every model; a new model joins the list in `helpers` and gets all of it."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from helpers import all_models, all_presets, build, eigenvalues, field, regional_observables

import nmm
from nmm._declare import declarations, declared_parameters
from nmm.models._base import evaluate

# Tables and nested transfer functions, which take longest to compile.
HEAVY = {nmm.ALN, nmm.ZerlautAdaptationSecondOrder}
every_model = pytest.mark.parametrize(
    "cls",
    [pytest.param(m, marks=pytest.mark.thorough) if m in HEAVY else m for m in all_models],
)
every_preset = pytest.mark.parametrize("cls, preset", all_presets())
# One size for all models, so that an operation is compiled once and not for each of them.
REGIONS = 2000


def random_case(cls, seed=0, dtype=np.float64, ends=False, regions=REGIONS):
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


def inside(bounds, value):
    """Whether a fit can start from this value: the ends of a range are no part of it."""
    low, high = bounds
    return low < np.min(value) and np.max(value) < high


# Where a parabola ends and the other begins: the field jumps there, and is flat on both sides.
SWITCHES = {("KIonEx", "Vstar")}
# Another equation, and the limit of one, for which the usual range means nothing.
ELSEWHERE = {("Epileptor", "sigmoidal", "x0"), ("WongWang", "brainmass", "d")}
# Parts that are there and have no strength unless it is given, and none below 0.
WITHOUT_STRENGTH = {
    ("ALN", "a"),
    ("ALN", "b"),
    *(
        (f"ZerlautAdaptation{order}Order", path)
        for order in ("First", "Second")
        for path in (
            *("a_i", "b_i", "K_ext_i", "external_input_ex_ex", "external_input_ex_in"),
            *("external_input_in_ex", "external_input_in_in"),
        )
    ),
}


@every_model
def test_every_declaration_is_complete_and_every_preset_plausible(cls):
    for preset in (None, *cls.presets):
        assert preset is None or f'"{preset}"' in cls.__doc__, preset
        for path, d, value in declared_parameters(build(cls, preset)):
            assert d.doc and d.unit, path
            # A preset may leave parts out.
            chosen = {} if preset is None else cls.presets[preset]
            left_out = path in chosen or (cls.__name__, path) in WITHOUT_STRENGTH
            if not (left_out and np.any(value == 0) and d.bounds[0] == 0):
                usual = (cls.__name__, preset, path) not in ELSEWHERE
                assert inside(d.bounds, value) == usual, (preset, path)
    for name, d in declarations(cls.State).items():
        low, high = d.bounds or (None, None)
        assert d.doc and d.unit and d.start[0] < d.start[1], name
        assert (low is None or low <= d.start[0]) and (high is None or d.start[1] <= high), name
    assert all(d.doc and d.unit for d in declarations(cls.Inputs).values())


@every_model
def test_source_output_and_target_exist(cls):
    model = cls()
    state = model.initial_state((REGIONS,))
    for name in (cls.source, cls.output, *regional_observables(cls)):
        assert evaluate(model, name, state, model.Inputs).shape == (REGIONS,)
    assert cls.target in declarations(cls.Inputs)
    with pytest.raises(ValueError, match="'nothing' is neither a state variable nor an observable"):
        evaluate(model, "nothing", state, model.Inputs)


@every_model
def test_derivative_has_the_shape_and_dtype_of_the_state(cls):
    scalar = jax.tree.map(lambda x: x.astype(jnp.float32), cls())
    regional, _, _ = random_case(cls, dtype=np.float32, regions=3)

    def start_and_outputs(model, shape):
        state = model.initial_state(shape, key=jr.key(1))
        inputs = model.Inputs(*(jnp.zeros((), jnp.float32) for _ in declarations(cls.Inputs)))
        return state, outputs(model, state, inputs)

    for model, shape in ((scalar, ()), (scalar, (2, 3)), (regional, (2, 3))):
        found = jax.eval_shape(lambda m, s=shape: start_and_outputs(m, s), model)
        for leaf in jax.tree.leaves(found):
            assert leaf.shape == shape and leaf.dtype == jnp.float32
    assert regional.shape == (3,) and scalar.shape == ()
    assert jax.tree.leaves(regional.initial_state())[0].shape == (3,)


@every_model
def test_jit_and_vmap_and_scalars_agree_with_the_plain_call(cls):
    case = random_case(cls)

    # The compiler need not try hard for what runs once.
    @functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
    def together(case):
        # The region axis is the last one everywhere, so mapping over it runs each region alone.
        return outputs(*case), jax.vmap(outputs, in_axes=-1, out_axes=-1)(*case)

    plain = jax.tree.leaves(outputs(*case))
    for values in together(case):
        for value, expected in zip(jax.tree.leaves(values), plain, strict=True):
            size = np.max(np.abs(expected))
            assert np.allclose(value, expected, rtol=1e-12, atol=1e-14 * size)
    model, (_, state, inputs) = cls(), case
    equal = jax.tree.unflatten(
        jax.tree.structure(model),
        [
            jnp.asarray(np.broadcast_to(x[..., None], (*x.shape, REGIONS)))
            for x in map(np.asarray, jax.tree.leaves(model))
        ],
    )
    one, other = (outputs(m, state, inputs) for m in (model, equal))
    assert eqx.tree_equal(one, other, rtol=1e-12, atol=1e-14)


@every_model
def test_gradients_of_everything_equal_finite_differences(cls):
    leaves, structure = jax.tree.flatten(random_case(cls, seed=1))
    # Regions are independent, so that in each of them another number can be shifted.
    numbers = np.concatenate([np.reshape(x, (-1, REGIONS)) for x in leaves])
    chosen = np.arange(REGIONS) % len(numbers)
    direction = np.zeros_like(numbers)
    # In units of each number's own size, since their sizes differ by orders of magnitude.
    direction[chosen, range(REGIONS)] = np.abs(numbers[chosen, range(REGIONS)])

    def as_case(rows):
        parts = np.split(rows, np.cumsum([x.size // REGIONS for x in leaves])[:-1])
        shaped = [jnp.asarray(row.reshape(x.shape)) for row, x in zip(parts, leaves, strict=True)]
        return jax.tree.unflatten(structure, shaped)

    def values(case):
        return jax.tree.leaves(outputs(*case))

    found, pull = jax.vjp(values, as_case(numbers))
    mixture = np.random.default_rng(2).uniform(0.5, 2.0, len(found))
    weights = [
        jnp.full(REGIONS, m / (np.max(np.abs(x)) or 1.0))
        for m, x in zip(mixture, found, strict=True)
    ]

    def total(values):
        return sum(np.asarray(w * x) for w, x in zip(weights, values, strict=True))

    near, far = (
        [total(values(as_case(numbers + h * direction))) for h in (size, -size)]
        for size in (1e-5, 2e-5)
    )
    difference = (8 * (near[0] - near[1]) - (far[0] - far[1])) / 12e-5  # of fourth order
    (gradient,) = pull(weights)
    rows = np.concatenate([np.reshape(x, (-1, REGIONS)) for x in jax.tree.leaves(gradient)])
    reverse = np.sum(rows * direction, axis=0)
    assert np.allclose(reverse, difference, rtol=1e-6, atol=1e-7)
    _, forward = jax.jvp(values, (as_case(numbers),), (as_case(direction),))
    assert np.allclose(total(forward), reverse, rtol=1e-10, atol=1e-12)
    model, _, inputs = gradient
    for path, _, slope in declared_parameters(model):
        usual = (cls.__name__, path) not in SWITCHES
        assert np.any(slope != 0) == usual, f"`{path}` changes nothing"
    assert all(np.any(leaf != 0) for leaf in jax.tree.leaves(inputs))


@every_model
@pytest.mark.parametrize("dtype", (np.float32, np.float64))
def test_values_and_gradients_are_finite_over_the_plausible_range(cls, dtype):
    case = random_case(cls, seed=3, dtype=dtype, ends=True)
    values, pull = jax.vjp(lambda case: outputs(*case), case)
    ones = jax.tree.map(lambda x: jnp.ones(REGIONS, dtype), values)
    for leaf in jax.tree.leaves((values, pull(ones))):
        assert leaf.dtype == dtype and np.all(np.isfinite(leaf))


@every_model
def test_a_model_is_saved_and_loaded(cls, tmp_path):
    model, _, _ = random_case(cls)
    eqx.tree_serialise_leaves(tmp_path / "model.eqx", model)
    empty = jax.tree.map(jnp.zeros_like, model)
    assert eqx.tree_equal(eqx.tree_deserialise_leaves(tmp_path / "model.eqx", empty), model)


@every_preset
def test_no_model_starts_on_an_unstable_fixed_point(cls, preset):
    model = build(cls, preset)
    state = model.initial_state()
    size = max(float(jnp.abs(x)) for x in jax.tree.leaves(field(model, state)))
    # Phases that stand still are neutral.
    assert size > 1e-8 or np.all(eigenvalues(model, state).real < 1e-12)


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

    # Presets of the same parts run side by side, as regions of one model.
    alike = {}
    for preset in (None, *cls.presets):
        leaves, structure = jax.tree.flatten(build(cls, preset))
        alike.setdefault((structure, *(x.shape for x in leaves)), {})[preset] = leaves
    for (structure, *_), sets in alike.items():
        together = [jnp.asarray(np.stack(x, axis=-1)) for x in zip(*sets.values(), strict=True)]
        ends = np.stack(jax.tree.leaves(run(jax.tree.unflatten(structure, together))))
        assert np.all(np.isfinite(ends)), dict(zip(sets, ends.T, strict=True))


@pytest.mark.parametrize("cls", all_models)
def test_noise_can_drive_any_variable(cls):
    # On shapes alone: what noise does is the same for all.
    model, sigma = build(cls, None), dict.fromkeys(declarations(cls.State), 0.01)

    def run(key):
        noise = nmm.noise.White(**sigma)
        return nmm.simulate(model, 1.0, 0.5, key=key, noise=noise, throw=False).y1

    assert all(x.shape == () for x in jax.tree.leaves(jax.eval_shape(run, jr.key(0))))


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


def with_value(part, path, value):
    """The model with one parameter, possibly of a part, set to something."""
    name, _, inner = path.partition(".")
    if inner:
        value = with_value(getattr(part, name), inner, value)
    return type(part)(**{**vars(part), name: value})


@every_model
def test_wrong_parameters_are_refused_by_name(cls):
    model = cls()
    for k, (path, d, _) in enumerate(declared_parameters(model)):
        cases = (
            (ValueError, "should be finite", np.full(d.shape, np.nan)),
            (ValueError, "should be finite", np.full(d.shape, np.inf)),
            (ValueError, "should have the shape", np.ones((5, *d.shape, 5))),
            (TypeError, "a number or an array of numbers", "many"),
            (TypeError, "a number or an array of numbers", None),
            (TypeError, "a number or an array of numbers", True),
            (TypeError, "a number or an array of numbers", 1j * np.ones(d.shape)),
        )
        # A model inside of the model refuses it first, under its own name.
        inner = path.partition(".")[2] or path
        # All ways of being wrong for the first parameter, one way for each of the others.
        for error, message, wrong in cases[: None if k == 0 else 1]:
            with pytest.raises(error, match=rf"`({path}|{inner})` of `\w+`.*{message}"):
                with_value(model, path, wrong)


@every_model
def test_parameters_for_different_regions_are_refused(cls):
    declared = [(path, d) for path, d, _ in declared_parameters(cls()) if "." not in path]
    if len(declared) < 2:
        pytest.skip("has one parameter alone")
    (first, d1), (second, d2), *_ = declared
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
    numbers = [name for name, value in chosen.items() if not callable(value)]
    for name in numbers[:1]:
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
