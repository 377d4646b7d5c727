"""Arguments that do not fit are named."""

import jaxtyping
import optimistix
import pytest
from small_fits import KEY, MODEL, noisy, square

import fitting
from fitting import Real, Tied

STARTS = {"a": [1.0, 2.0]}


def named_alike(model, data=0.0):
    return model["a"] + data, {"a": 1.0}


MISUSE = {
    "optimizer": (
        lambda: fitting.multi_start(square, MODEL, ["a"], optimizer=fitting.CMA()),
        "`optimizer` should be one of Optax, whose steps can go side by side, got CMA",
    ),
    "mode": (
        lambda: fitting.multi_start(square, MODEL, ["a"], mode="fwd"),
        r"`mode` should be one of \['auto', 'forward', 'reverse'\], got 'fwd'",
    ),
    "starts": (
        lambda: fitting.multi_start(square, MODEL, ["a", "b"], starts=STARTS | {"b": [1.0]}),
        "`starts` should have as many values for all paths, .*'a': 2, 'b': 1",
    ),
    "key": (lambda: fitting.fit(noisy, MODEL, ["a"], key=0), "`key` should be a random key"),
    "no key": (
        lambda: fitting.fit(noisy, MODEL, ["a"]),
        r"`loss` should be called as loss\(model\), got loss\(model, key\); or pass `key`",
    ),
    "arity": (
        lambda: fitting.fit(square, MODEL, ["a"], key=KEY),
        r"`loss` should be called as loss\(model, key\), got loss\(model\); or leave out `key`",
    ),
    "tied": (
        lambda: fitting.fit_group(
            lambda model, data: 0.0, MODEL, {"a": Real(), "b": Tied("a")}, [1.0]
        ),
        r"`free` should have no `fitting.Tied` in a group, got it for \['b'\]",
    ),
    "shared": (
        lambda: fitting.fit_group(lambda model, data: 0.0, MODEL, ["a"], [1.0], shared=["c"]),
        r"`shared` should name free parameters, of \['a'\], got \['c'\]",
    ),
    "parts, Optimistix": (
        lambda: fitting.fit(named_alike, MODEL, ["a"], optimizer=optimistix.BFGS(1e-3, 1e-3)),
        r"names of their own, other than \['loss', 'a'\]",
    ),
    "parts, CMA": (
        lambda: fitting.fit(named_alike, MODEL, ["a"], optimizer=fitting.CMA()),
        r"names of their own, other than \['loss', 'a'\]",
    ),
    "parts, group": (
        lambda: fitting.fit_group(named_alike, MODEL, ["a"], [1.0]),
        r"names of their own, other than \['loss', 'subjects', 'a'\]",
    ),
    "group, least squares": (
        lambda: fitting.fit_group(
            square, MODEL, ["a"], [1.0], optimizer=optimistix.GaussNewton(1e-3, 1e-3)
        ),
        "`optimizer` should be a minimiser in a group, .* got GaussNewton",
    ),
    "group, start": (
        lambda: fitting.fit_group(square, MODEL, ["a"], [1.0], start=square),
        "`start` should be left out in a group",
    ),
    "parts, sweep": (
        lambda: fitting.sweep(lambda model: (1.0, {"loss": 2.0}), MODEL, STARTS),
        r"names of their own, other than \['loss'\], got \['loss'\]",
    ),
    "no loss, sweep": (
        lambda: fitting.sweep(lambda model: None, MODEL, STARTS),
        "`loss` should return at least one array, got None",
    ),
}


@pytest.mark.parametrize("case", MISUSE)
def test_misuse_is_named(case, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    call, message = MISUSE[case]
    with pytest.raises((TypeError, ValueError), match=message):
        call()
