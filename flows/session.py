"""One call of the command line: a plan explained or a comparison run, and what the user sees of it."""

import gc
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
from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from rich.console import Console

from flows.command_line import STOPPED, say
from flows.compare import compare, wire
from flows.executor import ModelsFailed
from flows.plan import Planned, Planning
from flows.runners import check_installed
from flows.server import OwnServer, running_server, what_is_wrong
from flows.terminal import asks, plain, show_comparison, show_header, show_plan, watching
from recsys.data.source import Source, locate
from recsys.errors import ServerLost, ServerUnavailable
from recsys.evaluation.results import Comparison
from recsys.memory import require_memory_for_tensorflow
from recsys.settings import Settings
from recsys.store.remote import without_password
from tasks.progress import STOP

LOGGERS = {"prefect", "recsys", "tasks"}

TEXT_WIDTH = 120
"""Columns of the output where there is no terminal to ask."""


class Session:
    """A user, a terminal, and the settings of one run."""

    def __init__(
        self, settings: Settings, *, as_json: bool = False, verbose: bool = False, without_server: bool = False
    ) -> None:
        """Prepare a run.

        Args:
            settings: the run's.
            as_json: keep standard output for the JSON document.
            verbose: show Prefect's log.
            without_server: look for no server that is running.
        """
        self.settings = settings
        self.as_json = as_json
        self.verbose = verbose
        self.without_server = without_server
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
            ServerUnavailable: PREFECT_API_URL names a server that does not answer, and nobody said to go on without.
            ServerLost: the server stopped answering during the run.
            UserError: the ratings cannot be used, or another thing that the user can put right.
        """
        check_installed(self.settings.scaling)
        server = self._server()
        source = locate(self.settings.data)
        plan = self._plan(source)
        if not plan[0].cached:
            _check_head(source)
        show_header(self.console, self.settings, source, plan)
        all_cached = all(planned.cached for planned in plan)
        if not (all_cached or self.settings.scaling.elsewhere):
            require_memory_for_tensorflow()
        failure = None
        with (
            _keras_loaded(unless=all_cached or self.settings.scaling.elsewhere),
            _served_by(server),
            watching(self.console),
            _stopping_at_once(),
        ):
            if self.settings.scaling.elsewhere and not self.verbose:
                _silence_workers()
            try:
                folder = compare(self.settings)
            except ModelsFailed as error:
                failure, folder = error, error.folder
            except httpx.HTTPError as error:
                url = without_password(str(PREFECT_API_URL.value()))
                again = "start the server again and " if server else ""
                raise ServerLost(
                    f"The run has lost Prefect's server: {url} {what_is_wrong(error)}; every finished task is kept: "
                    f"{again}repeat the command, which goes on from there."
                ) from error
        self._show(Path(folder), failure, all_cached=all_cached)
        return failure is None

    def _server(self) -> str | None:
        """The server that is to hear of the run; None for one of the run's own."""
        if self.without_server:
            return None
        try:
            return running_server(lambda sentence: self.console.print(sentence, style="yellow", soft_wrap=True))
        except ServerUnavailable as trouble:
            if asks(self.console, f"{trouble} Go on without it?"):
                return None
            raise ServerUnavailable(
                f"{str(trouble).removesuffix('.')}: start it (make ui), or go on without it with --without-server."
            ) from trouble

    def _plan(self, source: Source) -> list[Planned]:
        planning = Planning(self.settings.output.store, refresh=self.settings.refresh)
        wire(self.settings, source, planning)
        return planning.tasks

    def _show(self, folder: Path, failure: ModelsFailed | None, *, all_cached: bool) -> None:
        document = (folder / "comparison.json").read_bytes()
        if self.as_json:
            sys.stdout.buffer.write(document)  # JSON is UTF-8, whatever the terminal is
        else:
            show_comparison(self.console, Comparison.model_validate_json(document))
        if failure:
            self.console.print(plain(f"Failed: {', '.join(failure.tasks)}."), style="bold red", soft_wrap=True)
        if all_cached:
            self.console.print("Every task was cached: nothing was computed.", style="dim")
        self.console.print(plain(f"Report: {folder / 'report.html'}"), soft_wrap=True)


def _check_head(source: Source) -> None:
    """Find what is wrong with the ratings file as a whole before Prefect's server is started for it."""
    from recsys.data.ingest import check

    check(source.ratings, source.settings)


@contextmanager
def _served_by(running: str | None) -> Iterator[None]:
    """Have the flow talk to a running server, or, where there is none, to one of the run's own.

    Raises:
        ServerUnavailable: the run's own server does not start.
    """
    if running is None:
        own = OwnServer()
        own.wait()
        # nobody listens for heartbeats there, and a run would end only with its next one
        with temporary_settings({PREFECT_API_URL: own.url, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
            yield
    elif running == PREFECT_API_URL.value():
        yield
    else:
        with temporary_settings({PREFECT_API_URL: running}):
            yield


@contextmanager
def _keras_loaded(*, unless: bool) -> Iterator[None]:
    """Load Keras in the seconds that Prefect's server takes to start.

    The process does not end before it is loaded: what is written to standard error meanwhile would be lost.
    """
    loading = threading.Thread(target=_load_keras)
    if not unless:
        loading.start()
    try:
        yield
    finally:
        if not unless:
            loading.join()


def _load_keras() -> None:
    import_module("recsys.training.train")
    gc.freeze()  # nothing of it goes before the process does, and looking through it takes 0.3 s each time


@contextmanager
def _stopping_at_once() -> Iterator[None]:
    """Have Ctrl-C and SIGTERM end the trainings at their next word of progress, not at their end.

    The second of them ends the process as it is: nothing is lost by that.
    """

    heard = False

    def stop(number: int, frame: Any) -> None:
        nonlocal heard
        if heard:
            say(STOPPED)
            os._exit(130)
        heard = True
        STOP.set()
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _silence_log() -> None:
    """Keep Prefect's log, which the UI shows, off the terminal, which has its own lines.

    Nor is it told there that lines of the log could not be sent to the server.
    """
    logging.raiseExceptions = False
    for name in ("", *(name for name in logging.root.manager.loggerDict if name.partition(".")[0] in LOGGERS)):
        for handler in logging.getLogger(name).handlers:
            if getattr(handler, "stream", None) in (sys.stdout, sys.stderr):  # and not a file or a list of the caller's
                handler.setLevel(logging.CRITICAL + 1)


def _silence_workers() -> None:
    """Keep Prefect's log of the processes that are begun from here off the terminal as well."""
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
