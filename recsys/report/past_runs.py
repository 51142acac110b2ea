"""The record of a finished run for the history of runs, and the files of a report that show earlier runs."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from recsys.evaluation.results import BaselineResult, Combination, Comparison, ModelResult
from recsys.report.answer import headline, unanswered
from recsys.report.checks import with_checks
from recsys.report.manifest import RATINGS, UNRECORDED, RunManifest, read_manifest
from recsys.report.outcomes import duel, every_row
from recsys.report.sections import trends
from recsys.settings import Settings
from recsys.store.fingerprint import Fingerprint, code_of, versions_of
from recsys.store.run_history import PastRun, PastScore, Side, in_series, read, results
from recsys.store.store import Facts, Manifest, Store, content

IN_SERIES = {"ratings", "dataset", "max_rows"}  # settings of the data that are part of the name of the series


def past_run(comparison: Comparison, manifest: RunManifest, report: str, when: datetime) -> PastRun:
    """Return the record of a run: its report is in a folder of name `report`, and `when` has a time zone."""
    side, winner = _verdict(comparison)
    codes = manifest.artefacts["codes"].files
    return PastRun(
        when=when.astimezone(UTC),
        report=report,
        series=series(comparison, manifest.settings),
        ratings=_digest({name: digest for name, digest in codes.items() if name in RATINGS}),
        test=_digest(manifest.artefacts["test"].files),
        **comparison.data.model_dump(include=set(PastRun.model_fields)),
        headline=headline(comparison),
        side=side,
        winner=winner,
        scores=tuple(_score(row) for row in every_row(comparison)),
        settings=dict(_not_default(manifest.settings)),
        code=_digest(manifest.code),
        versions=manifest.versions,
    )


def series(comparison: Comparison, settings: Settings) -> str:
    """The name of the runs that can be compared over time: the same data set or file, protocol and kind of split.

    A file is identified by its path, of which the name has only a digest.
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
        seeds = max(1, len(row.seeds))
        named = {"name": row.name, "title": row.title, "kind": "model", "mse": row.mse}
        return PastScore.model_validate({**named, "seeds": seeds, "sd": sd, "chosen": row.chosen})
    kind: Any = "combination" if isinstance(row, Combination) else "baseline"
    return PastScore(name=row.name, title=row.title, kind=kind, mse=row.mse)


def _not_default(settings: Settings) -> Iterator[tuple[str, Any]]:
    """Dotted name and value of each setting that is not the default and not part of the name of the series."""
    recorded = settings.model_dump(mode="json", exclude=UNRECORDED, exclude_defaults=True)
    recorded["data"] = {name: value for name, value in recorded.get("data", {}).items() if name not in IN_SERIES}
    for section, value in recorded.items():
        if isinstance(value, Mapping):
            yield from ((f"{section}.{name}", part) for name, part in value.items())
        else:
            yield section, value


def _digest(content: Mapping[str, str]) -> str:
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def with_past_runs(store: Store, made: Manifest, report: str, when: datetime) -> tuple[dict[str, Path], PastRun]:
    """Return a report's files, those that show earlier runs included, and the record of this run.

    The same result gives the same files, whenever and however often it is published. `made` is the report as
    `build_report` made it; the other arguments are those of `past_run`.

    Returns:
        Path inside the report -> where the file is; the record, which is not yet appended to the history.

    Raises:
        OSError: the history cannot be read.
        StoreUnavailable: the store cannot be used.
    """
    files = store.files(made)
    comparison = Comparison.model_validate_json(files["comparison.json"].read_bytes())
    run = past_run(comparison, read_manifest(files["manifest.json"]), report, when)
    runs = results([*in_series(read(store), run), run])[-trends.MAX_SHOWN :]
    if len(runs) < 2:
        return files, run
    fingerprint = Fingerprint(
        task="history",
        layer="history",
        inputs={"report": content(made)},
        settings={"history": [run.model_dump(mode="json") for run in runs]},
        code=code_of(("recsys.report.past_runs", "recsys.report.sections.trends")),
        versions=versions_of(("matplotlib",)),
    )
    compared = with_checks(comparison.model_copy(update={"history": runs}))
    return files | store.files(store.make(fingerprint, lambda folder: _write(compared, files, folder))), run


def _write(comparison: Comparison, files: dict[str, Path], folder: Path) -> Facts:
    """Write the files of a report that differ with its earlier runs."""
    from recsys.report.svg import load_plots, save_plots, style

    others = load_plots(files)
    with style():
        plots = trends.draw(comparison) if others else []
    save_plots(plots, folder, others)
    text = comparison.model_dump_json(indent=2) + "\n"
    (folder / "comparison.json").write_text(text, encoding="utf-8", newline="\n")
    return {"results": len(comparison.history)}
