"""Delays that change: ranges, compilations, and what does not fit."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from delayed import TWO, State, network, start
from tiny import Relax

import nmm


@pytest.mark.parametrize(
    "options, message",
    [
        ({"delays": -jnp.ones((2, 2))}, "`delays` should be finite and not negative"),
        ({"delays": jnp.array([[0.0, jnp.nan], [0.0, 0.0]])}, r"the first, nan, at \(0, 1\)"),
        ({"delays": jnp.ones((3, 3))}, r"`delays` should have the shape \(2, 2\)"),
        ({"speed": 0.0}, "`speed` should be above 0"),
        ({"speed": jnp.nan}, "`speed` should be above 0"),
        ({"speed": -1.0}, "`speed` should be above 0"),
        ({"speed": jnp.ones(2)}, r"`speed` should be one, or have the shape \(2, 2\)"),
        ({"speed": 3.0, "delays": jnp.ones((2, 2))}, "One of `speed` and `delays`"),
        ({"speed": 3.0, "speed_range": (4.0, 5.0)}, r"not in \[2, 2.5\] ms"),
        ({"speed": 3.0, "speed_range": (0.0, 5.0)}, "`speed_range` should be .* above 0"),
        ({"delays": jnp.ones((2, 2)), "delay_range": (2.0, 3.0)}, "`delays` should be within"),
        ({"delays": jnp.ones((2, 2)), "delay_range": (3.0, 2.0)}, "`delay_range` should be"),
        ({"delays": jnp.ones((2, 2)), "speed_range": (1.0, 2.0)}, "go with a `speed`"),
        ({"delay_range": (1.0, 2.0)}, "go with `delays` or a `speed`"),
        ({"delays": 1.0, "delay_range": (0.0, jnp.nan)}, "`delay_range` should be .* finite"),
        ({"delays": 1.0, "delay_range": (0.0, jnp.ones(3))}, r"the shape \(2, 2\), .* got \(3,\)"),
        ({"speed": 3.0, "reading": "spline"}, "`reading` should be one of"),
        ({"delays": (jnp.ones((2, 2)),) * 2}, "got 2 for 1 couplings"),
    ],
)
def test_bad_delays_are_named(options, message):
    conn = nmm.Connectome(TWO, jnp.full((2, 2), 10.0))
    with pytest.raises(ValueError, match=message):
        nmm.Network(Relax(), conn, **options)


def test_a_speed_needs_tract_lengths_and_a_traced_one_a_range():
    with pytest.raises(ValueError, match="`speed` should go with `tract_lengths`"):
        network(TWO, speed=3.0)
    conn = nmm.Connectome(TWO, jnp.full((2, 2), 10.0))
    with pytest.raises(ValueError, match="`speed_range` or `delay_range` should be given"):
        jax.jit(lambda v: nmm.Network(Relax(), conn, speed=v).speed)(3.0)
    # All else may be built inside of compiled code.
    build = lambda v: nmm.Network(Relax(), conn, nmm.coupling.Linear(v), speed=2)  # noqa: E731
    assert jax.jit(lambda v: build(v).coupling.G)(3.0) == 3.0


def run_at(place, net, **options):
    """A run after which a network's delays or speed have been changed."""
    at = {"delays": lambda n: n.delays, "speed": lambda n: n.speed}[place]

    def run(value):
        changed = eqx.tree_at(at, net, value, is_leaf=lambda x: x is None)
        return nmm.simulate(changed, 1.0, 0.5, save="x", **options)

    return run


