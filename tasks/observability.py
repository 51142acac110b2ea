"""What the Prefect UI shows of task runs: tags, the lineage of assets, and one line of the run log for each result."""

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from prefect import State, Task
from prefect.client.schemas.objects import TaskRun
from prefect.context import TaskRunContext
from prefect.events import emit_event
from prefect.logging.loggers import task_run_logger

from recsys.store.artifacts import split_path
from recsys.store.store import Manifest, Store

NOT_IN_KEYS = re.compile(r"[\s#?&%\"'<>\[\]{}|\\^`]")
"""Characters that Prefect does not allow in the key of an asset."""

LONGEST_KEY = 512

REDUNDANT_LINES = ("Running hook ", "Hook ", "Finished in state Completed(", "Finished in state Cached(")
"""First words of lines that Prefect logs for a task run beside ours, and that name neither the run nor its result."""


def tagged(*tags: str) -> Callable[[Task[..., Any], TaskRun, State[Any]], None]:
    """Return a hook that adds tags to a task run once it is running.

    For a run that is tagged earlier, Prefect asks the server whether it may start. With other requests at the same
    time, SQLite refuses that one, and it is retried two seconds later.
    """

    def tag(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> None:
        task_run.tags = sorted({*task_run.tags, *tags})

    return tag


def asset_key(path: Path) -> str:
    """Return the key of the asset that is a file or folder of this machine."""
    return _key(f"file://{path.absolute()}")


def artefact_key(store: Store, manifest: Manifest) -> str:
    """Return the key of an artefact that has files: its URL where machines share the store, else its path."""
    folder, _ = split_path(manifest["files"][0])
    return _key(f"{store.shared.remote.url}/{folder}") if store.shared else asset_key(store.root / folder)


def _key(url: str) -> str:
    return NOT_IN_KEYS.sub("-", url)[:LONGEST_KEY]


def emit_asset(key: str, name: str, upstream: Iterable[str], **payload: Any) -> None:
    """Emit Prefect's event that this task run has made an asset; outside of a task run, do nothing.

    `name` is what the UI calls it, and `upstream` are the keys of the assets that it was made from.
    """
    if TaskRunContext.get() is None:
        return
    emit_event(
        "prefect.asset.materialization.succeeded",
        {"prefect.resource.id": key, "prefect.resource.name": name},
        related=[{"prefect.resource.id": one, "prefect.resource.role": "asset"} for one in dict.fromkeys(upstream)],
        payload=payload,
    )


def log_result(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> None:
    """Log the result of a task run in one line; a completion hook."""
    result = getattr(state.data, "result", None)
    seconds = (state.timestamp - (task_run.start_time or state.timestamp)).total_seconds()
    how = "cached" if state.name == "Cached" else f"{seconds:.1f} s"
    task_run_logger(task_run, task).info("%s: %s", task_run.name, ", ".join(filter(None, [summary(result), how])))


def summary(result: Any) -> str:
    """Return a summary of a task's result, which is a manifest, or several by name."""
    if not isinstance(result, Mapping):
        return ""
    manifest = result if "facts" in result else next(iter(result.values()))
    facts = manifest["facts"]
    match manifest["kind"]:
        case "ingest":
            quarantined = facts["quarantined_rows"]
            return f"{facts['rows']:,} ratings" + (f", {quarantined:,} rows set aside" if quarantined else "")
        case "encode":
            return f"{facts['users']:,} users, {facts['items']:,} items, {facts['rows']:,} ratings"
        case "split":
            parts = {"training": "train_rows", "validation": "validation_rows", "test": "test_rows"}
            return ", ".join(f"{facts[rows]:,} {part} ratings" for part, rows in parts.items())
        case "score":
            best = min(facts["scores"], key=lambda score: score["mse"])
            return f"best is {best['title']}, test MSE {best['mse']:.4f}"
    if "failed" in facts:
        return f"failed ({facts['failed']})"
    if "loss" not in facts:
        return ""
    if not facts["val_loss"]:
        return f"{len(facts['loss'])} epochs, training MSE {facts['loss'][-1]:.4f}"
    best_loss = facts["val_loss"][facts["best_epoch"] - 1]
    return f"validation MSE {best_loss:.4f} at epoch {facts['best_epoch']} of {len(facts['val_loss'])}"


# at import, so that it holds in every process that runs a task
logging.getLogger("prefect.task_runs").addFilter(
    lambda record: record.levelno != logging.INFO or not record.getMessage().startswith(REDUNDANT_LINES)
)
for name in ("recsys", "tasks"):
    logging.getLogger(name).setLevel(logging.INFO)  # of extra_loggers Prefect sets the handlers and not the level
