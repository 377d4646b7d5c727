"""A network of Jansen–Rit columns with learned weights that gives one sample an acquisition."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from ._connectome import Connectome
from ._custom_types import Key, Parameter, Weights
from ._declare import check_parameters, param
from ._network import Network
from .coupling import Diffusive
from .integrate import Solution, simulate
from .models import JansenRit
from .noise import AbstractNoise
from .stimulus import Data
from .units import Hz

_TARGETS = ("M_inp", "E_inp", "I_inp")


class JansenRitTR(eqx.Module):
    r"""Jansen–Rit columns that hear each other on three pathways, one sample each repetition time.

    The lateral, the forward and the backward pathway carry differences of a signal $x$ onto the
    pyramidal, excitatory and inhibitory populations, each with weights of its own that are learned
    as logarithms, on the edges of the structural connectome $C$:

    $$u_i = g \sum_j W_{ij}\,\big(x_j(t - \tau_{ij}) - x_i(t)\big), \qquad
      W = \frac{V}{\lVert V \rVert_F}, \qquad V_{ij} = e^{w_{ij}} C_{ij}$$

    and the backward pathway subtracts. The lateral pathway has no direction, and its $V$ is made
    symmetric, $(V + V^\mathsf{T})/2$. By default $x$ is $M$ on the lateral pathway and the EEG,
    $E - I$, on the others. `w_l`, `w_f` and `w_b` hold $w$, `[target, source]`, and start at 0; the
    gains $g$ are `"network.coupling.0.G"` (lateral, mV per mV), `1` (forward, per ms and mV) and
    `2` (backward, negative). Smooth.

    brainmass 0.1.1 differs: it delays $M$ on all pathways, by whole repetition times, updates the
    delayed part once in each, and does not symmetrise.

    Reference: Momi, Wang, Griffiths (2023) eLife 12:e83232.

    **Arguments:**

    - `connectome`: the structural connectome; a `nmm.Connectome` or a matrix.
    - `node`: the columns, with scalar or regional parameters; without mean input by default.
    - `g_l`, `g_f`, `g_b`: gains of the pathways; that of the forward one in Hz/mV.
    - `k`: gain of the stimulus, in mV.
    - `tr`: repetition time, in ms.
    - `sources`: the signals that the lateral, forward and backward pathways carry.
    - `symmetric`: whether the lateral weights are made symmetric, before they are normalised.
    - `delays`: `None`, or a matrix in ms, `[target, source]`.
    """

    network: Network
    structure: Weights
    w_l: Weights
    w_f: Weights
    w_b: Weights
    tr: float = eqx.field(static=True)
    symmetric: bool = eqx.field(static=True)
    k: Parameter = param(1.0, unit="mV", doc="gain of the stimulus", bounds=(0.0, 100.0))

    def __init__(
        self,
        connectome: Connectome | Array,
        node: JansenRit | None = None,
        *,
        g_l: ArrayLike = 1.0,
        g_f: ArrayLike = 1.0,
        g_b: ArrayLike = 1.0,
        k: ArrayLike = 1.0,
        tr: float = 1.0,
        sources: tuple[str, str, str] = ("M", "eeg", "eeg"),
        symmetric: bool = True,
        delays: ArrayLike | None = None,
    ):
        if not isinstance(connectome, Connectome):
            connectome = Connectome(connectome)
        gains = (jnp.asarray(g_l), jnp.asarray(g_f) * Hz, -jnp.asarray(g_b))
        pathways = zip(gains, sources, _TARGETS, strict=True)
        lateral = connectome
        if symmetric:  # It has the edges of both directions, of which delays must know.
            both = _symmetrised(connectome.weights)
            lateral = eqx.tree_at(lambda c: c.weights, connectome, both)
        self.network = Network(
            # Static checkers take the property `node` of a model for one of its fields.
            JansenRit(p=0.0) if node is None else node,  # pyright: ignore[reportCallIssue]
            (lateral, connectome, connectome),
            tuple(Diffusive(G=g, source=source, target=target) for g, source, target in pathways),
            delays=delays,
        )
        self.structure = connectome.weights
        self.w_l = self.w_f = self.w_b = jnp.zeros_like(connectome.weights)
        self.k = jnp.asarray(k)
        self.tr = tr
        self.symmetric = symmetric
        check_parameters(self)

    def learned(self) -> Network:
        """The network with the weights as they are learned so far; their Frobenius norms are 1."""
        lateral, *directed = (jnp.exp(w) * self.structure for w in (self.w_l, self.w_f, self.w_b))
        if self.symmetric:
            lateral = _symmetrised(lateral)
        weights = [w / jnp.linalg.norm(w) for w in (lateral, *directed)]
        return eqx.tree_at(lambda n: [c.weights for c in n.connectome], self.network, weights)

    def run(
        self,
        samples: int,
        dt: float,
        *,
        stimulus: Float[Array, "time regions"] | None = None,
        noise: AbstractNoise | tuple[AbstractNoise, ...] | None = None,
        key: Key | None = None,
        save: Any = ("eeg",),
        **options: Any,
    ) -> Solution:
        """The EEG at the end of each repetition time, `(samples, regions)`, as `["eeg"]`.

        **Arguments:**

        - `samples`: how many.
        - `dt`: step in ms, a whole part of `tr`.
        - `stimulus`: onto the pyramidal populations, times `k`; one row a repetition time, or one a
            step.
        - `save`: what to keep, as in `nmm.simulate`; `None` for whole states.
        - `noise`, `key`, `options`: as in `nmm.simulate`; each slot or variable may have noise of
            its own.

        **Raises:**

        - `ValueError` if `stimulus` has neither one row a repetition time nor one a step.
        """
        inputs = None
        if stimulus is not None:
            steps = round(samples * self.tr / dt)
            if len(stimulus) not in (samples, steps):
                raise ValueError(
                    f"`stimulus` should have one row for each of {samples} repetition times or "
                    f"{steps} steps, got {len(stimulus)}."
                )
            interval = self.tr if len(stimulus) == samples else dt
            held = Data(stimulus, interval, amplitude=self.k, interpolation="hold", outside="hold")
            inputs = held.onto("M_inp")
        return simulate(
            self.learned(),
            samples * self.tr,
            dt,
            inputs=inputs,
            noise=noise,
            key=key,
            save=save,
            save_every=self.tr,
            **options,
        )


def _symmetrised(weights: Weights) -> Weights:
    return (weights + weights.T) / 2
