"""Text that others wrote, made fit to be shown: on a terminal, in a log, in a spreadsheet."""

from typing import TypeVar

FORMULA_STARTS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""A spreadsheet runs a text cell that starts with one of these, the full-width ones included."""

Value = TypeVar("Value")


def escaped(text: str) -> str:
    """`text` with what a terminal may not print (or obey) written as \\x1b or the like."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8; names of files whose bytes are not UTF-8 cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def inert(text: str) -> str:
    """`text` as a cell that no spreadsheet takes for a formula, marked as text where it could be one.

    Blanks, tabs and line ends before the formula do not hide it: some spreadsheets leave them out.
    """
    return f"'{text}" if text.lstrip().startswith(FORMULA_STARTS) or text[:1] in ("\t", "\r", "\n") else text


def disarmed(value: Value) -> Value | str:
    """A text on one line that no spreadsheet takes for a formula; what is no text stays what it is."""
    return inert(" ".join(value.split())) if isinstance(value, str) else value
