"""Linear response: noisy models about their stable fixed point, in closed form."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from .._declare import is_concrete
from ..models._base import AbstractDynamics
from ..noise import AbstractDiffusion, AbstractNoise, Coloured, OrnsteinUhlenbeck
from ._delay_operator import NODES, linearise
from ._drift import Drift
from ._eigenvalues import leading_eigenvalues
from ._fixed_points import NOT_FOUND, find, refuse
from ._linear_outputs import Output, linear_output
from ._response import Late, LinearResponse


def linear_response(
    model: AbstractDynamics,
    *,
    noise: AbstractNoise | tuple[AbstractNoise, ...] | None = None,
    inputs: Any = None,
    save: Any = None,
    guess: Any = None,
    shape: tuple[int, ...] | int = (),
    throw: bool = True,
    nodes: int = NODES,
) -> LinearResponse:
    r"""What a noisy model does about its stable fixed point, in closed form.

    The counterpart of `nmm.simulate` with the same `noise`, `inputs` and `save`, for noise so small
    that the model stays where it is linear:

    ```python
    response = nmm.analysis.linear_response(net, save={"bold": nmm.observe.BOLD(tr=720.0)})
    loss = 1 - fitting.objectives.fc_concordance(response.fc("bold"), fc, simulated_is="fc")
    ```

    White, Ornstein–Uhlenbeck and coloured noise; intensities that depend on the state have their
    value at the fixed point. It can be jitted, vmapped and differentiated, any number of times. An
    unstable fixed point has spectra and covariances in these formulas too, finite ones without
    meaning: it is an error. In a fit take `throw=False`, and a penalty that leads back,
    `fitting.objectives.stability_penalty`.

    With delays, on a dense connectome, spectra and transfer functions are exact. For covariances
    and eigenvalues what is under way is discretised; see `nmm.analysis.fixed_point`. These then
    cost as much as those of a network with `1 + nodes` times as many numbers: for 84 regions on two
    cores, 0.4 s in float32 and 1 s in float64, and as much again for FC.

    **Arguments:**

    - `noise`: beside that of the network itself; independent between regions.
    - `inputs`: constant `Inputs`, or `None`.
    - `save`: which signals to know: state variables, observables, functions `(t, state, inputs)`
        (a lead field times sources, say), `nmm.observe.BOLD`, or observers that average, such as
        `nmm.observe.EEG`, by name; as in `nmm.simulate`. `None` for the model's own output.
    - `guess`, `shape`: as in `nmm.analysis.fixed_point`.
    - `throw`: whether to raise where there is no stable fixed point. If not, `response.stable`
        says so, and what it returns is silence: 0, with zero gradient.
    - `nodes`: with delays, how finely the past is known; see `nmm.analysis.fixed_point`.

    **Returns:**

    A `nmm.analysis.LinearResponse`: `response.fc("bold")`, `response.spectrum(frequencies)` ...

    **Raises:**

    - `ValueError` or `TypeError`, naming the argument, for what does not fit.
    - `ValueError` if there is no stable fixed point, with its leading eigenvalue; inside of
        compiled code, Equinox's runtime error.
    """
    # Not at the top: runs import plots, and those this package.
    from ..integrate._outputs import parse_save
    from ..integrate._problem import sort_noises

    forcing, diffusions = sort_noises(model, getattr(model, "noise", None), noise)
    if not forcing and not diffusions:
        raise ValueError("`noise` should be given, here or to the network: nothing else drives it.")
    for one in (*forcing, *diffusions):
        known = isinstance(one, OrnsteinUhlenbeck | Coloured | AbstractDiffusion)
        if not known or one.mixing is not None or one.normals is not None:
            raise ValueError(
                "`noise` of a linear response should be white, Ornstein–Uhlenbeck or coloured, "
                f"without `mixing` and `normals`; got {type(one).__name__}."
            )
    drift = Drift(model, inputs, forcing, nodes)
    start = drift.start(guess, shape)
    if jax.tree.leaves(start)[0].ndim > 1:
        raise ValueError("`guess` and `shape` should have no batch axes; use `jax.vmap`.")
    outputs = parse_save(model, [model.node.output] if save is None else save)
    response = _respond(drift, diffusions, outputs, start, guess is None)
    if not throw:
        return response
    response = refuse(response, ~response.fixed_point.found, lambda: NOT_FOUND)
    return refuse(response, ~response.stable, lambda: _unstable(response))


def _unstable(response: LinearResponse) -> str:
    where = ""
    if is_concrete(response.growth):
        leading = complex(response.fixed_point.eigenvalues[0])
        where = f": its leading eigenvalue is {leading:.4g} per ms"
    return (
        f"The fixed point is unstable{where}. It has no linear response. Simulate it; or, in a "
        "fit, pass `throw=False` and add `fitting.objectives.stability_penalty`."
    )


@eqx.filter_jit
def _respond(
    drift: Drift,
    diffusions: tuple[AbstractDiffusion, ...],
    outputs: Any,
    start: Any,
    relaxed: bool,
) -> LinearResponse:
    from ..integrate._outputs import evaluate_signal

    point = find(drift, start, relaxed)
    eigenvalues, growth = leading_eigenvalues(point.jacobian)
    growth = jnp.where(point.found, growth, 0.0)
    stable = point.found & (growth < 0)
    moduli = jnp.abs(eigenvalues)
    shift = jnp.sqrt(jnp.max(moduli) * jnp.maximum(jnp.min(moduli), 1e-6 * jnp.max(moduli)))

    node, values = drift.model.node, drift.means(point.state)
    x, unravel = ravel_pytree((point.state, values))

    def field(x: Array, sums: Any = None) -> Array:
        state, values = unravel(x)
        drifts = tuple(n.drift(v) for n, v in zip(drift.forcing, values, strict=True))
        return ravel_pytree((drift(state, values, sums), drifts))[0]

    def at_rest(matrix: Array) -> Array:
        """A rest in place of what is unstable keeps everything finite, so that 0 times it is 0."""
        rest = -jnp.eye(len(matrix), dtype=matrix.dtype) * shift
        return jnp.where(stable, matrix, jnp.where(jnp.isfinite(rest), rest, 0))

    intensity = jnp.where(stable, _intensity(drift, diffusions, point.state, values), 0)
    edges, parts, unravel_sums, y = drift.edges, None, None, x
    heard: Any = None
    if edges is None:
        matrix = jax.jacfwd(field)(x)
    else:
        parts = linearise(edges, field, lambda x: drift.messages(unravel(x)[0]), x, drift.nodes)
        matrix, heard = parts.past.system(parts.direct, parts.hearing)
        intensity = jnp.pad(intensity, (0, len(matrix) - len(x)))
        unravel_sums, y = parts.unravel, jnp.concatenate([x, parts.sums])
    matrix = at_rest(matrix)

    def output(signal: Any, observer: Any = None) -> Output:
        def value(y: Array) -> Array:
            state, values = unravel(y[: len(x)])
            sums = None if unravel_sums is None else unravel_sums(y[len(x) :])

            def received() -> Any:
                return drift.received(state, values, sums)

            return evaluate_signal(node, signal, 0.0, state, received)

        return linear_output(value, y, observer)

    known = {name: output(signal) for name, signal in outputs.signals.items()}
    known |= {name: output(one.signal, one) for name, one in outputs.observers.items()}
    late = None
    if parts is not None:
        rows = {name: (o.rows[:, : len(x)], o.rows[:, len(x) :]) for name, o in known.items()}
        hearing = jnp.where(stable, parts.hearing, 0)
        late = Late(at_rest(parts.direct), hearing, parts.past, rows)
        known = {
            name: dataclasses.replace(
                o, rows=jnp.pad(own, ((0, 0), (0, len(matrix) - len(x)))) + off_sums @ heard
            )
            for (name, o), (own, off_sums) in zip(known.items(), rows.values(), strict=True)
        }
    return LinearResponse(point, growth, stable, matrix, intensity, shift, known, drift, late)


def _intensity(
    drift: Drift, diffusions: tuple[AbstractDiffusion, ...], state: Any, values: tuple[Array, ...]
) -> Float[Array, " n"]:
    """The intensity of the noise on each number of the state, and of noises with memory."""
    factors: dict[str, Any] = {}
    for noise in diffusions:
        factors.update(noise.diffusion(0.0, state))
    white = {
        name: jnp.broadcast_to(jnp.asarray(factors.get(name, 0.0), x.dtype), x.shape)
        for name, x in vars(state).items()
    }
    memory = tuple(n.intensity(v) for n, v in zip(drift.forcing, values, strict=True))
    return ravel_pytree((type(state)(**white), memory))[0]
