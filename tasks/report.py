"""Tasks `score` and `report`: the test ratings are read, the comparison is written, published and shown."""

import logging
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect import task
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact

from recsys.errors import StoreUnavailable
from recsys.evaluation.results import Comparison, Tuning
from recsys.models.specs import MODEL, Family
from recsys.report.answer import headline
from recsys.report.drift import drift_warnings
from recsys.report.markdown import embedded_markdown, escaped
from recsys.report.past_runs import with_past_runs
from recsys.report.publish import publish_report
from recsys.report.section import Cell
from recsys.report.sections import trends
from recsys.report.sections.results import shown_columns, shown_rows
from recsys.settings import OutputSettings, Settings, SplitSettings
from recsys.store.run_history import append
from recsys.store.store import Facts, Manifest, Store
from tasks.cache import ByFingerprint, Recipe, Uncached
from tasks.observability import artefact_key, asset_key, emit_asset
from tasks.progress import TaskProgress

SCORE = Recipe(
    task="score",
    layer="scores",
    manifests=("data", "models"),
    facts=("data",),
    settings=("winners", "split", "settings"),
    unread={
        **dict.fromkeys(("data", "split", "tuning", "ranking", "output", "engine", "scaling", "refresh"), True),
        **dict.fromkeys(MODEL, True),
        "evidence": {"seeds", "splits", "splits_also", "learning_curve"},
    },
    code=("recsys.evaluation.evaluate",),
    libraries=("keras", "numpy", "scikit-learn", "scipy", "tensorflow"),
)

REPORT = Recipe(
    task="report",
    layer="reports",
    manifests=("data", "models", "others", "histories", "learning_curve"),
    facts=("data", "models", "others", "histories", "learning_curve"),
    settings=("settings", "source", "tuning", "left_out"),
    unread={
        "output": {"name", "reports", "store", "notify", "mute"},
        "scaling": True,
        "refresh": True,
        "data": {"downloads"},
    },
    code=("recsys.report.build",),
    libraries=(*SCORE.libraries, "matplotlib", "optuna", "pandas", "pyarrow"),
)

log = logging.getLogger(__name__)


@task(
    name="score", task_run_name="score · {split.split_by} {split.split_seed}", cache_policy=ByFingerprint(recipe=SCORE)
)
def score(
    data: Mapping[str, Manifest],
    models: Mapping[str, Mapping[str, Any]],
    winners: Mapping[Family, str],
    split: SplitSettings,
    settings: Settings,
    store: str,
) -> Manifest:
    """Score the models on the test ratings of a further split.

    Args:
        data: manifests of `codes`, `training` and `test`.
        models: row -> its fits, each a manifest or why there is none.
        winners: family -> the row that its search chose.
        split: what split the ratings so.
    """

    def build(folder: Path) -> Facts:
        from recsys.evaluation.evaluate import score_split

        return score_split(Store(store), data, models, winners, split, settings, folder, TaskProgress("score"))

    return SCORE.make(build, data=data, models=models, winners=winners, split=split, settings=settings, store=store)


@task(name="report", task_run_name="report", cache_policy=Uncached(recipe=REPORT))
def report(
    data: Mapping[str, Manifest],
    models: Mapping[str, Mapping[str, Any]],
    tuning: list[Tuning],
    others: Mapping[str, Manifest],
    histories: Mapping[str, Mapping[str, Any]],
    learning_curve: Mapping[str, Mapping[str, Any]],
    winner: Manifest | Exception | None,
    left_out: Mapping[str, str],
    settings: Settings,
    source: Mapping[str, Any],
    store: str,
) -> str:
    """Score the models on the test ratings, publish the comparison and show it in the UI; return the report's folder.

    Never cached, so that each run has its artifacts in the UI and is remembered; what it computes is kept in the store.

    The arguments are those of `recsys.report.build.build_report`; `source` also has the `name` of the ratings, and
    `winner` is the folder of the model to use, why there is none, or None where none is chosen.
    """
    opened = Store(store)
    inputs: dict[str, Any] = {
        "data": data,
        "models": models,
        "tuning": tuning,
        "others": others,
        "histories": histories,
        "learning_curve": learning_curve,
        "left_out": left_out,
    }

    def build(folder: Path) -> Facts:
        from recsys.report.build import build_report

        progress = TaskProgress("report")
        return build_report(opened, **inputs, settings=settings, source=source, folder=folder, progress=progress)

    made = REPORT.make(build, **inputs, settings=settings, source=source, store=store)
    name = settings.output.name or f"{source['name']}-{settings.protocol}"
    folder = _published(opened, made, settings.output, name, winner)
    comparison = Comparison.model_validate_json((folder / "comparison.json").read_bytes())
    for warning in drift_warnings(comparison):
        log.warning(warning.text)
    emit_asset(asset_key(folder / "report.html"), "report", [artefact_key(opened, made)], headline=headline(comparison))
    _show_in_ui(folder, comparison)
    log.info("%s.", headline(comparison))
    log.info("Report: %s", folder / "report.html")
    return str(folder)


def _published(
    store: Store, made: Manifest, output: OutputSettings, name: str, winner: Manifest | Exception | None
) -> Path:
    """Publish the report among the runs before it, and remember the run; neither is worth failing a run for."""
    reports = Path(output.reports).expanduser().absolute()
    used = {} if winner is None or isinstance(winner, Exception) else store.files(winner)
    try:
        files, run = with_past_runs(store, made, name, datetime.now(UTC))
    except (OSError, StoreUnavailable) as error:
        log.warning("the runs before are left out of the report, and this one is not remembered: %s", error)
        return publish_report(store.files(made), reports, name, used, output.mute)
    folder = publish_report(files, reports, name, used, output.mute)
    try:
        append(store, run)
    except (OSError, StoreUnavailable) as error:
        log.warning("this run is not remembered for all: %s", error)
    return folder


def _show_in_ui(folder: Path, comparison: Comparison) -> None:
    try:
        create_table_artifact(_table(comparison), key="comparison", description=f"Report: {_told(folder)}")
        if comparison.history:
            table = trends.run_table(comparison)
            newest_first = _by_heading([heading.text for heading in table.headings], reversed(table.rows))
            create_table_artifact(newest_first, key="comparison-history", description=trends.CAPTION)
        create_markdown_artifact(embedded_markdown(folder), key="comparison-report", description=_told(folder))
        for key, name in (("report-page", "report.html"), ("comparison-csv", "comparison.csv")):
            create_link_artifact((folder / name).as_uri(), name, key=key, description=_told(folder / name))
    except Exception as error:  # the report itself is written: a UI that cannot show it is no failure
        log.warning("the report could not be shown in the Prefect UI: %s", error)


def _told(path: Path) -> str:
    """A path as it stands in the UI, which takes descriptions for Markdown: one that could be more is escaped."""
    text = str(path)
    return escaped(text) if re.search(r"[<>\[\]()`!&|*\x00-\x1f]", text) else text


def _table(comparison: Comparison) -> list[dict[str, str]]:
    """The table that people read: the rows of models, combinations and baselines, by heading."""
    return _by_heading([column.heading for column in shown_columns(comparison)], shown_rows(comparison))


def _by_heading(headings: list[str], rows: Iterable[Iterable[Cell]]) -> list[dict[str, str]]:
    return [dict(zip(headings, (cell.text for cell in row), strict=True)) for row in rows]
