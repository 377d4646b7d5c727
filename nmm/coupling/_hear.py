"""What regions hear through a coupling, over a connectome."""

from typing import Any

import equinox as eqx
import jax

from .._connectome import AbstractConnectome, Connectome
from .._sparse import ParcelConnectome, SparseConnectome
from ._base import AbstractCoupling
from ._pairwise import AbstractPairwise


def hear_at_once(coupling: AbstractCoupling, connectome: AbstractConnectome, values: Any) -> Any:
    """What the regions hear of each other now, from the source of each."""
    if isinstance(coupling, AbstractPairwise):
        sums = coupling.sums(connectome, values)
    else:
        sums = jax.tree.map(connectome.weighted_sum, coupling.message(values))
    return coupling.among(senders(connectome)).receive(values, sums, connectome.strength)


def senders(connectome: AbstractConnectome) -> int:
    """How many send: regions, or parcels of them."""
    if isinstance(connectome, ParcelConnectome):
        return connectome.parcels.n_regions
    return connectome.n_regions


def check_hearing(
    coupling: AbstractCoupling,
    connectome: AbstractConnectome,
    source: Any,
    values: Any,
    at_once: bool,
) -> None:
    """Refuses a coupling that makes no input of its source, on shapes alone.

    **Arguments:**

    - `source`: what the coupling sends, by name.
    - `values`: of it, or their shapes.
    - `at_once`: whether it has neither a speed nor delays.

    **Raises:**

    - `ValueError`, naming `coupling`.
    """
    name, regions = type(coupling).__name__, connectome.n_regions
    if isinstance(coupling, AbstractPairwise):
        kinds = Connectome | SparseConnectome
        if not (at_once and isinstance(connectome, kinds)):
            raise ValueError(
                f"`coupling` of pairs, `{name}`, should act at once (`speed` and `delays` `None`), "
                "on a `nmm.Connectome` or a `nmm.SparseConnectome`; features that are sent, "
                "`message`, can be delayed."
            )
    try:
        heard = eqx.filter_eval_shape(hear_at_once, coupling, connectome, values)
    except Exception as error:
        raise ValueError(
            f"`coupling` should make an input of its source, {source!r}, by `message` and "
            f"`receive`; that of `{name}` failed: {str(error).strip() or error!r}"
        ) from error
    shape = getattr(heard, "shape", None)
    if shape not in ((), (regions,)):
        raise ValueError(
            f"`coupling` should receive one number for each of the {regions} regions; `{name}` "
            f"received {heard if shape is None else f'the shape {shape}'}."
        )
