import abc
from typing import Any, Literal

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from .._custom_types import Parameter, Value
from .._declare import param, slot, variable
from ._base import AbstractModel, Inputs, State
from ._synchrony import root

# A point of the space (mu2, -mu1, nu) of the unfolding, or a direction in it.
Point = tuple[Array, Array, Array]


def _mu1(default: float, point: str) -> Any:
    return param(default, unit="1", doc=f"mu1 of {point}", bounds=(-1.0, 1.0))


def _mu2(default: float, point: str) -> Any:
    return param(default, unit="1", doc=f"mu2 of {point}", bounds=(-1.0, 1.0))


def _nu(default: float, point: str) -> Any:
    return param(default, unit="1", doc=f"nu of {point}", bounds=(-1.0, 1.0))


class AbstractEpileptorCodim3(AbstractModel):
    """A fast pair on the unfolding of a codimension-3 singularity, whose parameters $z$ moves."""

    c: eqx.AbstractVar[Parameter]
    N: eqx.AbstractVar[Literal[1, 2, 3]]
    b: Parameter = param(1.0, unit="1", doc="type of the unfolding, a focus", bounds=(0.5, 1.5))
    R: Parameter = param(0.4, unit="1", doc="radius of the path", bounds=(0.0, 2.5))
    dstar: Parameter = param(0.3, unit="1", doc="excitability", bounds=(-0.1, 0.5))
    Ks: Parameter = param(0.0, unit="1", doc="slow coupling, onto z", bounds=(-4.0, 4.0))
    modification: Parameter = param(
        1.0, unit="1", doc="strength of the term that keeps z bounded", bounds=(0.0, 2.0)
    )

    class Inputs(Inputs):
        x_inp: Value = slot(unit="1", doc="coupling of x, times Ks")

    source = "x"
    target = "x_inp"
    output = "x"
    category = "phenomenological"
    reference = "Saggio et al. (2017) Journal of Mathematical Neuroscience 7:7"

    @abc.abstractmethod
    def ends(self, state: Any) -> tuple[Point, Point]:
        """The points between which the path of `z` runs, of offset and of onset."""

    def _seizures(self, state: Any, inputs: Any) -> dict[str, Array]:
        """The derivatives of x, y and z."""
        x, y, z = state.x, state.y, state.z
        mu2, minus_mu1, nu = along_arc(*self.ends(state), z, self.R)
        mu1 = -minus_mu1
        distance = root((x - resting_branch(mu1, mu2, self.N)) ** 2 + y**2)
        restoring = 0.1 * self.modification * (z - 0.5) ** 7
        return {
            "x": -y,
            "y": x**3 - mu2 * x - mu1 - y * (nu + self.b * x + x**2),
            "z": -self.c * (distance - self.dstar + restoring + self.Ks * inputs.x_inp),
        }


class EpileptorCodim3(AbstractEpileptorCodim3):
    r"""Classes of seizures by the bifurcations of onset and offset, around one singularity.

    $$\dot x = -y, \qquad \dot y = x^3 - \mu_2 x - \mu_1 - y\,(\nu + b x + x^2)$$
    $$\dot z = -c\,(\sqrt{(x - x_s)^2 + y^2} - d^* + 0.1\,(z - 0.5)^7 + K_s c_x)$$

    On the sphere of radius $R$, $(\mu_2, -\mu_1, \nu) = R\,(E \cos z + F \sin z)$ moves along the
    great circle from the point of offset (`_start`) to that of onset (`_stop`); $x_s$ is the
    resting branch of $x^3 - \mu_2 x - \mu_1 = 0$: `N` = 1 its largest, 2 its smallest, 3 its
    middle root. The points choose the class of the seizure; the defaults are the class c2s. It
    bursts with a period of 694 (preset `"seizing"`, the default); with $d^*$ < 0 it rests (preset
    `"resting"`, -0.05). Where the branch has vanished, $x_s$ is the real part of the pair that it
    became; there it has a kink, and no derivative at the fold. One unit of time is taken as 1 ms.

    The seventh power, which keeps $z$ bounded, is not in the paper: `modification` = 0 is without.
    As The Virtual Brain, but for $\mu_2 < 0$, where its $x_s$ is no root; and every parameter may
    be regional.

    Reference: Saggio, Spiegler, Bernard, Jirsa (2017) Journal of Mathematical Neuroscience 7:7.
    """

    mu1_start: Parameter = _mu1(-0.02285, "the offset")
    mu2_start: Parameter = _mu2(0.3448, "the offset")
    nu_start: Parameter = _nu(0.2014, "the offset")
    mu1_stop: Parameter = _mu1(-0.07465, "the onset")
    mu2_stop: Parameter = _mu2(0.3351, "the onset")
    nu_stop: Parameter = _nu(0.2053, "the onset")
    c: Parameter = param(0.001, unit="1/ms", doc="rate of z", bounds=(0.0, 0.01))
    N: Literal[1, 2, 3] = eqx.field(default=1, static=True)

    class State(State):
        x: Value = variable(0.5, unit="1", doc="discharges", start=(0.4, 0.6))
        y: Value = variable(0.0, unit="1", doc="derivative of x, negative", start=(-0.1, 0.1))
        z: Value = variable(0.05, unit="1", doc="slow place on the path", start=(0.0, 0.15))

    use = "taxonomy of seizures"
    presets = {"seizing": {"dstar": 0.3}, "resting": {"dstar": -0.05}}

    def ends(self, state: State) -> tuple[Point, Point]:
        del state
        start = (self.mu2_start, -self.mu1_start, self.nu_start)
        return start, (self.mu2_stop, -self.mu1_stop, self.nu_stop)

    def vector_field(self, t: Any, state: State, inputs: AbstractEpileptorCodim3.Inputs) -> State:
        del t  # autonomous
        return self.State(**self._seizures(state, inputs))


