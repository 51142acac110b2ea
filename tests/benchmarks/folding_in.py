"""Benchmark: users who are folded in, and the same users in a full refit, each with 20 ratings, judged on their others.

    python -m tests.benchmarks.folding_in

Of the sample, 200 users are held out, but for 20 ratings each. A refit has these ratings; what folds in has seen none
of the users, so that its items lack those ratings, too, and gets each user's later. What the closed form alone loses,
the same items say: those of the refit.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from recsys.data.encode import encode
from recsys.data.ingest import ingest
from recsys.data.source import locate
from recsys.models.baselines import fit_baselines
from recsys.models.settings import AutoRecSettings, BayesMFSettings, BiasedMFSettings, FitSettings, TowersSettings
from recsys.models.specs import MODEL
from recsys.settings import DataSettings
from recsys.training.fit import FitData
from recsys.training.train import fit_model
from recsys.winner.packing import write_winner
from recsys.winner.recommender import Recommender
from tests.benchmarks.measuring import report

HELD_OUT, GIVEN, FEWEST = 200, 20, 40
"""Users, ratings that they give, and that they have at least."""

BOUNDS = 0.5, 5.0
"""Of the sample's ratings."""

MODELS: dict[str, FitSettings] = {
    "bayes_mf": BayesMFSettings(),
    "mf_tuned": BiasedMFSettings(implicit="both", epochs=16),
    "towers": TowersSettings(),
    "autorec": AutoRecSettings(epochs=20, patience=0),
}


def main() -> None:
    """Fit each model twice and print the table."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        ingest(locate(DataSettings()).ratings, DataSettings(max_rows=100_000), folder)
        encode(folder / "ratings.parquet", None, "keep", folder)
        ratings = pd.DataFrame({name: np.load(folder / f"{name}.npy") for name in ("user", "item", "rating")})
        rows = [measured(name, settings, ratings, folder) for name, settings in MODELS.items()]
    report("folding_in", rows)


def measured(name: str, settings: FitSettings, ratings: pd.DataFrame, place: Path) -> dict[str, Any]:
    """Return the errors of a model either way, and what folding in takes.

    Args:
        ratings: codes and ratings, columns user, item and rating.
        place: an existing folder for the winners.
    """
    random = np.random.default_rng(1)
    users = random.permutation(np.flatnonzero(np.bincount(ratings["user"]) >= FEWEST))[:HELD_OUT]
    theirs = ratings[ratings["user"].isin(users)].sample(frac=1, random_state=1)
    given = theirs.groupby("user").head(GIVEN)
    judged = theirs.drop(given.index)
    without = ratings.drop(theirs.index)
    refit, folding = (
        winner_of(name, settings, rows, ratings, place / f"{name}-{which}")
        for which, rows in (("refit", ratings.drop(judged.index)), ("without", without))
    )
    predicted = {
        "biases": np.clip(refit.biases.predict(*(judged[side].to_numpy() for side in ("user", "item"))), *BOUNDS),
        "refit": refit.predict(judged["user"], judged["item"]),
    }
    for of, winner in (("folded in", folding), ("folded in, items of the refit", refit)):
        predicted[of], milliseconds, way = folded_in(winner, given, judged)
    rating = judged["rating"].to_numpy()
    errors = {of: float(np.mean((found - rating) ** 2)) for of, found in predicted.items()}
    return {
        "model": name,
        "way": way,
        **{f"mse {of}": error for of, error in errors.items()},
        "folded in - refit": errors["folded in"] - errors["refit"],
        "median ms": float(np.median(milliseconds)),
        "most ms": max(milliseconds[1:]),
    }


def folded_in(
    winner: Recommender, given: pd.DataFrame, judged: pd.DataFrame
) -> tuple[npt.NDArray[np.float64], list[float], str]:
    """Return predictions of the judged ratings, the milliseconds of each user, and the way."""
    predicted, milliseconds, way = pd.Series(0.0, judged.index), [], ""
    for user, rows in judged.groupby("user"):
        own = given[given["user"] == user]
        start = time.perf_counter()
        new = winner.fold_in(own["item"], own["rating"])
        milliseconds.append(1000 * (time.perf_counter() - start))
        predicted[rows.index], way = new.predict(rows["item"]), new.way
    return np.asarray(predicted, np.float64), milliseconds, way


def winner_of(name: str, settings: FitSettings, rows: pd.DataFrame, ratings: pd.DataFrame, folder: Path) -> Recommender:
    """Return the winner fitted to `rows` of the ratings, whose codes are its ids."""
    folder.mkdir()
    model, tables = folder / "model", (folder / "users.parquet", folder / "items.parquet")
    model.mkdir()
    users, items = (int(ratings[side].max()) + 1 for side in ("user", "item"))
    user, item, rating = (rows[column].to_numpy() for column in ("user", "item", "rating"))
    data = FitData(user, item, rating, np.arange(len(rows)), np.arange(0))
    spec = MODEL[name]
    fitted, _ = fit_model(name, spec.build, spec.fit, users, items, data, settings, 1, standardised=spec.standardised)
    fitted.save(model / spec.file)
    pq.write_table(pa.table({"code": range(users), "id": range(users)}), tables[0])
    titles = pa.nulls(items, pa.string())
    pq.write_table(pa.table({"code": range(items), "id": range(items), "title": titles}), tables[1])
    tenth = np.arange(len(rows)) % 10 == 0
    kept, choosing = ((user[part], item[part], rating[part]) for part in (~tenth, tenth))
    biases = fit_baselines((user, item, rating), choosing, users, items, kept)["bias_only"]
    about = {"name": name, "title": spec.title, "reason": "it is measured", "refitted": True, "seed": 1}
    about["settings"] = settings.model_dump()
    winner = folder / "winner"
    winner.mkdir()
    write_winner(winner, {path.name: path for path in model.iterdir()}, about, (user, item, rating), biases, tables)
    return Recommender.load(winner)


if __name__ == "__main__":
    main()
