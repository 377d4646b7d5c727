"""Every message of `simulate`, `step`, networks and noise, in one table."""

import re

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import jaxtyping
import pytest
from tiny import Relax, Riccati

import nmm
from nmm.coupling import Linear
from nmm.noise import OrnsteinUhlenbeck, White
from nmm.observe import BOLD, TemporalAverage

KEY = jr.key(0)
PID = diffrax.PIDController(1e-3, 1e-3)
State, Inputs = Relax.State, Relax.Inputs


def run(t1=1.0, dt=0.1, model=None, **options):
    return nmm.simulate(Relax() if model is None else model, t1, dt, **options)


def net(coupling=None, node=None, **options):
    return nmm.Network(Relax() if node is None else node, jnp.eye(3), coupling, **options)


def step(state=None, inputs=None, **options):
    options = {"dt": 0.1, **options}
    return nmm.step(Relax(), State(0.0, 0.0) if state is None else state, inputs, **options)


CASES = {
    # Times.
    "t1 <= 0": (lambda: run(0.0), "`t1` should be a positive number of ms, got 0.0"),
    "t1 traced": (lambda: jax.jit(run)(1.0), "`t1` should be a number of ms that is known in adv"),
    "t1 not a number": (lambda: run("long"), "`t1` should be a number of ms .* got 'long'"),
    "t1 off the grid": (lambda: run(1.05), "`t1` should be a multiple of `dt`, got 1.05 ms"),
    "no dt": (lambda: run(dt=None), "`dt` should be given, unless steps adapt"),
    "dt is NaN": (lambda: run(dt=float("nan")), "`dt` should be a positive number of ms, got nan"),
    "save_every off": (lambda: run(save_every=0.25), "`save_every` should be a multiple of `dt`"),
    "save_every < 0": (lambda: run(save_every=-1), "`save_every` should be a positive number"),
    "transient off": (lambda: run(transient=0.25), "`transient` should be a multiple of `dt`"),
    "transient late": (lambda: run(transient=1.0), r"`transient` should be in \[0, 1.0\), before"),
    "period off": (
        lambda: run(save={"b": BOLD(0.25)}),
        "`period` of 'b' should be a multiple of `dt`, got 0.25 ms",
    ),
    "adapting without times": (
        lambda: run(dt=None, stepsize_controller=PID),
        "`save_every` should be given where neither it nor `dt`",
    ),
    "adjoint without dt": (
        lambda: run(dt=None, adjoint=diffrax.DirectAdjoint(), save=[]),
        "`dt` should be given, since no `stepsize_controller` chooses it",
    ),
    # The model, the start.
    "class as model": (lambda: run(model=Relax), "`model` should be a model or a `nmm.Network`"),
    "shape": (lambda: run(shape=2.5), "`shape` should be a number of regions or a tuple, got 2.5"),
    "shape of a network": (
        lambda: run(model=net(), shape=4),
        r"`shape` should end in the 3 regions of the model, got \(4,\)",
    ),
    "y0 of another kind": (lambda: run(y0=1.0), "`y0` should be a `Relax.State` or a `Solution`"),
    "y0 complex": (lambda: run(y0=State(1j, 0.0)), "`y0.x` should hold real numbers, got 1j"),
    "y0 of other regions": (
        lambda: run(model=net(), y0=State(jnp.ones(2), 0.0)),
        r"`y0.x` should have one value for each of the 3 regions, got the shape \(2,\)",
    ),
    "y0 of two shapes": (
        lambda: run(y0=State(jnp.ones(2), jnp.ones(3))),
        "`y0` should have variables of one shape",
    ),
    "y0 is not of shape": (
        lambda: run(y0=State(jnp.ones(2), 0.0), shape=3),
        r"that of `shape` if it is given, \(3,\); got {'x': \(2,\)",
    ),
    # Going on.
    "other dt": (
        lambda: run(dt=0.2, y0=run(save=[])),
        "`dt` should be that of the run that is continued, 0.1 ms, got 0.2 ms; `y0=sol.y1`",
    ),
    "other shape": (
        lambda: run(y0=run(save=[]), shape=3),
        r"`shape` should be that of the run that is continued, \(\), got \(3,\)",
    ),
    "other noise": (
        lambda: run(y0=run(save=[], noise=OrnsteinUhlenbeck(), key=KEY)),
        "`noise` should be that of the run that is continued, which had 1 noises",
    ),
    "other observer": (
        lambda: run(save={"a": BOLD(0.5)}, y0=run(save={"a": TemporalAverage(0.5)})),
        "`save` has another kind of observer as 'a' than before",
    ),
    "grid, then adapting": (
        lambda: run(y0=run(save=[]), stepsize_controller=PID),
        "`y0` is a run on a fixed grid, which cannot go on with steps that adapt",
    ),
    "adapting, then grid": (
        lambda: run(y0=run(save=[], stepsize_controller=PID)),
        "`y0` is a run with steps that adapt, which cannot go on on a fixed grid",
    ),
    # Inputs.
    "inputs of no kind": (
        lambda: run(inputs="loud"),
        r"`inputs` should be `Relax.Inputs\(...\)`, an array with one row a step for 'u', or a fun",
    ),
    "inputs of another model": (lambda: run(inputs=Riccati.Inputs()), "`inputs` should be `Relax"),
    "a number as inputs": (lambda: run(inputs=jnp.ones(())), "`inputs` should be `Relax.Inputs"),
    "rows too few": (
        lambda: run(inputs=jnp.ones(9)),
        r"`inputs` should have the shape \(10,\) or \(10, regions\), one row a step; got \(9,\)",
    ),
    "rows of other regions": (
        lambda: run(model=net(), inputs=jnp.ones((10, 2))),
        r"`inputs` should have the shape \(10,\) or \(10, 3\), one row a step; got \(10, 2\)",
    ),
    "rows of more regions than there are": (
        lambda: run(inputs=jnp.ones((10, 2))),
        r"`inputs` should be scalar or have the regions of the state, whose shape is \(\)",
    ),
    "rows where steps adapt": (
        lambda: run(inputs=jnp.ones(10), stepsize_controller=PID),
        "`inputs` given as an array belong to a run with fixed steps",
    ),
    "constants of other regions": (
        lambda: run(model=net(), inputs=Inputs(u=jnp.ones(2))),
        "`inputs.u` should be a scalar or have one value for each of the 3 regions",
    ),
    "constants of more regions than there are": (
        lambda: run(inputs=Inputs(u=jnp.ones(2)), shape=3),
        r"`inputs` should be scalar or have the regions of the state, whose shape is \(3,\)",
    ),
    "function of other regions": (
        lambda: run(inputs=lambda t: Inputs(u=jnp.ones(2)), shape=3),
        r"`inputs` should be scalar .* \(3,\); got the shape \(2,\)",
    ),
    "function of another kind": (
        lambda: run(inputs=lambda t: jnp.sin(t)),
        r"`inputs` should be a function that returns `Relax.Inputs\(...\)`, got one that returns",
    ),
    # What is saved.
    "unknown signal": (
        lambda: run(save=["z"]),
        r"'z' is neither a state variable nor an observable of `Relax`; it should be one of \['x'",
    ),
    "unknown signal of an observer": (
        lambda: run(save={"b": BOLD(0.5, "z")}),
        "'z' is neither a state variable nor an observable",
    ),
    "observer without a name": (
        lambda: run(save=BOLD(0.5)),
        "`save` should give names to observers and functions, as in",
    ),
    "save of no kind": (lambda: run(save=3), "`save` should be None, names, or a dict by name"),
    "save without a name": (lambda: run(save={"": "x"}), "`save` should have names for keys"),
    "signal of no kind": (lambda: run(save={"a": 3}), r"A signal should be a name, a function"),
    "class of an observer": (lambda: run(save={"a": BOLD}), r"A signal should be a name, a func"),
    "not saved": (lambda: run(save=["x"])["y"], r"'y' was not saved; what was is \['x'\]"),
    "different times": (
        lambda: run(save={"x": "x", "b": BOLD(0.5)}).ts,
        r"The outputs have different times; `sol.times\[name\]` has those of each of \['x', 'b'\]",
    ),
    "no times": (lambda: run(save=[]).ts, "There are no times, since `save` asked for nothing"),
    # Noise.
    "no key": (lambda: run(noise=White(x=1.0)), "`key` should be given, since there is noise"),
    "noise of no kind": (lambda: run(noise=0.1), "`noise` should be made of `nmm.noise` objects"),
    "unknown variable": (
        lambda: run(noise=White(z=1.0), key=KEY),
        r"White noise should act on state variables of `Relax`, some of \['x', 'y'\], got 'z'",
    ),
    "unknown onto": (
        lambda: run(noise=OrnsteinUhlenbeck(onto="z"), key=KEY),
        r"`onto` of `OrnsteinUhlenbeck` .* `Relax`, one of \['u', 'v', 'x', 'y'\], got 'z'",
    ),
    "twice": (
        lambda: run(noise=(White(x=1.0), White(x=0.1)), key=KEY),
        "`noise` should act on 'x' once, got two white noises",
    ),
    "white without a variable": (lambda: White(), "`White` should name its state variables"),
    "white of no number": (lambda: White(x="loud"), "`sigma` of 'x' should be a number"),
    "sigma of no number": (
        lambda: OrnsteinUhlenbeck(sigma="loud"),
        "`sigma` of `OrnsteinUhlenbeck` should be a number or an array of numbers",
    ),
    "resolution": (
        lambda: run(noise=White(x=1.0, resolution=0.03), key=KEY),
        "`dt` should be a multiple of the `resolution` of the noise, 0.03 ms, got 0.1 ms",
    ),
    "white of other regions": (
        lambda: run(model=net(), noise=White(x=jnp.ones(2)), key=KEY),
        r"`noise` should be scalar .* \(3,\); got the shape \(2,\)",
    ),
    "memory of other regions": (
        lambda: run(noise=OrnsteinUhlenbeck(tau=jnp.ones(2)), key=KEY),
        r"`noise` should be scalar .* \(\); got the shape \(2,\)",
    ),
    # Solvers.
    "class as solver": (lambda: run(solver=nmm.Heun), r"`solver` should be a solver such as `nmm"),
    "solver for noise alone": (
        lambda: run(solver=diffrax.ShARK()),
        "`solver` should be one for runs without white noise, got `ShARK`",
    ),
    "solver without tolerances": (
        lambda: run(solver=diffrax.Kvaerno3()),
        r"`solver` should have tolerances of its own, .* it lacks \['rtol', 'atol'\]",
    ),
    "too many steps": (
        lambda: run(stepsize_controller=PID, max_steps=1, save=[]),
        "The run failed: .*maximum number of solver steps",
    ),
    # A step.
    "step: state": (lambda: step(3.0), "`state` should be a `Relax.State`, got 3.0"),
    "step: dt": (lambda: step(dt=-1.0), "`dt` should be a positive number of ms, got -1.0"),
    "step: model": (lambda: nmm.step(Relax, State(0.0, 0.0), dt=1.0), "`model` should be a model"),
    "step: rows": (lambda: step(inputs=jnp.ones(3)), "`inputs` given as an array belong to a run"),
    "step: memory": (
        lambda: step(noise=OrnsteinUhlenbeck(), key=KEY),
        "`noise` with memory has a state of its own; use `nmm.simulate`",
    ),
    "step: no key": (lambda: step(noise=White(x=1.0)), "`key` should be given, since there is n"),
    "step: Lévy areas": (
        lambda: step(noise=White(x=1.0), key=KEY, solver=diffrax.ShARK()),
        "`solver` should need no Lévy areas, got `ShARK`",
    ),
    # Networks.
    "regions of the node": (
        lambda: net(node=Relax(rate=jnp.ones(2))),
        "The regional parameters of `node` should be given for the 3 regions .* got 2",
    ),
    "regions of the coupling": (
        lambda: net(Linear(G=jnp.ones(2))),
        "The regional parameters of `coupling` should be given for the 3 regions .* got 2",
    ),
    "source": (
        lambda: net(Linear(source="z")),
        "'z' is neither a state variable nor an observable of `Relax`",
    ),
    "source with inputs": (
        lambda: net(Linear(source="net")),
        "`coupling.source` should be computed from the state alone, but 'net' of `Relax` also",
    ),
    "target": (
        lambda: net(Linear(target="w")),
        r"`coupling.target` should be an input slot of `Relax`, one of \['u', 'v'\], got 'w'",
    ),
    "noise of a network": (lambda: net(noise=0.1), "`noise` should be made of `nmm.noise` objects"),
    "variable of a network's noise": (lambda: net(noise=White(z=1.0)), "White noise should act on"),
    "stimulus": (lambda: net(stimulus=Inputs(u=1.0)), "`stimulus` should be a function of time"),
    "stimulus of another kind": (
        lambda: run(model=net(stimulus=jnp.sin)),
        r"`stimulus` should return `Relax.Inputs\(...\)`, got",
    ),
    "regions of a list of edges": (
        lambda: nmm.SparseConnectome([0], [1], [1.0], 2.5),
        "`n_regions` should be a positive whole number, got 2.5",
    ),
    "weights": (lambda: nmm.Network(Relax(), jnp.ones((2, 3))), "`weights` should"),
}


