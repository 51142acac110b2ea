"""Would more ratings change the answer? The test errors of both winners by the number of ratings they were fitted to.

Each share of the ratings stands for a table of its own: its biases, its cold users and items and its range are those of
the share. All shares are judged on the same test ratings, so that the resamples of their users are the same for all
points, and the gap between the models is a paired one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from pkgutil import resolve_name

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from recsys.blocks import TEMPORARY, Scratch
from recsys.evaluation.inputs import Models, Ratings, Tested, known_ratings
from recsys.evaluation.metrics import mse as mean_squared_error
from recsys.evaluation.power_law import FEWEST_POINTS, TIMES, outlook_of
from recsys.evaluation.predictions import predict
from recsys.evaluation.results import Estimate, MissingPoint, SizeCurve, SizePoint
from recsys.evaluation.significance import mse_in_resamples, squared_errors_of_users
from recsys.evaluation.thresholds import LEVEL
from recsys.models.baselines import choose_biases, refit_biases
from recsys.models.fallback import BiasesWhereCold, Warm
from recsys.models.specs import FAMILIES, MODEL, Family
from recsys.models.sums import RatingSums, counted
from recsys.settings import SplitSettings
from recsys.store.store import Store

Floats = npt.NDArray[np.float64]

TRAINING = "training"
"""Name of the rows among what was made of a share."""


@dataclass(frozen=True)
class ShareFits:
    """Fits of both winners, by name, to a share of the ratings; `seconds` is what they took."""

    share: float
    train: npt.NDArray[np.integer]
    validation: npt.NDArray[np.integer]
    fits: Mapping[str, Path]
    seconds: float


@dataclass(frozen=True)
class Winner:
    """The winner of a family: its row, and what each of its seeds predicts of the test ratings, shape (rows,)."""

    name: str
    predicted: Sequence[npt.NDArray[np.floating]]


def load_shares(store: Store, shares: Models) -> list[ShareFits | MissingPoint]:
    """Return what there is of each share, by which `shares` has its rows, as `training`, and its fits by name."""
    found: list[ShareFits | MissingPoint] = []
    for key, made in shares.items():
        fits = {name: one for name, one in made.items() if not isinstance(one, Exception)}
        if len(fits) < len(made):
            reason = next(str(one) for one in made.values() if isinstance(one, Exception))
            found.append(MissingPoint(share=float(key), reason=reason))
            continue
        rows = store.paths(fits.pop(TRAINING))
        found.append(
            ShareFits(
                float(key),
                train=np.load(rows["train"], mmap_mode="r"),
                validation=np.load(rows["validation"], mmap_mode="r"),
                fits={name: store.path(fit, MODEL[name].file) for name, fit in fits.items()},
                seconds=sum(fit["facts"]["seconds"] for fit in fits.values()),
            )
        )
    return found


def learning_curve(
    shares: Sequence[ShareFits | MissingPoint],
    winners: Mapping[Family, Winner],
    ratings: Ratings,
    split: SplitSettings,
    test: Tested,
    sizes: tuple[int, int],
    *,
    resamples: int,
    seed: int,
    times: float = TIMES,
    scratch: Scratch = TEMPORARY,
) -> SizeCurve | None:
    """Return the curve through the shares, fewest ratings first, and all ratings; None without shares.

    Args:
        ratings: with all training and validation rows.
        sizes: number of users and items.
        times: how many times the ratings the power laws are asked about.
    """
    if not shares:
        return None
    fitted = [one for one in shares if isinstance(one, ShareFits)]
    both, rows = [winners[family] for family in FAMILIES], counted(test.user, int(test.user.max()) + 1)
    errors = []
    for one in fitted:
        predicted = predictions_on(one, ratings, split, test, sizes, scratch)
        errors.append([squared_errors_of_users(test.user, test.rating, [predicted[winner.name]]) for winner in both])
    errors.append([squared_errors_of_users(test.user, test.rating, winner.predicted) for winner in both])
    sums = np.stack(errors, axis=1)[..., rows > 0]
    random = np.random.default_rng(seed)
    mse, drawn = _bootstrapped(sums, rows[rows > 0], resamples, random)

    everything = len(ratings.train) + len(ratings.validation)
    facts = [(one.share, len(one.train) + len(one.validation), one.seconds) for one in fitted]
    facts.append((1.0, everything, 0.0))
    points = [
        SizePoint(
            share=share,
            ratings=many,
            mf=_estimate(mse[0, at], drawn[0, at], sums.shape[2]),
            dnn=_estimate(mse[1, at], drawn[1, at], sums.shape[2]),
            gap=_estimate(mse[1, at] - mse[0, at], drawn[1, at] - drawn[0, at], sums.shape[2]),
            seconds=seconds,
        )
        for at, (share, many, seconds) in enumerate(facts)
    ]
    outlook = None
    if len(points) >= FEWEST_POINTS:
        of_seeds = [
            [mean_squared_error(test.rating, predicted, test.user) for predicted in winner.predicted] for winner in both
        ]
        size = np.array([point.ratings for point in points]) / everything
        outlook = outlook_of(size, mse, drawn, of_seeds, everything, random, times)
    missing = [one for one in shares if isinstance(one, MissingPoint)]
    return SizeCurve(mf=winners["mf"].name, dnn=winners["dnn"].name, points=points, missing=missing, outlook=outlook)


def _bootstrapped(
    sums: Floats, rows: npt.NDArray[np.integer], resamples: int, random: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return the MSE of both models at each point, shape (2, points), and in resamples of the test users.

    Args:
        sums: squared errors of each user, shape (2, points, users).
        rows: test ratings of each user, shape (users,).
    """
    users = len(rows)
    mse = sums.sum(axis=2) / rows.sum()
    resampled = mse_in_resamples(sums.reshape(-1, users).T, rows.astype(np.float64), resamples, random)
    drawn = resampled.T.reshape(*mse.shape, resamples)
    if users > 1:  # resamples of n vary less than samples
        drawn = mse[..., None] + (drawn - mse[..., None]) * np.sqrt(users / (users - 1))
    return mse, drawn


def predictions_on(
    one: ShareFits,
    ratings: Ratings,
    split: SplitSettings,
    test: Tested,
    sizes: tuple[int, int],
    scratch: Scratch = TEMPORARY,
) -> dict[str, npt.NDArray[np.float32]]:
    """Return what each fit to a share predicts of the test ratings, shape (rows,), with the biases where it is cold."""
    known = known_ratings(replace(ratings, train=one.train, validation=one.validation), "fair", split)
    fitted, kept = (RatingSums.of(rows, *sizes, scratch) for rows in (known.fitted, known.kept))
    biases = refit_biases(*choose_biases(kept, known.choosing), fitted)
    warm, bounds = Warm.of(fitted.counts), (fitted.lowest, fitted.highest)
    predictors = {
        name: BiasesWhereCold(resolve_name(MODEL[name].load)(path), biases, warm) for name, path in one.fits.items()
    }
    return {name: predict(predictor, test, bounds, scratch) for name, predictor in predictors.items()}


def _estimate(value: float, drawn: Floats, users: int) -> Estimate:
    """A value with the interval that its resamples and Student's t give, as in `compare_pairs`."""
    if users < 2:
        return Estimate(value=float(value), low=None, high=None)
    reach = float(stdtrit(users - 1, 1 - LEVEL / 2) * drawn.std(ddof=1))
    return Estimate(value=float(value), low=float(value) - reach, high=float(value) + reach)
