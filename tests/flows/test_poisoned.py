"""Test ratings have no way into a training or a search."""

import json
from pathlib import Path

import numpy as np
from sklearn.model_selection import train_test_split

from recsys.settings import Settings
from recsys.store.store import sha256_of
from tests.factories import EVERY_MODEL, small_settings, write_ratings


def trained(settings: Settings) -> set[str]:
    """Digests of every trained model and every trial's predictions."""
    store = Path(settings.output.store)
    return {sha256_of(path) for layer in ("models", "trials") for path in (store / layer).rglob("*") if _made(path)}


def _made(path: Path) -> bool:
    return path.name in {"model.keras", "draws.npz", "history.parquet", "validation.npy"}


def test_poisoned_test_ratings_change_nothing_but_the_scores(prefect_server: str, tmp_path: Path) -> None:
    from flows.compare import compare

    clean = write_ratings(tmp_path / "ratings.csv")
    header, *rows = clean.read_text().splitlines()
    rows = list({tuple(row.split(",")[:2]): row for row in rows}.values())  # repeated pairs are split otherwise
    clean.write_text("\n".join([header, *rows]) + "\n")
    _, test = train_test_split(np.arange(len(rows)), test_size=0.2, random_state=42)
    for row in test:
        rows[row] = rows[row].rpartition(",")[0] + ("," + ("1" if rows[row].endswith("5") else "5"))
    poisoned = tmp_path / "poisoned.csv"
    poisoned.write_text("\n".join([header, *rows]) + "\n")

    found = []
    for place, path in ((tmp_path / "a", clean), (tmp_path / "b", poisoned)):
        settings = small_settings(path, place, **EVERY_MODEL)
        comparison = json.loads((Path(compare(settings)) / "comparison.json").read_text())
        found.append((trained(settings), comparison))
    (models, before), (same_models, after) = found
    assert len(models) > 10
    assert models == same_models
    assert {trial["val_mse"] for one in before["tuning"] for trial in one["trials"]} == {
        trial["val_mse"] for one in after["tuning"] for trial in one["trials"]
    }
    assert [row["weights"] for row in before["combinations"]] == [row["weights"] for row in after["combinations"]]
    for row, other in zip(before["models"], after["models"], strict=True):
        assert row["mse"] < other["mse"]
