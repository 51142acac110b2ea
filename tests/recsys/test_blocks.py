"""Columns in blocks hold what columns in memory hold, and leave nothing behind."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recsys import blocks
from recsys.blocks import RatingBlocks, Scratch, give_back, in_blocks
from recsys.evaluation import predictions as predicting
from recsys.evaluation.evaluate import evaluate
from recsys.evaluation.inputs import Ratings
from recsys.evaluation.results import Comparison
from recsys.models import sums
from recsys.settings import EvidenceSettings, Protocol, RankingSettings, SplitSettings

USERS, ITEMS, ROWS = 40, 30, 3000


def test_a_large_column_is_a_file_without_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [np.arange(start, start + 7, dtype=np.int32) for start in range(0, 70, 7)]
    small = Scratch(tmp_path).column(np.int32, 70, parts)
    monkeypatch.setattr(blocks, "IN_MEMORY", 0)
    large = Scratch(tmp_path).column(np.int32, 70, iter(parts))
    assert isinstance(large, np.memmap)
    assert not isinstance(small, np.memmap)
    assert small.tolist() == large.tolist() == list(range(70))
    assert large.dtype == small.dtype == np.int32
    assert not list(tmp_path.iterdir())
    assert Scratch(tmp_path).column(np.float64, 70, []).shape == (0,)


def test_what_is_given_back_can_be_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "IN_MEMORY", 0)
    column = Scratch(tmp_path).column(np.float32, 9, [np.arange(9)])
    view = column[3:6]
    give_back(column, view, np.arange(3))
    assert view.tolist() == [3, 4, 5]
    written = np.memmap(tmp_path / "own", np.int8, "w+", shape=(4096,))
    written[:] = 7
    give_back(written)
    assert (written == 7).all()
    changed = np.memmap(tmp_path / "own", np.int8, "c", shape=(4096,))
    changed[:] = 8
    changed.flags.writeable = False
    give_back(changed, np.asarray(changed)[9:])
    assert (changed == 8).all()


def test_blocks_are_views_of_all_columns_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK", 4)
    one, other = np.arange(10), np.arange(10) * 2.0
    found = list(in_blocks(one, other))
    assert [len(block) for block, _ in found] == [4, 4, 2]
    assert all(np.shares_memory(block, one) for block, _ in found)
    assert np.concatenate([block for _, block in found]).tolist() == other.tolist()


def test_some_of_the_ratings_are_those_of_a_purpose_in_the_order_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK", 4)
    numbers = np.arange(10, dtype=np.int32)
    of = numbers, numbers + 10, numbers.astype(np.float32) / 2
    parts = np.array([1, 2, 4, 3, 1, 0, 2, 1, 4, 1], np.uint8)
    for wanted, expected in ((1, [0, 3, 4, 7, 9]), (3, [0, 1, 3, 4, 6, 7, 9]), (8, [])):
        some = RatingBlocks.some(of, parts, wanted)
        assert len(some) == len(expected)
        assert max(len(user) for user, _, _ in some) <= 4
        columns: list[Any] = [*some.columns()]
        assert [own.tolist() for own in columns] == [column[expected].tolist() for column in of]
        assert [own.dtype for own in columns] == [column.dtype for column in of]


@pytest.fixture
def ratings(tmp_path: Path) -> Ratings:
    """Ratings in no order, some of them of a pair that was rated before; the last user and item are cold."""
    random = np.random.default_rng(0)
    user = random.integers(USERS - 1, size=ROWS).astype(np.int32)
    item = np.minimum(random.exponential(6, size=ROWS), ITEMS - 2).astype(np.int32)
    rows = random.permutation(ROWS)
    user[rows[-9:]], item[rows[-20:-9]] = USERS - 1, ITEMS - 1
    slope = random.normal(size=USERS)[user] * np.log(np.bincount(item, minlength=ITEMS))[item]
    taste = random.normal(size=USERS)[user] + random.normal(size=ITEMS)[item] + slope + random.normal(size=ROWS)
    for name, size in (("users", USERS), ("items", ITEMS)):
        ids = [f"{name}-{code}" for code in range(size)]
        pq.write_table(pa.table({"code": range(size), "id": ids}), tmp_path / name)
    return Ratings(
        user,
        item,
        np.clip(np.round(3 + taste), 1, 5).astype(np.float32),
        train=rows[:2000],
        validation=rows[2000:2300],
        test=rows[2300:],
        users=tmp_path / "users",
        items=tmp_path / "items",
    )


@pytest.mark.parametrize("protocol", ["fair", "notebook"])
def test_a_comparison_in_small_blocks_and_files_is_the_same(
    protocol: Protocol, ratings: Ratings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compared() -> tuple[Comparison, Any]:
        facts: dict[str, Any] = {"source": "", "licence": None, "duplicates": "keep", "ignored_columns": []}
        return evaluate(
            ratings,
            {},
            {},
            protocol=protocol,
            seed=1,
            split=SplitSettings(),
            evidence=EvidenceSettings(resamples=100),
            ranking=RankingSettings(ranking_users=10),
            data={**facts, "quarantined_rows": 0, "repeated_pairs": 0},
            winners={},
            scratch=Scratch(tmp_path),
        )

    whole, rows = compared()
    for module, name, size in (
        (blocks, "BLOCK", 64),
        (blocks, "IN_MEMORY", 0),
        (sums, "PAIRS", 300),
        (predicting, "BLOCK", 100),
    ):
        monkeypatch.setattr(module, name, size)
    parts, same = compared()
    assert whole.combinations or protocol == "notebook"
    assert_alike(parts.model_dump(), whole.model_dump())
    assert list(same.columns) == list(rows.columns)
    for name in rows.columns:
        if rows[name].dtype.kind == "f":
            assert same[name].to_numpy() == pytest.approx(rows[name].to_numpy(), rel=1e-6)
        else:
            assert same[name].tolist() == rows[name].tolist()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["items", "users"]


def assert_alike(found: Any, expected: Any, key: str = "") -> None:
    """Equal but for clocks and for the last digits of sums."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name in expected:
            assert_alike(found[name], expected[name], name)
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_alike(one, other, key)
    elif key not in ("fit_seconds", "predict_microseconds"):
        assert found == (pytest.approx(expected, rel=1e-9, abs=1e-12) if isinstance(expected, float) else expected)
