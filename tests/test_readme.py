"""The README says what the code does."""

import re
from pathlib import Path

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from flows.options import option
from recsys.settings import Settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def options(model: type[BaseModel], place: tuple[str, ...] = ()) -> list[str]:
    """Return one line of the README's table for each setting."""
    lines = []
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            lines += options(field.annotation, (*place, name))
            continue
        default = "" if field.default in (None, PydanticUndefined) else f"{field.default}"
        if isinstance(field.default, tuple):
            default = " ".join(map(str, field.default))
        lines.append(f"| `{option((*place, name))}` | {default} | {field.description} |")
    return lines


def test_the_table_of_options_is_that_of_the_settings() -> None:
    expected = "\n".join(options(Settings))
    assert expected in README, f"the README's table should read:\n{expected}"


def test_its_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"make ([a-z]+)", README)) <= targets


def test_its_pictures_and_files_exist() -> None:
    links = re.findall(r"\]\((?!http|#)([^)]+)\)", README)
    assert links
    assert not [link for link in links if not (ROOT / link).exists()]
