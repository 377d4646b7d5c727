"""Fits in closed form: likelihoods, standard errors, and the way back from beyond the edge."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fitting
import nmm
from fitting import objectives
from nmm.analysis import linear_response

PAIR = jnp.array([[0.0, 0.8], [0.8, 0.0]])


def pair(G):
    """Two regions that decay in 1 ms, with the edge of stability at G = 1.25."""
    noise = nmm.noise.White(x=0.1)
    return nmm.Network(nmm.Linear(gamma=-1.0), PAIR, nmm.coupling.Linear(G=G), noise=noise)


def covariance(G):
    """That of `pair`, worked by hand: modes that decay with rates 1 - 0.8 G and 1 + 0.8 G."""
    slow, fast = 0.005 / (1 - 0.8 * G), 0.005 / (1 + 0.8 * G)
    return jnp.array([[slow + fast, slow - fast], [slow - fast, slow + fast]]) / 2


EXPECTED = covariance(0.5)
FREE = {"coupling.G": fitting.Interval(0.0, 2.0)}
ADAM = optax.adam(0.1)


def loss(net):
    response = linear_response(net, throw=False)
    error = jnp.log(1 + jnp.sum((response.covariance() / EXPECTED - 1) ** 2))
    edge = objectives.stability_penalty(response, slowest=10.0)
    return objectives.combine(fit=(1.0, error), edge=(1.0, edge))


def test_fit_comes_back_from_beyond_the_edge_and_finds_the_coupling():
    result = fitting.fit(loss, pair(1.4), FREE, optimizer=ADAM, steps=150, progress=False)
    # Beyond the edge the response is silent: what it contributes does not depend on the coupling.
    beyond = result.history["coupling.G"] > 1.25
    assert beyond[0]
    np.testing.assert_allclose(result.history["fit"][beyond], np.log(5), rtol=1e-9)
    np.testing.assert_allclose(result.best.coupling.G, 0.5, atol=0.01)


def simulated_loss(net, key):
    """The same from a run of half a second."""
    x = nmm.simulate(net, 500.0, 0.25, key=key, save=["x"], transient=20.0, throw=False)["x"]
    return jnp.log(1 + jnp.sum((jnp.cov(x.T) / EXPECTED - 1) ** 2))


def closed_then_simulated(folder=None, **options):
    first = fitting.Stage(loss, optimizer=ADAM, steps=60)
    return fitting.fit(
        simulated_loss, pair(0.1), FREE, start=first, steps=3, key=jax.random.key(0),
        checkpoint=folder, progress=False, **options,
    )  # fmt: skip


def test_fit_begins_in_closed_form_and_ends_by_simulation(tmp_path):
    result = closed_then_simulated()
    assert [len(stage.history["loss"]) for stage in result.stages] == [60, 3]
    closed, simulated = result.stages
    np.testing.assert_allclose(closed.history["coupling.G"][0], 0.1)
    np.testing.assert_allclose(closed.best.coupling.G, 0.5, atol=0.05)
    assert result.history["coupling.G"][0] == closed.best.coupling.G
    assert (closed.provenance.key, simulated.provenance.key) == (None, "0-0")
    assert closed.provenance.model != simulated.provenance.model
    assert result.provenance.seconds > closed.provenance.seconds
    assert repr(result).count("loss ") == 2 and "completed (60 steps)" in repr(result)
    assert result.methods().count("was fitted by") == 2
    panels = result.plot().axes
    assert [ax.get_ylabel() for ax in panels] == ["loss", "loss", "coupling.G"]
    assert [len(ax.lines[0].get_ydata()) for ax in panels] == [60, 3, 63]

    def interrupt(step, values):
        if step == 1:
            raise KeyboardInterrupt

    assert closed_then_simulated(tmp_path, callback=interrupt).outcome == "interrupted"
    again = closed_then_simulated(tmp_path)
    np.testing.assert_array_equal(again.history["loss"], result.history["loss"])
    np.testing.assert_array_equal(again.start.history["loss"], closed.history["loss"])


def test_what_is_interrupted_in_the_first_stage_ends_there():
    def interrupted(net):
        raise KeyboardInterrupt

    result = fitting.fit(loss, pair(0.1), ["coupling.G"], start=interrupted, progress=False)
    assert result.outcome == result.start.outcome == "interrupted"
    assert not result.history and result.model.coupling.G == 0.1
    with pytest.raises(TypeError, match="`start` should be a `fitting.Stage` or a loss"):
        fitting.Stage.of("linear")


def likelihood(net):
    return objectives.wishart(linear_response(net, throw=False).covariance(), EXPECTED, 400)


def test_standard_error_is_that_of_the_fisher_information():
    result = fitting.fit(likelihood, pair(0.5), ["coupling.G"], steps=1, progress=False)
    stated = fitting.uncertainty(likelihood, result)
    slope = jax.jacfwd(covariance)(0.5)
    relative = jnp.linalg.solve(EXPECTED, slope)
    information = 400 / 2 * jnp.trace(relative @ relative)
    np.testing.assert_allclose(result.history["loss"], 0, atol=1e-9)
    np.testing.assert_allclose(
        stated.standard_errors["coupling.G"], 1 / np.sqrt(information), rtol=0.02
    )
    assert "coupling.G" in repr(stated)


def test_likelihoods_are_zero_at_the_data_infinite_without_power_and_as_defined_between():
    power = jnp.array([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_allclose(objectives.whittle(power, power), 0, atol=1e-12)
    expected = 3 * 4 * (np.log(2) + 0.5 - 1)
    np.testing.assert_allclose(objectives.whittle(2 * power, power, 3), expected)
    np.testing.assert_allclose(objectives.wishart(2 * EXPECTED, EXPECTED, 6), expected / 2)
    for likelihood in (
        lambda s: objectives.whittle(s * power, power),
        lambda s: objectives.wishart(s * EXPECTED, EXPECTED, 6),
    ):
        value, slope = jax.value_and_grad(likelihood)(0.0)
        assert value == np.inf
        assert slope == 0


def test_objectives_take_what_is_in_closed_form_as_they_take_series():
    x = jax.random.normal(jax.random.key(0), (400, 2)) @ jnp.array([[1.0, 0.5], [0.0, 1.0]])
    windows = {"segment": 100.0}
    hertz, density = objectives.cross_spectrum(x, 1.0, **windows)
    power = jnp.einsum("fii->fi", density).real
    lagged = jnp.stack([nmm.analysis.lagged_covariance(x, lag) for lag in (0, 2)])

    def distances(gain, hertz=hertz):
        spectrum, cross = (hertz, gain**2 * power), (hertz, gain**2 * density)
        return (
            objectives.log_spectral_distance(spectrum, x, 1.0, (20, 400), **windows),
            objectives.log_spectral_distance(spectrum, (hertz[2:], power[2:]), None, (20, 400)),
            objectives.cross_spectral_error(cross, x, 1.0, (20, 400), **windows),
            objectives.cross_spectral_error(cross, (hertz, density), None, (20, 400)),
            objectives.covariance_error(
                gain**2 * lagged, x, lags=(0, 2), simulated_is="covariance"
            ),
        )

    np.testing.assert_allclose(distances(1.0), 0, atol=1e-10)
    np.testing.assert_allclose(distances(10.0), [20, 20, 99**2, 99**2, 99**2], rtol=1e-9)
    with pytest.raises(ValueError, match="`dt` must be given, since `empirical` is a series"):
        objectives.log_spectral_distance((hertz, power), x, None, (20, 400))
    with pytest.raises(ValueError, match="`dt` must be given, since `simulated` is a series"):
        objectives.cross_spectral_error(x, x, None, (20, 400))
    with pytest.raises(ValueError, match="of the same regions, at the same frequencies"):
        distances(1.0, hertz + 1)
    with pytest.raises(ValueError, match="`band` must begin at or above 50 Hz"):
        objectives.log_spectral_distance((hertz[5:], power[5:]), (hertz, power), None, (20, 400))
    with pytest.raises(ValueError, match="`simulated` must hold increasing frequencies"):
        objectives.log_spectral_distance((-hertz, power), (hertz, power), None, (20, 400))


def test_data_without_a_likelihood_are_refused():
    with pytest.raises(ValueError, match="`empirical` must be positive definite"):
        objectives.wishart(EXPECTED, jnp.array([[1.0, 2.0], [2.0, 1.0]]), 10)
    with pytest.raises(ValueError, match="`empirical` must be power above 0"):
        objectives.whittle(jnp.ones(3), jnp.array([1.0, 0.0, 2.0]))
    with pytest.raises(ValueError, match="`slowest` must be a positive"):
        objectives.stability_penalty(nmm.analysis.fixed_point(nmm.Linear()), slowest=0)
