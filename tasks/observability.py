"""What the Prefect UI shows of task runs: tags, lineage, and a line of the log for each that has ended."""

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


def tagged(*tags: str) -> Callable[[Task[..., Any], TaskRun, State[Any]], None]:
    """Return a hook that tags a task's run when it has begun.

    Of a run that has tags before it begins, Prefect asks the server whether it may begin. With other requests
    beside it, SQLite turns that one away, to be repeated two seconds later.
    """

    def tag(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> None:
        task_run.tags = sorted({*task_run.tags, *tags})

    return tag


RESTRICTED = re.compile(r"[\s#?&%\"'<>\[\]{}|\\^`]")
"""What Prefect allows in no key of an asset."""

LONGEST_KEY = 512


def asset(path: Path) -> str:
    """Return the key of the asset that lies at a path."""
    return _key(f"file://{path.absolute()}")


def artefact(store: Store, manifest: Manifest) -> str:
    """Return the key of an artefact that has files: where all machines that share the store find it."""
    folder, _ = split_path(manifest["files"][0])
    return _key(f"{store.shared.remote.url}/{folder}") if store.shared else asset(store.root / folder)


def tell_made(made: str, name: str, upstream: Iterable[str], **payload: Any) -> None:
    """Tell Prefect that an asset was made in this task run from others.

    Outside of a task run nobody is told.

    Args:
        made: key of what was made.
        name: what people call it.
        upstream: keys of what it was made from.
        payload: what else there is to say.
    """
    if TaskRunContext.get() is None:
        return
    emit_event(
        "prefect.asset.materialization.succeeded",
        {"prefect.resource.id": made, "prefect.resource.name": name},
        related=[
            {"prefect.resource.id": source, "prefect.resource.role": "asset"} for source in dict.fromkeys(upstream)
        ],
        payload=payload,
    )


def _key(url: str) -> str:
    return RESTRICTED.sub("-", url)[:LONGEST_KEY]


BETWEEN_THE_LINES = ("Running hook ", "Hook ", "Finished in state Completed(", "Finished in state Cached(")
"""How the lines begin that Prefect writes of a task run beside ours, and that name neither it nor its result."""


def tell_end(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> None:
    """Write into the run's log what a task has come to; a hook of Prefect's."""
    result = getattr(state.data, "result", None)
    seconds = (state.timestamp - (task_run.start_time or state.timestamp)).total_seconds()
    how = "cached" if state.name == "Cached" else f"{seconds:.1f} s"
    task_run_logger(task_run, task).info("%s: %s", task_run.name, ", ".join(filter(None, [told(result), how])))


def told(result: Any) -> str:
    """Return in a few words what a task has found, from its result: a manifest, or several by name."""
    if not isinstance(result, Mapping):
        return ""
    manifest = result if "facts" in result else next(iter(result.values()))
    facts = manifest["facts"]
    if manifest["kind"] == "ingest":
        apart = facts["quarantined_rows"]
        return f"{facts['rows']:,} ratings" + (f", {apart:,} rows set aside" if apart else "")
    if manifest["kind"] == "encode":
        return f"{facts['users']:,} users, {facts['items']:,} items, {facts['rows']:,} ratings"
    if manifest["kind"] == "split":
        return (
            f"{facts['train_rows']:,} ratings to train on, {facts['validation_rows']:,} to validate on, "
            f"{facts['test_rows']:,} to test on"
        )
    if manifest["kind"] == "score":
        best = min(facts["scores"], key=lambda score: score["mse"])
        return f"best is {best['title']}, test MSE {best['mse']:.4f}"
    return _told_of_training(facts)


def _told_of_training(facts: Mapping[str, Any]) -> str:
    if "failed" in facts:
        return f"given up ({facts['failed']})"
    if not facts["val_loss"]:
        return f"{len(facts['loss'])} epochs, training MSE {facts['loss'][-1]:.4f}"
    best = facts["val_loss"][facts["best_epoch"] - 1]
    return f"validation MSE {best:.4f} at epoch {facts['best_epoch']} of {len(facts['val_loss'])}"


def _is_news(record: logging.LogRecord) -> bool:
    return record.levelno != logging.INFO or not record.getMessage().startswith(BETWEEN_THE_LINES)


# here, so that it holds in every process that runs a task
logging.getLogger("prefect.task_runs").addFilter(_is_news)
for name in ("recsys", "tasks"):
    logging.getLogger(name).setLevel(logging.INFO)  # of extra_loggers Prefect sets the handlers and not the level
