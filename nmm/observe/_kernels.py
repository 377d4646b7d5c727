"""Haemodynamic response functions. Time in seconds, as published."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammainc, gammaln
from jaxtyping import Array, Float

from .._custom_types import Parameter, RealScalarLike
from .._declare import as_float, check_parameters, is_concrete, param, parameter_shape
from ..noise._base import check_positive


class AbstractKernel(eqx.Module):
    """A haemodynamic response function h(t), 0 before t = 0.

    **Attributes:**

    - `duration`: s after which it is cut off.
    """

    duration: eqx.AbstractVar[float]

    @abc.abstractmethod
    def weights(self, steps: int, step: float) -> Float[Array, "steps *regions"]:
        """The integral of h over consecutive steps of `step` s, from 0 on."""

    def __check_init__(self) -> None:
        check_parameters(self)
        rates = ("tau", "tau_s", "tau_f", "tau_1", "tau_2", "lam", "a_1", "a_2")
        check_positive(self, *(name for name in rates if hasattr(self, name)))
        if not self.duration > 0:
            raise ValueError(
                f"`duration` of `{type(self).__name__}` should be a positive number of s, got "
                f"{self.duration}."
            )


class AbstractFormula(AbstractKernel):
    """A response function that is given by a formula."""

    @abc.abstractmethod
    def __call__(self, t: Float[Array, "..."]) -> Float[Array, "..."]:
        """h at `t` seconds; with regional parameters `t` has an axis for them."""

    def weights(self, steps: int, step: float) -> Float[Array, "steps *regions"]:
        t = (jnp.arange(steps) + 0.5) * step
        t = jnp.where(t < self.duration, t, jnp.inf)
        values = jnp.where(jnp.isinf(t), 0, 1)
        t = jnp.where(jnp.isinf(t), 0, t)
        if parameter_shape(self):
            t, values = t[:, None], values[:, None]
        return values * self(t) * step


class VolterraKernel(AbstractFormula):
    r"""First-order Volterra kernel of the balloon model's flow.

    $$h = \tfrac13\,e^{-t/2\tau_s}\,\frac{\sin\omega t}{\omega}, \qquad
      \omega = \sqrt{1/\tau_f - 1/4\tau_s^2}$$

    Its integral is $\tau_f/3$. Needs $4\tau_s^2 > \tau_f$.

    Reference: Friston, Mechelli, Turner, Price (2000) NeuroImage 12:466.
    """

    tau_s: Parameter = param(0.8, unit="s", doc="signal decay", bounds=(0.5, 2.0))
    tau_f: Parameter = param(0.4, unit="s^2", doc="flow autoregulation", bounds=(0.2, 2.5))
    duration: float = eqx.field(default=20.0, static=True)

    def __call__(self, t: Float[Array, "..."]) -> Float[Array, "..."]:
        square = 1 / self.tau_f - 1 / (4 * self.tau_s**2)
        omega = jnp.sqrt(
            eqx.error_if(
                square, jnp.any(square <= 0), "`tau_s` and `tau_f` should obey 4 tau_s^2 > tau_f."
            )
        )
        return jnp.exp(-t / (2 * self.tau_s)) * jnp.sin(omega * t) / omega / 3


class GammaKernel(AbstractFormula):
    r"""Gamma density with a peak of `a`.

    $$h = a\,\Big(\frac{t}{(n-1)\tau}\Big)^{n-1} e^{\,n - 1 - t/\tau}$$

    Reference: Boynton, Engel, Glover, Heeger (1996) Journal of Neuroscience 16:4207.
    """

    tau: Parameter = param(1.08, unit="s", doc="time constant", bounds=(0.5, 2.0))
    n: Parameter = param(3.0, unit="1", doc="phase delay", bounds=(1.5, 6.0))
    a: Parameter = param(0.1, unit="1/s", doc="peak", bounds=(0.01, 1.0))
    duration: float = eqx.field(default=20.0, static=True)

    def __check_init__(self) -> None:
        if is_concrete(self.n) and not np.all(np.asarray(self.n) > 1):
            raise ValueError(f"`n` of `GammaKernel` should be above 1, got {self.n}.")

    def __call__(self, t: Float[Array, "..."]) -> Float[Array, "..."]:
        order = self.n - 1
        return self.a * _power(t / (order * self.tau), order) * jnp.exp(order - t / self.tau)


class DoubleExponentialKernel(AbstractFormula):
    r"""Difference of two damped oscillations with a peak of `a`.

    $$h \propto A_1 e^{-t/\tau_1} \sin(2\pi f_1 t) - A_2 e^{-t/\tau_2} \sin(2\pi f_2 t)$$

    Reference: Polonsky, Blake, Braun, Heeger (2000) Nature Neuroscience 3:1153.
    """

    tau_1: Parameter = param(7.22, unit="s", doc="decay of the first", bounds=(3.0, 15.0))
    tau_2: Parameter = param(7.4, unit="s", doc="decay of the second", bounds=(3.0, 15.0))
    f_1: Parameter = param(0.03, unit="Hz", doc="frequency of the first", bounds=(0.01, 0.1))
    f_2: Parameter = param(0.12, unit="Hz", doc="frequency of the second", bounds=(0.05, 0.3))
    A_1: Parameter = param(0.1, unit="1", doc="amplitude of the first", bounds=(0.01, 1.0))
    A_2: Parameter = param(0.1, unit="1", doc="amplitude of the second", bounds=(0.01, 1.0))
    a: Parameter = param(0.1, unit="1/s", doc="peak", bounds=(0.01, 1.0))
    duration: float = eqx.field(default=40.0, static=True)

    def __call__(self, t: Float[Array, "..."]) -> Float[Array, "..."]:
        grid = jnp.arange(0, 40, 0.004).reshape(-1, *[1] * len(parameter_shape(self)))
        return self.a * self._shape(t) / jnp.max(self._shape(grid), axis=0)

    def _shape(self, t: Float[Array, "..."]) -> Float[Array, "..."]:
        first = self.A_1 * jnp.exp(-t / self.tau_1) * jnp.sin(2 * jnp.pi * self.f_1 * t)
        second = self.A_2 * jnp.exp(-t / self.tau_2) * jnp.sin(2 * jnp.pi * self.f_2 * t)
        return first - second


class MixtureOfGammasKernel(AbstractFormula):
    r"""A gamma density less a later one, for the undershoot.

    $$h = \frac{(\lambda t)^{a_1 - 1} e^{-\lambda t}}{\Gamma(a_1)}
      - c\,\frac{(\lambda t)^{a_2 - 1} e^{-\lambda t}}{\Gamma(a_2)}$$

    Its integral is $(1 - c)/\lambda$.

    Reference: Glover (1999) NeuroImage 9:416.
    """

    a_1: Parameter = param(6.0, unit="1", doc="shape of the response", bounds=(3.0, 10.0))
    a_2: Parameter = param(13.0, unit="1", doc="shape of the undershoot", bounds=(8.0, 20.0))
    lam: Parameter = param(1.0, unit="1/s", doc="rate", bounds=(0.5, 2.0))
    c: Parameter = param(0.4, unit="1", doc="share of the undershoot", bounds=(0.0, 1.0))
    duration: float = eqx.field(default=32.0, static=True)

    def __call__(self, t: Float[Array, "..."]) -> Float[Array, "..."]:
        x = self.lam * t
        return _gamma_density(x, self.a_1) - self.c * _gamma_density(x, self.a_2)


class CanonicalKernel(AbstractFormula):
    r"""The canonical response of SPM: a gamma density less a sixth of a later one, with the
    integral 1.

    $$h \propto \frac{t^{a_1 - 1} e^{-t}}{\Gamma(a_1)} - c\,\frac{t^{a_2 - 1} e^{-t}}{\Gamma(a_2)}$$

    Its peak is at 5 s.

    Reference: Friston et al. (1998) NeuroImage 7:30; SPM, `spm_hrf`.
    """

    a_1: Parameter = param(6.0, unit="s", doc="delay of the response", bounds=(3.0, 10.0))
    a_2: Parameter = param(16.0, unit="s", doc="delay of the undershoot", bounds=(8.0, 24.0))
    c: Parameter = param(1 / 6, unit="1", doc="share of the undershoot", bounds=(0.0, 1.0))
    duration: float = eqx.field(default=32.0, static=True)

    def __call__(self, t: Float[Array, "..."]) -> Float[Array, "..."]:
        area = gammainc(self.a_1, self.duration) - self.c * gammainc(self.a_2, self.duration)
        return (_gamma_density(t, self.a_1) - self.c * _gamma_density(t, self.a_2)) / area


class SampledKernel(AbstractKernel):
    """A measured response function.

    **Arguments:**

    - `values`: h, `(samples,)` or `(samples, regions)`, each held until the next.
    - `dt`: ms from sample to sample.
    """

    values: Float[Array, "samples *regions"]
    dt: float = eqx.field(static=True)

    def __init__(self, values: Any, dt: RealScalarLike):
        self.values = as_float(values)
        self.dt = float(dt)
        if np.ndim(self.values) not in (1, 2) or len(self.values) < 2:
            raise ValueError(
                "`values` should be (samples,) or (samples, regions), at least 2 samples; got the "
                f"shape {np.shape(self.values)}."
            )
        if is_concrete(self.values) and not np.isfinite(self.values).all():
            raise ValueError("`values` of the kernel should be finite.")

    @property
    def duration(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        return len(self.values) * self.dt / 1000

    def weights(self, steps: int, step: float) -> Float[Array, "steps *regions"]:
        held = self.dt / 1000
        known = jnp.arange(len(self.values) + 1) * held
        edges = jnp.arange(steps + 1) * step
        columns = self.values.reshape(len(self.values), -1)
        integral = jnp.pad(jnp.cumsum(columns * held, axis=0), [(1, 0), (0, 0)])
        at_edges = jax.vmap(lambda c: jnp.interp(edges, known, c), 1, 1)(integral)
        return jnp.diff(at_edges, axis=0).reshape(steps, *self.values.shape[1:])


def _gamma_density(x: Array, shape: Array) -> Array:
    return _power(x, shape - 1) * jnp.exp(-x - gammaln(shape))


def _power(x: Array, exponent: Array) -> Array:
    """x to a power, 0 at 0, with finite derivatives there."""
    safe = jnp.where(x > 0, x, 1)
    return jnp.where(x > 0, jnp.exp(exponent * jnp.log(safe)), 0)
