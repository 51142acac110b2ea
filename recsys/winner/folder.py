"""The folder of a winner: a model, the ids behind its codes, and a fallback for what it does not know.

It needs neither the store nor the ratings, holds no pickle, and names the digest of each of its files.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from pkgutil import resolve_name

import numpy as np

from recsys.models import item_knn, popularity_slope
from recsys.models.baselines import Baseline
from recsys.models.blend import Blend, Member
from recsys.models.fallback import BiasesWhereCold, Warm, trained
from recsys.models.predictor import Predictor
from recsys.models.specs import MODEL
from recsys.winner.about import About
from recsys.winner.fold_in import Folding, Prior

BIASES, RATED, USERS, ITEMS = "biases.npz", "rated.npz", "users.parquet", "items.parquet"

FOLD_IN = "fold_in.npz"
"""Beside a factor model, the prior from which users who rate later are predicted."""


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
