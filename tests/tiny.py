"""The smallest models there are, for the tests of everything but the models."""

import numpy as np

import nmm
from nmm._custom_types import Parameter, Value


class Relax(nmm.AbstractModel):
    """Two variables that relax by themselves; with `rate=0` they are integrals."""

    rate: Parameter = nmm.param(1.0, unit="1/ms", doc="rate of decay", bounds=(0.0, 2.0))

    class State(nmm.State):
        x: Value = nmm.variable(0.0, unit="1", doc="driven")
        y: Value = nmm.variable(0.0, unit="mV", doc="left alone")

    class Inputs(nmm.Inputs):
        u: Value = nmm.slot(unit="1/ms", doc="drives x")
        v: Value = nmm.slot(unit="mV/ms", doc="drives y")

    source = output = "x"
    target = "u"

    def vector_field(self, t, state, inputs):
        return self.State(inputs.u - self.rate * state.x, inputs.v - self.rate * state.y)

    @nmm.observable(unit="1/ms")
    def net(self, state, inputs):
        """What drives x, less its decay."""
        return inputs.u - self.rate * state.x

    @nmm.observable(unit="1")
    def double(self, state):
        """Twice x."""
        return 2 * state.x


class Riccati(nmm.AbstractModel):
    """x' = u - x²: without input x = x0 / (1 + x0 t), which explodes where that is infinite."""

    scale: Parameter = nmm.param(1.0, unit="1", doc="of the square", bounds=(0.0, 2.0))

    class State(nmm.State):
        x: Value = nmm.variable(1.0, unit="1", doc="its only variable")

    class Inputs(nmm.Inputs):
        u: Value = nmm.slot(unit="1/ms", doc="input")

    source = output = "x"
    target = "u"

    def vector_field(self, t, state, inputs):
        return self.State(inputs.u - self.scale * state.x**2)


def clock(rows=()):
    """A model and inputs with which x is the time: exactly, where `dt` is a power of two."""
    model = Relax(rate=0.0)
    return {"model": model, "inputs": model.Inputs(u=1.0), "shape": rows}


def order(errors):
    """Orders of convergence, of errors at steps each half of the one before."""
    return np.log2(np.asarray(errors[:-1]) / np.asarray(errors[1:]))


def assert_variance(sample, expected, errors=4.5):
    """The variance of independent normal numbers of mean 0, within some standard errors."""
    sample = np.ravel(sample)
    deviation = (np.mean(sample**2) / expected - 1) / np.sqrt(2 / sample.size)
    assert abs(deviation) < errors, f"{deviation:.1f} standard errors"


def assert_correlation(a, b, expected, errors=4.5):
    """The correlation of pairs of normal numbers, within some standard errors."""
    a, b = np.ravel(a), np.ravel(b)
    found = np.corrcoef(a, b)[0, 1]
    # Fisher's transform of a correlation has the standard error 1 / sqrt(n - 3).
    deviation = (np.arctanh(found) - np.arctanh(expected)) * np.sqrt(a.size - 3)
    assert abs(deviation) < errors, f"{found} for {expected}: {deviation:.1f} standard errors"
