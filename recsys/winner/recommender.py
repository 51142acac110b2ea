"""Predictions and lists by a winner, in the user's own ids."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.parquet as pq
from scipy.special import ndtri

from recsys.arrays import as_doubles, require_whole_number
from recsys.errors import BadIds, BadRatings
from recsys.evaluation.ranking import highest
from recsys.models.baselines import Baseline
from recsys.models.blend import Blend
from recsys.models.fallback import Warm, trained
from recsys.models.predictor import Codes, Floats, Predictor, UncertainPredictor, of_all_pairs
from recsys.progress import Progress, silent
from recsys.text import opening
from recsys.winner.about import About, read_about
from recsys.winner.fold_in import FoldedIn, Folding, fold_into_blend
from recsys.winner.folder import BIASES, ITEMS, RATED, USERS, load_foldings, load_model
from recsys.winner.new_users import NewUser
from recsys.winner.tables import Ids, as_ids, one_id, places

INTERVAL = 0.8
"""Probability of the intervals of predictions."""

PAIRS = 2**22
"""Pairs of a user and an item that are predicted at once: some 150 MB."""


@dataclass(frozen=True)
class Recommender:
    """A winner, ready to predict.

    With `folder`, the path of a winner whose users are 10, 20, … and whose items are 100, 101, …:

    >>> winner = Recommender.load(folder)
    >>> [f"{rating:.2f}" for rating in winner.predict([10, 777], [104, 104])]  # the second user is not known
    ['2.79', '3.50']
    >>> winner.recommend(10, n=2)[["rank", "item", "title"]]
       rank  item    title
    0     1   103  title 3
    1     2   107  title 7
    >>> winner.similar_items(104, n=1)["item"].tolist()
    [106]
    >>> new = winner.fold_in([100, 103], [5.0, 1.0])
    >>> new.way
    'in closed form'
    >>> new.recommend(n=2)["item"].tolist()
    [102, 105]

    Attributes:
        users: ids of the users, in the order of their codes.
        items: ids of the items, in the order of their codes.
        titles: of the items, missing where none is known.
    """

    about: About
    model: Predictor
    biases: Baseline
    users: pd.Index
    items: pd.Index
    titles: pd.Index
    user_ratings: npt.NDArray[np.int32]
    item_ratings: npt.NDArray[np.int32]
    _start: npt.NDArray[np.int64]
    _rated: Codes
    _damping: float
    _foldings: Mapping[str, Sequence[Folding]]

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read a winner's folder.

        Raises:
            DamagedWinner: it is not complete and as it was written.
        """
        folder = Path(folder).expanduser()
        about = read_about(folder)
        users, items = (pq.read_table(folder / name).to_pandas() for name in (USERS, ITEMS))
        with np.load(folder / BIASES, allow_pickle=False) as arrays:
            biases = Baseline(float(arrays["mean"]), arrays["user"], arrays["item"], 0, 0.0)
            damping = float(arrays["damping"])
        with np.load(folder / RATED, allow_pickle=False) as arrays:
            start, rated = arrays["start"], arrays["item"]
        warm = Warm(*((table["ratings"] > 0).to_numpy() for table in (users, items)))
        model = load_model(folder, about, biases, warm)
        return cls(
            about,
            model,
            biases,
            pd.Index(users["id"]),
            pd.Index(items["id"]),
            pd.Index(items["title"], dtype="str"),
            users["ratings"].to_numpy(),
            items["ratings"].to_numpy(),
            start,
            rated,
            damping,
            load_foldings(folder, about, model),
        )

    def predict(self, users: Ids, items: Ids) -> npt.NDArray[np.float32]:
        """Return predicted ratings of pairs, float32 of shape (pairs,), within the range of the ratings.

        A pair whose user or item has no rating that was fitted gets the mean and the bias of the other, if that has
        any.

        Raises:
            BadIds: there are not as many users as items, or ids are neither integers nor texts.
        """
        return self._clipped(self._predicted(*self._codes(users, items)))

    def table(self, users: Ids, items: Ids) -> pd.DataFrame:
        """Return a row a pair: user, item, prediction, known_user, known_item and, where the model knows, low and high.

        The latter two are the ends of an interval in which the rating lies with a probability of INTERVAL; empty
        where the user or the item is not known.
        """
        users, items = as_ids(users, "user"), as_ids(items, "item")
        user, item = self._codes(users, items)
        predicted = self._predicted(user, item)
        columns = {
            "user": np.asarray(users),
            "item": np.asarray(items),
            "prediction": self._clipped(predicted),
            "known_user": self._known(user, self.user_ratings),
            "known_item": self._known(item, self.item_ratings),
        }
        if isinstance(self.model, UncertainPredictor):
            known = columns["known_user"] & columns["known_item"]
            margin = np.full(len(user), np.nan)
            margin[known] = ndtri((1 + INTERVAL) / 2) * self.model.standard_deviation(user[known], item[known])
            columns |= {"low": self._clipped(predicted - margin), "high": self._clipped(predicted + margin)}
        return pd.DataFrame(columns)

    def recommend(self, user: Any, n: int = 10, exclude: Ids = ()) -> pd.DataFrame:
        """Return the `n` unrated items of the highest predictions for a user: rank, item, title and prediction.

        Equal predictions are in the order of the ids. A user who is not known gets what the biases say.

        Args:
            user: an id.
            n: how many; fewer where there are not so many unrated items.
            exclude: ids of further items that are left out; unknown ones are ignored.

        Raises:
            BadIds: an id is neither an integer nor a text.
            BadSettings: `n` is no whole number of 1 or more.
        """
        users, left_out = one_id(user, "user"), as_ids(exclude, "item")
        (found,) = self.lists(users, n, exclude=pd.DataFrame({"user": users * len(left_out), "item": left_out}))
        return found.drop(columns="user")

    def lists(
        self,
        users: Ids | None = None,
        n: int = 10,
        candidates: Ids | None = None,
        exclude: pd.DataFrame | None = None,
        progress: Progress = silent,
    ) -> Iterator[pd.DataFrame]:
        """Return the lists of some users, several at once: user, rank (from 1), item, title and prediction.

        Memory does not grow with the users. Items that a user has rated are left out.

        Args:
            users: ids; None for all that have ratings.
            n: length of a list; fewer items where there are not so many unrated ones.
            candidates: ids of the items that may be listed; None for all that have ratings. Unknown ones are ignored.
            exclude: columns user and item: pairs that are left out as well.
            progress: called with the number of users whose lists are ready.

        Raises:
            BadIds: an id is neither an integer nor a text, or `exclude` has not these columns.
            BadSettings: `n` is no whole number of 1 or more.
        """
        ids = self.users[self.user_ratings > 0] if users is None else as_ids(users, "user")
        code, item = places(self.users, ids, "user"), np.flatnonzero(self._allowed(candidates)).astype(np.int32)
        return self._blocks(ids, code, item, require_whole_number(n, "n"), self._pairs_by_user(ids, exclude), progress)

    def _blocks(
        self, ids: pd.Index, code: Codes, item: Codes, n: int, hidden: Sequence[Codes] | None, progress: Progress
    ) -> Iterator[pd.DataFrame]:
        block = max(1, PAIRS // max(1, len(item)))
        for first in range(0, len(ids), block):
            part = slice(first, first + block)
            yield self._lists(ids[part], code[part], item, n, hidden[part] if hidden else None)
            progress(min(first + block, len(ids)), len(ids), f"{min(first + block, len(ids)):,} users")

    def fold_in(self, items: Ids, ratings: Sequence[float] | Floats | pd.Series) -> NewUser:
        """Return what predicts for a user who is not known, from ratings that the winner was not fitted to.

        Of an item that is repeated, the last rating counts; items that are not known are ignored.

        Args:
            items: ids of what the user has rated.
            ratings: in rating units, as many.

        Raises:
            BadIds: ids are neither integers nor texts.
            BadRatings: there are not as many ratings as items, or one is not a finite number, or further outside of
                the range of the ratings that were fitted than that is wide.
        """
        items, rating = as_ids(items, "item"), as_doubles(ratings, "rating")
        if len(rating) != len(items):
            raise BadRatings(f"There are {len(items):,} items and {len(rating):,} ratings: give one rating for each.")
        self.about.require_scale(rating.tolist())
        code = places(self.items, items, "item")
        known = self._known(code, self.item_ratings)
        last = dict(zip(code[known].tolist(), rating[known].tolist(), strict=True))
        code, rating = np.array(list(last), np.int32), np.array(list(last.values()), np.float64)
        left = rating - self.biases.mean - self.biases.item[code]
        bias = float(left.sum() / (len(left) + self._damping))
        if not len(code):
            folded = FoldedIn("by the biases of the items alone, as none that the user rated is known", None)
        elif isinstance(self.model, Blend):
            folded = fold_into_blend(
                self.model,
                self._foldings,
                self.item_ratings,
                code,
                rating,
                lambda asked: self.biases.mean + bias + self.biases.item[asked],
            )
        else:
            [folding] = self._foldings[self.about.name]
            folded = folding.fold_in(self.item_ratings, code, rating)
        return NewUser(folded.way, self, code, bias, folded.scores)

    def similar_items(self, item: Any, n: int = 10) -> pd.DataFrame:
        """Return the `n` items whose vectors have the greatest cosine with an item's: rank, item, title and cosine.

        Raises:
            BadIds: the item is not known, or the model has no vectors of items.
            BadSettings: `n` is no whole number of 1 or more.
        """
        n = require_whole_number(n, "n")
        vectors = self._item_vectors
        if vectors is None:
            raise BadIds(f"{opening(self.about.title)} has no vectors of items: choose another model with --use.")
        (code,) = places(self.items, one_id(item, "item"), "item")
        if code < 0:
            raise BadIds(f"The item {item!r} is not known to this model.")
        length = np.linalg.norm(vectors, axis=1)
        cosine = np.divide(vectors @ vectors[code], length * length[code], out=np.zeros(len(length)), where=length > 0)
        cosine[self.item_ratings == 0] = cosine[code] = -np.inf
        columns, _ = highest(cosine[None], min(n, len(cosine)))
        found = columns[0][np.isfinite(cosine[columns[0]])]
        return pd.DataFrame(
            {
                "rank": np.arange(1, len(found) + 1),
                "item": self.items[found],
                "title": self.titles[found],
                "cosine": cosine[found],
            }
        )

    def nearest_rated(self, user: Any, items: Ids) -> list[Any]:
        """Return for each of the items the id of the one most similar to it, by cosine, that the user has rated.

        None for each where the model has no vectors of items, or the user or the item is not known.
        """
        (of_user,) = places(self.users, one_id(user, "user"), "user")
        rated = self._rated[self._start[of_user] : self._start[of_user + 1]] if of_user >= 0 else self._rated[:0]
        vectors = self._item_vectors
        if vectors is None or not len(rated):
            return [None] * len(items)
        unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
        codes = places(self.items, items, "item")
        nearest = rated[np.argmax(unit[codes] @ unit[rated].T, axis=1)]
        return [self.items[near] if code >= 0 else None for code, near in zip(codes, nearest, strict=True)]

    def called(self, item: Any) -> str:
        """Return the title of an item, or its id where no title is known."""
        (code,) = places(self.items, one_id(item, "item"), "item")
        title = self.titles[code] if code >= 0 else None
        return str(item) if pd.isna(title) else str(title)

    @cached_property
    def _item_vectors(self) -> Floats | None:
        """Of the model, or of the member of the blend with the greatest weight that has any."""
        weights = {name: member.weight for name, member in self.about.members.items()}
        for name in sorted(self._foldings, key=lambda name: -weights.get(name, 0.0)):
            factors = getattr(self._foldings[name][0].model, "factors", None)
            if factors is not None and factors.item.shape[1]:
                vectors: Floats = factors.item
                return vectors
        return None

    def _allowed(self, candidates: Ids | None) -> npt.NDArray[np.bool_]:
        """Which items may be listed, shape (items,)."""
        if candidates is None:
            return self.item_ratings > 0
        among = places(self.items, candidates, "item")
        return np.isin(np.arange(len(self.items)), among[among >= 0])

    def knows_users(self, users: Ids) -> npt.NDArray[np.bool_]:
        """Return for each user whether it has ratings that were fitted, shape (users,)."""
        return self._known(places(self.users, users, "user"), self.user_ratings)

    def was_fitted_to(self, users: Ids, items: Ids) -> npt.NDArray[np.bool_]:
        """Return for each pair whether the model was fitted to a rating of it, shape (pairs,)."""
        user, item = self._codes(users, items)
        pair = user.astype(np.int64) * len(self.items) + item
        place = np.minimum(np.searchsorted(self._fitted, pair), len(self._fitted) - 1)
        return np.asarray((user >= 0) & (item >= 0) & (self._fitted[place] == pair))

    @cached_property
    def _fitted(self) -> npt.NDArray[np.int64]:
        """One number for each pair that was fitted, in ascending order."""
        user = np.repeat(np.arange(len(self.users), dtype=np.int64), np.diff(self._start))
        return user * len(self.items) + self._rated

    def _lists(self, ids: pd.Index, code: Codes, item: Codes, n: int, hidden: Sequence[Codes] | None) -> pd.DataFrame:
        if not len(item):
            nothing = {"rank": np.empty(0, np.int64), "item": self.items[:0], "title": self.titles[:0]}
            return pd.DataFrame({"user": ids[:0], **nothing, "prediction": np.empty(0, np.float32)})
        count = min(n, len(item))
        scores = self._scores(code, item)
        place = np.full(len(self.items), -1, np.int64)
        place[item] = np.arange(len(item))
        for row, user in enumerate(code):
            rated = self._rated[self._start[user] : self._start[user + 1]] if user >= 0 else self._rated[:0]
            for left_out in (rated, *([hidden[row]] if hidden else ())):
                where = place[left_out]
                scores[row, where[where >= 0]] = -np.inf
        columns, _ = highest(scores, count)
        best = np.take_along_axis(scores, columns, axis=1)
        listed = np.isfinite(best)
        rows, rank = np.nonzero(listed)
        found = item[columns[listed]]
        return pd.DataFrame(
            {
                "user": ids[rows],
                "rank": rank + 1,
                "item": self.items[found],
                "title": self.titles[found],
                "prediction": self._clipped(self._predicted(code[rows], found)),
            }
        )

    def _scores(self, code: Codes, item: Codes) -> npt.NDArray[np.floating]:
        """Predictions of all pairs of some users and items, shape (users, items), to the last digits.

        Where the model allows it they are a product of matrices.
        """
        if not (self._known(code, self.user_ratings).all() and self._known(item, self.item_ratings).all()):
            return self._predicted(np.repeat(code, len(item)), np.tile(item, len(code))).reshape(len(code), len(item))
        if not isinstance(self.model, Blend):
            return of_all_pairs(self.model, code, item)
        members = self.model.members
        return self.model.of(lambda name, number: of_all_pairs(trained(members[name].fits[number]), code, item))

    def _pairs_by_user(self, ids: pd.Index, pairs: pd.DataFrame | None) -> list[Codes] | None:
        if pairs is None:
            return None
        if missing := [name for name in ("user", "item") if name not in pairs]:
            raise BadIds(f"The pairs to exclude have no column {missing[0]!r}: give a table of users and items.")
        item = places(self.items, pairs["item"], "item")
        row = places(ids, pairs["user"], "user")
        kept = (item >= 0) & (row >= 0)
        order = np.argsort(row[kept], kind="stable")
        ends = np.cumsum(np.bincount(row[kept], minlength=len(ids)))
        return np.split(item[kept][order], ends[:-1])

    def _predicted(self, user: Codes, item: Codes) -> npt.NDArray[np.float64]:
        """Predictions of codes, -1 for an unknown id."""
        if isinstance(self.model, Blend):  # whose members answer for whatever has a code
            known = (user >= 0) & (item >= 0)
        else:
            known = self._known(user, self.user_ratings) & self._known(item, self.item_ratings)
        if known.all():
            return np.asarray(self.model.predict(user, item), np.float64)
        found = np.full(len(user), self.biases.mean)
        for code, bias in ((user, self.biases.user), (item, self.biases.item)):
            found[code >= 0] += bias[code[code >= 0]]
        found[known] = self.model.predict(user[known], item[known])
        return found

    @staticmethod
    def _known(code: Codes, ratings: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        return (code >= 0) & (ratings[code] > 0)

    def _clipped(self, predicted: Floats) -> npt.NDArray[np.float32]:
        return np.clip(np.asarray(predicted, np.float64), self.about.lowest, self.about.highest).astype(np.float32)

    def _codes(self, users: Ids, items: Ids) -> tuple[Codes, Codes]:
        users, items = as_ids(users, "user"), as_ids(items, "item")
        if len(users) != len(items):
            raise BadIds(f"There are {len(users):,} users and {len(items):,} items: give one item for each user.")
        return places(self.users, users, "user"), places(self.items, items, "item")
