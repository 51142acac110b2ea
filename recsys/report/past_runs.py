"""What is remembered of a finished run, and a report among the runs before it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from recsys.evaluation.results import BaselineResult, Combination, Comparison, ModelResult
from recsys.report.manifest import UNRECORDED, RunManifest, read_manifest
from recsys.report.outcomes import duel, every_row
from recsys.report.sections.trends import MOST_SHOWN
from recsys.report.sections.verdict import headline, unanswered
from recsys.settings import Settings
from recsys.store.fingerprint import Fingerprint, code_of, versions_of
from recsys.store.run_history import PastRun, PastScore, Side, in_series, read, results
from recsys.store.store import Facts, Manifest, Store, content

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


def with_history(store: Store, made: Manifest, report: str, when: datetime) -> tuple[dict[str, Path], PastRun]:
    """Return a report's files, those that tell of the runs before among them, and what to remember of the run.

    The same result gives the same files, whenever and however often it is had again.

    Args:
        store: where the report and the history are.
        made: the report, as `build_report` made it.
        report: name of its folder.
        when: the time of the run, aware of its time zone.

    Returns:
        Path inside the report -> where the file is; the run, which is not yet remembered.

    Raises:
        OSError: the history cannot be read.
        StoreUnavailable: the store cannot be used.
    """
    files = store.files(made)
    comparison = Comparison.model_validate_json(files["comparison.json"].read_bytes())
    run = past_run(comparison, read_manifest(files["manifest.json"]), report, when)
    history = results([*in_series(read(store), run), run])[-MOST_SHOWN:]
    if len(history) < 2:
        return files, run
    dated = store.make(_fingerprint(made, history), lambda folder: _write(comparison, history, files, folder))
    return files | store.files(dated), run


def _fingerprint(made: Manifest, history: Sequence[PastRun]) -> Fingerprint:
    return Fingerprint(
        task="history",
        layer="history",
        inputs={"report": content(made)},
        settings={"history": [run.model_dump(mode="json") for run in history]},
        code=code_of(("recsys.report.past_runs", "recsys.report.sections.trends")),
        versions=versions_of(("matplotlib",)),
    )


def _write(comparison: Comparison, history: list[PastRun], files: dict[str, Path], folder: Path) -> Facts:
    from recsys.report.sections.trends import history_plot
    from recsys.report.svg import load_plots, save_plots

    comparison = comparison.model_copy(update={"history": history})
    save_plots([history_plot(comparison)], folder, load_plots(files))
    text = comparison.model_dump_json(indent=2) + "\n"
    (folder / "comparison.json").write_text(text, encoding="utf-8", newline="\n")
    return {"results": len(history)}
