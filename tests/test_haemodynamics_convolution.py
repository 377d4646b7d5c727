"""Convolution with haemodynamic response functions: published kernels, and the balloon model."""

import math

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import golden

import nmm
from nmm.observe import (
    BOLD,
    CanonicalKernel,
    ConvolutionBOLD,
    DoubleExponentialKernel,
    GammaKernel,
    MixtureOfGammasKernel,
    SampledKernel,
    SubSample,
    TemporalAverage,
    VolterraKernel,
)

kernels = {
    "FirstOrderVolterra": VolterraKernel,
    "Gamma": GammaKernel,
    "DoubleExponential": DoubleExponentialKernel,
    "MixtureOfGammas": MixtureOfGammasKernel,
}
# Peak and its time, trough and its time, in s, and the integral.
facts = {
    "FirstOrderVolterra": (0.127729, 0.802, -0.03305, 2.965, 0.133333),
    "Gamma": (0.1, 2.16, 0, 0, 0.399),
    "DoubleExponential": (0.1, 5.942, -0.0619, 1.608, None),
    "MixtureOfGammas": (0.174143, 4.949, -0.037064, 13.181, 0.6),
}


@pytest.mark.parametrize("name", kernels)
def test_kernel_has_the_known_values_peak_and_integral(name):
    arrays, _ = golden("convolution")[f"hrf_{name}"]
    kernel = kernels[name]()
    np.testing.assert_allclose(kernel(jnp.asarray(arrays["t"])), arrays["value"], atol=1e-14)
    peak, peak_at, low, low_at, area = facts[name]
    t = jnp.arange(40_000) / 1000
    h = np.asarray(kernel(t))
    assert (h.max(), h.min()) == pytest.approx((peak, low), abs=2e-5)
    assert (t[h.argmax()], t[h.argmin()]) == pytest.approx((peak_at, low_at), abs=1.1e-3)
    if area is not None:
        assert np.sum(kernel.weights(10_000, 0.004)) == pytest.approx(area, abs=6e-4)


@pytest.mark.parametrize("name", ["FirstOrderVolterra", "Gamma", "MixtureOfGammas"])
def test_sums_of_the_virtual_brain_are_ours_with_its_kernel(name):
    reference = golden("convolution")
    grid = np.asarray(kernels[name]()(jnp.arange(5000) * 0.004))
    # Its sum has no length of the step, and lags by one window of 4 ms.
    kernel = SampledKernel(np.concatenate([grid[-1:], grid[:-1]]) / 0.004, 4.0)
    sums = ConvolutionBOLD(1000.0, kernel=kernel)(reference["signal"][0]["x"], 2.0)
    ours = 5.6 * 0.02 * (sums - 1) if name == "FirstOrderVolterra" else sums
    np.testing.assert_allclose(ours, reference[f"bold_{name}"][0]["y"], rtol=1e-11)
    if name == "FirstOrderVolterra":  # A longer period takes every other sample.
        longer = reference["bold_FirstOrderVolterra_2000"][0]["y"]
        np.testing.assert_allclose(ours[1::2], longer, rtol=1e-11)


def test_convolution_is_that_of_brainmass_and_tvboptim():
    reference = golden("convolution")
    x = reference["signal"][0]["x"]
    grid = np.asarray(VolterraKernel()(jnp.linspace(0, 20, 5000)))
    bold = ConvolutionBOLD(1000.0, kernel=SampledKernel(grid / 0.004, 4.0))
    # Means of 4 ms, the last value of each 4 ms, and means that begin a sample late.
    signals = {
        "brainmass_hrfbold": x.reshape(-1, 2, 2).mean(axis=1),
        "tvboptim_hrfbold": SubSample(4.0)(x, 2.0),
        "tvboptim_hrfbold_tavg": TemporalAverage(4.0)(np.append(x[1:], x[-1:], axis=0), 2.0),
    }
    observe = jax.jit(lambda signal: bold(signal, 4.0))
    for name, signal in signals.items():
        expected = reference[name][0]["y"]
        found = 5.6 * 0.02 * (observe(signal) - 1)
        np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("name", kernels)
