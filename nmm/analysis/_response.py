"""What is known of the response to noise: covariances, spectra, transfer functions."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, ArrayLike, Bool, Complex, Float

from .._declare import declarations, is_concrete
from ._delay_operator import Past
from ._drift import Drift
from ._fixed_points import FixedPoint
from ._linear_outputs import Output, exponential
from ._lyapunov import solve_sylvester


class LinearResponse(eqx.Module):
    r"""A model about its stable fixed point, driven by small noise: $dx = A x\,dt + B\,dW$.

    Everything is in closed form, without sampling noise, and differentiable in every parameter.
    Spectra are one-sided and per Hz, as those of `nmm.analysis.power_spectrum`: their integral over
    frequency is the variance. They are of the continuous signal, which sampling folds at half the
    sampling rate.

    **Attributes:**

    - `fixed_point`: about which it is.
    - `growth`: largest real part of an eigenvalue of the Jacobian, 1/ms; `-1 / growth` is the time
        constant of the slowest mode. Differentiable, for penalties. 0 if no fixed point was found.
    - `stable`: whether a fixed point was found and `growth < 0`. Can be false only with
        `throw=False`; then covariances and spectra are exactly 0, and FC is 0 between regions,
        with zero gradient.
    - `drift`: $A$, `(n, n)`, of the states (variable by variable, regions within each) and, after
        them, of noises with memory and, with delays, of what is under way; 1/ms.
    - `intensity`: the diagonal of $B$, `(n,)`.
    """

    fixed_point: FixedPoint
    growth: Float[Array, ""]
    stable: Bool[Array, ""]
    drift: Float[Array, "n n"]
    intensity: Float[Array, " n"]
    _shift: Float[Array, ""]
    _outputs: dict[str, Output]
    _field: Drift
    _late: "Late | None" = None

    @property
    def names(self) -> tuple[str, ...]:
        """The signals that it knows of."""
        return tuple(self._outputs)

    def mean(self, name: str | None = None) -> Float[Array, "*channels"]:
        """What a signal is at the fixed point, such as the firing rates of `save=["H"]`.

        **Arguments:**

        - `name`: of a signal in `save`; may be left out if there is one.
        """
        return self._output(name).mean

    @eqx.filter_jit
    def covariance(self, name: str | None = None) -> Float[Array, "channels channels"]:
        r"""The stationary covariance of a signal.

        $C P C^T$, where $P$ solves the Lyapunov equation $A P + P A^T + B B^T = 0$. Samples of the
        signal have the same, however seldom they are taken. Haemodynamics are linearised along.

        **Arguments:**

        - `name`: of a signal in `save`; may be left out if there is one.
        """
        return self._output(name).covariance(self.drift, self._covariance(), self._shift)

    def fc(self, name: str | None = None) -> Float[Array, "channels channels"]:
        """Functional connectivity: the correlations that belong to `covariance`.

        What `nmm.analysis.fc` of a run tends to as the run gets longer and the noise smaller. The
        diagonal is exactly 1; a silent region correlates 0 with every other.

        **Arguments:**

        - `name`: of a signal in `save`; may be left out if there is one.
        """
        return as_fc(self.covariance(name))

    @eqx.filter_jit
    def lagged_covariance(
        self, lags: ArrayLike, name: str | None = None
    ) -> Float[Array, "lags channels channels"]:
        r"""Covariances in time: $\mathrm{cov}(y_i(t + \tau), y_j(t))$ at $[\tau, i, j]$.

        **Arguments:**

        - `lags`: $\tau \ge 0$ in ms, `(lags,)`.
        - `name`: of a signal in `save`, not one that is averaged over windows; may be left out if
            there is one.
        """
        output = self._output(name)
        if output.window:
            raise ValueError(
                "`lagged_covariance` is of signals and BOLD, not of means over windows: save the "
                "signal itself."
            )
        drift, covariance, rows = output.system(self.drift, self._covariance(), self._shift)
        times = jnp.asarray(lags, drift.dtype).reshape(-1)

        def at(lag: Array) -> Array:
            return rows @ exponential(drift * lag) @ covariance @ rows.T

        return jax.lax.map(at, times)

    @eqx.filter_jit
    def spectrum(
        self, frequencies: ArrayLike, name: str | None = None
    ) -> Float[Array, "frequencies *channels"]:
        """Power spectral density of each channel, one-sided, per Hz.

        **Arguments:**

        - `frequencies`: in Hz, `(frequencies,)`.
        - `name`: of a signal in `save`; may be left out if there is one.
        """
        gain = self._noise_gain(frequencies, name)
        power = jnp.sum(gain.real**2 + gain.imag**2, axis=-1) * _PER_HZ
        return power.reshape(len(power), *self._output(name).mean.shape)

    @eqx.filter_jit
    def cross_spectrum(
        self, frequencies: ArrayLike, name: str | None = None
    ) -> Complex[Array, "frequencies channels channels"]:
        r"""Cross-spectral densities $S_{ij} \propto \langle Y_i Y_j^* \rangle$, one-sided, per Hz.

        Their diagonal is `spectrum`. Where channel i lags behind j, the phase is negative.

        **Arguments:**

        - `frequencies`: in Hz, `(frequencies,)`.
        - `name`: of a signal in `save`; may be left out if there is one.
        """
        gain = self._noise_gain(frequencies, name)
        return _PER_HZ * gain @ jnp.conj(jnp.swapaxes(gain, -1, -2))

    @eqx.filter_jit
    def transfer(
        self, frequencies: ArrayLike, onto: str, name: str | None = None
    ) -> Complex[Array, "frequencies channels regions"]:
        """The transfer function: the response to an oscillation at each region, by its amplitude.

        **Arguments:**

        - `frequencies`: in Hz, `(frequencies,)`.
        - `onto`: where the oscillation is added: an input slot, or the derivative of a state
            variable.
        - `name`: of a signal in `save`; may be left out if there is one.
        """
        onto_states = _pushed(self._field, self.fixed_point.state, onto)
        states = len(onto_states)
        return self._gain(frequencies, name)[:, :, :states] @ onto_states

    def _covariance(self) -> Float[Array, "n n"]:
        noise = jnp.diag(self.intensity**2)
        return solve_sylvester(self.drift, self.drift, noise, self._shift)

    def _noise_gain(self, frequencies: ArrayLike, name: str | None) -> Array:
        gain = self._gain(frequencies, name)
        return gain * self.intensity[: gain.shape[-1]]

    def _gain(self, frequencies: ArrayLike, name: str | None) -> Array:
        hertz = jnp.asarray(frequencies, self.drift.dtype)
        if hertz.ndim != 1:
            raise ValueError(f"`frequencies` should be (frequencies,), got {hertz.shape}.")
        output, omega = self._output(name), 2 * jnp.pi * hertz / 1000
        if self._late is None:
            return output.gain(self.drift, output.rows, omega)
        return output.gain(*self._late.at(name or next(iter(self._outputs)), omega), omega)

    def _output(self, name: str | None) -> Output:
        if name is None and len(self._outputs) == 1:
            (name,) = self._outputs
        if name is None or name not in self._outputs:
            raise ValueError(f"`name` should be one of {list(self._outputs)}, got {name!r}.")
        return self._outputs[name]

    def __repr__(self) -> str:
        if not is_concrete(self.growth):
            return f"LinearResponse({', '.join(self.names)})"
        known = f"of {', '.join(self.names)} about {self.fixed_point}"
        return f"LinearResponse {known}" if self.stable else f"LinearResponse, unstable, {known}"


class Late(eqx.Module):
    """What delays are at a frequency, exactly.

    **Attributes:**

    - `direct`, `hearing`, `past`: of the network; see `linearise`.
    - `rows`: what each channel of each signal reads off the states and off the sums.
    """

    direct: Float[Array, "n n"]
    hearing: Float[Array, "n sums"]
    past: Past
    rows: dict[str, tuple[Array, Array]]

    def at(self, name: str, omega: Float[Array, " frequencies"]) -> tuple[Array, Array]:
        """The drift of the states, and the rows of a signal."""
        heard = self.past.heard(omega)
        rows, off_sums = self.rows[name]
        return self.direct + self.hearing @ heard, rows + off_sums @ heard


_PER_HZ = 2 / 1000
"""From two-sided densities with time in ms to one-sided ones per Hz."""


def _pushed(drift: Drift, state: Any, onto: str) -> Float[Array, "states regions"]:
    """What a unit at a slot or derivative of each region does to the derivatives of all."""
    node, like = drift.model.node, jax.tree.leaves(state)[0]
    slots, variables = declarations(node.Inputs), list(vars(state))
    if onto in variables:
        identity = jnp.eye(like.size * len(variables), dtype=like.dtype)
        return jnp.split(identity, len(variables), axis=1)[variables.index(onto)]
    if onto not in slots:
        raise ValueError(f"`onto` should be one of {[*slots, *variables]}, got {onto!r}.")
    received = drift.received(state, drift.means(state))

    def derivatives(added: Array) -> Array:
        slots = vars(received) | {onto: getattr(received, onto) + added.reshape(like.shape)}
        return ravel_pytree(node.vector_field(0.0, state, node.Inputs(**slots)))[0]

    return jax.jacfwd(derivatives)(jnp.zeros(like.size, like.dtype))


def as_fc(covariance: Float[Array, "channels channels"]) -> Float[Array, "channels channels"]:
    """Correlations; 0 between a silent channel and every other, with zero gradient."""
    variance = jnp.diagonal(covariance)
    silent = ~(variance > 0)
    scale = jnp.where(silent, 0, 1 / jnp.sqrt(jnp.where(silent, 1, variance)))
    fc = scale[:, None] * covariance * scale
    return jnp.where(jnp.eye(len(fc), dtype=bool), 1, fc)
