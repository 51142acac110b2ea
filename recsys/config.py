"""What all settings have in common: they are immutable, checked, and tell their limits."""

from typing import Any

from cyclopts import Group, Parameter
from pydantic import BaseModel, ConfigDict, field_validator
from pydantic_core import PydanticCustomError

from recsys.text import is_unicode

EMPTY = "empty_text"
"""Type of the error of a setting that is an empty text."""

LIMITS = {"minimum": "at least", "exclusiveMinimum": "more than", "maximum": "at most", "exclusiveMaximum": "less than"}
"""Keyword of JSON schema -> how a description writes it."""


def _with_limits(schema: dict[str, Any]) -> None:
    """Append the limits of each number to its description; the form of the Prefect UI does not show them otherwise."""
    for field in schema.get("properties", {}).values():
        forms = [field, *field.get("anyOf", [])]
        limits = [f"{word} {_plain(form[name])}" for form in forms for name, word in LIMITS.items() if name in form]
        if limits:
            field["description"] = f"{field['description']} [{', '.join(limits)}]"


def _plain(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:g}"


class SettingsModel(BaseModel):
    """Base of all settings: frozen, and unknown names are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra=_with_limits)

    @field_validator("*")
    @classmethod
    def _text(cls, value: Any) -> Any:
        if isinstance(value, str):
            if not value.strip():  # as a path it would be the folder in which one happens to be
                raise PydanticCustomError(EMPTY, "is empty: give it a value, or leave it out")
            if "\0" in value:
                raise ValueError("settings cannot hold a NUL character")
            if not is_unicode(value):
                raise ValueError(f"settings must be UTF-8 text, as names of files have to be: rename {value!a}")
        return value


def section(title: str, order: int, *, flat: bool = True) -> Parameter:
    """Return how the command line shows a section of the settings: its heading, place and, if not flat, its name."""
    return Parameter(name="*" if flat else None, group=Group(title, sort_key=order))
