from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._custom_types import Parameter, Value
from .._declare import param, slot, variable
from ._base import AbstractModel, Inputs, State, observable


def permittivity(x1: Array, z: Array, x0: Any, modification: Any = 0.0) -> Array:
    """Where the slow variable goes: linear in x1, or the share `modification` of a sigmoid."""
    linear = 4 * (x1 - x0) - 0.1 * jnp.minimum(z, 0) ** 7
    sigmoidal = x0 + 3 * jax.nn.sigmoid((x1 + 0.5) / 0.1)
    return modification * sigmoidal + (1 - modification) * linear


class AbstractEpileptor(AbstractModel):
    """The two populations of the Epileptor and its slow variable, which its variants share."""

    a: Parameter = param(1.0, unit="1", doc="cubic term of x1", bounds=(0.5, 2.0))
    b: Parameter = param(3.0, unit="1", doc="quadratic term of x1", bounds=(1.0, 5.0))
    c: Parameter = param(1.0, unit="1", doc="constant of y1", bounds=(0.0, 2.0))
    d: Parameter = param(5.0, unit="1", doc="quadratic term of y1", bounds=(1.0, 10.0))
    r: Parameter = param(0.00035, unit="1", doc="rate of the permittivity", bounds=(0.0, 0.001))
    x0: Parameter = param(-1.6, unit="1", doc="epileptogenicity", bounds=(-3.0, -1.0))
    Iext: Parameter = param(3.1, unit="1", doc="drive of x1", bounds=(1.5, 5.0))
    slope: Parameter = param(0.0, unit="1", doc="slope of x1 in seizures", bounds=(-16.0, 6.0))
    Iext2: Parameter = param(0.45, unit="1", doc="drive of x2", bounds=(0.0, 1.0))
    tau: Parameter = param(10.0, unit="1", doc="slowness of y2", bounds=(1.0, 50.0))
    aa: Parameter = param(6.0, unit="1", doc="x2 onto y2", bounds=(0.0, 10.0))
    bb: Parameter = param(2.0, unit="1", doc="g onto x2", bounds=(0.0, 5.0))
    Kvf: Parameter = param(0.0, unit="1", doc="very fast coupling, onto x1", bounds=(-1.0, 4.0))
    Kf: Parameter = param(0.0, unit="1", doc="fast coupling, onto x2", bounds=(-1.0, 4.0))
    Ks: Parameter = param(0.0, unit="1", doc="slow coupling, onto z", bounds=(-4.0, 4.0))
    tt: Parameter = param(1.0, unit="1/ms", doc="rate of everything", bounds=(0.001, 10.0))

    def _seizures(self, y: Any, inputs: Any, h: Array) -> dict[str, Array]:
        """The derivatives of the six variables; `h` is where the permittivity goes."""
        x1, z, x2, tt = y.x1, y.z, y.x2, self.tt
        f1 = jnp.where(x1 < 0, -self.a * x1**2 + self.b * x1, self.slope - x2 + 0.6 * (z - 4) ** 2)
        f2 = self.aa * jax.nn.relu(x2 + 0.25)
        drive_1 = self.Iext + inputs.I_ext + self.Kvf * inputs.x1_inp
        drive_2 = self.Iext2 + inputs.I_ext2 + self.Kf * inputs.x2_inp
        return {
            "x1": tt * (y.y1 - z + drive_1 + f1 * x1),
            "y1": tt * (self.c - self.d * x1**2 - y.y1),
            "z": tt * self.r * (h - z + self.Ks * inputs.x1_inp),
            "x2": tt * (x2 - x2**3 - y.y2 + drive_2 + self.bb * y.g - 0.3 * (z - 3.5)),
            "y2": tt * (f2 - y.y2) / self.tau,
            "g": -0.01 * tt * (y.g - 0.1 * x1),
        }

    @observable(unit="1")
    def lfp(self, state: Any) -> Array:
        """Local field potential, x2 - x1."""
        return state.x2 - state.x1


