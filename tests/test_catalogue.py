"""The list of models, made from the models themselves."""

from helpers import all_models

import nmm
from nmm._declare import declarations


def test_catalogue_tells_the_states_use_and_paper_of_every_model():
    catalogue = nmm.list_models()
    assert [entry.name for entry in catalogue] == sorted(cls.__name__ for cls in all_models)
    for entry in catalogue:
        cls = getattr(nmm, entry.name)
        assert entry.states == tuple(declarations(cls.State))
        assert entry.category in ("phenomenological", "physiological", "network"), entry.name
        assert entry.use and entry.use == cls.use, entry.name
        assert entry.paper and entry.paper == cls.reference, entry.name


def test_catalogue_prints_itself_as_a_table_of_one_line_a_model():
    catalogue = nmm.list_models()
    lines = repr(catalogue).splitlines()
    assert len(lines) == len(catalogue) + 2 and len({len(line) for line in lines}) == 1
    (epileptor,) = [line for line in lines if line.startswith("| Epileptor ")]
    assert "| 6 | x1, y1, z, x2, y2, g | onset and offset of seizures" in " ".join(
        epileptor.split()
    )
    assert catalogue._repr_markdown_() == repr(catalogue)


def test_a_model_of_ones_own_needs_neither_category_nor_use():
    class Own(nmm.AbstractModel):
        State, Inputs = nmm.Linear.State, nmm.Linear.Inputs
        source, target = "x", "x_inp"

        def vector_field(self, t, state, inputs):
            return state

    assert Own().category == Own().use == "" and "Own" in nmm.describe(Own)
