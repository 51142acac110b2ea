"""How names and values are quoted in messages, and what is said about one bad row."""

from collections.abc import Iterable
from dataclasses import dataclass

from recsys.errors import BadRatings
from recsys.legible import escaped


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be used.

    Attributes:
        line: its line in the file, from 1, with the header and blank lines counted; of a parquet file, its row.
        reason: what is wrong, as the middle of a sentence.
        text: the row as it stands in the file.
    """

    line: int
    reason: str
    text: str


def shown(text: str, width: int = 60) -> str:
    """`text` in quotes, control characters escaped, cut to about `width` characters."""
    return f"'{escaped(text if len(text) <= width else text[: width - 1] + '…')}'"


def listed(names: Iterable[str], most: int = 12) -> str:
    """`names` as an enumeration of at most `most` of them, cut and with control characters escaped."""
    plain = [shown(name)[1:-1] or "(no name)" for name in names]
    return ", ".join(plain[:most]) + (f" and {len(plain) - most} more" if len(plain) > most else "")


def refusal(file: str, unit: str, row: BadRow) -> BadRatings:
    """The error for the first bad row, where bad rows are not set aside.

    Args:
        file: name of the file.
        unit: what `row.line` counts, "line" or "row".
        row: the bad row.
    """
    advice = f"correct the {unit}, or set such rows aside with --bad-rows quarantine"
    return BadRatings(f"{file}, {unit} {row.line}: {row.reason}; {advice}.")
