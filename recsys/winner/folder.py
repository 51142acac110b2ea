"""The folder of a winner: a model, the ids behind its codes, and a fallback for what it does not know.

It needs neither the store nor the ratings, holds no pickle, and names the digest of each of its files.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from recsys.evaluation.inputs import Columns
from recsys.models import item_knn, popularity_slope
from recsys.models.baselines import Baseline, fit_baselines
from recsys.models.blend import Blend, Member
from recsys.models.fallback import BiasesWhereCold, Warm, trained
from recsys.models.predictor import Predictor
from recsys.models.specs import MODEL
from recsys.store.store import Facts, sha256_of
from recsys.training.fit import FitData
from recsys.winner.about import ABOUT, About
from recsys.winner.fold_in import Folding, Prior, damping_of, fit_prior
from recsys.winner.weights import columns, known_columns

LEARNING_CURVE = "history.parquet"
"""What is in a model's artefact that nobody who uses it needs."""

BIASES, RATED, USERS, ITEMS = "biases.npz", "rated.npz", "users.parquet", "items.parquet"

FOLD_IN = "fold_in.npz"
"""Beside a factor model, the prior from which users who rate later are predicted."""


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


def load_fit(folder: Path, name: str) -> Predictor:
    """Read a trained model, the row of which is `name`."""
    spec = MODEL[name]
    predictor: Predictor = resolve_name(spec.load)(folder / spec.file)
    return predictor


def load_model(folder: Path, about: About, biases: Baseline, warm: Warm) -> Predictor:
    """Read the model or the blend of a winner; the models of a blend answer by `biases` where they are not warm."""
    if not about.members:
        return load_fit(folder, about.name)

    def fits(name: str, places: Sequence[str]) -> Iterator[Predictor]:
        for place in places:
            yield BiasesWhereCold(load_fit(folder / place, name), biases, warm)
        if name == "bias_only":
            yield biases
        elif name == "popularity_slope":
            yield popularity_slope.load(folder / f"{name}.npz")
        elif name == "item_knn":
            yield item_knn.load(folder / f"{name}.npz", biases)

    members = {name: Member(of.weight, tuple(fits(name, of.folders))) for name, of in about.members.items()}
    return Blend(members, about.mean, (about.lowest, about.highest))


def load_foldings(folder: Path, about: About, model: Predictor) -> dict[str, list[Folding]]:
    """Return what folds new users into each fit of a winner's `model`, by row."""
    found: dict[str, list[Folding]] = {}
    for name, places in about.fits.items():
        for number, place in enumerate(places):
            fit = trained(model.members[name].fits[number]) if isinstance(model, Blend) else model
            found.setdefault(name, []).append(Folding(fit, _load_prior(folder / place / FOLD_IN)))
    return found


def _load_prior(path: Path) -> Prior | None:
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as arrays:
        return Prior(*(arrays[name] for name in Prior._fields))


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
    ratings = columns(whole, whole.with_validation.train)
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
