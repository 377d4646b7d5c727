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

import fitting
from fitting import (
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
    spread = np.std(fits.values["w"], axis=0)
    assert np.all(spread[:3] < 0.01) and spread[3] > 0.1  # The last one is not determined.
    assert fits.agreement()["w"]["between fits"] == pytest.approx(spread.mean())


MATRIX = jnp.array([[0.0, 1.0, 0.4], [1.0, 0.0, 0.2], [0.4, 0.2, 0.0]])
SCORES = np.array([-1.0, 0.5, 2.0])
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
