"""Constraints are bijections that keep off their limits, in steps of a sensible size."""

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from gradients import assert_gradients_match_differences
from tiny import Relax

import fitting
import nmm
from fitting import Interval, Positive, Real
from fitting._parameters import free_parameters

CONSTRAINTS = (Real(), Real(250.0), Positive(), Positive(-3.0), Interval(0, 3), Interval(-2, 0))


@pytest.mark.parametrize("dtype", (jnp.float32, jnp.float64))
@pytest.mark.parametrize("constraint", CONSTRAINTS, ids=repr)
def test_values_come_back_from_unconstrained_numbers(constraint, dtype):
    fractions = jnp.array([1e-6, 1e-3, 0.2, 0.5, 0.9, 0.999, 1 - 1e-6], dtype)
    lower = getattr(constraint, "lower", -5.0)
    values = lower + (getattr(constraint, "upper", lower + 10) - lower) * fractions
    back = constraint.from_unconstrained(constraint.to_unconstrained(values))
    assert back.dtype == dtype
    # The distance to a limit keeps as many digits as there are next to that limit.
    np.testing.assert_allclose(back, values, rtol=16 * jnp.finfo(dtype).eps)


@pytest.mark.parametrize("constraint", (Interval(0, 3), Interval(-2, 0), Interval(1e3, 1001)))
def test_float32_keeps_the_digits_next_to_a_limit_of_zero(constraint):
    x = jnp.array([-40.0, -15.0, 0.0, 15.0, 40.0], jnp.float32)
    values = constraint.from_unconstrained(x)
    assert np.all(constraint.contains(values))
    back = constraint.to_unconstrained(values)
    assert np.all(np.isfinite(back))
    if constraint.lower == 0:
        np.testing.assert_allclose(back[:3], x[:3], atol=1e-5)
    if constraint.upper == 0:
        np.testing.assert_allclose(back[2:], x[2:], atol=1e-5)


@pytest.mark.parametrize("dtype", (jnp.float32, jnp.float64))
@pytest.mark.parametrize("constraint", (Positive(), Positive(1.0), *CONSTRAINTS[-2:]), ids=repr)
def test_no_number_leads_onto_a_limit(constraint, dtype):
    x = jnp.array([-1e4, -800.0, -100.0, -20.0, 0.0, 20.0, 80.0, 100.0, 1e4], dtype)
    values, slopes = jax.vmap(jax.value_and_grad(constraint.from_unconstrained))(x)
    assert np.all(jax.jit(constraint.contains)(values))
    assert np.all(np.isfinite(constraint.to_unconstrained(values)))
    assert np.all(np.isfinite(slopes)) and np.all(slopes[3:5] > 0)


def test_shares_stay_above_zero_in_float32():
    constraint, x = fitting.Simplex(), jnp.array([200.0, -300.0], jnp.float32)
    shares = constraint.from_unconstrained(x)
    assert np.all(jax.jit(constraint.contains)(shares))
    assert np.all(np.isfinite(constraint.to_unconstrained(shares)))


@pytest.mark.parametrize("constraint", CONSTRAINTS, ids=repr)
def test_gradients_are_the_chain_rule(constraint):
    x = jnp.array([-3.0, -0.5, 0.0, 1.0, 2.5])
    assert_gradients_match_differences(constraint.from_unconstrained, x)
    slope = jax.vmap(jax.grad(constraint.from_unconstrained))(x)
    values = constraint.from_unconstrained(x)
    inverse = jax.vmap(jax.grad(constraint.to_unconstrained))(values)
    np.testing.assert_allclose(slope * inverse, 1.0)


def test_a_step_of_the_default_optimiser_is_a_sensible_change():
    def change(constraint, value):
        constraint = constraint.starting_at(jnp.asarray(value))
        x = constraint.to_unconstrained(jnp.asarray(value))
        return constraint.from_unconstrained(x + 0.05) - value

    np.testing.assert_allclose(change(Real(), -300.0), 15.0)
    np.testing.assert_allclose(change(Real(), 0.0), 0.05)
    np.testing.assert_allclose(change(Real(4.0), 0.0), 0.2)
    np.testing.assert_allclose(change(Positive(), 1e-4), 5e-6, rtol=0.03)
    np.testing.assert_allclose(change(Interval(0, 8), 4.0), 0.1, rtol=1e-3)
    np.testing.assert_allclose(change(Interval(0, 8), 0.01), 5e-4, rtol=0.03)


def test_default_constraints_follow_the_declared_ranges():
    class Model(Relax):
        tau: jaxtyping.Array = nmm.param(2.0, unit="ms", doc="", bounds=(0.0, None))
        shift: jaxtyping.Array = nmm.param([3.0, -8.0], unit="1", doc="")
        cap: jaxtyping.Array = nmm.param(-1.0, unit="1", doc="", bounds=(None, 0.0))

    free = free_parameters(Model(), ["rate", "tau", "shift", "cap"])
    assert [repr(c) for c in free.constraints.values()] == [
        "Interval(0, 2)",
        "Positive()",
        "Real(scale=8)",
        "Real(scale=1)",
    ]
    assert free.units == {"rate": "1/ms", "tau": "ms", "shift": "1", "cap": "1"}


def test_constraints_print_as_they_are_written():
    assert repr(Interval(0.0, 3.0)) == "Interval(0, 3)"
    assert repr(Positive(lower=0.5, shape="region")) == "Positive(lower=0.5, shape='region')"
    assert repr(Real()) == "Real()"


@pytest.mark.parametrize(
    "build, message",
    (
        (lambda: Interval(3, 0), "`lower` should be below `upper`, both finite, got lower=3.0"),
        (lambda: Interval(0, np.inf), "`lower` should be below `upper`, both finite"),
        (lambda: Interval(np.nan, 1), "`lower` should be below `upper`, both finite"),
        (lambda: Positive(-np.inf), "`lower` should be finite, got -inf"),
        (lambda: Real(0.0), "`scale` should be positive and finite, got 0.0"),
        (lambda: Real(shape="regions"), "`shape` should be None or \"region\", got 'regions'"),
    ),
)
def test_a_constraint_without_room_is_refused(build, message, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize("start", (0.0, 3.0, -0.1, np.nan))
def test_a_start_that_is_not_inside_is_refused(start):
    with pytest.raises(ValueError, match=r"`a` should start inside of Interval\(0, 3\), limits"):
        fitting.fit(lambda model: model["a"], {"a": jnp.asarray(start)}, {"a": Interval(0, 3)})
