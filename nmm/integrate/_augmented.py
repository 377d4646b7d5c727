"""Everything that is integrated where steps adapt, as one vector field with one diffusion."""

from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import lineax as lx
from jaxtyping import Array

from ..noise._base import mix, start_forcing
from ._breaks import rounding, with_breaks
from ._field import Diffusion, Moment, clip, fill_state
from ._outputs import evaluate_signal
from ._problem import Problem


class Augmented(eqx.Module):
    """A state of all: of the model, of noises with memory, and of observers."""

    state: Any
    # Not a tuple: Equinox's loops take an empty tuple for a leaf.
    forcing: list[Array]
    observers: dict[str, Any]


class AugmentedField(eqx.Module):
    """Drift and diffusion of all, as Diffrax takes them.

    `heard`, the argument that Diffrax hands through, is what arrives with delay as a function of
    time, or `None`.

    **Attributes:**

    - `problem`: the run.
    - `begin`: when it starts, ms.
    """

    problem: Problem
    begin: Array

    def moment(self, y: Augmented, heard: Any, shift: Any = 0.0) -> Moment:
        forcing = tuple(zip(y.forcing, y.forcing, strict=True))
        shift = jnp.asarray(shift, self.begin.dtype)
        return Moment((self.begin, shift), None, forcing, None, heard)

    def shift(self, t: Any, heard: Any) -> Any:
        """By how little stimuli are read later or earlier, ms.

        A jump right at an end of what is integrated at once must not be seen from within it.
        """
        problem = self.problem
        if not with_breaks(problem.field.stimuli):
            return 0.0
        first, last = 0.0, problem.t1
        if heard is not None:
            first, last = heard.start, heard.start + heard.steps * heard.delays.plan.dt
        t, first, last = (jnp.asarray(x, jnp.result_type(t)) for x in (t, first, last))
        return jnp.clip(t, first + 2 * rounding(first), last - 2 * rounding(last)) - t

    def visible(self, y: Augmented) -> Any:
        """The state of the model, within its bounds."""
        return clip(y.state) if self.problem.bounded else y.state

    def signal(self, which: Any, t: Any, y: Augmented, heard: Any) -> Array:
        field, now, state = self.problem.field, self.moment(y, heard), self.visible(y)
        return evaluate_signal(
            field.model.node, which, self.begin + t, state, lambda: field.received(t, state, now)
        )

    def kept(self, t: Any, y: Augmented, heard: Any) -> dict[str, Any]:
        """What is saved of the model."""
        outputs = self.problem.outputs
        if outputs.whole:
            return dict(vars(self.visible(y)))
        return {name: self.signal(which, t, y, heard) for name, which in outputs.signals.items()}

    def start(self, heard: Any) -> Augmented:
        """Where the run starts: fresh, or where the one before ended."""
        problem = self.problem
        old: dict[str, Any] = {}
        if problem.previous is not None:
            carry = problem.previous.carry
            forcing, old = carry.forcing, carry.observers
        else:
            leaf = jax.tree.leaves(problem.state)[0]
            noises = problem.field.forcing
            forcing = list(start_forcing(noises, problem.key, leaf.shape, leaf.dtype))
        bare = Augmented(problem.state, forcing, {})
        observers = {
            name: old[name]
            if name in old
            else observer.init(self.signal(observer.signal, 0.0, bare, heard))
            for name, observer in problem.outputs.observers.items()
        }
        return Augmented(problem.state, forcing, observers)

    def terms(self, start: Augmented, segment: Any) -> Any:
        """Diffrax's terms.

        **Arguments:**

        - `segment`: the number of connected runs before this one, each with noise of its own.
        """
        problem, terms = self.problem, diffrax.ODETerm(self.drift)
        if not problem.diffusions and not problem.field.forcing:
            return terms
        # The tree must resolve the steps that are taken; a hundredth of the first one does.
        tolerance = (problem.dt or problem.t1 / 1000) / 100
        tree = diffrax.VirtualBrownianTree(
            0.0,
            problem.t1,
            tolerance,
            jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), start),
            jr.fold_in(problem.key, segment),
            levy_area=_levy_area(problem.solver),
        )
        return diffrax.MultiTerm(terms, diffrax.ControlTerm(self.diffusion, tree))

    def drift(self, t: Any, y: Augmented, heard: Any) -> Augmented:
        field = self.problem.field
        now = self.moment(y, heard, self.shift(t, heard))
        return Augmented(
            state=field(t, self.visible(y), now),
            forcing=[
                n.drift(v).astype(v.dtype) for n, v in zip(field.forcing, y.forcing, strict=True)
            ],
            observers={
                name: observer.vector_field(
                    y.observers[name], self.signal(observer.signal, t, y, heard)
                )
                for name, observer in self.problem.outputs.observers.items()
            },
        )

    def diffusion(self, t: Any, y: Augmented, heard: Any) -> lx.AbstractLinearOperator:
        diffusions, forcing = self.problem.diffusions, self.problem.field.forcing
        diffusion = Diffusion(diffusions, self.problem.field.model.node)
        factors = Augmented(
            state=diffusion(t, self.visible(y), self.moment(y, heard)).diagonal,
            forcing=[n.intensity(v) for n, v in zip(forcing, y.forcing, strict=True)],
            observers=jax.tree.map(jnp.zeros_like, y.observers),
        )
        if all(n.mixing is None for n in (*diffusions, *forcing)):
            return lx.DiagonalLinearOperator(factors)

        def mixed(increment: Augmented) -> Augmented:
            normals = {
                name: mix(noise, getattr(increment.state, name))
                for noise in diffusions
                for name in noise.variables
            }
            shared = Augmented(
                fill_state(increment.state, normals),
                [mix(n, w) for n, w in zip(forcing, increment.forcing, strict=True)],
                increment.observers,
            )
            return jax.tree.map(lambda factor, w: factor * w, factors, shared)

        return lx.FunctionLinearOperator(mixed, jax.eval_shape(lambda: y))


def _levy_area(solver: Any) -> Any:
    """The cheapest of Diffrax's areas that the solver accepts."""
    wanted = getattr(solver, "minimal_levy_area", diffrax.AbstractBrownianIncrement)
    areas = (diffrax.BrownianIncrement, diffrax.SpaceTimeLevyArea, diffrax.SpaceTimeTimeLevyArea)
    return next(area for area in areas if issubclass(area, wanted))
