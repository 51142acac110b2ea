"""How well models put the items that a user would like before all others.

Every user's list holds the whole catalogue. Metrics over a few sampled items order models otherwise than
the same metrics over all of them (Krichene and Rendle 2020, 'On Sampled Metrics for Item Recommendation').
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recsys.evaluation.results import RankedLists, Ranking
from recsys.models.predictor import Codes, Predictor

Rows = tuple[Codes, Codes, npt.NDArray[np.float32]]

TOP = 10
"""Places of a list that anybody looks at."""

PAIRS = 1_048_576
"""Pairs of a user and an item ranked at once: some 30 MB, unless the catalogue alone is larger."""


@dataclass(frozen=True)
class Lists:
    """Whose lists are ranked, what is left out of them and what should stand at their top.

    Attributes:
        user: int32 codes, shape (lists,), ascending.
        item: int32 codes of the whole catalogue in a drawn order, shape (items,), in which equal scores stand.
        seen: bool, shape (lists, items), columns as in `item`: items that the user has a training or
            validation rating of.
        relevant: bool, shape (lists, items), columns as in `item`: unseen items that the user rated well in
            the test; one at least in every row.
        facts: how these users were found.
    """

    user: Codes
    item: Codes
    seen: sparse.csr_array
    relevant: sparse.csr_array
    facts: RankedLists


def lists_to_rank(
    known: Rows,
    test: Rows,
    users: int,
    items: int,
    *,
    threshold: float | None,
    most: int,
    seed: int,
) -> Lists:
    """Choose the test users whose lists are ranked, and the order of equal scores.

    A test user without a relevant item has no list to get right and is left out. Of the others, `most`
    are drawn where there are more of them. Codes tell of popularity where ids do, so equal scores stand
    in a drawn order, the same for all lists and whoever predicts.

    Args:
        known: (user codes, item codes, ratings), shape (rows,) each, of the training and validation rows.
        test: the same, of the test rows.
        users: number of user codes.
        items: number of item codes.
        threshold: the lowest rating of a relevant item, in rating units; None: the mean of those known.
        most: how many lists at most; above 0.
        seed: of both draws.
    """
    if threshold is None:
        threshold = float(known[2].mean(dtype=np.float64))
    seen = _marked(known[0], known[1], users, items)
    liked = test[2] >= np.float32(threshold)  # as single as the ratings, so that 3.6 reaches 3.6
    user, item = test[0][liked], test[1][liked]
    unseen = ~np.asarray(seen[user, item]).ravel() if len(user) else np.zeros(0, bool)
    user, item = user[unseen], item[unseen]
    random = np.random.default_rng(seed)
    order = random.permutation(items).astype(np.int32)
    eligible = np.unique(user)
    chosen = eligible
    if len(eligible) > most:
        chosen = np.sort(random.choice(eligible, most, replace=False))
    return Lists(
        user=chosen,
        item=order,
        seen=seen[chosen][:, order],
        relevant=_marked(user, item, users, items)[chosen][:, order],
        facts=RankedLists(
            users=len(chosen),
            eligible_users=len(eligible),
            users_without=len(np.unique(test[0])) - len(eligible),
            items=items,
            threshold=threshold,
        ),
    )


def _marked(user: Codes, item: Codes, users: int, items: int) -> sparse.csr_array:
    return sparse.csr_array((np.ones(len(user), np.bool_), (user, item)), shape=(users, items))


def rank(lists: Lists, predictor: Predictor, pairs: int = PAIRS) -> Ranking | None:
    """Rank the catalogue for every list by the predicted ratings, best first, and score the lists.

    Equal scores stand in the order of `lists.item`. With binary relevance, and K = TOP:

        NDCG@K = sum of 1 / log2(place + 1) over the relevant items of the first K places, as a share of
            what it is with the relevant items first (Järvelin and Kekäläinen 2002, 'Cumulated
            Gain-Based Evaluation of IR Techniques'; gain 1);
        recall@K = relevant items in the first K places / relevant items;
        reciprocal rank = 1 / place of the first relevant item, however late;
        coverage@K = items in the first K places of any list / items of the catalogue.

    Args:
        lists: of `lists_to_rank`.
        predictor: predicts the ratings.
        pairs: how many predictions at once, and one list's at least; it changes nothing but the memory.

    Returns:
        Means over the lists, or None where there is no list.
    """
    count, items = lists.relevant.shape
    if not count:
        return None
    discounts = 1 / np.log2(np.arange(2, TOP + 2))
    ideal = np.cumsum(discounts)
    ndcg, recall, reciprocal = np.empty(count), np.empty(count), np.empty(count)
    shown, tied = np.zeros(items, bool), 0
    block = max(1, pairs // items)
    for start in range(0, count, block):
        part = slice(start, min(start + block, count))
        user = lists.user[part]
        # single precision, as the reported predictions are: what differs by rounding alone is a tie
        scores = predictor.predict(np.repeat(user, items), np.tile(lists.item, len(user))).astype(np.float32)
        scores = scores.reshape(len(user), items)
        seen = lists.seen[part].toarray()
        scores[seen] = -np.inf
        order = np.argsort(-scores, axis=1, kind="stable")
        hits = np.take_along_axis(lists.relevant[part].toarray(), order, axis=1)
        relevant, top = hits.sum(axis=1), hits[:, :TOP]
        ndcg[part] = top @ discounts[: top.shape[1]] / ideal[np.minimum(relevant, TOP) - 1]
        recall[part] = top.sum(axis=1) / relevant
        reciprocal[part] = 1 / (1 + hits.argmax(axis=1))
        first = order[:, :TOP]
        shown[first[~np.take_along_axis(seen, first, axis=1)]] = True
        if items > TOP:
            last, next_one = np.take_along_axis(scores, order[:, TOP - 1 : TOP + 1], axis=1).T
            tied += int(((last == next_one) & np.isfinite(last)).sum())
    return Ranking(
        users=count,
        ndcg_at_10=float(ndcg.mean()),
        ndcg_at_10_error=float(ndcg.std(ddof=1) / count**0.5) if count > 1 else None,
        recall_at_10=float(recall.mean()),
        mrr=float(reciprocal.mean()),
        coverage_at_10=float(shown.mean()),
        tied_users=tied,
    )
