"""Fits: what is free, how the loop moves it, what it reports and where it stops."""

import re

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import jaxtyping
import numpy as np
import optax
import pytest
from tiny import Relax

import fitting
import nmm
from fitting import Interval, Positive, Real, objectives
from fitting._parameters import free_parameters
from fitting._training import Training

KEY = jr.key(0)
WEIGHTS = jnp.array([[0.0, 1.0, 0.4], [0.7, 0.0, 0.2], [0.1, 0.9, 0.0]])


def fit(loss, model, free, **options):
    return fitting.fit(loss, model, free, **{"progress": False, **options})


def square(model):
    return jnp.sum((model["a"] - 2.0) ** 2)


def point(a=1.0):
    return {"a": jnp.asarray(a)}


def network():
    noise = nmm.noise.White(x=0.02, y=0.02)
    return nmm.Network(nmm.Hopf(a=-0.02), WEIGHTS, nmm.coupling.Diffusive(G=0.1), noise=noise)


def variance(net, key):
    """How far the power of a noisy network is from the wanted one."""
    x = nmm.simulate(net, 200.0, 1.0, key=key, save=["x"])["x"]
    return objectives.combine(power=(1.0, (jnp.log(jnp.mean(x**2)) - jnp.log(0.02)) ** 2))


def test_a_step_follows_the_gradient_in_unconstrained_numbers():
    result = fit(square, point(), {"a": Interval(0, 4)}, optimizer=optax.sgd(0.1), steps=2)
    x = np.log(1 / 3)  # of 1 in (0, 4), where dv/dx = v (4 - v) / 4 = 3/4
    after = 4 / (1 + np.exp(-(x - 0.1 * 2 * (1 - 2) * 0.75)))
    np.testing.assert_allclose(result.history["a"], [1.0, after], rtol=1e-12)
    np.testing.assert_allclose(result.history["loss"], [1.0, (after - 2) ** 2], rtol=1e-12)
    np.testing.assert_allclose(result.history["gradient_norm"][0], 1.5, rtol=1e-12)


def test_decay_rate_is_recovered_from_a_trace():
    def trace(model):
        start = model.State(jnp.ones(()), jnp.zeros(()))
        return nmm.simulate(model, 2.0, 0.05, y0=start, save=["x"])["x"]

    recorded = trace(Relax(rate=1.3))
    result = fit(
        lambda model: objectives.rmse(trace(model), recorded) ** 2,
        Relax(rate=0.4),
        ["rate"],
        steps=200,
    )
    np.testing.assert_allclose(result.model.rate, 1.3, rtol=1e-2)
    np.testing.assert_allclose(result.best.rate, 1.3, rtol=1e-3)


def test_forward_and_reverse_mode_give_the_same_fit():
    free = {"coupling.G": Interval(0, 3), "node.a": Real(shape="region")}
    by_mode = [
        fit(variance, network(), free, key=KEY, steps=3, mode=mode).history
        for mode in ("forward", "reverse")
    ]
    assert by_mode[0]["node.a"].shape == (3, 3)
    for name in by_mode[0]:
        np.testing.assert_allclose(by_mode[0][name], by_mode[1][name], rtol=1e-8)


def test_a_run_without_forward_mode_is_fitted_in_reverse():
    def loss(model):
        steps = diffrax.PIDController(1e-6, 1e-6)
        start = model.State(jnp.ones(()), jnp.zeros(()))
        sol = nmm.simulate(
            model, 1.0, 0.1, y0=start, stepsize_controller=steps, save=["x"], save_every=1.0
        )
        return sol["x"][-1]

    model = Relax(rate=0.5)
    result = fit(loss, model, ["rate"], steps=1, optimizer=optax.sgd(0.1))
    # In (0, 2), dv/dx = 0.5 * 1.5 / 2.
    np.testing.assert_allclose(result.history["gradient_norm"][0], 0.375 * np.exp(-0.5), rtol=1e-4)
    with pytest.raises(TypeError, match="forward-mode"):
        fit(loss, model, ["rate"], steps=1, mode="forward")


def test_a_scalar_freed_by_region_becomes_regional():
    target = jnp.array([-0.5, 0.0, 0.5])

    def loss(net):
        return jnp.sum((net.node.a - target) ** 2)

    free = {"node.a": Real(0.5, shape="region")}
    result = fit(loss, network(), free, steps=200)
    assert result.parameters.model.node.a.shape == (3,)
    assert result.history["node.a"].shape == (200, 3)
    np.testing.assert_allclose(result.history["node.a"][0], -0.02)
    np.testing.assert_allclose(result.model.node.a, target, atol=1e-2)
    again = fit(loss, result.model, free, steps=1)
    np.testing.assert_array_equal(again.history["node.a"][0], result.model.node.a)


