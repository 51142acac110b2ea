"""Pages of a comparison, and what its discussion says, for tests."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from recsys.evaluation.results import Comparison
from recsys.report.build import write_report
from recsys.report.contents import report_of
from recsys.report.html import html_page
from recsys.report.manifest import run_manifest
from recsys.report.markdown import markdown_report
from recsys.report.publish import publish_report
from recsys.report.section import Finding, Plot
from recsys.report.sections import discussion
from recsys.settings import Settings
from recsys.store.store import Manifest


def pages_of(comparison: Comparison, plots: Sequence[Plot] = ()) -> tuple[str, str]:
    """The page and its Markdown twin."""
    report = report_of(comparison, plots)
    return html_page(report), markdown_report(report)


def discussed(comparison: Comparison) -> dict[str, Sequence[Finding]]:
    """The findings of the discussion by the title of their part, without the boxes on the procedure."""
    parts = discussion.section(comparison, []).parts
    return {part.title: part.findings for part in parts if part.tone == "plain"}


def publish_made(comparison: Comparison, predictions: pd.DataFrame, folder: Path) -> Path:
    """Write a report and publish it as `folder`."""
    made = folder.with_name(f"{folder.name}-made")
    made.mkdir(parents=True)
    write_report(comparison, predictions, made)
    files = {path.relative_to(made).as_posix(): path for path in made.rglob("*") if path.is_file()}
    return publish_report(files, folder.parent, folder.name)


def write_records(
    folder: Path, comparison: Comparison, *, ratings: str = "a", test: str | None = "a", **settings: Any
) -> Path:
    """Write comparison.json and manifest.json of a run on ratings and test rows of these digests, None: not known."""
    digests = {"ratings": [ratings, "ratings.parquet"], "codes": [ratings, "user.npy", "item.npy", "rating.npy"]}
    digests |= {"test": [test, "test.npy"]} if test else {}
    artefacts = {
        name: Manifest(
            kind=name,
            key=name,
            files=[{"path": f"{name}/{file}", "sha256": digest, "bytes": 1} for file in files],
            facts={"sha256": digest},
            seconds=1.0,
        )
        for name, (digest, *files) in digests.items()
    }
    folder.mkdir()
    (folder / "comparison.json").write_text(comparison.model_dump_json(), encoding="utf-8")
    manifest = run_manifest(Settings.model_validate(settings), artefacts, comparison)
    (folder / "manifest.json").write_text(manifest.to_json(), encoding="utf-8")
    return folder
