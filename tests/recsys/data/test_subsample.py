from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from recsys.data.subsample import subsample
from recsys.errors import BadSettings


def drawn(place: Path, share: float, seed: int = 1) -> dict[str, npt.NDArray[np.integer]]:
    folder = place / f"{share} {seed}"
    folder.mkdir()
    training, validation = np.arange(1000)[::-1], np.arange(1000, 1100)
    facts = subsample(training, validation, share, seed, folder)
    kept = {name: np.load(folder / f"{name}.npy") for name in ("train", "validation")}
    assert {name: facts[f"{name}_rows"] for name in kept} == {name: len(rows) for name, rows in kept.items()}
    return kept


def test_a_share_has_so_many_rows_of_each_part_in_their_order(tmp_path: Path) -> None:
    kept = drawn(tmp_path, 0.2)
    assert len(kept["train"]) == len(set(kept["train"])) == 200
    assert len(kept["validation"]) == 20
    assert (np.diff(kept["train"]) < 0).all()
    assert kept["train"].max() < 1000 <= kept["validation"].min()


def test_a_share_is_a_part_of_every_larger_one(tmp_path: Path) -> None:
    small, large = drawn(tmp_path, 0.1), drawn(tmp_path, 0.4)
    assert all(set(small[part]) < set(large[part]) for part in small)


def test_another_seed_draws_other_rows(tmp_path: Path) -> None:
    assert set(drawn(tmp_path, 0.1, 1)["train"]) != set(drawn(tmp_path, 0.1, 2)["train"])


def test_a_share_of_few_rows_keeps_one(tmp_path: Path) -> None:
    assert len(drawn(tmp_path, 0.001)["validation"]) == 1


@pytest.mark.parametrize("share", [0.0, -0.1, 1.1, float("nan")])
def test_what_is_no_share_is_told(share: float, tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="give a number above 0, up to 1"):
        drawn(tmp_path, share)
