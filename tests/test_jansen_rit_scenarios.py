"""Jansen–Rit scenarios: what the example measures is what is known of them."""

import dataclasses
import functools
import math
import pathlib
import sys

import jax.random as jr
import numpy as np
import pytest
from helpers import eigenvalues, fixed_point, period_of

import nmm

sys.path.append(str(pathlib.Path(__file__).parents[1] / "examples"))
import jansen_rit_scenarios as example

DRAWS = 48
scenarios = example.scenarios()


@functools.cache
def measured(number, p=None, noise=None):
    """Statistics of a scenario, possibly at another input; all are one compiled program."""
    scenario = scenarios[number]
    changes = {} if noise is None else {"noise": noise}
    if p is not None:
        changes["model"] = nmm.JansenRit(p=p * nmm.units.Hz)
    scenario = dataclasses.replace(scenario, **changes)
    return example.measure(example.run(scenario, jr.key(1), DRAWS))


# Mean over draws of mean, standard deviation, least and largest EEG in mV, dominant frequency in
# Hz and share of alpha; and the standard deviation between draws.
ensembles = {
    ("1",): ((3.54, 0.33), (6.33, 0.20), (-15.5, 1.9), (23.6, 1.8), (3.99, 1.10), (0.12, 0.03)),
    ("3",): ((1.67, 0.14), (6.99, 0.17), (-13.4, 1.1), (21.0, 1.0), (4.07, 0.21), (0.08, 0.02)),
    ("4",): ((3.95, 0.32), (5.38, 0.19), (-11.2, 1.1), (20.3, 1.5), (3.10, 0.86), (0.07, 0.02)),
    ("5",): ((5.58, 0.65), (13.88, 0.46), (-39.2, 5.0), (51.4, 4.8), (5.21, 1.74), (0.19, 0.04)),
    # As if the noise were 30 and 80 Hz in each step of 0.5 ms, without a root of time.
    ("1", None, 30 * math.sqrt(0.5e-3)): (
        (3.79, 0.1),
        (2.48, 0.1),
        (0.57, 0.3),
        (11.36, 0.3),
        (2.41, 0.15),
        (0.09, 0.02),
    ),
    ("5", None, 80 * math.sqrt(0.5e-3)): (
        (7.58, 0.02),
        (1.19, 0.1),
        (4.74, 0.3),
        (10.57, 0.3),
        (10.78, 0.14),
        (0.96, 0.02),
    ),
    ("1b", 220, 1.0): (
        (7.57, 0.02),
        (1.09, 0.05),
        (5.28, 0.2),
        (9.94, 0.2),
        (10.9, 0.12),
        (0.98, 0.01),
    ),
    ("1b",): ((7.58, 0.02), (1.25, 0.08), (4.63, 0.3), (10.73, 0.3), (10.73, 0.13), (0.95, 0.02)),
    ("1b", 220, 5.0): (
        (7.59, 0.05),
        (1.89, 0.2),
        (2.74, 0.5),
        (13.18, 0.5),
        (10.13, 0.26),
        (0.83, 0.05),
    ),
    ("1b", 220, 10.0): (
        (7.24, 0.2),
        (3.11, 0.2),
        (-1.73, 1.0),
        (16.70, 1.0),
        (7.97, 1.42),
        (0.38, 0.1),
    ),
    ("4", None, 20 * math.sqrt(0.5e-3)): (
        (6.61, 0.7),
        (1.51, 0.5),
        (1.91, 0.7),
        (11.65, 0.5),
        (5.04, 3.77),
        (0.41, 0.3),
    ),
    ("1b", 220, 3.0): (
        (7.58, 0.03),
        (1.42, 0.1),
        (4.1, 0.5),
        (11.5, 0.5),
        (10.5, 0.2),
        (0.92, 0.03),
    ),
}


@pytest.mark.parametrize("case", ensembles)
def test_noisy_scenario_has_the_known_statistics(case):
    for values, (mean, spread) in zip(measured(*case), ensembles[case], strict=True):
        # Either ensemble is a sample: their means differ by what is left of the spread.
        error = 4 * spread * np.sqrt(1 / DRAWS + 1 / 32)
        assert abs(values.mean() - mean) < error + 0.006


@pytest.mark.parametrize(
    "case, known",
    (
        (("2",), (0.849, 1.075, -0.694, 2.349, 10.0, 1.0)),
        (("1", None, 0.0), (3.64, 2.47, 1.23, 11.17, 2.50, 0.08)),
        (("1b", None, 0.0), (7.57, 1.05, 5.91, 9.26, 11.0, 1.0)),
    ),
)
def test_scenario_without_noise_has_the_known_values(case, known):
    found = [values[0] for values in measured(*case)]
    assert np.allclose(found, known, atol=0.006)


# The same in the scheme of brainmass, whose input is constant during a step.
exponential = {
    "1": ((3.45, 0.34), (6.42, 0.22), (-15.9, 2.0), (24.0, 1.9), (4.11, 1.02), (0.12, 0.03)),
    "3": ((1.47, 0.13), (7.28, 0.16), (-14.3, 1.0), (21.5, 1.0), (4.06, 0.17), (0.09, 0.02)),
    "4": ((3.82, 0.29), (5.46, 0.20), (-11.5, 1.3), (20.5, 1.3), (3.29, 0.73), (0.07, 0.02)),
    "5": ((5.50, 0.65), (14.08, 0.47), (-39.9, 5.0), (52.1, 4.9), (5.28, 1.64), (0.19, 0.04)),
}


