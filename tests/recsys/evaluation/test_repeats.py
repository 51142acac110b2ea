"""Ratings of one user and one item, where a comparison divides ratings once more, and how many a split has divided."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from recsys.arrays import Columns
from recsys.blocks import TEMPORARY
from recsys.data.split import split
from recsys.evaluation import inputs
from recsys.evaluation.inputs import Ratings, known_ratings, repeats_across
from recsys.models.fallback import Warm
from recsys.models.sums import PairCounts
from recsys.settings import Protocol, SplitSettings

ROWS = 900
SPLIT = SplitSettings(validation_size=0.2)


def ratings(folder: Path, protocol: Protocol, *, items: int = 40, together: bool = True) -> Ratings:
    """Ratings of 30 users, many of a pair of user and item that an earlier one is of, and their split."""
    random = np.random.default_rng(6)
    user, item = (random.integers(codes, size=ROWS).astype(np.int32) for codes in (30, items))
    split(ROWS, SPLIT, protocol, folder, user=user, item=item if together else None)
    rows = {part: np.load(folder / f"{part}.npy") for part in ("train", "validation", "test")}
    return Ratings(user, item, random.random(ROWS, np.float32), **rows, users=Path("users"), items=Path("items"))


def pairs(columns: Columns) -> list[tuple[int, int]]:
    return list(zip(columns[0].tolist(), columns[1].tolist(), strict=True))


@pytest.mark.parametrize("protocol", ["fair", "notebook"])
def test_no_pair_is_both_among_what_chooses_and_what_is_fitted_meanwhile(protocol: Protocol, tmp_path: Path) -> None:
    known = known_ratings(ratings(tmp_path, protocol), protocol, SPLIT)
    kept, choosing, fitted = (pairs(rows.columns()) for rows in (known.kept, known.choosing, known.fitted))
    assert not {*kept} & {*choosing}
    assert sorted(kept + choosing) == sorted(fitted)
    assert len(choosing) == pytest.approx(0.2 * len(known.fitted), abs=2)


@pytest.mark.parametrize("repeats", [True, False], ids=["not known", "known"])
def test_where_no_pair_repeats_what_chooses_under_protocol_notebook_is_drawn_by_scikit_learn(
    repeats: bool, tmp_path: Path
) -> None:
    made = replace(ratings(tmp_path, "notebook"), item=np.arange(ROWS, dtype=np.int32), repeats=repeats)
    known = known_ratings(made, "notebook", SPLIT)
    kept, choosing = train_test_split(made.train, test_size=0.2, random_state=42)
    found = [rows.columns()[1].tolist() for rows in (known.kept, known.choosing)]
    assert found == [sorted(kept.tolist()), sorted(choosing.tolist())]


@pytest.mark.parametrize(
    ("protocol", "together"), [("fair", True), ("fair", False), ("notebook", True)], ids=["fair", "divided", "notebook"]
)
def test_held_out_ratings_of_pairs_that_are_fitted_are_counted(
    protocol: Protocol, together: bool, tmp_path: Path
) -> None:
    made = ratings(tmp_path, protocol, together=together)
    known = known_ratings(made, protocol, SPLIT)
    fitted, kept, choose = (rows.columns() for rows in (known.fitted, known.kept, known.choosing))
    test = sum(pair in {*pairs(fitted)} for pair in pairs(made.columns(made.test)))
    choosing = sum(pair in {*pairs(kept)} for pair in pairs(choose))
    counts = PairCounts.of(known.fitted, 30, 40)
    tested = inputs.Tested.of(made, Warm.of(counts), TEMPORARY)
    assert repeats_across(made, known, tested, counts) == {
        "repeated_test_rows": test,
        "repeated_validation_rows": choosing,
    }
    assert (test > 0) == (protocol == "notebook" or not together)
    assert (choosing > 0) == (not together)
