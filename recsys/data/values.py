"""Conversion of text fields to ids, ratings and times, and the rules for valid values."""

import math
import re
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from recsys.data.columns import Role
from recsys.text import quoted

NO_TIME = int(np.iinfo(np.int64).min)
"""Stands in timestamp.npy for an unknown time, as NaT does in numpy's datetime64."""

Fields = dict[Role, pa.StringArray]
"""Column -> text of some rows."""
Columns = dict[Role, pa.Array]
"""Column -> values of some rows: ids int64 or string, ratings float64, times int64 with nulls."""

NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
ID_ROLES: tuple[Role, ...] = ("item", "user")
LARGEST = 1e15
"""Models sum squared errors in single precision, whose largest value is 3.4e38."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
YEAR_1 = -62_135_596_800
"""Seconds since 1970 of the first time of Python's `datetime`; Arrow has a year 0."""
TOO_LATE = 10**11
"""From this on (year 5138), a time is taken for milli-, micro- or nanoseconds since 1970."""


def convert(fields: Fields, low: float | None, high: float | None) -> tuple[Columns, dict[int, str]]:
    """Convert the text of some rows to values; None for the scale's `low` or `high` end is no limit.

    Returns:
        The values of the good rows; index in `fields` -> what is wrong, of the other rows.
    """
    ratings, reasons = _ratings(fields["rating"], low, high) if "rating" in fields else (None, {})
    ids: Columns = {role: _ids(fields[role]) for role in ID_ROLES if role in fields}
    for role, values in ids.items():
        if values.type == pa.string():
            empty = np.flatnonzero(pc.equal(pc.binary_length(values), 0).to_numpy(zero_copy_only=False))
            reasons |= dict.fromkeys(empty.tolist(), f"the {role} id is missing")
    columns: Columns = {role: ids[role] for role in reversed(ids)}
    if ratings is not None:
        columns["rating"] = pa.array(ratings)
    if "timestamp" in fields:
        columns["timestamp"] = _times(fields["timestamp"])
    if reasons:
        good = pa.array(np.delete(np.arange(len(next(iter(ids.values())))), list(reasons)))
        columns = {role: values.take(good) for role, values in columns.items()}
        # A missing id makes the whole column text; without it, it may be numbers.
        columns |= {role: _ids(columns[role]) for role in ids if columns[role].type == pa.string()}
    return columns, reasons


def read_rating(text: str, low: float | None, high: float | None) -> float | str:
    """The rating in `text`, or what is wrong with it."""
    text = text.strip()
    if not text:
        return "the rating is missing"
    if not NUMBER.fullmatch(text):
        if re.fullmatch(r"[+-]?\d*,\d+", text, re.ASCII):
            return f"rating {quoted(text)} has a decimal comma, write it with a point ({text.replace(',', '.')[:60]})"
        return f"rating {quoted(text)} is not a number"
    value = float(text)
    if abs(value) > LARGEST:
        return f"rating {quoted(text)} is beyond ±1e15, the largest that can be compared"
    if low is not None and value < low:
        return f"rating {quoted(text)} is below the scale's lowest, {low:g} (--min-rating)"
    if high is not None and value > high:
        return f"rating {quoted(text)} is above the scale's highest, {high:g} (--max-rating)"
    return value


def read_time(text: str) -> int | None:
    """Whole seconds since 1970 of a number or an ISO 8601 date and time (UTC without a time zone); None if invalid."""
    text = text.strip()
    if NUMBER.fullmatch(text):
        # Beyond 2**53 a float is not exact; and int() refuses numbers of thousands of digits.
        number = int(text) if len(text) < 20 and text.lstrip("+-").isdigit() else float(text)
        if math.isinf(number):
            return None
        seconds = math.floor(number)
        for _ in range(3):
            if abs(seconds) >= TOO_LATE:
                seconds //= 1000
        return seconds if abs(seconds) < TOO_LATE else None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - EPOCH) // timedelta(seconds=1)


def _ratings(
    text: pa.StringArray, low: float | None, high: float | None
) -> tuple[npt.NDArray[np.float64], dict[int, str]]:
    # Millions of ratings have few distinct values: each is read once.
    encoded = text.dictionary_encode()
    read = [read_rating(value, low, high) for value in encoded.dictionary.to_pylist()]
    codes = encoded.indices.to_numpy()
    values = np.array([math.nan if isinstance(value, str) else value for value in read], np.float64)
    bad = [code for code, value in enumerate(read) if isinstance(value, str)]
    rows: list[int] = np.flatnonzero(np.isin(codes, bad)).tolist() if bad else []
    return values[codes], {row: str(read[codes[row]]) for row in rows}


def _ids(text: pa.StringArray) -> pa.Array:
    """Integers if every id is written as an int64 would be, otherwise text without surrounding blanks."""
    if (numbers := _integers(text)) is not None:
        return numbers
    trimmed = pc.utf8_trim_whitespace(text)
    numbers = _integers(trimmed)
    return trimmed if numbers is None else numbers


def _integers(text: pa.StringArray) -> pa.Int64Array | None:
    numbers = _cast(text, pa.int64())
    # Arrow also reads 007, -0 and 0x1F.
    return numbers if numbers is not None and numbers.cast(pa.string()).equals(text) else None


def _cast(text: pa.StringArray, kind: pa.DataType) -> pa.Array | None:
    try:
        text[:100].cast(kind)  # Arrow is slow with a long array that is invalid throughout
        return text.cast(kind)
    except pa.ArrowInvalid:
        return None


def _times(text: pa.StringArray) -> pa.Int64Array:
    if (numbers := _integers(text)) is not None:
        seconds = numbers.to_numpy()
        for _ in range(3):
            seconds = np.where((seconds >= TOO_LATE) | (seconds <= -TOO_LATE), seconds // 1000, seconds)
        return pa.array(seconds)
    for zone in (None, "UTC"):
        if (moments := _cast(text, pa.timestamp("us", zone))) is not None:
            seconds = moments.cast(pa.int64()).to_numpy() // 10**6
            if seconds.min() >= YEAR_1:
                return pa.array(seconds)
    encoded = text.dictionary_encode()
    read = pa.array([read_time(value) for value in encoded.dictionary.to_pylist()], pa.int64())
    return read.take(encoded.indices)
