"""The baselines of a comparison, and what they and the models predict of the ratings that choose the blend."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from recsys.evaluation.inputs import Known
from recsys.models.baselines import Baseline, fit_baselines
from recsys.models.fallback import Warm
from recsys.models.item_knn import ItemKNN, fit_item_knn, too_large
from recsys.models.popularity_slope import PopularitySlope, fit_popularity_slope
from recsys.models.predictor import Codes, Floats, clipped


class Baselines(NamedTuple):
    """The baselines.

    Attributes:
        fitted: by name, fitted to all ratings that may be used before the test.
        choosing: by name, what those that may be blended predict of the ratings that choose, by fits without them.
        too_large: why there is no item kNN; empty where there is.
    """

    fitted: dict[str, Baseline | PopularitySlope | ItemKNN]
    choosing: dict[str, Floats]
    too_large: str


def fit_all(known: Known, users: int, items: int, to_predict: Codes) -> Baselines:
    """Fit all baselines; item kNN is left out where these ratings, or the rows of these users, are too many for it."""
    simple = fit_baselines(known.fitted, known.choosing, users, items, known.kept)
    of_kept = fit_baselines(known.kept, known.choosing, users, items)["bias_only"]
    slope, of_slope = fit_popularity_slope(known.kept, known.choosing, users, items)
    found: dict[str, Baseline | PopularitySlope | ItemKNN] = dict(simple)
    found["popularity_slope"] = slope.refitted(known.fitted)
    user, item, _ = known.choosing
    choosing: dict[str, Floats] = {"bias_only": of_kept.predict(user, item), "popularity_slope": of_slope}
    reason = too_large(known.fitted[0], np.concatenate([user, to_predict]), users, items)
    if not reason:
        neighbours, choosing["item_knn"] = fit_item_knn(known.kept, known.choosing, of_kept)
        found["item_knn"] = neighbours.refitted(known.fitted, simple["bias_only"])
    return Baselines(found, choosing, reason)


def choosing_predictions(
    known: Known, baselines: Baselines, models: Mapping[str, Path], bounds: tuple[float, float]
) -> dict[str, Floats]:
    """Return what each row predicts of the ratings that choose, by fits without them, clipped to `bounds`.

    A rating whose user or item is cold to these fits gets the prediction of bias_only from every model.

    Args:
        models: row -> .npy file of the predictions of its fit to the training ratings.
    """
    user, item, _ = known.choosing
    biases = baselines.fitted["bias_only"]
    assert isinstance(biases, Baseline)
    cold = Warm.after(*known.kept[:2], len(biases.user), len(biases.item)).cold(user, item)
    of_models = {name: np.where(cold, baselines.choosing["bias_only"], np.load(path)) for name, path in models.items()}
    return {name: clipped(found, bounds) for name, found in {**of_models, **baselines.choosing}.items()}
