"""Lists of recommended items of a winner for many users, written to a file."""

from contextlib import ExitStack
from pathlib import Path

import pandas as pd

from recsys.data.settings import DataSettings
from recsys.progress import Progress, silent
from recsys.text import count
from recsys.winner.new_users import NewUsers
from recsys.winner.recommender import Recommender
from recsys.winner.settings import RecommendSettings
from recsys.winner.tables import PAIRS, TableWriter, read_whole


def write_lists(winner: Recommender, asked: RecommendSettings, progress: Progress = silent) -> str:
    """Write lists, in memory that does not grow with the users, and return what was done.

    The columns are those of `Recommender.lists`.

    Raises:
        BadRatings: a file cannot be read.
        BadSettings: the output cannot be written.
    """
    reading = DataSettings(**asked.reading.model_dump())
    users = _users(asked.users, reading, winner)
    items = read_whole(_path(asked.items), reading, ("item",))["item"] if asked.items else None
    exclude = read_whole(_path(asked.exclude_rated), reading, PAIRS) if asked.exclude_rated else None
    new = NewUsers(winner, asked.ratings_of_new_users, reading)
    if users is not None:
        asked_new, users = users[users.astype(str).isin(new)], users[~users.astype(str).isin(new)]
    else:
        asked_new = pd.Series(new.ids, dtype=object)
    as_text = any(isinstance(user, str) for user in asked_new)  # a column has one type, and known ids may be numbers
    listed = rows = unknown = 0
    with ExitStack() as stack:
        writers = [stack.enter_context(TableWriter(path)) for path in _outputs(asked)]

        def write(part: pd.DataFrame) -> None:
            for writer in writers:
                writer.add(part)

        for part in winner.lists(users, asked.top, items, exclude, progress):
            write(part.assign(user=part["user"].astype(str)) if as_text else part)
            listed, rows = listed + part["user"].nunique(), rows + len(part)
        for user in asked_new:
            left_out = () if exclude is None else exclude["item"][exclude["user"].astype(str) == str(user)]
            part = new[str(user)].recommend(asked.top, left_out, items)
            part.insert(0, "user", user)
            write(part)
            listed, rows = listed + 1, rows + len(part)
    if users is not None:
        unknown = int((~winner.knows_users(users)).sum())
    said = f"Lists of {count(listed, 'user')}, {count(rows, 'item')} in all."
    if unknown:
        said += f" {count(unknown, 'user')} had no ratings to fit, and got the items with the highest biases."
    return " ".join([said, *new.sentences])


def _outputs(asked: RecommendSettings) -> list[Path]:
    out = _path(asked.out)
    return [out, out.with_suffix(".csv")] if asked.csv and out.suffix != ".csv" else [out]


def users_file(asked: str) -> str | None:
    """Return the path of the file of users that is asked for, None where ids, or all users, are."""
    is_file = _path(asked).exists() or ("," not in asked and _path(asked).suffix)
    return asked if asked != "all" and is_file else None


def _users(asked: str, reading: DataSettings, winner: Recommender) -> pd.Series | None:
    if asked == "all":
        return None
    file = users_file(asked)
    if file is not None:
        return read_whole(_path(file), reading, ("user",))["user"].drop_duplicates()
    users = pd.Series([part.strip() for part in asked.split(",")]).drop_duplicates()
    numbers = pd.api.types.is_integer_dtype(winner.users.dtype) and users.str.fullmatch(r"-?\d{1,18}").all()
    return users.astype("int64") if numbers else users


def _path(given: str) -> Path:
    return Path(given).expanduser()
