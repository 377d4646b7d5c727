"""What a result says of its data, versions and options."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from small_fits import KEY, MODEL, quiet

import fitting
from fitting import Positive
from fitting._provenance import gather

LIST = [0.1, 0.2, 0.4]
SCORES = np.array([-1.0, 0.5, 2.0])


class Experiment:
    """Data, and a loss that is a method."""

    def __init__(self):
        self.recorded = np.arange(3.0)

    def loss(self, model):
        return jnp.sum((model["a"] - self.recorded) ** 2)


@pytest.mark.parametrize(
    "loss, names",
    (
        (jax.jit(lambda model: jnp.sum(model["a"] - SCORES)), {"SCORES"}),
        (eqx.filter_jit(lambda model: jnp.sum(model["a"] - SCORES)), {"SCORES"}),
        (Experiment().loss, {"self.recorded"}),
        (lambda model: jnp.sum(model["a"] - jnp.asarray(LIST)), {"LIST"}),
    ),
    ids=("jit", "filter_jit", "method", "list"),
)
def test_data_are_found_wherever_a_loss_refers_to_them(loss, names):
    found = gather(loss, MODEL, None, {}).data
    assert set(found) == names and all(len(digits) == 16 for digits in found.values())


def test_data_that_the_loss_of_a_group_closes_over_are_found():
    scores = jnp.arange(3.0)

    def loss(model, data):
        return jnp.sum((model["a"] - data) ** 2 * scores)

    _, group = quiet(fitting.fit_group, loss, MODEL, ["a"], [1.0, 2.0], steps=1)
    assert "loss.scores" in group.provenance.data


def test_a_result_says_where_it_comes_from():
    data = jnp.arange(3.0)

    def loss(model, key):
        return jnp.sum((model["a"] - data) ** 2)

    result = quiet(fitting.fit, loss, MODEL, {"a": Positive()}, steps=2, key=jr.key(7))
    found = result.provenance
    assert set(found.data) == {"data"} and found.key == "0-7"
    changed = fitting.fit(
        lambda model, key: jnp.sum(model["a"] * data[:2]), MODEL, ["a"], steps=1, key=KEY,
        progress=False,
    )  # fmt: skip
    assert changed.provenance.data == found.data
    text = result.methods()
    said_of_it = ("Optax's adam(b1=0.9", "learning rate 0.05", "a (Positive())", "0-7")
    for said in (*said_of_it, found.data["data"]):
        assert said in text


def test_paragraphs_say_from_how_many_starts_and_to_how_many_subjects():
    def loss(model, data=1.0):
        return (model["a"] - data) ** 2 + model["b"] ** 2

    starts = quiet(fitting.multi_start, loss, MODEL, ["a"], starts=4, prune_every=2, steps=3)
    said = "fitted from 4 starts (the worse half of which was given up every 2 steps) by Optax's"
    assert said in starts.best.methods() and "by forward-mode" in starts.best.methods()
    fits, group = quiet(
        fitting.fit_group, loss, MODEL, ["a", "b"], [1.0, 2.0], shared=["b"], spread=0.5, steps=1
    )
    for text in (group.methods(), fits["0"].methods()):
        assert text.startswith(
            "A dict model was fitted to 2 subjects (with b in common, the others pulled together "
            "by a spread of 0.5) by Optax's"
        )
    search = quiet(
        fitting.fit, loss, MODEL, ["a"], steps=1, mode="reverse", optimizer=fitting.CMA()
    )
    assert "differentiation" not in search.methods()
