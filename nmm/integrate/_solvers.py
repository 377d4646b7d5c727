"""Lean solvers for a fixed step: Diffrax solvers without stage buffers and error estimates."""

from collections.abc import Callable
from typing import Any, ClassVar

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp


def _add(y: Any, *increments: tuple[float | int, Any]) -> Any:
    """y + sum of factor * increment, leaf by leaf."""
    factors = [factor for factor, _ in increments]
    return jax.tree.map(
        lambda leaf, *ks: leaf + sum(f * k for f, k in zip(factors, ks, strict=True)),
        y,
        *(k for _, k in increments),
    )


def _finish(y0: Any, y1: Any) -> tuple[Any, None, dict[str, Any], None, Any]:
    return y1, None, {"y0": y0, "y1": y1}, None, diffrax.RESULTS.successful


class AbstractLean(diffrax.AbstractSolver):
    """What the lean solvers share: they keep nothing from step to step, and cannot fail."""

    term_structure: ClassVar = diffrax.AbstractTerm
    interpolation_cls: ClassVar[Callable[..., Any]] = diffrax.LocalLinearInterpolation

    def strong_order(self, terms: Any) -> float:
        return 0.5

    def init(self, terms: Any, t0: Any, t1: Any, y0: Any, args: Any) -> None:
        return None

    def func(self, terms: Any, t0: Any, y0: Any, args: Any) -> Any:
        return terms.vf(t0, y0, args)


class Euler(AbstractLean, diffrax.AbstractItoSolver):
    r"""Euler's method; Euler–Maruyama with noise, converging to the Itô solution.

    $$y_1 = y_0 + f(t_0, y_0)\,h + g(t_0, y_0)\,\Delta W$$

    Order 1; strong order 1 for additive noise, 0.5 otherwise.
    """

    def order(self, terms: Any) -> int:
        return 1

    def step(self, terms, t0, t1, y0, args, solver_state, made_jump):
        del solver_state, made_jump
        k1 = terms.vf_prod(t0, y0, args, terms.contr(t0, t1))
        return _finish(y0, _add(y0, (1, k1)))


class SemiImplicitEuler(AbstractLean, diffrax.AbstractItoSolver):
    r"""Euler's method in two halves: some variables step first, and the others see them there.

    $$y_1 = y_0 + f_y(x_0, y_0)\,h, \qquad x_1 = x_0 + f_x(x_0, y_1)\,h$$

    Order 1, and symplectic where $x$ are positions and $y$ velocities: an oscillation neither
    gains nor loses energy by the method. For noise that is additive.

    **Arguments:**

    - the names of the state variables that step first: `SemiImplicitEuler("y")`.
    """

    first: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, *first: str):
        self.first = first

    def order(self, terms: Any) -> int:
        return 1

    def init(self, terms: Any, t0: Any, t1: Any, y0: Any, args: Any) -> None:
        unknown = [name for name in self.first if name not in vars(y0)]
        if unknown or not self.first:
            raise ValueError(
                f"`SemiImplicitEuler` should name state variables, some of {list(vars(y0))}, got "
                f"{list(self.first)}."
            )

    def step(self, terms, t0, t1, y0, args, solver_state, made_jump):
        del solver_state, made_jump

        def chosen(y):
            return [getattr(y, name) for name in self.first]

        control = terms.contr(t0, t1)
        y1 = _add(y0, (1, terms.vf_prod(t0, y0, args, control)))
        between = eqx.tree_at(chosen, y0, chosen(y1))
        y1 = _add(y0, (1, terms.vf_prod(t0, between, args, control)))
        return _finish(y0, eqx.tree_at(chosen, y1, chosen(between)))


class Heun(AbstractLean, diffrax.AbstractStratonovichSolver):
    r"""Heun's method, the explicit trapezoid rule; the default.

    $$\tilde y = y_0 + k_1, \qquad y_1 = y_0 + (k_1 + k_2)/2, \qquad
      k_{1,2} = f\,h + g\,\Delta W \text{ at } y_0, \tilde y$$

    Order 2; strong order 1 for additive noise, with which it is also of weak order 2. Noise that
    depends on the state converges to the Stratonovich solution.
    """

    def order(self, terms: Any) -> int:
        return 2

    def step(self, terms, t0, t1, y0, args, solver_state, made_jump):
        del solver_state, made_jump
        control = terms.contr(t0, t1)
        k1 = terms.vf_prod(t0, y0, args, control)
        k2 = terms.vf_prod(t1, _add(y0, (1, k1)), args, control)
        return _finish(y0, _add(y0, (0.5, k1), (0.5, k2)))