class Epileptor(AbstractEpileptor):
    r"""Onset and offset of seizures: fast discharges and spike-waves on a slow permittivity $z$.

    $$\dot x_1 = k\,(y_1 - z + I_1 + K_{vf} c_1 + f_1 x_1), \qquad
      \dot y_1 = k\,(y_0 - d x_1^2 - y_1)$$
    $$\dot z = k\,r\,(h - z + K_s c_1)$$
    $$\dot x_2 = k\,(-y_2 + x_2 - x_2^3 + I_2 + b_2 g - 0.3 (z - 3.5) + K_f c_2), \qquad
      \dot y_2 = k\,(f_2 - y_2)/\tau$$
    $$\dot g = -0.01\,k\,(g - 0.1 x_1)$$

    where $f_1 = -a x_1^2 + b x_1$ for $x_1 < 0$ and $m - x_2 + 0.6 (z - 4)^2$ beyond, $f_2 = a_2
    [x_2 + 0.25]_+$, and $h = 4 (x_1 - x_0)$, minus $0.1 z^7$ where $z < 0$. In the code, $k$ is
    `tt`, $m$ `slope`, $y_0$ `c`, $a_2$ `aa` and $b_2$ `bb`; $c_1$ and $c_2$ arrive at `x1_inp` and
    `x2_inp`, usually differences (`nmm.coupling.Diffusive`).

    Seizures recur for $x_0$ above -2.0605 (preset `"seizing"`, the default: every 1.93 s), below it
    the interictal point is stable (preset `"resting"`). With `modification` = 1, $h = x_0 + 3/(1 +
    e^{-10 (x_1 + 0.5)})$, which needs $x_0$ from 1.5 to 2.9 (preset `"sigmoidal"`; the declared
    range is that of the other $h$) and diverges at -1.6. Piecewise smooth: $f_1$ jumps in $x_1$ =
    0, though $f_1 x_1$ does not, and $f_2$ has a kink. One unit of time is taken as 1 ms; real
    seizures are slower, by `tt` or `r`.

    The coupling of permittivities is added, as in The Virtual Brain; the sign of Proix et al.
    (2014) is that of a negative `Ks`.

    Reference: Jirsa, Stacey, Quilichini, Ivanov, Bernard (2014) Brain 137:2210; Proix, Bartolomei,
    Chauvel, Bernard, Jirsa (2014) Journal of Neuroscience 34:15009.
    """

    modification: Parameter = param(
        0.0, unit="1", doc="share of the sigmoidal h, 0 or 1", bounds=(-0.5, 1.5)
    )

    class State(State):
        x1: Value = variable(-1.5, unit="1", doc="fast discharges", start=(-2.0, 1.0))
        y1: Value = variable(-10.0, unit="1", doc="recovery of x1", start=(-20.0, 2.0))
        z: Value = variable(3.5, unit="1", doc="slow permittivity", start=(2.0, 5.0))
        x2: Value = variable(-1.0, unit="1", doc="spikes and waves", start=(-2.0, 0.5))
        y2: Value = variable(0.0, unit="1", doc="recovery of x2", start=(0.0, 2.0))
        g: Value = variable(0.0, unit="1", doc="low-pass filtered x1", start=(-1.0, 1.0))

    class Inputs(Inputs):
        x1_inp: Value = slot(unit="1", doc="coupling of x1, times Kvf and Ks")
        x2_inp: Value = slot(unit="1", doc="coupling of x2, times Kf")
        I_ext: Value = slot(unit="1", doc="adds to Iext")
        I_ext2: Value = slot(unit="1", doc="adds to Iext2")

    source = "x1"
    target = "x1_inp"
    output = "lfp"
    category = "phenomenological"
    use = "onset and offset of seizures"
    reference = "Jirsa et al. (2014) Brain 137:2210"
    presets = {
        "seizing": {"x0": -1.6},
        "resting": {"x0": -2.1},
        "sigmoidal": {"modification": 1.0, "x0": 2.0},
    }

    def vector_field(self, t: Any, state: State, inputs: Inputs) -> State:
        del t  # autonomous
        h = permittivity(state.x1, state.z, self.x0, self.modification)
        return self.State(**self._seizures(state, inputs, h))


def _of_rest(default: float, doc: str, low: float, high: float, unit: str = "1") -> Any:
    return param(default, unit=unit, doc=f"resting oscillator: {doc}", bounds=(low, high))