def test_a_noisy_network_is_fitted():
    free = ["coupling.G", "noise.sigma"]
    result = fit(variance, network(), free, key=KEY, steps=40)
    loss = result.history["loss"]
    assert np.mean(loss[-10:]) < 0.1 * np.mean(loss[:3])
    np.testing.assert_array_equal(result.history["power"], loss)
    assert set(result.parameters.constraints) == {"coupling.G", "noise.sigma.x", "noise.sigma.y"}


def test_each_step_has_fresh_noise_unless_told_otherwise():
    def loss(model, key):
        return 0 * model["a"] + jr.normal(key)

    options = {"key": KEY, "steps": 4}
    fresh = fit(loss, point(), {"a": Real()}, **options).history["loss"]
    fixed = fit(loss, point(), {"a": Real()}, fresh_noise=False, **options).history["loss"]
    np.testing.assert_array_equal(fresh, [jr.normal(jr.fold_in(KEY, n)) for n in range(4)])
    np.testing.assert_array_equal(fixed, np.full(4, jr.normal(KEY)))


def test_a_step_is_compiled_once_for_all_fits_of_a_kind():
    traced = []

    def loss(model):
        traced.append(model)
        return square(model)

    for start in (1.0, 3.0):
        fit(loss, {"a": start}, {"a": Positive()}, steps=5)
    assert len(traced) == 1


def test_the_best_is_kept_when_the_fit_moves_on():
    start = point(jnp.array([1.0, 1.9]))
    result = fit(square, start, {"a": Real(1.0)}, optimizer=optax.sgd(1.2), steps=4)
    loss = result.history["loss"]
    assert result.best_loss == loss.min() == loss[0] < loss[-1]
    np.testing.assert_array_equal(result.best["a"], start["a"])
    # The model at the end is one update past the last row.
    assert square(result.model) > loss[-1]


def test_optimisers_with_a_line_search_work():
    result = fit(square, point(5.0), {"a": Positive()}, optimizer=optax.lbfgs(), steps=15)
    np.testing.assert_allclose(result.model["a"], 2.0, rtol=1e-7)


def test_steps_in_a_batch_are_those_of_separate_fits():
    parameters = free_parameters(point(), {"a": Interval(0, 4)})
    training = Training(lambda m: square(m), parameters, optax.adam(0.05), True, "reverse")
    starts = [1.0, 2.5, 3.9]
    x = {"a": jnp.stack([parameters.to_unconstrained(point(a))["a"] for a in starts])}
    state = jax.vmap(training.optimizer.init)(x)
    for n in range(3):
        x, state, record = jax.vmap(lambda x, s, n=n: training.step(x, s, None, n))(x, state)
    alone = [fit(square, point(a), {"a": Interval(0, 4)}, steps=3) for a in starts]
    np.testing.assert_allclose(record.row["a"], [r.history["a"][-1] for r in alone], rtol=1e-12)


def test_an_interrupt_returns_what_was_reached():
    def interrupt(step, values):
        assert values["loss"] == square({"a": values["a"]})
        if step == 2:
            raise KeyboardInterrupt

    result = fit(square, point(), ["a"], callback=interrupt)
    assert result.outcome == "interrupted"
    np.testing.assert_allclose(result.history["a"], 1 + 0.05 * np.arange(3), rtol=1e-2)
    np.testing.assert_allclose(result.model["a"], 1.15, rtol=1e-2)


def test_an_interrupt_before_the_first_step_returns_the_start():
    def loss(model):
        raise KeyboardInterrupt

    result = fit(loss, point(), ["a"])
    assert result.history == {} and np.isnan(result.best_loss)
    assert result.model["a"] == result.best["a"] == 1.0
    assert "interrupted (0 steps)" in repr(result)


def test_a_callback_can_end_the_fit():
    result = fit(square, point(), ["a"], callback=lambda step, values: values["loss"] < 0.5)
    assert len(result.history["loss"]) < 20
    assert result.outcome == f"ended by the callback in step {len(result.history['loss']) - 1}"


