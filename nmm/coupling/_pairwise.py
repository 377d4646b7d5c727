"""Couplings whose messages depend on who hears them."""

import abc
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._custom_types import Value
from .._sparse import SparseConnectome
from ._base import AbstractCoupling


class AbstractPairwise(AbstractCoupling):
    r"""What arrives at region $i$, where a message depends on the region that hears it, too.

    $$u_i = \mathrm{receive}\Big(x_i,\ \sum_j W_{ij}\,\mathrm{pair}(x_j, x_i),\
      \sum_j W_{ij}\Big)$$

    `pair` is evaluated for every pair of regions at every stage of a solver, on a list of edges for
    every edge: where it is a sum of products, as $\sin(x_j - x_i)$ is, a coupling of several
    `message` features takes N evaluations in place of N². It acts at once: with delays, or between
    the parcels of a `nmm.ParcelConnectome`, a `nmm.Network` refuses it.

    A coupling of one's own declares its parameters and defines `pair` and `receive`.
    """

    @abc.abstractmethod
    def pair(self, source: Any, target: Any) -> Value:
        """What one region hears of another; of values of all pairs at once, that broadcast."""

    def message(self, source: Any) -> Any:
        return source

    def sums(self, connectome: Any, values: Any) -> Array:
        """The weighted sums over the pairs of a connectome, from the sources of all regions."""

        def at(ends: Any) -> Any:
            return jax.tree.map(lambda x: x[..., ends], values)

        if isinstance(connectome, SparseConnectome):
            return connectome.layout.pair_sums(
                connectome.weights, lambda sources, targets: self.pair(at(sources), at(targets))
            )
        regions = jnp.arange(connectome.n_regions)
        return jnp.sum(
            connectome.weights * self.pair(at(regions[None]), at(regions[:, None])), axis=-1
        )
