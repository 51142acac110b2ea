"""Users of a file of ratings who are not known to a winner, folded in."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from recsys.data.columns import REQUIRED
from recsys.settings import DataSettings
from recsys.text import count
from recsys.winner.recommender import NewUser, Recommender
from recsys.winner.tables import read_whole


class NewUsers(dict[str, NewUser]):
    """New users by their id as a text, and what there is to say of them."""

    def __init__(self, winner: Recommender, ratings: str | None, reading: DataSettings) -> None:
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
            self[str(user)] = winner.fold_in(rated["item"], rated["rating"])

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
