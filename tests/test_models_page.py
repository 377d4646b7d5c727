"""The page of all models is complete; `python docs/make_models_page.py` writes it again."""

import pathlib

import nmm

DOCS = pathlib.Path(__file__).parents[1] / "docs"


def test_page_shows_every_model_with_its_equation_and_figure():
    sections = (DOCS / "models.md").read_text().split("\n## ")[1:]
    by_name = {section.partition("\n")[0]: section for section in sections}
    assert list(by_name) == [entry.name for entry in nmm.list_models()]
    for name, section in by_name.items():
        assert "$$" in section and f"![{name}](models/{name}.png)\n\n*" in section, name
        assert (DOCS / "models" / f"{name}.png").stat().st_size > 5_000, name


def test_figures_are_small():
    assert sum(figure.stat().st_size for figure in (DOCS / "models").iterdir()) < 3e6
