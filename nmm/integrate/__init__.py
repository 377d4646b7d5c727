"""Integration in time."""

from ._simulate import simulate as simulate
from ._solution import (
    RESULTS as RESULTS,
    DivergenceError as DivergenceError,
    Solution as Solution,
)
from ._solvers import (
    Euler as Euler,
    ExponentialEuler as ExponentialEuler,
    Heun as Heun,
    ItoHeun as ItoHeun,
    RungeKutta4 as RungeKutta4,
    SemiImplicitEuler as SemiImplicitEuler,
)
from ._step import RunState as RunState, step as step
