"""Users who are not known to a winner, folded in: one, and those of a file of ratings."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from recsys.arrays import require_whole_number
from recsys.data.columns import REQUIRED
from recsys.errors import BadRatings
from recsys.models.predictor import Codes
from recsys.settings import DataSettings
from recsys.text import count, quoted
from recsys.winner.fold_in import Scores
from recsys.winner.tables import Ids, places, read_whole

if TYPE_CHECKING:
    from recsys.winner.recommender import Recommender


@dataclass(frozen=True)
class NewUser:
    """A user who rated after the winner was fitted.

    Attributes:
        way: how their ratings were folded in, to follow "they were folded in".
    """

    way: str
    _winner: "Recommender"
    _rated: Codes
    _bias: float
    _scores: Scores | None

    def predict(self, items: Ids) -> npt.NDArray[np.float32]:
        """Return predicted ratings of items, shape (items,), within the range of the ratings.

        An item that has no rating that was fitted gets the mean and what biases say of the user.

        Raises:
            BadIds: ids are neither integers nor texts.
        """
        winner = self._winner
        return winner._clipped(self._predicted(places(winner.items, items, "item")))

    def recommend(self, n: int = 10, exclude: Ids = (), candidates: Ids | None = None) -> pd.DataFrame:
        """Return the `n` items of the highest predictions that the user has not rated, as `Recommender.recommend`.

        With `candidates`, ids of items, only these may be listed.

        Raises:
            BadIds: an id is neither an integer nor a text.
            BadSettings: `n` is no whole number of 1 or more.
        """
        n = require_whole_number(n, "n")
        winner = self._winner
        allowed = winner._allowed(candidates)
        left_out = places(winner.items, exclude, "item")
        allowed[self._rated] = allowed[left_out[left_out >= 0]] = False
        item = np.flatnonzero(allowed).astype(np.int32)
        predicted = self._predicted(item)
        best = np.argsort(-predicted, kind="stable")[:n]
        return pd.DataFrame(
            {
                "rank": np.arange(1, len(best) + 1),
                "item": winner.items[item[best]],
                "title": winner.titles[item[best]],
                "prediction": winner._clipped(predicted[best]),
            }
        )

    def _predicted(self, item: Codes) -> npt.NDArray[np.float64]:
        winner = self._winner
        found = np.full(len(item), winner.biases.mean + self._bias)
        found[item >= 0] += winner.biases.item[item[item >= 0]]
        if self._scores:
            known = winner._known(item, winner.item_ratings)
            found[known] = self._scores(item[known])
        return found


class NewUsers(dict[str, NewUser]):
    """New users by their id as a text, and what there is to say of them."""

    def __init__(self, winner: "Recommender", ratings: str | None, reading: DataSettings) -> None:
        """Fold in the users of a file of ratings, if there is one, except those who are known.

        Raises:
            BadRatings: the file cannot be read.
        """
        self.ids: list[int | str] = []
        self.known = 0
        if ratings is None:
            return
        table = read_whole(Path(ratings).expanduser(), reading, REQUIRED)
        groups: Any = table.groupby("user", sort=False)  # whose keys pandas does not type
        for user, rated in groups:
            if winner.knows_users([user])[0]:
                self.known += 1
                continue
            self.ids.append(user)
            try:
                self[str(user)] = winner.fold_in(rated["item"], rated["rating"])
            except BadRatings as error:
                raise BadRatings(f"{ratings}, user {quoted(str(user))}: {error}") from error

    @property
    def sentences(self) -> list[str]:
        """How they were folded in."""
        ways = pd.Series([new.way for new in self.values()], dtype=object).value_counts(sort=False)
        said = [f"Predictions for {count(users, 'new user')} are made {way}." for way, users in ways.items()]
        if self.known:
            are = "is" if self.known == 1 else "are"
            said.append(f"{count(self.known, 'user')} of that file {are} known already, and predicted by the fit.")
        return said

    def of(self, users: pd.Series) -> Mapping[str, list[int]]:
        """Return the rows of each new user among some users."""
        rows: dict[str, list[int]] = {}
        for row, user in enumerate(users.astype(str)) if self else ():
            if user in self:
                rows.setdefault(user, []).append(row)
        return rows
