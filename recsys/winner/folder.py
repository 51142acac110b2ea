"""The folder of a winner: a model, the ids behind its codes, and a fallback for what it does not know.

It needs neither the store nor the ratings, holds no pickle, and names the digest of each of its files.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from recsys.models.baselines import Baseline, fit_baselines
from recsys.models.predictor import Codes
from recsys.models.specs import MODEL
from recsys.store.store import sha256_of
from recsys.training.fit import FitData
from recsys.winner.about import ABOUT, About
from recsys.winner.fold_in import damping_of, fit_prior

LEARNING_CURVE = "history.parquet"
"""What is in a model's artefact that nobody who uses it needs."""

BIASES, RATED, USERS, ITEMS = "biases.npz", "rated.npz", "users.parquet", "items.parquet"

FOLD_IN = "fold_in.npz"
"""What users who rate later are predicted from: the damping of their biases and, of a factor model, their prior."""


def write_winner(
    folder: Path,
    model: Mapping[str, Path],
    about: Mapping[str, Any],
    ratings: tuple[Codes, Codes, npt.NDArray[np.float32]],
    biases: Baseline,
    ids: tuple[Path, Path],
) -> About:
    """Write the folder of a winner into `folder`, which exists and is empty.

    Args:
        model: name -> path of the files of the trained model.
        about: the fields `name`, `title`, `reason`, `refitted`, `seed` and `settings` of `About`.
        ratings: what it was fitted to: user codes, item codes and ratings, shape (ratings,).
        biases: what answers for users and items without such ratings, also those that have no code.
        ids: parquet files code -> id of the users, and code -> id, title of the items.
    """
    user, item, rating = ratings
    for name, path in model.items():
        shutil.copyfile(path, folder / name)
    users, items = (pq.read_table(path) for path in ids)
    for table, codes, name in ((users, user, USERS), (items, item, ITEMS)):
        counts = pa.array(np.bincount(codes, minlength=table.num_rows).astype(np.int32))
        pq.write_table(table.drop_columns("code").append_column("ratings", counts), folder / name, compression="zstd")
    with (folder / BIASES).open("wb") as file:
        np.savez(file, allow_pickle=False, mean=biases.mean, user=biases.user, item=biases.item)
    order = np.lexsort((item, user))
    start = np.concatenate([[0], np.cumsum(np.bincount(user, minlength=users.num_rows))])
    with (folder / RATED).open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, start=start, item=item[order])
    spec = MODEL[about["name"]]
    prior = fit_prior(resolve_name(spec.load)(folder / spec.file), ratings)
    with (folder / FOLD_IN).open("wb") as file:
        fields = prior._asdict() if prior else {}
        np.savez(file, allow_pickle=False, damping=np.array(damping_of(biases, ratings)), **fields)
    files = {path.name: sha256_of(path) for path in sorted(folder.iterdir())}
    bounds = {"lowest": float(rating.min()), "highest": float(rating.max())}
    made = About.model_validate({**about, **bounds, "ratings": len(rating), "files": files})
    (folder / ABOUT).write_text(made.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return made


def pack_winner(
    folder: Path,
    model: Mapping[str, Path],
    about: Mapping[str, Any],
    training: Mapping[str, Path],
    fitted: Mapping[str, Path],
) -> dict[str, Any]:
    """Write the folder of a winner from artefacts, and return what `winner.json` says.

    Args:
        model: path inside the artefact of the trained model -> where the file is.
        about: as for `write_winner`.
        training: name -> path of the codes, and of the training and the validation rows.
        fitted: the same, with the rows that the model was fitted to.
    """
    split, whole = FitData.load(training), FitData.load(fitted)

    def columns(data: FitData, rows: npt.NDArray[np.integer]) -> tuple[Codes, Codes, npt.NDArray[np.float32]]:
        return np.asarray(data.user[rows]), np.asarray(data.item[rows]), np.asarray(data.rating[rows])

    ratings = columns(whole, whole.with_validation.train)
    users, items = (pq.read_metadata(training[name]).num_rows for name in ("users", "items"))
    kept, choosing = columns(split, split.train), columns(split, split.validation)
    biases = fit_baselines(ratings, choosing, users, items, kept)["bias_only"]
    files = {name: path for name, path in model.items() if name != LEARNING_CURVE}
    ids = training["users"], training["items"]
    return write_winner(folder, files, about, ratings, biases, ids).model_dump(mode="json")
