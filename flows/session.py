"""One call of the command line: a plan shown or a comparison run, and what the user sees of it."""

import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from flows.command_line import STOPPED
from flows.compare import compare, wire
from flows.executor import ModelsFailed
from flows.forecast import Forecast, forecast
from flows.outcome import run_to_its_end
from flows.plan import Planner
from flows.runners import check_installed, parallel_tasks
from flows.screen import console_for, show_columns, show_header, show_plan, show_result
from flows.server import OwnServer, running_server
from flows.stdio import print_error
from flows.terminal import asks, watching
from flows.unchanged import note_unchanged, unchanged_answer
from recsys.data.columns import described
from recsys.data.source import Source, check_beginning, expected_rows, locate
from recsys.errors import ChecksFailed, DamagedArtefact, ServerUnavailable, UserError
from recsys.memory import require_memory_for_tensorflow
from recsys.settings import Settings
from recsys.store.costs import Costs
from recsys.store.store import Store
from tasks.progress import STOP

Handler = Callable[[int, FrameType | None], None]

LOGGERS = {"prefect", "recsys", "tasks"}

IMPORT_SYSTEM = "<frozen importlib._bootstrap>"
"""The file of its code. What a signal raises in it may leave the import lock locked, and threads waiting for it."""

SECONDS_TO_IMPORT = 0.05
"""After which a signal is sent again that came while a module was looked for."""


class Session:
    """The settings of one run, and the terminal of its user."""

    def __init__(
        self,
        settings: Settings,
        *,
        as_json: bool = False,
        strict: bool = False,
        verbose: bool = False,
        without_server: bool = False,
    ) -> None:
        """Prepare a run.

        With `as_json`, standard output is kept for the JSON document; `strict` makes checks of severity error an
        exception; `verbose` shows Prefect's log; `without_server`
        looks for no running server.
        """
        self.settings = settings
        self.as_json = as_json
        self.strict = strict
        self.verbose = verbose
        self.without_server = without_server
        self.console = console_for(as_json=as_json)
        if not verbose:
            _silence_log()

    def explain(self) -> None:
        """Print what a run would compute, and why, and what that will take.

        Raises:
            UserError: the ratings cannot be used, or something else that the user can put right.
        """
        check_installed(self.settings.scaling)
        source = locate(self.settings.data)
        planner, expected = self._plan(source)
        show_columns(self.console, _columns(planner) or check_beginning(source))
        show_plan(self.console, planner.tasks, expected)

    def compare(self, own: OwnServer | None = None) -> bool:
        """Run the comparison and show it; return whether every model was trained.

        `own` is a server that starts already, for a run that finds no other.

        Raises:
            ServerUnavailable: PREFECT_API_URL names a server that does not answer, and the user chose not to go on.
            ServerLost: the server stopped answering during the run, and there is no report.
            RunUnrecorded: there is a report, which was shown, and the server could not be told.
            UserError: the ratings cannot be used, or something else that the user can put right.
            ChecksFailed: the run is strict, and a check of severity error fired that is not muted.
        """
        elsewhere = self.settings.scaling.elsewhere
        with ExitStack() as stack:  # a server of its own starts while the ratings are looked at
            if own:
                stack.enter_context(own)
            check_installed(self.settings.scaling)
            server = self._server() or own or stack.enter_context(OwnServer())
            source = locate(self.settings.data)
            answer = None if elsewhere else unchanged_answer(self.settings, source)
            if answer:  # a plan would take a second to say the same
                planner, expected = None, Forecast()
                tasks, cached, columns = answer.tasks, answer.tasks, answer.columns
            else:
                planner, expected = self._plan(source)
                tasks, cached = len(planner.tasks), sum(planned.cached for planned in planner.tasks)
                columns = _columns(planner) or _checked(source)
        all_cached = cached == tasks
        show_header(self.console, self.settings, source, columns, tasks=tasks, cached=cached)
        loading = nullcontext() if all_cached or elsewhere else _keras_loading()
        stop = _stop_for_signals()
        with loading, _reporting_to(server, brief=all_cached), watching(self.console, expected), _handled(stop):
            if elsewhere and not self.verbose:  # keep Prefect's log of the workers off the terminal, too
                os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
            flow, restart = partial(compare, self.settings), isinstance(server, str)
            outcome = run_to_its_end(flow, restart=restart, within=partial(_handled, stop))  # not Prefect's handler
        failure = outcome.failure if isinstance(outcome.failure, ModelsFailed) else None
        folder = Path(outcome.folder)
        if not failure and not elsewhere and not answer:
            self._note(source, folder, planner if all_cached else None)
        try:
            show_result(
                self.console,
                folder,
                self.settings,
                as_json=self.as_json,
                strict=self.strict,
                failed=failure.tasks if failure else (),
                remark="Every task was cached: nothing was computed." if all_cached else "",
            )
        except ChecksFailed:
            if outcome.unrecorded:
                print_error(str(outcome.unrecorded))
            raise
        if outcome.unrecorded:
            raise outcome.unrecorded
        return failure is None

    def _note(self, source: Source, folder: Path, planner: Planner | None = None) -> None:
        """Note the answer for the next run, unless some task would have to run again; failure costs time only.

        A store with a URL notes none, and is not asked. Without a `planner` that has the plan, it is made once more.
        """
        if Store(self.settings.output.store).shared:
            return
        with suppress(OSError, UserError, DamagedArtefact):
            planner = planner or self._plan(source)[0]
            if all(planned.cached for planned in planner.tasks):
                tasks, columns = len(planner.tasks), _columns(planner)
                note_unchanged(self.settings, source, planner.made, folder, tasks=tasks, columns=columns)

    def _server(self) -> str | None:
        """The running server that the run reports to; None if the run has to start one."""
        if self.without_server:
            return None
        try:
            return running_server(lambda warning: self.console.print(warning, style="yellow", soft_wrap=True))
        except ServerUnavailable as error:
            if asks(self.console, f"{error} Go on without it?"):
                return None
            raise ServerUnavailable(
                f"{str(error).removesuffix('.')}: start it (make ui), or go on without it with --without-server."
            ) from error

    def _plan(self, source: Source) -> tuple[Planner, Forecast]:
        store = self.settings.output.store
        planner = Planner(store, refresh=self.settings.refresh)
        wire(self.settings, source, planner)
        rows = expected_rows(source) if planner.ratings is None else int(planner.ratings["rows"])
        workers = parallel_tasks(self.settings.scaling)
        return planner, forecast(planner.to_run, rows, Costs(Store(store)), workers)


