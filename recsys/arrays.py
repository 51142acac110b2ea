"""Columns that a caller hands in: checked once, converted where that loses nothing, and otherwise refused.

Neither NumPy nor XLA refuses a wrong code: one below 0 is counted from the end of a table, and one beyond the table
reads its last row. A column that is as it should be costs a pass for its lowest and one for its highest value, and no
memory.
"""

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NoReturn, TypeVar

import numpy as np
import numpy.typing as npt

from recsys.errors import BadIds, BadRatings, BadSettings, UserError
from recsys.text import count, listing, quoted, shown

Codes = npt.NDArray[np.int32]
Floats = npt.NDArray[np.floating]
Rows = npt.NDArray[np.integer]
Triples = tuple[Codes, Codes, npt.NDArray[Any]]
"""Ratings as user codes, item codes and ratings, shape (rows,) each."""

Columns = tuple[Codes, Codes, npt.NDArray[np.float32]]
"""The same in single precision."""

Number = TypeVar("Number", bound=np.number)

ENCODE = "encode ids first, as pandas.factorize(ids)[0] does"
FITTED = "give the codes that the model was fitted with"
FINITE = "give finite numbers, and leave out rows without one"

BLOCK = 1 << 20
"""Rows that are taken at once."""

LARGEST_CODE = np.iinfo(np.int32).max

KINDS = {"U": "texts", "S": "bytes", "T": "texts", "M": "dates", "m": "durations", "c": "complex numbers"}


def as_column(
    values: Any, what: str, error: type[UserError] = BadRatings, advice: str = "give numbers"
) -> npt.NDArray[Any]:
    """Return values as an array of numbers or booleans, shape (rows,); (rows, 1) is flattened.

    Args:
        values: an array, also a memory-mapped one, which stays one; a list, a Series, or what else NumPy takes.
        what: they are, in the singular.
        error: what is raised where they are no such column.
        advice: what to do about values that are no numbers.
    """
    found: npt.NDArray[Any] = values
    if not isinstance(values, np.ndarray) or values.dtype.kind == "O" or np.ma.isMaskedArray(values):
        found = _array(values, what, error, advice)
    if found.ndim == 2 and found.shape[1] == 1:
        found = found[:, 0]
    if found.ndim != 1:
        shape = f"of shape {found.shape}" if found.ndim else "one value"
        raise error(f"The {what}s are {shape}: give a column, of shape (rows,).")
    if found.dtype.kind not in "iufb":
        kind = KINDS.get(found.dtype.kind, f"of type {found.dtype}")
        example = f" such as {quoted(str(found[0]))}" if len(found) else ""
        raise error(f"The {what}s are {kind}{example}: {advice}.")
    return found


def _array(values: Any, what: str, error: type[UserError], advice: str) -> npt.NDArray[Any]:
    if np.ma.is_masked(values):
        raise error(f"Some {what}s are masked: leave these rows out.")
    if values is None or isinstance(values, str | bytes | set | frozenset | dict):
        raise error(f"The {what}s are {_called(values)}: give a column, such as a list, an array or a Series.")
    try:
        found = np.asarray(values)
        if found.dtype.kind != "O":
            return found
        # a list again, of which NumPy finds the type of numbers that were kept as objects
        found = np.array([float(value) if isinstance(value, Decimal) else value for value in found.tolist()])
    except (TypeError, ValueError) as cause:
        raise error(f"The {what}s are no column of numbers: give a list, an array or a Series.") from cause
    if found.dtype.kind == "O" and found.ndim == 1:
        strange = next((at for at, value in enumerate(found) if not isinstance(value, int | float)), 0)
        raise error(f"The {what} at position {strange:,} is {_called(found[strange])}: {advice}.")
    return found


def _called(value: Any) -> str:
    if value is None or str(value) in ("<NA>", "NaT"):
        return "missing"
    return "too large" if isinstance(value, int) else f"of type {type(value).__name__}"


