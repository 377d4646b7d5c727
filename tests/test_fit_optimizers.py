"""Least squares, quasi-Newton and search without gradients; noise that is kept; steps that fail."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import optimistix
import pytest
from small_fits import KEY, MODEL, quiet, refuses, square

import fitting
from fitting import Interval, Real, objectives


def residual_loss(model):
    """Rosenbrock's valley, whose lowest point is at (1, 1)."""
    a, b = model["a"], model["b"]
    return objectives.residuals(valley=(0.1, b - a**2), shift=(1.0, 1 - a))


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
        return objectives.residuals(error=(1.0, jnp.log(model["a"] - 5)))

    options = {"optimizer": optimizer, "steps": 3}
    with pytest.warns(UserWarning, match="in step 0, at a = 1"):
        result = quiet(fitting.fit, loss, MODEL, {"a": Real(0.01)}, **options)
    assert result.outcome.startswith("stopped: ") and result.model["a"] == 1.0
    with pytest.raises(FloatingPointError, match="in step 0, at a = 1"):
        quiet(fitting.fit, loss, MODEL, {"a": Real(0.01)}, on_non_finite="raise", **options)


def test_least_squares_minimise_the_mean_over_seeds():
    def loss(model, key):
        return objectives.residuals(error=(1.0, model["a"] * jnp.arange(1.0, 3.0) - jr.normal(key)))

    solver = optimistix.LevenbergMarquardt(1e-10, 1e-10)
    options = {"key": KEY, "seeds": 3, "steps": 20}
    result = quiet(fitting.fit, loss, MODEL, {"a": Real()}, optimizer=solver, **options)
    draws = jax.vmap(jr.normal)(jr.split(KEY, 3))
    np.testing.assert_allclose(result.model["a"], 3 * np.mean(draws) / 5, rtol=1e-6)
    # Of a mean of residuals, the loss would miss the variance of the draws.
    residuals = result.model["a"] * np.arange(1, 3) - draws[:, None]
    np.testing.assert_allclose(result.best_loss, np.sum(residuals**2) / 6, rtol=1e-6)
