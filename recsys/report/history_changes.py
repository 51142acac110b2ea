"""In what two runs of a series differ, apart from what came out."""

from collections.abc import Iterator, Mapping
from typing import Any

from recsys.history import PastRun
from recsys.report.wording import listing

MOST_NAMED = 3
"""Changed settings or versions that are named one by one."""

DEFAULT = "default"


def changes(before: PastRun, now: PastRun) -> list[str]:
    """What changed between two runs, a few words each; empty where nothing did that is on record."""
    return [*_ratings(before, now), *because(before, now)]


def because(before: PastRun, now: PastRun) -> list[str]:
    """The changes that somebody made: of settings, versions and code."""
    settings = [
        f"{name} {_told(old)} → {_told(new)}" for name, old, new in _pairs(before.settings, now.settings, DEFAULT)
    ]
    versions = [f"{name} {old} → {new}" for name, old, new in _pairs(before.versions, now.versions, "absent")]
    code = ["the code"] if before.code != now.code else []
    return [*_few(settings, "other settings"), *_few(versions, "other libraries"), *code]


def in_words(changed: list[str]) -> str:
    """What changed, as part of a sentence."""
    return listing(changed) if changed else "nothing that is on record"


def _ratings(before: PastRun, now: PastRun) -> Iterator[str]:
    if before.ratings != now.ratings:
        yield "the ratings" if before.rows == now.rows else f"the ratings ({before.rows:,} → {now.rows:,})"
    elif before.test != now.test:
        yield "which ratings are held out"


def _pairs(before: Mapping[str, Any], now: Mapping[str, Any], without: str) -> list[tuple[str, Any, Any]]:
    names = sorted({*before, *now})
    return [
        (name, before.get(name, without), now.get(name, without))
        for name in names
        if before.get(name) != now.get(name) or (name in before) != (name in now)
    ]


def _few(named: list[str], others: str) -> list[str]:
    if len(named) <= MOST_NAMED:
        return named
    return [*named[: MOST_NAMED - 1], f"{len(named) - MOST_NAMED + 1} {others}"]


def _told(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
