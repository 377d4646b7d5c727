"""Heterogeneous populations of excitable neurons, reduced to three modes each."""

from typing import Any, NamedTuple

import equinox as eqx
from jaxtyping import Array

from .._custom_types import Parameter, Value
from .._declare import param, slot, variable
from ._base import AbstractModel, Inputs, State, observable

Modes = tuple[Array, Array, Array]


class Projection(NamedTuple):
    """Integrals over the three modes V_i; Z is the drive of a neuron and phi its density."""

    I: Modes  # of V_i
    G: Modes  # of phi V_i
    Q: Modes  # of V_i^4
    C: Modes  # of V_i^3
    D: Modes  # of Z V_i


def projection(mu: Array, sigma: Array) -> Projection:
    r"""The constants of modes that are blocks of the quantiles of a normal distribution.

    $V_i$ is constant on a third of 1500 quantiles of $N(\mu, \sigma^2)$, 0 elsewhere, and of norm
    1. All integrals scale from those of $N(0, 1)$, which were computed by the trapezoidal rule.
    """
    outer, inner = 1.666876246130034, 0.9278169186250886
    moment = 3.0331488271349727
    size = sigma**0.5

    def three(first: float, second: float, scale: Array) -> Modes:
        return first * scale, second * scale, first * scale

    low, middle, high = I = three(outer, inner, size)
    spread = moment * sigma * size
    return Projection(
        I=I,
        G=three(0.1996648412812399, 0.3590271291844714, 1 / size),
        Q=three(0.3599094787464395, 1.1616503426964113, 1 / sigma),
        C=three(0.5999245608794821, 1.0777988414803623, 1 / size),
        D=(mu * low - spread, mu * middle, mu * high + spread),
    )


class AbstractReducedSet(AbstractModel):
    """An excitatory and an inhibitory population of neurons whose drives differ."""

    K12: eqx.AbstractVar[Parameter]
    sigma: eqx.AbstractVar[Parameter]
    mu: eqx.AbstractVar[Parameter]
    compat: eqx.AbstractVar[bool]
    K11: Parameter = param(0.5, unit="1", doc="E onto E", bounds=(0.0, 1.0))
    K21: Parameter = param(0.15, unit="1", doc="E onto I", bounds=(0.0, 1.0))

    class Inputs(Inputs):
        drive: Value = slot(unit="1", doc="drive of all modes of E and of I")

    source = "xi"
    target = "drive"
    output = "mean_field"
    category = "phenomenological"
    reference = "Stefanescu, Jirsa (2008) PLoS Computational Biology 4:e1000219"

    def _exchange(self, p: Projection, xi: Modes, alpha: Modes) -> tuple[list[Array], list[Array]]:
        """What the modes of E, and those of I, get from the mean fields of both populations."""
        of_E, of_I = _dot(p.G, xi), _dot(p.G, alpha)
        inhibition = [i * of_I for i in p.I]
        if self.compat:
            inhibition = [g * _dot(p.I, alpha) for g in p.G]
        E = [
            self.K11 * (i * of_E - x) - self.K12 * (out - x)
            for i, x, out in zip(p.I, xi, inhibition, strict=True)
        ]
        return E, [self.K21 * (i * of_E - a) for i, a in zip(p.I, alpha, strict=True)]

    @observable(unit="1")
    def xi(self, state: Any) -> Array:
        """Sum of the modes of E, which other regions hear."""
        return state.xi1 + state.xi2 + state.xi3

    @observable(unit="1")
    def mean_field(self, state: Any) -> Array:
        """Mean of the excitatory neurons."""
        return _dot(projection(self.mu, self.sigma).G, (state.xi1, state.xi2, state.xi3))


def _mode(population: str, number: int, start: tuple[float, float], default: float = 0.1) -> Any:
    return variable(default, unit="1", doc=f"{population}, mode {number}", start=start)


