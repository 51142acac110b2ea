"""A report among the runs before it: what is published of a run that was not the first of its kind."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from recsys.evaluation.comparison import Comparison
from recsys.fingerprint import Fingerprint, code_of, versions_of
from recsys.history import PastRun, in_series, read, results
from recsys.report.history_run import past_run
from recsys.report.history_table import MOST_SHOWN
from recsys.report.run_manifest import read_manifest
from recsys.store import Facts, Manifest, Store, content


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
        code=code_of(("recsys.report.history", "recsys.report.history_plot", "recsys.report.history_section")),
        versions=versions_of(("jinja2", "matplotlib")),
    )


def _write(comparison: Comparison, history: list[PastRun], files: dict[str, Path], folder: Path) -> Facts:
    from recsys.report.history_plot import history_plot  # here, as it loads matplotlib
    from recsys.report.history_section import markdown_with_history, page_with_history
    from recsys.report.svg import standalone

    comparison = comparison.model_copy(update={"history": history})
    plot = history_plot(comparison)
    page, markdown = (files[name].read_text(encoding="utf-8") for name in ("report.html", "report.md"))
    texts = {
        "report.html": page_with_history(page, comparison, [plot]),
        "report.md": markdown_with_history(markdown, comparison, [plot]),
        "comparison.json": comparison.model_dump_json(indent=2) + "\n",
        f"plots/{plot.name}.svg": standalone(plot.svg),
    }
    (folder / "plots").mkdir()
    (folder / "plots" / f"{plot.name}.png").write_bytes(plot.png)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    return {"results": len(history)}
