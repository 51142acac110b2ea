"""The weights of a blend that is to be used, and its baselines, as the comparison has them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from recsys.errors import NoBlend
from recsys.evaluation.baselines import choosing_predictions, fit_all
from recsys.evaluation.ensembles import weigh
from recsys.evaluation.inputs import Known
from recsys.models.baselines import fit_baselines
from recsys.models.item_knn import ItemKNN
from recsys.models.popularity_slope import PopularitySlope
from recsys.training.fit import FitData


def known_columns(training: Mapping[str, Path]) -> Known:
    """Return the training and validation ratings; `training` is name -> path of the codes and of these rows."""
    data = FitData.load(training)
    return Known.of(data.columns, data.train, data.validation)


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
    known, whole = known_columns(training), FitData.load(fitted)
    users, items = (pq.read_metadata(training[name]).num_rows for name in ("users", "items"))
    unfitted = np.bincount(whole.user, minlength=users) - np.bincount(known.fitted[0], minlength=users)
    baselines = fit_all(known, users, items, np.repeat(np.arange(users, dtype=np.int32), unfitted))
    rating = known.fitted[2]
    bounds = float(rating.min()), float(rating.max())
    weights = weigh(known.choosing, choosing_predictions(known, baselines, validation, bounds))
    if not weights.of:
        raise NoBlend("No model and no baseline has a weight in the blend: choose a model to use with --use.")
    rows = whole.with_validation.train
    ratings = known.fitted if len(rows) == len(known.fitted[0]) else whole.columns(rows)
    for name in weights.of:
        baseline = baselines.fitted.get(name)
        if isinstance(baseline, PopularitySlope):
            baseline.refitted(ratings).save(folder / f"{name}.npz")
        elif isinstance(baseline, ItemKNN):
            biases = fit_baselines(ratings, known.choosing, users, items, known.kept)["bias_only"]
            baseline.refitted(ratings, biases).save(folder / f"{name}.npz")
    return {"weights": weights.of, "mean": weights.mean}