@pytest.fixture
def as_users_see_it():
    """Without the checks of annotations that the tests add, which would come first."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.parametrize("case", CASES)
def test_error_names_what_is_wrong(case, as_users_see_it):
    call, message = CASES[case]
    with pytest.raises((ValueError, TypeError, KeyError, RuntimeError), match=message):
        call()


@pytest.fixture(scope="module")
def exploding():
    """A run of Riccati's equation, which explodes at t = 5 if x starts from -0.2."""

    def run(x, **options):
        y0 = Riccati.State(x=jnp.array([1.0, x]))
        return nmm.simulate(Riccati(), 80.0, 0.05, y0=y0, save_every=20.0, **options)

    return run


def test_divergence_names_interval_variable_and_regions(exploding):
    with pytest.raises(nmm.DivergenceError, match=r"in `x` \(regions \[1\]\)") as caught:
        exploding(-0.2)
    earliest, latest = map(float, re.findall(r"between (\S+) and (\S+) ms", str(caught.value))[0])
    assert earliest <= 5.0 <= latest


def test_divergence_in_compiled_code_names_interval_and_variable(exploding):
    compiled = eqx.filter_jit(lambda x: exploding(x).ys)
    for start, time in ((-0.2, 5.0), (-0.014, 1 / 0.014)):
        with pytest.raises(RuntimeError, match="`x` became non-finite between") as caught:
            jax.block_until_ready(compiled(jnp.asarray(start)))
        interval = re.findall(r"between (\S+) and (\S+) ms", str(caught.value))[0]
        earliest, latest = map(float, interval)
        assert earliest <= time <= latest <= 80.0
    compiled(jnp.asarray(0.5))


