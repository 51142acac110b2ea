"""Runs that are killed, ended or interrupted at any moment, and what is there afterwards."""

import os
import random
import signal
import time
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from recsys.settings import Settings
from tests.factories import small_settings
from tests.faults.conftest import Tell
from tests.faults.stores import check_store, hidden
from tests.interrupting import config, numbers
from tests.processes import PrefectServer, kill, started, until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]

RANDOM_KILLS = 30
LATEST = 9.0
"""Seconds after the begin of a run, which takes some ten, at which it is ended at the latest."""

TASKS: dict[str, tuple[str, ...]] = {
    "fair": (
        *("ingest", "encode", "split", "train_mf", "train_dnn", "try_mf", "try_dnn", "train_mf_tuned"),
        *("train_dnn_tuned", "report"),
    ),
    "notebook": ("score",),
}
"""Protocol -> what is ended in the middle, in the order in which a run with one worker comes to it."""

FURTHER: dict[str, dict[str, Any]] = {"fair": {}, "notebook": {"evidence": {"splits": 2}}}

SIGNALS = cycle([signal.SIGKILL, signal.SIGTERM, signal.SIGINT])

STOPPED = 130
SENTENCES = {
    "compare: stopped; every finished task is kept, and the same command goes on from there.",
    "compare: stopped before anything was begun.",
}

Undisturbed = dict[str, Any]


class Chain:
    """One store, and the runs on it, each of which goes on where the one before was ended."""

    def __init__(
        self, protocol: str, server: PrefectServer, ratings: Path, place: Path, workers: int | None = None
    ) -> None:
        self.place = place
        further = {**FURTHER[protocol], "scaling": {"workers": workers}}
        self.settings: Settings = small_settings(ratings, place, protocol=protocol, **further)
        self._temporary = place / "temporary"
        self._temporary.mkdir(parents=True)
        self._environment = {**server.environment, "TMPDIR": str(self._temporary)}
        self.swept = 0

    def end(self, when: Callable[[list[str]], object], hold: str = "") -> bool:
        """Begin a run and end it; return whether it was not over before.

        Args:
            when: waits for the moment, given what the run has marked; called until it is true.
            hold: where the run is to wait for its end.
        """
        marks, output = self.place / "marks", self.place / "output"
        for path in (marks, output):
            path.unlink(missing_ok=True)
        options = config(self.settings, self.place / "run.yaml")
        environment = {**self._environment, "HOLD": hold}
        run = started("tests/faults/marked_run.py", str(marks), *options, environment=environment, output=output)
        number = next(SIGNALS)
        try:
            until(lambda: run.poll() is not None or when(lines(marks)), f"the moment to end a run ({hold})")
            if run.poll() is None:
                os.kill(run.pid, number)
            code = run.wait(300)
        finally:
            kill(run)
        said = output.read_text()
        assert "Traceback" not in said, said
        assert code in {0, -number, STOPPED}, said
        if code == STOPPED:
            assert said.splitlines()[-1] in SENTENCES, said
        check_store(Path(self.settings.output.store))
        return code != 0

    def finish(self) -> Any:
        """Let a run come to its end, an hour and more after the others, and return its numbers."""
        long_ago = time.time() - 86_400
        for path in Path(self.settings.output.store).rglob(".*.tmp"):
            os.utime(path, (long_ago, long_ago))
        self.swept = len(hidden(self.place))
        options, output = config(self.settings, self.place / "run.yaml"), self.place / "output"
        run = started("flows/compare.py", *options, environment=self._environment, output=output)
        assert run.wait(300) == 0, output.read_text()
        assert hidden(self.place) == []
        assert not [path for path in self._temporary.rglob("*") if path.is_file()]
        return numbers(self.settings)


def lines(marks: Path) -> list[str]:
    return marks.read_text().splitlines() if marks.exists() else []


@pytest.fixture(scope="module")
def undisturbed(server: PrefectServer, ratings: Path, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """Return the numbers of runs that nobody ended."""
    place = tmp_path_factory.mktemp("undisturbed")
    return {protocol: Chain(protocol, server, ratings, place / protocol).finish() for protocol in TASKS}


@pytest.mark.parametrize("place", ["begun", "written"])
@pytest.mark.parametrize("protocol", TASKS)
def test_every_task_may_end_in_the_middle(
    protocol: str,
    place: str,
    server: PrefectServer,
    ratings: Path,
    undisturbed: Undisturbed,
    tmp_path: Path,
    tell: Tell,
) -> None:
    chain = Chain(protocol, server, ratings, tmp_path / "chain", workers=1)
    for task in TASKS[protocol]:
        assert chain.end(lambda marks: "held" in marks, hold=f"{task} {place}"), f"{task} was not come to"
    assert chain.finish() == undisturbed[protocol]
    tell(
        f"{len(TASKS[protocol])} runs ended once a task had {place}: {', '.join(TASKS[protocol])}",
        f"store valid after each; {chain.swept} leftovers swept up; numbers of an undisturbed run",
    )


def test_runs_may_end_at_any_moment(
    server: PrefectServer, ratings: Path, undisturbed: Undisturbed, tmp_path: Path, tell: Tell
) -> None:
    moments = random.Random(1)
    kills = swept = stores = 0
    while kills < RANDOM_KILLS:
        chain = Chain("fair", server, ratings, tmp_path / f"chain-{stores}")
        while kills < RANDOM_KILLS:
            at = time.monotonic() + moments.uniform(0, LATEST)
            if not chain.end(lambda marks, at=at: bool(marks) and time.monotonic() > at):  # type: ignore[misc]
                break
            kills += 1
        assert chain.finish() == undisturbed["fair"]
        swept += chain.swept
        stores += 1
    tell(
        f"{kills} runs ended by SIGKILL, SIGTERM and Ctrl-C at random moments, on {stores} stores",
        f"store valid after each; {swept} leftovers swept up; numbers of an undisturbed run",
    )
