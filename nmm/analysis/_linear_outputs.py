"""What is read off a system, linearised: signals, and the observers between them and the data."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Inexact

from ..observe._balloon_windkessel import BalloonWindkessel, HaemodynamicState
from ..observe._base import AbstractObserver
from ..observe._bold import BOLD
from ..observe._readout import AbstractReadout
from ._lyapunov import solve_sylvester


class Chain(eqx.Module):
    r"""A linear filter for each channel, $\dot h = H h + b y$, output $c\,h$; 1/ms.

    **Attributes:**

    - `drift`: $H$, `(channels, v, v)`.
    - `drive`, `output`: $b$ and $c$, `(channels, v)`.
    """

    drift: Float[Array, "channels v v"]
    drive: Float[Array, "channels v"]
    output: Float[Array, "channels v"]

    def gain(self, omega: Float[Array, " frequencies"]) -> Complex[Array, "frequencies channels"]:
        """The output for a unit of the input, at angular frequencies in rad/ms."""
        identity = jnp.eye(self.drift.shape[-1], dtype=self.drift.dtype)
        matrix = 1j * omega[:, None, None, None] * identity - self.drift
        drive = jnp.broadcast_to(self.drive[..., None], (*matrix.shape[:-1], 1)) + 0j
        return jnp.sum(self.output * jnp.linalg.solve(matrix, drive)[..., 0], axis=-1)


class Output(eqx.Module):
    """A signal of all channels, as a linear function of the state.

    **Attributes:**

    - `mean`: what is seen at the fixed point.
    - `rows`: what each channel reads off the state, `(channels, n)`.
    - `chain`: the filter behind each channel, or `None`.
    - `mixing`: weights of the channels in what is seen, `(sensors, channels)`, or `None`.
    - `window`: over how many ms it is averaged.
    """

    mean: Float[Array, "*sensors"]
    rows: Float[Array, "channels n"]
    chain: Chain | None
    mixing: Float[Array, "sensors channels"] | None
    window: float = eqx.field(static=True)

    def system(
        self, drift: Float[Array, "n n"], covariance: Float[Array, "n n"], shift: Any
    ) -> tuple[Array, Array, Array]:
        """Drift, stationary covariance and rows of the state together with that of the chain."""
        chain = self.chain
        if chain is None:
            return drift, covariance, self._mixed(self.rows)
        channels, v = chain.drive.shape
        across, within = self.chain_covariances(drift, covariance, shift)
        joint = jnp.block([[covariance, across.T], [across, within]])
        drive = _spread(chain.drive) @ self.rows
        blocks = jnp.einsum("kab,kl->kalb", chain.drift, jnp.eye(channels, dtype=drift.dtype))
        blocks = blocks.reshape(channels * v, channels * v)
        zeros = jnp.zeros((len(drift), channels * v), drift.dtype)
        rows = jnp.concatenate([jnp.zeros_like(self.rows), _spread(chain.output).T], axis=1)
        return jnp.block([[drift, zeros], [drive, blocks]]), joint, self._mixed(rows)

    def covariance(
        self, drift: Float[Array, "n n"], covariance: Float[Array, "n n"], shift: Any
    ) -> Float[Array, "sensors sensors"]:
        """The stationary covariance of what is seen, from that of the state."""
        if self.window:
            return self._averaged(drift, covariance)
        if self.chain is None:
            seen = self.rows @ covariance @ self.rows.T
        else:
            _, within = self.chain_covariances(drift, covariance, shift)
            channels, v = self.chain.output.shape
            blocks = within.reshape(channels, v, channels, v)
            seen = jnp.einsum("ia,iajb,jb->ij", self.chain.output, blocks, self.chain.output)
        return seen

    def chain_covariances(
        self, drift: Float[Array, "n n"], covariance: Float[Array, "n n"], shift: Any
    ) -> tuple[Array, Array]:
        """The covariances of the chain with the state, and with itself.

        Together they are one Lyapunov equation of block-triangular matrices. Taken apart, with the
        regions of the chain by themselves, its price is that of a few equations for the state.
        """
        chain = self.chain
        assert chain is not None
        arriving = self.rows @ covariance
        driven = (chain.drive[:, :, None] * arriving[:, None, :]).reshape(-1, len(drift))
        across = solve_sylvester(chain.drift, drift, driven, shift)
        seen = self.rows @ across.T
        driven = (chain.drive[:, :, None] * seen[:, None, :]).reshape(-1, len(across))
        within = solve_sylvester(chain.drift, chain.drift, driven + driven.T, shift)
        return across, within

    def gain(
        self,
        drift: Inexact[Array, "*frequencies n n"],
        rows: Inexact[Array, "*frequencies channels n"],
        omega: Float[Array, " frequencies"],
    ) -> Complex[Array, "frequencies sensors n"]:
        """What is seen for a unit of forcing of each state, at angular frequencies in rad/ms.

        **Arguments:**

        - `drift`, `rows`: of the states, at each frequency where they depend on it.
        """
        identity = jnp.eye(drift.shape[-1], dtype=drift.dtype)
        # By the transpose, since there are fewer channels than states.
        matrix = 1j * omega[:, None, None] * identity - jnp.swapaxes(drift, -1, -2)
        rows = jnp.swapaxes(rows, -1, -2) + 0j
        rows = jnp.broadcast_to(rows, (len(omega), *rows.shape[-2:]))
        seen = jnp.swapaxes(jnp.linalg.solve(matrix, rows), 1, 2)
        if self.chain is not None:
            seen = self.chain.gain(omega)[:, :, None] * seen
        # Of the mean over a window; the shift by half of it does not matter.
        seen = seen * jnp.sinc(omega * self.window / (2 * jnp.pi))[:, None, None]
        return seen if self.mixing is None else self.mixing @ seen

    def _mixed(self, rows: Array) -> Array:
        return rows if self.mixing is None else self.mixing @ rows

    def _averaged(self, drift: Array, covariance: Array) -> Array:
        r"""Of means over windows $T$: $M + M^T$, $M = T^{-2} \int_0^T (T - s)\, e^{A s} P\,ds$."""
        n = len(drift)
        zero, one = jnp.zeros_like(drift), jnp.eye(n, dtype=drift.dtype)
        # The double integral of the exponential is a block of a larger exponential.
        block = jnp.block([[drift * self.window, one, zero], [zero, zero, one], [zero, zero, zero]])
        integral = exponential(block)[:n, 2 * n :]
        rows = self._mixed(self.rows)
        half = rows @ integral @ covariance @ rows.T
        return half + half.T


def linear_output(
    signal: Callable[[Any], Array], x: Float[Array, " n"], observer: AbstractObserver | None
) -> Output:
    """Linearises a signal, a function of the state as a vector, and what observes it.

    **Raises:**

    - `ValueError` for an observer without a linear form, or a signal with batch axes.
    """
    value = signal(x)
    if value.ndim > 1:
        raise ValueError(f"A signal should have no batch axes, got the shape {value.shape}.")
    rows = jax.jacfwd(lambda x: jnp.atleast_1d(signal(x)))(x)
    if observer is None:
        return Output(value, rows, None, None, 0.0)
    if isinstance(observer, BOLD):
        chain, mean = linear_haemodynamics(observer.haemodynamics, jnp.atleast_1d(value))
        return Output(mean.reshape(value.shape), rows, chain, None, 0.0)
    if isinstance(observer, AbstractReadout):
        mixing = jnp.atleast_2d(jax.jacfwd(observer.readout)(value))
        mixing = mixing.reshape(-1, len(rows))
        return Output(observer.readout(value), rows, None, mixing, observer.period)
    raise ValueError(
        f"`{type(observer).__name__}` has no linear response here; observers that have are "
        "`nmm.observe.BOLD` and those that average, such as `nmm.observe.EEG`. Save its signal "
        "alone."
    )


def linear_haemodynamics(
    haemodynamics: BalloonWindkessel, drive: Float[Array, " regions"]
) -> tuple[Chain, Float[Array, " regions"]]:
    """The haemodynamics of each region, linearised about their rest under a constant drive; and
    the signal there."""
    rest = haemodynamics.init(drive)
    flow = drive / haemodynamics.gamma + rest.flow
    inflow, extraction = haemodynamics._inflow(flow)
    state = HaemodynamicState(
        s=rest.s,
        flow=flow,
        log_volume=haemodynamics.alpha * jnp.log(inflow),
        ratio=rest.flow + extraction,
    )
    leaves, structure = jax.tree.flatten(state)
    units = np.eye(len(leaves))

    def along(function: Callable[..., Any], *weights: Any) -> Array:
        """The derivative of what belongs to each region in the direction of one variable."""
        *of_state, of_drive = (jnp.full_like(drive, w) for w in weights)
        _, tangent = jax.jvp(function, (state, drive), (structure.unflatten(of_state), of_drive))
        return jnp.stack(jax.tree.leaves(tangent), axis=-1)

    def field(state: HaemodynamicState, drive: Array) -> Any:
        return jax.tree.map(lambda x: x / 1000, haemodynamics.vector_field(state, drive))

    def output(state: HaemodynamicState, drive: Array) -> Any:
        del drive
        return haemodynamics.output(state)

    chain = Chain(
        drift=jnp.stack([along(field, *unit, 0) for unit in units], axis=-1),
        drive=along(field, *np.zeros(len(leaves)), 1),
        output=jnp.concatenate([along(output, *unit, 0) for unit in units], axis=-1),
    )
    return chain, haemodynamics.output(state)


def _spread(per_channel: Float[Array, "channels v"]) -> Float[Array, "channels*v channels"]:
    """The block-diagonal matrix with a column for each channel."""
    channels, v = per_channel.shape
    identity = jnp.eye(channels, dtype=per_channel.dtype)
    return (per_channel[:, :, None] * identity[:, None, :]).reshape(channels * v, channels)


def exponential(matrix: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """The exponential of a matrix, also of one that is fast beside the time it is taken over.

    By default JAX squares no more than 16 times, and gives NaN where the norm is above 4e5.
    """
    return jax.scipy.linalg.expm(matrix, max_squarings=32)
