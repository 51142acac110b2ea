"""Writing the folder of a winner: the model or the blend, the ids behind its codes, and what answers for others."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from recsys.arrays import Columns
from recsys.models.baselines import Baseline, fit_baselines
from recsys.store.store import Facts, sha256_of
from recsys.training.fit import FitData
from recsys.winner.about import ABOUT, About
from recsys.winner.fold_in import damping_of, fit_prior
from recsys.winner.folder import BIASES, FOLD_IN, ITEMS, RATED, USERS, load_fit
from recsys.winner.weights import known_columns

LEARNING_CURVE = "history.parquet"
"""What is in a model's artefact that nobody who uses it needs."""


def write_winner(
    folder: Path,
    model: Mapping[str, Path],
    about: Mapping[str, Any],
    ratings: Columns,
    biases: Baseline,
    ids: tuple[Path, Path],
) -> About:
    """Write the folder of a winner into `folder`, which exists and is empty.

    Args:
        model: path in the folder -> file of the trained model, or of all that a blend consists of.
        about: the fields of `About` that the other arguments do not tell.
        ratings: what it was fitted to.
        biases: what answers for users and items without such ratings, also those that have no code.
        ids: parquet files code -> id of the users, and code -> id, title of the items.
    """
    user, item, rating = ratings
    for name, path in model.items():
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(path, folder / name)
    users, items = (pq.read_table(path) for path in ids)
    for table, codes, name in ((users, user, USERS), (items, item, ITEMS)):
        counts = pa.array(np.bincount(codes, minlength=table.num_rows).astype(np.int32))
        pq.write_table(table.drop_columns("code").append_column("ratings", counts), folder / name, compression="zstd")
    damping = np.array(damping_of(biases, ratings))
    _save(folder / BIASES, mean=np.array(biases.mean), user=biases.user, item=biases.item, damping=damping)
    order = np.lexsort((item, user))
    start = np.concatenate([[0], np.cumsum(np.bincount(user, minlength=users.num_rows))])
    with (folder / RATED).open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, start=start, item=item[order])
    bounds = {"lowest": float(rating.min()), "highest": float(rating.max())}
    made = About.model_validate({**about, **bounds, "ratings": len(rating), "files": {}})
    for name, places in made.fits.items():
        for place in places:
            if prior := fit_prior(load_fit(folder / place, name), ratings):
                _save(folder / place / FOLD_IN, **prior._asdict())
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    made = made.model_copy(update={"files": {path.relative_to(folder).as_posix(): sha256_of(path) for path in paths}})
    (folder / ABOUT).write_text(made.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return made


def _save(path: Path, **arrays: npt.NDArray[Any]) -> None:
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def pack_winner(
    folder: Path,
    fits: Mapping[str, Sequence[Mapping[str, Path]]],
    blend: tuple[Facts, Mapping[str, Path]] | None,
    about: Mapping[str, Any],
    training: Mapping[str, Path],
    fitted: Mapping[str, Path],
) -> dict[str, Any]:
    """Write the folder of a winner from artefacts, and return what `winner.json` says.

    Args:
        fits: row -> path inside the artefact -> where the file is, of each fit of the model, or of those of the blend.
        blend: what `recsys.winner.weights.write_weights` made; None where the winner is one model.
        about: as for `write_winner`.
        training: name -> path of the codes, and of the training and the validation rows.
        fitted: the same, with the rows that the model was fitted to.
    """
    known, whole = known_columns(training), FitData.load(fitted)
    ratings = whole.columns(whole.with_validation.train)
    users, items = (pq.read_metadata(training[name]).num_rows for name in ("users", "items"))
    biases = fit_baselines(ratings, known.choosing, users, items, known.kept)["bias_only"]
    files: dict[str, Path] = {}
    members: dict[str, Any] = {}
    if blend:
        weights, files = blend[0], dict(blend[1])
        about = {**about, "mean": weights["mean"]}
        members = {name: {"weight": weight, "folders": []} for name, weight in weights["weights"].items()}
    for name, of_name in fits.items():
        for number, of_fit in enumerate(of_name, 1):
            place = f"{name}_{number}/" if blend else ""
            files |= {f"{place}{path}": file for path, file in of_fit.items() if path != LEARNING_CURVE}
            if blend:
                members[name]["folders"].append(place.rstrip("/"))
    ids = training["users"], training["items"]
    return write_winner(folder, files, {**about, "members": members}, ratings, biases, ids).model_dump(mode="json")
