"""Fits and sweeps that are killed at any moment go on as if nothing had happened."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import fitting
from fitting._checkpoint import Folder

ROOT = Path(__file__).parents[1]
KEY = jr.key(0)
MODEL = {"a": jnp.ones(3), "b": jnp.asarray(0.5)}
VALUES = np.linspace(0.0, 1.0, 20)

# Each step takes some time, so that a kill finds it anywhere.
WORK = """
import sys
import jax
jax.config.update("jax_enable_x64", True)
sys.path.insert(0, "tests")
import test_kill
test_kill.{what}(sys.argv[1], pause=0.01)
"""


def loss(model, key):
    return jnp.sum((model["a"] - model["b"] + 0.1 * jr.normal(key, (3,))) ** 2)


def fit(folder=None, steps=60, pause=0.0, **options):
    def wait(step, values):
        time.sleep(pause)

    return fitting.fit(
        loss, MODEL, ["a", "b"], key=KEY, steps=steps, checkpoint=folder, every=1,
        progress=False, callback=wait, **options,
    )  # fmt: skip


def sweep(folder=None, pause=0.0):
    def cell(model, key):
        wait = jax.pure_callback(lambda: (time.sleep(pause), np.zeros(()))[1], np.zeros(()))
        return {"loss": loss(model, key) + wait, "a": jnp.cumsum(model["a"] * model["b"])}

    return fitting.sweep(
        cell, MODEL, {"b": VALUES}, key=KEY, chunk=1, checkpoint=folder, progress=False
    )


def kill_at_random(what, folder, rng):
    """Runs the work in a process of its own, and kills it somewhere on the way."""
    command = [sys.executable, "-c", WORK.format(what=what), str(folder)]
    with subprocess.Popen(command, cwd=ROOT) as process:
        deadline = time.monotonic() + 120
        while not any(Path(folder).glob("*.npz")) and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)


@pytest.mark.thorough
@pytest.mark.parametrize("what", ("fit", "sweep"))
def test_work_that_is_killed_ends_with_the_same_numbers(what, tmp_path):
    rng = np.random.default_rng(int(os.environ.get("KILL_SEED", "0")))
    whole = {"fit": fit, "sweep": sweep}[what]()
    for _ in range(int(os.environ.get("KILLS", "2"))):
        kill_at_random(what, tmp_path, rng)
    assert len(list(tmp_path.glob("*.npz"))) >= 1
    resumed = {"fit": fit, "sweep": sweep}[what](tmp_path)
    found, expected = (
        (resumed.history, whole.history) if what == "fit" else (resumed.values, whole.values)
    )
    assert found.keys() == expected.keys()
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name])
    if what == "fit":
        np.testing.assert_array_equal(resumed.model["a"], whole.model["a"])


def test_a_file_that_is_half_written_is_left_aside(tmp_path):
    whole = fit(steps=9)
    fit(tmp_path, steps=6)
    last = sorted(tmp_path.glob("step-*.npz"))[-1]
    content = last.read_bytes()
    for damaged in (content[: len(content) // 2], b"", content[:-400] + b"0" * 400):
        last.write_bytes(damaged)
        (tmp_path / ".step-00000007.npz.1").write_bytes(content[:100])
        with pytest.warns(UserWarning, match="is left aside, since it is damaged"):
            resumed = fit(tmp_path, steps=6)
        np.testing.assert_array_equal(resumed.history["a"], whole.history["a"][:6])
    np.testing.assert_array_equal(fit(tmp_path, steps=9).model["a"], whole.model["a"])


def test_a_sweep_computes_what_is_missing_or_damaged(tmp_path):
    whole = sweep(tmp_path)
    files = sorted(tmp_path.glob("*.npz"))
    assert len(files) == len(VALUES)
    files[3].unlink()
    files[7].write_bytes(files[7].read_bytes()[:200])
    with pytest.warns(UserWarning, match="is left aside"):
        again = sweep(tmp_path)
    np.testing.assert_array_equal(again.values["loss"], whole.values["loss"])
    assert np.all(again.done)


def test_an_interrupted_fit_goes_on(tmp_path):
    def interrupt(step, values):
        if step == 3:
            raise KeyboardInterrupt

    options = {"key": KEY, "checkpoint": tmp_path, "progress": False}
    first = fitting.fit(loss, MODEL, ["a"], steps=8, callback=interrupt, **options)
    assert first.outcome == "interrupted" and len(first.history["loss"]) == 4
    second = fitting.fit(loss, MODEL, ["a"], steps=8, **options)
    whole = fitting.fit(loss, MODEL, ["a"], steps=8, key=KEY, progress=False)
    np.testing.assert_array_equal(second.history["a"], whole.history["a"])


def test_an_interrupted_sweep_returns_what_was_reached(tmp_path, monkeypatch):
    write = Folder.write

    def interrupt(folder, name, arrays):
        write(folder, name, arrays)
        if name == "cells-000000004":
            raise KeyboardInterrupt

    monkeypatch.setattr(Folder, "write", interrupt)
    with pytest.warns(UserWarning, match="interrupted: 5 of 20 cells are done"):
        part = sweep(tmp_path)
    assert part.done.tolist() == [True] * 5 + [False] * 15
    assert np.all(np.isnan(part.values["loss"]) == ~part.done) and not np.any(part.failed)
    monkeypatch.undo()
    np.testing.assert_array_equal(sweep(tmp_path).values["loss"], sweep().values["loss"])


def test_a_folder_of_other_work_is_refused(tmp_path):
    fit(tmp_path, steps=3)
    with pytest.raises(ValueError, match="`checkpoint` holds 3 steps, more than `steps`=2"):
        fit(tmp_path, steps=2)
    with pytest.raises(ValueError, match=f"but in {tmp_path} `seeds` is 1, not 2"):
        fit(tmp_path, seeds=2)
    with pytest.raises(ValueError, match="the key is 0-0, not 0-1"):
        fitting.fit(
            loss, MODEL, ["a", "b"], key=jr.key(1), steps=3, checkpoint=tmp_path, progress=False
        )


def test_files_hold_keys_and_what_optimisers_keep(tmp_path):
    from fitting._checkpoint import from_arrays, to_arrays

    tree = {"key": jr.key(3), "count": jnp.asarray(2), "moments": (jnp.ones(2, jnp.float32),)}
    folder = Folder(tmp_path, {"a": "b"})
    folder.write("x", to_arrays(tree, "tree"))
    back = from_arrays(tree, folder.read("x"), "tree")
    assert jax.tree.structure(back) == jax.tree.structure(tree)
    assert jax.tree.map(lambda x: x.dtype, back) == jax.tree.map(lambda x: x.dtype, tree)
    np.testing.assert_array_equal(jr.normal(back["key"]), jr.normal(tree["key"]))