class ReducedSetFitzHughNagumo(AbstractReducedSet):
    r"""Three modes each of excitatory and inhibitory FitzHugh–Nagumo neurons with spread drives.

    For the modes $i$ = 1, 2, 3, with sums over modes $k$,

    $$\dot\xi_i = \tau (\xi_i - Q_i \xi_i^3/3 - \eta_i) + K_{11} (I_i \textstyle\sum G_k \xi_k
      - \xi_i) - K_{12} (I_i \sum G_k \alpha_k - \xi_i) + \tau (D_i + u)$$
    $$\dot\alpha_i = \tau (\alpha_i - Q_i \alpha_i^3/3 - \beta_i) + K_{21} (I_i \textstyle\sum G_k
      \xi_k - \alpha_i) + \tau (D_i + u)$$
    $$\tau \dot\eta_i = \xi_i - b \eta_i + a I_i, \qquad \tau \dot\beta_i = \alpha_i - b \beta_i
      + a I_i$$

    where $I, G, Q, D$ are integrals of the modes, which follow from the mean $\mu$ and the width
    $\sigma$ of the drives, and can be differentiated; $u$ arrives at `drive`. Other regions hear
    the plain sum of $\xi_i$; the mean of the neurons is `mean_field`, which is irregular at the
    defaults, with cycles of about 10 units of time. Smooth. One unit of time is taken as 1 ms.

    `compat` = True has the transposed term $G_i \sum I_k \alpha_k$ of The Virtual Brain (preset
    `"tvb"`).

    Reference: Stefanescu, Jirsa (2008) PLoS Computational Biology 4:e1000219.
    """

    tau: Parameter = param(3.0, unit="1", doc="separation of time scales", bounds=(1.5, 4.5))
    a: Parameter = param(0.45, unit="1", doc="shift of the recovery", bounds=(0.0, 1.0))
    b: Parameter = param(0.9, unit="1", doc="decay of the recovery", bounds=(0.0, 1.0))
    K12: Parameter = param(0.15, unit="1", doc="I onto E", bounds=(0.0, 1.0))
    sigma: Parameter = param(0.35, unit="1", doc="width of the drives", bounds=(0.05, 1.0))
    mu: Parameter = param(0.0, unit="1", doc="mean of the drives", bounds=(-1.0, 1.0))
    compat: bool = eqx.field(default=False, static=True)

    class State(State):
        xi1: Value = _mode("E", 1, (-4.0, 4.0))
        xi2: Value = _mode("E", 2, (-4.0, 4.0))
        xi3: Value = _mode("E", 3, (-4.0, 4.0))
        eta1: Value = _mode("recovery of E", 1, (-3.0, 3.0))
        eta2: Value = _mode("recovery of E", 2, (-3.0, 3.0))
        eta3: Value = _mode("recovery of E", 3, (-3.0, 3.0))
        alpha1: Value = _mode("I", 1, (-4.0, 4.0))
        alpha2: Value = _mode("I", 2, (-4.0, 4.0))
        alpha3: Value = _mode("I", 3, (-4.0, 4.0))
        beta1: Value = _mode("recovery of I", 1, (-3.0, 3.0))
        beta2: Value = _mode("recovery of I", 2, (-3.0, 3.0))
        beta3: Value = _mode("recovery of I", 3, (-3.0, 3.0))

    use = "populations of different excitable neurons"
    presets = {"tvb": {"sigma": 0.35, "compat": True}}

    def vector_field(self, t: Any, state: State, inputs: AbstractReducedSet.Inputs) -> State:
        del t  # autonomous
        xi, eta, alpha, beta = _by_variable(state)
        p = projection(self.mu, self.sigma)
        to_E, to_I = self._exchange(p, xi, alpha)

        def fast(v: Modes, w: Modes, heard: list[Array]) -> list[Array]:
            return [
                self.tau * (x - q * x**3 / 3 - y + d + inputs.drive) + h
                for x, y, q, d, h in zip(v, w, p.Q, p.D, heard, strict=True)
            ]

        def slow(v: Modes, w: Modes) -> list[Array]:
            return [
                (x - self.b * y + self.a * i) / self.tau for x, y, i in zip(v, w, p.I, strict=True)
            ]

        return self.State(
            *fast(xi, eta, to_E), *slow(xi, eta), *fast(alpha, beta, to_I), *slow(alpha, beta)
        )


