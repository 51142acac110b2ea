"""What the log of a run says of each task when it has ended: one line, that holds for a cached result as well."""

import logging
from collections.abc import Mapping
from typing import Any

from prefect import State, Task
from prefect.client.schemas.objects import TaskRun
from prefect.logging.loggers import task_run_logger

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
