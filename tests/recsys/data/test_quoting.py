"""Files with quotes in their texts: whether they enclose fields, and that no row is lost in one."""

import csv
import io
import random
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recsys.data.quoting import is_unquoted
from recsys.errors import BadRatings
from tests.reading import rows_and_set_aside, rows_of

LIVE = 'user,item,rating\nu1,"Live at home,4\nu2,x,3\nu3,mix 12",5\n'
"""Three rows, and two quotes that could enclose them."""

MISQUOTED = 'user,item,rating\nu1,"Live" at home,4\nu2,x,3\n'


def with_tabs(text: str) -> str:
    return text.replace(",", "\t")


def test_a_tab_separated_file_without_quoting_is_read_as_it_is() -> None:
    assert rows_of(with_tabs(LIVE)) == [("u1", '"Live at home', 4), ("u2", "x", 3), ("u3", 'mix 12"', 5)]
    assert rows_of(with_tabs(MISQUOTED)) == [("u1", '"Live" at home', 4), ("u2", "x", 3)]


def test_a_stray_quote_far_down_a_tab_separated_file_is_read_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recsys.data.opening.BLOCK_BYTES", 1000)
    rows = [(f"u{row}", '"Live' if row == 900 else f"i{row % 7}", row % 5) for row in range(1000)]
    text = "user\titem\trating\n" + "".join(f"{u}\t{i}\t{r}\n" for u, i, r in rows)
    assert rows_of(text) == rows


def test_a_quoted_field_that_holds_rows_stops_the_run() -> None:
    for bad_rows in ("error", "quarantine"):
        with pytest.raises(BadRatings) as refused:
            rows_of(LIVE, bad_rows=bad_rows)
        assert str(refused.value) == (
            "ratings.csv, line 2: the quoted field that begins with '\"Live at home,4' runs over 3 lines, which look "
            "like rows; say --quoting none if quotes are ordinary characters in this file, or --quoting standard if "
            "the field is meant."
        )


def test_a_quoted_field_over_many_lines_stops_the_run() -> None:
    review = "so\n" * 600
    text = f'user,item,rating,review\nu1,i1,4,"{review}"\nu2,i2,5,good\n'
    with pytest.raises(BadRatings, match=r"line 2: the quoted field .* runs over 601 lines; say --quoting none if"):
        rows_of(text)
    assert rows_of(text, quoting="standard") == [("u1", "i1", 4), ("u2", "i2", 5)]


@pytest.mark.parametrize(
    "text",
    [
        'user,"item,rating\nu1,i1,4\nu2,i2,5\nu3,i3",x\nu4,i4,5\n',
        '"Exported on Monday\n1,2,3\n1,3,4\n2,3,12",5\n7,8,1\n7,9,1\n',
    ],
)
def test_rows_are_not_lost_in_a_header_or_a_note_either(text: str) -> None:
    for bad_rows in ("error", "quarantine"):
        with pytest.raises(BadRatings, match=r"line 1: the quoted field .* which look like rows"):
            rows_of(text, bad_rows=bad_rows)


def test_both_advices_are_followed() -> None:
    assert rows_of(LIVE, quoting="none") == [("u1", '"Live at home', 4), ("u2", "x", 3), ("u3", 'mix 12"', 5)]
    assert rows_of(LIVE, quoting="standard") == [("u1", "Live at home,4\nu2,x,3\nu3,mix 12", 5)]


def test_text_after_a_closing_quote_is_read_without_quoting() -> None:
    with pytest.raises(
        BadRatings, match=r"line 2: a quote is opened and not closed, or closed inside a field .*--quoting none"
    ):
        rows_of(MISQUOTED)
    assert rows_of(MISQUOTED, quoting="none") == [("u1", '"Live" at home', 4), ("u2", "x", 3)]


@pytest.mark.parametrize("separator", [",", "\t", ";", "|"])
@pytest.mark.parametrize("quoting", ["auto", "standard"])
def test_reviews_with_line_breaks_are_read(separator: str, quoting: str) -> None:
    reviews = ["good", "so,\n\nso", 'a "very"\ngood\tone;|', "one, two, three\nfour, five, six\n\n7, 8, 9", ""]
    rows = [(f"u{row}", row % 3, row % 5, reviews[row % 5]) for row in range(100)]
    file = io.StringIO()
    csv.writer(file, delimiter=separator, lineterminator="\n").writerows([("user", "item", "rating", "review"), *rows])
    assert rows_of(file.getvalue(), quoting=quoting) == [row[:3] for row in rows]