def test_a_fit_stops_at_a_loss_that_is_not_finite():
    def loss(model):
        return jnp.log(1.12 - model["a"][0]) + jnp.sum(model["b"])

    model = {"a": jnp.ones(1), "b": jnp.array([1.0, 2.0, 6.0])}
    message = (
        r"The loss became nan in step 3, at a = 1\.14\d, b = 2\.85 \(0\.85 to 5\.85, 3 values\)\. "
        "Try a smaller learning rate"
    )
    with pytest.warns(UserWarning, match=message):
        result = fit(loss, model, {"a": Real(1.0), "b": Real(1.0)})
    assert result.outcome.startswith("stopped: The loss became nan in step 3")
    assert np.flatnonzero(np.isnan(result.history["loss"])) == [3]
    # What is returned is the last model with a loss.
    np.testing.assert_array_equal(result.model["a"], result.history["a"][2])
    np.testing.assert_array_equal(result.best["a"], result.history["a"][2])
    with pytest.raises(FloatingPointError, match=message):
        fit(loss, model, {"a": Real(1.0), "b": Real(1.0)}, on_non_finite="raise")


def test_a_skipped_step_changes_neither_the_parameters_nor_the_optimiser():
    good = [n for n in range(8) if jr.normal(jr.fold_in(KEY, n)) <= 0.3]
    assert 0 < len(good) < 8

    def loss(model, key):
        return jnp.where(jr.normal(key) > 0.3, jnp.nan, 1.0) * square(model)

    with pytest.warns(UserWarning, match="The loss became nan in step"):
        skipped = fit(loss, point(), ["a"], key=KEY, steps=8, on_non_finite="skip")
    plain = fit(square, point(), ["a"], steps=len(good))
    assert skipped.outcome == "completed"
    np.testing.assert_allclose(skipped.history["a"][good], plain.history["a"], rtol=1e-12)
    np.testing.assert_allclose(skipped.model["a"], plain.model["a"], rtol=1e-12)


def test_a_skip_that_would_repeat_itself_stops():
    with pytest.warns(UserWarning, match="The loss became nan in step 0"):
        result = fit(lambda m: m["a"] * jnp.nan, point(), ["a"], on_non_finite="skip")
    assert result.outcome.startswith("stopped") and result.model["a"] == 1.0


@pytest.mark.parametrize(
    "loss, optimizer, message",
    (
        (lambda m: jnp.sqrt((m["a"] - 1) ** 2) + m["b"], None, "The gradient of `a` became"),
        (square, optax.sgd(np.nan), "The update of `a`, `b` became"),
    ),
)
def test_it_says_what_was_not_finite(loss, optimizer, message):
    model = {"a": jnp.ones(()), "b": jnp.ones(())}
    with pytest.raises(FloatingPointError, match=f"{message} non-finite in step 0, at a = 1, b"):
        fit(loss, model, ["a", "b"], optimizer=optimizer, on_non_finite="raise")


def refuses(limit):
    def loss(model):
        return square({"a": eqx.error_if(model["a"], model["a"] > limit, "`a` is too large.")})

    return loss


def test_errors_of_the_compiled_loss_surface():
    message = r"The loss raised an error \(`a` is too large\.\) in step 3, at a = 1\.15"
    with pytest.warns(UserWarning, match=message):
        result = fit(refuses(1.12), point(), ["a"])
    np.testing.assert_allclose(result.model["a"], 1.1, rtol=1e-3)
    assert np.isnan(result.history["loss"][-1]) and len(result.history["loss"]) == 4
    with pytest.raises(eqx.EquinoxRuntimeError, match="`a` is too large") as caught:
        fit(refuses(1.12), point(), ["a"], on_non_finite="raise")
    assert re.search(r"in step 3, at a = 1\.15", caught.value.__notes__[0])
    with pytest.raises(eqx.EquinoxRuntimeError, match="`a` is too large") as caught:
        fit(refuses(0.5), point(), ["a"])
    assert "in step 0, at a = 1" in caught.value.__notes__[0]


def test_arrays_are_found_by_fields_keys_and_indices():
    class Part(eqx.Module):
        weights: tuple
        table: dict

    model = Part((jnp.ones(2), jnp.zeros(())), {"k": {"l": 0.5}, "n": 3})
    assert list(free_parameters(model, ["weights", "table.k"]).constraints) == [
        "weights.0",
        "weights.1",
        "table.k.l",
    ]
    assert list(free_parameters(network(), "noise.sigma.y").constraints) == ["noise.sigma.y"]


