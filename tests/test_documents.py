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


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.stem)
def test_code_of_a_guide_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_code(page)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("example", "options", "said"),
    [
        ("fit_bold_fc.py", ["--quick", "--figure", "{}/fit.png"], "regional fit"),
        ("conduction_speed.py", ["--quick"], "spread"),
        ("resting_eeg.py", ["--quick"], "alpha peak"),
        ("visual_evoked_potential.py", ["--quick"], "visual-evoked potential"),
        ("block_design_bold.py", ["--quick", "--figure", "{}/bold.png"], "block response"),
        ("delays_and_synchrony.py", ["--quick", "--figure", "{}/map.png"], "metastability"),
    ],
)
def test_example_runs(example, options, said, tmp_path):
    command = [sys.executable, ROOT / "examples" / example, *(o.format(tmp_path) for o in options)]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    assert said in run.stdout
    if options != ["--quick"]:
        assert list(tmp_path.glob("*.png"))


def test_readme_has_one_command_for_each_job():
    commands = re.findall(r"^python3 -m venv .*$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert ["fit_bold_fc" in c for c in commands] == [True, False]
    assert ["pytest" in c for c in commands] == [False, True]
