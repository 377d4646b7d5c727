"""Couplings that saturate: of the sum that a region hears, or of each message before the sum."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._custom_types import Parameter, Value
from .._declare import param
from ._base import AbstractCoupling, as_it_is, times_gain


def _switch(x: Value, low: Any, high: Any, slope: Any, midpoint: Any) -> Array:
    """From `low` to `high` by a logistic function."""
    return low + (high - low) * jax.nn.sigmoid(slope * (x - midpoint))


class Sigmoidal(AbstractCoupling):
    r"""A sigmoid of the weighted sum.

    $$u_i = G\,\Big(c_{min} + (c_{max} - c_{min})\,
      \sigma\Big(s \Big(\sum_j W_{ij} x_j - m\Big)\Big)\Big), \qquad \sigma(z) = 1/(1 + e^{-z})$$

    A region without connections hears the sigmoid of 0, which is not 0. The Virtual Brain has
    $c$ from -1 to 1 and $s = a/\sigma$ = 1/230.
    """

    G: Parameter = param(1.0, unit="1", doc="global coupling", bounds=(0.0, 3.0))
    cmin: Parameter = param(0.0, unit="1", doc="smallest response", bounds=(-1.0, 1.0))
    cmax: Parameter = param(1.0, unit="1", doc="largest response", bounds=(0.0, 2.0))
    slope: Parameter = param(1.0, unit="1", doc="slope s, of the sum", bounds=(0.001, 10.0))
    midpoint: Parameter = param(0.0, unit="1", doc="sum m at the middle", bounds=(-10.0, 10.0))

    message = as_it_is

    def receive(self, target: Any, sums: Value, row_sums: Any) -> Value:
        del target, row_sums
        return self.G * _switch(sums, self.cmin, self.cmax, self.slope, self.midpoint)


class TanhOfSum(AbstractCoupling):
    r"""A hyperbolic tangent of the weighted sum, $u_i = G \tanh\big(s \sum_j W_{ij} x_j\big)$.

    The `tanh` of brainmass and tvboptim; that of The Virtual Brain is `SumOfTanh`.
    """

    G: Parameter = param(0.5, unit="1", doc="global coupling", bounds=(0.0, 3.0))
    slope: Parameter = param(2.0, unit="1", doc="slope s, of the sum", bounds=(0.001, 10.0))

    message = as_it_is

    def receive(self, target: Any, sums: Value, row_sums: Any) -> Value:
        del target, row_sums
        return self.G * jnp.tanh(self.slope * sums)


class SumOfTanh(AbstractCoupling):
    r"""The weighted sum of hyperbolic tangents, each shifted to be above 0.

    $$u_i = G \sum_j W_{ij}\,\big(1 + \tanh(s\,(x_j - m))\big)$$

    `HyperbolicTangent` of The Virtual Brain, with $s = b/\sigma$ and $m$ = its midpoint over $b$;
    the `tanh` of brainmass and tvboptim is `TanhOfSum`.
    """

    G: Parameter = param(1.0, unit="1", doc="global coupling", bounds=(0.0, 3.0))
    slope: Parameter = param(1.0, unit="1", doc="slope s, of the message", bounds=(0.001, 10.0))
    midpoint: Parameter = param(0.0, unit="1", doc="message m at the middle", bounds=(-10.0, 10.0))

    receive = times_gain

    def message(self, source: Value) -> Value:
        return 1 + jnp.tanh(self.slope * (source - self.midpoint))


class SigmoidalJansenRit(AbstractCoupling):
    r"""The weighted sum of firing rates, each a sigmoid of the sender's potential.

    $$u_i = G \sum_j W_{ij}\,\Big(c_{min} + \frac{c_{max} - c_{min}}{1 + e^{r (m - v_j)}}\Big)$$

    Of `nmm.JansenRit` it takes the observable `eeg`, $v = E - I$. The model also sends that
    sigmoid by itself (its `rate`, for `Linear`); here, the sigmoid has parameters of its own.

    Reference: Jansen, Rit (1995) Biological Cybernetics 73:357.
    """

    G: Parameter = param(1.0, unit="1", doc="global coupling", bounds=(0.0, 100.0))
    cmin: Parameter = param(0.0, unit="1/ms", doc="smallest rate", bounds=(0.0, 0.005))
    cmax: Parameter = param(0.005, unit="1/ms", doc="largest rate", bounds=(0.0, 0.01))
    midpoint: Parameter = param(6.0, unit="mV", doc="potential m at the middle", bounds=(3.0, 9.0))
    r: Parameter = param(0.56, unit="1/mV", doc="slope", bounds=(0.28, 0.84))
    source: str | tuple[str, ...] | None = eqx.field(default="eeg", static=True, kw_only=True)

    receive = times_gain

    def message(self, source: Value) -> Value:
        return _switch(source, self.cmin, self.cmax, self.r, self.midpoint)


class PreSigmoidal(AbstractCoupling):
    r"""The weighted sum of steep switches at a threshold.

    $$u_i = G \sum_j W_{ij}\,\big(Q + \tanh(s\,(P x_j - \theta_j))\big)$$

    The threshold is the parameter `theta` or, if `source` names two signals, the second of them,
    so that each sender has a threshold that moves. In The Virtual Brain, $G$ is `H` and $s$ is `G`.

    Reference: Golos, Jirsa, Daucé (2015) PLoS Computational Biology 11:e1004644.
    """

    G: Parameter = param(0.5, unit="1", doc="global coupling", bounds=(0.0, 3.0))
    Q: Parameter = param(1.0, unit="1", doc="offset of a message", bounds=(-1.0, 1.0))
    slope: Parameter = param(60.0, unit="1", doc="slope s", bounds=(0.1, 100.0))
    P: Parameter = param(1.0, unit="1", doc="gain of the source", bounds=(0.0, 10.0))
    theta: Parameter = param(0.5, unit="1", doc="threshold", bounds=(-1.0, 1.0))

    receive = times_gain

    def message(self, source: Value | tuple[Value, Value]) -> Value:
        x, theta = source if isinstance(source, tuple) else (source, self.theta)
        return self.Q + jnp.tanh(self.slope * (self.P * x - theta))
