"""The weights of a blend that is to be used, and its baselines, as the comparison has them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from recsys.blocks import RatingBlocks, Scratch
from recsys.data.pairs import in_order
from recsys.errors import NoBlend
from recsys.evaluation.baselines import choosing_predictions, fit_all
from recsys.evaluation.ensembles import weigh
from recsys.evaluation.inputs import CHOOSING, KEPT, Known
from recsys.models.baselines import fit_baselines
from recsys.models.item_knn import ItemKNN
from recsys.models.popularity_slope import PopularitySlope
from recsys.models.sums import RatingSums, counted
from recsys.training.fit import FitData


def known_columns(training: Mapping[str, Path]) -> Known:
    """Return the training and validation ratings; `training` is name -> path of the codes and of these rows."""
    data = FitData.load(training)
    columns = data.user, data.item, data.rating
    return Known.of(columns, (data.train, KEPT), (data.validation, CHOOSING))


def write_weights(
    folder: Path, validation: Mapping[str, Path], training: Mapping[str, Path], fitted: Mapping[str, Path]
) -> dict[str, Any]:
    """Write the baselines that have a weight, fitted to the `fitted` rows, and return the weights and the mean.

    Args:
        validation: row -> .npy file of the predictions of the validation rows by its fit to the training rows.
        training: name -> path of the codes, and of the training and the validation rows.
        fitted: the same, with the rows that the blend is fitted to.

    Raises:
        NoBlend: no row has a weight.
    """
    known, whole, scratch = known_columns(training), FitData.load(fitted), Scratch(folder.parent)
    users, items = (pq.read_metadata(training[name]).num_rows for name in ("users", "items"))
    sums = RatingSums.of(known.fitted, users, items, scratch)
    baselines = fit_all(known, sums, counted(whole.user, users) - sums.counts.of_users, scratch)
    order = in_order(np.load(training["validation"], mmap_mode="r"))
    predicted = choosing_predictions(known, baselines, validation, order, (sums.lowest, sums.highest), scratch)
    weights = weigh(known.choosing.spooled(scratch), predicted, order)
    if not weights.of:
        raise NoBlend("No model and no baseline has a weight in the blend: choose a model to use with --use.")
    rows = whole.with_validation.train
    ratings = known.fitted if len(rows) == len(known.fitted) else RatingBlocks.all(whole.columns(rows), users, items)
    for name in weights.of:
        baseline = baselines.fitted.get(name)
        if isinstance(baseline, PopularitySlope):
            baseline.refitted(RatingSums.of(ratings, users, items, scratch)).save(folder / f"{name}.npz")
        elif isinstance(baseline, ItemKNN):
            biases = fit_baselines(ratings, known.choosing, users, items, known.kept)["bias_only"]
            baseline.refitted(ratings.columns(), biases).save(folder / f"{name}.npz")
    return {"weights": weights.of, "mean": weights.mean}
