"""What is said of a run that was repeated."""

from pathlib import Path
from typing import Any

import pytest

from recsys.errors import BadManifest
from recsys.evaluation.results import Comparison, Trial, Tuning
from recsys.report.manifest import Artefact, Environment, Machine, RatingsFile, RunManifest, run_manifest
from recsys.report.replay import agreement, changes_since, check_ratings
from recsys.settings import Settings
from recsys.store.store import Manifest, sha256_of

MACHINE = Machine(python="3.11.2", system="Linux", processor="A", cores=2, memory_gb=8.0)
THEN = Environment(code={"recsys.models.mf": "1", "recsys.old": "1"}, versions={"tensorflow": "2.20"}, machine=MACHINE)
SAME = "The same numbers, to the last digit."


@pytest.fixture(scope="module")
def manifest(fair: tuple[Comparison, Any]) -> RunManifest:
    ratings = Manifest(kind="ingest", key="a", files=[], facts={"sha256": "0" * 64}, seconds=0.0)
    made = run_manifest(Settings(), {"ratings": ratings}, fair[0])
    rows = {"mf": {"mse": 0.75, "r2": 0.5}, "dnn": {"mse": 0.8, "r2": 0.4}, "bias_only": {"mse": 0.78, "r2": None}}
    return made.model_copy(update={"scores": rows, "verdict": "MF wins"})


def with_scores(manifest: RunManifest, **changes: dict[str, float | None]) -> RunManifest:
    rows = {name: {**manifest.scores.get(name, {}), **changes.get(name, {})} for name in {**manifest.scores, **changes}}
    return manifest.model_copy(update={"scores": rows})


def test_equal_numbers_are_the_same(manifest: RunManifest) -> None:
    found = agreement(manifest, RunManifest.model_validate_json(manifest.to_json()))
    assert found.same
    assert found.sentences == [SAME]


def test_the_last_digit_counts(manifest: RunManifest) -> None:
    found = agreement(manifest, with_scores(manifest, mf={"mse": 0.75 + 2**-53}))
    assert not found.same
    assert SAME not in found.sentences
    assert found.sentences[0].startswith("1 of 3 rows differs; the largest difference is 1.11e-16, in mse of mf: 0.75 ")


def test_rows_that_differ_are_counted_and_the_largest_difference_is_placed(manifest: RunManifest) -> None:
    now = with_scores(manifest, mf={"mse": 0.751}, dnn={"mse": 0.801, "r2": 0.25})
    first, *_, last = agreement(manifest, now).sentences
    assert first == "2 of 3 rows differ; the largest difference is 0.15, in r2 of dnn: 0.4 then, 0.25 now."
    assert last == "The verdict is the same."


def test_another_verdict_is_told_with_both(manifest: RunManifest) -> None:
    now = with_scores(manifest, mf={"mse": 0.9}).model_copy(update={"verdict": "DNN wins"})
    assert agreement(manifest, now).sentences[-1] == "The verdict was “MF wins”, and is now “DNN wins”."
    reworded = agreement(manifest, manifest.model_copy(update={"verdict": "DNN wins"}))
    assert reworded.same
    assert reworded.sentences == [SAME, "The verdict was “MF wins”, and is now “DNN wins”."]


def test_a_row_on_one_side_only_is_a_difference(manifest: RunManifest) -> None:
    less = manifest.model_copy(update={"scores": {name: manifest.scores[name] for name in ("mf", "bias_only")}})
    assert agreement(manifest, less).sentences[0] == "1 of 3 rows differs; without numbers now: dnn."
    assert agreement(less, manifest).sentences[0] == "1 of 3 rows differs; without numbers then: dnn."
    assert not agreement(manifest, less).same


def test_a_number_where_there_was_none_is_a_difference(manifest: RunManifest) -> None:
    found = agreement(manifest, with_scores(manifest, bias_only={"r2": 0.1}))
    assert not found.same
    assert found.sentences[0] == "1 of 3 rows differs."


def with_search(manifest: RunManifest, trials: int, winner: int | None) -> RunManifest:
    tried = [
        Trial(number=n, state="finished", settings={}, epochs=1, best_epoch=1, val_mse=1.0, seconds=1.0, parameters=1)
        for n in range(trials)
    ]
    tuning = Tuning(
        name="mf_tuned",
        title="tuned MF",
        trials_allowed=6,
        seconds_allowed=60.0,
        seconds_used=1.0,
        searched=[],
        trials=tried,
        winner=winner,
    )
    return manifest.model_copy(update={"tuning": [tuning]})


def test_a_search_that_went_otherwise_is_named_where_numbers_differ(manifest: RunManifest) -> None:
    moved = with_scores(manifest, mf={"mse": 0.9})
    then = with_search(manifest, 6, 4)
    (search,) = (text for text in agreement(then, with_search(moved, 1, None)).sentences if "search" in text)
    for part in ("mf_tuned", "6 trials and chose trial 4", "now 1 trial and none"):
        assert part in search
    assert not any("search" in sentence for sentence in agreement(then, with_search(moved, 6, 4)).sentences)


def test_files_that_differ_are_named_where_numbers_do(manifest: RunManifest) -> None:
    def with_files(base: RunManifest, test: str) -> RunManifest:
        made = {
            name: Artefact(key="k", files={f"{name}.npy": digest}, seconds=0)
            for name, digest in (("training", "a"), ("test", test))
        }
        return base.model_copy(update={"artefacts": made})

    moved = with_scores(manifest, mf={"mse": 0.9})
    assert "Artefacts that differ: test." in agreement(with_files(manifest, "b"), with_files(moved, "c")).sentences
    same_files = agreement(with_files(manifest, "b"), with_files(moved, "b")).sentences
    assert not any("Artefacts" in sentence for sentence in same_files)


def test_nothing_changed_is_said_so() -> None:
    assert "Changed" not in changes_since(THEN, THEN.model_copy())
    more_memory = THEN.model_copy(update={"machine": MACHINE.model_copy(update={"cores": 64, "memory_gb": 512.0})})
    assert changes_since(THEN, more_memory) == changes_since(THEN, THEN)


def test_what_changed_is_named() -> None:
    now = Environment(
        code={"recsys.models.mf": "2", "recsys.new": "1"},
        versions={"tensorflow": "2.21", "scipy": "1.0"},
        machine=MACHINE.model_copy(update={"python": "3.12.0", "processor": "B"}),
    )
    assert changes_since(THEN, now).endswith(
        ": scipy absent -> 1.0, tensorflow 2.20 -> 2.21, python 3.11.2 -> 3.12.0, "
        "processor A -> B, recsys/models/mf.py changed, recsys/new.py is new, recsys/old.py is gone."
    )


def test_only_the_file_that_was_read_will_do(manifest: RunManifest, tmp_path: Path) -> None:
    path = tmp_path / "my.csv"
    path.write_text("1,1,3\n")
    recorded = manifest.model_copy(update={"ratings": RatingsFile(source="my.csv", sha256=sha256_of(path))})
    check_ratings(recorded, path)
    path.write_text("1,1,4\n")
    with pytest.raises(BadManifest, match=r"my\.csv is not the file that the run read: its SHA-256 begins with"):
        check_ratings(recorded, path)
