import math
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._custom_types import Parameter, RealScalarLike, Signal
from .._declare import as_float, check_parameters, param, parameter_shape
from ._base import AbstractObserver
from ._kernels import AbstractKernel, SampledKernel, VolterraKernel


class ConvolutionBOLD(AbstractObserver):
    r"""BOLD by the convolution of activity with a haemodynamic response function.

    $$y(t) = a \int_0^{D} h(s)\,x(t - s)\,ds$$

    with $s$ in seconds, so that the amplitude depends on no step, and 0 for no activity. Each step
    adds what it will have caused to the samples that are to come: the memory is one value a
    sample within the duration of the kernel, whatever the length of the run. For fixed steps.

    The Virtual Brain sums kernel times activity in steps of 4 ms without the length of the step,
    and makes $k_1 V_0 (250\,y/a - 1)$ of it for the Volterra kernel, 5.6 and 0.02 by default.

    **Arguments:**

    - `tr`: repetition time in ms, the `period` of the samples.
    - `signal`: see `nmm.observe.AbstractObserver`.
    - `kernel`: `VolterraKernel()`, `GammaKernel()`, `DoubleExponentialKernel()`,
        `MixtureOfGammasKernel()`, or a measured one, `SampledKernel(values, dt)`; with scalar or
        regional parameters.
    - `amplitude`: a, one or one a region.
    - `step`: longest step of the convolution in ms.
    """

    period: float = eqx.field(static=True)
    signal: Signal = eqx.field(static=True)
    kernel: AbstractKernel
    step: float = eqx.field(static=True)
    table: Array | None
    amplitude: Parameter = param(1.0, unit="1", doc="amplitude", bounds=(0.01, 10.0))

    def __init__(
        self,
        tr: RealScalarLike,
        signal: Signal = None,
        *,
        kernel: Any = None,
        amplitude: Any = 1.0,
        step: RealScalarLike = 4.0,
    ):
        self.period = float(tr)
        self.signal = signal
        self.kernel = VolterraKernel() if kernel is None else kernel
        self.amplitude = as_float(amplitude)
        self.step = float(step)
        self.table = None

    def __check_init__(self) -> None:
        if not isinstance(self.kernel, AbstractKernel):
            raise TypeError(
                "`kernel` should be a kernel of `nmm.observe`, such as `GammaKernel()` or "
                f"`SampledKernel(values, dt)`; got {self.kernel!r}."
            )
        check_parameters(self)
        if not self.step > 0:
            raise ValueError(f"`step` should be a positive number of ms, got {self.step}.")

    @property
    def longest_step(self) -> float:
        return self.step

    def prepare(self, duration: float) -> "ConvolutionBOLD":
        """With the table of what each step of a period adds to each of the samples to come."""
        steps = round(self.period / duration)
        samples = int(np.ceil(self.kernel.duration * 1000 / self.period - 1e-9))
        # Activity that comes in longer steps is held over them.
        parts = math.ceil(duration / self.step * (1 - 1e-6))
        weights = self.kernel.weights(steps * samples * parts, duration / 1000 / parts)
        weights = jnp.sum(weights.reshape(steps * samples, parts, *weights.shape[1:]), axis=1)
        # The last step of a period is the next to its sample.
        table = jnp.flip(weights.reshape(samples, steps, *weights.shape[1:]), axis=1)
        return eqx.tree_at(
            lambda o: o.table, self, jnp.moveaxis(table, 1, 0), is_leaf=lambda x: x is None
        )

    def init(self, like: Float[Array, "*shape"]) -> tuple[Array, Array]:
        if self.table is None:
            raise ValueError(
                "`ConvolutionBOLD` should be used with a fixed step; where steps adapt, save the "
                "signal by `save_every`, and call the observer on it."
            )
        regions = parameter_shape(self)
        if isinstance(self.kernel, SampledKernel):
            regions = self.kernel.values.shape[1:] or regions
        if regions not in ((), like.shape[-1:]):
            raise ValueError(
                f"`kernel` is for {regions[0]} regions; the signal has the shape {like.shape}."
            )
        return jnp.zeros((self.table.shape[1], *like.shape), like.dtype), jnp.zeros((), jnp.int32)

    def advance(
        self, state: tuple[Array, Array], mean: Float[Array, "*shape"], duration: float
    ) -> tuple[Array, Array]:
        del duration
        assert self.table is not None
        coming, step = state
        # The sample before is out: the next ones move up.
        begins = step == len(self.table)
        moved = jnp.concatenate([coming[1:], jnp.zeros_like(coming[:1])])
        coming, step = jnp.where(begins, moved, coming), jnp.where(begins, 0, step)
        weights = self.table[step].astype(mean.dtype)
        ones = [1] * (mean.ndim - (weights.ndim - 1))
        weights = weights.reshape(len(weights), *ones, *weights.shape[1:])
        return coming + weights * mean, step + 1

    def sample(self, state: tuple[Array, Array], number: Any) -> Float[Array, "*shape"]:
        del number
        return self.amplitude * state[0][0]

    def vector_field(self, state: Any, signal: Float[Array, "*shape"]) -> Any:
        raise NotImplementedError("a run with steps that adapt is refused by `init`")

    def sample_between(self, before: Any, after: Any, number: Any) -> Any:
        raise NotImplementedError("a run with steps that adapt is refused by `init`")
