"""Networks with delays, linearised: exactly at each frequency, and as a larger system without."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from .._connectome import Connectome

NODES = 12
"""Of Chebyshev, in the past of each number that is sent."""


class DelayedEdges(eqx.Module):
    """The edges of a network with delays; what they carry are the sums of each coupling's message.

    **Attributes:**

    - `weights`, `delays`: for each coupling of those edges, `(regions, regions)`; ms. `None` for
        couplings without delays.
    - `longest`: the longest of these delays of each coupling, ms.
    - `several`: whether the network has a tuple of couplings.
    """

    weights: tuple[Array | None, ...]
    delays: tuple[Array | None, ...]
    longest: tuple[Array | None, ...]
    several: bool = eqx.field(static=True)

    @classmethod
    def of(cls, network: Any) -> "DelayedEdges":
        """Of a network.

        **Raises:**

        - `ValueError` if its delays leave their range, or belong to edges in a list.
        """
        network.check_delays()
        weights, longest, delays = [], [], network.all_delays()
        for spans, connectome in zip(network.spans, network.connectomes, strict=True):
            if spans is not None and not isinstance(connectome, Connectome):
                raise ValueError(
                    "`model` should have delays on a dense `nmm.Connectome` alone, got them on a "
                    f"`{type(connectome).__name__}`."
                )
            if spans is None:
                weights.append(None)
                longest.append(None)
                continue
            late = ~spans.edges_at_once & spans.edges
            weights.append(jnp.where(late, connectome.weights, 0))
            # Delays that were declared may be 0, but the past must reach back.
            least = 1e-3 * spans.longest.max()
            longest.append(jnp.maximum(jnp.max(jnp.where(late, delays[len(longest)], 0)), least))
        several = isinstance(network.coupling, tuple)
        return cls(tuple(weights), tuple(delays), tuple(longest), several)

    def sums(self, messages: tuple[Any, ...]) -> tuple[Any, ...]:
        """The sums of messages that do not change; `None` without delays."""

        def one(weights: Array | None, message: Any) -> Any:
            return None if weights is None else jax.tree.map(lambda m: m @ weights.T, message)

        return tuple(map(one, self.weights, messages))

    def given(self, sums: tuple[Any, ...]) -> Any:
        """As the network takes them."""
        return sums if self.several else sums[0]


class Past(eqx.Module):
    r"""What a network with delays hears of its past, $s_i(t) = \sum_j w_{ij} M_j x(t-\tau_{ij})$.

    The numbers $s$ are those of each coupling, channel and region, in this order.

    **Attributes:**

    - `paths`: for each coupling with delays its weights, its delays and the longest of them, and
        what each region sends for a unit of each state, `(channels, regions, n)`.
    - `nodes`: of Chebyshev, in the past of each number that is sent.
    """

    paths: tuple[tuple[Array, Array, Array, Array], ...]
    nodes: int = eqx.field(static=True)

    def heard(self, omega: Float[Array, " frequencies"]) -> Complex[Array, "frequencies sums n"]:
        """The sums for a unit of each state that oscillates, at angular frequencies in rad/ms."""
        found = []
        for weights, delays, _, sent in self.paths:
            turned = weights * jnp.exp(-1j * omega[:, None, None] * delays)
            heard = jnp.einsum("fij,cjn->fcin", turned, sent)
            found.append(heard.reshape(len(omega), -1, sent.shape[-1]))
        return jnp.concatenate(found, axis=1)

    def system(
        self, direct: Float[Array, "n n"], hearing: Float[Array, "n sums"]
    ) -> tuple[Float[Array, "m m"], Float[Array, "sums m"]]:
        r"""A system without delays: the states, and what was sent at Chebyshev's nodes before now.

        The past of each number that is sent, $u(t, \theta) = M x(t + \theta)$, is moved on by
        $\partial_t u = \partial_\theta u$, with the derivative of the polynomial through its nodes.
        What is slow against the longest delay over the number of nodes is exact up to rounding.

        Reference: Breda, Maset, Vermiglio (2005) SIAM Journal on Scientific Computing 27:482.

        **Arguments:**

        - `direct`, `hearing`: the derivatives of the states with respect to themselves, and to the
            sums.

        **Returns:**

        Its drift, and the sums for a unit of each of its numbers.
        """
        n = len(direct)
        own, before, moves, enters = [], [], [], []
        for weights, delays, longest, sent in self.paths:
            channels, regions, _ = sent.shape
            places, derivative = chebyshev(self.nodes, longest)
            now, *past = jnp.moveaxis(weights[..., None] * lagrange(places, -delays), -1, 0)
            each = jnp.eye(channels, dtype=direct.dtype)
            own.append(jnp.einsum("ij,cjn->cin", now, sent).reshape(-1, n))
            past = jnp.einsum("kij,cd->cikdj", jnp.stack(past), each)
            before.append(past.reshape(channels * regions, -1))
            identity = jnp.eye(channels * regions, dtype=direct.dtype)
            moves.append(jnp.kron(derivative[1:, 1:], identity))
            enters.append(jnp.kron(derivative[1:, :1], sent.reshape(-1, n)))
        sums = jnp.concatenate([jnp.concatenate(own), jax.scipy.linalg.block_diag(*before)], axis=1)
        top = jnp.concatenate([direct, jnp.zeros((n, sums.shape[1] - n), direct.dtype)], axis=1)
        below = jnp.concatenate(
            [jnp.concatenate(enters), jax.scipy.linalg.block_diag(*moves)], axis=1
        )
        return jnp.concatenate([top + hearing @ sums, below]), sums


class Parts(NamedTuple):
    """The linear parts of a delayed network.

    **Attributes:**

    - `direct`, `hearing`: the derivatives of the states with respect to themselves, and to the
        sums over delayed edges.
    - `past`: how the sums come from states before.
    - `sums`, `unravel`: those at rest, as one vector, and the way back.
    """

    direct: Float[Array, "n n"]
    hearing: Float[Array, "n sums"]
    past: Past
    sums: Float[Array, " sums"]
    unravel: Callable[[Array], Any]


def linearise(
    edges: DelayedEdges,
    field: Callable[[Array, tuple[Any, ...]], Array],
    messages: Callable[[Array], tuple[Any, ...]],
    x: Float[Array, " n"],
    nodes: int,
) -> Parts:
    """The linear parts of a delayed network at a state that does not change.

    **Arguments:**

    - `field`: the derivative of the states, from them and from the sums over delayed edges.
    - `messages`: what is sent, of each coupling.
    """
    sums = edges.sums(messages(x))
    flat, unravel = _ravel(sums)
    direct = jax.jacfwd(lambda x: field(x, sums))(x)
    hearing = jax.jacfwd(lambda s: field(x, unravel(s)))(flat)
    paths = []
    jacobians = jax.jacfwd(lambda x: tuple(map(_channels, messages(x))))(x)
    for weights, delays, sent, end in zip(
        edges.weights, edges.delays, jacobians, edges.longest, strict=True
    ):
        if weights is not None:
            # What the past is divided into does not change what it is.
            paths.append((weights, delays, jax.lax.stop_gradient(end), sent))
    return Parts(direct, hearing, Past(tuple(paths), nodes), flat, unravel)


def _channels(message: Any) -> Array:
    """What each region sends, `(channels, regions)`."""
    leaves = jax.tree.leaves(message)
    return jnp.concatenate([x.reshape(-1, x.shape[-1]) for x in leaves])


def _ravel(sums: tuple[Any, ...]) -> tuple[Array, Callable[[Array], Any]]:
    """Sums as one vector, coupling by coupling, channel by channel; and the way back."""
    leaves, structure = jax.tree.flatten(sums)
    shapes, ends = [x.shape for x in leaves], np.cumsum([x.size for x in leaves])[:-1]

    def unravel(flat: Array) -> Any:
        parts = jnp.split(flat, ends)
        return structure.unflatten([x.reshape(s) for x, s in zip(parts, shapes, strict=True)])

    return jnp.concatenate([x.ravel() for x in leaves]), unravel


def chebyshev(
    nodes: int, longest: Float[Array, ""]
) -> tuple[Float[Array, " places"], Float[Array, "places places"]]:
    """Chebyshev's points from 0 back to `-longest`, and the derivative of polynomials there.

    Reference: Trefethen (2000) Spectral Methods in MATLAB, chapter 6.
    """
    x = np.cos(np.pi * np.arange(nodes + 1) / nodes)
    ends = np.ones(nodes + 1)
    ends[[0, -1]] = 2
    signed = ends * (-1.0) ** np.arange(nodes + 1)
    derivative = np.outer(signed, 1 / signed) / (x[:, None] - x + np.eye(nodes + 1))
    derivative -= np.diag(derivative.sum(axis=1))
    dtype = longest.dtype
    return jnp.asarray(x - 1, dtype) * longest / 2, jnp.asarray(derivative, dtype) * 2 / longest


def lagrange(
    places: Float[Array, " places"], x: Float[Array, "*shape"]
) -> Float[Array, "*shape places"]:
    """Lagrange's polynomials of these places, at `x`."""
    count = len(places)
    others = np.array([np.delete(np.arange(count), k) for k in range(count)])
    scale = places[:, None] - places[others]
    return jnp.prod((x[..., None, None] - places[others]) / scale, axis=-1)
