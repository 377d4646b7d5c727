"""Fits and sweeps that are killed at any moment go on as if nothing had happened."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import optimistix
import pytest

import fitting
import nmm
from fitting._checkpoint import Folder, from_arrays, to_arrays
from fitting._optimizers import name_of_optimizer
from fitting._provenance import gather
from fitting._references import fingerprint

ROOT = Path(__file__).parents[1]
KEY = jr.key(0)
MODEL = {"a": jnp.ones(3), "b": jnp.asarray(0.5)}

# Each step takes some time there, so that a kill finds it anywhere; it is no part of the work.
WORK = """
import os
import sys
import jax
jax.config.update("jax_enable_x64", True)
sys.path.insert(0, "tests")
import test_kill
os.environ["PAUSE"] = "0.01"
test_kill.{what}(sys.argv[1], int(sys.argv[2]))
"""


def pause():
    time.sleep(float(os.environ.get("PAUSE", "0")))


def loss(model, key):
    return jnp.sum((model["a"] - model["b"] + 0.1 * jr.normal(key, (3,))) ** 2)


def fit(folder=None, count=60, **options):
    return fitting.fit(
        loss, MODEL, ["a", "b"], key=KEY, steps=count, checkpoint=folder, every=1,
        progress=False, callback=lambda step, values: pause(), **options,
    )  # fmt: skip


def cell(model, key):
    wait = jax.pure_callback(lambda: (pause(), np.zeros(()))[1], np.zeros(()))
    return {"loss": loss(model, key) + wait, "a": jnp.cumsum(model["a"] * model["b"])}


def sweep(folder=None, count=20):
    over = {"b": np.linspace(0.0, 1.0, count)}
    return fitting.sweep(cell, MODEL, over, key=KEY, chunk=1, checkpoint=folder, progress=False)


def kill_at_random(what, folder, count, rng):
    """Runs the work in a process of its own, and kills it somewhere on the way.

    **Returns:**

    Whether it was killed before its end.
    """
    command = [sys.executable, "-c", WORK.format(what=what), str(folder), str(count)]
    before = set(Path(folder).glob("*.npz"))
    with subprocess.Popen(command, cwd=ROOT) as process:
        deadline = time.monotonic() + 120
        # Only what is written after the start says that the work goes on.
        while process.poll() is None and time.monotonic() < deadline:
            if set(Path(folder).glob("*.npz")) - before:
                time.sleep(rng.uniform(0, 0.1))
                break
            time.sleep(0.002)
        running = process.poll() is None
        process.send_signal(signal.SIGKILL)
    return running


@pytest.mark.thorough
@pytest.mark.parametrize("what", ("fit", "sweep"))
def test_work_that_is_killed_ends_with_the_same_numbers(what, tmp_path):
    rng = np.random.default_rng(int(os.environ.get("KILL_SEED", "0")))
    kills = int(os.environ.get("KILLS", "2"))
    work, count = {"fit": fit, "sweep": sweep}[what], 20 + 12 * kills
    whole = work(count=count)
    for n in range(kills):
        assert kill_at_random(what, tmp_path, count, rng), f"it had ended before kill {n}"
    resumed = work(tmp_path, count)
    found, expected = (
        (resumed.history, whole.history) if what == "fit" else (resumed.values, whole.values)
    )
    assert found.keys() == expected.keys()
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name])
    if what == "fit":
        np.testing.assert_array_equal(resumed.model["a"], whole.model["a"])


def test_a_file_that_is_half_written_is_left_aside(tmp_path):
    whole = fit(count=9)
    fit(tmp_path, count=6)
    last = sorted(tmp_path.glob("step-*.npz"))[-1]
    content = last.read_bytes()
    for damaged in (content[: len(content) // 2], b"", content[:-400] + b"0" * 400):
        last.write_bytes(damaged)
        (tmp_path / ".step-00000007.npz.1").write_bytes(content[:100])
        with pytest.warns(UserWarning, match="is left aside, since it is damaged"):
            resumed = fit(tmp_path, count=6)
        np.testing.assert_array_equal(resumed.history["a"], whole.history["a"][:6])
    np.testing.assert_array_equal(fit(tmp_path, count=9).model["a"], whole.model["a"])


def test_a_sweep_computes_what_is_missing_or_damaged(tmp_path):
    whole = sweep(tmp_path)
    files = sorted(tmp_path.glob("*.npz"))
    assert len(files) == 20
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
    fit(tmp_path, count=3)
    with pytest.raises(ValueError, match="`checkpoint` holds 3 steps, more than `steps`=2"):
        fit(tmp_path, count=2)
    with pytest.raises(ValueError, match=f"but in {tmp_path} `seeds` is 1, not 2"):
        fit(tmp_path, seeds=2)
    with pytest.raises(ValueError, match="the key is 0-0, not 0-1"):
        fitting.fit(
            loss, MODEL, ["a", "b"], key=jr.key(1), steps=3, checkpoint=tmp_path, progress=False
        )


def other_loss(model, key):
    return jnp.sum((model["a"] - model["b"] + 0.2 * jr.normal(key, (3,))) ** 2)


def scaled(scale):
    def loss(model, key):
        return scale * jnp.sum((model["a"] - model["b"]) ** 2)

    return loss


class Scaled(eqx.Module):
    scale: float = eqx.field(static=True)

    def __call__(self, model, key):
        return self.scale * jnp.sum((model["a"] - model["b"]) ** 2)


SHAPE = {"a": fitting.Masked([True, True, False])}
OTHERS = {
    "learning rate": ({"optimizer": optax.adam(0.01)}, {"optimizer": optax.adam(0.5)}),
    "decay": ({"optimizer": optax.adam(0.1)}, {"optimizer": optax.adamw(0.1)}),
    "method": ({"optimizer": optax.adam(0.1)}, {"optimizer": optax.sgd(0.1)}),
    "tolerance": (
        {"optimizer": optimistix.BFGS(1e-3, 1e-3)},
        {"optimizer": optimistix.BFGS(1e-3, 1e-6)},
    ),
    "code": ({"loss": loss}, {"loss": other_loss}),
    "closure": ({"loss": scaled(1.0)}, {"loss": scaled(2.0)}),
    "compiled": ({"loss": jax.jit(scaled(1.0))}, {"loss": jax.jit(scaled(2.0))}),
    "static field": ({"loss": Scaled(1.0)}, {"loss": Scaled(2.0)}),
    "mask": ({"free": SHAPE}, {"free": {"a": fitting.Masked([True, False, True])}}),
    "map": (
        {"free": {"a": fitting.Regression([0.0, 1.0, 2.0])}},
        {"free": {"a": fitting.Regression([0.0, 1.0, 3.0])}},
    ),
}


@pytest.mark.parametrize("what", OTHERS)
def test_work_that_differs_in_anything_is_other_work(what):
    def identity(loss=loss, free=("a",), optimizer=None):
        constraints = fitting.free_parameters(MODEL, free).constraints
        found = gather(loss, MODEL, KEY, {"optimizer": name_of_optimizer(optimizer)})
        return found.identity(free=constraints, optimizer=optimizer, loss=loss)

    one, other = OTHERS[what]
    assert identity(**one) == identity(**one) != identity(**other)


@pytest.mark.thorough
def test_an_identity_is_the_same_in_every_process():
    code = (
        "import sys; sys.path.insert(0, 'tests'); import test_kill; test_kill.print_fingerprint()"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(found) == 1 and len(found.pop().strip()) == 16


def print_fingerprint():
    values = [part for pair in OTHERS.values() for part in pair]
    print(fingerprint(values, MODEL, KEY, {"a", "b", "c"}, nmm.Hopf(), Folder))


def test_arrays_of_another_optimiser_are_named(tmp_path):
    like = {"x": jnp.ones(2), "y": jnp.ones(2)}
    with pytest.raises(ValueError, match="`checkpoint` should hold this very work, of 2 arrays"):
        from_arrays(like, to_arrays(like["x"], "carry"), "carry")


def test_files_that_were_never_ended_do_not_stay(tmp_path):
    old, new = tmp_path / ".step-00000001.npz.7", tmp_path / ".step-00000002.npz.8"
    for path in (old, new):
        path.write_bytes(b"")
    os.utime(old, (time.time() - 7200,) * 2)
    Folder(tmp_path, {})
    assert new.exists() and not old.exists()


def test_files_hold_keys_and_what_optimisers_keep(tmp_path):
    tree = {"key": jr.key(3), "count": jnp.asarray(2), "moments": (jnp.ones(2, jnp.float32),)}
    folder = Folder(tmp_path, {"a": "b"})
    folder.write("x", to_arrays(tree, "tree"))
    back = from_arrays(tree, folder.read("x"), "tree")
    assert jax.tree.structure(back) == jax.tree.structure(tree)
    assert jax.tree.map(lambda x: x.dtype, back) == jax.tree.map(lambda x: x.dtype, tree)
    np.testing.assert_array_equal(jr.normal(back["key"]), jr.normal(tree["key"]))
