"""Conversion of text fields to ids, ratings and times, and the rules for valid values."""

import math
import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from recsys.data.columns import Role
from recsys.data.numerals import DECIMAL_COMMA, NUMBER, integers
from recsys.data.settings import DataSettings, Decimal
from recsys.data.times import read_times
from recsys.text import quoted

NO_TIME = int(np.iinfo(np.int64).min)
"""Stands in timestamp.npy for an unknown time, as NaT does in numpy's datetime64."""

Fields = dict[Role, pa.StringArray]
"""Column -> text of some rows."""
Columns = dict[Role, pa.Array]
"""Column -> values of some rows: ids int64 or string, ratings float64, times int64 with nulls."""

ID_ROLES: tuple[Role, ...] = ("item", "user")
LARGEST = 1e15
"""Models sum squared errors in single precision, whose largest value is 3.4e38."""
NULL_WORDS = pa.array(["null", "(null)", "\\n", "nan", "none", "na", "n/a", "#n/a", "<na>", "undefined"])
"""What programs write for a missing value, in lower case."""
BOOLEANS = {"true": 1.0, "false": 0.0}
WHOLE_FLOAT = r"^(-?\d+)\.0+$"
"""An integer as pandas writes it in a column with missing values."""


@dataclass(frozen=True)
class Rules:
    """Which values are valid, and how they are written; the fields are those of `DataSettings`.

    `not_rated` are ratings that stand for none, and `time_form` the form of the times, as from `time_format`.
    """

    min_rating: float | None = None
    max_rating: float | None = None
    not_rated: tuple[float, ...] = ()
    keep_null_ids: bool = False
    decimal: Decimal = "auto"
    time_form: str | None = None


def rules_of(settings: DataSettings, time_form: str | None = None) -> Rules:
    """Return the rules that the settings ask for."""
    return Rules(
        min_rating=settings.min_rating,
        max_rating=settings.max_rating,
        not_rated=settings.not_rated,
        keep_null_ids=settings.null_ids == "keep",
        decimal=settings.decimal,
        time_form=time_form,
    )


@dataclass(frozen=True)
class Converted:
    """The values of some rows.

    `columns` has those of the good rows; `bad` what is wrong, by the index of each other row, and `not_rated` how many
    rows have no rating instead. `unreadable_time` is the first time that could not be read, if there is one.
    """

    columns: Columns
    bad: dict[int, str]
    not_rated: int = 0
    unreadable_time: str | None = None


def convert(fields: Fields, rules: Rules = Rules()) -> Converted:
    """Convert the text of some rows to values."""
    values, bad, without = _ratings(fields["rating"], rules) if "rating" in fields else (None, {}, [])
    ids: Columns = {role: _ids(fields[role]) for role in ID_ROLES if role in fields}
    for role, column in ids.items():
        if column.type == pa.string():
            bad |= _missing_ids(column, role, rules)
    columns: Columns = {role: ids[role] for role in reversed(ids)}
    if values is not None:
        columns["rating"] = pa.array(values)
    unreadable = None
    if "timestamp" in fields:
        columns["timestamp"] = read_times(fields["timestamp"], rules.time_form)
        unreadable = _first_unreadable(fields["timestamp"], columns["timestamp"])
    without = [row for row in without if row not in bad]
    if bad or without:
        good = pa.array(np.delete(np.arange(len(next(iter(ids.values())))), [*bad, *without]))
        columns = {role: values.take(good) for role, values in columns.items()}
        # A missing id makes the whole column text; without it, it may be numbers.
        columns |= {role: _ids(columns[role]) for role in ids if columns[role].type == pa.string()}
    return Converted(columns, bad, len(without), unreadable)