def test_a_result_prints_as_a_table_and_draws_itself():
    pytest.importorskip("matplotlib").use("Agg")
    free = {"node.a": Real(shape="region"), "coupling.G": None}
    result = fit(lambda net: jnp.sum(net.node.a**2), network(), free, steps=2)
    head, loss, *table = repr(result).splitlines()
    assert (head, loss) == (
        "FitResult: completed (2 steps)",
        "loss 0.0012 to 0.001083, lowest 0.001083",
    )
    assert [re.split(" {2,}", row.strip()) for row in table] == [
        ["path", "constraint", "unit", "start", "end", "best"],
        [
            "node.a",
            "Real(scale=0.02, shape='region')",
            "1/ms",
            "-0.02 (3 times)",
            "-0.018 (3 times)",
            "-0.019 (3 times)",
        ],
        ["coupling.G", "Interval(0, 3)", "1", "0.1", "0.1", "0.1"],
    ]
    panels = result.plot().axes
    assert [ax.get_ylabel() for ax in panels] == ["loss", "node.a (1/ms)", "coupling.G"]
    assert len(panels[1].lines) == 3


def test_progress_is_shown_if_asked_for(capsys):
    fit(square, point(), ["a"], steps=2, progress=True)
    assert "loss=" in capsys.readouterr().err
    fit(square, point(), ["a"], steps=2)
    assert capsys.readouterr().err == ""


CASES = {
    "nothing": (lambda: fit(square, point(), []), "`free` should name at least one parameter"),
    "no path": (
        lambda: fit(variance, network(), ["coupling.g"]),
        r"The path `coupling\.g` does not exist\. Did you mean `coupling\.G`\? The paths of this "
        r"model are \['node\.a', .*'noise\.sigma\.y'\]",
    ),
    "case": (lambda: fit(square, {"b": 1.0, "B": 1.0, "W": 1.0}, ["w"]), r"Did you mean `W`\?"),
    "last name": (
        lambda: fit(square, {"x": {"tau": 1.0}, "y": {"tau": 1.0}}, ["tau"]),
        r"Did you mean `x\.tau` or `y\.tau`\?",
    ),
    "None": (
        lambda: fit(variance, nmm.Network(nmm.Hopf(), WEIGHTS), ["noise.sigma"]),
        r"The path `noise\.sigma` does not exist, since `noise` is None\.",
    ),
    "static": (
        lambda: fit(variance, network(), ["coupling.source"]),
        r"The path `coupling\.source` should lead to an array of floats, got None",
    ),
    "integer": (
        lambda: fit(square, {"a": jnp.arange(3)}, ["a"]),
        r"The path `a` should lead to an array of floats, got Array\(\[0, 1, 2\]",
    ),
    "index": (
        lambda: fit(square, {"a": (1.0,)}, ["a.1"]),
        r"The path `a\.1` does not exist\. Did you mean `a\.0`\?",
    ),
    "twice": (
        lambda: fit(variance, network(), ["noise.sigma", "noise.sigma.x"]),
        r"`free` should name each array once, got `noise\.sigma\.x` twice",
    ),
    "constraint": (
        lambda: fit(square, point(), {"a": (0, 1)}),
        r"`free\['a'\]` should be a constraint, such as .*, got \(0, 1\)",
    ),
    "regions": (
        lambda: fit(square, nmm.Hopf(), {"a": Real(shape="region")}),
        "`a` cannot be made regional, since the model does not say how many regions there are",
    ),
    "steps": (lambda: fit(square, point(), ["a"], steps=0), "`steps` should be at least 1, got 0"),
    "mode": (
        lambda: fit(square, point(), ["a"], mode="fwd"),
        r"`mode` should be one of \['auto', 'forward', 'reverse'\], got 'fwd'",
    ),
    "on_non_finite": (
        lambda: fit(square, point(), ["a"], on_non_finite="ignore"),
        r"`on_non_finite` should be one of \['stop', 'skip', 'shrink', 'raise'\], got 'ignore'",
    ),
    "vector loss": (
        lambda: fit(lambda m: jnp.ones(3) * m["a"], point(), ["a"]),
        r"`loss` should return a real scalar, a float, or a pair .* got f64\[3\]\.",
    ),
    "count": (lambda: fit(lambda m: jnp.sum(m["a"] > 0), point(), ["a"]), r"got i64\[\]\."),
    "seeds": (
        lambda: fit(square, point(), ["a"], seeds=4),
        "`seeds` should be 1 without a `key`, as without noise all draws are the same, got 4",
    ),
    "no loss": (lambda: fit(lambda m: None, point(), ["a"]), "`loss` should return a real scalar"),
    "parts": (
        lambda: fit(lambda m: (m["a"], {"a": 1.0}), point(), ["a"]),
        r"The parts of the loss should have names of their own, other than \['loss', .*'a'\]",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_error_names_what_is_wrong(case, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    call, message = CASES[case]
    with pytest.raises((ValueError, TypeError), match=message):
        call()
