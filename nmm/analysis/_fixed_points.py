"""Fixed points of models and networks: where they rest, and whether they stay."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Complex, Float

from .._custom_types import Key
from .._declare import is_concrete
from ..models._base import AbstractDynamics
from ._delay_operator import NODES
from ._drift import Drift
from ._eigenvalues import leading_eigenvalues


class FixedPoint(eqx.Module):
    """A state that does not change, and the linear dynamics about it.

    **Attributes:**

    - `state`: where it is.
    - `jacobian`: of the vector field there, `(n, n)`, 1/ms; variable by variable in the order of
        the State, regions within each. With delays it is larger by what is under way, and its
        leading eigenvalues are those roots of the characteristic equation.
    - `found`: whether it is one, which can be false only with `throw=False`.
    """

    state: Any
    jacobian: Float[Array, "*batch n n"]
    found: Bool[Array, "*batch"]

    @property
    def eigenvalues(self) -> Complex[Array, "*batch n"]:
        """Of the Jacobian, 1/ms, the largest real part first."""
        values = jnp.linalg.eigvals(self.jacobian)
        order = jnp.argsort(-values.real, axis=-1, stable=True)
        return jnp.take_along_axis(values, order, axis=-1)

    @property
    def growth(self) -> Float[Array, "*batch"]:
        """The largest real part of an eigenvalue, 1/ms: negative if the fixed point is stable.

        Differentiable: the slowest mode decays with the time constant `-1 / growth`.
        """
        of_batch = jnp.vectorize(lambda a: leading_eigenvalues(a)[1], signature="(n,n)->()")
        return of_batch(self.jacobian)

    @property
    def stable(self) -> Bool[Array, "*batch"]:
        """Whether it is one, and small perturbations of it decay."""
        return self.found & (self.growth < 0)

    @property
    def kind(self) -> str:
        """`"stable node"`, `"unstable focus"`, `"saddle"` and so on, by the eigenvalues.

        A focus is one whose leading eigenvalues are complex; `"marginal"` is one whose leading
        eigenvalue has no real part up to rounding, at a bifurcation.
        """
        if np.ndim(self.found) > 0:
            raise ValueError("`kind` is of one fixed point, this is a batch of them.")
        if not bool(self.found):
            return "none"
        values = np.asarray(self.eigenvalues)
        rounding = len(values) * np.finfo(values.dtype).eps * np.abs(values).max()
        if abs(values[0].real) <= 10 * rounding:
            return "marginal"
        if values[0].real > 0 > values[-1].real:
            return "saddle focus" if abs(values[0].imag) > 10 * rounding else "saddle"
        kind = "focus" if abs(values[0].imag) > 10 * rounding else "node"
        return f"{'stable' if values[0].real < 0 else 'unstable'} {kind}"

    def __repr__(self) -> str:
        if not is_concrete(self.jacobian) or np.ndim(self.found) > 0:
            return f"FixedPoint({eqx.tree_pformat(self.state)})"
        state = ", ".join(f"{name}={_summary(x)}" for name, x in vars(self.state).items())
        leading = complex(self.eigenvalues[0])
        return f"FixedPoint({self.kind}: {state}; leading eigenvalue {leading:.3g} /ms)"


def fixed_point(
    model: AbstractDynamics,
    *,
    inputs: Any = None,
    guess: Any = None,
    shape: tuple[int, ...] | int = (),
    throw: bool = True,
    nodes: int = NODES,
) -> FixedPoint:
    r"""The fixed point of a model or network near a guess, $f(x, u) = 0$.

    Newton's method. Without a guess it starts where the flow from the model's own start leads, in
    a few implicit steps of growing length. So it mostly finds what a run without noise settles to,
    though not after long excursions, where the end of a run is the better `guess`; and where that
    is a limit cycle, the unstable fixed point within. Differentiable in parameters and inputs, by
    the implicit function theorem, and vmappable. A stimulus of a network counts with its value at
    t = 0. Bounds of variables play no part.

    The Jacobian is taken at once, by `jax.jacfwd`. A network rests in the same state with delays as
    without, but may lose its stability by them: what is under way is discretised by Chebyshev's
    polynomials, `nodes` numbers for each that is sent (Breda, Maset, Vermiglio 2005, SIAM Journal
    on Scientific Computing 27:482).

    ```python
    point = nmm.analysis.fixed_point(nmm.WilsonCowan())
    point.state.E, point.kind, point.eigenvalues
    ```

    **Arguments:**

    - `inputs`: constant `Inputs`, or `None`.
    - `guess`: a State to start from, such as the end of a run, `sol.y1`.
    - `shape`: regions of a bare model with scalar parameters, `()` for one.
    - `throw`: whether to raise if there is no fixed point near the guess. If not, `point.found`
        says so.
    - `nodes`: with delays, how finely the past is known. A root is exact up to rounding if its
        modulus times the longest delay is below about half of that.

    **Raises:**

    - `ValueError` or `TypeError`, naming the argument, for what does not fit.
    - `ValueError` if none is found; inside of compiled code, Equinox's runtime error.
    """
    drift = Drift(model, inputs, (), nodes)
    point = find(drift, drift.start(guess, shape), relaxed=guess is None)
    return refuse(point, ~point.found, lambda: NOT_FOUND) if throw else point


def fixed_points(
    model: AbstractDynamics,
    *,
    key: Key,
    inputs: Any = None,
    shape: tuple[int, ...] | int = (),
    starts: int = 64,
) -> list[FixedPoint]:
    """All fixed points that Newton's method reaches from random starts, each of them once.

    Half of the starts are drawn from the declared ranges of the variables; the other half is where
    the flow from such points leads. Not differentiable: give the state of one as `guess` to
    `nmm.analysis.fixed_point`, which is.

    **Arguments:**

    - `key`: of the random starts.
    - `inputs`, `shape`: as in `nmm.analysis.fixed_point`.
    - `starts`: how many starts there are; more find more.

    **Returns:**

    The fixed points, those with the lowest first variable first; for a network, the lowest mean.
    """
    if starts < 2:
        raise ValueError(f"`starts` should be at least 2, got {starts}.")
    drift = Drift(model, inputs, ())
    one = drift.start(None, shape)
    like = jax.tree.leaves(one)[0]
    drawn = model.initial_state((starts, *like.shape), key)
    drawn = jax.tree.map(lambda x, y: x.astype(y.dtype), drawn, one)
    kept: list[FixedPoint] = []
    for first, relaxed in enumerate((False, True)):
        starting = jax.tree.map(lambda x, first=first: x[first::2], drawn)
        points = _find_all(drift, starting, relaxed)
        for i in np.flatnonzero(np.asarray(points.found)):
            point = jax.tree.map(lambda x, i=i: x[i], points)
            if not any(_same(point.state, other.state) for other in kept):
                kept.append(point)
    return sorted(kept, key=lambda p: float(jnp.mean(jax.tree.leaves(p.state)[0])))


def _find(drift: Drift, start: Any, relaxed: bool) -> FixedPoint:
    """Newton's method, after some steps along the flow if `relaxed`.

    Where it does not arrive, the state is the one it started from, so that what is computed from it
    stays finite, in value and gradient.
    """
    function, x, unravel = drift.flat(start)
    tolerance = float(jnp.finfo(x.dtype).eps) ** 0.6

    def solve(function: Any, x: Array) -> tuple[Array, Array]:
        begin = _relax(function, x) if relaxed else x
        solution = optx.root_find(
            lambda x, _: function(x),
            optx.Newton(rtol=tolerance, atol=tolerance),
            begin,
            max_steps=_NEWTON_STEPS,
            throw=False,
        )
        end = solution.value
        found = (solution.result == optx.RESULTS.successful) & jnp.all(jnp.isfinite(end))
        # As a number, since before jax 0.11 what comes beside a root must have a tangent.
        return jnp.where(found, end, x), found.astype(x.dtype)

    # Not by the adjoint of `root_find`, whose gradient is NaN where there is no root.
    root, found = jax.lax.custom_root(function, x, solve, _solve_linear, has_aux=True)
    state = unravel(root)
    return FixedPoint(state, drift.jacobian(state), found > 0)


def _solve_linear(function: Any, y: Array) -> Array:
    matrix = jax.jacfwd(function)(y)
    usable = jnp.all(jnp.isfinite(matrix))
    return jnp.linalg.solve(jnp.where(usable, matrix, jnp.eye(y.size, dtype=y.dtype)), y)


_NEWTON_STEPS = 30
# From 0.1 ms to 6 s. With steps that double, the Epileptor comes to a saddle instead of its focus,
# and mean fields of adapting neurons to nothing.
_RELAXING_STEPS = 28
_GROWTH = 1.5


find: Any = eqx.filter_jit(_find)


@eqx.filter_jit
def _find_all(drift: Drift, starts: Any, relaxed: bool) -> FixedPoint:
    return eqx.filter_vmap(lambda start: _find(drift, start, relaxed))(starts)


def _relax(function: Any, x: Array) -> Array:
    """Follows the flow in linearly implicit steps, each longer than the one before.

    What comes to rest nowhere stays where it was.
    """

    def step(x: Array, h: Array) -> tuple[Array, None]:
        matrix = jnp.eye(x.size, dtype=x.dtype) / h - jax.jacfwd(function)(x)
        return x + jnp.linalg.solve(matrix, function(x)), None

    steps = 0.1 * _GROWTH ** jnp.arange(_RELAXING_STEPS, dtype=x.dtype)
    end, _ = jax.lax.scan(step, x, steps)
    return jnp.where(_size(function(end)) < _size(function(x)), end, x)


def _size(x: Array) -> Array:
    return jnp.max(jnp.abs(x))


def _same(one: Any, other: Any) -> bool:
    a, b = (np.asarray(ravel_pytree(x)[0]) for x in (one, other))
    near = float(np.finfo(a.dtype).eps) ** 0.35
    return bool(np.all(np.abs(a - b) <= near * (1 + np.abs(a))))


NOT_FOUND = (
    "There is no fixed point near the guess: Newton's method did not arrive. Give another `guess`, "
    "such as the end of a run without noise, `sol.y1`; a network that oscillates or runs away may "
    "have none."
)


def refuse(value: Any, bad: Bool[Array, ""], message: Any) -> Any:
    """Raises a ValueError at once if that is possible, else when compiled code runs.

    **Arguments:**

    - `message`: a function that returns the message; called only if it is needed.
    """
    if is_concrete(bad):
        if bool(np.any(bad)):
            raise ValueError(message())
        return value
    return eqx.error_if(value, bad, message())


def _summary(value: Any) -> str:
    value = np.asarray(value)
    if value.ndim == 0 or value.min() == value.max():
        return f"{value.flat[0]:.4g}"
    return f"{value.min():.4g}..{value.max():.4g}"
