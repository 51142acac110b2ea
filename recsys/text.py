"""Text for terminals, reports and CSV files: escaping what users wrote, formatting numbers, and joining names."""

import math
from collections.abc import Iterable, Sequence
from typing import TypeVar

FORMULA_STARTS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""A spreadsheet runs a text cell that starts with one of these, the full-width ones included."""

NOTHING = "–"
MINUS = "−"
LARGEST_WRITTEN_OUT = 1e9
SMALLEST_WRITTEN_OUT = 1e-6
MAX_DECIMALS = 9

Value = TypeVar("Value")


def escaped(text: str) -> str:
    """`text` with control and other unprintable characters written as \\x1b or the like, for a terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def is_unicode(text: str) -> bool:
    """Whether a text can be encoded as UTF-8; names of files whose bytes are not UTF-8 hold surrogates, and cannot."""
    return not any("\ud800" <= char <= "\udfff" for char in text)


def escape_formula(text: str) -> str:
    """`text` as a cell that no spreadsheet runs as a formula, not even after white space, which some ignore."""
    return f"'{text}" if text.lstrip().startswith(FORMULA_STARTS) or text[:1] in ("\t", "\r", "\n") else text


def escape_cell(value: Value) -> Value | str:
    """A text on one line that no spreadsheet runs as a formula; any other value as it is."""
    return escape_formula(" ".join(value.split())) if isinstance(value, str) else value


def quoted(text: str, width: int = 60) -> str:
    """`text` in quotes, escaped, cut to about `width` characters."""
    return f"'{escaped(text if len(text) <= width else text[: width - 1] + '…')}'"


def shown(value: object) -> str:
    """A value as Python writes it, escaped and cut."""
    return quoted(repr(value))[1:-1]


def listed(names: Iterable[str], at_most: int = 12) -> str:
    """The first of the users' own names, escaped and cut, and how many more there are: a, b and 3 more."""
    plain = [quoted(name)[1:-1] or "(no name)" for name in names]
    return ", ".join(plain[:at_most]) + (f" and {len(plain) - at_most} more" if len(plain) > at_most else "")


def number(value: float | None, step: float) -> str:
    """Format a value with so many decimals that a tenth of `step`, the smallest difference that matters, can be seen.

    So 0.7963 and 0.8012 can be told apart on a scale of 5, without ten digits on a scale of a million. `step` is 0
    where none is known; None and NaN become a dash.
    """
    if value is None or math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    decimals = 4 if step <= 0 else 1 - math.floor(math.log10(step))
    if value == 0 and decimals > MAX_DECIMALS:
        return "0"
    if abs(value) >= LARGEST_WRITTEN_OUT or decimals > MAX_DECIMALS:
        return _scientific(value, max(1, min(6, math.floor(math.log10(abs(value))) + decimals)))
    written = f"{abs(value):,.{max(0, decimals)}f}"
    return f"{MINUS}{written}" if value < 0 and written.strip("0.") else written


def _scientific(value: float, digits: int) -> str:
    mantissa, exponent = f"{value:.{digits}e}".split("e")
    return f"{mantissa}e{int(exponent)}".replace("-", MINUS)


def short(value: float) -> str:
    """Format a rating or a mean with up to four significant digits and no trailing zeros."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else number(value, 0)
    if not SMALLEST_WRITTEN_OUT <= abs(value) < LARGEST_WRITTEN_OUT:
        mantissa, exponent = _scientific(value, 3).split("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{exponent}"
    decimals = max(0, 3 - math.floor(math.log10(abs(value))))
    written = f"{value:,.{decimals}f}".replace("-", MINUS, 1)
    return written.rstrip("0").rstrip(".") if "." in written else written


def percent(share: float) -> str:
    """Format a share with two significant digits at least: 0.3013 is 30.1%, 0.00042 is 0.042%."""
    value = 100 * share
    if value == 0:
        return "0%"
    if 0 < value < 0.0001:
        return "under 0.0001%"
    decimals = max(1, 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(decimals, 4)}f}%".replace("-", MINUS, 1)


def probability(share: float) -> str:
    """Format a probability in whole per cents; none is written as impossible or certain."""
    if share < 0.01:
        return "under 1%"
    return f"{100 * share:.0f}%" if share <= 0.99 else "over 99%"


def seconds(value: float) -> str:
    """Format a duration: under 0.1 s, 2.5 s, 45 s, 3 min 20 s, 1 h 5 min."""
    if value < 0.095:
        return "under 0.1 s"
    if value < 9.95:
        return f"{value:.1f} s"
    if value < 119.5:
        return f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60} min"


def size(count_of_bytes: float) -> str:
    """Format a number of bytes: 812 B, 3.6 MB, 1.2 GB."""
    for unit, bytes_of_unit in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count_of_bytes >= bytes_of_unit:
            value = count_of_bytes / bytes_of_unit
            return f"{value:.{1 if value < 99.95 else 0}f} {unit}"
    return f"{count_of_bytes:.0f} B"


def times(ratio: float) -> str:
    """Format a ratio: 1.07 times, 12 times, 3,400 times."""
    decimals = 2 if ratio < 1.995 else 1 if ratio < 9.95 else 0
    if ratio < 0.1:
        decimals = min(9, 1 - math.floor(math.log10(ratio))) if ratio > 0 else 0
    return f"{ratio:,.{decimals}f} times"


def count(rows: int, singular: str, plural: str | None = None) -> str:
    """Format a number with its noun: 1 rating, 2,000 ratings."""
    return f"1 {singular}" if rows == 1 else f"{rows:,} {plural or singular + 's'}"


def listing(names: Sequence[str]) -> str:
    """Join names as in a sentence: a, b and c."""
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)


def verb(subjects: Sequence[str], plural: str) -> str:
    """The verb in singular or plural, by the number of its subjects."""
    return plural if len(subjects) > 1 else {"do": "does"}.get(plural, f"{plural}s")


PROPER_NAMES = {"Bayesian"}


def inside(title: str) -> str:
    """A title in a sentence: 'Item mean' loses its capital, 'MF' and names do not, one with a comma gets quotes."""
    if "," in title:
        return f"“{title}”"
    first = title.partition(" ")[0]
    ordinary = first[1:].islower() and first not in PROPER_NAMES
    return title[0].lower() + title[1:] if ordinary else title


def opening(text: str) -> str:
    """`text` with a capital first letter."""
    return text[:1].upper() + text[1:]


def stopped(text: str) -> str:
    """`text` on one line with a full stop at its end, unless it ends with another mark."""
    line = " ".join(text.split())
    return line if line.endswith((".", "!", "?", "…")) else f"{line}."


def printable(text: str) -> str:
    """`text` without control characters, which are invalid in XML; line breaks stay."""
    return "".join(character for character in text if character.isprintable() or character == "\n")
