"""How far predicted ratings are from the actual ones."""

import numpy as np
import numpy.typing as npt
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from recsys.evaluation.comparison import Score


def score(rating: npt.NDArray[np.floating], prediction: npt.NDArray[np.floating]) -> Score:
    """Score predictions, shape (rows,), against ratings, shape (rows,), in double precision."""
    rating, prediction = rating.astype(np.float64), prediction.astype(np.float64)
    mse = float(mean_squared_error(rating, prediction))
    varies = len(rating) > 1 and rating.min() < rating.max()
    return Score(
        rows=len(rating),
        mse=mse,
        rmse=mse**0.5,
        mae=float(mean_absolute_error(rating, prediction)),
        r2=float(r2_score(rating, prediction)) if varies else None,
    )
