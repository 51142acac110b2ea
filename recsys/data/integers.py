"""Integers in columns of text, without loss: only where the integer is written as the text was."""

import pyarrow as pa


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
