"""Rows that are made of other rows: the mean of a model's seeds, and a blend.

The blend is stacking (Breiman 1996, "Stacked Regressions"), with weights that may be shrunk towards equal ones.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from recsys.arrays import Columns
from recsys.blocks import in_blocks
from recsys.data.draw import folds_of
from recsys.data.pairs import pairs_of
from recsys.evaluation.inputs import Rows, Tested
from recsys.evaluation.predictions import Predictions, scores
from recsys.evaluation.results import BaselineResult, Combination, ModelResult
from recsys.models.blend import blended
from recsys.models.predictor import Floats, clipped
from recsys.models.specs import BLEND, ROW, TUNED

FOLDS = 5
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""How far the weights of a blend may be moved towards equal ones."""

Array = npt.NDArray[np.float64]


def blend_weights(
    rating: Floats, predicted: Mapping[str, Floats], mean: float, folds: npt.NDArray[np.integer] | None = None
) -> tuple[dict[str, float], float]:
    """Return the weights, none below 0, of the sum that errs least: mean + sum of w (prediction - mean).

    Weights that are fitted to few ratings differ by chance. So those above 0 are moved towards their mean by the share
    of SHARES that errs least in a cross-validation over these ratings; by nothing, where that gains no more than one
    standard error over the folds, or where a fold has no rating.

    Args:
        rating: shape (rows,), ratings that none of the predictions was fitted to.
        predicted: name -> predictions of these rows, shape (rows,).
        mean: what a prediction of nothing is, in rating units.
        folds: the fold of each rating, from 0 to FOLDS - 1, shape (rows,); else every FOLDS-th rating is in one.

    Returns:
        The weights by name, without those that are 0: none, where no prediction differs from the mean. And the share.
    """
    parts = [_Products.of(np.zeros((0, len(predicted))), np.zeros(0))] * FOLDS
    start = 0
    for known, *block in in_blocks(rating, *predicted.values()):
        rows = slice(start, start := start + len(known))
        fold_of = folds[rows] if folds is not None else np.arange(rows.start, rows.stop) % FOLDS
        deviations = np.stack([prediction.astype(np.float64) - mean for prediction in block], axis=1)
        target = known.astype(np.float64) - mean
        for fold in range(FOLDS):
            own = fold_of == fold
            parts[fold] = _Products.added([parts[fold], _Products.of(deviations[own], target[own])])
    share = _share_of_equal_weights(parts) if all(part.rows for part in parts) else 0.0
    weights = _moved(_least_squares(_Products.added(parts)), share)
    return {name: float(weight) for name, weight in zip(predicted, weights, strict=True) if weight > 0}, share


class _Products(NamedTuple):
    """Sums over rows, from which weights and their errors follow however many rows there are.

    Of the products of members, shape (members, members), of members and ratings, shape (members,), and of squared
    ratings, all less the mean; and the number of rows.
    """

    members: Array
    ratings: Array
    squares: float
    rows: int

    @classmethod
    def of(cls, deviations: Array, target: Array) -> Self:
        # einsum, as the bits of BLAS depend on the cores
        members, ratings = np.einsum("ri,rj->ij", deviations, deviations), np.einsum("ri,r->i", deviations, target)
        return cls(members, ratings, float(np.einsum("r,r->", target, target)), len(target))

    @classmethod
    def added(cls, parts: Sequence[Self]) -> Self:
        members, ratings, squares, rows = zip(*parts, strict=True)
        return cls(np.sum(members, axis=0), np.sum(ratings, axis=0), sum(squares), sum(rows))

    def error(self, weights: Array) -> float:
        """Mean squared error of the weighted sum."""
        explained = 2 * np.einsum("i,i->", self.ratings, weights)
        return float(self.squares - explained + np.einsum("i,ij,j->", weights, self.members, weights)) / self.rows


def _least_squares(products: _Products) -> Array:
    gram = products.members
    if not gram.any():
        return np.zeros(len(gram))
    ridge = 1e-9 * np.trace(gram) / len(gram) * np.eye(len(gram))
    root = np.linalg.cholesky(gram + ridge).T
    weights: Array = nnls(root, np.linalg.solve(root.T, products.ratings))[0]
    return weights


def _moved(weights: Array, share: float) -> Array:
    """Move the weights above 0 towards their mean, so that their sum stays."""
    used = weights > 0
    moved: Array = (1 - share) * weights + share * used * (weights.sum() / max(1, used.sum()))
    return moved


