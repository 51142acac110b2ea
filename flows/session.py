"""One call of the command line: a plan explained or a comparison run, and what the user sees of it."""

import logging
import sys
import threading
from importlib import import_module
from pathlib import Path

from prefect.settings import PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS, temporary_settings
from rich.console import Console

from flows.compare import compare, wire
from flows.planning import Planned, Planning
from flows.running import ModelsFailed
from flows.terminal import show_comparison, show_plan, watching
from recsys.data.sources import locate
from recsys.evaluation.comparison import Comparison
from recsys.settings import Settings

STARTING = {PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS: 180}
"""A first start migrates the database of Prefect's server; the default of 20 s is too short for 2 cores."""

LOGGERS = {"prefect", "recsys", "tasks"}


class Session:
    """A user, a terminal, and the settings of one run."""

    def __init__(self, settings: Settings, *, as_json: bool = False, verbose: bool = False) -> None:
        """Prepare a run; with `as_json`, standard output is kept for the JSON document."""
        self.settings = settings
        self.as_json = as_json
        self.console = Console(stderr=as_json, highlight=False)
        if not verbose:
            _silence_log()

    def explain(self) -> None:
        """Print what a run would compute, and why."""
        show_plan(self.console, self._plan())

    def compare(self) -> bool:
        """Run the comparison and show it; return whether every model was trained."""
        plan = self._plan()
        if not all(planned.cached for planned in plan):
            # it loads in the seconds that Prefect's server takes to start
            threading.Thread(target=import_module, args=("recsys.backend",), daemon=True).start()
        failure = None
        with watching(self.console), temporary_settings(STARTING):
            try:
                folder = compare(self.settings)
            except ModelsFailed as error:
                failure, folder = error, error.folder
        self._show(Path(folder), failure, all_cached=all(planned.cached for planned in plan))
        return failure is None

    def _plan(self) -> list[Planned]:
        planning = Planning(self.settings.output.store, refresh=self.settings.refresh)
        wire(self.settings, locate(self.settings.data), planning)
        return planning.tasks

    def _show(self, folder: Path, failure: ModelsFailed | None, *, all_cached: bool) -> None:
        document = (folder / "comparison.json").read_text(encoding="utf-8")
        if self.as_json:
            sys.stdout.write(document)
        else:
            show_comparison(self.console, Comparison.model_validate_json(document))
        if failure:
            self.console.print(str(failure), style="bold red", soft_wrap=True)
        if all_cached:
            self.console.print("Every task was cached.", style="dim")
        self.console.print(f"Report: {folder / 'report.html'}", soft_wrap=True)


def _silence_log() -> None:
    """Keep Prefect's log, which the UI shows, off the terminal, which has its own lines."""
    for name in ("", *(name for name in logging.root.manager.loggerDict if name.partition(".")[0] in LOGGERS)):
        for handler in logging.getLogger(name).handlers:
            if isinstance(handler, logging.StreamHandler):
                handler.setLevel(logging.CRITICAL + 1)
