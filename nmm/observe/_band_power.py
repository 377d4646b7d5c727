from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._custom_types import Signal
from ._base import AbstractObserver, Axes
from ._online import squared
from ._readout import AbstractReadout


class BandPower(AbstractObserver):
    r"""Power within a band: the mean square of the filtered signal over each period.

    The filter is a Butterworth band-pass of second order, causal, integrated exactly for a signal
    that is held over the period of `of`. Noise of the sensors of `of` is not in it. Where steps
    adapt, energy is integrated from the start of the run on, so that in float32 the power of period
    n is rounded to about n 4e-7 of it.

    **Arguments:**

    - `of`: what is filtered: `TemporalAverage`, `SpatialAverage`, `EEG`, `MEG` or `SEEG`, with a
        period that resolves the band.
    - `band`: lower and upper edge in Hz, where half of the power passes.
    - `period`: ms from sample to sample, a multiple of the period of `of`.
    """

    of: AbstractReadout
    band: tuple[float, float] = eqx.field(static=True)
    period: float = eqx.field(static=True, converter=float)

    def __check_init__(self) -> None:
        if not isinstance(self.of, AbstractReadout):
            raise TypeError(
                "`of` of `BandPower` should be an observer without memory, such as "
                f"`nmm.observe.TemporalAverage(1.0)`; got {self.of!r}."
            )
        low, high = self.band
        nyquist = 500 / self.of.period
        if not 0 < low < high < nyquist:
            raise ValueError(
                f"`band` should be (low, high) in Hz with 0 < low < high < {nyquist:g} Hz, half of "
                f"the rate of `of`; got {self.band}."
            )
        ratio = self.period / self.of.period
        if abs(ratio - round(ratio)) > 1e-6 * ratio:
            raise ValueError(
                f"`period` of `BandPower` should be a multiple of that of `of`, {self.of.period} "
                f"ms; got {self.period} ms."
            )

    @property
    def signal(self) -> Signal:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.of.signal

    @property
    def longest_step(self) -> float:
        return self.of.period

    def prepare(self, duration: float) -> "BandPower":
        if abs(duration - self.of.period) > 1e-6 * duration:
            raise ValueError(
                "`period` of the `of` of `BandPower` should be a multiple of `dt`, got "
                f"{self.of.period} ms; with this `dt` it would take steps of {duration:g} ms."
            )
        return self

    def init(self, like: Float[Array, "*shape"]) -> dict[str, Array]:
        zero = jnp.zeros_like(self.of.readout(like))
        parts = jnp.zeros((2, *zero.shape), zero.dtype)
        count = jnp.zeros((), zero.dtype)
        return {"real": parts, "imaginary": parts, "energy": zero, "steps": count}

    def advance(
        self, state: dict[str, Array], mean: Float[Array, "*shape"], duration: float
    ) -> dict[str, Array]:
        x = self.of.readout(mean)
        poles, _ = _band_pass(*self.band)
        factor = np.exp(poles * duration)
        push = (factor - 1) / poles
        a, b = (self._column(f(factor), x) for f in (np.real, np.imag))
        c, d = (self._column(f(push), x) for f in (np.real, np.imag))
        real = a * state["real"] - b * state["imaginary"] + c * x
        imaginary = a * state["imaginary"] + b * state["real"] + d * x
        # A new period begins after as many steps as there are in one.
        begins = state["steps"] == round(self.period / duration)
        energy = jnp.where(begins, 0, state["energy"])
        steps = jnp.where(begins, 0, state["steps"])
        return {
            "real": real,
            "imaginary": imaginary,
            "energy": energy + self._filtered(real, imaginary) ** 2 * duration,
            "steps": steps + 1,
        }

    def sample(self, state: dict[str, Array], number: Any) -> Float[Array, "*sample"]:
        del number
        return state["energy"] / self.period

    def vector_field(
        self, state: dict[str, Array], signal: Float[Array, "*shape"]
    ) -> dict[str, Array]:
        x = self.of.readout(signal)
        poles, _ = _band_pass(*self.band)
        a, b = (self._column(f(poles), x) for f in (np.real, np.imag))
        real, imaginary = state["real"], state["imaginary"]
        return {
            "real": a * real - b * imaginary + x,
            "imaginary": a * imaginary + b * real,
            "energy": self._filtered(real, imaginary) ** 2,
            "steps": jnp.zeros_like(state["steps"]),
        }

    def sample_between(self, before: Any, after: Any, number: Any) -> Float[Array, "*sample"]:
        del number
        return (after["energy"] - before["energy"]) / self.period

    def unit(self, signal: str | None) -> str | None:
        return squared(self.of.unit(signal))

    @property
    def axes(self) -> Axes | None:
        return self.of.axes

    def _filtered(self, real: Array, imaginary: Array) -> Array:
        _, residues = _band_pass(*self.band)
        a, b = (self._column(f(residues), real[0]) for f in (np.real, np.imag))
        return 2 * jnp.sum(a * real - b * imaginary, axis=0)

    def _column(self, values: np.ndarray, like: Array) -> Array:
        return jnp.asarray(values, like.dtype).reshape(-1, *[1] * like.ndim)


def _band_pass(low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Poles per ms and residues of a Butterworth band-pass of second order; their complex
    conjugates are the others."""
    low, high = 2e-3 * np.pi * low, 2e-3 * np.pi * high
    width = high - low
    # s -> (s^2 + low high) / (width s) takes each pole of the low-pass to two.
    half = width * np.exp(0.75j * np.pi) / 2
    root = np.sqrt(half**2 - low * high)
    poles = np.array([half + root, half - root])
    every = np.concatenate([poles, poles.conj()])
    others = np.array([np.prod([p - q for q in every if q != p]) for p in poles])
    return poles, width**2 * poles**2 / others
