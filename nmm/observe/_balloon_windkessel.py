"""Haemodynamics: from neural activity to the BOLD signal."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._custom_types import Parameter
from .._declare import check_parameters, float_dtype, is_concrete, param, parameter_shape
from ..noise._base import check_positive


class ClassicalSignal(eqx.Module):
    r"""$k_1 = 7\rho$, $k_2 = 2$, $k_3 = 2\rho - 0.2$: 1.5 T, echo time 40 ms.

    Reference: Buxton, Wong, Frank (1998) Magnetic Resonance in Medicine 39:855; Friston et al.
    (2000) NeuroImage 12:466.
    """

    def weights(self, rho: Array) -> tuple[Any, Any, Any]:
        return 7 * rho, 2.0, 2 * rho - 0.2


class StephanSignal(eqx.Module):
    r"""$k_1 = 7\rho$, $k_2 = 2\rho$, $k_3 = 1 - \epsilon$: the classical coefficients of Stephan
    et al. (2007) NeuroImage 38:387, as The Virtual Brain has them too."""

    epsilon: Parameter = param(
        0.5, unit="1", doc="intra- to extravascular signal", bounds=(0.1, 2.0)
    )

    def weights(self, rho: Array) -> tuple[Any, Any, Any]:
        return 7 * rho, 2 * rho, 1 - self.epsilon


class RevisedSignal(eqx.Module):
    r"""$k_1 = 4.3\,\nu_0 \rho\,TE$, $k_2 = \epsilon r_0 \rho\,TE$, $k_3 = 1 - \epsilon$.

    Reference: Stephan, Weiskopf, Drysdale, Robinson, Friston (2007) NeuroImage 38:387; values for
    other field strengths: Heinzle, Koopmans, den Ouden, Raman, Stephan (2016) NeuroImage 125:556.
    """

    epsilon: Parameter = param(
        0.5, unit="1", doc="intra- to extravascular signal", bounds=(0.1, 2.0)
    )
    nu0: Parameter = param(40.3, unit="1/s", doc="frequency offset", bounds=(10.0, 300.0))
    r0: Parameter = param(
        25.0, unit="1/s", doc="intravascular relaxation slope", bounds=(1.0, 400.0)
    )
    TE: Parameter = param(0.04, unit="s", doc="echo time", bounds=(0.005, 0.1))

    def __check_init__(self) -> None:
        check_positive(self, "nu0", "r0", "TE")

    def weights(self, rho: Array) -> tuple[Any, Any, Any]:
        return (
            4.3 * self.nu0 * rho * self.TE,
            self.epsilon * self.r0 * rho * self.TE,
            1 - self.epsilon,
        )


class FixedSignal(eqx.Module):
    """Given weights $k_1$, $k_2$, $k_3$. They do not follow `rho` where that is fitted."""

    k1: Parameter = param(2.38, unit="1", doc="weight of 1 - q", bounds=(0.0, 10.0))
    k2: Parameter = param(2.0, unit="1", doc="weight of 1 - q/v", bounds=(0.0, 10.0))
    k3: Parameter = param(0.48, unit="1", doc="weight of 1 - v", bounds=(-1.0, 2.0))

    def weights(self, rho: Array) -> tuple[Any, Any, Any]:
        del rho
        return self.k1, self.k2, self.k3


class LinearSignal(eqx.Module):
    r"""The signal linearised about rest, $y = V_0\,((k_1 + k_2)(1 - q) + (k_3 - k_2)(1 - v))$, with
    the weights of another one.

    **Arguments:**

    - `of`: the signal whose weights these are.
    """

    of: "ClassicalSignal | StephanSignal | RevisedSignal | FixedSignal" = eqx.field(
        default_factory=RevisedSignal
    )

    def weights(self, rho: Array) -> tuple[Any, Any, Any]:
        k1, k2, k3 = self.of.weights(rho)
        return k1 + k2, 0.0, k3 - k2


class HaemodynamicState(eqx.Module):
    """State of the vessels; all 0 but `ratio`, which is 1, at rest.

    **Attributes:**

    - `s`: flow-inducing signal, 1/s.
    - `flow`: relative inflow f - 1.
    - `log_volume`: log v. Volume stays positive whatever the numbers.
    - `ratio`: q/v, deoxyhaemoglobin per volume.
    """

    s: Float[Array, "*shape"]
    flow: Float[Array, "*shape"]
    log_volume: Float[Array, "*shape"]
    ratio: Float[Array, "*shape"]


class BalloonWindkessel(eqx.Module):
    r"""Haemodynamic response of a region to its neural activity $z$.

    $$\dot s = z - \kappa s - \gamma (f - 1), \qquad \dot f = s$$
    $$\tau \dot v = f - v^{1/\alpha}, \qquad
      \tau \dot q = f\,\frac{1 - (1 - \rho)^{1/f}}{\rho} - v^{1/\alpha - 1} q$$
    $$y = V_0\,(k_1 (1 - q) + k_2 (1 - q/v) + k_3 (1 - v))$$

    Exactly 0 at rest. $\kappa$ and $\gamma$ are rates, in 1/s; part of the literature uses the same
    digits as time constants, which makes the response twice as fast and several times smaller
    (preset `"tvboptim"`). Constants are in seconds, as published; times given to the methods are
    in ms.

    Robust for any finite input, in value and gradient: the linear part is solved exactly, the
    volume in its logarithm, and $q/v$, which obeys $\tau\,\dot c = (f/v)\,(E(f)/\rho - c)$, by its
    exponential. Where an input below $-\gamma$ would stop the inflow, $v$ and $q$ see it at 0.001;
    above 1000 they see 1000.

    Reference: Friston, Harrison, Penny (2003) NeuroImage 19:1273, whose constants are the default.
    """

    kappa: Parameter = param(0.65, unit="1/s", doc="signal decay", bounds=(0.3, 2.0))
    gamma: Parameter = param(
        0.41, unit="1/s^2", doc="flow-dependent elimination", bounds=(0.2, 3.0)
    )
    tau: Parameter = param(0.98, unit="s", doc="transit time", bounds=(0.5, 3.0))
    alpha: Parameter = param(0.32, unit="1", doc="stiffness exponent", bounds=(0.1, 0.6))
    rho: Parameter = param(0.34, unit="1", doc="resting oxygen extraction", bounds=(0.1, 0.9))
    V0: Parameter = param(0.02, unit="1", doc="resting blood volume", bounds=(0.01, 8.0))
    signal: ClassicalSignal | StephanSignal | RevisedSignal | FixedSignal | LinearSignal = (
        eqx.field(default_factory=ClassicalSignal)
    )

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "friston2003": {},
        "friston2000": {"kappa": 1 / 1.54, "gamma": 1 / 2.46, "alpha": 0.33},
        "friston2000_figure": {
            "kappa": 1 / 0.8,
            "gamma": 1 / 0.4,
            "tau": 1.0,
            "alpha": 0.2,
            "rho": 0.8,
        },
        "tvboptim": {
            "kappa": 1 / 0.65,
            "gamma": 1 / 0.41,
            "rho": 0.4,
            "V0": 0.04,
            "signal": lambda: FixedSignal(k1=4.3 * 40.3 * 0.4 * 0.04, k2=25 * 0.4 * 0.04, k3=1.0),
        },
        "vbjax": {
            "kappa": 1 / 0.65,
            "gamma": 1 / 0.41,
            "rho": 0.4,
            "V0": 4.0,
            "signal": RevisedSignal,
        },
        "tvb": {
            "kappa": 1 / 1.54,
            "gamma": 1 / 1.44,
            "rho": 0.4,
            "V0": 4.0,
            "signal": RevisedSignal,
        },
        "spm": {
            "kappa": 0.64,
            "gamma": 0.32,
            "tau": 2.0,
            "rho": 0.4,
            "V0": 4.0,
            "signal": lambda: RevisedSignal(epsilon=1.0),
        },
        "spm_older": {"tau": 2.0},
        "heinzle2016_3t": {"signal": lambda: FixedSignal(k1=3.72, k2=0.527, k3=0.53)},
    }

    def __check_init__(self) -> None:
        check_parameters(self)
        check_positive(self, "gamma", "tau", "alpha", "rho")
        for name in ("alpha", "rho"):
            value = getattr(self, name)
            if is_concrete(value) and not np.all(np.asarray(value) < 1):
                raise ValueError(
                    f"`{name}` of `BalloonWindkessel` should be between 0 and 1, got {value}."
                )

    @classmethod
    def preset(cls, name: str, **parameters: Any) -> "BalloonWindkessel":
        """The published set of constants of this name.

        **Arguments:**

        - `name`: `"friston2003"` (the default constants), `"friston2000"`, `"friston2000_figure"`,
            `"tvboptim"`, `"vbjax"` and `"tvb"` and `"spm"` (these three in per cent),
            `"spm_older"`, `"heinzle2016_3t"` (the default constants with the output of a 3 T
            scanner at an echo time of 30 ms, as cuBNM has it).
        - `parameters`: values that go before those of the set.

        **Raises:**

        - `ValueError` if there is no set of that name.
        """
        if name not in cls.presets:
            raise ValueError(f"`name` should be one of {sorted(cls.presets)}, got {name!r}.")
        chosen: dict[str, Any] = {**cls.presets[name], **parameters}
        signal = chosen.pop("signal", ClassicalSignal)
        chosen["signal"] = signal() if callable(signal) else signal
        return cls(**chosen)

    def init(self, like: Float[Array, "*shape"]) -> HaemodynamicState:
        """Rest, for a signal of this shape.

        **Raises:**

        - `ValueError` if a constant is regional, and the signal has other regions.
        """
        regional = parameter_shape(self)
        if regional not in ((), like.shape[-1:]):
            raise ValueError(
                f"The constants of `BalloonWindkessel` are given for {regional[0]} regions; the "
                f"signal has the shape {like.shape}."
            )
        rest = jnp.zeros(like.shape, float_dtype(self, like))
        return HaemodynamicState(s=rest, flow=rest, log_volume=rest, ratio=rest + 1)

    def vector_field(
        self, state: HaemodynamicState, z: Float[Array, "*shape"]
    ) -> HaemodynamicState:
        """The derivative of the state, per second, under the activity `z`."""
        inflow, extraction = self._inflow(state.flow)
        through = inflow * jnp.exp(-state.log_volume)
        return HaemodynamicState(
            s=z - self.kappa * state.s - self.gamma * state.flow,
            flow=state.s,
            log_volume=(through - self._outflow(state.log_volume)) / self.tau,
            ratio=through * (extraction - state.ratio) / self.tau,
        )

    def advance(
        self, state: HaemodynamicState, z: Float[Array, "*shape"], duration: Any
    ) -> HaemodynamicState:
        """The state after `duration` ms of constant activity `z`; second order in `duration`.

        The signal and the flow are exact for `duration` below about a second.
        """
        h = duration / 1000
        # exp(h A) of the linear part about its equilibrium, with A = [[-kappa, -gamma], [1, 0]].
        x = h**2 * (self.kappa**2 / 4 - self.gamma)
        cosh = 1 + x / 2 * (1 + x / 12 * (1 + x / 30 * (1 + x / 56)))
        sinh = 1 + x / 6 * (1 + x / 20 * (1 + x / 42 * (1 + x / 72)))
        decay, half = jnp.exp(-h * self.kappa / 2), h * self.kappa / 2
        settled = z / self.gamma
        away = state.flow - settled
        s = decay * ((cosh - half * sinh) * state.s - h * self.gamma * sinh * away)
        flow = settled + decay * (h * sinh * state.s + (cosh + half * sinh) * away)
        middle = (state.flow + flow) / 2 + h / 8 * (state.s - s)

        inflow, extraction = self._inflow(middle)
        through, outflow = inflow * jnp.exp(-state.log_volume), self._outflow(state.log_volume)
        slope = -(through + (1 / self.alpha - 1) * outflow)
        # Linearly implicit midpoint: no step in the logarithm is longer than about 2.
        log_volume = state.log_volume + h * (through - outflow) / (self.tau - h / 2 * slope)
        exchange = inflow * jnp.exp(-(state.log_volume + log_volume) / 2)
        ratio = extraction + (state.ratio - extraction) * jnp.exp(-h * exchange / self.tau)
        return HaemodynamicState(s=s, flow=flow, log_volume=log_volume, ratio=ratio)

    def output(self, state: HaemodynamicState) -> Float[Array, "*shape"]:
        """The BOLD signal."""
        k1, k2, k3 = self.signal.weights(self.rho)
        volume = jnp.exp(state.log_volume)
        return self.V0 * (
            k1 * (1 - state.ratio * volume) + k2 * (1 - state.ratio) + k3 * (1 - volume)
        )

    def _inflow(self, flow: Array) -> tuple[Array, Array]:
        """Inflow f within its range, and the relative oxygen extraction E(f) / rho."""
        inflow = jnp.clip(1 + flow, 1e-3, 1e3)
        # Both in the same form, so that the ratio is exactly 1 at rest.
        log_rest = jnp.log1p(-self.rho)
        return inflow, jnp.expm1(log_rest / inflow) / jnp.expm1(log_rest)

    def _outflow(self, log_volume: Array) -> Array:
        """v^(1/alpha) / v."""
        return jnp.exp((1 / self.alpha - 1) * log_volume)