def as_codes(
    values: Any, what: str, known: int | None = None, *, used: Sequence[Rows] | None = None, advice: str = ENCODE
) -> Codes:
    """Return codes of users or items, int32 of shape (rows,).

    Args:
        values: whole numbers of any type.
        what: "user" or "item".
        known: how many there are; codes run from 0 to one less. None where that is not known.
        used: numbers of the rows whose codes are read, in several parts; others may be out of range. None for all.
        advice: what to do about a code out of range.

    Raises:
        BadIds: they are no such codes.
    """
    name = f"{what} code"
    found = as_column(values, name, BadIds, advice)
    if found.dtype.kind == "b":
        raise BadIds(f"The {name}s are booleans: give whole numbers from 0, one for each rating.")
    if not len(found):
        return found.astype(np.int32)
    if found.dtype.kind == "f":
        found = _whole(found, name, advice)
    lowest, highest = int(found.min()), int(found.max())
    if highest > LARGEST_CODE or lowest < -LARGEST_CODE:
        at = int(np.argmax(found) if highest > LARGEST_CODE else np.argmin(found))
        _out_of_range(found, at, what, known, advice)
    if lowest < 0 or (known is not None and highest >= known):
        limit = LARGEST_CODE if known is None else known - 1
        for rows in [np.arange(len(found))] if used is None else used:
            wrong = np.flatnonzero((found[rows] < 0) | (found[rows] > limit))
            if len(wrong):
                _out_of_range(found, int(rows[wrong[0]]), what, known, advice)
    return found.astype(np.int32, copy=False)


def _whole(values: Floats, name: str, advice: str) -> npt.NDArray[np.int64]:
    with np.errstate(invalid="ignore"):
        found = values.astype(np.int64)
    wrong = np.flatnonzero(found != values)
    if len(wrong):
        value = values[wrong[0]]
        said = "missing (NaN)" if np.isnan(value) else f"{value:g}"
        raise BadIds(f"The {name} at position {wrong[0]:,} is {said}: codes are whole numbers from 0; {advice}.")
    return found


def _out_of_range(found: Rows, at: int, what: str, known: int | None, advice: str) -> NoReturn:
    if known is None:
        run = "from 0"
    elif known:
        run = f"from 0 to {known - 1:,}, as there are {count(known, what)}"
    else:
        raise BadIds(f"There are no {what}s, so that no {what} has a code: give at least one.")
    raise BadIds(f"The {what} code at position {at:,} is {found[at]:,}, and codes run {run}: {advice}.")


def as_pairs(user: Any, item: Any, users: int | None, items: int | None) -> tuple[Codes, Codes]:
    """Return the codes of users and items that a fitted model is asked about, int32 of shape (pairs,) each.

    `users` and `items` are how many the model has, None where that is not known.

    Raises:
        BadIds: they are no such codes, or not as many of the one as of the other.
    """
    user, item = as_codes(user, "user", users, advice=FITTED), as_codes(item, "item", items, advice=FITTED)
    if len(user) != len(item):
        raise BadIds(f"There are {len(user):,} user codes and {len(item):,} item codes: give one of each for a pair.")
    return user, item


def as_numbers(values: Any, what: str, *, used: Sequence[Rows] | None = None) -> Floats:
    """Return finite numbers, shape (rows,): floating ones in their precision, others in double precision.

    `used` is as for `as_codes`.

    Raises:
        BadRatings: they are no such numbers.
    """
    found = as_column(values, what)
    if found.dtype.kind != "f":
        return found.astype(np.float64)
    if len(found) and not np.isfinite([found.min(), found.max()]).all():
        for rows in [np.arange(len(found))] if used is None else used:
            wrong = np.flatnonzero(~np.isfinite(found[rows]))
            if len(wrong):
                at = int(rows[wrong[0]])
                said = "missing (NaN)" if np.isnan(found[at]) else "infinite"
                raise BadRatings(f"The {what} at position {at:,} is {said}: {FINITE}.")
    return found


def as_doubles(values: Any, what: str) -> npt.NDArray[np.float64]:
    """Return finite numbers in double precision, as `as_numbers` does."""
    return as_numbers(values, what).astype(np.float64, copy=False)


