"""Four runs at once on one store, some with the same settings."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from recsys.settings import Settings
from tests.factories import small_settings
from tests.faults.conftest import Tell
from tests.faults.stores import check_store, hidden
from tests.interrupting import config, numbers
from tests.processes import PrefectServer, kill, started

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]

TIMES = 20

SEEDS = (1, 2)
"""Of the models; what comes before the models is the same for all runs."""

ARTEFACTS = ("ingest", "encode", "split", "train_mf", "train_dnn", "train_dnn_tuned", "report")
"""What is made once; what each run makes of the history that it finds is its own."""


def settings_of(seed: int, run: int, ratings: Path, place: Path) -> Settings:
    return small_settings(
        ratings,
        place,
        protocol="notebook",
        seed=seed,
        mf={"epochs": 1},
        dnn={"epochs": 1, "units": [4]},
        dnn_tuned={"epochs": 1, "units": [4]},
        ranking={"ranking_users": 0},
        output={"reports": str(place / f"reports-{run}")},
    )


def test_runs_at_once_share_their_work_and_damage_nothing(
    server: PrefectServer, ratings: Path, tmp_path: Path, tell: Tell
) -> None:
    alone: dict[int, Any] = {}
    for seed in SEEDS:
        settings = settings_of(seed, seed, ratings, tmp_path / "alone")
        together([settings], server, tmp_path / "alone")
        alone[seed] = numbers(settings)
    drawn = random.Random(4)
    built: Counter[str] = Counter()
    expected: Counter[str] = Counter()
    for time in range(TIMES):
        place = tmp_path / f"time-{time}"
        seeds = [SEEDS[0], SEEDS[0], *(drawn.choice(SEEDS) for _ in range(2))]
        drawn.shuffle(seeds)
        runs = [settings_of(seed, run, ratings, place) for run, seed in enumerate(seeds)]
        built += together(runs, server, place)
        for seed, settings in zip(seeds, runs, strict=True):
            assert numbers(settings) == alone[seed]
        for task in ARTEFACTS:
            expected[task] += 1 if task in {"ingest", "encode", "split"} else len(set(seeds))
        check_store(place / "store")
        assert hidden(place) == []
    assert built == expected, "the same work should be done once"
    tell(
        f"4 runs at once on one store, {TIMES} times, two to four of them with the same settings",
        f"{built.total()} artefacts made, each once; numbers of runs that were alone; no deadlock",
    )


def together(runs: list[Settings], server: PrefectServer, place: Path) -> Counter[str]:
    """Run some at once, and return what they have built."""
    place.mkdir(parents=True, exist_ok=True)
    processes = []
    for number, settings in enumerate(runs):
        options = config(settings, place / f"run-{number}.yaml")
        marks, output = place / f"marks-{number}", place / f"output-{number}"
        processes.append(
            started("tests/faults/marked_run.py", str(marks), *options, environment=server.environment, output=output)
        )
    try:
        codes = [process.wait(300) for process in processes]
    finally:
        for process in processes:
            kill(process)
    said = "\n".join((place / f"output-{number}").read_text() for number in range(len(runs)))
    assert codes == [0] * len(runs), said
    assert "Traceback" not in said, said
    begun = [task for number in range(len(runs)) for task in (place / f"marks-{number}").read_text().split()]
    return Counter(task for task in begun if task in ARTEFACTS)
