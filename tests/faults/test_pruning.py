"""Prunings beside runs, each of all that is not being made just then: the command itself keeps what a day has used.

What vanishes under a run is made again, or its loss is told in a sentence, and no number is another.
"""

import os
import random
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from recsys.settings import Settings
from recsys.store.prune import MIN_AGE, Pruned, prune
from tests.factories import small_settings
from tests.faults.conftest import Tell
from tests.faults.stores import check_store, hidden
from tests.interrupting import config, numbers
from tests.processes import PrefectServer, kill, started

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1500)]

PRUNINGS = 20

LONGEST_PAUSE = 1.5
"""Seconds between two prunings, in which a run makes an artefact or two."""

TOLD = "while it was used; repeat the command, which makes anew what is lost."


class Runs:
    """Runs with the same settings, one after the other, and prunings beside them."""

    def __init__(self, settings: Settings, server: PrefectServer, place: Path) -> None:
        place.mkdir()
        self._settings = settings
        self._options = config(settings, place / "run.yaml")
        self._server = server
        self._output = place / "output"
        self._store = Path(settings.output.store)
        self.prunings: list[Pruned] = []
        self.codes: Counter[int] = Counter()

    def run(self, pause: random.Random | None = None) -> str:
        """Run to the end, with prunings beside it if there are pauses between them, and return what it said."""
        self._output.unlink(missing_ok=True)
        run = started("flows/compare.py", *self._options, environment=self._server.environment, output=self._output)
        try:
            while pause and run.poll() is None and len(self.prunings) < PRUNINGS:
                time.sleep(pause.uniform(0, LONGEST_PAUSE))
                self._prune()
            code = run.wait(300)
        finally:
            kill(run)
        self.codes[code] += 1
        said = self._output.read_text()
        assert "Traceback" not in said, said
        assert code == 0 or TOLD in said, said
        check_store(self._store, records=False)
        return said if code else ""

    def _prune(self) -> None:
        """Remove what nobody has used for a day, after two days in which nobody did."""
        if not (self._store / "locks").is_dir():
            return
        long_ago = time.time() - 2 * MIN_AGE
        for file in self._store.rglob("*.json"):
            with suppress(FileNotFoundError):
                os.utime(file, (long_ago, long_ago))
        pruned = prune(self._store, MIN_AGE)
        if pruned.artefacts:
            self.prunings.append(pruned)


def test_runs_survive_prunings_of_what_they_use(
    server: PrefectServer, ratings: Path, tmp_path: Path, tell: Tell
) -> None:
    alone, beside = (small_settings(ratings, tmp_path / name) for name in ("alone", "beside"))
    assert Runs(alone, server, tmp_path / "alone").run() == ""
    runs, pause = Runs(beside, server, tmp_path / "beside"), random.Random(5)
    while len(runs.prunings) < PRUNINGS:
        if runs.run(pause) == "":
            assert numbers(beside) == numbers(alone)
    disturbed = runs.codes.copy()
    assert runs.run() == ""
    assert numbers(beside) == numbers(alone)
    assert hidden(tmp_path) == []
    tell(
        f"{PRUNINGS} prunings of all that is not being made, beside {disturbed.total()} runs",
        f"{sum(one.artefacts for one in runs.prunings)} artefacts removed under the runs; {disturbed[0]} runs had the "
        f"numbers of an undisturbed one, {disturbed.total() - disturbed[0]} ended with a sentence, the next one whole",
    )
