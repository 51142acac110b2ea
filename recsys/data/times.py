"""Reading times: seconds since 1970, ISO 8601, and dates as people write them.

One column is written in one form. Which, the first values tell; whether 3/4/2015 begins with the day or the month, the
first value does that leaves no choice.
"""

import math
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import product

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.data.numerals import NUMBER, cast, integers

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
YEAR_1 = -62_135_596_800
"""Seconds since 1970 of the first time of Python's `datetime`; Arrow has a year 0."""
TOO_LATE = 10**11
"""From this on (year 5138), a time is taken for milli-, micro- or nanoseconds since 1970."""

EITHER_ORDER = ("%m/%d/%Y", "%d/%m/%Y", "%m-%d-%Y", "%d-%m-%Y", "%m/%d/%y", "%d/%m/%y")
NUMERIC = ("%d.%m.%Y", "%d.%m.%y", "%Y/%m/%d", "%Y.%m.%d", "%Y-%m-%d")
NAMED = ("%m %d, %Y", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%B %d %Y", "%d-%b-%Y")
DATES = (*EITHER_ORDER, *NUMERIC, *NAMED)
CLOCKS = ("%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p")
WHOLE = (
    "%a %b %d %H:%M:%S %z %Y",
    "%a %b %d %H:%M:%S %Y",
    "%a, %d %b %Y %H:%M:%S %z",
    "%a, %d %b %Y %H:%M:%S %Z",
    "%Y-%m-%d %H:%M:%S %Z",
)
FORMATS = (*WHOLE, *DATES, *map("".join, product(DATES, (" ", ", "), CLOCKS)))
"""As in Python's strptime."""

DIGITS = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
DATE_OF_DIGITS = re.compile(
    r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:(?:[01]\d|2[0-3])[0-5]\d(?:[0-5]\d)?)?", re.ASCII
)
"""Dates in digits alone: as seconds since 1970, those of 8 digits would be of 1970, those of 14 of after 2600."""

LIKE_A_DATE = re.compile(r"(?=.{6,40}$)(?=.*[^0-9A-Za-z])(?:.*\d){3}")
"""To try all forms on what is none, such as names, takes a third of a second."""

SAMPLED = 1_000
"""Distinct values that tell the form."""


def time_format(columns: Iterable[pa.StringArray], wanted: str = "auto") -> str | None:
    """Return the form of a column of times, as strptime has it; None for seconds since 1970 and ISO 8601.

    None, too, where the values have no form that is known, or several.

    Args:
        columns: the text of the column in pieces, of which no more are taken than it needs; blanks are missing times.
        wanted: a form, "auto", or "day-first" or "month-first" for a date whose two first numbers could be either.
    """
    if wanted not in ("auto", "day-first", "month-first"):
        return wanted
    candidates: list[str] | None = None
    for text in columns:
        values = [value.strip() for value in text.unique().slice(0, SAMPLED).to_pylist()]
        values = [value for value in values if value]
        if not values:
            continue
        candidates = _candidates(values, wanted) if candidates is None else _best(values, candidates)
        if len(candidates) < 2:
            break
    # May is both a short and a long name of a month; the order of day and month is never left to chance
    forms = {form.replace("%B", "%b"): form for form in candidates or []}
    return next(iter(forms.values())) if len(forms) == 1 else None


def _candidates(values: list[str], wanted: str) -> list[str]:
    """The forms in which most of the values can be read; none if they are seconds or ISO 8601."""
    lengths = {len(value) for value in values if DATE_OF_DIGITS.fullmatch(value)}
    if len(lengths) == 1 and all(DATE_OF_DIGITS.fullmatch(value) for value in values):
        return [DIGITS[lengths.pop()]]
    if 2 * sum(LIKE_A_DATE.match(value) is not None for value in values) < len(values):
        return []
    plain = sum(read_time(value) is not None for value in values)
    if 2 * plain >= len(values):
        return []
    unwanted = {"day-first": ("%m/", "%m-"), "month-first": ("%d/", "%d-%m")}.get(wanted, ())
    first = [form for form in FORMATS if not form.startswith(unwanted) and _read(values[:5], form)]
    return _best(values, first)


def _best(values: list[str], forms: list[str]) -> list[str]:
    """Those of the forms in which the most of the values can be read, where these are at least half."""
    read = {form: _read(values, form) for form in forms}
    most = max(read.values(), default=0)
    return [form for form in forms if read[form] == most] if 2 * most >= len(values) else []


def _read(values: list[str], form: str) -> int:
    moments = _moments(pa.array(values), form)
    return len(moments) - int(moments.null_count)


def read_times(text: pa.StringArray, form: str | None = None) -> pa.Int64Array:
    """Whole seconds since 1970 of each text, null where it cannot be read; `form` is as from `time_format`."""
    if form is not None:
        encoded = text.dictionary_encode()
        return _moments(pc.utf8_trim_whitespace(encoded.dictionary), form).take(encoded.indices)
    if (numbers := integers(text)) is not None:
        seconds = numbers.to_numpy()
        for _ in range(3):
            seconds = np.where((seconds >= TOO_LATE) | (seconds <= -TOO_LATE), seconds // 1000, seconds)
        return pa.array(seconds)
    for zone in (None, "UTC"):
        if (moments := cast(text, pa.timestamp("us", zone))) is not None:
            seconds = moments.cast(pa.int64()).to_numpy() // 10**6
            if seconds.min() >= YEAR_1:
                return pa.array(seconds)
    encoded = text.dictionary_encode()
    read = pa.array([read_time(value) for value in encoded.dictionary.to_pylist()], pa.int64())
    return read.take(encoded.indices)


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


def _moments(text: pa.StringArray, form: str) -> pa.Int64Array:
    import pandas as pd  # its parser of dates is exact and fast; few files need it

    moments = pd.to_datetime(text.to_pandas(), format=form, errors="coerce", utc=True)
    return pa.array(moments.dt.as_unit("s"), pa.timestamp("s", "UTC")).cast(pa.int64())
