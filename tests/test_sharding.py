"""Sweeps and fits on several devices and processes give the numbers of one device."""

import os
import pathlib
import socket
import subprocess
import sys
import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import fitting
import nmm

ROOT = pathlib.Path(__file__).parents[1]

WORKER = """
import sys
sys.path.insert(0, "tests")
import jax
jax.config.update("jax_enable_x64", True)
rank, count, port = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
if count > 1:
    jax.distributed.initialize(f"127.0.0.1:{port}", num_processes=count, process_id=rank)
import test_sharding
test_sharding.work(sys.argv[4], rank, sys.argv[5] or None)
if count > 1:
    jax.distributed.shutdown()
"""


def network():
    weights = jnp.array([[0.0, 1.0], [0.7, 0.0]])
    noise = nmm.noise.White(x=0.02, y=0.02)
    return nmm.Network(nmm.Hopf(a=-0.02), weights, nmm.coupling.Diffusive(G=0.1), noise=noise)


def power(net, key):
    return jnp.mean(nmm.simulate(net, 24.0, 1.0, key=key, save=["x"], throw=False)["x"] ** 2)


def value_and_gradient(net, key):
    """With its gradient, and not finite where the coupling is 0.3."""

    def of(G):
        from fitting._paths import replace

        return power(replace(net, {"coupling.G": G}), key)

    value, gradient = jax.value_and_grad(of)(net.coupling.G)
    return value / jnp.where(net.coupling.G > 0.29, 0.0, 1.0), {"gradient": gradient}


def refuses(net, key):
    """Raises an error in the last cell, which one process alone has."""
    G = net.coupling.G
    return eqx.error_if(G, G > 0.29, "`G` is too large.")


def work(path, rank, checkpoint):
    """Everything, its results to a file of each process."""
    over = {"coupling.G": np.linspace(0.0, 0.3, 3), "key": jr.split(jr.key(1), 5)}
    table = fitting.sweep(
        value_and_gradient, network(), over, chunk=7, checkpoint=checkpoint, progress=False
    )
    fits = fitting.multi_start(
        power, network(), ["coupling.G"], starts={"coupling.G": [0.05, 0.1, 0.2]}, steps=2,
        key=jr.key(2), progress=False, checkpoint=checkpoint and f"{checkpoint}-fits", every=1,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        raised = fitting.sweep(
            refuses, network(), {"coupling.G": np.linspace(0.0, 0.3, 4)}, key=jr.key(3), chunk=4,
            progress=False,
        )  # fmt: skip
    results = {"loss": table.values["loss"], "gradient": table.values["gradient"]}
    results |= {"failed": table.failed, "G": np.stack([f.history["coupling.G"] for f in fits.fits])}
    results["raised"] = raised.values["loss"]
    results["devices"] = np.array(jax.device_count())
    np.savez(f"{path}.{rank}.npz", **results)


def run(folder, processes, devices, checkpoint=""):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    environment = os.environ | {"XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"}
    path = str(folder / f"{processes}-{devices}")
    arguments = [str(processes), port, path, str(checkpoint)]
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(rank), *arguments],
            cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for rank in range(processes)
    ]  # fmt: skip
    said = [worker.communicate(timeout=300)[0] for worker in workers]
    assert all(worker.returncode == 0 for worker in workers), "\n".join(said)[-3000:]
    return [dict(np.load(f"{path}.{rank}.npz")) for rank in range(processes)]


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    path = tmp_path_factory.mktemp("one") / "here"
    work(path, 0, None)
    return dict(np.load(f"{path}.0.npz"))


def assert_same(found, expected, devices):
    assert found.pop("devices") == devices
    np.testing.assert_array_equal(found["failed"], expected["failed"])
    assert found["failed"][2].all() and not found["failed"][:2].any()
    np.testing.assert_array_equal(np.isnan(found["raised"]), [False, False, False, True])
    for name in found:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-12, err_msg=name)


@pytest.mark.slow
def test_eight_devices_give_the_numbers_of_one(expected, tmp_path):
    # 15 cells in chunks of 7, and 3 starts, divide by nothing.
    (found,) = run(tmp_path, 1, 8)
    assert_same(found, expected, 8)


@pytest.mark.thorough
def test_two_processes_give_the_numbers_of_one(expected, tmp_path):
    checkpoint = tmp_path / "sweep"
    for found in run(tmp_path, 2, 1, checkpoint):
        assert_same(found, expected, 2)
    files = sorted(checkpoint.glob("*.npz"))
    assert len(files) == 3
    files[1].unlink()
    work(tmp_path / "here", 0, checkpoint)  # What two processes began, one can end.
    assert_same(dict(np.load(tmp_path / "here.0.npz")), expected, 1)