class ReducedSetHindmarshRose(AbstractReducedSet):
    r"""Three modes each of excitatory and inhibitory Hindmarsh–Rose neurons with spread drives.

    For the modes $i$ = 1, 2, 3, with sums over modes $k$,

    $$\dot\xi_i = \eta_i - a Q_i \xi_i^3 + b C_i \xi_i^2 - \tau_i + K_{11} (I_i \textstyle\sum
      G_k \xi_k - \xi_i) - K_{12} (I_i \sum G_k \alpha_k - \xi_i) + D_i + u$$
    $$\dot\eta_i = c I_i - d C_i \xi_i^2 - \eta_i, \qquad
      \dot\tau_i = r\,(s \xi_i - \tau_i - s x_o I_i)$$

    and the same for the inhibitory $\alpha_i, \beta_i, \gamma_i$, which get $K_{21} (I_i \sum G_k
    \xi_k - \alpha_i)$ from the mean fields. $I, G, Q, C, D$ are integrals of the modes, which
    follow from the mean $\mu$ and the width $\sigma$ of the drives, and can be differentiated; $u$
    arrives at `drive`. Other regions hear the plain sum of $\xi_i$; the mean of the neurons
    is `mean_field`, which bursts irregularly at the defaults. Smooth. One unit of time is taken as
    1 ms.

    `compat` = True has the transposed term $G_i \sum I_k \alpha_k$ of The Virtual Brain (preset
    `"tvb"`). $C_i$ in the equation of $\eta_i$ corrects a misprint of the paper.

    Reference: Stefanescu, Jirsa (2008) PLoS Computational Biology 4:e1000219.
    """

    r: Parameter = param(0.006, unit="1", doc="rate of the slow variable", bounds=(0.0, 0.1))
    a: Parameter = param(1.0, unit="1", doc="cubic term", bounds=(0.0, 2.0))
    b: Parameter = param(3.0, unit="1", doc="quadratic term", bounds=(0.0, 6.0))
    c: Parameter = param(1.0, unit="1", doc="constant of the recovery", bounds=(0.0, 2.0))
    d: Parameter = param(5.0, unit="1", doc="quadratic term of the recovery", bounds=(2.5, 7.5))
    s: Parameter = param(4.0, unit="1", doc="adaptation", bounds=(2.0, 6.0))
    xo: Parameter = param(-1.6, unit="1", doc="rest of the adaptation", bounds=(-2.4, -0.8))
    K12: Parameter = param(0.1, unit="1", doc="I onto E", bounds=(0.0, 1.0))
    sigma: Parameter = param(0.3, unit="1", doc="width of the drives", bounds=(0.05, 1.0))
    mu: Parameter = param(3.3, unit="1", doc="mean of the drives", bounds=(1.1, 5.0))
    compat: bool = eqx.field(default=False, static=True)

    class State(State):
        xi1: Value = _mode("E", 1, (-4.0, 4.0))
        xi2: Value = _mode("E", 2, (-4.0, 4.0))
        xi3: Value = _mode("E", 3, (-4.0, 4.0))
        eta1: Value = _mode("recovery of E", 1, (-25.0, 20.0))
        eta2: Value = _mode("recovery of E", 2, (-25.0, 20.0))
        eta3: Value = _mode("recovery of E", 3, (-25.0, 20.0))
        tau1: Value = _mode("adaptation of E", 1, (2.0, 10.0), 3.0)
        tau2: Value = _mode("adaptation of E", 2, (2.0, 10.0), 3.0)
        tau3: Value = _mode("adaptation of E", 3, (2.0, 10.0), 3.0)
        alpha1: Value = _mode("I", 1, (-4.0, 4.0))
        alpha2: Value = _mode("I", 2, (-4.0, 4.0))
        alpha3: Value = _mode("I", 3, (-4.0, 4.0))
        beta1: Value = _mode("recovery of I", 1, (-20.0, 20.0))
        beta2: Value = _mode("recovery of I", 2, (-20.0, 20.0))
        beta3: Value = _mode("recovery of I", 3, (-20.0, 20.0))
        gamma1: Value = _mode("adaptation of I", 1, (2.0, 10.0), 3.0)
        gamma2: Value = _mode("adaptation of I", 2, (2.0, 10.0), 3.0)
        gamma3: Value = _mode("adaptation of I", 3, (2.0, 10.0), 3.0)

    use = "populations of different bursting neurons"
    presets = {"tvb": {"sigma": 0.3, "compat": True}}

    def vector_field(self, t: Any, state: State, inputs: AbstractReducedSet.Inputs) -> State:
        del t  # autonomous
        xi, eta, tau, alpha, beta, gamma = _by_variable(state)
        p = projection(self.mu, self.sigma)
        to_E, to_I = self._exchange(p, xi, alpha)

        def fast(v: Modes, w: Modes, z: Modes, heard: list[Array]) -> list[Array]:
            return [
                y - self.a * q * x**3 + self.b * k * x**2 - u + d + inputs.drive + h
                for x, y, u, q, k, d, h in zip(v, w, z, p.Q, p.C, p.D, heard, strict=True)
            ]

        def recovery(v: Modes, w: Modes) -> list[Array]:
            return [
                self.c * i - self.d * k * x**2 - y
                for x, y, i, k in zip(v, w, p.I, p.C, strict=True)
            ]

        def slow(v: Modes, z: Modes) -> list[Array]:
            return [
                self.r * (self.s * (x - self.xo * i) - u) for x, u, i in zip(v, z, p.I, strict=True)
            ]

        return self.State(
            *fast(xi, eta, tau, to_E),
            *recovery(xi, eta),
            *slow(xi, tau),
            *fast(alpha, beta, gamma, to_I),
            *recovery(alpha, beta),
            *slow(alpha, gamma),
        )


def _by_variable(state: Any) -> list[Modes]:
    """The variables of a state, three modes each, in order."""
    values = list(vars(state).values())
    return [(a, b, c) for a, b, c in zip(values[::3], values[1::3], values[2::3], strict=True)]


def _dot(v: Modes, w: Modes) -> Array:
    return v[0] * w[0] + v[1] * w[1] + v[2] * w[2]
