"""Text in other encodings than UTF-8."""

import gzip
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from recsys.data.encodings import as_utf_8, encoding_of
from recsys.errors import BadRatings
from recsys.settings import DataSettings
from tests.reading import rows_and_set_aside, rows_of

TEXT = "user,item,rating\nJosé,1,5\nŁódź,2,3\n"
READ = [("José", 1, 5.0), ("Łódź", 2, 3.0)]
LATIN = "user,item,rating,größe\nJosé,1,5,2\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_unicode_is_recognised(encoding: str) -> None:
    assert rows_of(TEXT.encode(encoding)) == READ
    assert rows_of(TEXT.replace("\n", "\r\n").encode(encoding)) == READ
    assert rows_of(gzip.compress(TEXT.encode(encoding))) == READ
    assert rows_of(TEXT.encode(encoding), encoding=encoding) == READ


def test_utf_16_is_read_wherever_its_bytes_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    for size in (71, 72, 73):
        monkeypatch.setattr("recsys.data.opening.BLOCK_BYTES", size)
        assert rows_of((TEXT + "José,1,5\n" * 50).encode("utf-16")) == [*READ, *READ[:1] * 50]


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "ISO8859-15"])
def test_an_encoding_that_is_named_is_used(encoding: str) -> None:
    with pytest.raises(BadRatings, match=r"line 1: it is not UTF-8 text \(byte 0xf6\), name .* --encoding latin-1"):
        rows_of(LATIN.encode(encoding))
    assert rows_of(LATIN.encode(encoding), encoding=encoding) == [("José", 1, 5.0)]


def test_bytes_that_are_no_text_in_it_are_bad_rows() -> None:
    text = TEXT.encode("utf-16-le")
    broken = text + b"\x00\xd8,\0001\0,\0005\0\n\0" + "Ann,3,4\n".encode("utf-16-le")
    assert rows_and_set_aside(broken, bad_rows="quarantine") == (
        [*READ, ("Ann", 3, 4.0)],
        [(4, "it is not UTF-16-LE text", "\\xff\\xff,1,5")],
    )
    bad = [
        (2, "it is not ascii text", "Jos\\xff\\xff,1,5"),
        (3, "it is not ascii text", "\\xff\\xff\\xff\\xffd\\xff\\xff,2,3"),
    ]
    assert rows_and_set_aside(TEXT + "Ann,3,4\n", encoding="ascii", bad_rows="quarantine") == ([("Ann", 3, 4.0)], bad)


def test_half_a_character_at_the_end_is_a_bad_row() -> None:
    read, bad = rows_and_set_aside(TEXT.encode("utf-16")[:-1], bad_rows="quarantine")
    assert read == READ[:1]
    assert [row[:2] for row in bad] == [(3, "it is not UTF-16 text")]


@pytest.mark.parametrize("asked", ["utf-8", "latin-1", "utf-32", "cp1252"])
def test_another_encoding_than_that_of_the_file_is_refused(asked: str) -> None:
    with pytest.raises(BadRatings, match=f"is UTF-16 text, and --encoding {asked} was given; leave --encoding out"):
        rows_of(TEXT.encode("utf-16"), encoding=asked)


@pytest.mark.parametrize("name", ["klingon", "base64", "rot13", "idna", "", "a\0b", "../latin-1", "undefined"])
def test_what_is_no_encoding_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="is none that Python knows: give one such as latin-1"):
        DataSettings(encoding=name)


@pytest.mark.parametrize("head", [b"", b"1", b"1,2,3\n", bytes(range(256)) * 20, b"\0" * 100, b"\1\0\2\0\3\0" * 50])
def test_what_is_not_utf_16_is_not_taken_for_it(head: bytes) -> None:
    assert encoding_of(head, "auto", "f") == "UTF-8"


@settings(deadline=None)
@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r")),
    st.sampled_from(["utf-16", "utf-16-be", "utf-32", "utf-7", "gb18030"]),
    st.lists(st.integers(0, 40), max_size=4),
)
def test_any_text_stays_the_same(text: str, encoding: str, cuts: list[int]) -> None:
    data = text.encode(encoding)
    pieces = [data[start:end] for start, end in pairwise([0, *sorted(cuts), len(data)])]
    assert b"".join(as_utf_8(iter(pieces), encoding)).decode() == text


@settings(deadline=None)
@given(st.binary(max_size=60), st.sampled_from(["ascii", "utf-16-le", "utf-32-be", "cp1252", "shift_jis", "utf-7"]))
def test_any_bytes_become_text_and_marks(data: bytes, encoding: str) -> None:
    made = b"".join(as_utf_8(iter([data]), encoding))
    assert made.replace(b"\xff", b"").decode().encode() == made.replace(b"\xff", b"")
    assert made.count(b"\xff") <= len(data)
