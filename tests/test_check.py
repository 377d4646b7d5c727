"""What `nmm.check` says about a run."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from tiny import Relax, Riccati

import nmm

LABELS = ("A", "B", "C")


def at_bound(t, state, inputs):
    del t, inputs
    return jnp.where((state.S_i == 0) | (state.S_i == 1), 1.0, 0.0)


@pytest.fixture(scope="module")
def run():
    """Three noisy regions of which B is driven out of every range."""
    conn = nmm.Connectome(jnp.zeros((3, 3)), labels=LABELS)
    net = nmm.Network(nmm.WongWangExcInh(), conn)
    drive = net.Inputs(I_ext=jnp.array([0.0, 5.0, 0.0]))
    noise = nmm.noise.White(S_e=0.005, S_i=0.02)
    sol = nmm.simulate(
        net, 800.0, 1.0, key=jr.key(0), noise=noise, inputs=drive, transient=400.0,
        save={"S_i": "S_i", "H_e": "H_e", "clipped": nmm.observe.TemporalAverage(100.0, at_bound)},
    )  # fmt: skip
    return net, sol


def row(report, name):
    return next(row for row in report.rows if row.name == name)


def test_rates_out_of_range_and_clipped_steps_are_named(run):
    _, sol = run
    report = nmm.check(sol)
    text = " ".join(report.warnings)
    assert "The mean of `H_e` is above 200 Hz in 1 of 3 regions (B)" in text
    # Every step was saved, so that samples at the bound are the clipped steps.
    clipped = np.mean((sol["S_i"] == 0) | (sol["S_i"] == 1))
    assert clipped > 0.01 and row(report, "S_i").at_bounds == clipped
    assert f"`S_i` is at its bound in {clipped:.2%} of the samples, in" in text
    assert row(report, "H_e").at_bounds is None and not report.ok
    # A run that saves less than every step counts them all where it is asked to.
    np.testing.assert_allclose(np.mean(sol["clipped"]), clipped)
    np.testing.assert_allclose(row(report, "H_e").mean, np.mean(sol["H_e"]))
    assert row(report, "H_e").high == np.max(sol["H_e"])


def test_ranges_can_be_given(run):
    _, sol = run
    report = nmm.check(sol, plausible={"H_e": (3.3, None), "S_i": (None, 2.0)})
    below = [w for w in report.warnings if "below 3.3 Hz" in w]
    assert len(below) == 1 and "(A, C)" in below[0]
    assert not any("above" in w for w in report.warnings)


def test_report_prints_a_table_and_words(run):
    text = repr(nmm.check(run[1]))
    assert text.startswith("| output  | unit | mean") and "| H_e     | Hz   |" in text
    assert "\n- The mean of `H_e` is above" in text


def test_rates_follow_from_whole_states_and_the_model():
    net = nmm.Network(nmm.WongWangExcInh(J_i=1.01073), jnp.ones((2, 2)), nmm.coupling.Linear(G=0.0))
    sol = nmm.simulate(
        net, 40.0, 1.0, y0=net.State(S_e=jnp.full(2, 0.16128), S_i=jnp.full(2, 0.0389))
    )
    assert [row.name for row in nmm.check(sol).rows] == ["S_e", "S_i"]
    np.testing.assert_allclose(row(nmm.check(sol, net), "H_e").mean, 3.0, atol=0.01)


def test_rates_that_inputs_enter_are_left_out_where_inputs_were_not_saved(run):
    net = nmm.Network(Relax(), jnp.zeros((2, 2)))
    # White noise is in the state, noise on a slot is not.
    for noise in (nmm.noise.White(x=0.1), nmm.noise.OrnsteinUhlenbeck(0.1, 5.0)):
        sol = nmm.simulate(net, 4.0, 1.0, key=jr.key(0), noise=noise)
        names = [row.name for row in nmm.check(sol, net).rows]
        assert ("net" in names) == (not sol.driven) == isinstance(noise, nmm.noise.White)
    assert run[1].driven


def test_silent_and_drifting_regions_are_told_apart():
    net = nmm.Network(Relax(rate=0.0), jnp.zeros((3, 3)))
    sol = nmm.simulate(net, 8.0, 0.5, inputs=net.Inputs(u=jnp.array([1.0, 0.0, 2.0])), save=["x"])
    still, moving = nmm.check(sol).warnings
    assert still == "`x` does not change in 1 of 3 regions (1)."
    assert "`x` still moves in 2 of 3 regions (0, 2)" in moving
    steady = jnp.sin(jnp.arange(64.0))[:, None] * jnp.ones(3)
    quiet = nmm.check(nmm.simulate(net, 32.0, 0.5, inputs=jnp.diff(steady, axis=0, prepend=0)))
    assert not [w for w in quiet.warnings if "`x`" in w]


def test_failed_runs_and_batches():
    def one(x):
        return nmm.simulate(Riccati(), 4.0, 0.01, y0=Riccati.State(x=x), throw=False)

    report = nmm.check(eqx.filter_vmap(one)(jnp.array([1.0, -1.0, 0.5])))
    assert "1 of 3 runs failed." in report.warnings
    assert "`x` is not finite in the region." in report.warnings
    assert np.isfinite(report.rows[0].mean)
    alone = nmm.check(one(jnp.array(-1.0)))
    assert alone.warnings[0].startswith("The run failed: The run became non-finite")


def test_what_cannot_be_checked_is_refused(run):
    with pytest.raises(
        ValueError, match=r"`plausible` .* \['S_i', 'H_e', 'clipped'\]; got \['H_i'\]"
    ):
        nmm.check(run[1], plausible={"H_i": (1.0, 2.0)})
    with pytest.raises(ValueError, match="`solution` should be known; check it outside"):
        jax.jit(lambda x: nmm.check(nmm.simulate(Relax(), 1.0, 0.5, y0=Relax.State(x, x))).ok)(1.0)