def test_constant_activity_settles_at_the_integral_whatever_the_step(name):
    kernel = kernels[name](duration=8.0)
    levels = [
        ConvolutionBOLD(500.0, kernel=kernel, step=step, amplitude=2.0)(np.ones((100, 1)), dt)[-1]
        for step, dt in ((100.0, 100.0), (10.0, 100.0))
    ]
    assert levels[0] == pytest.approx(2 * float(np.sum(kernel.weights(80, 0.1))), rel=1e-12)
    fine = 2 * float(np.sum(kernel.weights(8000, 0.001)))
    assert levels[0] == pytest.approx(fine, abs=3e-3)


def test_canonical_kernel_is_that_of_spm():
    t = np.arange(3200) / 100
    h = np.asarray(CanonicalKernel()(jnp.asarray(t)))
    shape = t**5 / 120 * np.exp(-t) - t**15 / math.factorial(15) * np.exp(-t) / 6
    np.testing.assert_allclose(h, shape / shape.sum() * 100, atol=2e-5)
    assert t[h.argmax()] == 5.0
    assert np.sum(CanonicalKernel().weights(8000, 0.004)) == pytest.approx(1, abs=1e-6)


def test_impulse_returns_the_kernel_at_the_samples():
    impulse = np.zeros((2000, 1))
    impulse[0] = 1 / 0.004
    found = ConvolutionBOLD(1000.0, kernel=GammaKernel())(np.repeat(impulse, 1, 0), 4.0)[:, 0]
    # The step lies between 4 ms and no time before its end.
    expected = GammaKernel()(jnp.arange(1, 9) - 0.002)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_measured_kernel_is_held_between_samples():
    values = np.array([0.0, 1.0, 3.0, 2.0])
    kernel = SampledKernel(values, 500.0)
    assert kernel.duration == 2
    np.testing.assert_allclose(kernel.weights(8, 0.25), np.repeat(values, 2) * 0.25)
    np.testing.assert_allclose(kernel.weights(3, 1.0), [0.5, 2.5, 0])
    x = np.random.default_rng(0).normal(size=(12, 1))
    found = ConvolutionBOLD(1000.0, kernel=kernel, step=500.0)(x, 500.0)[:, 0]
    np.testing.assert_allclose(found, 0.5 * np.convolve(x[:, 0], values)[1:12:2], rtol=1e-12)


def test_kernels_may_be_regional():
    x = np.random.default_rng(0).normal(size=(400, 3))
    tau = jnp.array([0.8, 1.08, 1.3])
    together = ConvolutionBOLD(500.0, kernel=GammaKernel(tau=tau), step=20.0)(x, 20.0)
    measured = SampledKernel(np.random.default_rng(1).normal(size=(30, 3)), 100.0)
    also = ConvolutionBOLD(500.0, kernel=measured, step=20.0)(x, 20.0)
    for i in range(3):
        alone = ConvolutionBOLD(500.0, kernel=GammaKernel(tau=tau[i]), step=20.0)
        np.testing.assert_allclose(together[:, i], alone(x[:, i], 20.0), rtol=1e-10)
        one = SampledKernel(measured.values[:, i], 100.0)
        alone = ConvolutionBOLD(500.0, kernel=one, step=20.0)(x[:, i], 20.0)
        np.testing.assert_allclose(also[:, i], alone, rtol=1e-10, atol=1e-14)


def test_small_responses_of_the_balloon_model_are_a_convolution():
    # The same input both ways: the kernel is the response to a short, weak pulse.
    balloon, dt, weak = BOLD(10.0), 10.0, 1e-4
    pulse = np.zeros(3000)
    pulse[0] = weak
    kernel = SampledKernel(np.asarray(balloon(pulse, dt)) / (weak * dt / 1000), dt)
    rng = np.random.default_rng(0)
    activity = np.repeat(rng.uniform(0, 1, 30), 100)
    errors = []
    for size in (1e-3, 1.0):
        nonlinear = np.asarray(BOLD(500.0)(size * activity, dt))
        linear = np.asarray(ConvolutionBOLD(500.0, kernel=kernel, step=10.0)(size * activity, dt))
        errors.append(np.abs(nonlinear - linear).max() / np.abs(linear).max())
    assert errors[0] < 5e-3 and errors[1] > 0.2


