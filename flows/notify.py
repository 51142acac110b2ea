"""What a run tells others: its description in the log, its tags, and notifications of failures and changed verdicts."""

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
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext
from prefect.logging.loggers import flow_run_logger
from prefect.utilities.urls import url_for
from pydantic import ValidationError

from recsys.data.source import Source
from recsys.errors import BadSettings, StoreUnavailable
from recsys.settings import OutputSettings, Settings
from recsys.store.run_history import in_series, read, verdict_changed
from recsys.store.store import Store
from tasks.progress import STOP

Log = logging.Logger | logging.LoggerAdapter[logging.Logger]


def announce_run(settings: Settings, source: Source) -> None:
    """Log what is compared, tag the flow run with its data set and protocol, and check its notification blocks."""
    log = get_run_logger()
    seeds, budget = len(settings.seeds), settings.tuning.budget
    how = f"protocol {settings.protocol}, {seeds} seed{'s' if seeds > 1 else ''} from {settings.seed}"
    if settings.protocol == "fair":
        how += f", budget {budget:g}"
    log.info("%s: %s; store %s", source.label, how, settings.output.store)
    if source.licence:
        log.info(source.licence)
    check_blocks(settings.output.notify)
    run = _flow_run()
    if run is None:
        return
    try:
        with get_client(sync_client=True) as client:
            client.update_flow_run(run.id, tags=sorted({*run.tags, source.name, settings.protocol}))
    except Exception as error:  # the run goes on without tags
        log.warning("The run could not be tagged: %s", error)


def check_blocks(blocks: Iterable[str]) -> None:
    """Log which of some notification blocks cannot be used, before they are needed."""
    log = get_run_logger()
    for block in blocks:
        try:
            _load(block)
        except Exception as error:
            log.error("Block %s cannot be used for notifications: %s", block, _reason(error))


def notify_failure(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Notify the blocks of the run's settings that it failed, unless its user stopped it; a hook of the flow."""
    try:
        blocks = OutputSettings.model_validate(flow_run.parameters.get("settings", {}).get("output", {})).notify
    except (AttributeError, ValidationError):  # the run failed because of its parameters
        blocks = ()
    if not STOP.is_set():
        subject = f"{flow_run.name} {(state.name or state.type).lower()}"
        _notify(blocks, subject, str(state.message), flow_run, flow_run_logger(flow_run))


def notify_changed_verdict(settings: Settings, folder: str) -> None:
    """If the verdict differs from that of the previous run of the same series, log it and notify the blocks."""
    log, run = get_run_logger(), _flow_run()
    try:
        runs = read(Store(settings.output.store))
    except StoreUnavailable as error:
        log.warning("Whether the verdict has changed is not known: %s", error)
        return
    now = next((past for past in reversed(runs) if past.report == Path(folder).name), None)
    before = in_series(runs[: runs.index(now)], now) if now else []
    change = verdict_changed(before[-1], now) if before and now else None
    if change and run:
        log.warning(change)
        body = f"{change}\nReport: {Path(folder) / 'report.html'}"
        _notify(settings.output.notify, f"{run.name}: the verdict has changed", body, run, log)


def _flow_run() -> FlowRun | None:
    context = FlowRunContext.get()
    return context.flow_run if context else None


def _notify(blocks: Iterable[str], subject: str, body: str, run: FlowRun, log: Log) -> None:
    page = url_for("flow-run", run.id)
    for block in blocks:
        try:
            loaded = _load(block)
            with loaded.raise_on_failure():
                sending = loaded.notify(f"{body}\n{page}" if page else body, subject)
                if iscoroutine(sending):  # Prefect's own blocks send at once where no event loop runs
                    asyncio.run(sending)
        except Exception as error:  # a notification that fails does not fail the run
            log.error("Block %s could not send “%s”: %s", block, subject, _reason(error))
        else:
            log.info("Block %s has sent “%s”", block, subject)


def _load(block: str) -> NotificationBlock:
    loaded = Block.load(block)
    if not isinstance(loaded, NotificationBlock):
        raise BadSettings("it is not a notification block")
    return loaded


def _reason(error: Exception) -> str:
    """What went wrong, without the URL that was called, which may be a secret."""
    if isinstance(error, BadSettings):
        return str(error)
    if isinstance(error, httpx.HTTPStatusError):
        return f"the answer was {error.response.status_code} {error.response.reason_phrase}"
    if isinstance(error, ValueError) and "Unable to find block document" in str(error):
        return "there is no such block"
    return type(error).__name__
