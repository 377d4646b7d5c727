"""Wilson–Cowan populations that hear each other late."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike

from ._network import Network
from .coupling import Scaling
from .models import Subtractive, WilsonCowan


def wilson_cowan_delayed(
    node: WilsonCowan | None = None,
    delays: ArrayLike | Sequence[Sequence[float | int]] = ((2.0, 1.5), (2.0, 1.5)),
    regions: int = 1,
    **options: Any,
) -> Network:
    r"""A `nmm.WilsonCowan` circuit with local delays, as a network of one region or of several.

    $$\tau_E \dot r_E = -r_E + (k_E - \rho_E r_E)\,
      F_E\big(w_{EE} r_E(t - d_{EE}) - w_{EI} r_I(t - d_{EI}) + P + I_E\big)$$

    and the same for $r_I$. The leak and the refractoriness see the present rates, so that delays
    move no equilibrium, but slow rhythms down and bring them about: the circuit of the preset
    `"limit_cycle"` has a period of 40 ms without delays, of 98 ms with the default ones and of 147
    ms with 5 ms everywhere. Regions do not hear each other. The four couplings, `"coupling.0"` to
    `"coupling.3"`, carry E to E, I to E, E to I and I to I; their `G` are the strengths. The class
    of brainmass has its default strengths between E and I the other way round:
    `nmm.WilsonCowan.preset("brainmass_delayed")` for `node`.

    Reference: Robinson et al. (2001) Physical Review E 63:021903; Breakspear et al. (2006) Cerebral
    Cortex 16:1296.

    **Arguments:**

    - `node`: the circuit, with scalar or regional parameters; `nmm.WilsonCowan()` by default.
    - `delays`: in ms, `[target, source]`, order E, I; one matrix, or `(2, 2, regions)`.
    - `regions`: how many.
    - `options`: noise, stimulus, `delay_range` and the like, as in `nmm.Network`.

    **Returns:**

    A `nmm.Network`, to be simulated with `nmm.simulate`.

    **Raises:**

    - `ValueError` if `delays` has another shape, or if inhibition in `node` is not subtractive.
    """
    # Static checkers take the property `node` of a model for one of its fields.
    node = WilsonCowan() if node is None else node  # pyright: ignore[reportCallIssue]
    if not all(isinstance(x, Subtractive) for x in (node.inhibition_E, node.inhibition_I)):
        raise ValueError(
            "`node` should have `nmm.Subtractive` inhibition, since what divides cannot arrive as "
            f"an input, got {node.inhibition_E} and {node.inhibition_I}."
        )
    shape = np.shape(delays)
    if shape not in ((2, 2), (2, 2, regions)):
        raise ValueError(
            f"`delays` should have the shape (2, 2) or (2, 2, {regions}), got {shape}."
        )
    itself = jnp.eye(regions)
    couplings, matrices = [], []
    for i, target in enumerate(("rE_inp", "rI_inp")):
        for j, source in enumerate(("rE", "rI")):
            strength = node.weights[i, j] if source == "rE" else -node.weights[i, j]
            couplings.append(Scaling(G=strength, source=source, target=target))
            matrices.append(np.asarray(delays)[i, j] * np.eye(regions))
    silent = eqx.tree_at(lambda node: node.weights, node, jnp.zeros_like(node.weights))
    return Network(silent, itself, tuple(couplings), delays=tuple(matrices), **options)
