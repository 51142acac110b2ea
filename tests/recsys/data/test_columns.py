# ruff: noqa: E501 - sentences are compared as they are read, on one line
import re
from typing import Any

import pytest

from recsys.data.columns import NAMES, recognise
from recsys.errors import BadRatings
from recsys.settings import DataSettings


def roles(names: str, *, header: bool = True, **settings: Any) -> dict[str, str]:
    listed = names.split(",")
    found = recognise(listed, DataSettings(**settings), "f.csv", header=header)
    return {str(role): listed[index] for role, index in found.items()}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("userId,movieId,rating,timestamp", "userId,movieId,rating,timestamp"),
        ("user,item,rating", "user,item,rating"),
        (
            "user_id:token,item_id:token,rating:float,timestamp:float",
            "user_id:token,item_id:token,rating:float,timestamp:float",
        ),
        ("User-ID,ISBN,Book-Rating", "User-ID,ISBN,Book-Rating"),
        ("reviewerID,asin,reviewerName,overall,unixReviewTime,reviewTime", "reviewerID,asin,overall,unixReviewTime"),
        ("user_id,parent_asin,asin,rating,timestamp", "user_id,asin,rating,timestamp"),
        ("review_id,user_id,business_id,stars,date", "user_id,business_id,stars,date"),
        ("RATING,Item Id,USER ID", "USER ID,Item Id,RATING"),
        ("username,title,score,datetime", "username,title,score,datetime"),
        ("uid,iid,value,time", "uid,iid,value,time"),
        ("movie,movie_id,user,rating,value", "user,movie_id,rating"),
    ],
)
def test_the_names_of_well_known_data_sets_are_recognised(names: str, expected: str) -> None:
    assert list(roles(names).values()) == expected.split(",")


def test_no_name_stands_for_two_roles() -> None:
    names = [name for lines in NAMES.values() for line in lines for name in line.split()]
    assert len(names) == len(set(names))


def test_a_named_column_is_taken_whatever_it_is_called() -> None:
    found = roles("userId,who,movieId,rating", user_column="who")
    assert found == {"user": "who", "item": "movieId", "rating": "rating"}


def test_a_column_that_was_named_for_one_role_is_not_taken_for_another() -> None:
    with pytest.raises(BadRatings, match="no column that looks like the rating"):
        roles("user,item,rating", timestamp_column="rating")


def test_without_a_header_the_order_decides() -> None:
    assert roles("1,2,3,4,5", header=False) == {"user": "1", "item": "2", "rating": "3", "timestamp": "4"}
    assert roles("1,2,3", header=False, user_column="2") == {"user": "2", "item": "1", "rating": "3"}


@pytest.mark.parametrize(
    ("names", "settings", "sentence"),
    [
        ("user,item,opinion", {}, "f.csv has no column that looks like the rating among its columns (user, item, opinion); name it with --rating-column."),
        ("user,item,Rating", {"rating_column": "ratings"}, "f.csv has no column 'ratings' among its columns (user, item, Rating); did you mean 'Rating'?"),
        ("user,item,rating", {"user_column": "zzz"}, "f.csv has no column 'zzz' among its columns (user, item, rating); correct --user-column."),
        ("user,item,rating", {"item_column": "user", "user_column": "user"}, "f.csv: column 'user' cannot hold both the user and the item; name another one with --item-column."),
        ("user,movieId,bookId,rating", {}, "f.csv has more than one column that may be the item (movieId, bookId); say which with --item-column."),
        ("user,user,item,rating", {"user_column": "user"}, "f.csv has 2 columns named 'user'; rename all but one of them."),
        ("user,item,stars\x1b", {}, r"(user, item, stars\x1b)"),
    ],
)  # fmt: skip
def test_what_is_missing_is_said_in_a_sentence(names: str, settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadRatings, match=re.escape(sentence)):
        roles(names, **settings)