@pytest.mark.parametrize(
    "delays", [jnp.zeros((2, 2)), pytest.param(0.0, marks=pytest.mark.thorough)]
)
def test_delays_that_begin_at_zero_stay_there_without_a_range(delays):
    net = network(TWO, delays=delays)
    run, quiet = run_at("delays", net), run_at("delays", net, throw=False)
    for late in (2.0, jnp.nan):
        with pytest.raises(ValueError, match="`delays` should be within .* which was of no delay"):
            run(jnp.full(jnp.shape(delays), late))
    values = jnp.multiply.outer(jnp.array([0.0, 2.0, jnp.nan, 0.0]), jnp.ones(jnp.shape(delays)))
    batch = jax.vmap(quiet)(values)
    outside = batch.result == nmm.RESULTS.delay_outside
    np.testing.assert_array_equal(outside, [False, True, True, False])
    assert np.all(np.isnan(batch["x"][1])) and np.all(batch["x"][0] == run(values[0])["x"])
    with pytest.raises(RuntimeError, match="`speed` and `delays` should be within the range"):
        jax.block_until_ready(eqx.filter_jit(lambda v: run(v).y1.x)(values[1]))

    @eqx.filter_jit
    def step(delays):
        changed = eqx.tree_at(lambda n: n.delays, net, delays)
        return nmm.step(changed, start([1.0, 1.0]), dt=0.5).x

    np.testing.assert_array_equal(step(values[0]), [1.5, 1.0])
    with pytest.raises(RuntimeError, match="`speed` and `delays` should be within the range"):
        jax.block_until_ready(step(values[1]))


def test_a_speed_belongs_to_a_network_when_it_is_built():
    conn = nmm.Connectome(TWO, jnp.full((2, 2), 10.0))
    with pytest.raises(ValueError, match=r"built without, now has \['speed'\]"):
        run_at("speed", nmm.Network(Relax(), conn))(jnp.asarray(3.0))
    with pytest.raises(ValueError, match="built with, now has neither"):
        run_at("speed", nmm.Network(Relax(), conn, speed=3.0))(None)
    # Without lengths to travel, any speed will do, until there are some.
    net = nmm.Network(Relax(), nmm.Connectome(TWO, jnp.zeros((2, 2))), speed=3.0)
    assert not net.delayed and np.all(run_at("speed", net)(jnp.asarray(5.0)).y1.x == 0)
    with pytest.raises(ValueError, match="`speed` should be within .* delays of up to 2 ms"):
        run_at("speed", eqx.tree_at(lambda n: n.connectome, net, conn))(jnp.asarray(5.0))


def test_a_range_of_speeds_is_not_for_delays_that_are_given():
    conn = nmm.Connectome(TWO, jnp.full((2, 2), 10.0))
    couplings = nmm.coupling.Linear(), nmm.coupling.Linear(target="v")
    ways = {"speed": (3.0, None), "delays": (None, jnp.full((2, 2), 7.0)), "speed_range": (2, 9)}
    spans = nmm.Network(Relax(), conn, couplings, **ways).spans
    np.testing.assert_allclose([spans[0].shortest[0], spans[0].longest[0]], [10 / 9, 5.0])
    assert spans[1].shortest[0] == spans[1].longest[0] == 7.0
    spans = nmm.Network(Relax(), conn, couplings, delay_range=(6.0, 8.0), **ways).spans
    assert spans[0].longest[0] == 5.0 and spans[1].shortest[0] == 6.0


@pytest.mark.parametrize("speed", [1.9, 9.5])
def test_a_speed_outside_of_its_range_is_named_on_the_host_and_in_compiled_code(speed):
    net = nmm.Network(
        Relax(), nmm.Connectome(TWO, jnp.full((2, 2), 10.0)), speed=3.0, speed_range=(2.0, 9.0)
    )
    speed = jnp.asarray(speed)
    with pytest.raises(ValueError, match=r"`speed` .* region 1 to region 0: .* \[1.11111, 5\] ms"):
        run_at("speed", net)(speed)
    compiled = eqx.filter_jit(lambda v: run_at("speed", net)(v).y1.x)
    with pytest.raises(RuntimeError, match="`speed` and `delays` should be within the range"):
        jax.block_until_ready(compiled(speed))

    @eqx.filter_jit
    def step(speed):
        changed = eqx.tree_at(lambda n: n.speed, net, speed)
        run = nmm.RunState.start(changed, start([1.0, 1.0]), dt=0.5)
        return nmm.step(changed, run, dt=0.5).state.x

    np.testing.assert_allclose(step(jnp.asarray(5.0)), [1.0, 0.625])
    with pytest.raises(RuntimeError, match="`speed` and `delays` should be within the range"):
        jax.block_until_ready(step(speed))


