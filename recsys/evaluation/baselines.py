"""The baselines of a comparison, and what they and the models predict of the ratings that choose the blend."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from recsys.blocks import TEMPORARY, Scratch, give_back, in_blocks
from recsys.evaluation.inputs import Known, Rows
from recsys.models.baselines import Baseline, choose_biases, fit_means, refit_biases
from recsys.models.fallback import Warm
from recsys.models.item_knn import ItemKNN, fit_item_knn, too_large
from recsys.models.popularity_slope import PopularitySlope, choose_slope
from recsys.models.predictor import Floats, clipped
from recsys.models.sums import RatingSums


class Baselines(NamedTuple):
    """The baselines.

    Attributes:
        fitted: by name, fitted to all ratings that may be used before the test.
        choosing: by name, what those that may be blended predict of the ratings that choose, by fits without them.
        kept: users and items of the ratings that these fits read.
        too_large: why there is no item kNN; empty where there is.
    """

    fitted: dict[str, Baseline | PopularitySlope | ItemKNN]
    choosing: dict[str, Floats]
    kept: Warm
    too_large: str


def fit_all(known: Known, fitted: RatingSums, tested: Floats, scratch: Scratch = TEMPORARY) -> Baselines:
    """Fit all baselines; item kNN is left out where these ratings, or the rows of these users, are too many for it.

    Args:
        fitted: what the fitted ratings come to.
        tested: number of test ratings of each user, shape (users,).
    """
    users, items = len(fitted.of_users), len(fitted.of_items)
    kept = RatingSums.of(known.kept, users, items, scratch)
    of_kept, damping = choose_biases(kept, known.choosing)
    slope = choose_slope(kept, known.choosing)
    found: dict[str, Baseline | PopularitySlope | ItemKNN] = dict(fit_means(fitted))
    found["bias_only"] = bias_only = refit_biases(of_kept, damping, fitted)
    found["popularity_slope"] = slope.refitted(fitted)
    choosing = {
        name: scratch.column(np.float64, len(known.choosing), (fit.predict(u, i) for u, i, _ in known.choosing))
        for name, fit in (("bias_only", of_kept), ("popularity_slope", slope))
    }
    predicted = fitted.counts.of_users - kept.counts.of_users + tested
    reason = too_large(fitted.counts.of_users, predicted, items)
    if not reason:
        columns = known.kept.columns(), known.choosing.columns()
        neighbours, choosing["item_knn"] = fit_item_knn(*columns, of_kept)
        found["item_knn"] = neighbours.refitted(known.fitted.columns(), bias_only)
    return Baselines(found, choosing, Warm.of(kept.counts), reason)


def choosing_predictions(
    known: Known,
    baselines: Baselines,
    models: Mapping[str, Path],
    order: Rows,
    bounds: tuple[float, float],
    scratch: Scratch = TEMPORARY,
) -> dict[str, Floats]:
    """Return what each row predicts of the ratings that choose, by fits without them, clipped to `bounds`.

    A rating whose user or item is cold to these fits gets the prediction of bias_only from every model.

    Args:
        models: row -> .npy file of the predictions of its fit to the training ratings.
        order: which of those is of each rating that chooses, shape (rows,).
    """
    of_biases = baselines.choosing["bias_only"]

    def predicted(of_model: Floats) -> Iterator[Floats]:
        start = 0
        for user, item, _ in known.choosing:
            block = slice(start, start := start + len(user))
            cold = baselines.kept.cold(user, item)
            yield clipped(np.where(cold, of_biases[block], of_model[order[block]]), bounds)
            give_back(of_biases, of_model)

    blocks = {name: predicted(np.load(path, mmap_mode="r")) for name, path in models.items()}
    for name, of_baseline in baselines.choosing.items():
        blocks[name] = (clipped(block, bounds) for (block,) in in_blocks(of_baseline))
    return {name: scratch.column(np.float64, len(order), of_row) for name, of_row in blocks.items()}
