"""A run on ratings of which some repeat an earlier pair of user and item."""

from pathlib import Path

import numpy as np
import pytest

from recsys.evaluation.results import Comparison
from tests.factories import small_settings, write_ratings

PARTS = ("train", "validation", "test")


def timed(path: Path) -> Path:
    """Ratings with one time for all."""
    header, *lines = write_ratings(path, rows=900).read_text().splitlines()
    path.write_text("\n".join([f"{header},timestamp", *(f"{line},1000000000" for line in lines)]) + "\n")
    return path


def comparison_in(report: str) -> Comparison:
    return Comparison.model_validate_json((Path(report) / "comparison.json").read_bytes())


def fired(comparison: Comparison) -> dict[str, str]:
    return {check.name: check.measured for check in comparison.checks or []}


@pytest.mark.timeout(900)  # on a busy machine
def test_no_pair_is_in_two_parts_of_whatever_a_run_divides(prefect_server: str, tmp_path: Path) -> None:
    from flows.compare import compare

    evidence = {"splits_also": ["time"], "learning_curve": True}
    winner = {"refit": True, "use": "blend"}
    settings = small_settings(timed(tmp_path / "r.csv"), tmp_path, evidence=evidence, winner=winner)
    comparison = comparison_in(compare(settings))

    [user] = (np.load(path) for path in (tmp_path / "store" / "codes").glob("*/user.npy"))
    [item] = (np.load(path) for path in (tmp_path / "store" / "codes").glob("*/item.npy"))
    divided = list((tmp_path / "store" / "splits").glob("*/train.npy"))
    assert len(divided) == 2 + 4 + 1  # two splits, the shares of the learning curve, and all ratings
    pair = user.astype(np.int64) * 1000 + item
    for place in divided:
        files = [place.with_name(f"{part}.npy") for part in PARTS]
        parts = [{*pair[np.load(file)].tolist()} for file in files if file.exists()]
        assert sum(map(len, parts)) == len(set().union(*parts))

    assert comparison.data.repeated_pairs > 200
    assert (comparison.data.repeated_test_rows, comparison.data.repeated_validation_rows) == (0, 0)
    assert comparison.data.test_rows == 180
    [by_time] = comparison.other_splits
    assert (by_time.repeated_test_rows, by_time.repeated_validation_rows) == (0, 0)
    assert by_time.ties is not None
    assert by_time.ties.test.tied == by_time.ties.test.of == by_time.test_rows
    assert "none of the 180 test ratings is of the same pair" in fired(comparison)["duplicates-kept"]
    assert "test ratings (100.0%)" in fired(comparison)["equal-times"]
    assert "pairs-in-two-parts" not in fired(comparison)


@pytest.mark.timeout(900)
def test_protocol_notebook_counts_the_test_ratings_that_it_has_trained_on(prefect_server: str, tmp_path: Path) -> None:
    from flows.compare import compare

    settings = small_settings(write_ratings(tmp_path / "r.csv", rows=900), tmp_path, protocol="notebook")
    comparison = comparison_in(compare(settings))
    known = comparison.data.repeated_test_rows or 0
    assert 90 < known < 180
    assert fired(comparison)["pairs-in-two-parts"].startswith(f"{known} of 180 test ratings")


@pytest.mark.timeout(900)
@pytest.mark.parametrize("duplicates", ["last", "mean"])
def test_one_rating_of_each_pair_has_nothing_to_say_of_repeats(
    duplicates: str, prefect_server: str, tmp_path: Path
) -> None:
    from flows.compare import compare

    ratings = str(write_ratings(tmp_path / "r.csv", rows=900))
    changes = {"data": {"ratings": ratings, "duplicates": duplicates}, "protocol": "notebook"}
    comparison = comparison_in(compare(small_settings(tmp_path / "r.csv", tmp_path, **changes)))
    assert comparison.data.repeated_pairs > 200
    assert comparison.data.repeated_test_rows == 0
    assert not {"duplicates-kept", "pairs-in-two-parts"} & {*fired(comparison)}
