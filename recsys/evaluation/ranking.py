"""Ranking of the whole catalogue for test users, by predicted ratings.

Metrics over a few sampled items can rank models differently from the same metrics over all items (Krichene and Rendle
2020, 'On Sampled Metrics for Item Recommendation').
"""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recsys.arrays import require_finite, require_whole_number
from recsys.blocks import RatingBlocks, give_back
from recsys.evaluation.metrics import TOP, RankedItems, ranking_scores
from recsys.evaluation.results import RankedLists, Ranking
from recsys.models.predictor import Codes, Floats, Predictor
from recsys.models.sums import PairCounts, RatingSums

Rows = tuple[Codes, Codes, npt.NDArray[np.float32]]

STEPS = 2.0**24
"""Steps of predictions to one standard deviation of the ratings, about those of single precision: what differs by less
differs by rounding, which is another on another scale of the ratings."""

THREADS = 2
"""Blocks of lists that are ranked at once, which changes no number."""

PAIRS = 1_048_576
"""Pairs of a user and an item ranked at once: about 40 MB, or one list where the catalogue is larger."""


@dataclass(frozen=True)
class Lists:
    """The users whose lists are ranked, with their seen and their relevant items.

    Attributes:
        user: int32 codes, shape (lists,), ascending.
        item: int32 codes of the whole catalogue in a random order, shape (items,), which decides between equal scores.
        seen: bool, shape (lists, items), columns as in `item`: items with a training or validation rating of the user,
            which are not ranked.
        relevant: bool, shape (lists, items), columns as in `item`: unseen items with a high test rating of the user;
            at least one in every row.
        mean: of the known ratings.
        sd: standard deviation of the known ratings, in rating units; 1 where they are all equal.
        facts: how these users were chosen.
    """

    user: Codes
    item: Codes
    seen: sparse.csr_array
    relevant: sparse.csr_array
    mean: float
    sd: float
    facts: RankedLists


def lists_to_rank(
    known: Rows | RatingSums,
    test: Rows,
    users: int,
    items: int,
    *,
    threshold: float | None,
    most: int,
    seed: int,
    repeats: bool = True,
) -> Lists:
    """Choose the test users whose lists are ranked, and the order of equal scores.

    Test users without a relevant item are left out. Of the others, `most` are drawn where there are more. Item codes
    may correlate with popularity, as ids do, so equal scores are ordered at random, the same for all lists and models.

    `known` are the training and validation rows, or what they come to, `test` the test rows: user codes, item codes and
    ratings, of shape (rows,). `threshold` is the lowest rating of a relevant item, in rating units; None for the mean
    of the known ratings. `most` is above 0; `seed` is that of both draws. `repeats` is False only where no test rating
    is of a user and an item with a known rating.

    Raises:
        BadIds: a code is of none of so many users and items.
        BadRatings: there are no ratings, or one is no finite number.
        BadSettings: `most` is no whole number of 1 or more.
    """
    sums = known if isinstance(known, RatingSums) else RatingSums.of(known, users, items)
    tested = RatingBlocks.all(test, users, items)
    most = require_whole_number(most, "The number of users to rank for")
    threshold = sums.mean if threshold is None else require_finite(threshold, "The threshold")
    reached = np.float32(threshold)  # in single precision like the ratings, so that 3.6 reaches 3.6

    def relevant() -> Iterator[tuple[Codes, Codes]]:
        for user, item, rating in tested:
            rows = rating >= reached
            if repeats:
                rows &= ~sums.counts.has(user, item)
                give_back(sums.counts.item)
            yield user[rows], item[rows]

    is_tested, is_eligible, is_chosen = (np.zeros(users, np.bool_) for _ in range(3))
    for user, _, _ in tested:
        is_tested[user] = True
    for user, _ in relevant():
        is_eligible[user] = True
    random = np.random.default_rng(seed)
    order = random.permutation(items).astype(np.int32)
    eligible = np.flatnonzero(is_eligible).astype(np.int32)
    chosen = np.sort(random.choice(eligible, most, replace=False)) if len(eligible) > most else eligible
    is_chosen[chosen] = True
    liked = [(user[is_chosen[user]], item[is_chosen[user]]) for user, item in relevant()]
    return Lists(
        user=chosen,
        item=order,
        seen=_marked(sums.counts, chosen, order),
        relevant=_marked(PairCounts.of(liked, users, items), chosen, order),
        mean=sums.mean,
        sd=math.sqrt(sums.variance) or 1.0,
        facts=RankedLists(
            users=len(chosen),
            eligible_users=len(eligible),
            users_without=int(is_tested.sum()) - len(eligible),
            items=items,
            threshold=threshold,
        ),
    )


