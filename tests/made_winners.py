"""Small winners: six users and nine items, of which one each has no ratings."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recsys.models.baselines import Baseline
from recsys.models.factor_model import factor_model
from recsys.models.factors import Factors
from recsys.models.keras_predictor import KerasPredictor
from recsys.models.predictor import SavedPredictor
from recsys.winner.packing import write_winner

USERS, ITEMS, LOWEST, HIGHEST = 6, 9, 1.0, 5.0
COLD_USER, COLD_ITEM = 5, 8
RATED = {0: (0, 1, 2), 1: (2, 3), 2: (0, 7), 3: (1, 4, 5, 6), 4: (0, 1, 2, 3, 4, 5, 6, 7)}
FACTORS = Factors(
    np.random.default_rng(1).normal(size=(USERS, 3)).astype(np.float32),
    np.random.default_rng(2).normal(size=(ITEMS, 3)).astype(np.float32),
    np.random.default_rng(3).normal(size=USERS).astype(np.float32),
    np.random.default_rng(4).normal(size=ITEMS).astype(np.float32),
    3.0,
)
BIASES = Baseline(3.5, np.linspace(-0.5, 0.5, USERS), np.linspace(0.4, -0.4, ITEMS), 15, 0.0)


def made_winner(
    folder: Path, predictor: SavedPredictor | None = None, name: str = "mf_tuned", text_ids: bool = False
) -> Path:
    """Write a winner, the model of FACTORS if none is given, whose ids are 10, 20, … and 100, 101, …"""
    folder.mkdir()
    with TemporaryDirectory() as temporary:
        source = Path(temporary)
        (predictor or KerasPredictor(factor_model(FACTORS, name))).save(source / "model.keras")
        model = {path.name: path for path in source.iterdir()}
        user_ids: list[Any] = [10 * (code + 1) for code in range(USERS)]
        item_ids: list[Any] = [100 + code for code in range(ITEMS)]
        if text_ids:
            user_ids, item_ids = [f"u{x}" for x in user_ids], [f"i{x}" for x in item_ids]
        titles = [f"title {code}" if code % 2 else None for code in range(ITEMS)]
        pq.write_table(pa.table({"code": range(USERS), "id": user_ids}), source / "users.parquet")
        items = pa.table({"code": range(ITEMS), "id": item_ids, "title": pa.array(titles, pa.string())})
        pq.write_table(items, source / "items.parquet")
        pairs = np.array([(user, item) for user, rated in RATED.items() for item in rated], np.int32)
        write_winner(
            folder,
            model,
            {
                "name": name,
                "title": name.replace("_", " "),
                "reason": "it was chosen",
                "refitted": True,
                "seed": 1,
                "settings": {"epochs": 3},
            },
            (pairs[:, 0].copy(), pairs[:, 1].copy(), np.linspace(LOWEST, HIGHEST, len(pairs)).astype(np.float32)),
            BIASES,
            (source / "users.parquet", source / "items.parquet"),
        )
    return folder