def test_nothing_is_compiled_again_within_a_range():
    traced = []

    class Counted(nmm.coupling.AbstractCoupling):
        G: nmm.Parameter = nmm.param(1.0, unit="1", doc="coupling")

        def message(self, source):
            traced.append(None)
            return source

        def receive(self, target, sums, row_sums):
            return self.G * sums

    conn = nmm.Connectome(TWO, jnp.full((2, 2), 10.0))
    net = nmm.Network(Relax(), conn, Counted(), speed=3.0, speed_range=(2.0, 9.0))
    run, counts, ends = run_at("speed", net, y0=start([0.0, 1.0])), [], []
    for speed in (3.0, 2.0, 9.0, 8.9):
        traced.clear()
        ends.append(run(jnp.asarray(np.float64(speed)))["x"])
        counts.append(len(traced))
    # Beside what is checked on shapes alone, before each run.
    assert counts[0] > counts[1] == counts[2] == counts[3] == 0
    # A network that is built anew is the same program, too.
    traced.clear()
    nmm.simulate(nmm.Network(Relax(), conn, Counted(2.0), speed=4.0, speed_range=(2.0, 9.0)),
                 1.0, 0.5, save="x", y0=start([0.0, 1.0]))  # fmt: skip
    assert len(traced) < counts[0]


def test_what_changes_later_is_refused_by_name():
    net = network(TWO, delays=jnp.ones((2, 2)))
    slower = eqx.tree_at(lambda n: n.delays, net, jnp.full((2, 2), 1.5))
    with pytest.raises(ValueError, match=r"from region 1 to region 0: 1.5 ms, not in \[1, 1\]"):
        nmm.simulate(slower, 1.0, 0.1)
    more = eqx.tree_at(lambda n: n.connectome.weights, net, jnp.ones((2, 2)))
    with pytest.raises(ValueError, match=r"`weights` should stay 0 .* the first at \(0, 0\)"):
        nmm.simulate(more, 1.0, 0.1)
    with pytest.raises(ValueError, match="at least 11 rows"):
        nmm.simulate(net, 1.0, 0.1, history=jnp.ones((10, 2)))
    # 3.3 steps reach back 3 if they are rounded, and otherwise lie between 3 and 4.
    for reading, rows in {"nearest": 4, "linear": 5}.items():
        between = network(TWO, delays=jnp.full((2, 2), 0.33), reading=reading)
        with pytest.raises(ValueError, match=f"at least {rows} rows"):
            nmm.simulate(between, 1.0, 0.1, history=jnp.ones((rows - 1, 2)))
    with pytest.raises(ValueError, match="rows of the shape"):
        nmm.simulate(net, 1.0, 0.1, history=jnp.ones((20, 3)))
    with pytest.raises(TypeError, match="`history` should be"):
        nmm.simulate(net, 1.0, 0.1, history="rest")
    with pytest.raises(ValueError, match="`history` should go with a network that has delays"):
        nmm.simulate(network(TWO), 1.0, 0.1, history=jnp.ones(2))
    with pytest.raises(ValueError, match="reaches back 12 steps"):
        nmm.simulate(net, 1.0, 0.1, y0=nmm.simulate(network(TWO), 1.0, 0.1))


def test_histories_that_do_not_fit_are_refused_by_name():
    net = network(TWO, delays=jnp.ones((2, 2)))
    run = lambda history, **options: nmm.simulate(net, 1.0, 0.5, history=history, **options)  # noqa: E731
    for history in (
        jnp.ones(3),
        State(jnp.ones(3), 0.0),
        lambda t: jnp.ones(3) * t,
        lambda t: State(jnp.ones((1, 3)), t),
        jnp.ones((1, 1, 20, 2)),
    ):
        with pytest.raises(ValueError, match=r"`history` should .* got \("):
            run(history)
    sol = nmm.simulate(net, 1.0, 0.5)
    with pytest.raises(ValueError, match="`history` should be left out, since the run `y0` has"):
        run(jnp.ones(2), y0=sol)
    with pytest.raises(TypeError, match="`history` should be .* goes on by `y0=sol`"):
        run(sol)