class EpileptorRestingState(AbstractEpileptor):
    r"""Seizures on top of resting activity: the Epileptor beside an oscillator of its own.

    The equations of `nmm.Epileptor`, and independent of them

    $$\dot x_{rs} = d\,\tau\,(\alpha y_{rs} - f x_{rs}^3 + e x_{rs}^2 + \gamma (I + K c_3))$$
    $$\dot y_{rs} = \frac{d}{\tau}\,(a + b x_{rs} - \beta y_{rs})$$

    whose parameters end in `_rs`; $c_3$ arrives at `x_rs_inp`. The output, `signal`, is $p\,(x_2 -
    x_1) + (1 - p)\,x_{rs}$. At the defaults the oscillator is a damped focus of 10.06 Hz, so that
    its alpha rhythm needs noise, while the Epileptor seizes ($x_0$ = -1.6); presets `"seizing"`,
    the default, and `"resting"` ($x_0$ = -2.2). `tt` does not act on the resting pair. Kinks as in
    `nmm.Epileptor`, without its sigmoid. One unit of time is taken as 1 ms.

    Reference: Courtiol, Guye, Bartolomei, Petkoski, Jirsa (2020) Journal of Neuroscience 40:5572.
    """

    tau_rs: Parameter = _of_rest(1.0, "separation of time scales", 0.5, 5.0)
    I_rs: Parameter = _of_rest(0.0, "drive", -5.0, 5.0)
    a_rs: Parameter = _of_rest(-2.0, "shift of the nullcline of y", -5.0, 5.0)
    b_rs: Parameter = _of_rest(-10.0, "slope of the nullcline of y", -20.0, 15.0)
    d_rs: Parameter = _of_rest(0.02, "rate of everything", 0.0001, 1.0, unit="1/ms")
    e_rs: Parameter = _of_rest(3.0, "quadratic term of x", -5.0, 5.0)
    f_rs: Parameter = _of_rest(1.0, "cubic term of x", -5.0, 5.0)
    alpha_rs: Parameter = _of_rest(1.0, "y onto x", -5.0, 5.0)
    beta_rs: Parameter = _of_rest(1.0, "decay of y", -5.0, 5.0)
    gamma_rs: Parameter = _of_rest(1.0, "scale of drive and coupling", -2.0, 2.0)
    K_rs: Parameter = _of_rest(1.0, "coupling", 0.0, 10.0)
    p: Parameter = param(0.0, unit="1", doc="share of seizures in the signal", bounds=(-1.0, 1.0))

    class State(State):
        x1: Value = variable(-1.6, unit="1", doc="fast discharges", start=(-2.0, 1.0))
        y1: Value = variable(-12.0, unit="1", doc="recovery of x1", start=(-15.0, -10.0))
        z: Value = variable(3.8, unit="1", doc="slow permittivity", start=(3.6, 4.0))
        x2: Value = variable(-1.0, unit="1", doc="spikes and waves", start=(-2.0, 0.5))
        y2: Value = variable(0.005, unit="1", doc="recovery of x2", start=(0.001, 0.01))
        g: Value = variable(0.0, unit="1", doc="low-pass filtered x1", start=(-1.0, 1.0))
        x_rs: Value = variable(0.0, unit="1", doc="resting activity", start=(-2.0, 4.0))
        y_rs: Value = variable(0.0, unit="1", doc="recovery of x_rs", start=(-6.0, 6.0))

    class Inputs(Inputs):
        x1_inp: Value = slot(unit="1", doc="coupling of x1, times Kvf and Ks")
        x2_inp: Value = slot(unit="1", doc="coupling of x2, times Kf")
        x_rs_inp: Value = slot(unit="1", doc="coupling of x_rs, times K_rs")
        I_ext: Value = slot(unit="1", doc="adds to Iext")
        I_ext2: Value = slot(unit="1", doc="adds to Iext2")

    source = "x1"
    target = "x1_inp"
    output = "signal"
    category = "phenomenological"
    use = "resting rhythms and seizures"
    reference = "Courtiol et al. (2020) Journal of Neuroscience 40:5572"
    presets = {"seizing": {"x0": -1.6}, "resting": {"x0": -2.2}}

    def vector_field(self, t: Any, state: State, inputs: Inputs) -> State:
        del t  # autonomous
        x, y = state.x_rs, state.y_rs
        drive = self.gamma_rs * (self.I_rs + self.K_rs * inputs.x_rs_inp)
        cubic = self.alpha_rs * y - self.f_rs * x**3 + self.e_rs * x**2
        linear = self.a_rs + self.b_rs * x - self.beta_rs * y
        h = permittivity(state.x1, state.z, self.x0)
        return self.State(
            **self._seizures(state, inputs, h),
            x_rs=self.d_rs * self.tau_rs * (cubic + drive),
            y_rs=self.d_rs / self.tau_rs * linear,
        )

    @observable(unit="1")
    def signal(self, state: State) -> Array:
        """Seizures and resting activity mixed, p (x2 - x1) + (1 - p) x_rs."""
        return self.p * self.lfp(state) + (1 - self.p) * state.x_rs
