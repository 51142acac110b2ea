"""Predictions of a winner for a file of pairs, and their errors where the file has ratings."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from recsys.data.settings import DataSettings
from recsys.progress import Progress, silent
from recsys.text import count, short
from recsys.winner.new_users import NewUsers
from recsys.winner.recommender import INTERVAL, Recommender
from recsys.winner.settings import PredictSettings
from recsys.winner.tables import PAIRS, TableWriter, read_parts


@dataclass
class Errors:
    """Sums over the pairs that have a rating."""

    pairs: int = 0
    squares: float = 0.0
    sizes: float = 0.0

    def add(self, error: npt.NDArray[np.float64]) -> None:
        """Count the errors of some pairs."""
        self.pairs += len(error)
        self.squares += float(np.square(error).sum())
        self.sizes += float(np.abs(error).sum())

    def __str__(self) -> str:
        """The errors as people read them."""
        mse, mae = self.squares / self.pairs, self.sizes / self.pairs
        return f"RMSE {np.sqrt(mse):.4f} (MSE {mse:.4f}, MAE {mae:.4f})"


@dataclass
class Predicted:
    """What was predicted.

    Attributes:
        pairs: how many pairs.
        known: pairs whose user and item both have ratings.
        fitted: pairs that are among the ratings to which the model was fitted.
        scored: errors of the pairs with a rating.
        unseen: errors of those that the model was not fitted to.
        folded: pairs of users who were folded in.
        new_users: what there is to say of those who were folded in.
        intervals: pairs with a rating, to which the model was not fitted, and an interval.
        inside: those of them whose rating lies in it.
    """

    pairs: int = 0
    known: int = 0
    fitted: int = 0
    scored: Errors = field(default_factory=Errors)
    unseen: Errors = field(default_factory=Errors)
    folded: int = 0
    new_users: list[str] = field(default_factory=list)
    intervals: int = 0
    inside: int = 0

    @property
    def sentences(self) -> list[str]:
        """What there is to say of it."""
        said = [f"{count(self.pairs, 'pair')} predicted, {self.known:,} of a known user and a known item."]
        if self.folded:
            said.append(f"{count(self.folded, 'pair')} of new users, from their ratings.")
        if self.known + self.folded < self.pairs:
            said.append("The others have the mean, and the bias of the user or the item if that is known.")
        said += self.new_users
        if not self.scored.pairs:
            return said
        said.append(f"On {count(self.scored.pairs, 'rating')}: {self.scored}.")
        if self.fitted:
            unseen = f"; on the others: {self.unseen}" if self.unseen.pairs else ""
            said.append(
                f"{self.fitted:,} of these pairs are among the ratings that the model was fitted to, and their "
                f"errors are too low{unseen}."
            )
        if self.intervals:
            share = self.inside / self.intervals
            said.append(
                f"{100 * share:.1f}% of {count(self.intervals, 'rating')} with a {short(100 * INTERVAL)}% interval "
                "lie in it."
            )
        return said

    def add(self, table: pd.DataFrame, rating: npt.NDArray[np.float64] | None, fitted: npt.NDArray[np.bool_]) -> None:
        """Count a part of the predictions, as `Recommender.table` has them."""
        self.pairs += len(table)
        self.known += int((table["known_user"] & table["known_item"]).sum())
        if rating is None:
            return
        error = table["prediction"].to_numpy() - rating
        self.fitted += int(fitted.sum())
        self.scored.add(error)
        self.unseen.add(error[~fitted])
        if "low" in table:
            low, high = table["low"].to_numpy(), table["high"].to_numpy()
            self.intervals += int((np.isfinite(low) & ~fitted).sum())
            self.inside += int(((low <= rating) & (rating <= high) & ~fitted).sum())


def predict_file(winner: Recommender, asked: PredictSettings, progress: Progress = silent) -> Predicted:
    """Predict the ratings of a file of pairs, in memory that does not grow with it, and write them.

    The output has the columns of `Recommender.table` and, if the file has it, rating; its rows are in the order of the
    file.

    Raises:
        BadRatings: the file cannot be read as pairs of a user and an item.
        BadSettings: the output cannot be written.
    """
    new = NewUsers(winner, asked.ratings_of_new_users, DataSettings(**asked.reading.model_dump()))
    predicted = Predicted(new_users=new.sentences)
    pairs, out = (Path(path).expanduser() for path in (asked.pairs, asked.out))
    with (
        TableWriter(out) as writer,
        read_parts(pairs, DataSettings(**asked.reading.model_dump()), PAIRS, progress) as parts,
    ):
        for part in parts:
            table = winner.table(part["user"], part["item"])
            for user, rows in new.of(part["user"]).items():
                predicted.folded += len(rows)
                table.loc[rows, "prediction"] = new[user].predict(part["item"].iloc[rows])
            rating = part["rating"].to_numpy(np.float64) if "rating" in part else None
            predicted.add(table, rating, winner.was_fitted_to(part["user"], part["item"]))
            writer.add(table if rating is None else table.assign(rating=rating))
            progress(predicted.pairs, None, f"{count(predicted.pairs, 'pair')} predicted")
    return predicted
