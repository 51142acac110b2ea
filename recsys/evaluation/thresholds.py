"""When a difference counts: the thresholds of every tie in the report, of size and of evidence."""

import math

LEVEL = 0.05
"""A corrected p value from here on is chance as far as anyone can tell."""

TIE_SHARE_OF_VARIANCE = 0.0045
"""Gaps in MSE below this share of the ratings' variance are a tie, unless the settings name a number: 0.005
where the variance is 1.12, as on MovieLens' scale of 0.5 to 5. That is about what another seed or another
split moves."""

TIE_TEST_ROWS = 20_000
"""Where no difference was tested, two standard errors of a paired difference over this many test ratings
are the smallest effect. With fewer of them chance moves more, as one over the square root of their number;
with more of them the seed still does, so the margin does not shrink."""


def smallest_effect(min_effect: float | None, rating_sd: float) -> float:
    """Return the MSE difference below which two rows are a tie, in squared rating units.

    Args:
        min_effect: the setting of that name, in squared rating units; None follows the ratings' scale.
        rating_sd: standard deviation of the ratings, in rating units.
    """
    return TIE_SHARE_OF_VARIANCE * rating_sd**2 if min_effect is None else min_effect


def chance_factor(rows: int) -> float:
    """How many times the smallest effect chance may bring over so many ratings."""
    return max(1.0, math.sqrt(TIE_TEST_ROWS / max(1, rows)))