def read_rating(text: str, rules: Rules = Rules()) -> float | str:
    """The rating in `text`, or what is wrong with it."""
    text = text.strip()
    if not text:
        return "the rating is missing"
    if (truth := BOOLEANS.get(text.casefold())) is not None:
        return truth
    written = text
    if DECIMAL_COMMA.fullmatch(text) and rules.decimal != "point":
        written = text.replace(",", ".")
        if rules.decimal == "auto" and re.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}", text, re.ASCII):
            return (
                f"rating {quoted(text)} may have a decimal comma or separate the thousands: say --decimal comma if it "
                f"is {written}, or write it without the comma"
            )
    if not NUMBER.fullmatch(written):
        return f"rating {quoted(text)} is not a number"
    value = float(written)
    if abs(value) > LARGEST:
        return f"rating {quoted(text)} is beyond ±1e15, the largest that can be compared"
    if value in rules.not_rated:
        return value
    if rules.min_rating is not None and value < rules.min_rating:
        return f"rating {quoted(text)} is below the scale's lowest, {rules.min_rating:g} (--min-rating)"
    if rules.max_rating is not None and value > rules.max_rating:
        return f"rating {quoted(text)} is above the scale's highest, {rules.max_rating:g} (--max-rating)"
    return value


def _ratings(text: pa.StringArray, rules: Rules) -> tuple[npt.NDArray[np.float64], dict[int, str], list[int]]:
    """The ratings, what is wrong with bad ones by their rows, and the rows without a rating."""
    # Millions of ratings have few distinct values: each is read once.
    encoded = text.dictionary_encode()
    texts = encoded.dictionary.to_pylist()
    read = [read_rating(value, rules) for value in texts]
    truths = [code for code, value in enumerate(texts) if value.strip().casefold() in BOOLEANS]
    if 0 < len(truths) < sum(isinstance(value, float) for value in read):
        for code in truths:
            read[code] = f"rating {quoted(texts[code])} stands among numbers"
    codes = encoded.indices.to_numpy()
    values = np.array([math.nan if isinstance(value, str) else value for value in read], np.float64)
    bad = [code for code, value in enumerate(read) if isinstance(value, str)]
    rows: list[int] = np.flatnonzero(np.isin(codes, bad)).tolist() if bad else []
    without: list[int] = np.flatnonzero(np.isin(values, rules.not_rated)[codes]).tolist() if rules.not_rated else []
    return values[codes], {row: str(read[codes[row]]) for row in rows}, without


def _ids(text: pa.StringArray) -> pa.Array:
    """Integers if every id is one, otherwise text without surrounding blanks; 7.0 is 7."""
    if (numbers := integers(text)) is not None:
        return numbers
    trimmed = pc.utf8_trim_whitespace(text)
    if pc.any(pc.match_substring(trimmed, ".0")).as_py():
        trimmed = pc.replace_substring_regex(trimmed, WHOLE_FLOAT, r"\1")
    numbers = integers(trimmed)
    return trimmed if numbers is None else numbers


def _missing_ids(ids: pa.StringArray, role: Role, rules: Rules) -> dict[int, str]:
    empty = pc.equal(pc.binary_length(ids), 0)
    missing = dict.fromkeys(_true(empty), f"the {role} id is missing")
    if rules.keep_null_ids:
        return missing
    words = _true(pc.is_in(pc.utf8_lower(ids), NULL_WORDS))
    what = "stands for a missing value, keep such ids with --null-ids keep if it does not"
    return missing | {row: f"the {role} id {quoted(ids[row].as_py())} {what}" for row in words}


def _first_unreadable(text: pa.StringArray, times: pa.Int64Array) -> str | None:
    """The first text that is no time, if there is one that is not blank."""
    if not times.null_count:
        return None
    unread = pc.utf8_trim_whitespace(text.filter(pc.is_null(times)))
    return next((value for value in unread.unique().slice(0, 2).to_pylist() if value), None)


def _true(mask: pa.BooleanArray) -> list[int]:
    rows: list[int] = np.flatnonzero(mask.to_numpy(zero_copy_only=False)).tolist()
    return rows
