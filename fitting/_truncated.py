"""Gradients that look back no further than a window: for long and for chaotic runs."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from nmm._custom_types import Key


def truncated(
    run: Callable[..., tuple[Any, Any]],
    model: Any,
    y0: Any,
    windows: int,
    *,
    key: Key | None = None,
) -> tuple[Any, Any]:
    r"""Runs one window after another, where gradients do not pass from one to the next.

    In a chaotic model gradients grow by $e^{\lambda T}$ over a time T, with the Lyapunov exponent
    $\lambda$, and say nothing after a few $1/\lambda$. Windows of that length bound them, at the
    price of what a parameter does through the state at their beginning. Values are those of the
    run as a whole.

    ```python
    def window(net, y0, key):
        sol = nmm.simulate(net, 1_000.0, 0.1, y0=y0, key=key, save=["x"])
        return sol["x"], sol.y1

    def loss(net, key):
        x, _ = fitting.truncated(window, net, net.initial_state(), 60, key=key)
        return fitting.objectives.rmse(jnp.var(x), 0.1)
    ```

    On a network with delays, `y0=sol.y1` restarts the history: make windows much longer than these.

    **Arguments:**

    - `run`: `run(model, y0)`, or `run(model, y0, key)` with a key, of one window: returns any
        results, and the state to go on from.
    - `model`: the model.
    - `y0`: where the first window begins.
    - `windows`: how many.
    - `key`: of the noise; each window has its own.

    **Returns:**

    The results, windows in front, and the state at the end.

    **Raises:**

    - `ValueError` if `windows` is below 1.
    - `TypeError` if `run` returns something else.
    """
    if windows < 1:
        raise ValueError(f"`windows` should be at least 1, got {windows}.")

    def step(y: Any, n: Any) -> tuple[Any, Any]:
        given = () if key is None else (jax.random.fold_in(key, n),)
        result, y = result_and_state(run(model, jax.lax.stop_gradient(y), *given), y)
        return y, result

    y1, results = jax.lax.scan(step, jax.tree.map(jnp.asarray, y0), jnp.arange(windows))
    return results, y1


def result_and_state(returned: Any, like: Any) -> tuple[Any, Any]:
    """What a run returns.

    **Raises:**

    - `TypeError` if it is no pair of a result and a state.
    """
    structure = jax.tree.structure(like)
    pair = isinstance(returned, tuple) and len(returned) == 2
    if not pair or jax.tree.structure(returned[1]) != structure:
        raise TypeError(
            "`run` should return a pair of its results and the state to go on from, which is made "
            f"like `y0`, {structure}; got {eqx.tree_pformat(returned)}."
        )
    return returned
