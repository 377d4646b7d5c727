"""A sweep in neurolib or cuBNM, as a whole process, for `benchmarks.processes`.

    PYTHON _other_process.py neurolib|cubnm CASE.npz

Prints, as JSON, for each coupling the mean over the regions of what is compared. Imports nothing
but NumPy and the package, since it runs under another interpreter.
"""

import json
import multiprocessing
import os
import sys

import numpy as np


def mean_correlation(series):
    """Mean correlation of pairs of rows."""
    return np.corrcoef(series)[np.triu_indices(len(series), 1)].mean()


def neurolib(case):
    """Its network by its own loop, on all cores: what its exploration does, without its files."""
    from neurolib.models.hopf import HopfModel

    def model(G, duration):
        hopf = HopfModel(Cmat=case["weights"].astype(float), Dmat=case["lengths"].astype(float))
        names = {"sigma_ou": "sigma", "tau_ou": "tau", "signalV": "speed"}
        for name in ("a", "w", "dt", *names):
            hopf.params[name] = float(case[names.get(name, name)])
        hopf.params["K_gl"], hopf.params["duration"] = G, duration
        return hopf

    model(0.0, 10.0).run()  # compiled once, ahead of the fork
    global one

    def one(G):
        hopf = model(G, float(case["t1"]))
        hopf.run()
        x = hopf.x[:, round(float(case["transient"]) / float(case["dt"])) :]
        return x.std(axis=1).mean(), mean_correlation(x)

    with multiprocessing.get_context("fork").Pool(os.cpu_count()) as pool:
        deviations, correlations = zip(*pool.map(one, list(case["G"]), chunksize=1), strict=True)
    return {"deviation of x": deviations, "mean FC": correlations}


def cubnm(case):
    from cubnm import sim

    group = sim.rWWSimGroup(
        duration=float(case["t1"]) / 1000, TR=float(case["tr"]) / 1000,
        sc=case["weights"].T.astype(float), dt=str(case["dt"]), bw_dt=str(case["step"]),
        do_fic=False, force_cpu=True, bold_remove_s=float(case["transient"]) / 1000,
        window_size=int(case["window"]), window_step=int(case["window_step"]),
        fcd_drop_edges=False,
    )  # fmt: skip
    group.N = len(case["G"])
    group.param_lists["G"] = case["G"].astype(float)
    group._set_default_params()
    group.param_lists["sigma"][:] = float(case["sigma"])
    group.run()
    gating = group.sim_states["S_E"].reshape(group.N, -1, group.nodes).mean((1, 2))
    return {
        "mean S_e": gating,
        "mean FC": group.sim_fc_trils.mean(1),
        "mean FCD": group.sim_fcd_trils.mean(1),
    }


def main():
    answers, sys.stdout = sys.stdout, sys.stderr  # packages print as they go
    case = dict(np.load(sys.argv[2]))  # read before any fork
    results = {"neurolib": neurolib, "cubnm": cubnm}[sys.argv[1]](case)
    print(json.dumps({k: np.asarray(v, float).tolist() for k, v in results.items()}), file=answers)


if __name__ == "__main__":
    main()
