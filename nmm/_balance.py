"""Feedback inhibition control: the inhibition that brings every region to a target rate."""

from operator import attrgetter
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from ._custom_types import Key, RealScalarLike
from ._declare import declarations, declared_parameters, is_concrete
from ._network import Network
from .integrate import simulate
from .models import (
    DecoBalancedExcInh,
    WilsonCowan,
    WilsonCowanAdaptive,
    WilsonCowanThreePopulation,
    WongWangExcInh,
)
from .models._base import evaluate
from .noise import AbstractNoise
from .observe import TemporalAverage

_NEWTON_STEPS = 60
_IN_A_ROW = 3


class Control(NamedTuple):
    """Which rate is controlled, and by which weight: a parameter, and a place in its matrix."""

    rate: str
    parameter: str
    place: tuple[int, ...] = ()

    def read(self, network: Network) -> Array:
        """The weight of each region."""
        value = attrgetter(self.parameter)(network.node)[self.place]
        return jnp.broadcast_to(value, network.shape)

    def write(self, network: Network, weight: Array) -> Network:
        """The network with these weights."""
        if self.place:
            declared = {path: (d.shape, x) for path, d, x in declared_parameters(network.node)}
            core, matrix = declared[self.parameter]
            matrix = matrix if matrix.ndim > len(core) else matrix[..., None]
            weight = jnp.broadcast_to(matrix, core + network.shape).at[self.place].set(weight)
        return eqx.tree_at(lambda n: attrgetter(self.parameter)(n.node), network, weight)


_CONTROLS = {
    WongWangExcInh: Control("H_e", "J_i"),
    DecoBalancedExcInh: Control("H_e", "J_i"),
    WilsonCowan: Control("rE", "weights", (0, 1)),
    WilsonCowanAdaptive: Control("rE", "circuit.weights", (0, 1)),
    WilsonCowanThreePopulation: Control("rE", "weights", (0, 1)),
}


class Balance(eqx.Module):
    """What `nmm.balance` returns.

    **Attributes:**

    - `network`: with the inhibitory weight of each region.
    - `weights`: these weights, one for each region.
    - `rates`: what they lead to: the mean over the last rounds; without noise, the target.
    - `history`: the rates and the weights of each round, `{"rates": (round, region), "weights":
        ...}`.
    - `accepted`: the range of rates that was asked for.
    - `growth`: the largest real part among the eigenvalues of the network at the target, without
        noise and delays, per ms. Above 0 that state is unstable, and only the noise and the
        control of the weights keep the regions near it.
    """

    network: Network
    weights: Float[Array, " regions"]
    rates: Float[Array, " regions"]
    history: dict[str, Float[Array, "round regions"]]
    accepted: tuple[float, float] = eqx.field(static=True)
    growth: float

    @property
    def converged(self) -> bool:
        """Whether every region is within the accepted range."""
        low, high = self.accepted
        return bool(jnp.all((self.rates >= low) & (self.rates <= high)))

    @property
    def stable(self) -> bool:
        """Whether the noise-free network rests at the target."""
        return bool(self.growth < 0)

    def __repr__(self) -> str:
        rounds, low, high = len(self.history["rates"]), *self.accepted
        outside = int(jnp.sum((self.rates < low) | (self.rates > high)))
        state = (
            f"stable, slowest mode {-1 / self.growth:.3g} ms"
            if self.stable
            else f"unstable, grows e-fold in {1 / self.growth:.3g} ms"
        )
        return "\n".join(
            (
                f"Balance of {len(self.rates)} regions"
                + (f" after {rounds} rounds" if rounds else ", noise-free"),
                f"  rates    {jnp.min(self.rates):.4g} to {jnp.max(self.rates):.4g}, "
                + (f"{outside} regions outside" if outside else "all within")
                + f" {low:.4g} to {high:.4g}",
                f"  weights  {jnp.min(self.weights):.4g} to {jnp.max(self.weights):.4g}",
                f"  the noise-free state at the target is {state}",
            )
        )


