"""Ways to fit: other optimisers, many starts, many subjects, and what a result says of itself."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import jaxtyping
import numpy as np
import optax
import optimistix
import pytest
from tiny import Relax

import fitting
import nmm
from fitting import (
    Fits,
    Grouped,
    Interval,
    Masked,
    Positive,
    Real,
    Regression,
    Simplex,
    Symmetric,
    Tied,
    free_parameters,
    objectives,
)
from fitting._provenance import gather

KEY = jr.key(0)
MODEL = {"a": jnp.asarray(1.0), "b": jnp.asarray(3.0)}


def residual_loss(model):
    """Rosenbrock's valley, whose lowest point is at (1, 1)."""
    a, b = model["a"], model["b"]
    return objectives.residuals(valley=(0.1, b - a**2), shift=(1.0, 1 - a))


def noisy(model, key):
    return (model["a"] - 2) ** 2 + 0.3 * jr.normal(key)


def quiet(function, *args, **options):
    return function(*args, **{"progress": False, **options})


@pytest.mark.parametrize(
    "optimizer",
    (
        optimistix.LevenbergMarquardt(1e-10, 1e-10),
        optimistix.BFGS(1e-10, 1e-10),
        fitting.CMA(population=8, sigma=1.0),
    ),
    ids=("levenberg-marquardt", "bfgs", "cma"),
)
def test_other_optimisers_find_the_lowest_point_and_resume(optimizer, tmp_path):
    start = {"a": jnp.asarray(-0.5), "b": jnp.asarray(1.5)}
    options = {"optimizer": optimizer, "every": 3, "checkpoint": tmp_path}
    quiet(fitting.fit, residual_loss, start, ["a", "b"], steps=5, **options)
    result = quiet(fitting.fit, residual_loss, start, ["a", "b"], steps=150, **options)
    np.testing.assert_allclose([result.best["a"], result.best["b"]], 1, atol=1e-3)
    whole = quiet(fitting.fit, residual_loss, start, ["a", "b"], steps=150, optimizer=optimizer)
    for name in whole.history:
        np.testing.assert_array_equal(result.history[name], whole.history[name])
    assert whole.outcome.startswith("converged") and whole.outcome == result.outcome


def test_least_squares_need_residuals():
    solver = optimistix.GaussNewton(1e-6, 1e-6)
    with pytest.raises(ValueError, match='`loss` should have a part named "residuals"'):
        quiet(fitting.fit, lambda m: m["a"], MODEL, ["a"], optimizer=solver)
    with pytest.raises(TypeError, match="`optimizer` should be one of Optax, a minimiser"):
        quiet(fitting.fit, lambda m: m["a"], MODEL, ["a"], optimizer="adam")


def test_a_loss_with_steps_is_fitted_without_gradients():
    result = quiet(
        fitting.fit, lambda m: jnp.round(jnp.abs(m["a"] - 2.2), 1), MODEL, {"a": Interval(0, 8)},
        optimizer=fitting.CMA(sigma=1.0), steps=25,
    )  # fmt: skip
    assert abs(result.best["a"] - 2.2) < 0.1


def test_noise_that_is_kept_is_reported_beside_noise_that_was_not_fitted():
    def loss(model, key):
        return (model["a"] - jr.normal(key)) ** 2

    options = {"key": KEY, "steps": 300, "fresh_noise": False}
    one = quiet(fitting.fit, loss, MODEL, {"a": Real()}, **options)
    np.testing.assert_allclose(one.model["a"], jr.normal(KEY), atol=1e-3)
    assert one.best_loss < 1e-4 < np.mean(one.fresh_loss) and one.fresh_loss.shape == (4,)
    many = quiet(fitting.fit, loss, MODEL, {"a": Real()}, seeds=16, **options)
    draws = jax.vmap(jr.normal)(jr.split(KEY, 16))
    np.testing.assert_allclose(many.model["a"], np.mean(draws), atol=1e-3)
    assert "on other noise" in repr(one) and "not fitted" in one.methods()


