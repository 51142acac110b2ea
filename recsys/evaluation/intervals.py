"""Prediction intervals: of models that know how uncertain they are, how often the rating lies inside."""

import numpy as np
from scipy.special import ndtri

from recsys.evaluation.inputs import Tested
from recsys.evaluation.results import Interval
from recsys.models.predictor import Predictor, UncertainPredictor, clipped

LEVELS = (0.8, 0.9)
"""Probabilities with which a rating is to lie inside of its interval."""


def intervals(predictor: Predictor, test: Tested, bounds: tuple[float, float] | None) -> list[Interval]:
    """Return the share of the warm test ratings inside of their intervals, for each of LEVELS.

    An interval is normal about the prediction, and ends at the `bounds` of the scale at the latest. Nothing is returned
    for a predictor without standard deviations, or without warm test ratings.
    """
    warm = ~test.cold
    if not isinstance(predictor, UncertainPredictor) or not warm.any():
        return []
    user, item, rating = test.user[warm], test.item[warm], test.rating[warm]
    prediction, deviation = predictor.predict(user, item), predictor.standard_deviation(user, item)
    found = []
    for level in LEVELS:
        reach = float(ndtri((1 + level) / 2)) * deviation
        low, high = clipped(prediction - reach, bounds), clipped(prediction + reach, bounds)
        inside = (low <= rating) & (rating <= high)
        found.append(Interval(level=level, covered=float(inside.mean()), width=float(np.mean(high - low))))
    return found
