"""A finished picture, and what its file is called."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Plot:
    """A finished picture: `svg` in light colours without a background, `png` on white."""

    name: str
    section: str
    caption: str
    alt: str
    svg: str
    png: bytes


def file_name(name: str) -> str:
    """A model's name as part of a file's name and of an id in the page."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-") or "model"