def test_a_step_to_where_nothing_is_finite_is_shrunk():
    def loss(model):
        return jnp.where(model["a"] > 4, jnp.nan, (model["a"] - 2) ** 2)

    # Each step overshoots: 1, 3.8, -1.24, and 7.832, where there is no loss.
    options = {"optimizer": optax.sgd(1.4), "steps": 5, "on_non_finite": "shrink"}
    with pytest.warns(UserWarning, match="The loss became nan in step 3, at a = 7.8"):
        result = quiet(fitting.fit, loss, MODEL, {"a": Real(1.0)}, **options)
    np.testing.assert_allclose(result.history["a"], [1, 3.8, -1.24, 7.832, (7.832 - 1.24) / 2])
    assert result.outcome == "completed"


def test_starts_side_by_side_are_those_of_separate_fits():
    starts = {"a": np.array([0.5, 1.0, 3.5])}
    free = {"a": Interval(0, 4), "b": Tied("a", scale=2.0)}
    fits = quiet(fitting.multi_start, noisy, MODEL, free, starts=starts, steps=8, key=KEY)
    for fit, a in zip(fits.fits, starts["a"], strict=True):
        alone = quiet(fitting.fit, noisy, MODEL | {"a": a}, free, steps=8, key=KEY)
        np.testing.assert_allclose(fit.history["a"], alone.history["a"], rtol=1e-12)
        np.testing.assert_allclose(fit.model["b"], 2 * alone.model["a"], rtol=1e-12)
    assert fits.best is fits[int(np.argmin(fits.losses))]


def test_bad_starts_are_given_up_and_one_that_fails_stops_no_other(tmp_path):
    def wells(model, key):
        a = model["a"]
        return jnp.where(a > 3.8, jnp.nan, (a**2 - 4) ** 2 + a)

    starts = {"a": np.array([-3.0, 1.5, 3.0, 3.9])}
    options = {"starts": starts, "prune_every": 20, "key": KEY, "checkpoint": tmp_path}
    free = {"a": Interval(-4, 4)}
    with pytest.warns(UserWarning, match="1 of 4 starts are non-finite"):
        quiet(fitting.multi_start, wells, MODEL, free, steps=30, **options)
    fits = quiet(fitting.multi_start, wells, MODEL, free, steps=80, **options)
    lengths = [len(fit.history["loss"]) for fit in fits.fits]
    assert sorted(lengths) == [20, 20, 40, 80] and lengths[3] == 20
    np.testing.assert_allclose(fits.best.model["a"], -2.03, atol=0.03)
    assert fits.fits[3].outcome == "given up after 20 steps, not finite from step 0 on"


def refuses(model, key=None):
    """Raises an error where a is above 3."""
    return square({"a": eqx.error_if(model["a"], model["a"] > 3, "`a` is too large.")})


def square(model):
    return (model["a"] - 2) ** 2


def test_starts_that_raise_are_given_up_and_stop_no_other():
    starts = {"a": np.array([1.0, 2.5, 3.5])}
    with pytest.warns(UserWarning, match="for 1 of 3 starts in step 0, .* start 2: `a` is too"):
        fits = quiet(fitting.multi_start, refuses, MODEL, ["a"], starts=starts, steps=3)
    alone = quiet(fitting.fit, square, MODEL, ["a"], steps=3)
    np.testing.assert_allclose(fits[0].history["a"], alone.history["a"], rtol=1e-12)
    assert fits[2].outcome == "given up after 0 steps" and fits[2].model["a"] == 3.5
    assert np.isnan(fits.losses[2]) and np.all(np.isfinite(fits.losses[:2]))
    with pytest.raises(eqx.EquinoxRuntimeError) as caught:
        quiet(fitting.multi_start, refuses, MODEL, ["a"], starts={"a": [4.0, 5.0]}, steps=3)
    assert caught.value.__notes__ == ["It was raised for every start."]


def test_candidates_that_raise_are_the_worst():
    result = quiet(
        fitting.fit, refuses, MODEL, {"a": Real(1.0)}, optimizer=fitting.CMA(sigma=1.0), steps=15
    )
    np.testing.assert_allclose(result.best["a"], 2, atol=0.05)


