"""How far predicted ratings are from the actual ones."""

import numpy as np
import numpy.typing as npt
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from recsys.evaluation.results import Score


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


def user_rmse(
    user: npt.NDArray[np.int32], rating: npt.NDArray[np.floating], prediction: npt.NDArray[np.floating]
) -> float:
    """Return the RMSE of each user's ratings, averaged over the users, in rating units.

    Every user counts alike here; in the RMSE over all ratings, those with many of them count most.

    Args:
        user: codes, shape (rows,).
        rating: shape (rows,).
        prediction: shape (rows,).
    """
    squares = (rating.astype(np.float64) - prediction) ** 2
    rows = np.bincount(user)
    means = np.bincount(user, weights=squares)[rows > 0] / rows[rows > 0]
    return float(np.sqrt(means).mean())
