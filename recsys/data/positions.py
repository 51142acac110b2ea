"""Whether the columns of a table without a header can hold what their order says: users, items, ratings, times.

The order user, item, rating, timestamp is that of most public ratings files. Many other tables have three columns or
more, too, and would be read as ratings in silence; their values tell them apart.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import pyarrow as pa

from recsys.data.columns import FoundBy, Role
from recsys.data.numerals import NUMBER, number
from recsys.data.settings import DataSettings
from recsys.data.times import DATE_OF_DIGITS, time_format
from recsys.errors import BadRatings
from recsys.text import quoted

ID_ROLES: tuple[Role, ...] = ("user", "item")

Sample = Sequence[Sequence[str]]
"""The fields of the first rows of a table; all rows have the same number of fields."""

FEW_VALUES = 101
"""A scale of ratings has at most so many values in the first rows, or a bounded one with at most two decimals."""
FEW_RATINGS = 11
"""A scale of whole ratings has hardly more values than from 0 to 10."""
BOUND = 100.0
FEWEST_ROWS = 100
"""In fewer rows, that no user has two ratings tells nothing."""
FEWEST_INCREASES = 10
"""Of fewer values, that they grow tells nothing, nor does their range."""
WIDE = 6
"""A table with fewer columns is no matrix of users by items."""

MOST = 0.9
"""The share of the values that makes a rule, as a few rows may be damaged."""

ASIN = re.compile(r"B[0-9A-Z]{9}|\d{9}[0-9X]")
AMAZON_REVIEWER = re.compile(r"A[0-9A-Z]{9,20}")


def implausible(roles: Mapping[Role, int], rows: Sample) -> tuple[Role, str] | None:
    """Return a role whose column cannot hold it, and what the column holds instead; None if all columns can be right.

    Args:
        roles: index of the column of each role that was taken by its position.
        rows: the first rows.
    """
    users = _no_users if "rating" in roles else _no_ids  # in a list of pairs, each may have another user
    tests: dict[Role, Callable[[Sequence[str]], str]] = {"user": users, "item": _no_ids, "rating": _no_ratings}
    for role in sorted(roles, key=("rating", "user", "item", "timestamp").index):
        if role in tests and (instead := tests[role](column(rows, roles[role]))):
            return role, instead
    return _scale_among_ids(roles, rows)


def _scale_among_ids(roles: Mapping[Role, int], rows: Sample) -> tuple[Role, str] | None:
    """The user or the item, if its column has few values in any order, and that of the rating has many more."""
    if "rating" not in roles or len(rows) < FEWEST_ROWS:
        return None
    ratings = len(set(column(rows, roles["rating"])))
    for role in (role for role in ID_ROLES if role in roles):
        values = column(rows, roles[role])
        few, runs = len(set(values)), sum(one != other for one, other in pairwise(values))
        if few <= FEW_RATINGS and runs > 2 * few and ratings > 3 * few:
            return role, f"{few} different values, as ratings do,"
    return None


def column(rows: Sample, index: int) -> list[str]:
    """The values of a column, without blanks around them and without empty ones."""
    return [value for row in rows if (value := row[index].strip())]


def holds_times(values: Sequence[str]) -> bool:
    """Whether most of the values are times of after 1973."""
    return _share(values, _is_late) >= MOST or _hold_dates(values)


def _hold_dates(values: Sequence[str]) -> bool:
    text = [value for value in values if not NUMBER.fullmatch(value)]
    if not text or len(text) < MOST * len(values):
        return False
    return _share(text, _is_iso) >= MOST or time_format([pa.array(text)]) is not None


def holds_ratings(values: Sequence[str]) -> bool:
    """Whether the values can be ratings: few different numbers, or numbers of a bounded scale, and no times."""
    return bool(values) and not _no_ratings(values)


def amazon_order(rows: Sample, first: int, second: int) -> bool:
    """Whether the first of two columns has Amazon's numbers of products and the second those of its reviewers."""
    products, reviewers = column(rows, first), column(rows, second)
    if not products or not reviewers:
        return False
    asins, people = _share(products, ASIN.fullmatch), _share(reviewers, AMAZON_REVIEWER.fullmatch)
    return asins >= MOST and people >= MOST and any(map(str.isalpha, "".join(products[:50])))


def looks_wide(rows: Sample) -> bool:
    """Whether all columns but the first hold numbers of one scale of ratings, or blanks."""
    if not rows or len(rows[0]) < WIDE:
        return False
    columns = [column(rows, index) for index in range(1, len(rows[0]))]
    numbers = [[found for value in values if (found := number(value)) is not None] for values in columns]
    if any(len(found) < MOST * len(values) for found, values in zip(numbers, columns, strict=True)):
        return False
    filled = [found for found in numbers if found]
    if len(filled) < WIDE - 1 or max(abs(number) for found in filled for number in found) > BOUND:
        return False
    long = [found for found in filled if len(found) >= FEWEST_INCREASES] or filled[:1]
    return holds_ratings([value for values in columns for value in values]) and max(map(min, long)) <= min(
        map(max, long)
    )