def test_a_result_survives_an_error_at_its_end():
    def loss(model, key):
        # Raises for all but the key that is kept.
        odd = jnp.any(jr.key_data(key) != jr.key_data(KEY))
        return eqx.error_if(square(model), odd, "another key")

    with pytest.warns(UserWarning, match="raised an error for noise that was not fitted: another"):
        result = quiet(
            fitting.fit, loss, MODEL, {"a": Real(1.0)}, key=KEY, fresh_noise=False, steps=2
        )
    assert len(result.history["loss"]) == 2 and result.fresh_loss is None


@pytest.mark.parametrize(
    "optimizer", (optimistix.GaussNewton(1e-8, 1e-8), fitting.CMA()), ids=("gauss-newton", "cma")
)
def test_other_optimisers_say_where_they_are_not_finite(optimizer):
    def loss(model):
        return objectives.residuals(a=(1.0, jnp.log(model["a"] - 5)))

    options = {"optimizer": optimizer, "steps": 3}
    with pytest.warns(UserWarning, match="in step 0, at a = 1"):
        result = quiet(fitting.fit, loss, MODEL, {"a": Real(0.01)}, **options)
    assert result.outcome.startswith("stopped: ") and result.model["a"] == 1.0
    with pytest.raises(FloatingPointError, match="in step 0, at a = 1"):
        quiet(fitting.fit, loss, MODEL, {"a": Real(0.01)}, on_non_finite="raise", **options)


def test_least_squares_minimise_the_mean_over_seeds():
    def loss(model, key):
        return objectives.residuals(a=(1.0, model["a"] * jnp.arange(1.0, 3.0) - jr.normal(key)))

    solver = optimistix.LevenbergMarquardt(1e-10, 1e-10)
    options = {"key": KEY, "seeds": 3, "steps": 20}
    result = quiet(fitting.fit, loss, MODEL, {"a": Real()}, optimizer=solver, **options)
    draws = jax.vmap(jr.normal)(jr.split(KEY, 3))
    np.testing.assert_allclose(result.model["a"], 3 * np.mean(draws) / 5, rtol=1e-6)
    # Of a mean of residuals, the loss would miss the variance of the draws.
    residuals = result.model["a"] * np.arange(1, 3) - draws[:, None]
    np.testing.assert_allclose(result.best_loss, np.sum(residuals**2) / 6, rtol=1e-6)


def test_the_mode_that_fits_the_memory_is_used():
    def loss(model):
        def step(x, n):
            return jnp.sin(x * model["a"][0] + model["a"][1]), None

        return jnp.sum(jax.lax.scan(step, jnp.ones(1000), jnp.arange(500))[0])

    def mode(**options):
        options = {"steps": 1, **options}
        result = quiet(fitting.fit, loss, {"a": jnp.array([1.0, 2.0])}, {"a": Real()}, **options)
        return result.provenance.options["mode"]

    assert mode() == "reverse"
    assert mode(memory=1e6) == "forward"  # The past takes 4 MB.
    with pytest.warns(UserWarning, match=r"`memory` is 10 bytes, but a step takes .* in reverse"):
        assert mode(memory=10) == "forward"


def test_subjects_of_different_lengths_share_what_they_should():
    rng = np.random.default_rng(0)
    data = {}
    for name, slope, count in (("x", 1.0, 6), ("y", 2.0, 6), ("z", 3.0, 4)):
        x = rng.normal(size=count)
        data[name] = (x, slope * x + 1)

    def loss(model, data):
        return jnp.mean((model["a"] * data[0] + model["b"] - data[1]) ** 2)

    free = {"a": Interval(0, 4), "b": Real()}
    options = {"optimizer": optax.adam(0.1), "steps": 150}
    fits, group = quiet(fitting.fit_group, loss, MODEL, free, data, shared=["b"], **options)
    np.testing.assert_allclose(fits.values["a"], [1, 2, 3], atol=1e-2)
    np.testing.assert_allclose(fits.values["b"], 1, atol=1e-2)
    assert group.model.shared["b"].shape == () and fits.labels == ("x", "y", "z")
    np.testing.assert_allclose(fits["y"].history["loss"][-1], 0, atol=1e-3)
    pulled, _ = quiet(fitting.fit_group, loss, MODEL, free, data, spread=0.05, **options)
    assert np.ptp(pulled.values["a"]) < 0.5 * np.ptp(fits.values["a"])