@pytest.mark.parametrize("review", ["so\nso", "1\n2", "a, b\n", "1,2,3\nso\n4,5,6"])
@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_a_field_with_line_breaks_may_be_in_any_column(review: str, place: int) -> None:
    rows = [["u", "i", "5"], ["v", "i", "4"]]
    for row in rows:
        row.insert(place, review)
    names = ["user", "item", "rating"]
    names.insert(place, "review")
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([names, *rows])
    assert rows_of(file.getvalue()) == [("u", "i", 5.0), ("v", "i", 4.0)]


def test_numbers_over_two_lines_in_an_id_are_read() -> None:
    text = 'user,item,rating,note\n007,"0\n0",0,0\n007,"0\n0",0\n'
    read, bad = rows_and_set_aside(text, bad_rows="quarantine")
    assert read == [("007", "0\n0", 0)]
    assert len(bad) == 1


def test_reviews_with_line_breaks_are_read_fast() -> None:
    review = '"' + 'They said ""fine"", and\nit was, in parts.\n\n' * 5 + '"'
    text = "user,item,rating,review\n" + "".join(f"{row % 99},{row % 77},{row % 5},{review}\n" for row in range(20_000))
    begin = time.process_time()
    assert len(rows_of(text)) == 20_000
    assert time.process_time() - begin < 5  # it takes 0.4, and minutes if each record begins with a scan of all


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["a\t1", '"b\t2', "c\t3"], True),
        (["a\t1", '"b" c\t2', "c\t3"], True),
        (["a\t1", 'b"\t2', "c\t3"], False),
        (["a\t1", '"b"\t2', "c\t3"], False),
        (["a\t1", '"b\t2', "c\t3\t4"], False),
        (["a\t1", "c\t3", '"b\t2'], False),
        (["a\t1", '"b\t2', '"c ""d"""\t3', "e\t4", "f\t5"], False),
        (['"a"\t1', '"b\t2', '"c"\t3'], False),
        (['"a"\t1', '"b\t2', "c\t3", "d\t4"], True),
        ([], False),
    ],
    ids=repr,
)
def test_a_file_is_unquoted_only_if_it_shows(lines: list[str], expected: bool) -> None:
    assert is_unquoted("".join(f"{line}\n" for line in lines).encode(), "\t") is expected


TEXTS = st.sampled_from(["x", "mix", 'mix 12"', '"Live', '"Live"', '"Live" at home', 'say "hi"', '""', '"'])


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.tuples(TEXTS, TEXTS, st.integers(1, 5)), min_size=2, max_size=25),
    st.sampled_from([",", "\t", ";", "|", " ", "::"]),
    st.booleans(),
)
@example([('"Live', "x", 1), ("x", 'mix 12"', 2), ("x", "x", 3)], ",", True)
@example([("x", '"', 1), ('"', '""', 1)], ",", False)
def test_no_row_is_ever_lost_to_stray_quotes(rows: list[tuple[str, str, int]], separator: str, header: bool) -> None:
    """What was written without quoting is read row by row, set aside row by row, or refused."""
    rows = [(u.replace(" ", "-"), i.replace(" ", "-"), r) for u, i, r in rows] if separator == " " else rows
    lines = [separator.join(map(str, row)) for row in rows]
    head = [separator.join(("user", "item", "rating"))] if header else []
    text = "".join(f"{line}\n" for line in head + lines)
    for asked in ("auto", "none"):
        try:
            read, bad = rows_and_set_aside(text, quoting=asked, bad_rows="quarantine", header="yes" if header else "no")
        except BadRatings:
            assert asked == "auto"
            continue
        assert len(read) + len(bad) == len(rows)
        if asked == "none":
            assert read == [(user, item, rating) for user, item, rating in rows]


def test_a_large_file_with_many_stray_quotes_is_answered_at_once() -> None:
    rows = random.Random(1)
    text = "user,item,rating\n" + "".join(f'{rows.randrange(99)},"x{row},4\n' for row in range(50_000))
    begin = time.process_time()
    read, bad = rows_and_set_aside(text + "1,2,3\n", bad_rows="quarantine")
    assert (len(read), len(bad)) == (1, 50_000)
    assert time.process_time() - begin < 10  # it takes 2
