"""A network: a model in every region, a connectome between them, one vector field in all."""

import functools
from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike

from ._connectome import AbstractConnectome, Connectome
from ._custom_types import Key
from ._declare import as_float, declarations, is_concrete, parameter_shape
from ._delays import (
    READINGS,
    Arrivals,
    Held,
    Spans,
    check_range,
    find_spans,
    left,
    refuse_new_edges,
    refuse_outside,
    with_weights,
)
from ._sparse import ParcelConnectome
from .coupling import AbstractCoupling, Linear
from .coupling._hear import check_hearing, hear_at_once, senders
from .models._base import AbstractDynamics, AbstractModel, evaluate
from .noise import AbstractNoise
from .stimulus._base import Stimulus, inputs_at


class Network(AbstractDynamics):
    r"""Regions that follow a model and hear each other: a vector field with the same contract.

    $$\dot x_i = f(t, x_i, u_i), \qquad
      u_i = \mathrm{coupling}(x_i, \{W_{ij}, x_j(t - \tau_{ij})\})
      + \mathrm{stimulus}_i(t) + \mathrm{inputs}_i$$

    **Delays** $\tau_{ij}$ are `tract_lengths / speed` or given. A pair of regions is an edge where
    its weight is not 0 when the network is built. Which edges are read together, and how far back,
    is planned then from numbers that are known. So a speed or delay that will be fitted or swept
    needs a declared range: its fast end sets the length of the chunks, its slow end that of the
    history. What leaves the range later is an error, as is a weight on a pair that is no edge, or a
    speed given to a network that was built without; delays of 0 without a range stay 0.

    **Arguments:**

    - `node`: the model of a region, with scalar or regional parameters.
    - `connectome`: a `nmm.Connectome` or a weight matrix, `W[target, source]`; or a
        `nmm.SparseConnectome` or a `nmm.ParcelConnectome`.
    - `coupling`: a `nmm.coupling.AbstractCoupling`, `nmm.coupling.Linear()` by default; or a tuple
        of several, each with a `source` and a `target` of its own. What arrives at the same target
        adds up. Then `connectome` may be a tuple too, with one for each coupling.
    - `noise`: `None`, a `nmm.noise.AbstractNoise` or a tuple of them, as part of the model, so that
        for example `"noise.sigma"` can be fitted.
    - `stimulus`: `None`, a stimulus (`nmm.stimulus`) or a function of time, `t -> Inputs`, or a
        tuple of several, as part of the model, so that `"stimulus.amplitude"` can be fitted.
    - `speed`: conduction speed in mm/ms (the same number as m/s), one or a matrix; `None` for
        coupling without delay.
    - `delays`: a matrix in ms, `[target, source]`, in place of a speed; one number, as the weights
        of the connectome, or of a `nmm.SparseConnectome` by edge, `(n_edges,)`. With several
        couplings, `speed` and `delays` may be tuples, with one for each or `None`.
    - `speed_range`: `(lowest, highest)`, between which the speed may later be changed; of couplings
        that have one.
    - `delay_range`: `(shortest, longest)`, numbers or like `delays`, between which delays may later
        be changed, whether directly or by tract lengths; of couplings without a range of speeds.
    - `reading`: how values between grid points are read: `"linear"` (second order), `"cubic"`
        (fourth order, for `nmm.RungeKutta4`) or `"nearest"`, of delays rounded to steps. The first
        two are differentiable in delays.
    - `hold`: whether coupling is computed once a step and held over its stages, as The Virtual
        Brain does (together with `reading="nearest"`); first order.

    **Raises:**

    - `ValueError` if regional parameters are not given for the regions of the connectome, if
        connectomes differ in their regions, if the model lacks the source or the target that a
        coupling names, or the coupling makes no input of its source; if a delay is negative or NaN
        or a speed not positive; if there is a speed but no tract lengths; or if a delay is outside
        of the declared range.
    """

    node: AbstractModel
    connectome: AbstractConnectome | tuple[AbstractConnectome, ...]
    coupling: AbstractCoupling | tuple[AbstractCoupling, ...]
    noise: AbstractNoise | tuple[AbstractNoise, ...] | None
    stimulus: Stimulus | tuple[Stimulus, ...] | None
    speed: Array | tuple[Array | None, ...] | None
    delays: Array | tuple[Array | None, ...] | None
    reading: str = eqx.field(static=True)
    hold: bool = eqx.field(static=True)
    planned: tuple[Spans | None, ...] = eqx.field(static=True, repr=False)

    def __init__(
        self,
        node: AbstractModel,
        connectome: AbstractConnectome | ArrayLike | tuple[AbstractConnectome | ArrayLike, ...],
        coupling: AbstractCoupling | tuple[AbstractCoupling, ...] | None = None,
        *,
        noise: AbstractNoise | tuple[AbstractNoise, ...] | None = None,
        stimulus: Stimulus | tuple[Stimulus, ...] | None = None,
        speed: ArrayLike | tuple[ArrayLike | None, ...] | None = None,
        delays: ArrayLike | tuple[ArrayLike | None, ...] | None = None,
        speed_range: tuple[float | int, float | int] | None = None,
        delay_range: tuple[ArrayLike, ArrayLike] | None = None,
        reading: str = "linear",
        hold: bool = False,
    ):
        self.node = node
        self.connectome = (
            tuple(_as_connectome(one) for one in connectome)
            if isinstance(connectome, tuple)
            else _as_connectome(connectome)
        )
        self.coupling = Linear() if coupling is None else coupling
        self.noise = noise
        self.stimulus = stimulus
        self.speed = _floats(speed)
        self.delays = _floats(delays)
        self.reading = reading
        self.hold = hold
        self._check_parts()
        self.planned = self._find_spans(speed, delays, speed_range, delay_range)

    def __check_init__(self) -> None:
        (regions,) = self.shape
        for connectome in _tuple(self.connectome):
            if connectome.n_regions != regions:
                raise ValueError(
                    f"`connectome` should have the same regions for every coupling, got {regions} "
                    f"and {connectome.n_regions}."
                )
        named = {c.labels for c in _tuple(self.connectome) if c.labels is not None}
        if len(named) > 1:
            one, other = sorted(named)[:2]
            i = next(i for i, pair in enumerate(zip(one, other, strict=True)) if len(set(pair)) > 1)
            raise ValueError(
                "`connectome` should have the same `labels` for every coupling, got "
                f"{one[i]!r} and {other[i]!r} for region {i}."
            )
        for part, module in [("node", self.node), *(("coupling", c) for c in self._couplings)]:
            shape = module.shape if part == "node" else parameter_shape(module)
            if shape not in ((), (regions,)):
                raise ValueError(
                    f"The regional parameters of `{part}` should be given for the {regions} "
                    f"regions of `connectome`, got {shape[0]}."
                )
        noises = self.noise if isinstance(self.noise, tuple) else (self.noise,)
        for noise in noises:
            if isinstance(noise, AbstractNoise):
                noise.check(self.node)
            elif noise is not None:
                raise TypeError(f"`noise` should be made of `nmm.noise` objects, got {noise!r}.")
        if self.stimulus is not None and not all(map(callable, _tuple(self.stimulus))):
            raise TypeError(f"`stimulus` should be a function of time, got {self.stimulus!r}.")
        slots = list(declarations(self.node.Inputs))
        for coupling in self._couplings:
            if self._target(coupling) not in slots:
                raise ValueError(
                    f"`coupling.target` should be an input slot of `{type(self.node).__name__}`, "
                    f"one of {slots}, got {self._target(coupling)!r}."
                )
        # Evaluating the sources once, on shapes alone, tells whether the model has them.
        sent = eqx.filter_eval_shape(lambda n: n._sent(n.node.initial_state(n.shape)), self)
        for i, (coupling, each) in enumerate(zip(self._couplings, sent, strict=True)):
            source = coupling.source or self.node.source
            check_hearing(coupling, self.connectomes[i], source, each, self.planned[i] is None)

    def _check_parts(self) -> None:
        if not isinstance(self.node, AbstractModel):
            raise TypeError(f"`node` should be a model, as `nmm.Hopf()` is, got {self.node!r}.")
        for coupling in self._couplings:
            if not isinstance(coupling, AbstractCoupling):
                raise TypeError(
                    "`coupling` should be a `nmm.coupling` object, or a tuple of them, got "
                    f"{coupling!r}."
                )
        given = len(_tuple(self.connectome))
        if not self._couplings or given not in (1, len(self._couplings)):
            raise ValueError(
                "`connectome` should be one, or a tuple with one for each coupling; got "
                f"{given} for {len(self._couplings)} couplings."
            )
        if self.reading not in READINGS:
            raise ValueError(f"`reading` should be one of {READINGS}, got {self.reading!r}.")
        if not isinstance(self.hold, bool):
            raise TypeError(f"`hold` should be `True` or `False`, got {self.hold!r}.")
        for name in ("speed", "delays"):
            one = getattr(self, name)
            if isinstance(one, tuple) and len(one) != len(self._couplings):
                raise ValueError(
                    f"`{name}` should be one, or a tuple with one for each coupling; got "
                    f"{len(one)} for {len(self._couplings)} couplings."
                )
            for each in _tuple(one):
                kind = getattr(each, "dtype", object)
                if each is not None and not jnp.issubdtype(kind, jnp.floating):
                    raise TypeError(f"`{name}` should be a number or numbers, got {each!r}.")

    def _find_spans(
        self,
        speed: Any,
        delays: Any,
        speed_range: tuple[Any, Any] | None,
        delay_range: tuple[Any, Any] | None,
    ) -> tuple[Spans | None, ...]:
        for name, ends in (("speed_range", speed_range), ("delay_range", delay_range)):
            if ends is not None:
                check_range(name, ends)
        if speed_range is not None and speed is None:
            raise ValueError("`speed_range` should go with a `speed`, got none.")
        if delay_range is not None and speed is None and delays is None:
            raise ValueError("`delay_range` should go with `delays` or a `speed`, got neither.")
        return tuple(
            find_spans(connectome, one_speed, one_delay, speed_range, delay_range)
            for connectome, one_speed, one_delay in zip(
                self.connectomes, self._for_each(speed), self._for_each(delays), strict=True
            )
        )

    @property
    def spans(self) -> tuple[Spans | None, ...]:
        """Between which ends the delays of each coupling lie; `None` if all is heard at once."""
        return tuple(None if one is None or one.at_once else one for one in self.planned)

    @property
    def delayed(self) -> bool:
        """Whether anything arrives with a delay."""
        return any(one is not None for one in self.spans)

    def check_delays(self) -> None:
        """Refuses delays that have left their range since, as far as they are known.

        **Raises:**

        - `ValueError`, with the first of them.
        """
        for spans, connectome, speed, delays in self._by_coupling():
            given = [n for n, x in (("speed", speed), ("delays", delays)) if x is not None]
            if len(given) != (spans is not None):
                raise ValueError(
                    "`speed` and `delays` should be there when a network is built, since its runs "
                    f"are planned then; this one, built {'without' if spans is None else 'with'}, "
                    f"now has {given or 'neither'}."
                )
            if spans is None:
                continue
            weights, found = connectome.weights, _delays(spans, connectome, speed, delays)
            if spans.at_once:
                if is_concrete((weights, found)) and left(spans, np.asarray(weights), found):
                    raise ValueError(
                        f"`{given[0]}` should be within the range known or declared when the "
                        "network was built (`speed_range`, `delay_range`), which was of no delays; "
                        f"got delays of up to {found.max():.6g} ms."
                    )
                continue
            if is_concrete(found):
                refuse_outside(spans, found, given[0])
            if is_concrete(weights):
                refuse_new_edges(spans, weights)

    def guarded(self) -> tuple["Network", Any]:
        """This network, with weights that are NaN if delays have left their range; and whether.

        Nothing can come of a delay that is clamped. `None` if no delays were planned.
        """
        bad: Any = None
        for spans, connectome, speed, delays in self._by_coupling():
            if spans is not None:
                weights, found = connectome.weights, _delays(spans, connectome, speed, delays)
                host: Any = np if is_concrete((weights, found)) else jnp
                wrong = left(spans, host.asarray(weights), found, host)
                bad = wrong if bad is None else bad | wrong
        if bad is None or is_concrete(bad):
            # What is known was refused before.
            return self, bad

        def weights(network: Any) -> list[Any]:
            return [connectome.weights for connectome in _tuple(network.connectome)]

        return eqx.tree_at(weights, self, [jnp.where(bad, jnp.nan, w) for w in weights(self)]), bad

    def all_delays(self) -> list[Array | None]:
        """The delays of each coupling in ms, as its weights; `None` where there are none."""
        return [
            None if spans is None or spans.at_once else jnp.asarray(_delays(spans, *parts))
            for spans, *parts in self._by_coupling()
        ]

    def _by_coupling(self) -> Iterator[tuple[Spans | None, AbstractConnectome, Any, Any]]:
        """The spans, the connectome, the speed and the delays of each coupling."""
        speeds, delays = self._for_each(self.speed), self._for_each(self.delays)
        return zip(self.planned, self.connectomes, speeds, delays, strict=True)

    def _for_each(self, one_or_several: Any) -> tuple[Any, ...]:
        """One for each coupling."""
        if isinstance(one_or_several, tuple):
            return one_or_several
        return (one_or_several,) * len(self._couplings)

    @property
    def shape(self) -> tuple[int]:
        return (_tuple(self.connectome)[0].n_regions,)

    @property
    def State(self) -> type:
        return self.node.State

    @property
    def Inputs(self) -> type:
        return self.node.Inputs

    @property
    def output(self) -> str:
        return self.node.output

    @property
    def labels(self) -> tuple[str, ...] | None:
        """The names of the regions, if the connectome has them."""
        return _tuple(self.connectome)[0].labels

    @property
    def _couplings(self) -> tuple[AbstractCoupling, ...]:
        return _tuple(self.coupling)

    @property
    def connectomes(self) -> tuple[AbstractConnectome, ...]:
        """The connectome of each coupling."""
        given = _tuple(self.connectome)
        return given * len(self._couplings) if len(given) == 1 else given

    def _target(self, coupling: AbstractCoupling) -> str:
        return coupling.target or self.node.target

    def _sent(self, state: Any) -> list[Any]:
        """The source variable of each coupling."""

        def no_inputs(source: str) -> Any:
            raise ValueError(
                f"`coupling.source` should be computed from the state alone, but {source!r} of "
                f"`{type(self.node).__name__}` also takes inputs."
            )

        def sent(source: str | tuple[str, ...]) -> Any:
            if isinstance(source, tuple):
                return tuple(map(sent, source))
            return evaluate(self.node, source, state, functools.partial(no_inputs, source))

        return [sent(coupling.source or self.node.source) for coupling in self._couplings]

    def messages(self, state: Any) -> tuple[Any, ...]:
        """The features that the regions send, or with delay the parcels, of each coupling.

        **Arguments:**

        - `state`: a State, or values of the source if all couplings have the same one.
        """
        if isinstance(state, self.node.State):
            sent = self._sent(state)
        else:
            sources = {coupling.source or self.node.source for coupling in self._couplings}
            if len(sources) > 1:
                raise ValueError(
                    f"`history` should be made of States, since the couplings have {len(sources)} "
                    f"sources, {sorted(map(str, sources))}."
                )
            sent = [state] * len(self._couplings)
        messages = []
        for i, (coupling, one) in enumerate(zip(self._couplings, sent, strict=True)):
            message, connectome = coupling.message(one), self.connectomes[i]
            if self.spans[i] is not None and isinstance(connectome, ParcelConnectome):
                message = jax.tree.map(connectome.means, message)
            messages.append(message)
        return tuple(messages)

    def hear(self, state: Any, delayed: Any = None) -> dict[str, Array]:
        """What the regions hear of each other, by input slot; see `receive`."""
        if delayed is None and self.delayed:
            raise ValueError(
                "`delayed` should be given, since this network has delays: the weighted sums of "
                "what arrives with delay. `nmm.simulate` and `nmm.step` read it from the history."
            )
        arrivals = delayed if isinstance(delayed, Arrivals) else self._arrivals(delayed)
        total: dict[str, Array] = {}
        for i, (coupling, sent) in enumerate(zip(self._couplings, self._sent(state), strict=True)):
            connectome = self.connectomes[i]
            if self.spans[i] is None:
                heard = hear_at_once(coupling, connectome, sent)
            else:
                sums, row_sums, weights = (
                    each[i] for each in (arrivals.sums, arrivals.row_sums, arrivals.weights)
                )
                if sums is not None and isinstance(connectome, ParcelConnectome):
                    sums = jax.tree.map(lambda x, c=connectome: x[..., c.mapping], sums)
                if weights is not None:
                    at_once = with_weights(connectome, weights)
                    now = jax.tree.map(at_once.weighted_sum, coupling.message(sent))
                    sums = now if sums is None else jax.tree.map(jnp.add, sums, now)
                heard = coupling.among(senders(connectome)).receive(sent, sums, row_sums)
            target = self._target(coupling)
            total[target] = total[target] + heard if target in total else heard
        return total

    def _arrivals(self, delayed: Any) -> Arrivals:
        """What arrives, from the sums over delayed edges; the other edges are heard at once."""
        weights = []
        for spans, connectome in zip(self.spans, self.connectomes, strict=True):
            if spans is None:
                weights.append(None)
            else:
                at_once = spans.edges_at_once
                found = jnp.where(at_once, connectome.weights, 0) if at_once.any() else None
                weights.append(found)
        sums = delayed if isinstance(self.coupling, tuple) and delayed is not None else (delayed,)
        sums = self._for_each(None) if delayed is None else tuple(sums)
        rows = tuple(connectome.strength for connectome in self.connectomes)
        return Arrivals(sums, tuple(weights), rows)

    def receive(self, t: Any, state: Any, inputs: Any, delayed: Any = None) -> Any:
        """All that arrives at the regions: `inputs`, the stimulus, and what they hear.

        **Arguments:**

        - `delayed`: of a network with delays, the weighted sums over delayed edges, of what the
            message of the coupling was when it was sent; for several couplings a tuple, with
            `None` for those without delays.
        """
        held = isinstance(delayed, Held)
        total: dict[str, Any] = dict(delayed.heard if held else self.hear(state, delayed))
        stimuli = () if self.stimulus is None else _tuple(self.stimulus)
        for given in (inputs, *(inputs_at(self.node, one, t) for one in stimuli)):
            if given is not None:
                for name in declarations(self.node.Inputs):
                    total[name] = total.get(name, 0.0) + getattr(given, name)
        return self.node.Inputs(**total)

    def vector_field(self, t: Any, state: Any, inputs: Any = None, delayed: Any = None) -> Any:
        """The time derivative of `state`, `(..., regions)`, per ms; see `receive`."""
        return self.node.vector_field(t, state, self.receive(t, state, inputs, delayed))

    def initial_state(self, shape: tuple[int, ...] = (), key: Key | None = None) -> Any:
        """The state in which a run starts; see `nmm.AbstractModel.initial_state`."""
        return self.node.initial_state(shape or self.shape, key)


def _delays(spans: Spans, connectome: AbstractConnectome, speed: Any, delays: Any) -> Any:
    """In ms, as the weights; in NumPy if they are known, also inside of `jax.jit`."""
    parts = (connectome.tract_lengths, speed) if delays is None else (delays,)
    host: Any = np if is_concrete(parts) else jnp
    first, *speeds = map(host.asarray, parts)
    return spans.place(first / speeds[0] if speeds else first, host)


def _tuple(one_or_several: Any) -> tuple[Any, ...]:
    return one_or_several if isinstance(one_or_several, tuple) else (one_or_several,)


def _as_connectome(connectome: AbstractConnectome | ArrayLike) -> AbstractConnectome:
    return connectome if isinstance(connectome, AbstractConnectome) else Connectome(connectome)


def _floats(values: Any) -> Any:
    if isinstance(values, tuple):
        return tuple(map(_floats, values))
    return None if values is None else as_float(values)
