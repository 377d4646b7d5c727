"""The same work in tvboptim 0.4.0, used as its authors use it; `None` if it is not installed."""

import importlib.util
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

AVAILABLE = importlib.util.find_spec("tvboptim") is not None


class TVBOptim:
    """ReducedWongWang on a connectome, Heun, linear instantaneous coupling."""

    def __init__(
        self,
        weights: np.ndarray,
        *,
        noise: bool = False,
        per_stage: bool = True,
        buffer: str = "roll",
    ):
        self.weights = np.asarray(weights, np.float32)
        self.noise = noise
        self.per_stage = per_stage
        self.buffer = buffer

    def _network(self, **dynamics: Any) -> Any:
        from tvboptim.experimental.network_dynamics import Network
        from tvboptim.experimental.network_dynamics.coupling import LinearCoupling
        from tvboptim.experimental.network_dynamics.dynamics.tvb import ReducedWongWang
        from tvboptim.experimental.network_dynamics.graph import DenseGraph
        from tvboptim.experimental.network_dynamics.noise import AdditiveNoise

        noise = {"noise": AdditiveNoise(sigma=0.003, apply_to="S")} if self.noise else {}
        return Network(
            dynamics=ReducedWongWang(INITIAL_STATE=(0.05,), **dynamics),
            coupling={"instant": LinearCoupling(incoming_states="S", G=0.2)},
            graph=DenseGraph(jnp.asarray(self.weights)),
            **noise,
        )

    def _solver(self) -> Any:
        from tvboptim.experimental.network_dynamics.solvers import Heun

        return Heun(recompute_coupling_per_stage=True) if self.per_stage else Heun()

    def forward(self, t1: float, dt: float = 1.0) -> Callable[[Any], Any]:
        """All states, as a function of the global coupling."""
        from tvboptim.experimental.network_dynamics import prepare

        run, config = prepare(self._network(), self._solver(), t0=0.0, t1=t1, dt=dt)
        return lambda G: run(eqx.tree_at(lambda c: c.coupling.instant.G, config, G)).ys

    def delayed(self, t1: float, dt: float, delays: np.ndarray, free: str) -> Callable[[Any], Any]:
        """All states with delays, as a function of the global coupling "G" or of the "weights".

        Delays are rounded to steps and the coupling is held over the step. Of its buffers, "roll"
        is the default.
        """
        from tvboptim.experimental.network_dynamics import Network, prepare
        from tvboptim.experimental.network_dynamics.coupling import DelayedLinearCoupling
        from tvboptim.experimental.network_dynamics.dynamics.tvb import ReducedWongWang
        from tvboptim.experimental.network_dynamics.graph import DenseDelayGraph
        from tvboptim.experimental.network_dynamics.solvers import Heun

        coupling = DelayedLinearCoupling(incoming_states="S", G=0.2, buffer_strategy=self.buffer)
        network = Network(
            dynamics=ReducedWongWang(INITIAL_STATE=(0.1,)),
            coupling={"delayed": coupling},
            graph=DenseDelayGraph(jnp.asarray(self.weights), jnp.asarray(delays, jnp.float32)),
        )
        run, config = prepare(network, Heun(), t0=0.0, t1=t1, dt=dt)
        where = (lambda c: c.coupling.delayed.G) if free == "G" else (lambda c: c.graph.weights)
        return lambda value: run(eqx.tree_at(where, config, value)).ys

    def last(self, t1: float, dt: float = 1.0) -> Callable[[Any], Any]:
        """The last state, as a function of the global coupling."""
        run = self.forward(t1, dt)
        return lambda G: run(G)[-1]

    def bold_fc_loss(
        self, t1: float, fc: np.ndarray, free: str, dt: float = 1.0
    ) -> Callable[[Any], Any]:
        """RMSE of BOLD-FC, as a function of the global coupling "G" or of the regional "w"."""
        from tvboptim.experimental.network_dynamics import prepare, solve
        from tvboptim.observations import compute_fc, rmse
        from tvboptim.observations.tvb_monitors import Bold

        network = self._network()
        history = solve(network, self._solver(), t0=0.0, t1=t1, dt=dt)
        run, config = prepare(network, self._solver(), t0=0.0, t1=t1, dt=dt)
        bold = Bold(period=720.0, history=history)
        target = jnp.asarray(fc)
        where = (lambda c: c.coupling.instant.G) if free == "G" else (lambda c: c.dynamics.w)

        def loss(value: Any) -> Any:
            return rmse(compute_fc(bold(run(eqx.tree_at(where, config, value))), skip_t=10), target)

        return loss
