"""Runs that are killed, ended or interrupted at any moment, and what is there afterwards."""

import os
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from recsys.settings import Settings
from tests.factories import small_settings
from tests.faults.conftest import Tell
from tests.faults.stores import check_store, hidden
from tests.interrupting import config, numbers
from tests.processes import PrefectServer, kill, started, until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1500)]

KILLS = 50

START = "start"
IN_ORDER = (
    *(START, "ingest", "encode", "split", "train_mf", "train_dnn", "try_mf", "try_dnn", "train_dnn_tuned"),
    *("train_mf_tuned", "score", "report", "history"),
)
"""What a run begins, more or less in this order."""

PROTOCOLS: dict[str, dict[str, Any]] = {"fair": {}, "notebook": {"evidence": {"splits": 2}}}
"""Protocol -> further settings, with which all tasks are run."""

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)

STOPPED = 130
SENTENCES = {
    "compare: stopped; every finished task is kept, and the same command goes on from there.",
    "compare: stopped before anything was begun.",
}

LONG_AGO = time.time() - 86_400


@dataclass
class Chain:
    """One store, and the runs on it, each of which goes on where the one before was ended."""

    settings: Settings
    environment: dict[str, str]
    place: Path
    hit: Counter[str] = field(default_factory=Counter)

    def end(self, target: str, number: signal.Signals, after: float) -> bool:
        """Begin a run, and send it a signal once it has begun something; return whether it was not over before.

        Args:
            target: what it must have begun, or anything that comes later.
            number: the signal.
            after: seconds from then.
        """
        marks, output = self.place / "marks", self.place / "output"
        for path in (marks, output):
            path.unlink(missing_ok=True)
        later = set(IN_ORDER[IN_ORDER.index(target) :])
        options = config(self.settings, self.place / "run.yaml")
        run = started("tests/faults/marked_run.py", str(marks), *options, environment=self.environment, output=output)
        try:
            until(lambda: run.poll() is not None or later.intersection(begun(marks)), target)
            time.sleep(after)
            at = begun(marks)[-1]
            if run.poll() is None:
                os.kill(run.pid, number)
            code = run.wait(120)
        finally:
            kill(run)
        said = output.read_text()
        assert "Traceback" not in said, said
        assert code in {0, -number, STOPPED}, said
        if code == STOPPED:
            assert said.splitlines()[-1] in SENTENCES, said
        if code:
            self.hit[at] += 1
        check_store(Path(self.settings.output.store))
        return code != 0

    def finish(self) -> None:
        """Let a run come to its end."""
        options, output = config(self.settings, self.place / "run.yaml"), self.place / "output"
        run = started("flows/compare.py", *options, environment=self.environment, output=output)
        assert run.wait(300) == 0, output.read_text()


def begun(marks: Path) -> list[str]:
    return marks.read_text().split() if marks.exists() else []


def chain(protocol: str, server: PrefectServer, ratings: Path, place: Path) -> Chain:
    temporary = place / "temporary"
    temporary.mkdir(parents=True)
    settings = small_settings(ratings, place, protocol=protocol, **PROTOCOLS[protocol])
    return Chain(settings, {**server.environment, "TMPDIR": str(temporary)}, place)


def test_runs_that_end_at_any_moment_lose_nothing(
    server: PrefectServer, ratings: Path, tmp_path: Path, tell: Tell
) -> None:
    undisturbed = {protocol: chain(protocol, server, ratings, tmp_path / protocol) for protocol in PROTOCOLS}
    for run in undisturbed.values():
        run.finish()
    moments = random.Random(1)
    chains: list[Chain] = []
    hit: Counter[str] = Counter()
    swept = 0
    while hit.total() < KILLS or set(hit) != set(IN_ORDER):
        assert len(chains) < 2 * len(IN_ORDER), f"never ended in the middle: {set(IN_ORDER) - set(hit)}"
        protocol = list(PROTOCOLS)[len(chains) % 3 // 2]
        place = tmp_path / f"chain-{len(chains)}"
        chains.append(chain(protocol, server, ratings, place))
        for target in IN_ORDER:
            longest = 2.5 if target == START else moments.choice([0.1, 1.0])
            number = SIGNALS[hit.total() % len(SIGNALS)]
            if not chains[-1].end(target, number, moments.uniform(0, longest)):
                break
        for path in Path(chains[-1].settings.output.store).rglob(".*.tmp"):
            os.utime(path, (LONG_AGO, LONG_AGO))
        swept += len(hidden(place))
        chains[-1].finish()
        assert numbers(chains[-1].settings) == numbers(undisturbed[protocol].settings)
        assert hidden(place) == []
        assert not [path for path in (place / "temporary").rglob("*") if path.is_file()]
        hit += chains[-1].hit
    tell(
        f"{hit.total()} runs ended by SIGKILL, SIGTERM and Ctrl-C, the last that had begun: "
        + ", ".join(f"{task} {hit[task]}" for task in IN_ORDER),
        f"{len(chains)} stores, valid after each; {swept} temporary files swept up; numbers of undisturbed runs",
    )
