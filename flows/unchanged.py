"""Showing a comparison of which nothing has changed since its last run, without Prefect, whose import takes seconds."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.console import Console

from flows.screen import show_header, show_result
from flows.server import PROJECT, none_configured
from recsys.data.source import Source, locate
from recsys.errors import UserError
from recsys.settings import Settings
from recsys.store.answers import Answer, answer_of, made_from, note_answer, noted_answer
from recsys.store.artifacts import Manifest
from recsys.store.store import Store

PACKAGES = [PROJECT / name for name in ("flows", "recsys", "tasks")]

REMARK = (
    "Every task was cached: nothing was computed, and no flow run was recorded. With a server (make ui), runs are "
    "recorded even so."
)


def show_unchanged(
    console: Console, settings: Settings, *, as_json: bool, strict: bool, without_server: bool = False
) -> bool:
    """Show the report if nothing that it hangs on has changed and no server is there for the run; return whether so.

    Raises:
        ChecksFailed: as `show_result` does.
    """
    if settings.scaling.elsewhere or not (without_server or none_configured()):
        return False
    try:
        source = locate(settings.data)
    except (OSError, UserError):  # which planning the run explains
        return False
    answer = unchanged_answer(settings, source)
    if answer is None:
        return False
    show_header(console, settings, source, answer.columns, tasks=answer.tasks, cached=answer.tasks)
    show_result(console, Path(answer.folder), settings, as_json=as_json, strict=strict, remark=REMARK)
    return True


def unchanged_answer(settings: Settings, source: Source) -> Answer | None:
    """Return the noted answer to a comparison, None if there is none that still holds, or if it is to be refreshed."""
    if settings.refresh:
        return None
    store = Store(settings.output.store)
    try:
        return noted_answer(store, _made_from(store, settings, source))
    except (OSError, UserError):  # which planning the run explains
        return None


def note_unchanged(
    settings: Settings, source: Source, manifests: Iterable[Manifest], folder: Path, *, tasks: int, columns: str
) -> None:
    """Note what `show_unchanged` shows the next time, of a comparison whose every task is cached.

    Raises:
        OSError: a file of the ratings, the code or the report cannot be read.
        StoreUnavailable: the store cannot be used.
    """
    store = Store(settings.output.store)
    made = _made_from(store, settings, source)
    note_answer(store, answer_of(store, made, manifests, folder, tasks=tasks, columns=columns))


def _made_from(store: Store, settings: Settings, source: Source) -> dict[str, Any]:
    inputs = [source.ratings, *([source.titles] if source.titles else [])]
    return made_from(store, settings, inputs, PACKAGES)