def test_divergence_is_an_error_under_grad(exploding):
    with pytest.raises(nmm.DivergenceError, match="`x`"):
        jax.grad(lambda x: exploding(x).y1.x.sum())(-0.2)


def test_divergence_without_throwing_is_in_the_result(exploding):
    sol = exploding(-0.2, throw=False)
    assert sol.result == nmm.RESULTS.non_finite
    np_by = float(sol.stats["non_finite_by"])
    assert np_by - sol.stats["check_interval"] <= 5.0 <= np_by
    assert "non-finite" in repr(sol)
    results = jax.vmap(lambda x: exploding(x, throw=False).result == nmm.RESULTS.successful)
    assert results(jnp.array([0.5, -0.2, 0.1])).tolist() == [True, False, True]


def test_divergence_is_seen_within_bounds():
    """Clipping would hide an infinity; the state stays non-finite instead."""
    model = nmm.WongWangExcInh()
    inputs = model.Inputs(I_ext=jnp.array([0.0, jnp.inf]))
    with pytest.raises(nmm.DivergenceError, match="`S_e`"):
        nmm.simulate(model, 1.0, 1.0, inputs=inputs, shape=2, solver=nmm.Euler())


def test_divergence_where_steps_adapt():
    start = Riccati.State(x=-1.0)
    sol = nmm.simulate(
        Riccati(), 5.0, y0=start, save=[], stepsize_controller=PID, throw=False, max_steps=1000
    )
    assert sol.result == nmm.RESULTS.max_steps_reached
