"""Fits of many subjects, with what they share."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import optimistix
import pytest
from small_fits import KEY, MODEL, SCORES, quiet
from tiny import Relax

import fitting
from fitting import Interval, Real, Regression


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
    with pytest.raises(KeyError, match=r"no subject 'w', but \['x', 'y', 'z'\]"):
        fits["w"]
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


def test_the_table_of_a_group_has_units():
    _, group = quiet(
        fitting.fit_group, lambda m, data: m.rate * data, Relax(), ["rate"], [1.0], steps=1
    )
    assert group.parameters.units == {"own.rate": "1/ms"} and "  1/ms  " in repr(group)
