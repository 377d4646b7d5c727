"""EEG, MEG and intracranial recordings: observers on runs and on saved signals."""

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

import nmm
from nmm.observe import (
    EEG,
    MEG,
    SEEG,
    BandPower,
    LeadField,
    OnlineSpectrum,
    SensorNoise,
    TemporalAverage,
)

rng = np.random.default_rng(0)


def network():
    conn = nmm.Connectome(jnp.ones((3, 3)) - jnp.eye(3), centres=50 * jnp.eye(3))
    return nmm.Network(nmm.JansenRit(), conn, nmm.coupling.Linear(G=0.1))


def test_references_are_those_asked_for():
    gain, x = rng.normal(size=(4, 3)), rng.normal(size=(10, 3))
    field = LeadField(gain, sensors=["a", "b", "c", "d"])
    raw = EEG(field, reference=None)(x, 1.0)
    np.testing.assert_allclose(raw, x @ gain.T, rtol=1e-12)
    average = EEG(field)(x, 1.0)
    np.testing.assert_allclose(average, raw - raw.mean(axis=1, keepdims=True))
    np.testing.assert_allclose(EEG(field, reference="c")(x, 1.0), raw - raw[:, [2]])
    np.testing.assert_allclose(np.sum(average, axis=1), 0, atol=1e-12)


def test_free_orientations_take_three_moments_a_region():
    gain = rng.normal(size=(4, 3, 3))
    moments, directions = rng.normal(size=(10, 3, 3)), rng.normal(size=(3, 3))
    seen = SEEG(LeadField(gain))(moments, 1.0)
    np.testing.assert_allclose(seen, np.einsum("tcs,msc->tm", moments, gain), rtol=1e-12)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    x = rng.normal(size=(10, 3))
    fixed = SEEG(LeadField(gain).fix(directions))(x, 1.0)
    free = SEEG(LeadField(gain))(x[:, None] * directions.T, 1.0)
    np.testing.assert_allclose(fixed, free, rtol=1e-12)


@pytest.mark.parametrize("rank", [2, 1])
def test_noise_of_the_sensors_has_the_covariance_asked_for(rank):
    factor = np.array([[1.0, 0, 0], [0.5, 2, 0], [-0.3, 0.4, 0.5]])[:, : rank + 1]
    covariance = factor @ factor.T
    eeg = EEG(np.zeros((3, 2)), reference=None, noise=SensorNoise(covariance, jax.random.key(0)))
    samples = np.asarray(eeg(np.zeros((20_000, 2)), 1.0))
    found = samples.T @ samples / len(samples)
    variances = np.diagonal(covariance)
    error = np.sqrt((np.outer(variances, variances) + covariance**2) / len(samples))
    assert np.all(np.abs(found - covariance) <= 4.5 * error)
    np.testing.assert_allclose(np.mean(samples[1:] * samples[:-1]), 0, atol=0.05)


def test_recordings_of_a_run_are_those_of_the_saved_signal():
    noise = SensorNoise(jnp.asarray([0.1, 0.2, 0.3, 0.4]), jax.random.key(3))
    eeg = EEG(rng.normal(size=(4, 3)), 2.0, moment=[1.0, 2.0, 3.0], noise=noise)
    power, spectrum = BandPower(eeg, (8.0, 12.0), 50.0), OnlineSpectrum(eeg, 80.0)
    save = {"x": "eeg", "eeg": eeg, "power": power, "psd": spectrum}
    options = dict(dt=1.0, save=save, key=jax.random.key(0), noise=nmm.noise.White(Ev=0.1))
    whole = nmm.simulate(network(), 400.0, **options)
    for name, observer in (("eeg", eeg), ("power", power), ("psd", spectrum)):
        np.testing.assert_allclose(whole[name], observer(whole["x"], 1.0), rtol=1e-9)
    first = nmm.simulate(network(), 170.0, **options)
    second = nmm.simulate(network(), 230.0, y0=first, **options)
    for name in ("eeg", "power"):
        parts = np.concatenate([first[name], second[name]])
        np.testing.assert_allclose(parts, whole[name], rtol=1e-13)
    np.testing.assert_allclose(second["psd"], whole["psd"], rtol=1e-12)
    assert dict(whole.units) == {"x": "mV", "eeg": "µV", "power": "µV²", "psd": "µV²/Hz"}


def test_band_power_passes_half_at_the_edges():
    t = np.arange(4000) / 1000
    found = [
        BandPower(TemporalAverage(1.0), (8.0, 12.5), 2000.0)(np.sin(2 * np.pi * f * t), 1.0)[-1]
        for f in (8.0, 10.0, 12.5, 40.0)
    ]
    np.testing.assert_allclose(found, [0.25, 0.5, 0.25, 0.0], atol=2e-3)


