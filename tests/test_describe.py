import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from helpers import all_models

import nmm
from nmm._declare import declared_parameters
from nmm.models._base import observables


def row(text, start):
    """The cells of the one table row that starts with `start`."""
    (line,) = [line for line in str(text).splitlines() if line.startswith(f"| `{start}` ")]
    return [cell.strip() for cell in line.strip("|").split(" | ")]


@pytest.mark.parametrize("cls", all_models)
def test_everything_that_a_model_declares_is_in_the_text(cls):
    text = nmm.describe(cls)
    assert text.startswith(f"# {cls.__name__}\n") and r"$$" in text
    for path, declaration, _ in declared_parameters(cls()):
        cells = row(text, path)
        assert cells[3] == declaration.unit and cells[5] == declaration.doc
        assert cells[4] == "{:g} to {:g}".format(*declaration.bounds)
    for part in (cls.State, cls.Inputs):
        for field in part.__dataclass_fields__:
            assert row(text, field)
    for name, (unit, meaning) in observables(cls).items():
        assert row(text, name)[1:] == [unit, meaning]
    for name in cls.presets:
        assert row(text, name)
    # The docstring's reference is the longer one; it names the paper of the short one.
    assert "Reference: " in text and cls.reference.split(" ")[0] in text.split("Reference: ")[1]


def test_description_prints_itself_and_is_the_same_of_class_and_instance():
    text = nmm.describe(nmm.JansenRit)
    assert repr(text) == str(text) == str(nmm.describe(nmm.JansenRit()))
    assert text._repr_markdown_() == str(text)


def test_values_are_shown_beside_the_defaults():
    text = nmm.describe(nmm.Hopf(a=jnp.linspace(-0.5, 0.25, 84), w=0.3))
    assert row(text, "a")[1:3] == ["-0.5 to 0.25 (84 values)", "0.25"]
    assert row(text, "w")[1:3] == ["0.3", "0.2"]
    assert row(nmm.describe(nmm.WilsonCowan), "weights")[1] == "[[12, 4], [13, 11]]"


def test_default_of_a_part_is_the_one_it_has_in_its_model():
    text = nmm.describe(nmm.WilsonCowan(transfer_I=nmm.Sigmoid(theta=3.0)))
    assert row(text, "transfer_I.theta")[1:3] == ["3", "4"]
    assert row(text, "transfer_E.theta")[1:3] == ["2.8", "2.8"]
    assert text.count("Logistic function") == 1


def test_preset_lists_what_it_changes():
    text = nmm.describe(nmm.WilsonCowan)
    changes = row(text, "limit_cycle")[1].split(", `")
    assert "P` = 1.25" in changes and "transfer_I.theta` = 3.7" in changes
    assert not any(change.startswith("k_E`") for change in changes)


def test_state_limits_and_starts_are_shown():
    text = nmm.describe(nmm.MontbrioPazoRoxin)
    assert row(text, "r") == ["`r`", "0.1", "0 to 1.5", "0 or more", "1/ms", "firing rate"]


class Smoother(eqx.Module):
    """Follows its input with a lag.

    **Arguments:**

    - `tau`: not repeated in the description.

    Reference: nobody (1900).
    """

    tau: jax.Array = nmm.param(50.0, unit="ms", doc="lag", bounds=(None, 100.0))


class Whole(eqx.Module):
    node: nmm.AbstractModel
    filters: tuple[Smoother, ...]
    gains: dict[str, jax.Array]


def test_any_module_with_parameters_is_described():
    text = nmm.describe(Smoother)
    assert "Follows its input with a lag." in text and "Reference: nobody (1900)." in text
    assert "not repeated" not in text
    assert row(text, "tau") == ["`tau`", "50", "50", "ms", "100 or less", "lag"]


def test_what_is_made_of_parts_is_described_part_by_part_with_full_paths():
    whole = Whole(nmm.Hopf(), (Smoother(), Smoother(20.0)), {"left": jnp.array(0.5)})
    text = nmm.describe(whole)
    assert "## `node`: Hopf" in text and "## `filters.1`: Smoother" in text
    assert row(text, "node.beta")[1] == "1"
    assert row(text, "filters.1.tau")[1:3] == ["20", "50"]
    assert row(text, "gains.left")[1] == "0.5"
    assert nmm.describe(Whole) == "# Whole"  # It has no defaults to show.


def test_observers_are_described_with_their_presets():
    text = nmm.describe(nmm.observe.BalloonWindkessel)
    assert row(text, "kappa")[3:5] == ["1/s", "0.3 to 2"] and "Friston" in text
    for name in nmm.observe.BalloonWindkessel.presets:
        assert row(text, name)


def test_network_is_described_by_the_paths_of_its_parameters():
    net = nmm.Network(nmm.Hopf(), jnp.ones((3, 3)), nmm.coupling.Diffusive(G=0.5))
    text = nmm.describe(net)
    assert row(text, "coupling.G")[1:3] == ["0.5", "1"]
    assert row(text, "node.a")[1] == "0.25"
    assert row(text, "connectome.weights")[1] == "1 to 1 (3 x 3 values)"


def test_description_inside_of_jit_says_that_values_are_traced():
    seen = []
    jax.jit(lambda a: seen.append(nmm.describe(nmm.Hopf(a=a))) or a)(0.1)
    assert row(seen[0], "a")[1] == "traced"


@pytest.mark.parametrize("wrong", (3.0, int, "Hopf"))
def test_what_is_no_module_is_refused(wrong):
    with pytest.raises(TypeError, match="`model` should be a model"):
        nmm.describe(wrong)
