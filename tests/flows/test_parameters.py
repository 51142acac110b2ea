"""The form that the Prefect UI makes of the flow's parameters."""

from typing import Any

from prefect.utilities.callables import parameter_schema

from flows.compare import compare
from recsys.settings import Settings


def test_every_setting_has_a_description_and_a_default_in_the_form() -> None:
    schema = parameter_schema(compare).model_dump()
    definitions: dict[str, Any] = schema["definitions"]
    assert set(definitions["Settings"]["properties"]) == set(Settings.model_fields)
    dropout = definitions["TunedDNNSettings"]["properties"]["dropout"]
    assert dropout["default"] == 0.3
    assert dropout["exclusiveMaximum"] == 1
    assert definitions["DataSettings"]["properties"]["duplicates"]["enum"] == ["keep", "error", "last", "mean"]
    undescribed = [
        f"{model}.{name}"
        for model, definition in definitions.items()
        for name, field in definition.get("properties", {}).items()
        if "description" not in field and "$ref" not in field
    ]
    assert undescribed == []


def test_a_run_is_named_after_its_data_protocol_and_seed() -> None:
    assert Settings().title == "sample · fair · seed 42"
    ratings = Settings.model_validate({"data": {"ratings": "/data/my.csv"}, "protocol": "notebook", "seed": 7})
    assert ratings.title == "my.csv · notebook · seed 7"