@pytest.mark.parametrize("mode", ("reverse", "forward"))
def test_a_subject_that_is_not_finite_stops_no_other(mode):
    def loss(model, data, key):
        a = model["a"]
        value = (a * data - model["b"]) ** 2 + 0.1 * jr.normal(key)
        # Its gradient is NaN as well, also that by what all share.
        diverged = jnp.where((data > 2) & (a < 0.98), jnp.nan, 0.0)
        return value + diverged * a * model["b"], {"twice": 2 * a}

    free = {"a": Real(1.0), "b": Real(1.0)}
    data = {"x": jnp.asarray(1.0), "y": jnp.asarray(2.0), "z": jnp.asarray(3.0)}
    options = {"shared": ["b"], "key": KEY, "steps": 6, "mode": mode}
    with pytest.warns(UserWarning, match=r"The loss of the subjects \['z'\] is not finite"):
        fits, group = quiet(fitting.fit_group, loss, MODEL, free, data, **options)
    assert group.outcome == fits["x"].outcome == "completed"
    first = int(np.flatnonzero(np.isnan(fits["z"].history["loss"]))[0])
    assert fits["z"].outcome == f"completed, not finite from step {first} on" and first > 0
    assert fits["z"].model["a"] == fits["z"].history["a"][first - 1]
    assert np.all(np.isfinite(group.history["loss"])) and np.isfinite(group.model.shared["b"])
    np.testing.assert_array_equal(np.isnan(fits.losses), [False, False, True])
    assert fits.losses[0] != fits["x"].history["loss"][-1]  # That is of the noise it was fitted to.
    for fit in fits.fits:
        np.testing.assert_allclose(fit.history["twice"], 2 * fit.history["a"])
        lowest = np.nanargmin(fit.history["loss"])
        assert fit.best_loss == fit.history["loss"][lowest]
        assert fit.best["a"] == fit.history["a"][lowest]


def test_fits_become_a_dataset_and_draw_themselves():
    pytest.importorskip("xarray")
    pytest.importorskip("matplotlib").use("Agg")
    model = {"a": jnp.ones(()), "v": jnp.ones(2), "w": jnp.ones(3)}

    def loss(model):
        return model["a"] ** 2 + jnp.sum(model["v"] ** 2) + jnp.sum(model["w"] ** 2)

    fits = quiet(fitting.multi_start, loss, model, ["a", "v", "w"], starts=2, steps=2)
    table = fits.to_xarray()
    assert table["a"].dims == ("start",) and table["start"].values.tolist() == ["0", "1"]
    assert (table["v"].dims, table["w"].dims) == (("start", "v_0"), ("start", "w_0"))
    np.testing.assert_array_equal(table["w"], fits.values["w"])
    np.testing.assert_array_equal(table["a_start"][0], 1.0)
    (ax,) = fits.plot().axes
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), fits[1].history["loss"])
    assert [text.get_text() for text in ax.get_legend().texts] == ["start 0", "start 1"]


class Experiment:
    """Data, and a loss that is a method."""

    def __init__(self):
        self.recorded = np.arange(3.0)

    def loss(self, model):
        return jnp.sum((model["a"] - self.recorded) ** 2)


@pytest.mark.parametrize(
    "loss, names",
    (
        (jax.jit(lambda model: jnp.sum(model["a"] - SCORES)), {"SCORES"}),
        (eqx.filter_jit(lambda model: jnp.sum(model["a"] - SCORES)), {"SCORES"}),
        (Experiment().loss, {"self.recorded"}),
        (lambda model: jnp.sum(model["a"] - jnp.asarray(LIST)), {"LIST"}),
    ),
    ids=("jit", "filter_jit", "method", "list"),
)
def test_data_are_found_wherever_a_loss_refers_to_them(loss, names):
    found = gather(loss, MODEL, None, {}).data
    assert set(found) == names and all(len(digits) == 16 for digits in found.values())