class ItoHeun(AbstractLean, diffrax.AbstractItoSolver):
    r"""Heun's method for the drift, with the noise of the start of the step.

    $$\tilde y = y_0 + f_0 h + g_0 \Delta W, \qquad
      y_1 = y_0 + (f_0 + \tilde f) h/2 + g_0 \Delta W$$

    Without noise and with additive noise it is `nmm.Heun`. Noise that depends on the state
    converges to the Itô solution, with strong order 0.5. The stochastic Heun scheme of The Virtual
    Brain and tvboptim.
    """

    def order(self, terms: Any) -> int:
        return 2

    def step(self, terms, t0, t1, y0, args, solver_state, made_jump):
        del solver_state, made_jump
        drift, *diffusion = terms.terms if isinstance(terms, diffrax.MultiTerm) else (terms,)
        noise = [(1, term.vf_prod(t0, y0, args, term.contr(t0, t1))) for term in diffusion]
        control = drift.contr(t0, t1)
        k1 = drift.vf_prod(t0, y0, args, control)
        k2 = drift.vf_prod(t1, _add(y0, (1, k1), *noise), args, control)
        return _finish(y0, _add(y0, (0.5, k1), (0.5, k2), *noise))


class RungeKutta4(AbstractLean, diffrax.AbstractStratonovichSolver):
    """The classical Runge–Kutta method.

    Order 4 without noise. The increment of the noise enters all stages alike: strong order 1 for
    additive noise.
    """

    def order(self, terms: Any) -> int:
        return 4

    def step(self, terms, t0, t1, y0, args, solver_state, made_jump):
        del solver_state, made_jump
        control = terms.contr(t0, t1)
        middle = t0 + 0.5 * (t1 - t0)
        k1 = terms.vf_prod(t0, y0, args, control)
        k2 = terms.vf_prod(middle, _add(y0, (0.5, k1)), args, control)
        k3 = terms.vf_prod(middle, _add(y0, (0.5, k2)), args, control)
        k4 = terms.vf_prod(t1, _add(y0, (1, k3)), args, control)
        return _finish(y0, _add(y0, (1 / 6, k1), (1 / 3, k2), (1 / 3, k3), (1 / 6, k4)))


class ExponentialEuler(AbstractLean, diffrax.AbstractItoSolver):
    r"""Exponential Euler, each variable with the derivative of its own equation by itself.

    $$x_k \leftarrow x_k + h\,\varphi(h J_{kk})\,f_k(x) + g_k \Delta W_k, \qquad
      \varphi(z) = (e^z - 1)/z$$

    Order 1, and exact for variables that decay linearly, so that stiff decays stay stable; the
    default scheme of brainmass. Prefer `nmm.Heun` for accuracy: oscillations drift at first order.
    """

    def order(self, terms: Any) -> int:
        return 1

    def step(self, terms, t0, t1, y0, args, solver_state, made_jump):
        del solver_state, made_jump
        drift, *diffusion = terms.terms if isinstance(terms, diffrax.MultiTerm) else (terms,)
        field = drift.vector_field
        # Of a network, the derivative at fixed inputs: that of a region's own equation.
        local = (
            field.local(t0, y0, args) if hasattr(field, "local") else (lambda y: field(t0, y, args))
        )
        slope, linear = jax.linearize(local, y0)
        leaves, structure = jax.tree.flatten(y0)
        h = t1 - t0
        increments = []
        for k, leaf in enumerate(leaves):
            one = [jnp.ones_like(x) if i == k else jnp.zeros_like(x) for i, x in enumerate(leaves)]
            diagonal = jax.tree.leaves(linear(jax.tree.unflatten(structure, one)))[k]
            growth = _relative_growth(h * diagonal)
            increments.append((h * growth * jax.tree.leaves(slope)[k]).astype(leaf.dtype))
        y1 = _add(y0, (1, jax.tree.unflatten(structure, increments)))
        for term in diffusion:
            y1 = _add(y1, (1, term.vf_prod(t0, y0, args, term.contr(t0, t1))))
        return _finish(y0, y1)


def _relative_growth(z: jax.Array) -> jax.Array:
    """(exp(z) - 1) / z, with its limit 1 at 0."""
    small = jnp.abs(z) < 1e-4
    safe = jnp.where(small, 1.0, z)
    return jnp.where(small, 1 + z / 2, jnp.expm1(safe) / safe)


def check_solver(solver: Any, noisy: bool, adapts: bool) -> None:
    """Refuses, by name, a solver that cannot integrate this run.

    **Arguments:**

    - `noisy`: whether the run has a diffusion.
    - `adapts`: whether Diffrax drives it, and may hand its tolerances to the solver.
    """
    if not isinstance(solver, diffrax.AbstractSolver):
        raise TypeError(f"`solver` should be a solver such as `nmm.Heun()`, got {solver!r}.")
    name = type(solver).__name__
    if isinstance(solver, diffrax.AbstractSRK) and not noisy:
        raise ValueError(f"`solver` should be one for runs without white noise, got `{name}`.")
    if isinstance(solver, diffrax.AbstractImplicitSolver) and not adapts:
        unset = [
            tolerance
            for tolerance in ("rtol", "atol")
            if not eqx.is_array_like(getattr(solver.root_finder, tolerance))
        ]
        if unset:
            raise ValueError(
                f"`solver` should have tolerances of its own, since the step is fixed: "
                f"`{name}(root_finder=diffrax.VeryChord(rtol=1e-6, atol=1e-6))`; it lacks {unset}."
            )
