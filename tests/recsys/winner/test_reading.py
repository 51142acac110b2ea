"""The files of users, items and pairs are read by the options that ratings are read by."""

from pathlib import Path
from typing import Any

import pytest

from recsys.errors import BadRatings
from recsys.settings import DataSettings
from recsys.winner.settings import PredictSettings
from recsys.winner.tables import read_whole

OPTIONS = {"separator": "blank", "header": "no", "skip_lines": 2, "quoting": "none", "encoding": "latin-1"}


def reading(**options: Any) -> DataSettings:
    asked = PredictSettings.model_validate({"winner": "w", "pairs": "p", "out": "o.csv", "reading": options})
    return DataSettings(**asked.reading.model_dump())


def test_options_that_sentences_advise_are_options_here_too() -> None:
    assert {name: getattr(reading(**OPTIONS), name) for name in OPTIONS} == OPTIONS
    assert reading() == DataSettings()


def test_pairs_with_stray_quotes_are_read_without_quoting(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text('user,item\nu1,"Live at home\nu2,x\nu3,mix 12"\n')
    with pytest.raises(BadRatings, match="runs over 3 lines, which look like rows; say --quoting none if"):
        read_whole(tmp_path / "pairs.csv", reading(), ("user", "item"))
    read = read_whole(tmp_path / "pairs.csv", reading(quoting="none"), ("user", "item"))
    assert read["item"].tolist() == ['"Live at home', "x", 'mix 12"']
