from typing import Any

import jax.numpy as jnp

from .._custom_types import Parameter, Value
from .._declare import param, slot, variable
from ._base import AbstractModel, Inputs, State
from ._epileptor import permittivity


class Epileptor2D(AbstractModel):
    r"""Seizures in two variables: the Epileptor whose fast recovery follows at once.

    $$\dot x_1 = k\,(c - z + I + K_{vf} c_1 - f), \qquad \dot z = k\,r\,(h - z + K_s c_1)$$

    where $f = a x_1^3 + (d - b)\,x_1^2$ for $x_1 < 0$ and $d x_1^2 - (m + 0.6 (z - 4)^2)\,x_1$
    beyond, and $h = 4 (x_1 - x_0)$, minus $0.1 z^7$ where $z < 0$; with `modification` = 1, $h =
    x_0 + 3/(1 + e^{-10 (x_1 + 0.5)})$. In the code, $k$ is `tt` and $m$ `slope`; $c_1$ arrives at
    `x1_inp`.

    The cubic folds at $x_1$ = -4/3, $z$ = 2.915: above $x_0$ = -2.062 it seizes (preset
    `"seizing"`, the default, every 1.72 s), below it rests (preset `"resting"`, -2.2). Piecewise
    smooth, with a kink at $x_1$ = 0. One unit of time is taken as 1 ms.

    Proix et al. have the plain cubic everywhere, as `nmm.BVEP` does, and subtract their coupling
    of permittivities: with differences at `x1_inp`, `Ks` has to be negative for seizures to spread.

    Reference: Proix, Bartolomei, Chauvel, Bernard, Jirsa (2014) Journal of Neuroscience 34:15009;
    Proix, Bartolomei, Guye, Jirsa (2017) Brain 140:641.
    """

    a: Parameter = param(1.0, unit="1", doc="cubic term of x1", bounds=(0.5, 2.0))
    b: Parameter = param(3.0, unit="1", doc="quadratic term of x1", bounds=(1.0, 5.0))
    c: Parameter = param(1.0, unit="1", doc="constant of x1", bounds=(0.0, 2.0))
    d: Parameter = param(5.0, unit="1", doc="quadratic term of recovery", bounds=(1.0, 10.0))
    r: Parameter = param(0.00035, unit="1", doc="rate of the permittivity", bounds=(0.0, 0.001))
    x0: Parameter = param(-1.6, unit="1", doc="epileptogenicity", bounds=(-3.0, -1.0))
    Iext: Parameter = param(3.1, unit="1", doc="drive of x1", bounds=(1.5, 5.0))
    slope: Parameter = param(0.0, unit="1", doc="slope of x1 in seizures", bounds=(-16.0, 6.0))
    Kvf: Parameter = param(0.0, unit="1", doc="very fast coupling, onto x1", bounds=(-1.0, 4.0))
    Ks: Parameter = param(0.0, unit="1", doc="slow coupling, onto z", bounds=(-4.0, 4.0))
    tt: Parameter = param(1.0, unit="1/ms", doc="rate of everything", bounds=(0.001, 10.0))
    modification: Parameter = param(
        0.0, unit="1", doc="share of the sigmoidal h, 0 or 1", bounds=(-0.5, 1.5)
    )

    class State(State):
        x1: Value = variable(-1.5, unit="1", doc="discharges", start=(-2.0, 1.0))
        z: Value = variable(3.5, unit="1", doc="slow permittivity", start=(2.0, 5.0))

    class Inputs(Inputs):
        x1_inp: Value = slot(unit="1", doc="coupling of x1, times Kvf and Ks")
        I_ext: Value = slot(unit="1", doc="adds to Iext")

    source = "x1"
    target = "x1_inp"
    output = "x1"
    category = "phenomenological"
    use = "spread of seizures, its inference"
    reference = "Proix et al. (2014) Journal of Neuroscience 34:15009"
    presets = {"seizing": {"x0": -1.6}, "resting": {"x0": -2.2}}

    def vector_field(self, t: Any, state: State, inputs: Inputs) -> State:
        del t  # autonomous
        x1, z = state.x1, state.z
        below = self.a * x1**2 + (self.d - self.b) * x1
        f = jnp.where(x1 < 0, below, self.d * x1 - self.slope - 0.6 * (z - 4) ** 2)
        drive = self.c + self.Iext + inputs.I_ext + self.Kvf * inputs.x1_inp
        h = permittivity(x1, z, self.x0, self.modification)
        return self.State(
            x1=self.tt * (drive - z - f * x1),
            z=self.tt * self.r * (h - z + self.Ks * inputs.x1_inp),
        )


class BVEP(AbstractModel):
    r"""The Virtual Epileptic Patient in two variables, as it is inferred from recordings.

    $$\dot x = 1 - x^3 - 2 x^2 - z + I_1 + I_x, \qquad \tau_0 \dot z = 4 (x - x_0) - z - c$$

    `nmm.Epileptor2D` with the plain cubic everywhere and coupling onto $z$ alone, in which the
    differences of other regions, $\sum_j W_{ij} (x_j - x_i)$, spread seizures. Healthy below $x_0$
    = -2.062 (the default, preset `"healthy"`, rests at $x$ = -2.213), epileptogenic above (preset
    `"epileptogenic"`, $x_0$ = -1.6, which cycles). Smooth. The unit of time is arbitrary, taken as
    1 ms; published fits use $\tau_0$ = 10 and steps of 0.1.

    Reference: Hashemi et al. (2020) NeuroImage 217:116839; Proix, Bartolomei, Chauvel, Bernard,
    Jirsa (2014) Journal of Neuroscience 34:15009.
    """

    tau0: Parameter = param(10.0, unit="ms", doc="time scale of z", bounds=(5.0, 5000.0))
    I1: Parameter = param(3.1, unit="1", doc="drive of x", bounds=(1.5, 5.0))
    x0: Parameter = param(-3.5, unit="1", doc="epileptogenicity", bounds=(-4.0, -1.0))

    class State(State):
        x: Value = variable(-2.0, unit="1", doc="discharges", start=(-2.5, 1.0))
        z: Value = variable(3.5, unit="1", doc="slow permittivity", start=(2.0, 5.0))

    class Inputs(Inputs):
        c: Value = slot(unit="1", doc="coupling of x, subtracted from z")
        I_ext: Value = slot(unit="1", doc="adds to I1")

    source = "x"
    target = "c"
    output = "x"
    category = "phenomenological"
    use = "epileptogenicity inferred from recordings"
    reference = "Hashemi et al. (2020) NeuroImage 217:116839"
    presets = {"healthy": {"x0": -3.5}, "epileptogenic": {"x0": -1.6}}

    def vector_field(self, t: Any, state: State, inputs: Inputs) -> State:
        del t  # autonomous
        x, z = state.x, state.z
        return self.State(
            x=1 - x**3 - 2 * x**2 - z + self.I1 + inputs.I_ext,
            z=(4 * (x - self.x0) - z - inputs.c) / self.tau0,
        )
