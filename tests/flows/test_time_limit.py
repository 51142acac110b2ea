"""Tasks that take too long."""

import json
from pathlib import Path

import pytest

from tests.factories import small_settings, write_ratings

LONG = {"embedding_size": 4, "epochs": 10_000, "batch_size": 1}
"""A training that takes hours."""


@pytest.mark.slow
def test_a_model_that_takes_too_long_is_given_up_and_the_others_are_reported(
    prefect_server: str, tmp_path: Path
) -> None:
    from flows.compare import compare
    from flows.executor import ModelsFailed

    ratings = write_ratings(tmp_path / "ratings.csv", rows=80_000, users=300, items=300)
    settings = small_settings(ratings, tmp_path, protocol="notebook", mf=LONG, scaling={"time_limit": 1})
    with pytest.raises(ModelsFailed, match=r"train_mf failed: .*60") as failed:
        compare(settings)
    assert failed.value.tasks == ["train_mf"]
    comparison = json.loads((Path(failed.value.folder) / "comparison.json").read_text())
    assert [model["name"] for model in comparison["failed"]] == ["mf"]
