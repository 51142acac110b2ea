"""What is to be remembered of a finished run."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from recsys.evaluation.comparison import BaselineResult, Combination, Comparison, ModelResult
from recsys.history import PastRun, PastScore, Side
from recsys.report.discussion import headline, unanswered
from recsys.report.duel import duel
from recsys.report.run_manifest import UNRECORDED, RunManifest
from recsys.report.standing import every_row
from recsys.settings import Settings

RATINGS = {"user.npy", "item.npy", "rating.npy"}
"""The files of the codes that are the ratings; another version of a library writes tables of ids with other bytes."""

PLACE_OF_DATA = {"ratings", "dataset", "max_rows"}
"""Settings of the data that the name of the series says."""


def past_run(comparison: Comparison, manifest: RunManifest, report: str, when: datetime) -> PastRun:
    """Return what is to be remembered of a run.

    Args:
        comparison: what it found.
        manifest: what it was made from.
        report: name of its report's folder.
        when: the time of the run, aware of its time zone.
    """
    data, (side, winner) = comparison.data, _verdict(comparison)
    return PastRun(
        when=when.astimezone(UTC),
        report=report,
        series=series(comparison, manifest.settings),
        ratings=_digest(
            {name: digest for name, digest in manifest.artefacts["codes"].files.items() if name in RATINGS}
        ),
        test=_digest(manifest.artefacts["test"].files),
        **data.model_dump(
            include={
                *("rows", "users", "items", "test_rows", "cold_test_rows"),
                *("rating_mean", "rating_sd", "rating_min", "rating_max"),
            }
        ),
        headline=headline(comparison),
        side=side,
        winner=winner,
        scores=tuple(_score(row) for row in every_row(comparison)),
        settings=dict(_chosen(manifest.settings)),
        code=_digest(manifest.code),
        versions=manifest.versions,
    )


def series(comparison: Comparison, settings: Settings) -> str:
    """The name of the runs that can be compared over time: the same data set or file, protocol and kind of split.

    A file is known by its path, of which the name has no more than a digest.
    """
    path = settings.data.ratings
    fold = f" {comparison.fold} of {comparison.folds}" if comparison.split_by == "kfold" else ""
    parts = [comparison.data.source, *([sha256(path.encode()).hexdigest()[:8]] if path else [])]
    return " · ".join([*parts, comparison.protocol, f"{comparison.split_by}{fold}"])


def _verdict(comparison: Comparison) -> tuple[Side | None, str | None]:
    contest = duel(comparison)
    if contest is None or unanswered(comparison):
        return None, None
    if contest.outcome == "tie":
        return "tie", None
    return ("network" if contest.outcome == "better" else "factorisation"), contest.better.title


def _score(row: BaselineResult) -> PastScore:
    if isinstance(row, ModelResult):
        sd = row.spread.sd if row.spread else None
        return PastScore(name=row.name, title=row.title, kind="model", mse=row.mse, seeds=max(1, len(row.seeds)), sd=sd)
    kind: Any = "combination" if isinstance(row, Combination) else "baseline"
    return PastScore(name=row.name, title=row.title, kind=kind, mse=row.mse)


def _chosen(settings: Settings) -> Iterator[tuple[str, Any]]:
    """Dotted name and value of each setting that is not the default and not in the name of the series."""
    recorded = settings.model_dump(mode="json", exclude=UNRECORDED, exclude_defaults=True)
    recorded["data"] = {name: value for name, value in recorded.get("data", {}).items() if name not in PLACE_OF_DATA}
    for section, value in recorded.items():
        if isinstance(value, Mapping):
            yield from ((f"{section}.{name}", part) for name, part in value.items())
        else:
            yield section, value


def _digest(content: Mapping[str, str]) -> str:
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
