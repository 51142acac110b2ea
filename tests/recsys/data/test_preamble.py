"""What stands above a table is neither read as a row nor in the way of it."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.errors import BadRatings
from tests.reading import rows_and_set_aside, rows_of

ROWS = "1,31,2.5\n1,1029,3\n15,31,4.5\n"
READ = [(1, 31, 2.5), (1, 1029, 3.0), (15, 31, 4.5)]
HEADER = "userId,movieId,rating\n"

MATRIX = "%%MatrixMarket matrix coordinate real general\n% made by hand\n%\n3 4 3\n1 1 5\n2 3 4.5\n3 4 1\n"
ENTRIES = [(1, 1, 5.0), (2, 3, 4.5), (3, 4, 1.0)]

KONECT = "% bip weighted\n% 4 943 1682\n1 1 5 874965758\n1 2 3 876893171\n2 3 1\t876893171\n"
EDGES = [(1, 1, 5.0, 874965758), (1, 2, 3.0, 876893171), (2, 3, 1.0, 876893171)]


@pytest.mark.parametrize("line", ["sep=;", "sep=;\r", "\ufeffsep=;", "\ufeffsep=;\r", '"sep=;"', "sep=; "])
@pytest.mark.parametrize("header", [HEADER.replace(",", ";"), ""])
def test_the_separator_in_the_first_line_is_used(line: str, header: str) -> None:
    text = f"{line}\n{header}" + ROWS.replace(",", ";").replace("\n", "\r\n" if "\r" in line else "\n")
    assert rows_of(text) == READ
    assert rows_of(text, separator="semicolon") == READ


@pytest.mark.parametrize(("name", "separator"), [("\\t", "\t"), ("\t", "\t"), ("|", "|"), (":", ":"), (" ", " ")])
def test_any_mark_may_be_the_separator(name: str, separator: str) -> None:
    assert rows_of(f"sep={name}\n" + ROWS.replace(",", separator)) == READ


@pytest.mark.parametrize(
    "above",
    [
        "# a comment\n",
        "# one, of, three\n#\n\n#another\n",
        "% a comment\n",
        "Exported on 2020-01-01\n\n",
        "Exported on Monday, 3 May\nNumber of rows:,3\n\n",
        "Exported by Ann, Bob, and Carl\n",
        '"Ratings; of all shops"\n',
        "Ratings:\n",
        "1,2\n",
        "3 May, 2020, Ann\n",
    ],
)
def test_comments_and_notes_above_a_header_are_left_out(above: str) -> None:
    assert rows_and_set_aside(above + HEADER + ROWS, bad_rows="quarantine") == (READ, [])
    assert rows_of((above + HEADER + ROWS).replace("\n", "\r\n")) == READ


@pytest.mark.parametrize("above", ["# a comment\n", "# one, of, three\n", "Exported on Monday\n\n", "\n"])
def test_comments_and_notes_above_rows_are_left_out(above: str) -> None:
    assert rows_and_set_aside(above + ROWS, bad_rows="quarantine") == (READ, [])
    assert rows_of(above + ROWS, header="no") == READ


@pytest.mark.parametrize("above", ["1,2\n", "7\n", "a,b\n", "a,b,c,d\n", "1,2,3,4\n"])
def test_what_could_be_a_broken_row_is_no_note(above: str) -> None:
    with pytest.raises(BadRatings, match=r"line 1: it has \d fields? instead of 3|only two columns|no column that"):
        rows_of(above + ROWS)


def test_a_header_below_rows_is_a_bad_row() -> None:
    with pytest.raises(BadRatings, match="line 4: rating 'rating' is not a number"):
        rows_of(ROWS + "item,user,rating\n" + ROWS)


def test_a_header_with_a_field_too_few_is_no_note() -> None:
    with pytest.raises(BadRatings, match="line 2: it has 4 fields instead of 3"):
        rows_of("user item rating\n1 u1 i1 5\n2 u2 i2 4\n")
    with pytest.raises(BadRatings, match="no column that looks like the user among its columns"):
        rows_of("utilisateur,film,note\n1,u1,i1,5\n2,u2,i2,4\n")


@pytest.mark.parametrize("comment", ["#item,user,rating\n", "# item, user, rating\n", "# of May\n#item,user,rating\n"])
def test_the_names_of_the_columns_may_be_a_comment(comment: str) -> None:
    assert rows_of(comment + ROWS) == [(item, user, rating) for user, item, rating in READ]
    assert rows_of(comment + ROWS, header="no") == READ


def test_a_comment_that_could_be_a_row_stops_the_run() -> None:
    with pytest.raises(BadRatings, match=r"line 1: '#7,31,2' may be a comment or a row; say --skip-lines 1 if it is a"):
        rows_of("#7,31,2\n" + ROWS)
    assert rows_of("#7,31,2\n" + ROWS, skip_lines=1) == READ
    assert rows_of("#7,31,2\n" + ROWS, skip_lines=0)[0] == ("#7", 31, 2.0)


def test_ids_that_all_begin_like_comments_are_ids() -> None:
    assert rows_of("#a,1,5\n#b,1,4\n") == [("#a", 1, 5.0), ("#b", 1, 4.0)]


def test_lines_are_left_out_as_asked() -> None:
    text = "Exported on Monday, 3 May, by Ann\n7,7,7\n" + HEADER + ROWS
    assert rows_of(text, skip_lines=2) == READ
    assert rows_of(text, skip_lines=3) == READ
    assert rows_of(text, skip_lines=4) == READ[1:]
    assert rows_and_set_aside(text + "x\n", skip_lines=3, bad_rows="quarantine")[1][0][0] == 7
    with pytest.raises(
        BadRatings, match=r"has 6 whole lines in its first \d+ bytes, and --skip-lines 7 leaves out all"
    ):
        rows_of(text, skip_lines=7)


@pytest.mark.parametrize("bad_rows", ["error", "quarantine"])
@pytest.mark.parametrize(
    ("text", "rows"),
    [(MATRIX, ENTRIES), (MATRIX.replace(" ", "\t"), ENTRIES), (KONECT, EDGES)],
    ids=["mtx", "t", "konect"],
)
def test_the_line_with_the_sizes_is_no_rating(text: str, rows: list[tuple[Any, ...]], bad_rows: str) -> None:
    text = text.replace("%%MatrixMarket\tmatrix\tcoordinate\treal\tgeneral", MATRIX.partition("\n")[0])
    assert rows_and_set_aside(text, bad_rows=bad_rows) == (rows, [])
    assert rows_of(text, header="no") == rows


def test_networks_without_times_are_read() -> None:
    assert rows_of("% asym signed\n%3 2 2\n1 1 5\n1 2 -3\n2 2 1\n") == [(1, 1, 5.0), (1, 2, -3.0), (2, 2, 1.0)]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            MATRIX.replace("3 4 3", "3 4 4"),
            "has 3 rows, and 4 according to its first lines; write or download it again.",
        ),
        (MATRIX.replace("3 4 3\n1 1 5\n", "3\n"), "line 4: '3' is not the size of a matrix"),
        (MATRIX.replace("real", "pattern"), "is a pattern matrix, which holds no ratings"),
        (MATRIX.replace("real", "complex"), "is a complex matrix, which holds no ratings"),
        (MATRIX.replace("general", "symmetric"), "is a symmetric matrix, of which only one half is written"),
        (MATRIX.replace("coordinate", "array"), "is a dense matrix, in which missing ratings cannot be told"),
        (KONECT.replace("weighted", "unweighted"), "is an unweighted network of KONECT, without ratings"),
    ],
)
def test_a_matrix_or_network_that_holds_no_ratings_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(BadRatings, match=sentence):
        rows_of(text)


def test_the_first_of_a_matrix_are_read_whatever_follows() -> None:
    assert rows_of(MATRIX.replace("3 4 3", "3 4 9"), max_rows=2) == ENTRIES[:2]


def test_pairs_without_ratings_are_read_of_a_pattern() -> None:
    text = "%%MatrixMarket matrix coordinate pattern general\n2 2 2\n1 2\n2 1\n"
    assert rows_of(text, required=("user", "item")) == [(1, 2), (2, 1)]


@settings(deadline=None)
@given(
    st.lists(st.text("ab ,#%1", max_size=8), max_size=4),
    st.sampled_from([HEADER, ""]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_every_line_above_a_table_is_named_or_left_out(above: list[str], header: str, end: str) -> None:
    """No row of the table is lost to what is above it."""
    text = "".join(f"{line}\n" for line in above) + header + ROWS * 5
    try:
        read, bad = rows_and_set_aside(text.replace("\n", end), bad_rows="quarantine")
    except BadRatings:
        return
    assert len(read) + len(bad) >= 15
    assert [line for line, *_ in bad if line > len(above) + bool(header)] == []
    assert [tuple(map(str, row[:2])) for row in read[-15:]] == [(str(user), str(item)) for user, item, _ in READ] * 5
