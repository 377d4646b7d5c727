"""Which mode a gradient is taken by, and how far back it looks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_fits import quiet
from tiny import Relax

import fitting
import nmm
from fitting import Real


def test_the_mode_that_fits_the_memory_is_used():
    def loss(model):
        def step(x, n):
            return jnp.sin(x * model["a"][0] + model["a"][1]), None

        return jnp.sum(jax.lax.scan(step, jnp.ones(1000), jnp.arange(500))[0])

    def mode(**options):
        options = {"steps": 1, **options}
        result = quiet(fitting.fit, loss, {"a": jnp.array([1.0, 2.0])}, {"a": Real()}, **options)
        return result.provenance.options["mode"]

    assert mode() == "reverse"
    assert mode(memory=1e6) == "forward"  # The past takes 4 MB.
    with pytest.warns(UserWarning, match=r"`memory` is 10 bytes, but a step takes .* in reverse"):
        assert mode(memory=10) == "forward"


def test_truncated_gradients_look_back_one_window():
    def of(windows):
        def window(model, y0):
            sol = nmm.simulate(model, 1.6 / windows, 0.1, y0=y0, save=["x"])
            return sol["x"], sol.y1

        def end(rate):
            model = Relax(rate=rate)
            start = model.State(jnp.ones(()), jnp.zeros(()))
            x, y1 = fitting.truncated(window, model, start, windows)
            return y1.x, x.reshape(-1)

        return jax.jit(jax.value_and_grad(end, has_aux=True))(0.5)

    def whole(rate):
        start = Relax.State(jnp.ones(()), jnp.zeros(()))
        return nmm.simulate(Relax(rate=rate), 1.6, 0.1, y0=start, save=["x"])["x"][-1]

    ((end, x), full), ((end_of_four, x_of_four), quarter) = of(1), of(4)
    # Of exp(-rate t) the derivative is -t exp(-rate t), with t from where the window begins.
    np.testing.assert_allclose(full, jax.grad(whole)(0.5), rtol=1e-12)
    np.testing.assert_allclose(quarter, full / 4, rtol=1e-9)
    np.testing.assert_allclose(end_of_four, end, rtol=1e-12)
    np.testing.assert_allclose(x_of_four[-1], x[-1], rtol=1e-12)
    with pytest.raises(ValueError, match="`windows` should be at least 1, got 0"):
        fitting.truncated(whole, None, None, 0)