def _columns(planner: Planner) -> str:
    """Which column of the ratings holds what, in words; "" where they have not been read yet."""
    facts = planner.ratings
    return described(facts["source_columns"], facts["found_by"]) if facts else ""


def _checked(source: Source) -> str:
    """As `_columns`, by reading the beginning of the ratings; raise BadRatings if a run could not read them."""
    from recsys.data.ingest import check  # here, as it loads pandas, which a cached run can do without

    return check(source.ratings, source.settings)


@contextmanager
def _reporting_to(server: OwnServer | str, *, brief: bool) -> Iterator[None]:
    """Have the flow report to a running server, or to one of its own once that answers.

    A `brief` run has no heartbeat, and neither has one with a server of its own, which checks none: the thread of the
    heartbeat ends with a full second, and the run not before.
    """
    changes: dict[Any, Any] = {}
    if isinstance(server, OwnServer):
        server.wait()
        changes = {PREFECT_API_URL: server.url}
    elif server != PREFECT_API_URL.value():
        changes = {PREFECT_API_URL: server}
    if brief or isinstance(server, OwnServer):
        changes[PREFECT_FLOWS_HEARTBEAT_FREQUENCY] = None
    with temporary_settings(changes) if changes else nullcontext():
        yield


@contextmanager
def _keras_loading() -> Iterator[None]:
    """Load Keras while Prefect's server starts; raise NotEnoughMemory first if there is too little for it.

    The process does not end before it is loaded, as what is written to standard error meanwhile would be lost.
    """
    require_memory_for_tensorflow()

    def load() -> None:
        # as the split imports it, and first: Keras imports another module of scikit-learn, whose modules import one
        # another, so that both threads could find a half of one
        import_module("sklearn.model_selection")
        import_module("recsys.training.train")
        gc.freeze()  # its objects live as long as the process, and each collection would take 0.3 s to visit them

    loading = threading.Thread(target=load)
    loading.start()
    try:
        yield
    finally:
        loading.join()


def _stop_for_signals() -> Handler:
    """Return a handler with which Ctrl-C and SIGTERM stop the trainings when they next report progress.

    The second signal ends the process at once, which loses nothing.
    """
    stopping = postponed = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopping, postponed
        if stopping and not postponed:
            print_error(STOPPED)
            os._exit(130)
        stopping = True
        STOP.set()
        postponed = frame is not None and frame.f_code.co_filename == IMPORT_SYSTEM
        if not postponed:
            raise KeyboardInterrupt
        threading.Timer(SECONDS_TO_IMPORT, os.kill, (os.getpid(), number)).start()

    return stop


@contextmanager
def _handled(handler: Handler) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, other in before.items():
            signal.signal(number, other)


def _silence_log() -> None:
    """Keep the log, which the UI shows, off the terminal, as well as errors of sending it to the server."""
    logging.raiseExceptions = False
    for name in ("", *(name for name in logging.root.manager.loggerDict if name.partition(".")[0] in LOGGERS)):
        for handler in logging.getLogger(name).handlers:
            if getattr(handler, "stream", None) in (sys.stdout, sys.stderr):  # not those of a caller's own
                handler.setLevel(logging.CRITICAL + 1)