@pytest.mark.parametrize("number", exponential)
def test_noisy_scenario_by_exponential_euler_has_the_known_statistics(number):
    scenario = scenarios[number]
    # Hz sqrt(s) in steps of half a millisecond, per ms.
    each = 1e-3 * scenario.noise / math.sqrt(0.5e-3)
    rows = each * jr.normal(jr.key(3), (20_000, DRAWS))
    options = {"solver": nmm.ExponentialEuler(), "shape": DRAWS, "save": ["eeg"]}
    found = example.measure(nmm.simulate(scenario.model, 10_000.0, 0.5, inputs=rows, **options))
    for values, (mean, spread) in zip(found, exponential[number], strict=True):
        error = 4 * spread * np.sqrt(1 / DRAWS + 1 / 64)
        assert abs(values.mean() - mean) < error + 0.006


def test_sinusoidal_drive_by_exponential_euler_has_the_known_values():
    scenario = scenarios["2"]
    options = {"solver": nmm.ExponentialEuler(), "shape": 1, "save": ["eeg"]}
    sol = nmm.simulate(scenario.model, 5000.0, 0.5, inputs=scenario.drive, **options)
    found = [values[0] for values in example.measure(sol)]
    assert np.allclose(found, (0.853, 1.087, -0.707, 2.369, 10.0, 1.0), atol=0.006)


def test_sinusoidal_drive_swings_about_a_rest_and_no_cycle():
    model = scenarios["2"].model
    state = fixed_point(model, model.initial_state())
    assert abs(model.eeg(state) - 0.7716) < 5e-5 and np.all(eigenvalues(model, state).real < 0)


def test_only_the_second_alpha_scenario_is_alpha():
    assert np.all(measured("1b").alpha > 0.85)
    assert all(np.all(measured(number).alpha < 0.4) for number in ("1", "3", "4", "5"))


@pytest.mark.parametrize(
    "preset, period, known",
    (
        ("spike_wave", 263.0, (1.72, 6.57, -7.79, 16.30)),
        # Mean and deviation are those of whole cycles; of 10 s they depend on where one cuts.
        ("reduced_inhibition", 583.0, (3.600, 2.609, 1.15, 12.32)),
    ),
)
def test_preset_cycles_without_noise_as_known(preset, period, known):
    model = nmm.JansenRit.preset(preset)
    sol = nmm.simulate(model, 10_000.0, 0.125, save=["eeg"], transient=2000.0)
    found = period_of(np.asarray(sol.ts), sol["eeg"])
    assert abs(found - period) < 0.06
    eeg = sol["eeg"][-round(10 * found / 0.125) :]  # whole periods
    assert np.allclose([eeg.mean(), eeg.std(), eeg.min(), eeg.max()], known, atol=0.006)


def test_presets_lie_within_the_plausible_ranges():
    from nmm._declare import declared_parameters

    for preset in nmm.JansenRit.presets:
        for path, d, value in declared_parameters(nmm.JansenRit.preset(preset)):
            assert d.bounds[0] <= value <= d.bounds[1], (preset, path)


def test_the_papers_uniform_input_gives_alpha():
    # 120 to 320 pulses a second, drawn again in each step.
    rows = jr.uniform(jr.key(2), (20_000, DRAWS), minval=-0.1, maxval=0.1)
    options = {"inputs": rows, "shape": DRAWS, "save": ["eeg"]}
    found = example.measure(nmm.simulate(nmm.JansenRit(), 10_000.0, 0.5, **options))
    known = ((7.57, 0.01), (1.11, 0.02), (5.06, 0.1), (10.19, 0.1), (10.84, 0.05), (0.97, 0.01))
    for values, (mean, tolerance) in zip(found, known, strict=True):
        assert abs(values.mean() - mean) < tolerance


def test_a_chirp_draws_the_resonance_curve_of_the_linearised_column():
    scenario = scenarios["6"]
    sol = example.run(scenario, jr.key(0), 1)
    frequency, gain = example.resonance(scenario, sol)
    exact = example.linear_response(scenario.model, frequency)
    assert abs(frequency[np.argmax(gain)] - frequency[np.argmax(exact)]) < 0.15
    assert abs(frequency[np.argmax(exact)] - 10.92) < 0.02
    # At the resonance the response lags behind the sweep; elsewhere it keeps up with it.
    assert 0.9 < np.max(gain) / np.max(exact) < 1.0
    away = np.abs(frequency - 11) > 1.2
    assert np.allclose(gain[away], exact[away], rtol=0.02)


def test_example_prints_its_table_and_draws_a_figure_of_each(tmp_path, capsys):
    example.main(["--quick", "--figures", str(tmp_path)])
    printed = capsys.readouterr().out
    for number, scenario in scenarios.items():
        assert scenario.title in printed
        assert (tmp_path / f"jansen_rit_{number}.png").stat().st_size > 20_000
    assert "Resonance at 11.0" in printed
