"""Numbers in text: what is one, what is meant as one, and whole columns of integers.

Nothing is lost: a column is one of integers only where each integer is written as the text was.
"""

import re

import pyarrow as pa

NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
"""As ratings, times and ids are written."""

DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+", re.ASCII)

MEANT_AS_NUMBER = re.compile(
    r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:e[+-]?\d+)?|[+-]?(?:nan|inf|infinity)", re.IGNORECASE | re.ASCII
)
"""Also 4,5 and nan: a line with it is a wrong rating rather than a header."""


def number(text: str) -> float | None:
    """The number that a text is, with a decimal point or comma; None if it is none."""
    plain = text.replace(",", ".") if DECIMAL_COMMA.fullmatch(text) else text
    return float(plain) if NUMBER.fullmatch(plain) else None


def integers(text: pa.StringArray) -> pa.Int64Array | None:
    """The integers that all of `text` are; None where one is written otherwise."""
    numbers = cast(text, pa.int64())
    # Arrow also reads 007, -0 and 0x1F.
    return numbers if numbers is not None and numbers.cast(pa.string()).equals(text) else None


def cast(text: pa.StringArray, kind: pa.DataType) -> pa.Array | None:
    """All of `text` as values of a type; None where one is none."""
    try:
        text[:100].cast(kind)  # Arrow is slow with a long array that is invalid throughout
        return text.cast(kind)
    except pa.ArrowInvalid:
        return None