def balance(
    network: Network,
    target: RealScalarLike | None = None,
    *,
    key: Key | None = None,
    noise: AbstractNoise | tuple[AbstractNoise, ...] | None = None,
    dt: RealScalarLike = 1.0,
    rounds: int = 100,
    round_length: RealScalarLike = 20_000.0,
    accepted: tuple[float, float] | None = None,
    rate: str | None = None,
    weight: str | tuple[Any, ...] | None = None,
) -> Balance:
    r"""Tunes the inhibitory weight $J_i$ of every region such that each has the target rate.

    The start is exact for a network without noise: the steady state that has the target rate in
    every region, with its weights, by Newton's method region by region. Noise shifts the rates, so
    with noise follow rounds of simulation, after each of which

    $$J_i \leftarrow J_i\,\Big(1 + 0.15\,\mathrm{clip}\Big(\frac{r_i - r^*}{r^*},
      -\tfrac23, \tfrac23\Big) \Big/ \Big(1 + \frac{k}{20}\Big)\Big)$$

    in round $k$, until every region stays within the accepted range for three rounds in a row.

    **Arguments:**

    - `network`: of `nmm.WongWangExcInh` or `nmm.DecoBalancedExcInh` (the rate `H_e` by `J_i`), of a
        model of the Wilson–Cowan family (`rE` by the weight from I to E), or of another model,
        with `rate` and `weight`.
    - `target`: the rate $r^*$, in the unit of the model's rate; 3 Hz by default for `H_e`.
    - `key`: draws the noise of the rounds.
    - `noise`: for the rounds, beside that of the network. Without any there are no rounds.
    - `dt`: step of the rounds, ms.
    - `rounds`: how many at most.
    - `round_length`: ms; the first tenth of each round does not count.
    - `accepted`: the range of rates to reach; by default 0.877 to 1.183 times the target, which
        for 3 Hz is the published 2.63 to 3.55 Hz.
    - `rate`: a state variable or observable.
    - `weight`: the parameter that inhibits; for one entry of a matrix its name and place, as in
        `("weights", 0, 1)`.

    **Returns:**

    A `nmm.Balance`, of which `network` is the tuned network.

    **Raises:**

    - `ValueError`, naming the regions, if no inhibition brings them to the target; or if an
        argument is missing or does not fit.

    Reference: Deco, Ponce-Alvarez, Hagmann, Romani, Mantini, Corbetta (2014) Journal of
    Neuroscience 34:7886.
    """
    control, target = _parse(network, target, rate, weight)
    noisy = noise is not None or network.noise is not None
    if noisy and key is None:
        raise ValueError("`key` should be given, since there is noise: `key=jax.random.key(0)`.")
    if noisy and rounds < 1:
        raise ValueError(
            f"`rounds` should be at least 1 where there is noise, got {rounds}; without noise the "
            "start is exact."
        )
    low, high = (0.877 * target, 1.183 * target) if accepted is None else map(float, accepted)
    if not low < target < high:
        raise ValueError(f"`accepted` should hold the target, {target}, got {(low, high)}.")
    weights, start, growth = _steady(network, control, target)
    state = start
    history: list[tuple[Array, Array]] = []
    within = 0
    draws = () if key is None or not noisy else jr.split(key, rounds)
    for k, draw in enumerate(draws):
        rates, state = _round(
            control.write(network, weights), control, noise, state, draw, dt, round_length
        )
        history.append((rates, weights))
        if not all(bool(jnp.all(jnp.isfinite(x))) for x in jax.tree.leaves(state)):
            state = start
        within = within + 1 if bool(jnp.all((rates > low) & (rates < high))) else 0
        if within == _IN_A_ROW:
            break
        excess = jnp.clip((rates - target) / target, -2 / 3, 2 / 3)
        # A rate that is not finite is one that ran away.
        excess = jnp.where(jnp.isfinite(excess), excess, 2 / 3)
        weights = weights * (1 + 0.15 * excess / (1 + k / 20))
    past = [jnp.stack(column) for column in zip(*history, strict=True)] if history else None
    empty = jnp.zeros((0, *weights.shape), weights.dtype)
    rates, used = past or (empty, empty)
    return Balance(
        network=control.write(network, used[-1] if past else weights),
        weights=used[-1] if past else weights,
        rates=rates[-_IN_A_ROW:].mean(0) if past else jnp.full_like(weights, target),
        history={"rates": rates, "weights": used},
        accepted=(low, high),
        growth=growth,
    )


