"""One call of the command line: a plan explained or a comparison run, and what the user sees of it."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
from prefect.settings import PREFECT_API_URL, temporary_settings
from rich.console import Console

from flows.compare import compare, wire
from flows.planning import Planned, Planning
from flows.runners import check_installed
from flows.running import ModelsFailed
from flows.server import OwnServer
from flows.terminal import show_comparison, show_header, show_plan, watching
from recsys.data.sources import Source, locate
from recsys.errors import ServerUnavailable
from recsys.evaluation.comparison import Comparison
from recsys.settings import Settings
from tasks.progress import STOP

LOCAL_SERVER = "http://127.0.0.1:4200/api"
"""Where `make ui` starts a server."""

LOGGERS = {"prefect", "recsys", "tasks"}

TEXT_WIDTH = 120
"""Columns of the output where there is no terminal to ask."""


class Session:
    """A user, a terminal, and the settings of one run."""

    def __init__(self, settings: Settings, *, as_json: bool = False, verbose: bool = False) -> None:
        """Prepare a run; with `as_json`, standard output is kept for the JSON document."""
        self.settings = settings
        self.as_json = as_json
        self.verbose = verbose
        self.console = Console(stderr=as_json, highlight=False)
        if not self.console.is_terminal:
            self.console.width = TEXT_WIDTH
        if not verbose:
            _silence_log()

    def explain(self) -> None:
        """Print what a run would compute, and why."""
        show_plan(self.console, self._plan(locate(self.settings.data)))

    def compare(self) -> bool:
        """Run the comparison and show it; return whether every model was trained.

        Raises:
            UserError: the ratings cannot be used, or another thing that the user can put right.
        """
        check_installed(self.settings.scaling)
        source = locate(self.settings.data)
        plan = self._plan(source)
        if not plan[0].cached:
            _check_head(source, self.settings)
        show_header(self.console, self.settings, source, plan)
        all_cached = all(planned.cached for planned in plan)
        failure = None
        with (
            _keras_loaded(unless=all_cached or self.settings.scaling.elsewhere),
            _served(),
            watching(self.console),
            _stopping_at_once(),
        ):
            if self.settings.scaling.elsewhere and not self.verbose:
                _silence_workers()
            try:
                folder = compare(self.settings)
            except ModelsFailed as error:
                failure, folder = error, error.folder
            except httpx.TransportError as error:
                raise ServerUnavailable(
                    "Prefect's server stopped answering during the run; every finished task is kept: "
                    "start the server again and repeat the command."
                ) from error
        self._show(Path(folder), failure, all_cached=all_cached)
        return failure is None

    def _plan(self, source: Source) -> list[Planned]:
        planning = Planning(self.settings.output.store, refresh=self.settings.refresh)
        wire(self.settings, source, planning)
        return planning.tasks

    def _show(self, folder: Path, failure: ModelsFailed | None, *, all_cached: bool) -> None:
        document = (folder / "comparison.json").read_text(encoding="utf-8")
        if self.as_json:
            sys.stdout.write(document)
        else:
            show_comparison(self.console, Comparison.model_validate_json(document))
        if failure:
            self.console.print(f"Failed: {', '.join(failure.tasks)}.", style="bold red", soft_wrap=True)
        if all_cached:
            self.console.print("Every task was cached: nothing was computed.", style="dim")
        self.console.print(f"Report: {folder / 'report.html'}", soft_wrap=True)


def _check_head(source: Source, settings: Settings) -> None:
    """Find what is wrong with the ratings file as a whole before Prefect's server is started for it."""
    from recsys.data.reading import check

    check(source.ratings, settings.data)


@contextmanager
def _served() -> Iterator[None]:
    """Use Prefect's server where one is running, named or at Prefect's usual place; else one of the run's own.

    Raises:
        ServerUnavailable: PREFECT_API_URL names a server that does not answer.
    """
    named = PREFECT_API_URL.value()
    try:
        answer = httpx.get(f"{named or LOCAL_SERVER}/health", timeout=10 if named else 1)
    except httpx.TransportError as error:
        if named:
            raise ServerUnavailable(
                f"Prefect's server at {named} does not answer: start it (make ui), or unset PREFECT_API_URL "
                "and the run starts a server for itself."
            ) from error
        answer = None
    if named:
        yield
    elif answer and answer.text == "true":
        with temporary_settings({PREFECT_API_URL: LOCAL_SERVER}):
            yield
    else:
        server = OwnServer()
        server.wait()
        with temporary_settings({PREFECT_API_URL: server.url}):
            yield


@contextmanager
def _keras_loaded(*, unless: bool) -> Iterator[None]:
    """Load Keras in the seconds that Prefect's server takes to start.

    The process does not end before it is loaded: what is written to standard error meanwhile would be lost.
    """
    loading = threading.Thread(target=import_module, args=("recsys.training.train",))
    if not unless:
        loading.start()
    try:
        yield
    finally:
        if not unless:
            loading.join()


@contextmanager
def _stopping_at_once() -> Iterator[None]:
    """Have Ctrl-C and SIGTERM end the trainings at their next word of progress, not at their end."""

    def stop(number: int, frame: Any) -> None:
        STOP.set()
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _silence_log() -> None:
    """Keep Prefect's log, which the UI shows, off the terminal, which has its own lines."""
    for name in ("", *(name for name in logging.root.manager.loggerDict if name.partition(".")[0] in LOGGERS)):
        for handler in logging.getLogger(name).handlers:
            if isinstance(handler, logging.StreamHandler):
                handler.setLevel(logging.CRITICAL + 1)


def _silence_workers() -> None:
    """Keep Prefect's log of the processes that are begun from here off the terminal as well."""
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
