"""Who is told of a run that failed, and of a verdict that changed: notification blocks of Prefect's."""

import asyncio
import logging
from collections.abc import Iterable
from inspect import iscoroutine
from pathlib import Path
from typing import Any

import httpx
from prefect import Flow, State, get_run_logger
from prefect.blocks.abstract import NotificationBlock
from prefect.blocks.core import Block
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext
from prefect.logging.loggers import flow_run_logger
from prefect.utilities.urls import url_for
from pydantic import ValidationError

from recsys.errors import BadSettings, StoreUnavailable
from recsys.settings import OutputSettings, Settings
from recsys.store.run_history import in_series, read, verdict_changed
from recsys.store.store import Store
from tasks.progress import STOP

Log = logging.Logger | logging.LoggerAdapter[logging.Logger]


def check_blocks(blocks: Iterable[str]) -> None:
    """Say in the log which of some blocks cannot be used, before they are needed."""
    log = get_run_logger()
    for block in blocks:
        try:
            _load(block)
        except Exception as error:
            log.error("Nobody will be told by block %s: %s", block, _reason(error))


def tell_failure(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Tell the blocks in the run's settings that it failed; a hook of Prefect's. Who stops a run knows that it ends."""
    try:
        blocks = OutputSettings.model_validate(flow_run.parameters.get("settings", {}).get("output", {})).notify
    except (AttributeError, ValidationError):  # a run that was refused for its parameters names nobody to tell
        blocks = ()
    if not STOP.is_set():
        _notify(
            blocks,
            f"{flow_run.name} {(state.name or state.type).lower()}",
            str(state.message),
            flow_run,
            flow_run_logger(flow_run),
        )


def tell_changed_verdict(settings: Settings, folder: str) -> None:
    """Where the verdict is another than in the run before, of the same series, say so in the log and tell the blocks.

    Args:
        settings: the run's.
        folder: of its report.
    """
    try:
        runs = read(Store(settings.output.store))
    except StoreUnavailable as error:
        get_run_logger().warning("Nobody can tell whether the verdict has changed: %s", error)
        return
    now = next((run for run in reversed(runs) if run.report == Path(folder).name), None)
    before = in_series(runs[: runs.index(now)], now) if now else []
    change = verdict_changed(before[-1], now) if before and now else None
    context = FlowRunContext.get()
    if change is None or context is None or context.flow_run is None:
        return
    get_run_logger().warning(change)
    _notify(
        settings.output.notify,
        f"{context.flow_run.name}: the verdict has changed",
        f"{change}\nReport: {Path(folder) / 'report.html'}",
        context.flow_run,
        get_run_logger(),
    )


def _notify(blocks: Iterable[str], subject: str, body: str, run: FlowRun, log: Log) -> None:
    page = url_for("flow-run", run.id)
    for block in blocks:
        try:
            loaded = _load(block)
            with loaded.raise_on_failure():
                sending = loaded.notify(f"{body}\n{page}" if page else body, subject)
                if iscoroutine(sending):  # Prefect's own blocks send at once where no event loop runs
                    asyncio.run(sending)
        except Exception as error:  # the run is what it is, whoever can be told
            log.error("Block %s could not be told “%s”: %s", block, subject, _reason(error))
        else:
            log.info("Block %s was told “%s”", block, subject)


def _load(block: str) -> NotificationBlock:
    loaded = Block.load(block)
    if not isinstance(loaded, NotificationBlock):
        raise BadSettings("it is no block that notifies")
    return loaded


def _reason(error: Exception) -> str:
    """What went wrong, without the address that was called: it may be a secret."""
    if isinstance(error, BadSettings):
        return str(error)
    if isinstance(error, httpx.HTTPStatusError):
        return f"the answer was {error.response.status_code} {error.response.reason_phrase}"
    if isinstance(error, ValueError) and "Unable to find block document" in str(error):
        return "there is no such block"
    return type(error).__name__