def critical_coupling(
    network: Network,
    target: RealScalarLike | None = None,
    *,
    upper: RealScalarLike | None = None,
    rate: str | None = None,
    weight: str | tuple[Any, ...] | None = None,
) -> float:
    """The global coupling at which a balanced network loses its noise-free state.

    Inhibition is tuned anew at every coupling, as the start of `nmm.balance` does it. Beyond, the
    target is an unstable state: without noise the network leaves it. Delays, which move no steady
    state but may change its stability, are left out.

    **Arguments:**

    - `network`, `target`, `rate`, `weight`: as in `nmm.balance`. The network has one coupling, with
        a scalar `G`.
    - `upper`: where the search ends; 5 over the spectral radius of the weights by default.

    **Returns:**

    The smallest such `G`, to a thousandth of `upper`; infinity if there is none up to `upper`.

    **Raises:**

    - `ValueError` as `nmm.balance` does, if the coupling has no scalar `G`, or if nothing is
        connected and `upper` is not given.
    """
    control, target = _parse(network, target, rate, weight)
    coupling, connectome = network.coupling, network.connectome
    if np.ndim(getattr(coupling, "G", [None])) != 0 or isinstance(connectome, tuple):
        raise ValueError(
            f"`network` should have one coupling, with a scalar `G`; got {coupling!r}."
        )
    if upper is None:
        radius = float(connectome.spectral_radius)
        if not radius > 0:
            raise ValueError(
                "`upper` should be given where the spectral radius of the weights is "
                f"{radius:g}, to which it is 5 by default."
            )
        upper = 5 / radius

    def growth(G: float) -> float:
        def place(net: Any) -> Any:
            return net.coupling.G

        at = eqx.tree_at(place, network, jnp.full_like(place(network), G))
        return _steady(at, control, target)[2]

    steps = np.linspace(0, float(upper), 26)
    first = next((i for i, G in enumerate(steps) if growth(G) >= 0), None)
    if first is None:
        return float("inf")
    low, high = steps[max(first - 1, 0)], steps[first]
    while high - low > 0.001 * upper:
        middle = (low + high) / 2
        low, high = (low, middle) if growth(middle) >= 0 else (middle, high)
    return float(high)


def _parse(network: Any, target: Any, rate: Any, weight: Any) -> tuple[Control, float]:
    if not isinstance(network, Network):
        raise TypeError(f"`network` should be a `nmm.Network`, got {network!r}.")
    node = type(network.node).__name__
    if not is_concrete(jax.tree.leaves(network)[0]):
        raise ValueError("`network` should be known; balance it outside of `jax.jit`.")
    if rate is None and weight is None:
        if type(network.node) not in _CONTROLS:
            known = [cls.__name__ for cls in _CONTROLS]
            raise ValueError(
                f"`rate` and `weight` should be given for `{node}`; they are known of {known}."
            )
        control = _CONTROLS[type(network.node)]
    elif rate is None or weight is None:
        raise ValueError(f"`rate` and `weight` should be given both, got {rate!r} and {weight!r}.")
    else:
        name, *index = (weight,) if isinstance(weight, str) else weight
        control = Control(rate, name, tuple(index))
    declared = {path: d for path, d, _ in declared_parameters(network.node)}
    core = declared[control.parameter].shape if control.parameter in declared else None
    if core is None or len(core) != len(control.place):
        raise ValueError(
            f"`weight` should be a parameter of `{node}`, one of {list(declared)}, and a place in "
            f"it if it is a matrix; got {weight!r}."
        )
    if target is None:
        if control.rate != "H_e":
            raise ValueError(f"`target` should be given for `{node}`.")
        target = 3.0
    if not 0 < float(target) < np.inf:
        raise ValueError(f"`target` should be a positive rate, got {target}.")
    return control, float(target)