def _share_of_equal_weights(parts: Sequence[_Products]) -> float:
    errors = []
    for left_out, part in enumerate(parts):
        weights = _least_squares(_Products.added([*parts[:left_out], *parts[left_out + 1 :]]))
        errors.append([part.error(_moved(weights, share)) for share in SHARES])
    gains = np.array(errors)[:, :1] - np.array(errors)
    best = int(gains.mean(axis=0).argmax())
    chance = gains[:, best].std(ddof=1) / len(parts) ** 0.5
    return SHARES[best] if gains[:, best].mean() > chance else 0.0


class Weights(NamedTuple):
    """The weights of a blend by row, how far they were moved towards equal ones, and the mean of the ratings."""

    of: dict[str, float]
    equal_share: float
    mean: float


def weigh(
    choosing: Columns, predicted: Mapping[str, Floats], places: Rows | None = None, *, repeats: bool = True
) -> Weights:
    """Return the weights of the rows that may be blended, of those whose predictions of the ratings are given.

    Ratings of one user and one item are in one fold of the cross-validation. Where there are none or `repeats` is
    False, every FOLDS-th rating is in one, counted by `places`, shape (rows,), or else as they are given.
    """
    user, item, rating = choosing
    pairs, folds = pairs_of(user, item) if repeats else None, None
    if pairs is not None:
        folds = np.empty(len(rating), np.int32)
        folds[pairs.rows] = np.repeat(folds_of(pairs, FOLDS, seed=0), pairs.sizes)
    elif places is not None:
        folds = (places % FOLDS).astype(np.int8)
    members = {name: predicted[name] for name, spec in ROW.items() if spec.blended and name in predicted}
    mean = float(rating.mean(dtype=np.float64))
    return Weights(*blend_weights(rating, members, mean, folds), mean)


def combine(
    rows: Sequence[BaselineResult],
    predicted: Predictions,
    weights: Weights,
    test: Tested,
    bounds: tuple[float, float] | None,
) -> list[tuple[Combination, npt.NDArray[np.float32]]]:
    """Return the mean of each tuned model's seeds, and the blend of these means with the better baselines.

    `rows` are those of the single models and baselines. Predictions are clipped to `bounds`.

    Returns:
        Each row with its predictions of the test rows, shape (rows,).
    """
    row = {row.name: row for row in rows}

    def of_block(block: Sequence[Floats], members: Mapping[str, float], kind: str) -> Floats:
        fits = iter(block)
        averaged: dict[str, Floats] = {
            name: np.asarray(np.mean([next(fits) for _ in predicted.test[name]], axis=0, dtype=np.float64))
            for name in members
        }
        if kind == "seeds":
            [mean] = averaged.values()
            return mean
        return clipped(blended(averaged, members, weights.mean), bounds)

    def combined(
        name: str,
        title: str,
        kind: Literal["seeds", "blend"],
        weights: Mapping[str, float],
        equal_share: float = 0.0,
    ) -> tuple[Combination, npt.NDArray[np.float32]]:
        members = [(row[member], len(predicted.test[member])) for member in weights]
        fits = [prediction for member in weights for prediction in predicted.test[member]]
        blocks = (of_block(block, weights, kind) for block in in_blocks(*fits))
        prediction = predicted.scratch.column(np.float32, len(test.user), blocks)
        combination = Combination(
            name=name,
            title=title,
            kind=kind,
            members=list(weights),
            weights=list(weights.values()),
            equal_share=equal_share,
            parameters=sum(member.parameters * many for member, many in members),
            epochs=0,
            best_epoch=None,
            fit_seconds=round(sum(_seconds(member) for member, _ in members), 3),
            predict_microseconds=sum((member.predict_microseconds or 0) * many for member, many in members),
            ranking=None,
            **scores(test, [prediction], predicted.scratch),
        )
        return combination, prediction

    found = [
        combined(f"{spec.name}_mean", f"{spec.title} × {many}", "seeds", {spec.name: 1.0})
        for spec in TUNED
        if (many := len(predicted.test.get(spec.name, []))) > 1
    ]
    if len(weights.of) > 1:
        found.append(combined(BLEND, BLEND, "blend", weights.of, weights.equal_share))
    return found


def _seconds(row: BaselineResult) -> float:
    return sum(one.fit_seconds for one in row.seeds) if isinstance(row, ModelResult) else row.fit_seconds
