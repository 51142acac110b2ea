"""Matplotlib's SVGs made fit for a page: no clock, no random ids, no leaking style, colours that follow the theme."""

import re
import xml.etree.ElementTree as ElementTree

from recsys.report.palette import LIGHT

SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"
FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_FONT_FAMILY = re.compile(r"\s*font-family:[^;]*;?")
_STILL = re.compile(r"rotate\(-?0 [^)]*\)")
_THEME = {value: f"var(--{role})" for role, value in LIGHT.items()}
_COLOUR = re.compile("|".join(_THEME))


def normalised(drawing: str, name: str, alt: str) -> str:
    """Rewrite an SVG document of matplotlib as a small, reproducible and accessible `<svg>` element.

    Args:
        drawing: what `Figure.savefig(format="svg")` wrote, with text kept as text.
        name: prefix of all ids, unique in the page.
        alt: what a screen reader says instead of the plot.
    """
    root = ElementTree.fromstring(drawing)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{SVG}}}style", f"{{{SVG}}}metadata"):
                parent.remove(child)
    _rename_ids(root, name)
    for element in root.iter():
        _tidy(element)
    title = ElementTree.Element(f"{{{SVG}}}title", {"id": f"{name}-title"})
    title.text = alt
    root.insert(0, title)
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute, None)
    root.set("role", "img")
    root.set("aria-labelledby", f"{name}-title")
    root.set("style", "stroke-linejoin: round; stroke-linecap: butt")
    root.set("font-family", FONTS)
    _register()
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=True)


def themed(drawing: str) -> str:
    """Replace the light colours by the page's CSS variables, in attributes alone."""
    root = ElementTree.fromstring(drawing)
    for element in root.iter():
        style = element.get("style")
        if style is not None:
            element.set("style", _COLOUR.sub(lambda match: _THEME[match.group()], style))
    del root.attrib["font-family"]
    _register()
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=True)


def standalone(drawing: str) -> str:
    """A file of its own, with the size in pixels that viewers ask for."""
    width, height = drawing.split('viewBox="0 0 ', 1)[1].split('"', 1)[0].split()
    sized = drawing.replace("<svg ", f'<svg width="{float(width) * 1.5:g}" height="{float(height) * 1.5:g}" ', 1)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{sized}\n'


def _register() -> None:
    """Element names without a prefix, as HTML wants them."""
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", XLINK)


def _rename_ids(root: ElementTree.Element, name: str) -> None:
    """Number the ids that are referred to in their order, and drop the others."""
    used: set[str] = set()
    for element in root.iter():
        used.update(match for value in element.attrib.values() for match in _REFERENCE.findall(value))
        used.add(element.get(f"{{{XLINK}}}href", "").removeprefix("#"))
    fresh: dict[str, str] = {}
    for element in root.iter():
        old = element.attrib.pop("id", None)
        if old in used and old is not None:
            fresh[old] = f"{name}-{len(fresh) + 1}"
            element.set("id", fresh[old])
    for element in root.iter():
        for key, value in element.attrib.items():
            if key == f"{{{XLINK}}}href":
                element.set(key, f"#{fresh[value.removeprefix('#')]}")
            elif "url(#" in value:
                element.set(key, _REFERENCE.sub(lambda match: f"url(#{fresh[match.group(1)]})", value))


def _tidy(element: ElementTree.Element) -> None:
    style = element.get("style")
    if style is not None:
        element.set("style", _FONT_FAMILY.sub("", style).strip())
    if _STILL.fullmatch(element.get("transform", "")):
        del element.attrib["transform"]
    path = element.get("d")
    if path is not None:
        element.set("d", " ".join(path.split()))
    element.tail = None
    if element.text is not None and not element.text.strip():
        element.text = None