def _steady(network: Network, control: Control, target: float) -> tuple[Array, Any, float]:
    """The weights with which a network rests at the target, where, and its largest growth rate."""
    # Where nothing moves, delays change nothing.
    at_once = Network(network.node, network.connectome, network.coupling, stimulus=network.stimulus)
    tuned, state, errors = _solve(at_once, control, target)
    weights = control.read(tuned)
    tolerance = 1e4 * np.finfo(weights.dtype).eps
    for bad, what in (
        (~(np.asarray(errors) < tolerance), "no inhibition was found that brings"),
        (np.asarray(weights) < 0, "negative inhibition would be needed to bring"),
    ):
        if bad.any():
            where = np.flatnonzero(bad)
            names = [network.labels[i] if network.labels else int(i) for i in where[:5]]
            more = f" and {len(where) - 5} more" if len(where) > 5 else ""
            raise ValueError(
                f"`target`: {what} the regions {names}{more} to {target}. Give them another drive, "
                "another coupling, or another target."
            )
    values = np.linalg.eigvals(np.asarray(_jacobian(tuned, state)))
    return weights, state, float(np.max(np.real(values)))


@eqx.filter_jit
def _solve(network: Network, control: Control, target: Any) -> tuple[Network, Any, Array]:
    """Newton's method for states and weight of each region, with what it hears held in a step."""
    dtype = control.read(network).dtype
    unknown = {
        name: jnp.full(network.shape, sum(d.start or (d.default,) * 2) / 2, dtype)
        for name, d in declarations(network.State).items()
    }
    unknown = [*unknown.values(), control.read(network)]

    def parts(unknown: list[Array]) -> tuple[Network, Any]:
        *values, weight = unknown
        names = declarations(network.State)
        state = network.State(**dict(zip(names, values, strict=True)))
        return control.write(network, weight), state

    def equations(unknown: list[Array], received: Any) -> Array:
        now, state = parts(unknown)
        slopes = now.node.vector_field(0.0, state, received)
        rate = evaluate(now.node, control.rate, state, lambda: received)
        return jnp.stack([*jax.tree.leaves(slopes), rate / target - 1], axis=-1)

    def step(unknown: list[Array], _: None) -> tuple[list[Array], Array]:
        now, state = parts(unknown)
        received = now.receive(0.0, state, None)
        residual, linear = jax.linearize(lambda x: equations(x, received), unknown)
        # Regions do not mix, so that all of them are differentiated at once.
        jacobian = jnp.stack(
            [
                linear([jnp.full_like(x, i == k) for i, x in enumerate(unknown)])
                for k in range(len(unknown))
            ],
            axis=-1,
        )
        scale = jnp.sum(jnp.abs(jacobian), axis=-1)
        scale = jnp.where(scale > 0, scale, 1)
        move = jnp.linalg.solve(jacobian, -residual[..., None])[..., 0]
        move = jnp.where(jnp.isfinite(move), move, 0)

        def moved(fraction: Array) -> list[Array]:
            return [x + fraction * move[..., k] for k, x in enumerate(unknown)]

        def error(fraction: Array) -> Array:
            relative = equations(moved(fraction), received) / scale
            return jnp.nan_to_num(jnp.sum(relative**2, axis=-1), nan=jnp.inf)

        # A whole step overshoots where a rate saturates.
        fractions = 0.5 ** jnp.arange(10, dtype=dtype)
        best = fractions[jnp.argmin(jax.vmap(error)(fractions), axis=0)]
        return moved(best), jnp.max(jnp.abs(residual), axis=-1)

    unknown, errors = jax.lax.scan(step, unknown, length=_NEWTON_STEPS)
    return *parts(unknown), errors[-1]


@eqx.filter_jit
def _jacobian(network: Network, state: Any) -> Array:
    flat, unravel = ravel_pytree(state)

    def field(x: Array) -> Array:
        return ravel_pytree(network.vector_field(0.0, unravel(x)))[0]

    return jax.jacfwd(field)(flat)


@eqx.filter_jit
def _round(
    network: Network, control: Control, noise: Any, state: Any, key: Key, dt: Any, length: Any
) -> tuple[Array, Any]:
    """The mean rate of each region in a run, and where it ends."""
    window = length / 10
    sol = simulate(
        network,
        length,
        dt,
        key=key,
        noise=noise,
        y0=state,
        save={"rate": TemporalAverage(window, control.rate)},
        transient=window,
        throw=False,
    )
    return jnp.mean(sol["rate"], axis=0), sol.y1
