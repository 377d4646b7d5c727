from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from .._custom_types import Key
from .._declare import as_float
from ._base import AbstractDynamics
from ._linear import Linear


class BilinearDCM(AbstractDynamics):
    r"""Neuronal states of dynamic causal modelling for fMRI: network and node in one.

    $$\dot x = \Big(A + \sum_j u_j(t)\,B_j\Big)\,x + C u(t) + I$$

    `A[target, source]` are the connections without a task, `B[target, source, condition]` what the
    condition $u_j$ adds to them, and `C[region, condition]` how it drives regions; $I$ arrives at
    `x_inp`. Without conditions, $x(t) = e^{At} x(0)$. The regions are `nmm.Linear` units without
    a decay of their own, so that the diagonal of $A$ has to make the network stable; they run,
    are observed, and take noise as those of any network. Smooth.

    Rates are per ms; papers and SPM have them in Hz: divide by 1000. SPM's self-connections are
    $-\tfrac12 e^\theta$ Hz.

    Reference: Friston, Harrison, Penny (2003) NeuroImage 19:1273.

    **Arguments:**

    - `A`: connections, 1/ms.
    - `B`: modulations, 1/ms; none if `None`.
    - `C`: driving inputs, 1/ms; none if `None`.
    - `conditions`: the function `t -> u` of time, ms, that returns one value a condition; 0 if
        `None`. If it is an `equinox.Module`, its arrays can be fitted.

    **Raises:**

    - `ValueError` if the shapes of `A`, `B` and `C` disagree, or if there are `conditions` and no
        `B` or `C`, or the other way round.
    """

    A: Float[Array, "target source"]
    B: Float[Array, "target source condition"]
    C: Float[Array, "region condition"]
    conditions: Callable[[Any], Array] | None
    node: Linear

    def __init__(
        self,
        A: Any,
        B: Any = None,
        C: Any = None,
        conditions: Callable[[Any], Array] | None = None,
    ):
        self.A = as_float(A)
        regions = self.A.shape[0] if self.A.ndim else 0
        given = [as_float(x) for x in (B, C) if x is not None]
        number = given[0].shape[-1] if given and given[0].ndim else 0
        self.B = jnp.zeros((regions, regions, number)) if B is None else as_float(B)
        self.C = jnp.zeros((regions, number)) if C is None else as_float(C)
        self.conditions = conditions
        # Static checkers take the property `node` of a model for one of its fields.
        self.node = Linear(gamma=0.0)  # pyright: ignore[reportCallIssue]
        for name, expected in (
            ("A", (regions, regions)),
            ("B", (regions, regions, number)),
            ("C", (regions, number)),
        ):
            shape = getattr(self, name).shape
            if shape != expected:
                raise ValueError(
                    f"`{name}` of `BilinearDCM` should have the shape {expected}, got {shape}."
                )
        if (conditions is None) != (not given):
            raise ValueError(
                "`conditions` should be given together with `B` or `C`, got one without the other."
            )

    @property
    def shape(self) -> tuple[int]:
        return (self.A.shape[0],)

    @property
    def State(self) -> type:
        return self.node.State

    @property
    def Inputs(self) -> type:
        return self.node.Inputs

    def receive(self, t: Any, state: Linear.State, inputs: Any = None) -> Linear.Inputs:
        """What the regions hear of each other, and of the conditions, plus `inputs`."""
        effective, driven = self.A, 0.0
        if self.conditions is not None:
            u = jnp.asarray(self.conditions(t))
            effective, driven = self.A + self.B @ u, self.C @ u
        heard = state.x @ effective.T + driven
        return self.node.Inputs(x_inp=heard if inputs is None else heard + inputs.x_inp)

    def vector_field(self, t: Any, state: Linear.State, inputs: Any = None) -> Linear.State:
        """The time derivative of `state`, per ms."""
        return self.node.vector_field(t, state, self.receive(t, state, inputs))

    def initial_state(self, shape: tuple[int, ...] = (), key: Key | None = None) -> Linear.State:
        """The state in which a run starts; see `nmm.AbstractModel.initial_state`."""
        return self.node.initial_state(shape or self.shape, key)