def test_convolution_of_a_run_is_that_of_the_saved_signal_also_in_parts():
    bold = ConvolutionBOLD(50.0, "S", kernel=VolterraKernel(duration=0.3))
    options = dict(dt=1.0, save={"S": "S", "bold": bold}, key=jax.random.key(0))
    options |= dict(noise=nmm.noise.White(S=0.01), shape=2)
    whole = nmm.simulate(nmm.ReducedWongWang(), 400.0, **options)
    np.testing.assert_allclose(whole["bold"], bold(whole["S"], 1.0), rtol=1e-12)
    first = nmm.simulate(nmm.ReducedWongWang(), 130.0, **options)
    second = nmm.simulate(nmm.ReducedWongWang(), 270.0, y0=first, **options)
    parts = np.concatenate([first["bold"], second["bold"]])
    np.testing.assert_array_equal(parts, whole["bold"])


@pytest.mark.parametrize("name", kernels)
def test_gradient_of_a_kernel_is_that_of_differences(name):
    like, unravel = jax.flatten_util.ravel_pytree(kernels[name](duration=4.0))
    x = jnp.sin(jnp.arange(60.0))

    def samples(relative):
        kernel = unravel(like * (1 + relative))
        return ConvolutionBOLD(500.0, kernel=kernel, step=100.0)(x, 100.0)

    @jax.jit
    def derivatives(z):
        steps = 1e-5 * jnp.eye(z.size)
        near = jax.vmap(samples)(jnp.concatenate([z + steps, z - steps]))
        return (near[: z.size] - near[z.size :]).T / 2e-5, jax.jacrev(samples)(z)

    differences, gradient = derivatives(jnp.zeros_like(like))
    scale = np.abs(differences).max(axis=0)
    assert np.all(scale > 1e-6)
    np.testing.assert_allclose(gradient / scale, differences / scale, atol=1e-6)


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: ConvolutionBOLD(720.0, kernel="gamma"), TypeError, "`kernel` should be a kernel"),
        (lambda: ConvolutionBOLD(720.0, step=0.0), ValueError, "`step` should be a positive"),
        (lambda: GammaKernel(duration=0.0), ValueError, "`duration` of `GammaKernel` should be"),
        (lambda: GammaKernel(tau=-1.0), ValueError, "`tau` of `GammaKernel` should be positive"),
        (lambda: GammaKernel(n=1.0), ValueError, "`n` of `GammaKernel` should be above 1"),
        (lambda: MixtureOfGammasKernel(lam=0.0), ValueError, "`lam` of .* should be positive"),
        (lambda: GammaKernel(tau=jnp.nan), ValueError, "`tau` of `GammaKernel` should be finite"),
        (lambda: SampledKernel([1.0], 4.0), ValueError, "`values` should be"),
        (lambda: SampledKernel([1.0, np.nan], 4.0), ValueError, "of the kernel should be finite"),
        (
            lambda: ConvolutionBOLD(720.0, kernel=SampledKernel(np.ones((9, 3)), 80.0))(
                np.ones((720, 2)), 1.0
            ),
            ValueError,
            r"`kernel` is for 3 regions; the signal has the shape \(2,\)",
        ),
        (
            lambda: nmm.simulate(
                nmm.Hopf(), 20.0, save={"b": ConvolutionBOLD(10.0)},
                stepsize_controller=diffrax.PIDController(1e-3, 1e-3),
            ),
            ValueError,
            "`ConvolutionBOLD` should be used with a fixed step",
        ),
    ],
)  # fmt: skip
def test_wrong_arguments_are_refused_by_name(make, error, message):
    with pytest.raises(error, match=message):
        make()