def test_gradient_of_an_eeg_spectrum_is_that_of_differences():
    eeg = EEG(jnp.asarray(np.random.default_rng(1).normal(size=(4, 3))), 2.0)

    def loss(Ae):
        node = nmm.JansenRit(Ae=Ae)
        net = nmm.Network(node, network().connectome, nmm.coupling.Linear(G=0.1))
        sol = nmm.simulate(
            net, 600.0, 1.0, save={"eeg": eeg}, transient=100.0, throw=False,
            key=jax.random.key(0), noise=nmm.noise.White(Ev=0.1),
        )  # fmt: skip
        frequencies, power = nmm.analysis.power_spectrum(sol["eeg"], 2.0, segment=250.0)
        return jnp.sum(jnp.log(power[1:30]) * frequencies[1:30, None]) / 1000

    @jax.jit
    def derivatives(x):
        h = 1e-5
        near = jax.vmap(loss)(jnp.stack([x - h, x + h]))
        return jax.grad(loss)(x), (near[1] - near[0]) / (2 * h)

    gradient, difference = derivatives(jnp.asarray(3.25))
    assert abs(difference) > 1e-3
    np.testing.assert_allclose(gradient, difference, rtol=1e-5, atol=1e-7)


def test_samples_become_objects_of_mne():
    pytest.importorskip("mne")
    centre = np.array([3.0, -20.0, 40.0])
    centres = centre + 50 * np.concatenate([np.eye(3), -np.eye(3)])
    eeg, meg = EEG.spherical(centres, 4.0), MEG.spherical(centres, sensors=np.int64(20))
    samples = rng.normal(size=(50, 21))
    raw = eeg.to_mne(samples)
    assert raw.info["sfreq"] == 250 and raw.ch_names[:2] == ["Fp1", "Fpz"]
    np.testing.assert_allclose(raw.get_data(), 1e-6 * samples.T)
    # The head has its middle at the origin, and Cz above it.
    place = raw.get_montage().get_positions()
    assert place["coord_frame"] == "head"
    np.testing.assert_allclose(place["ch_pos"]["Cz"], [0, 0, 0.0625], atol=1e-7)
    assert raw.info["custom_ref_applied"] == 1
    unreferred = EEG(eeg.lead_field, reference=None).to_mne(samples)
    assert unreferred.info["custom_ref_applied"] == 0
    epochs = eeg.to_mne(samples.reshape(5, 10, 21), start=-8.0)
    assert epochs.tmin == -0.008 and epochs.get_data().shape == (5, 21, 10)
    assert epochs.get_montage().ch_names == raw.ch_names
    field = meg.to_mne(samples[:, :20])
    np.testing.assert_allclose(field.get_data(), 1e-15 * samples[:, :20].T)
    away = [np.linalg.norm(channel["loc"][:3]) for channel in field.info["chs"]]
    np.testing.assert_allclose(away, 0.0825, rtol=1e-6)
    with pytest.raises(ValueError, match=r"`samples` should be \(time, 21\)"):
        eeg.to_mne(samples[:, :20])


def make_eeg(**options):
    return lambda: EEG(np.ones((4, 3)), **options)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: EEG(LeadField(np.ones((2, 3)), "T/(A m)")), "should be in µV per nA m"),
        (make_eeg(reference="Cz"), '`reference` should be None, "average" or one of'),
        (make_eeg(moment=[1.0, 2.0]), r"`moment` of `EEG` should be one number, or 3, one a sour"),
        (lambda: MEG(np.ones((2, 3)), reference="average"), "`reference` of `MEG` should be None"),
        (make_eeg(period=0.0), "`period` of `EEG` should be a positive number"),
        (lambda: EEG(np.ones((4, 3)))(np.ones((10, 5)), 1.0), r"shape \(3,\), for the 3 sources"),
        (lambda: EEG(np.ones((4, 3)), 0.5)(np.ones((10, 3)), 1.0), "multiple of `dt`"),
        (lambda: SensorNoise(-1.0, jax.random.key(0)), "no negative eigenvalue"),
        (lambda: SensorNoise([[1.0, 2], [0, 1]], jax.random.key(0)), "symmetric"),
        (lambda: SensorNoise([[1.0, 2], [2, 1]], jax.random.key(0)), "no negative eigenvalue"),
        (
            lambda: make_eeg(noise=SensorNoise([1.0, 1], jax.random.key(0)))()(np.ones((9, 3)), 1),
            "for 2 sensors, there are 4",
        ),
        (lambda: BandPower(TemporalAverage(1.0), (8.0, 600.0), 9.0), "< 500 Hz, half of"),
        (lambda: BandPower(TemporalAverage(2.0), (8.0, 9.0), 9.0), "multiple of that of `of`"),
        (
            lambda: BandPower(TemporalAverage(1.0), (8.0, 12.0), 10.0)(np.ones(100), 0.4),
            "`of` of `BandPower` should be a multiple of `dt`, got 1.0 ms; with this `dt` .* 0.4",
        ),
    ],
)
def test_wrong_arguments_are_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_noise_without_a_key_is_refused(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(TypeError, match=r"`key` of `SensorNoise` should be a key.*; got 0"):
        SensorNoise(1.0, 0)
