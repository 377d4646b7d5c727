"""Recovers the conduction speed of a network from evoked responses, by gradient.

    python examples/conduction_speed.py

A pulse reaches all regions at once, and its echoes travel along the tracts of dk84 at a known
speed. The responses of all regions are recorded with noise, once for each seed. From these records
alone the speed is found by least squares: since delays are differentiable, Gauss-Newton steps on
the logarithm of the speed converge within a few iterations. Printed are the spread of the estimates
over seeds, beside the standard error that the curvature of a single fit predicts, and a control:
how well the same network without delays explains the same records.
"""

import argparse
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

import nmm

TRUE_SPEED, START, RANGE = 6.0, 4.0, (2.0, 15.0)  # mm/ms
NOISE = 0.02  # standard deviation of the records


def build(regions: int) -> nmm.Network:
    """Damped oscillators of about 10 Hz on the first regions of dk84, and a pulse."""
    connectome = nmm.datasets.load_connectome("dk84")
    connectome = connectome.subset(range(regions)).scale("spectral_radius")
    node = nmm.Hopf(a=-0.03, w=0.06)

    def stimulus(t):
        return node.Inputs(x_inp=0.2 * jnp.exp(-(((t - 20.0) / 5.0) ** 2)))

    return nmm.Network(
        node,
        connectome,
        nmm.coupling.Linear(G=0.025),
        stimulus=stimulus,
        speed=TRUE_SPEED,
        speed_range=RANGE,
    )


def responses(network: nmm.Network, speed, duration: float):
    """What is recorded, without noise."""
    network = eqx.tree_at(lambda net: net.speed, network, speed)
    y0 = network.State(x=jnp.zeros(network.shape), y=jnp.zeros(network.shape))
    return nmm.simulate(network, duration, 0.5, y0=y0, save="x", throw=False)["x"]


def estimate(network: nmm.Network, records, duration: float, iterations: int):
    """The speed that fits records best, and its standard error."""

    def residuals(log_speed):
        return (responses(network, jnp.exp(log_speed), duration) - records).ravel()

    def iteration(log_speed, _):
        value, slope = jax.jvp(residuals, (log_speed,), (jnp.ones_like(log_speed),))
        step = -jnp.sum(slope * value) / jnp.sum(slope**2)
        # Never further than a fifth at once, nor out of the range for which delays were planned.
        new = log_speed + jnp.clip(step, -0.2, 0.2)
        new = jnp.clip(new, *jnp.log(jnp.array(RANGE, new.dtype)))
        return new, jnp.sqrt(jnp.mean(value**2) / jnp.sum(slope**2))

    start = jnp.log(jnp.asarray(START))
    log_speed, errors = jax.lax.scan(iteration, start, None, length=iterations)
    return jnp.exp(log_speed), jnp.exp(log_speed) * errors[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few regions, seeds and steps")
    options = parser.parse_args()
    regions, seeds, duration = (6, 3, 150.0) if options.quick else (30, 16, 400.0)

    network = build(regions)
    clean = responses(network, jnp.asarray(TRUE_SPEED), duration)
    noise = NOISE * jr.normal(jr.key(0), (seeds, *clean.shape))
    fit = jax.jit(jax.vmap(lambda records: estimate(network, records, duration, 12)))
    begin = time.perf_counter()
    speeds, errors = jax.block_until_ready(fit(clean + noise))
    seconds = time.perf_counter() - begin

    at_once = nmm.Network(
        network.node, network.connectome, network.coupling, stimulus=network.stimulus
    )
    y0 = at_once.State(x=jnp.zeros(regions), y=jnp.zeros(regions))
    without = nmm.simulate(at_once, duration, 0.5, y0=y0, save="x")["x"]

    def unexplained(x):
        return float(jnp.sqrt(jnp.mean((clean + noise[0] - x) ** 2)))

    print(f"{regions} regions, {duration:g} ms, {seeds} seeds, {seconds:.0f} s with compilation\n")
    print("estimates, mm/ms:", " ".join(f"{v:.3f}" for v in speeds))
    print(f"true speed      {TRUE_SPEED:.3f} mm/ms, start {START:g}")
    print(f"mean over seeds {jnp.mean(speeds):.3f}")
    print(f"spread (sd)     {jnp.std(speeds, ddof=1):.3f}")
    print(f"predicted       {jnp.mean(errors):.3f} (standard error of one fit)")
    print(f"noise {NOISE:g}; not explained with delays {unexplained(clean):.4f}, ", end="")
    print(f"without {unexplained(without):.4f}")


if __name__ == "__main__":
    main()