def _marked(pairs: PairCounts, users: Codes, items: Codes) -> sparse.csr_array:
    """Which of these items each of these users has rated, bool of shape (users, items)."""
    start = pairs.start[users]
    length = pairs.start[users + 1] - start
    begin = np.concatenate([[0], np.cumsum(length)])
    item = pairs.item[np.repeat(start - begin[:-1], length) + np.arange(begin[-1])]
    give_back(pairs.item)
    shape = len(users), len(pairs.of_items)
    return sparse.csr_array((np.ones(len(item), np.bool_), item, begin), shape=shape)[:, items]


def rank(lists: Lists, predictor: Predictor, pairs: int = PAIRS) -> Ranking | None:
    """Rank the catalogue for every list by predicted rating, equal ones in the order of `lists.item`, and score it.

    Predictions are equal within a step (see `STEPS`), so that another scale or origin of the ratings changes no order.
    `pairs` are predicted at once by each of THREADS, at least one list's; it changes memory, not results. None where
    there is no list.
    """
    count, items = lists.relevant.shape
    if not count:
        return None
    block = max(1, pairs // items)

    def ranked(start: int) -> tuple[npt.NDArray[Any], ...]:
        part = slice(start, min(start + block, count))
        user = lists.user[part]
        predicted = predictor.predict(np.repeat(user, items), np.tile(lists.item, len(user))).astype(np.float64)
        scores = np.rint((predicted - lists.mean) * (STEPS / lists.sd)).reshape(len(user), items)
        seen = lists.seen[part].toarray()
        scores[seen] = -np.inf
        relevant = lists.relevant[part].toarray()
        first, tied = highest(scores, min(TOP, items))
        top = np.where(np.take_along_axis(seen, first, axis=1), -1, lists.item[first])
        return (
            top,
            np.take_along_axis(relevant, first, axis=1),
            _best_place(scores, relevant),
            relevant.sum(axis=1),
            tied,
        )

    with ThreadPoolExecutor(THREADS) as threads:
        blocks = list(threads.map(ranked, range(0, count, block)))
    top, hits, first_hit, relevant, ties = (np.concatenate(part) for part in zip(*blocks, strict=True))
    tied = int(ties.sum())
    return Ranking.model_validate(
        {"users": count, "tied_users": tied, **ranking_scores(RankedItems(top, hits, first_hit, relevant, items))}
    )


def highest(scores: Floats, count: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Return the columns of the highest scores of each row, best first and equal ones in order, shape (rows, count).

    `scores` are of shape (rows, columns), `count` is from 1 to columns. Also returned, shape (rows,), is whether the
    last of them is as high as the next. Only what comes first is sorted.
    """
    rows, columns = scores.shape
    lowest = columns - count
    parted = np.partition(scores, [max(0, lowest - 1), lowest], axis=1)
    last, next_one = parted[:, [lowest]], parted[:, [max(0, lowest - 1)]]
    above, equal = scores > last, scores == last
    kept = above | (equal & (np.cumsum(equal, axis=1) <= count - above.sum(axis=1, keepdims=True)))
    found = np.nonzero(kept)[1].reshape(rows, count)
    order = np.argsort(-np.take_along_axis(scores, found, axis=1), axis=1, kind="stable")
    tied = (last == next_one) & np.isfinite(last) & (lowest > 0)
    return np.take_along_axis(found, order, axis=1), tied[:, 0]


def _best_place(scores: Floats, relevant: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Return the place, from 1, of the first relevant column of each row, of which there is one, shape (rows,)."""
    best = np.where(relevant, scores, -np.inf).argmax(axis=1)[:, None]
    score = np.take_along_axis(scores, best, axis=1)
    before = (scores > score) | ((scores == score) & (np.arange(scores.shape[1]) < best))
    return np.asarray(1 + before.sum(axis=1))
