"""Lists of some users, with what of their ratings is nearest to each item, so that a person can judge by eye."""

import json
from pathlib import Path

import numpy as np

from recsys.winner.about import EXAMPLES, Example, Listed
from recsys.winner.recommender import Recommender

USERS, LENGTH = 10, 5


def write_examples(folder: Path) -> None:
    """Write the lists of USERS users, from the one with the most ratings to the one with the fewest, as EXAMPLES."""
    winner = Recommender.load(folder)
    order = np.lexsort((np.arange(len(winner.users)), -winner.user_ratings))[: int((winner.user_ratings > 0).sum())]
    chosen = order[np.unique(np.linspace(0, len(order) - 1, USERS).round().astype(int))]
    examples = [_example(winner, int(code)) for code in chosen]
    document = json.dumps([example.model_dump() for example in examples], indent=1, ensure_ascii=False)
    (folder / EXAMPLES).write_text(document + "\n", encoding="utf-8")


def _example(winner: Recommender, code: int) -> Example:
    user = winner.users[code]
    found = winner.recommend(user, LENGTH)
    nearest = winner.nearest_rated(user, found["item"])
    listed = [
        Listed(item=winner.called(item), prediction=prediction, nearest=None if near is None else winner.called(near))
        for item, prediction, near in zip(found["item"], found["prediction"], nearest, strict=True)
    ]
    return Example(user=str(user), ratings=int(winner.user_ratings[code]), listed=listed)