def _no_ids(values: Sequence[str]) -> str:
    """What a column holds instead of the ids of users or items, or ""."""
    if (_share(values, _is_recent) >= MOST and 2 * len(set(values)) > len(values)) or _hold_dates(values):
        return "times"
    if _share(values, _is_fraction) >= 0.5:
        return "numbers with decimals"
    return "row numbers" if len(values) >= FEWEST_INCREASES and _counts_up(values) else ""


def _no_users(values: Sequence[str]) -> str:
    """What a column holds instead of the ids of users, of whom some rate more than once, or ""."""
    repeat = len(values) < FEWEST_ROWS or len(set(values)) < len(values)
    return _no_ids(values) or ("" if repeat else "values of which none repeats")


def _no_ratings(values: Sequence[str]) -> str:
    """What a column holds instead of ratings, or ""."""
    if holds_times(values):
        return "times"
    numbers = [found for value in values if (found := number(value)) is not None]
    if len(numbers) < 0.5 * len(values):
        booleans = _share(values, lambda value: value.casefold() in ("true", "false"))
        return "" if booleans >= MOST or not values else "text"
    distinct = len(set(numbers))
    if distinct > FEWEST_INCREASES and all(before < after for before, after in pairwise(numbers)):
        return "numbers that grow from row to row"
    if distinct <= FEW_VALUES or (max(map(abs, numbers)) <= BOUND and _share(values, _is_coarse) >= MOST):
        return ""
    return f"{distinct:,} different numbers from {min(numbers):g} to {max(numbers):g}"


def _share(values: Sequence[str], test: Callable[[str], object]) -> float:
    return sum(bool(test(value)) for value in values) / len(values) if values else 0.0


def _is_late(value: str) -> bool:
    return bool(DATE_OF_DIGITS.fullmatch(value) or (NUMBER.fullmatch(value) and abs(float(value)) >= 10**8))


def _is_recent(value: str) -> bool:
    """Whether a number is a time of 1998 to 2033 in seconds or milliseconds."""
    number = abs(float(value)) if NUMBER.fullmatch(value) else 0.0
    return 9e8 <= number < 2e9 or 9e11 <= number < 2e12 or DATE_OF_DIGITS.fullmatch(value) is not None


def _is_iso(value: str) -> bool:
    return re.match(r"\d{4}-\d\d?-\d\d?(?:[ T]\d|$)", value) is not None


def _is_fraction(value: str) -> bool:
    return NUMBER.fullmatch(value) is not None and float(value) % 1 != 0


def _is_coarse(value: str) -> bool:
    """Whether a number has at most two decimals."""
    return re.fullmatch(r"[+-]?\d*[.,]?\d{0,2}", value) is not None


def _counts_up(values: Sequence[str]) -> bool:
    return all(value.isdigit() for value in values) and all(
        int(after) - int(before) == 1 for before, after in pairwise(values)
    )


def by_position(
    roles: dict[Role, int], rows: Sample, settings: DataSettings, file: str, first: str
) -> dict[Role, tuple[int, FoundBy]]:
    """Return the column of each role, and how it was found, where those taken by their position are confirmed.

    Those named in the settings stay as they are. Without times in its column there is no timestamp, and a list with
    Amazon's numbers of products before those of its reviewers is read so.

    Args:
        roles: index of the column of each role, named or by position.
        rows: the first rows.
        first: the first line, for messages.

    Raises:
        BadRatings: a column cannot hold what its position says.
    """
    named: set[Role] = {role for role in roles if getattr(settings, f"{role}_column") is not None}
    guessed = {role: index for role, index in roles.items() if role not in named}
    how: dict[Role, FoundBy] = {role: "option" if role in named else "position" for role in roles}
    if "timestamp" in guessed and not holds_times(column(rows, guessed["timestamp"])):
        del guessed["timestamp"]
    if {"user", "item"} <= guessed.keys() and amazon_order(rows, guessed["user"], guessed["item"]):
        guessed["user"], guessed["item"] = guessed["item"], guessed["user"]
        how["user"] = how["item"] = "ids"
    if found := implausible(guessed, rows):
        role, instead = found
        raise BadRatings(
            f"{file} has no header, and its column {guessed[role] + 1}, which would be the {role} by the order of the "
            f"columns, holds {instead} ({quoted(first, 80)} is the first line); name the columns by their numbers, as "
            "in --user-column 1 --item-column 2 --rating-column 3, or say --header yes if the first line names them."
        )
    return {role: (guessed.get(role, roles[role]), how[role]) for role in roles if role in named or role in guessed}
