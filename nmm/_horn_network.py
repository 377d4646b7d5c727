"""Networks of harmonic oscillators that read sequences, and are trained on tasks."""

import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.random as jr
from jaxtyping import Array, ArrayLike, Float

from ._custom_types import Key
from ._network import Network
from .coupling import Linear
from .integrate import SemiImplicitEuler, simulate
from .models import HORN


class HORNLayer(eqx.Module):
    r"""A network of `nmm.HORN` units that reads a sequence, one sample a step of 1 ms.

    $$u = W_{in} s + b + \frac{1}{\sqrt{n}} W y$$

    `network` is a `nmm.Network`, whose `connectome.weights` are $W$, `[target, source]`, and whose
    coupling sends the velocities $y$ with $G = 1/\sqrt{n}$; `encoder` holds $W_{in}$ and $b$. It
    runs through `nmm.simulate`, so that it can be jitted, vmapped over sequences, and
    differentiated. Weights and biases start uniform within $\pm 1/\sqrt{\mathrm{fan\ in}}$.

    Reference: Effenberger, Carvalho, Dubinin, Singer (2025) PNAS 122(4):e2412830122.

    **Arguments:**

    - `n_inputs`: channels of the sequence.
    - `n_units`: oscillators.
    - `node`: the units, with scalar parameters or one value for each; `nmm.HORN()` by default.
    - `delays`: `None`, or a matrix `[target, source]` in ms, which are steps: velocities then
        arrive so much later.
    - `key`: draws the weights.

    **Raises:**

    - `ValueError` if `node` or `delays` are given for another number of units.
    """

    encoder: eqx.nn.Linear
    network: Network

    def __init__(
        self,
        n_inputs: int,
        n_units: int,
        *,
        node: HORN | None = None,
        delays: ArrayLike | None = None,
        key: Key,
    ):
        inner, outer = jr.split(key)
        scale = 1 / math.sqrt(n_units)
        weights = jr.uniform(inner, (n_units, n_units), minval=-scale, maxval=scale)
        self.encoder = eqx.nn.Linear(n_inputs, n_units, key=outer)
        # Static checkers take the property `node` of a model for one of its fields.
        node = HORN() if node is None else node  # pyright: ignore[reportCallIssue]
        self.network = Network(node, weights, Linear(G=scale), delays=delays)

    def run(
        self, sequence: Float[Array, "time inputs"], y0: HORN.State | None = None
    ) -> HORN.State:
        """Positions `x` and velocities `y` of all units after each sample, `(time, units)`.

        **Arguments:**

        - `sequence`: what is read.
        - `y0`: where the units start, `(units,)`; at rest by default. In the paper some start at
            random, `nmm.HORN.State(*jr.normal(key, (2, units)))`.
        """
        drive = jax.vmap(self.encoder)(sequence)
        # In training, the loss tells of a run that diverges.
        options = {"inputs": drive, "solver": SemiImplicitEuler("y"), "y0": y0, "throw": False}
        return simulate(self.network, float(len(sequence)), 1.0, **options).ys

    def __call__(self, sequence: Float[Array, "time inputs"]) -> Float[Array, "time units"]:
        """The positions after each sample."""
        return self.run(sequence).x


class HORNNetwork(eqx.Module):
    r"""Layers of oscillators that read a sequence, and a linear readout of where the last one ends.

    Layer $k + 1$ reads the positions of layer $k$; the output is $W_{out} x_T + b_{out}$.

    Reference: Effenberger, Carvalho, Dubinin, Singer (2025) PNAS 122(4):e2412830122.

    **Arguments:**

    - `n_inputs`: channels of the sequence.
    - `n_units`: oscillators of each layer.
    - `n_outputs`: numbers that are read out.
    - `nodes`: the units of each layer, see `nmm.HORNLayer`; `nmm.HORN()` by default.
    - `delays`: the delays within each layer, see `nmm.HORNLayer`; none by default.
    - `key`: draws the weights.

    **Raises:**

    - `ValueError` if there is not one of `nodes` or `delays` for each layer.
    """

    layers: list[HORNLayer]
    readout: eqx.nn.Linear

    def __init__(
        self,
        n_inputs: int,
        n_units: Sequence[int],
        n_outputs: int,
        *,
        nodes: Sequence[HORN | None] | None = None,
        delays: Sequence[ArrayLike | None] | None = None,
        key: Key,
    ):
        count = len(n_units)
        nodes = [None] * count if nodes is None else nodes
        delays = [None] * count if delays is None else delays
        for name, given in (("nodes", nodes), ("delays", delays)):
            if len(given) != count:
                raise ValueError(
                    f"`{name}` should hold one for each of the {count} layers, got {len(given)}."
                )
        *keys, last = jr.split(key, count + 1)
        widths = [n_inputs, *n_units]
        self.layers = [
            HORNLayer(*shape, node=node, delays=late, key=k)
            for *shape, node, late, k in zip(
                widths[:-1], widths[1:], nodes, delays, keys, strict=True
            )
        ]
        self.readout = eqx.nn.Linear(widths[-1], n_outputs, key=last)

    def activations(self, sequence: Float[Array, "time inputs"]) -> list[Float[Array, "time _"]]:
        """The positions of each layer after each sample, `(time, units)`."""
        found = []
        for layer in self.layers:
            sequence = layer(sequence)
            found.append(sequence)
        return found

    def __call__(self, sequence: Float[Array, "time inputs"]) -> Float[Array, " outputs"]:
        """What is read out after the last sample."""
        return self.readout(self.activations(sequence)[-1][-1])
