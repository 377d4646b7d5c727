"""What users copy runs as it stands: the code of the README, and the examples at a small size."""

import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]


def run_code(page: pathlib.Path) -> int:
    """Runs the Python code of a page in order, in one namespace."""
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    names = {"__name__": page.stem}
    for block in blocks:
        exec(compile(block, page.name, "exec"), names)
    return len(blocks)


def test_code_of_the_readme_runs(capsys):
    assert run_code(ROOT / "README.md") == 2
    printed = capsys.readouterr().out
    assert "coupling.G" in printed
    assert "time constant" in printed


GUIDES = sorted(page.stem for page in (ROOT / "docs").glob("*.md"))
LONG_GUIDES = {"effective_connectivity"}


@pytest.mark.parametrize(
    "page",
    [pytest.param(p, marks=pytest.mark.thorough) if p in LONG_GUIDES else p for p in GUIDES],
)
def test_code_of_a_guide_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_code(ROOT / "docs" / f"{page}.md")


EXAMPLES = {
    "fit_bold_fc.py": "regional fit",
    "conduction_speed.py": "spread",
    "resting_eeg.py": "alpha peak",
    "visual_evoked_potential.py": "visual-evoked potential",
    "block_design_bold.py": "block response",
    "delays_and_synchrony.py": "metastability",
}
LONGER = {
    "closed_form_fit.py": "fit, simulated",
    "closed_form_freedoms.py": "shared + edges",
    "eeg_spectrum_fit.py": "Alpha peak after",
    "effective_connectivity.py": "existing | gradient",
    "hopf_recovery.py": "Relative error of G",
    "jansen_rit_spectrum.py": "On new noise",
    "map_fit.py": "myelin, spun | simulated",
    "multi_start.py": "One start reaches",
    "reliability.py": "seed to seed",
    "recovery.py": "noise.sigma.Ev",
    "sweep_map.py": "Highest concordance",
    "sweep_on_two_processes.py": "largest difference",
}
DRAWN = {
    "fit_bold_fc.py",
    "visual_evoked_potential.py",
    "block_design_bold.py",
    "delays_and_synchrony.py",
    "resting_eeg.py",
    "closed_form_fit.py",
    "effective_connectivity.py",
    "jansen_rit_spectrum.py",
    "map_fit.py",
    "multi_start.py",
    "sweep_map.py",
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "example", [*EXAMPLES, *(pytest.param(name, marks=pytest.mark.thorough) for name in LONGER)]
)
def test_example_runs(example, tmp_path):
    command = [sys.executable, ROOT / "examples" / example, "--quick"]
    if example in DRAWN:
        command += ["--figure", tmp_path / "figure.png"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    assert (EXAMPLES | LONGER)[example] in run.stdout
    assert bool(list(tmp_path.glob("*.png"))) == (example in DRAWN)


def test_every_example_is_run_by_a_test():
    elsewhere = {"jansen_rit_scenarios.py", "horn_task.py"}
    found = {path.name for path in (ROOT / "examples").glob("*.py")}
    assert found == elsewhere | set(EXAMPLES) | set(LONGER)


def test_readme_has_one_command_for_each_job():
    commands = re.findall(r"^python3 -m venv .*$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert ["fit_bold_fc" in c for c in commands] == [True, False]
    assert ["pytest" in c for c in commands] == [False, True]
