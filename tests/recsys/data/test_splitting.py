from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import train_test_split

from recsys.data.splitting import split
from recsys.errors import BadSettings
from recsys.settings import SplitSettings


def parts(folder: Path, *names: str) -> list[list[int]]:
    return [np.load(folder / f"{name}.npy").tolist() for name in names]


def test_the_notebook_protocol_draws_the_notebooks_rows_in_its_order(tmp_path: Path) -> None:
    split(1000, SplitSettings(), "notebook", tmp_path)
    train, test = train_test_split(pd.DataFrame({"row": range(1000)}), test_size=0.2, random_state=42)
    assert parts(tmp_path, "train", "test") == [train["row"].tolist(), test["row"].tolist()]
    assert parts(tmp_path, "validation") == parts(tmp_path, "test")


def test_the_fair_protocol_has_the_same_test_rows_and_three_disjoint_sets(tmp_path: Path) -> None:
    for protocol in ("notebook", "fair"):
        (tmp_path / protocol).mkdir()
    split(1000, SplitSettings(), "notebook", tmp_path / "notebook")
    facts = split(1000, SplitSettings(), "fair", tmp_path / "fair")
    assert parts(tmp_path / "fair", "test") == parts(tmp_path / "notebook", "test")
    train, validation, test = parts(tmp_path / "fair", "train", "validation", "test")
    assert sorted(train + validation + test) == list(range(1000))
    assert facts == {"train_rows": 720, "validation_rows": 80, "test_rows": 200}


def test_another_seed_draws_other_rows(tmp_path: Path) -> None:
    split(1000, SplitSettings(), "fair", tmp_path)
    first = parts(tmp_path, "test")
    split(1000, SplitSettings(split_seed=7), "fair", tmp_path)
    assert parts(tmp_path, "test") != first


def test_too_few_ratings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="2 ratings are too few"):
        split(2, SplitSettings(), "fair", tmp_path)
