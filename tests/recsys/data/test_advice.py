"""Whoever follows the advice of a sentence gets the ratings, or another sentence."""

import gzip
import json
import lzma
import re
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from recsys.errors import BadRatings
from tests.faults.broken_files import BROKEN, HEADER, ROWS
from tests.reading import rows_of

TEXT = HEADER + ROWS

WITH_OPTIONS: dict[str, tuple[bytes, dict[str, Any]]] = {
    "another separator than asked for": (TEXT.encode(), {"separator": "tab"}),
    "no separator that is known": (b"1/2/3\n4/5/6\n", {}),
    "another encoding than asked for": (TEXT.encode("utf-16"), {"encoding": "latin-1"}),
    "all lines left out": (TEXT.encode(), {"skip_lines": 99}),
    "lines that look like rows in a quoted field": (b'user,item,rating\na,"b,3\na,c,4\na,d",5\n', {}),
    "a field of many lines": (b'user,item,rating,x\na,b,3,"' + b"so\n" * 600 + b'"\na,c,3,\n', {}),
    "text after a closing quote": (b'user,item,rating\na,"Live" at home,3\n', {}),
    "notes above a table with another header": (b"of May\n1,2\nuser,film,opinion\na,b,3\n", {}),
    "a comment that may be a row": (b"#1,1,5\n" + ROWS.encode(), {}),
    "a word among the ratings of JSON lines": (
        b'{"user":1,"item":1,"rating":"x"}\n{"user":1,"item":2,"rating":3}\n',
        {},
    ),
}
CASES: dict[str, tuple[bytes, dict[str, Any]]] = {what: (file, {}) for what, (file, _) in BROKEN.items()} | WITH_OPTIONS

COLUMNS = ("user_column", "item_column", "rating_column")


def unpacked(file: bytes) -> bytes:
    if file[:1] == b"\x1f":
        return gzip.decompress(file)
    return lzma.decompress(file) if file[:1] == b"\xfd" else pa.CompressedInputStream(pa.py_buffer(file), "zstd").read()


WITHOUT_OPTION: dict[str, Callable[[bytes], bytes]] = {
    "convert the line ends to LF": lambda file: file.replace(b"\r", b"\n"),
    "as jq -c '.[]' does": lambda file: b"".join(json.dumps(value).encode() + b"\n" for value in json.loads(file)),
    "is packed twice; unpack it": unpacked,
}


def sentence_on(file: bytes, settings: dict[str, Any]) -> str | None:
    """What is said of a file; None if it is read."""
    try:
        rows_of(file, **settings)
    except BadRatings as error:
        return str(error)
    return None


def advice_in(sentence: str) -> list[dict[str, Any]]:
    """The settings that a sentence advises, one way to follow it each."""
    ways: list[dict[str, Any]] = []
    for option, value in re.findall(r"--([a-z]+(?:-[a-z]+)*)(?: ([a-z0-9-]+\b))?", sentence):
        name = option.replace("-", "_")
        if f"leave --{option} out" in sentence or f"--{option} {value} was given" in sentence:
            ways.append({name: "auto"})
        elif f"with --{option} {value} finds" in sentence or f"columns with --{option}" in sentence:
            continue
        elif name in COLUMNS:
            columns = re.search(r"columns? \(([^)]*)\)|may be the \w+ \(([^)]*)\)", sentence)
            named = next(filter(None, columns.groups())).split(", ") if columns else ["1"]
            ways += [{name: column} for column in named]
        elif name == "skip_lines":
            ways.append({name: int(value) if value.isdigit() and "leave out fewer" not in sentence else 1})
        elif name in ("min_rating", "max_rating"):
            continue
        else:
            ways.append({name: value})
    return ways


FOLLOWED: dict[str, tuple[bytes, dict[str, Any], dict[str, Any]]] = {
    f"{what}: {way}": (file, settings, way)
    for what, (file, settings) in CASES.items()
    if (said := sentence_on(file, settings))
    for way in advice_in(said)
}


def test_all_options_of_reading_are_advised() -> None:
    options = {name for _, _, way in FOLLOWED.values() for name in way}
    assert options == {"bad_rows", "header", "quoting", "encoding", "separator", "skip_lines", "decimal", *COLUMNS}


@pytest.mark.parametrize("what", FOLLOWED)
def test_an_option_that_is_advised_leads_on(what: str) -> None:
    file, settings, way = FOLLOWED[what]
    assert sentence_on(file, {**settings, **way}) != sentence_on(file, settings)


@pytest.mark.parametrize("advice", WITHOUT_OPTION)
def test_a_change_of_the_file_that_is_advised_leads_on(advice: str) -> None:
    said = {what: sentence_on(*case) or "" for what, case in CASES.items()}
    concerned = [what for what, sentence in said.items() if advice in sentence]
    assert concerned
    for what in concerned:
        file, settings = CASES[what]
        assert advice not in (sentence_on(WITHOUT_OPTION[advice](file), settings) or "")


@pytest.mark.parametrize(
    ("what", "way"),
    [
        ("another separator than asked for", {"separator": "auto"}),
        ("another encoding than asked for", {"encoding": "auto"}),
        ("lines that look like rows in a quoted field", {"quoting": "none"}),
        ("lines that look like rows in a quoted field", {"quoting": "standard"}),
        ("a field of many lines", {"quoting": "standard"}),
        ("text after a closing quote", {"quoting": "none"}),
        ("a comment that may be a row", {"skip_lines": 0}),
        ("a comment that may be a row", {"skip_lines": 1}),
        ("a word among the ratings of JSON lines", {"bad_rows": "quarantine"}),
        ("Latin-1", {"encoding": "latin-1"}),
        ("Latin-1 in the header", {"encoding": "latin-1"}),
        ("Windows-1252 quotes", {"encoding": "latin-1"}),
    ],
)
def test_these_lead_to_the_ratings(what: str, way: dict[str, Any]) -> None:
    file, settings = CASES[what]
    assert sentence_on(file, settings)
    assert sentence_on(file, {**settings, **way}) is None
