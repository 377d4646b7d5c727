"""Many starts side by side."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from small_fits import KEY, MODEL, SCORES, noisy, quiet, refuses, square

import fitting
from fitting import Fits, Interval, Real, Regression, Tied, _side_by_side


@pytest.mark.parametrize("by_turns", (False, True), ids=("at once", "by turns"))
def test_starts_side_by_side_are_those_of_separate_fits(by_turns, monkeypatch):
    monkeypatch.setattr(_side_by_side, "_by_turns", lambda training, fits: by_turns)

    def loss(model, key):  # not compiled yet
        return noisy(model, key)

    starts = {"a": np.array([0.5, 1.0, 3.5])}
    free = {"a": Interval(0, 4), "b": Tied("a", scale=2.0)}
    fits = quiet(fitting.multi_start, loss, MODEL, free, starts=starts, steps=8, key=KEY)
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


def test_a_start_that_fails_later_ends_at_its_last_finite_loss():
    def loss(model):
        return jnp.where(model["a"] > 1.12, jnp.nan, -model["a"])

    starts = {"a": np.array([1.0, 0.5])}
    fits = quiet(fitting.multi_start, loss, MODEL, {"a": Real(1.0)}, starts=starts, steps=5)
    np.testing.assert_allclose(fits[0].model["a"], 1.1)
    assert fits[0].outcome == "completed, not finite from step 3 on" and np.isnan(fits.losses[0])


def test_starts_may_follow_maps():
    starts = {"v": 3 + np.array([[0.5], [1.0]]) * SCORES}
    free = {"v": Regression(SCORES)}
    options = {"starts": starts, "steps": 1}
    fits = quiet(
        fitting.multi_start, lambda m: jnp.sum(m["v"]), {"v": jnp.ones(3)}, free, **options
    )
    np.testing.assert_allclose(fits[1].history["v"][0], starts["v"][1])
    with pytest.raises(ValueError, match=r"`starts\['v'\]` should hold values of the shape \(3,\)"):
        quiet(
            fitting.multi_start, lambda m: jnp.sum(m["v"]), {"v": jnp.ones(3)}, free,
            starts={"v": np.array([[1.0, 1.0, 2.0]])},
        )  # fmt: skip


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
