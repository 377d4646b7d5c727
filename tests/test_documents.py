"""What users copy runs as it stands: the code of the README, and the examples at a small size."""

import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]


def test_code_of_the_readme_runs(capsys):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 2
    names = {"__name__": "readme"}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "coupling.G" in printed
    assert "time constant" in printed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("example", "options", "said"),
    [
        ("fit_bold_fc.py", ["--quick", "--figure", "{}/fit.png"], "regional fit"),
        ("jansen_rit_scenarios.py", ["--quick", "--figures", "{}"], "alpha"),
        ("horn_task.py", ["--quick"], "accuracy"),
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
