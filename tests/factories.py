"""Small data and small runs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys.settings import Settings

SMALL_MODELS: dict[str, Any] = {
    "mf": {"embedding_size": 4, "epochs": 2},
    "mf_tuned": {"embedding_size": 4, "epochs": 3},
    "bayes_mf": {"embedding_size": 4, "epochs": 6},
    "dnn": {"embedding_size": 4, "units": [8], "epochs": 2},
    "dnn_tuned": {"embedding_size": 4, "units": [8], "epochs": 3},
    "towers": {"embedding_size": 4, "width": 8, "epochs": 3, "batches": 2},
    "autorec": {"units": 4, "epochs": 3},
}

EVERY_MODEL: dict[str, Any] = {"tuning": {"models": None}, "mf_tuned": {"implicit": "both"}}
"""What makes small settings search all models, SVD++ among them."""

DIVERGING: dict[str, Any] = {"units": [64] * 12, "learning_rate": 10.0}
"""A deep network that leaves the numbers of single precision in its first epochs, whatever it reads."""


def write_ratings(path: Path, *, rows: int = 400, users: int = 20, items: int = 30, seed: int = 0) -> Path:
    """Write ratings from 1 to 5 made of users' and items' tastes and noise, as MovieLens writes them."""
    random = np.random.default_rng(seed)
    user, item = random.integers(users, size=rows), random.integers(items, size=rows)
    taste = random.normal(size=users)[user] + random.normal(size=items)[item] + random.normal(size=rows)
    rating = np.clip(np.round(3 + taste), 1, 5)
    lines = [f"{u + 1},{i + 1},{r:g}" for u, i, r in zip(user, item, rating, strict=True)]
    path.write_text("\n".join(["userId,movieId,rating", *lines]) + "\n")
    return path


def small_settings(ratings: Path, place: Path, **changes: Any) -> Settings:
    """Return settings of a run of seconds, without plots, with its store and its report in `place`."""
    whole: dict[str, Any] = {
        "data": {"ratings": str(ratings)},
        "output": {"store": str(place / "store"), "reports": str(place / "reports"), "name": "run", "plots": False},
        **SMALL_MODELS,
        "tuning": {"budget": 0, "trial_epochs": 4, "models": ["mf_tuned", "dnn_tuned"]},
        "evidence": {"seeds": 1, "resamples": 100},
        "ranking": {"ranking_users": 5},
        "winner": {"refit": False},
    }
    for name, value in changes.items():
        whole[name] = {**whole.get(name, {}), **value} if isinstance(value, dict) else value
    return Settings.model_validate(whole)


@dataclass(frozen=True)
class TablePredictor:
    """Predicts what stands in a table of shape (users, items)."""

    table: npt.NDArray[np.floating]

    def predict(self, user: npt.NDArray[np.int32], item: npt.NDArray[np.int32]) -> npt.NDArray[np.floating]:
        predicted: npt.NDArray[np.floating] = self.table[user, item]
        return predicted