class EpileptorCodim3SlowMod(AbstractEpileptorCodim3):
    r"""Seizures whose class changes slowly: the path between onset and offset itself moves.

    `nmm.EpileptorCodim3`, whose equations these are, between points that move along arcs of the
    sphere, of offset $A$ from `Ain` to `Aend` at the angle $u_A$, and of onset $B$ from `Bin` to
    `Bend` at the angle $u_B$:

    $$\dot u_A = c_A, \qquad \dot u_B = c_B$$

    The points stop at the ends of their arcs (after 21,510 and 21,305 units of time at the
    defaults), beyond which angles have no effect; in The Virtual Brain they go on. The amplitude of
    seizures grows along the path. Smooth but for the stops and for what `nmm.EpileptorCodim3` says.
    One unit of time is taken as 1 ms.

    Reference: Saggio, Spiegler, Bernard, Jirsa (2017) Journal of Mathematical Neuroscience 7:7.
    """

    mu1_Ain: Parameter = _mu1(0.05494, "the first offset")
    mu2_Ain: Parameter = _mu2(0.2731, "the first offset")
    nu_Ain: Parameter = _nu(0.287, "the first offset")
    mu1_Bin: Parameter = _mu1(-0.0461, "the first onset")
    mu2_Bin: Parameter = _mu2(0.243, "the first onset")
    nu_Bin: Parameter = _nu(0.3144, "the first onset")
    mu1_Aend: Parameter = _mu1(0.06485, "the last offset")
    mu2_Aend: Parameter = _mu2(0.07337, "the last offset")
    nu_Aend: Parameter = _nu(-0.3878, "the last offset")
    mu1_Bend: Parameter = _mu1(0.03676, "the last onset")
    mu2_Bend: Parameter = _mu2(-0.02792, "the last onset")
    nu_Bend: Parameter = _nu(-0.3973, "the last onset")
    c: Parameter = param(0.002, unit="1/ms", doc="rate of z", bounds=(0.0, 0.01))
    cA: Parameter = param(1e-4, unit="1/ms", doc="rate of the offset point", bounds=(0.0, 0.001))
    cB: Parameter = param(1.2e-4, unit="1/ms", doc="rate of the onset point", bounds=(0.0, 0.001))
    N: Literal[1, 2, 3] = eqx.field(default=1, static=True)

    class State(State):
        x: Value = variable(0.5, unit="1", doc="discharges", start=(0.4, 0.6))
        y: Value = variable(0.0, unit="1", doc="derivative of x, negative", start=(-0.1, 0.1))
        z: Value = variable(0.05, unit="1", doc="slow place on the path", start=(0.0, 0.1))
        uA: Value = variable(0.0, unit="rad", doc="place of the offset point", start=(0.0, 0.1))
        uB: Value = variable(0.0, unit="rad", doc="place of the onset point", start=(0.0, 0.1))

    use = "seizures of changing class"

    def ends(self, state: State) -> tuple[Point, Point]:
        first_A = (self.mu2_Ain, -self.mu1_Ain, self.nu_Ain)
        first_B = (self.mu2_Bin, -self.mu1_Bin, self.nu_Bin)
        last_A = (self.mu2_Aend, -self.mu1_Aend, self.nu_Aend)
        last_B = (self.mu2_Bend, -self.mu1_Bend, self.nu_Bend)
        at_A = jnp.minimum(state.uA, angle(first_A, last_A))
        at_B = jnp.minimum(state.uB, angle(first_B, last_B))
        return (
            along_arc(first_A, last_A, at_A, self.R),
            along_arc(first_B, last_B, at_B, self.R),
        )

    def vector_field(self, t: Any, state: State, inputs: AbstractEpileptorCodim3.Inputs) -> State:
        del t  # autonomous
        still = jnp.zeros_like(state.uA)
        return self.State(**self._seizures(state, inputs), uA=self.cA + still, uB=self.cB + still)


