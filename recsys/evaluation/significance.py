"""Significance of differences between models: a paired bootstrap over users, corrected for multiple comparisons.

Errors of one user's ratings are correlated, so users are resampled, with all of their test ratings (pairs cluster
bootstrap; Cameron, Gelbach and Miller 2008, "Bootstrap-Based Improvements for Inference with Clustered Errors").
The statistic is a ratio, the sum of the differences over the number of rows, which is the difference of the MSEs.

The p value and the interval come from the bootstrap's standard error and Student's t with one degree of freedom
less than there are users (Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapters 6 and 12). The
share of resamples beyond zero would need no t, but is at least 1 / `resamples`: corrected for several pairs, 100
resamples could then find no difference significant, however large.

This covers the sampling of test users, not another training or another split.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr, stdtrit

from recsys.arrays import as_codes, as_numbers, require_finite, require_one_length, require_whole_number
from recsys.blocks import give_back, in_blocks
from recsys.errors import BadSettings
from recsys.evaluation.results import Difference, DifferenceVerdict
from recsys.evaluation.thresholds import LEVEL
from recsys.models.sums import counted

DRAWN_AT_ONCE = 2_000_000
"""Users drawn at once, over all resamples of a chunk: about 60 MB."""

Floats = npt.NDArray[np.float64]


def compare_pairs(
    user: npt.NDArray[np.integer],
    rating: npt.NDArray[np.floating],
    predicted: Mapping[str, Sequence[npt.NDArray[np.floating]]],
    pairs: Sequence[tuple[str, str]],
    *,
    smallest_effect: float,
    resamples: int,
    seed: int,
) -> list[Difference]:
    """Test the difference of MSE of each pair of models.

    Args:
        user: codes from 0, shape (rows,); rows of one user are drawn together.
        rating: shape (rows,), in rating units.
        predicted: name -> predictions, shape (rows,), one for each seed, over which squared errors are averaged.
        pairs: names (one, other); a negative difference means that `one` has the lower MSE. p values are corrected for
            all of them.
        smallest_effect: smaller differences are a tie, in squared rating units.
        resamples: number of bootstrap resamples.

    Raises:
        BadIds: a code of a user is no whole number from 0.
        BadRatings: a rating or a prediction is no finite number, or columns differ in length.
        BadSettings: there are no resamples, or the smallest effect is below 0.
        ValueError: there are no rows, or no predictions of a model of a pair.
    """
    if len(user) == 0:
        raise ValueError("there are no rows to compare on")
    if not pairs:
        return []
    names = list(dict.fromkeys(name for pair in pairs for name in pair))
    if unknown := [name for name in names if not len(predicted.get(name, ()))]:
        raise ValueError(f"there are no predictions of {', '.join(unknown)}")
    user, rating, given = _checked(user, rating, [predicted[name] for name in names])
    predicted = dict(zip(names, given, strict=True))
    _require_effect(smallest_effect)
    resamples = require_whole_number(resamples, "The number of resamples")
    ratings = counted(user, int(user.max()) + 1)
    tested = ratings > 0
    sums = np.stack([squared_errors_of_users(user, rating, predicted[name])[tested] for name in names], axis=1)
    rows = ratings[tested].astype(np.float64)

    one, other = ([names.index(pair[side]) for pair in pairs] for side in (0, 1))
    mse = sums.sum(axis=0) / rows.sum()
    differences = mse[one] - mse[other]
    errors = _standard_errors(sums, rows, one, other, resamples, np.random.default_rng(seed))
    users = len(rows)
    p = [_p_value(difference, error, users) for difference, error in zip(differences, errors, strict=True)]
    found = []
    for (name, rival), value, error, own_p, corrected in zip(
        pairs, differences.tolist(), errors, p, holm(p), strict=True
    ):
        reach = float(stdtrit(users - 1, 1 - LEVEL / 2)) * error if users > 1 else None
        found.append(
            Difference(
                name=name,
                other=rival,
                mse_difference=value,
                low=None if reach is None else value - reach,
                high=None if reach is None else value + reach,
                p=own_p,
                p_corrected=corrected,
                verdict=_verdict(value, reach, corrected, smallest_effect),
            )
        )
    return found


def chances(
    user: npt.NDArray[np.integer],
    rating: npt.NDArray[np.floating],
    one: Sequence[npt.NDArray[np.floating]],
    other: Sequence[npt.NDArray[np.floating]],
    *,
    smallest_effect: float,
    resamples: int,
    seed: int,
) -> tuple[float, float, float]:
    """Return how likely it is that `one` is better, that both are practically equal, and that `other` is better.

    These are the shares of bootstrap resamples whose difference in MSE is below -`smallest_effect`, less than it either
    way (the region of practical equivalence; Kruschke 2018, "Rejecting or Accepting Parameter Values in Bayesian
    Estimation"), and above. Resampled are the users and, of each model, the seeds; one seed does not vary.

    Args:
        user: as for `compare_pairs`, like `rating`, `smallest_effect` and `resamples`.
        one: predictions by each seed, shape (rows,) each.
        other: the same of the other model.

    Raises:
        BadIds, BadRatings, BadSettings, ValueError: as for `compare_pairs`.
    """
    _require_effect(smallest_effect)
    drawn, _ = resampled_mse(user, rating, (one, other), resamples, seed)
    difference = drawn[:, 0] - drawn[:, 1]
    better, worse = float(np.mean(difference < -smallest_effect)), float(np.mean(difference > smallest_effect))
    return better, 1 - better - worse, worse


def resampled_mse(
    user: npt.NDArray[np.integer],
    rating: npt.NDArray[np.floating],
    predicted: Sequence[Sequence[npt.NDArray[np.floating]]],
    resamples: int,
    seed: int,
) -> tuple[Floats, Floats]:
    """Return the MSE of some rows in resamples of the test users and of each row's seeds, and the MSE as it is.

    Deviations are scaled to the variance of a sample, as that of a resample is smaller.

    Args:
        user: codes from 0, shape (rows,); rows of one user are drawn together, the same ones for all.
        rating: shape (rows,), in rating units.
        predicted: for each row its predictions, shape (rows,), one for each seed.

    Returns:
        Two arrays of shapes (resamples, len(predicted)) and (len(predicted),), in squared rating units.

    Raises:
        BadIds, BadRatings, BadSettings, ValueError: as for `compare_pairs`.
    """
    if len(user) == 0 or not predicted or not all(map(len, predicted)):
        raise ValueError("there are no rows, or no predictions, to compare")
    user, rating, predicted = _checked(user, rating, predicted)
    resamples = require_whole_number(resamples, "The number of resamples")
    random = np.random.default_rng(seed)
    ratings = counted(user, int(user.max()) + 1)
    tested, rows = ratings > 0, ratings[ratings > 0].astype(np.float64)
    users = len(rows)
    of_seeds = [
        np.stack([squared_errors_of_users(user, rating, [one])[tested] for one in seeds]) for seeds in predicted
    ]
    sums = np.stack([of_model.mean(axis=0) for of_model in of_seeds], axis=1)
    mse = sums.sum(axis=0) / rows.sum()
    deviation = np.zeros((resamples, len(predicted)))
    if users > 1:
        deviation += (mse_in_resamples(sums, rows, resamples, random) - mse) * np.sqrt(users / (users - 1))
    for place, of_model in enumerate(of_seeds):
        many = len(of_model)
        if many > 1:
            own = of_model.sum(axis=1) / rows.sum()
            means = own[random.integers(many, size=(resamples, many))].mean(axis=1)
            deviation[:, place] += (means - own.mean()) * np.sqrt(many / (many - 1))
    return mse + deviation, mse


def holm(p: Sequence[float]) -> list[float]:
    """Correct p values for multiple comparisons (Holm 1979, "A Simple Sequentially Rejective Multiple Test Procedure").

    The corrected p values, in the order given and each at most 1, control the family-wise error rate under any
    dependence.

    Raises:
        BadRatings: one is no finite number.
        ValueError: one is not from 0 to 1.
    """
    if strange := [value for value in as_numbers(p, "p value").tolist() if not 0 <= value <= 1]:
        raise ValueError(f"{strange[0]} is no p value: give numbers from 0 to 1")
    corrected, largest = [0.0] * len(p), 0.0
    for rank, place in enumerate(sorted(range(len(p)), key=lambda place: p[place])):
        largest = max(largest, min(1.0, (len(p) - rank) * p[place]))
        corrected[place] = largest
    return corrected


def _checked(
    user: npt.NDArray[np.integer],
    rating: npt.NDArray[np.floating],
    predicted: Sequence[Sequence[npt.NDArray[np.floating]]],
) -> tuple[npt.NDArray[np.integer], npt.NDArray[np.floating], list[list[npt.NDArray[np.floating]]]]:
    user, rating = as_codes(user, "user"), as_numbers(rating, "rating")

    def checked(values: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        prediction = as_numbers(values, "prediction")
        require_one_length(user_code=user, rating=rating, prediction=prediction)
        give_back(prediction)
        return prediction

    several = [[seeds] if isinstance(seeds, np.ndarray) and seeds.ndim == 1 else seeds for seeds in predicted]
    return user, rating, [[checked(prediction) for prediction in seeds] for seeds in several]


def _require_effect(smallest_effect: float) -> None:
    if require_finite(smallest_effect, "The smallest effect") < 0:
        raise BadSettings(f"The smallest effect is {smallest_effect}: give a number of 0 or more.")


def squared_errors_of_users(
    user: npt.NDArray[np.integer], rating: npt.NDArray[np.floating], predicted: Sequence[npt.NDArray[np.floating]]
) -> Floats:
    """The squared errors of each user, summed over rows and averaged over seeds, shape (users,)."""
    sums = np.zeros(int(user.max()) + 1)
    for prediction in predicted:
        for of, given, expected in in_blocks(user, rating, prediction):
            error = np.subtract(expected, given, dtype=np.float64)
            sums += np.bincount(of, weights=np.square(error, out=error), minlength=len(sums))
    return sums / len(predicted)


def _standard_errors(
    sums: Floats, rows: Floats, one: Sequence[int], other: Sequence[int], resamples: int, random: np.random.Generator
) -> list[float]:
    users = len(rows)
    if users < 2:
        return [0.0] * len(one)
    mse = mse_in_resamples(sums, rows, resamples, random)
    # a resample's variance is that of a population, smaller than the sample's by this factor
    spread = (mse[:, one] - mse[:, other]).std(axis=0, ddof=1) * np.sqrt(users / (users - 1))
    return [float(error) for error in spread]


def mse_in_resamples(sums: Floats, rows: Floats, resamples: int, random: np.random.Generator) -> Floats:
    """Return the MSE of each column in resamples of the users, shape (resamples, columns).

    Args:
        sums: squared errors of each user, shape (users, columns).
        rows: ratings of each user, shape (users,).
    """
    users = len(rows)
    drawn = []
    chunk = max(1, DRAWN_AT_ONCE // users)
    weighed = np.vstack([sums.T, rows])
    for start in range(0, resamples, chunk):
        size = min(chunk, resamples - start)
        # counts of uniform draws are multinomial, and ten times as fast as asking numpy for a multinomial
        places = random.integers(users, size=(size, users))
        places += users * np.arange(size)[:, None]
        counts = np.bincount(places.ravel(), minlength=size * users).reshape(size, users)
        # no BLAS, whose bits depend on the number of cores
        totals = np.einsum("ru,cu->rc", counts, weighed)
        drawn.append(totals[:, :-1] / totals[:, -1:])
    return np.concatenate(drawn)


def _p_value(difference: float, error: float, users: int) -> float:
    if users < 2 or difference == 0:
        return 1.0
    return float(2 * stdtr(users - 1, -abs(difference) / error)) if error > 0 else 0.0


def _verdict(value: float, reach: float | None, p_corrected: float, smallest_effect: float) -> DifferenceVerdict:
    certain = p_corrected < LEVEL
    if certain and abs(value) >= smallest_effect:
        return "better" if value < 0 else "worse"
    # a small difference with a wide interval may be a large one: only a narrow interval shows that it is small
    narrow = reach is not None and abs(value) + reach <= smallest_effect
    return "too small" if certain or narrow else "not certain"
