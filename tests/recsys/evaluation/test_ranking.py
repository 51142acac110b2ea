import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import sparse
from scipy.stats import rankdata
from sklearn.metrics import ndcg_score, recall_score

from recsys.evaluation.ranking import Lists, Rows, lists_to_rank, rank
from recsys.evaluation.results import Ranking
from recsys.models.predictor import Codes, Predictor
from tests.factories import TablePredictor

USERS, ITEMS = 30, 40


def rows_of(*triples: tuple[int, int, float]) -> Rows:
    user, item, rating = zip(*triples, strict=True) if triples else ((), (), ())
    return np.array(user, np.int32), np.array(item, np.int32), np.array(rating, np.float32)


def random_split(seed: int = 0) -> tuple[Rows, Rows, Rows]:
    """Distinct pairs of user and item, rated from 1 to 5; the last users rate very little."""
    random = np.random.default_rng(seed)
    pairs = random.choice(USERS * ITEMS, 700, replace=False)
    pairs = pairs[(pairs // ITEMS < USERS - 5) | (random.random(len(pairs)) < 0.15)]
    rating = random.integers(1, 6, len(pairs)).astype(np.float32)
    user, item = (pairs // ITEMS).astype(np.int32), (pairs % ITEMS).astype(np.int32)
    cuts = (slice(0, 300), slice(300, 350), slice(350, None))
    train, validation, test = ((user[cut], item[cut], rating[cut]) for cut in cuts)
    return train, validation, test


def listed(train: Rows, validation: Rows, test: Rows, **changes: Any) -> Lists:
    chosen: dict[str, Any] = {"threshold": None, "most": 1000, "seed": 1, **changes}
    known = tuple(np.concatenate(columns) for columns in zip(train, validation, strict=True))
    return lists_to_rank(known, test, chosen.pop("users", USERS), chosen.pop("items", ITEMS), **chosen)  # type: ignore[arg-type]


def table_of(seed: int, levels: int | None = None) -> npt.NDArray[np.float32]:
    """Scores of all pairs: all different, or with so many levels and thus many ties."""
    random = np.random.default_rng(seed)
    if levels:
        return random.integers(levels, size=(USERS, ITEMS)).astype(np.float32)
    return random.permutation(USERS * ITEMS).reshape(USERS, ITEMS).astype(np.float32)


def ranked(lists: Lists, predictor: Predictor, **changes: Any) -> Ranking:
    ranking = rank(lists, predictor, **changes)
    assert ranking is not None
    return ranking


def in_code_order(lists: Lists, columns: sparse.csr_array) -> npt.NDArray[np.bool_]:
    ordered: npt.NDArray[np.bool_] = columns.toarray()[:, np.argsort(lists.item)]
    return ordered


def by_loops(
    split: tuple[Rows, Rows, Rows], table: npt.NDArray[np.floating], threshold: float, of_equals: list[int]
) -> dict[str, float]:
    """The metrics as one would work them out on paper."""
    train, validation, test = split
    recalls, reciprocals, gains, shown, tied = [], [], [], set(), 0
    for user in range(USERS):
        seen = {int(i) for u, i, _ in [*zip(*train, strict=True), *zip(*validation, strict=True)] if u == user}
        relevant = {int(i) for u, i, r in zip(*test, strict=True) if u == user and r >= threshold} - seen
        if not relevant:
            continue
        order = sorted((i for i in range(ITEMS) if i not in seen), key=lambda i: (-table[user, i], of_equals.index(i)))
        recalls.append(len(relevant & set(order[:10])) / len(relevant))
        reciprocals.append(1 / (1 + min(order.index(i) for i in relevant)))
        gain = sum(1 / math.log2(place + 2) for place, item in enumerate(order[:10]) if item in relevant)
        gains.append(gain / sum(1 / math.log2(place + 2) for place in range(min(10, len(relevant)))))
        shown |= set(order[:10])
        tied += len(order) > 10 and bool(table[user, order[9]] == table[user, order[10]])
    return {
        "users": len(recalls),
        "ndcg_at_10": sum(gains) / len(gains),
        "ndcg_at_10_error": float(np.std(gains, ddof=1)) / len(gains) ** 0.5,
        "recall_at_10": sum(recalls) / len(recalls),
        "mrr": sum(reciprocals) / len(reciprocals),
        "coverage_at_10": len(shown) / ITEMS,
        "tied_users": tied,
    }


@pytest.mark.parametrize("levels", [None, 3])
@pytest.mark.parametrize("threshold", [4.0, 1.0])
def test_metrics_are_those_of_plain_loops(levels: int | None, threshold: float) -> None:
    split, table = random_split(), table_of(1, levels)
    lists = listed(*split, threshold=threshold)
    assert (lists.relevant.sum(axis=1).max() > 10) == (threshold == 1.0)
    ranking = ranked(lists, TablePredictor(table))
    expected = by_loops(split, table, threshold, lists.item.tolist())
    assert ranking.model_dump() == pytest.approx(expected)
    assert (expected["tied_users"] > 0) == (levels is not None)


def test_ndcg_is_scikit_learns_where_no_scores_are_equal() -> None:
    lists, table = listed(*random_split(), threshold=3.0), table_of(2)
    scores = []
    seen_by, relevant_for = (in_code_order(lists, columns) for columns in (lists.seen, lists.relevant))
    for user, seen, relevant in zip(lists.user, seen_by, relevant_for, strict=True):
        scores.append(ndcg_score([relevant[~seen]], [table[user][~seen]], k=10))
    assert ranked(lists, TablePredictor(table)).ndcg_at_10 == pytest.approx(np.mean(scores))


def test_recall_and_mrr_are_those_of_scikit_learn_and_scipy_where_no_scores_are_equal() -> None:
    lists, table = listed(*random_split(), threshold=3.0), table_of(2)
    recalls, reciprocals = [], []
    seen_by, relevant_for = (in_code_order(lists, columns) for columns in (lists.seen, lists.relevant))
    for user, seen, relevant in zip(lists.user, seen_by, relevant_for, strict=True):
        place = rankdata(-table[user][~seen])
        recalls.append(recall_score(relevant[~seen], place <= 10))
        reciprocals.append(1 / place[relevant[~seen]].min())
    ranking = ranked(lists, TablePredictor(table))
    assert [ranking.recall_at_10, ranking.mrr] == pytest.approx([np.mean(recalls), np.mean(reciprocals)])
    assert 0 < ranking.recall_at_10 < ranking.mrr < 1


def test_equal_scores_stand_in_the_drawn_order() -> None:
    nothing = rows_of((0, 0, 3.0))
    flat = TablePredictor(np.zeros((2, 12)))
    third, last = (int(listed(nothing, rows_of(), nothing, users=2, items=12).item[place]) for place in (2, 11))
    early = ranked(listed(nothing, rows_of(), rows_of((1, third, 5.0)), users=2, items=12), flat)
    late = ranked(listed(nothing, rows_of(), rows_of((1, last, 5.0)), users=2, items=12), flat)
    assert [early.mrr, early.recall_at_10, early.tied_users] == pytest.approx([1 / 3, 1, 1])
    assert [late.mrr, late.recall_at_10, late.ndcg_at_10] == pytest.approx([1 / 12, 0, 0])


@pytest.mark.parametrize(("scale", "offset"), [(1.0, 0.0), (20.0, 0.0), (1.0, -10.0), (0.01, 700.0)])
def test_what_differs_by_rounding_is_equal_on_every_scale_and_what_differs_by_more_is_not(
    scale: float, offset: float
) -> None:
    train, validation, test = (
        (user, item, (scale * rating + offset).astype(np.float32)) for user, item, rating in random_split()
    )
    lists = listed(train, validation, test, threshold=3 * scale + offset)
    levels = table_of(1, 3) / 7.0
    noise = np.random.default_rng(2).uniform(-1, 1, size=levels.shape)
    plain, rounded, different = (
        ranked(lists, TablePredictor(scale * (levels + step * noise) + offset)) for step in (0, 1e-12, 1e-3)
    )
    assert plain == rounded
    assert plain.tied_users > 0 == different.tied_users


def test_order_of_equals_is_drawn_by_the_seed_alone_and_holds_every_item_once() -> None:
    split = random_split()
    first, of_fewer, other_seed = listed(*split), listed(*split, most=8), listed(*split, seed=2)
    assert first.item.tolist() == of_fewer.item.tolist() != other_seed.item.tolist()
    assert sorted(first.item.tolist()) == list(range(ITEMS)) != first.item.tolist()
    assert first.item.dtype == np.int32


def test_equal_scores_favour_no_low_code() -> None:
    """Items of low codes are the liked ones, and a constant knows nothing of it."""
    items = 1000
    liked = rows_of(*[(0, item, 5.0) for item in range(10)])
    flat = TablePredictor(np.zeros((1, items)))
    found = [
        ranked(listed(rows_of((0, 999, 3.0)), rows_of(), liked, users=1, items=items, seed=seed), flat).ndcg_at_10
        for seed in range(50)
    ]
    assert np.mean(found) == pytest.approx(10 / items, abs=0.015)


@pytest.mark.parametrize("seen_in", ["train", "validation"])
def test_a_users_own_items_are_left_out_and_those_of_others_are_not(seen_in: str) -> None:
    best_two = rows_of((0, 0, 3.0), (0, 1, 3.0), (1, 2, 3.0))
    other = rows_of((2, 3, 3.0))
    train, validation = (best_two, other) if seen_in == "train" else (other, best_two)
    lists = listed(train, validation, rows_of((0, 2, 5.0), (1, 1, 5.0)), users=3, items=15)
    falling = TablePredictor(np.tile(-np.arange(15.0), (3, 1)))
    assert lists.user.tolist() == [0, 1]
    assert ranked(lists, falling).mrr == pytest.approx((1 + 1 / 2) / 2)


def test_an_item_rated_again_in_the_test_is_not_relevant() -> None:
    lists = listed(rows_of((0, 0, 3.0)), rows_of(), rows_of((0, 0, 5.0), (0, 1, 5.0), (1, 0, 5.0)), users=2, items=15)
    assert in_code_order(lists, lists.relevant)[:, :2].tolist() == [[False, True], [True, False]]
    assert lists.relevant.sum() == 2


def test_a_short_list_does_not_cover_what_was_left_out_of_it() -> None:
    train = rows_of(*((0, item, 3.0) for item in range(12)))
    lists = listed(train, rows_of(), rows_of((0, 15, 5.0)), users=1, items=16)
    ranking = ranked(lists, TablePredictor(-np.arange(16.0)[None]))
    assert (ranking.coverage_at_10, ranking.mrr, ranking.ndcg_at_10_error) == (4 / 16, 1 / 4, None)
    assert ranking.tied_users == 0


def test_users_without_a_relevant_item_are_counted_and_not_ranked() -> None:
    test = rows_of((0, 5, 5.0), (1, 5, 2.9), (2, 6, 1.0), (3, 6, 3.0))
    lists = listed(rows_of((0, 0, 2.0), (0, 1, 4.0)), rows_of((0, 2, 3.0)), test)
    assert lists.user.tolist() == [0, 3]
    assert (lists.facts.users, lists.facts.eligible_users, lists.facts.users_without) == (2, 2, 2)
    assert lists.facts.threshold == 3.0


def test_nobody_to_rank_for_gives_no_ranking() -> None:
    lists = listed(rows_of((0, 0, 3.0)), rows_of(), rows_of((0, 1, 2.0)))
    assert (lists.facts.users, lists.facts.users_without) == (0, 1)
    assert rank(lists, TablePredictor(table_of(1))) is None


def test_a_threshold_is_reached_by_a_rating_that_single_precision_rounds_down() -> None:
    assert float(np.float32(4.1)) < 4.1
    lists = listed(rows_of((0, 0, 3.0)), rows_of(), rows_of((0, 1, 4.1), (1, 1, 4.0)), threshold=4.1)
    assert lists.user.tolist() == [0]


def test_a_draw_is_of_the_size_asked_for_and_hangs_on_the_seed_alone() -> None:
    split = random_split()
    everybody = listed(*split)
    drawn, again, other = (listed(*split, most=8, seed=seed) for seed in (5, 5, 6))
    assert drawn.facts.users == len(drawn.user) == 8
    assert drawn.facts.eligible_users == len(everybody.user) > 8
    assert drawn.user.tolist() == again.user.tolist() != other.user.tolist()
    assert set(drawn.user) <= set(everybody.user)
    rows = np.isin(everybody.user, drawn.user)
    for name in ("relevant", "seen"):
        of_drawn, of_everybody = (in_code_order(found, getattr(found, name)) for found in (drawn, everybody))
        assert (of_drawn == of_everybody[rows]).all()


@pytest.mark.parametrize("levels", [None, 3])
def test_size_of_the_blocks_changes_nothing_but_how_much_is_asked_at_once(levels: int | None) -> None:
    lists, asked = listed(*random_split()), list[int]()

    class Counting(TablePredictor):
        def predict(self, user: Codes, item: Codes) -> npt.NDArray[np.floating]:
            asked.append(len(user))
            return super().predict(user, item)

    predictor = Counting(table_of(3, levels))
    whole = rank(lists, predictor)
    assert asked == [len(lists.user) * ITEMS]
    for pairs, most in ((1, ITEMS), (ITEMS * 7 + 3, ITEMS * 7)):
        asked.clear()
        assert rank(lists, predictor, pairs) == whole
        assert max(asked) == most
        assert sum(asked) == len(lists.user) * ITEMS