def along_arc(start: Point, stop: Point, z: Array, radius: Array) -> Point:
    """The point at the angle `z` from `start` on the great circle through it towards `stop`."""
    E, F = _frame(start, stop)
    forward, sideways = radius * jnp.cos(z), radius * jnp.sin(z)
    first, second, third = (forward * e + sideways * f for e, f in zip(E, F, strict=True))
    return first, second, third


def angle(start: Point, stop: Point) -> Array:
    """The angle between two points, seen from the origin, in [0, pi]."""
    E, F = _frame(start, stop)
    x, y = _dot(stop, E), _dot(stop, F)
    somewhere = x**2 + y**2 > 0
    return jnp.arctan2(y, jnp.where(somewhere, x, 1.0))


def resting_branch(mu1: Array, mu2: Array, N: int) -> Array:
    r"""The root of $x^3 - \mu_2 x - \mu_1$ of the branch `N`, or the real part that is left of it.

    With $D = \mu_1^2/4 - \mu_2^3/27$, there are three roots where $D < 0$, and the branch is one of
    them. Elsewhere there is one, and the branch is the real part of Cardano's formula with
    principal cube roots, as published: for `N` = 1, the root itself where $\mu_1 > 0$, and the real
    part of the other two where $\mu_1 < 0$. Where $\mu_2 < 0$, it is the one root.
    """
    D = mu1**2 / 4 - mu2**3 / 27
    size = root(jnp.abs(D))
    three = D < 0
    # The angle of mu1/2 + i sqrt(-D), which is never 0 where there are three roots.
    theta = jnp.arctan2(jnp.where(three, size, 0.0), jnp.where(three, mu1 / 2, 1.0))
    turn = {1: 0.0, 2: 2 * jnp.pi / 3, 3: -2 * jnp.pi / 3}[N]
    trigonometric = 2 * root(jnp.maximum(mu2, 0) / 3) * jnp.cos(theta / 3 + turn)
    # Of Cardano's two cube roots, whose product is mu2 / 3, the larger: the other one cancels.
    rising = mu1 > 0
    cubed = jnp.where(rising, 1, -1) * (jnp.abs(mu1) / 2 + size)
    somewhere = ~three & (cubed != 0)
    larger = jnp.cbrt(jnp.where(somewhere, cubed, 1.0))
    smaller = mu2 / (3 * larger)
    # The principal cube roots of positive and of negative numbers, turned by N, and their real
    # parts; with mu2 < 0 the one root.
    of_larger, of_smaller = {1: (-0.5, -0.5), 2: (-0.5, 1.0), 3: (1.0, -0.5)}[N]
    turned = 1.0 if N == 1 else -0.5
    weight = jnp.where(rising, turned, of_larger), jnp.where(rising, turned, of_smaller)
    first, second = (jnp.where(mu2 < 0, 1.0, w) for w in weight)
    cardano = jnp.where(somewhere, first * larger + second * smaller, 0.0)
    return jnp.where(three, trigonometric, cardano)


def _frame(start: Point, stop: Point) -> tuple[Point, Point]:
    """Unit vectors towards `start`, and perpendicular to it towards `stop`."""
    E = _unit(start)
    along = _dot(stop, E)
    a, b, c = (s - along * e for s, e in zip(stop, E, strict=True))
    return E, _unit((a, b, c))


def _unit(v: Point) -> Point:
    """The direction of a vector; 0 of the vector 0."""
    squared = _dot(v, v)
    length = root(jnp.where(squared > 0, squared, 1.0))
    a, b, c = (x / length for x in v)
    return a, b, c


def _dot(v: Point, w: Point) -> Array:
    return v[0] * w[0] + v[1] * w[1] + v[2] * w[2]
