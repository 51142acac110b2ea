"""The records of the rows agree with each other, with the settings and with the modules that they name."""

from pkgutil import resolve_name

import pytest

from recsys.models.specs import BASELINES, MODELS, NOTEBOOK, ROW, TUNED, ModelSections, ModelSpec, family_of
from recsys.settings import Settings


def test_names_titles_colours_and_markers_are_unique() -> None:
    rows = [*MODELS, *BASELINES]
    assert len(ROW) == len(rows)
    assert len({row.title for row in rows}) == len(rows)
    colours = [colour for row in rows if row.colour for colour in (row.colour.light, row.colour.dark)]
    assert len(set(colours)) == len(colours)
    assert len({model.marker for model in MODELS}) == len(MODELS)


def test_each_model_has_a_section_of_settings_and_each_section_a_model() -> None:
    assert set(ModelSections.model_fields) == {model.name for model in MODELS}
    for model in MODELS:
        assert type(Settings().of(model)) is model.settings


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_what_a_record_names_is_there(model: ModelSpec) -> None:
    assert model.build or model.fit
    assert all(callable(resolve_name(place)) for place in (model.build, model.fit, model.load) if place)
    assert model.detail.format(settings=model.settings())
    assert not model.space or set(model.space.fields) <= set(model.settings.model_fields)


def test_each_family_has_a_plain_and_a_tuned_model() -> None:
    for family in ("mf", "dnn"):
        assert [model for model in TUNED if model.family == family]
        assert [model for model in NOTEBOOK if model.family == family]
    assert family_of("bias_only") is None
