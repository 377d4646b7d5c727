"""Constraints on several values at once, and how what is free prints."""

import equinox as eqx
import jax.numpy as jnp
import jaxtyping
import numpy as np
import optimistix
import pytest
from small_fits import SCORES, quiet

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
)

MATRIX = jnp.array([[0.0, 1.0, 0.4], [1.0, 0.0, 0.2], [0.4, 0.2, 0.0]])
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


def test_what_is_tied_keeps_its_shape_or_becomes_regional():
    model = {"one": jnp.asarray(1.0), "two": jnp.asarray(2.0), "many": jnp.ones(3)}
    parameters = free_parameters(model, {"one": Real(), "many": Tied("one", scale=2.0)})
    np.testing.assert_array_equal(parameters.start["many"], [2, 2, 2])
    x = {"one": jnp.asarray(5.0)}
    np.testing.assert_array_equal(parameters.model_at(x)["many"], [10, 10, 10])
    parameters = free_parameters(model, {"many": Real(), "two": Tied("many")})
    assert parameters.model_at({"many": 3 * jnp.ones(3)})["two"].shape == (3,)


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
        (lambda: {"w": Tied("m"), "m": Real()}, r"`w` should have the shape of `m` .*, got \(3,\)"),
        (lambda: {"w": Tied("a", scale=np.inf), "a": Real()}, "`scale` should be finite, got inf"),
    ),
)
def test_structures_that_do_not_fit_are_refused(free, message, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    model = {"a": jnp.ones(()), "w": jnp.array([1.0, 2.0, 3.0]), "m": MATRIX}
    with pytest.raises(ValueError, match=message):
        free_parameters(model, free())
