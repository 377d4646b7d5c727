"""Delayed WongWangExcInh in The Virtual Brain or neurolib, for `benchmarks.peers_delayed`.

    PYTHON _other_interpreter.py tvb|neurolib CASE.npz

Runs once for each line that comes in, and answers with `S_e` of every region after 20 ms. Imports
nothing but NumPy and the package, since it runs under another interpreter.
"""

import sys

import numpy as np


def tvb(case):
    from tvb.simulator.lab import connectivity, coupling, integrators, models, monitors, simulator

    weights, start = case["weights"], float(case["start"])
    regions, dt = len(weights), float(case["dt"])
    connectome = connectivity.Connectivity(
        weights=weights.astype(float),
        tract_lengths=case["lengths"].astype(float),
        region_labels=np.array([str(i) for i in range(regions)]),
        centres=np.zeros((regions, 3)),
        speed=np.array([float(case["speed"])]),
    )

    def run():
        sim = simulator.Simulator(
            model=models.ReducedWongWangExcInh(G=np.array([1.0])),
            connectivity=connectome,
            coupling=coupling.Linear(a=np.array([float(case["G"])])),
            integrator=integrators.HeunDeterministic(dt=dt),
            monitors=[monitors.Raw()],
            initial_conditions=np.full((1000, 2, regions, 1), start),
        ).configure()
        ((_, states),) = sim.run(simulation_length=float(case["t1"]))
        return states[:, 0, :, 0]

    return run


def neurolib(case):
    from neurolib.models.ww import WWModel

    weights, start = case["weights"].astype(float), float(case["start"])
    model = WWModel(Cmat=weights, Dmat=case["lengths"].astype(float))
    model.params["signalV"] = float(case["speed"])
    model.params["K_gl"] = float(case["G"])
    model.params["dt"] = float(case["dt"])
    model.params["duration"] = float(case["t1"])
    model.params["ses_init"] = np.full((len(weights), 1), start)
    model.params["sis_init"] = np.full((len(weights), 1), start)

    def run():
        model.run()
        return model.se.T

    return run


def main():
    answers, sys.stdout = sys.stdout, sys.stderr  # packages print as they go
    case = np.load(sys.argv[2])
    run = {"tvb": tvb, "neurolib": neurolib}[sys.argv[1]](case)
    for _ in sys.stdin:
        states = run()
        early = states[round(20 / float(case["dt"])) - 1]
        print(*early, file=answers, flush=True)


if __name__ == "__main__":
    main()
