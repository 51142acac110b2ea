"""The records of the rows agree with each other, with the settings and with the modules that they name."""

from pkgutil import resolve_name

import numpy as np
import pytest

from recsys.models.baselines import fit_baselines
from recsys.models.specs import BASELINES, MODELS, NOTEBOOK, ROW, TUNED, ModelSections, ModelSpec, family_of
from recsys.settings import Settings
from recsys.training.fit import FitData
from recsys.training.train import fit_model


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


@pytest.mark.parametrize("family", ["mf", "dnn"])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_family_contains_a_model_as_good_as_biases_alone(family: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    rows, users, items = 3000, 90, 70
    user, item = random.integers(users, size=rows).astype(np.int32), random.integers(items, size=rows).astype(np.int32)
    bias = random.normal(size=users)[user] + random.normal(size=items)[item]
    rating = np.clip(np.round(3 + 0.5 * bias + random.normal(size=rows)), 1, 5).astype(np.float32)
    data = FitData(user, item, rating, np.arange(2400), np.arange(2400, rows))
    train, validation = ((user[part], item[part], rating[part]) for part in (data.train, data.validation))
    biases = fit_baselines(train, validation, users, items)["bias_only"]
    of_biases = np.mean((biases.predict(*validation[:2]) - validation[2]) ** 2)
    found = []
    for spec in TUNED:
        for point in spec.space.known[: len(spec.space.simpler)] if spec.space and spec.family == family else ():
            values = spec.settings().model_dump() | dict(point) | {"epochs": 60}
            settings = spec.settings.model_validate(values)
            _, fit = fit_model(
                spec.name, spec.build, spec.fit, users, items, data, settings, 1, standardised=spec.standardised
            )
            found.append(min(fit.val_loss))
    assert min(found) < 1.01 * of_biases