def test_data_that_the_loss_of_a_group_closes_over_are_found():
    scores = jnp.arange(3.0)

    def loss(model, data):
        return jnp.sum((model["a"] - data) ** 2 * scores)

    _, group = quiet(fitting.fit_group, loss, MODEL, ["a"], [1.0, 2.0], steps=1)
    assert "loss.scores" in group.provenance.data


def test_a_result_says_where_it_comes_from():
    data = jnp.arange(3.0)

    def loss(model, key):
        return jnp.sum((model["a"] - data) ** 2)

    result = quiet(fitting.fit, loss, MODEL, {"a": Positive()}, steps=2, key=jr.key(7))
    found = result.provenance
    assert set(found.data) == {"data"} and found.key == "0-7"
    changed = fitting.fit(
        lambda model, key: jnp.sum(model["a"] * data[:2]), MODEL, ["a"], steps=1, key=KEY,
        progress=False,
    )  # fmt: skip
    assert changed.provenance.data == found.data
    text = result.methods()
    said_of_it = ("Optax's adam(b1=0.9", "learning rate 0.05", "a (Positive())", "0-7")
    for said in (*said_of_it, found.data["data"]):
        assert said in text


def test_agreement_of_starts_over_regions():
    def loss(model):
        return jnp.sum((model["w"] - jnp.arange(4.0)) ** 2 * jnp.array([1.0, 1.0, 1.0, 0.0]))

    fits = quiet(fitting.multi_start, loss, {"w": jnp.ones(4)}, {"w": Real()}, starts=3, steps=200)
    # One without a loss says nothing.
    left = Fits(fits.fits, np.array([fits.losses[0], np.nan, fits.losses[2]]), fits.labels, "start")
    spread = np.std(fits.values["w"][[0, 2]], axis=0)
    assert left.agreement()["w"]["between fits"] == pytest.approx(spread.mean())
    spread = np.std(fits.values["w"], axis=0)
    assert np.all(spread[:3] < 0.01) and spread[3] > 0.1  # The last one is not determined.
    assert fits.agreement()["w"]["between fits"] == pytest.approx(spread.mean())


STARTS = {"a": [1.0, 2.0]}
MISUSE = {
    "optimizer": (
        lambda: fitting.multi_start(square, MODEL, ["a"], optimizer=fitting.CMA()),
        "`optimizer` should be one of Optax, whose steps can go side by side, got CMA",
    ),
    "mode": (
        lambda: fitting.multi_start(square, MODEL, ["a"], mode="fwd"),
        r"`mode` should be one of \['auto', 'forward', 'reverse'\], got 'fwd'",
    ),
    "starts": (
        lambda: fitting.multi_start(square, MODEL, ["a", "b"], starts=STARTS | {"b": [1.0]}),
        "`starts` should have as many values for all paths, .*'a': 2, 'b': 1",
    ),
    "key": (lambda: fitting.fit(noisy, MODEL, ["a"], key=0), "`key` should be a random key"),
    "no key": (
        lambda: fitting.fit(noisy, MODEL, ["a"]),
        r"`loss` should be called as loss\(model\), got loss\(model, key\); or pass `key`",
    ),
    "arity": (
        lambda: fitting.fit(square, MODEL, ["a"], key=KEY),
        r"`loss` should be called as loss\(model, key\), got loss\(model\); or leave out `key`",
    ),
    "tied": (
        lambda: fitting.fit_group(
            lambda model, data: 0.0, MODEL, {"a": Real(), "b": Tied("a")}, [1.0]
        ),
        r"`free` should have no `fitting.Tied` in a group, got it for \['b'\]",
    ),
    "shared": (
        lambda: fitting.fit_group(lambda model, data: 0.0, MODEL, ["a"], [1.0], shared=["c"]),
        r"`shared` should name free parameters, of \['a'\], got \['c'\]",
    ),
}