def as_ratings(values: Any, *, used: Sequence[Rows] | None = None) -> npt.NDArray[np.float32]:
    """Return ratings in single precision, shape (rows,); booleans are 0 and 1. `used` is as for `as_codes`.

    Raises:
        BadRatings: they are no finite numbers of single precision.
    """
    found = as_numbers(values, "rating", used=used)
    if found.dtype == np.float32:
        return found
    with np.errstate(over="ignore"):
        single = found.astype(np.float32)
    as_numbers(single, "rating in single precision", used=used)
    return single


def as_row_numbers(values: Any, rows: int, what: str) -> Rows:
    """Return numbers of some of the rows, integers of shape (chosen,); a mask of all rows, of booleans, is converted.

    Raises:
        BadRatings: there is no such row, or the mask is not of all rows.
    """
    name = f"{what} row"
    found = as_column(values, name)
    if found.dtype.kind == "b":
        if len(found) != rows:
            values_of = f"{count(len(found), 'value')} for {count(rows, 'rating')}"
            raise BadRatings(f"The mask of {what} rows has {values_of}: give one for each rating, or row numbers.")
        return np.flatnonzero(found)
    if not len(found):
        return found.astype(np.int64) if found.dtype.kind == "f" else found
    whole = found if found.dtype.kind != "f" else np.where(np.isfinite(found), found, -1).astype(np.int64)
    if found.dtype.kind == "f" and (whole != found).any():
        at = int(np.argmax(whole != found))
        raise BadRatings(f"The {name} at position {at:,} is {found[at]:g}: give whole numbers, or a mask of booleans.")
    if whole.min() < 0 or whole.max() >= rows:
        at = int(np.argmax((whole < 0) | (whole >= rows)))
        run = f"run from 0 to {rows - 1:,}" if rows else "do not exist, as there are no ratings"
        raise BadRatings(
            f"The {name} at position {at:,} is {whole[at]:,}, and row numbers {run}: give positions, no labels."
        )
    return whole


def taken(column: npt.NDArray[Number], rows: Rows) -> npt.NDArray[Number]:
    """Return the values of some rows, by their numbers; the column may be memory-mapped.

    They are read in blocks: NumPy turns all row numbers that it is given at once into int64.
    """
    found = np.empty(len(rows), column.dtype)
    for start in range(0, len(rows), BLOCK):
        found[start : start + BLOCK] = column[rows[start : start + BLOCK]]
    return found


def require_one_length(**columns: npt.NDArray[Any]) -> int:
    """Return the length that columns share; they are named as they are called, in the singular, with _ for blanks.

    Raises:
        BadRatings: they have different lengths.
    """
    if len(set(map(len, columns.values()))) > 1:
        found = [f"{len(one):,} {name.replace('_', ' ')}s" for name, one in columns.items()]
        raise BadRatings(f"There are {listing(found)}: give one of each for every rating.")
    return len(next(iter(columns.values())))


def as_triples(given: tuple[Any, Any, Any], users: int, items: int) -> Triples:
    """Return (user codes, item codes, ratings) of `users` users and `items` items: int32, int32 and floating.

    Raises:
        BadIds: a code is none of theirs.
        BadRatings: there are no ratings, one is no finite number, or there are not as many of the one as of the other.
    """
    user, item, rating = (
        as_codes(given[0], "user", users),
        as_codes(given[1], "item", items),
        as_numbers(given[2], "rating"),
    )
    if not require_one_length(user_code=user, item_code=item, rating=rating):
        raise BadRatings("There are no ratings: give one or more.")
    return user, item, rating


def require_finite(value: float, what: str) -> float:
    """Return a number that is neither infinite nor NaN.

    Raises:
        BadSettings: it is.
    """
    if not math.isfinite(value):
        raise BadSettings(f"{what} is {value}: give a finite number.")
    return value


def require_whole_number(value: Any, what: str, lowest: int = 1) -> int:
    """Return a whole number of any type.

    Raises:
        BadSettings: it is none, or less than `lowest`.
    """
    if isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= lowest:
        return int(value)
    raise BadSettings(f"{what} is {shown(value)}: give a whole number of {lowest} or more.")
