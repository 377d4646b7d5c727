"""How well data agree with themselves: against what is known of noisy copies of one signal."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import fitting
import nmm
from fitting.objectives import correlation

rng = np.random.default_rng(0)
agree = jax.jit(correlation)


def test_noise_ceiling_of_noisy_copies():
    # Each subject is the group plus as much noise: r with the group is 1 / sqrt(2).
    rows = rng.normal(size=4000) + rng.normal(size=(20, 4000))
    lower, upper = fitting.noise_ceiling(rows, agree)
    np.testing.assert_allclose(lower, 1 / np.sqrt(2 * (1 + 1 / 19)), atol=0.01)
    assert lower < 1 / np.sqrt(2) < upper
    with pytest.raises(ValueError, match="at least 3 subjects"):
        fitting.noise_ceiling(rows[:2], agree)


def test_split_half_foretells_whole_recordings():
    r, whole = fitting.split_half(rng.normal(size=(8, 50)), agree, feature=lambda s: s.mean(axis=0))
    np.testing.assert_allclose(whole, 2 * r / (1 + r))
    same, _ = fitting.split_half(np.tile(rng.normal(size=(20, 4)), (2, 1)), agree)
    np.testing.assert_allclose(same, 1)


def test_runs_agree_more_the_longer_they_are():
    mixing = jnp.asarray(rng.normal(size=(6, 6)))

    def record(model, key):
        return jr.normal(key, (2000, 6)) @ mixing

    found = fitting.seed_to_seed(record, None, jr.key(0), agree, lengths=(10, 2000), seeds=3)
    assert found[10] < 0.9 < 0.99 < found[2000]
    with pytest.raises(ValueError, match="`lengths` should be 2 to 2000 samples, got 3000"):
        fitting.seed_to_seed(record, None, jr.key(0), agree, lengths=(3000,), seeds=2)


def test_region_effects_are_found_exactly_and_leave_nothing_of_their_kind():
    effects = np.array([0.1, 0.3, -0.05, 0.2])
    fc = effects[:, None] + effects
    np.fill_diagonal(fc, 1)
    np.testing.assert_allclose(fitting.region_effects(fc), fc, atol=1e-12)
    other = np.asarray(nmm.datasets.load_functional("dk84").fc, float)
    left = other - fitting.region_effects(other)
    np.testing.assert_allclose(left.sum(axis=0), 0, atol=1e-9)
    with pytest.raises(ValueError, match=r"`fc` should be \(regions, regions\), at least 3"):
        fitting.region_effects(other[:, :3])