@pytest.mark.parametrize("case", MISUSE)
def test_misuse_is_named(case, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    call, message = MISUSE[case]
    with pytest.raises((TypeError, ValueError), match=message):
        call()


MATRIX = jnp.array([[0.0, 1.0, 0.4], [1.0, 0.0, 0.2], [0.4, 0.2, 0.0]])
SCORES = np.array([-1.0, 0.5, 2.0])
LIST = [0.1, 0.2, 0.4]
STRUCTURES = {
    "masked": (Masked(np.eye(3, dtype=bool), Interval(-1, 1)), MATRIX, 3),
    "symmetric": (Symmetric(Positive()), MATRIX, 3),
    "edges": (Symmetric(Positive(), np.asarray(MATRIX > 0.3)), MATRIX, 2),
    "simplex": (Simplex(2.0), jnp.array([0.5, 0.3, 1.2]), 2),
    "grouped": (Grouped(["l", "r", "l"]), jnp.array([0.5, 0.1, 0.5]), 2),
    "regression": (Regression(SCORES), 3 + 0.5 * jnp.asarray(SCORES), 2),
    "bounded": (Regression(SCORES, Interval(0, 8)), jnp.full(3, 3.0), 2),
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_structures_keep_what_they_promise(name):
    constraint, start, count = STRUCTURES[name]
    parameters = free_parameters({"v": start}, {"v": constraint})
    x = parameters.to_unconstrained(parameters.start)
    assert x["v"].size == count
    np.testing.assert_allclose(parameters.from_unconstrained(x)["v"], start, rtol=1e-9)
    step = {"v": x["v"] + jnp.linspace(0.1, 0.4, count)}
    moved = eqx.filter_jit(parameters.from_unconstrained)(step)["v"]
    inner = parameters.constraints["v"]
    assert np.all(inner.contains(moved)) and not np.allclose(moved, start)
    if name in ("masked", "symmetric", "edges"):
        kept = np.asarray(moved == start)
        assert np.array_equal(kept, kept.T) and kept.sum() == {"masked": 6, "edges": 5}.get(name, 3)
    if name == "regression":
        np.testing.assert_allclose(np.diff(moved) / np.diff(SCORES), np.diff(moved)[0] / 1.5)


def test_what_is_free_prints_as_a_table_and_follows_patterns_and_filters():
    model = {"tau_e": 1.0, "tau_i": 2.0, "w": jnp.ones(3)}
    assert list(free_parameters(model, "tau_*").constraints) == ["tau_e", "tau_i"]
    by_filter = free_parameters(model, lambda leaf: jnp.ndim(leaf) == 1)
    assert list(by_filter.constraints) == ["w"]
    free = {"tau_e": Positive(), "tau_i": Tied("tau_e"), "w": Grouped([0, 0, 1], Interval(0, 2))}
    assert repr(free_parameters(model, free)).splitlines()[1:] == [
        "tau_e  Positive()                               1",
        "tau_i  Tied('tau_e')                            1",
        "w      Grouped(int64[3], Interval(0, 2))        1 (3 times)",
    ]


def test_coefficients_of_maps_are_reported_with_their_errors():
    centred = SCORES - SCORES.mean()

    def loss(model):  # The log-likelihood of values that were measured with an error of 0.1.
        return jnp.sum((model["v"] - 3 - 0.5 * centred) ** 2) / (2 * 0.1**2)

    free = {"v": Regression(centred, Real(1.0))}
    fit = quiet(fitting.fit, loss, {"v": jnp.full(3, 2.0)}, free, steps=40,
                optimizer=optimistix.BFGS(1e-9, 1e-9))  # fmt: skip
    np.testing.assert_allclose(fit.history["v.a"][-1], 3, atol=1e-5)
    np.testing.assert_allclose(fit.history["v.b"][-1], [0.5], atol=1e-5)
    assert "v.b" in repr(fit) and fit.history["v.b"].shape == (len(fit.history["loss"]), 1)
    found = fitting.uncertainty(loss, fit)
    np.testing.assert_allclose(found.standard_errors["v.a"], 0.1 / np.sqrt(3), rtol=1e-6)
    slope = 0.1 / np.sqrt(np.sum(centred**2))
    np.testing.assert_allclose(found.standard_errors["v.b"], [slope], rtol=1e-6)


def test_each_subject_of_a_group_has_slopes_of_its_own_on_a_map():
    centred = SCORES - SCORES.mean()
    slopes = {"x": 0.5, "y": -1.0}
    data = {name: 3 + slope * centred for name, slope in slopes.items()}

    def loss(model, data):
        return jnp.mean((model["v"] - data) ** 2)

    fits, _ = quiet(fitting.fit_group, loss, {"v": jnp.full(3, 2.0)},
                    {"v": Regression(centred, Real(1.0))}, data, steps=40,
                    optimizer=optimistix.BFGS(1e-9, 1e-9))  # fmt: skip
    for name, slope in slopes.items():
        history = fits[name].history
        np.testing.assert_allclose(history["v.a"][-1], 3, atol=1e-4)
        np.testing.assert_allclose(history["v.b"][-1], [slope], atol=1e-4)
        assert "v.b" in repr(fits[name]) and history["v.b"].shape == (len(history["loss"]), 1)
    table = fits.to_xarray()
    np.testing.assert_allclose(table["v.a"].sel(subject="y"), 3, atol=1e-4)
    np.testing.assert_allclose(table["v.b"].squeeze("v_map"), [0.5, -1.0], atol=1e-4)


def test_truncated_gradients_look_back_one_window():
    def of(windows):
        def window(model, y0):
            sol = nmm.simulate(model, 1.6 / windows, 0.1, y0=y0, save=["x"])
            return sol["x"], sol.y1

        def end(rate):
            model = Relax(rate=rate)
            start = model.State(jnp.ones(()), jnp.zeros(()))
            x, y1 = fitting.truncated(window, model, start, windows)
            return y1.x, x.reshape(-1)

        return jax.jit(jax.value_and_grad(end, has_aux=True))(0.5)

    def whole(rate):
        start = Relax.State(jnp.ones(()), jnp.zeros(()))
        return nmm.simulate(Relax(rate=rate), 1.6, 0.1, y0=start, save=["x"])["x"][-1]

    ((end, x), full), ((end_of_four, x_of_four), quarter) = of(1), of(4)
    # Of exp(-rate t) the derivative is -t exp(-rate t), with t from where the window begins.
    np.testing.assert_allclose(full, jax.grad(whole)(0.5), rtol=1e-12)
    np.testing.assert_allclose(quarter, full / 4, rtol=1e-9)
    np.testing.assert_allclose(end_of_four, end, rtol=1e-12)
    np.testing.assert_allclose(x_of_four[-1], x[-1], rtol=1e-12)
    with pytest.raises(ValueError, match="`windows` should be at least 1, got 0"):
        fitting.truncated(whole, None, None, 0)


@pytest.mark.parametrize(
    "free, message",
    (
        (lambda: {"a": Masked(np.ones(2, bool))}, r"`mask` should have the shape of .*, \(\)"),
        (lambda: {"w": Masked(np.eye(3))}, "`mask` should be an array of booleans"),
        (lambda: {"w": Masked(np.zeros(3, bool))}, "`mask` should be an array of booleans"),
        (lambda: {"m": Symmetric(mask=np.tri(3, dtype=bool))}, "`mask` should be a symmetric"),
        (lambda: {"w": Symmetric()}, "`Symmetric` is for square matrices"),
        (lambda: {"w": Simplex()}, r"`w` should start inside of Simplex\(\)"),
        (lambda: {"a": Simplex()}, "`Simplex` is for 2 values or more"),
        (lambda: {"w": Simplex(-1)}, "`total` should be positive"),
        (lambda: {"w": Grouped([0, 0, 1])}, r"`w` should start inside of Grouped\("),
        (lambda: {"w": Regression([1.0, 1.0, 1.0])}, "`maps` should be finite"),
        (lambda: {"w": Regression([0.0, 1.0, 5.0])}, r"`w` should start inside of Regression\("),
        (lambda: {"w": Tied("b"), "a": Real()}, r"`w` should be tied to .*, one of \['a'\]"),
    ),
)
def test_structures_that_do_not_fit_are_refused(free, message, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    model = {"a": jnp.ones(()), "w": jnp.array([1.0, 2.0, 3.0]), "m": MATRIX}
    with pytest.raises(ValueError, match=message):
        free_parameters(model, free())
