"""Prediction intervals: of models that know how uncertain they are, how often the rating lies inside."""

import numpy as np
from scipy.special import ndtri

from recsys.blocks import in_blocks
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
    rows = int(np.count_nonzero(~test.cold))
    if not isinstance(predictor, UncertainPredictor) or not rows:
        return []
    covered, width = np.zeros(len(LEVELS)), np.zeros(len(LEVELS))
    for block in in_blocks(test.user, test.item, test.rating, test.cold):
        user, item, rating = (column[~block[3]] for column in block[:3])
        prediction, deviation = predictor.predict(user, item), predictor.standard_deviation(user, item)
        for place, level in enumerate(LEVELS):
            reach = float(ndtri((1 + level) / 2)) * deviation
            low, high = clipped(prediction - reach, bounds), clipped(prediction + reach, bounds)
            covered[place] += np.count_nonzero((low <= rating) & (rating <= high))
            width[place] += float(np.sum(high - low))
    return [
        Interval(level=level, covered=float(covered[place]) / rows, width=float(width[place]) / rows)
        for place, level in enumerate(LEVELS)
    ]
