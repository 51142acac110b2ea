"""JSON lines, as Yelp and Amazon publish their reviews."""

import gzip
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.data.columns import Role
from recsys.data.json_lines import _parsed, _type, read_exactly, read_quickly
from recsys.data.quoting import never
from recsys.data.table import LineCount
from recsys.data.tokenizer import blocks
from recsys.errors import BadRatings
from tests.reading import rows_and_set_aside, rows_of

YELP = [
    {
        "review_id": "r1",
        "user_id": "a",
        "business_id": "x",
        "stars": 5.0,
        "text": "so\ngood, \u00e9",
        "date": "2018-07-07 22:09:11",
    },
    {"review_id": "r2", "user_id": "b", "business_id": "x", "stars": 4, "text": None, "date": "2018-07-07 22:09:12"},
]
AMAZON = [
    {"reviewerID": "A1", "asin": "0001", "name": "J", "helpful": [2, 3], "style": {"Size": 7}, "overall": 5.0,
     "unixReviewTime": 1252800000, "reviewTime": "09 13, 2009"},
    {"overall": 3.0, "reviewerID": "A2", "asin": "0002", "unixReviewTime": 1252800001},
]  # fmt: skip


def lines(objects: list[dict[str, Any]]) -> str:
    return "".join(f"{json.dumps(value)}\n" for value in objects)


def test_reviews_of_yelp_and_amazon_are_read() -> None:
    assert rows_of(lines(YELP)) == [("a", "x", 5.0, 1531001351), ("b", "x", 4.0, 1531001352)]
    assert rows_of(gzip.compress(lines(AMAZON).encode())) == [
        ("A1", "0001", 5.0, 1252800000),
        ("A2", "0002", 3.0, 1252800001),
    ]


@pytest.mark.parametrize("change", ["\ufeff{}", "\n\n{}", "{}\n  \n", " {}"])
def test_blank_lines_and_a_mark_do_no_harm(change: str) -> None:
    text = change.format(lines([{"user": 1, "item": 2, "rating": 3}, {"user": 2, "item": 2, "rating": 4}]))
    assert rows_of(text) == [(1, 2, 3.0), (2, 2, 4.0)]
    assert rows_of(text.replace("\n", "\r\n")) == [(1, 2, 3.0), (2, 2, 4.0)]
    assert rows_of(text.encode("utf-16")) == [(1, 2, 3.0), (2, 2, 4.0)]


def test_columns_are_named_as_in_any_file() -> None:
    text = lines([{"who": "a", "item": "x", "rating": 3, "stars": 5}])
    assert rows_of(text, user_column="who", rating_column="stars") == [("a", "x", 5.0)]
    with pytest.raises(
        BadRatings, match=r"no column that looks like the user .* \(who, item, rating, stars\); name it"
    ):
        rows_of(text)


def test_lines_are_left_out_as_asked() -> None:
    assert rows_of("Exported today\n" + lines([{"user": 1, "item": 2, "rating": 3}]), skip_lines=1) == [(1, 2, 3.0)]


BAD = [
    ('{"user": "b", "rating": 3}', "the item id is missing"),
    ('{"user": "b", "item": null, "rating": 3}', "the item id is missing"),
    ('{"user": "b", "item": "x"}', "the rating is missing"),
    ('{"user": "b", "item": ["x"], "rating": 3}', "'item' holds a list, which is no item"),
    ('{"user": {"id": 1}, "item": "x", "rating": 3}', "'user' holds an object, which is no user"),
    ('{"user": "b", "item": "x", "rating": "good"}', "rating 'good' is not a number"),
    ('{"user": "b", "item": "x", "rating": NaN}', "rating 'NaN' is not a number"),
    ('{"user": "b\\u0000", "item": "x", "rating": 3}', "'user' holds 'b\\x00', which is no text"),
    ('{"user": "b\\ud800", "item": "x", "rating": 3}', "'user' holds 'b\\ud800', which is no text"),
    ('{"user": "b", "item": "x", "rating": 3', "it is no JSON object"),
    ("[1, 2, 3]", "it is no JSON object"),
    ("b,x,3", "it is no JSON object"),
    ("[" * 100_000, "it is no JSON object"),
]


@pytest.mark.parametrize(("line", "reason"), BAD, ids=[reason for _, reason in BAD])
def test_a_line_without_a_rating_is_a_bad_row(line: str, reason: str) -> None:
    good = lines([{"user": "a", "item": "x", "rating": 3}])
    with pytest.raises(BadRatings) as refused:
        rows_of(good + line + "\n")
    assert str(refused.value).startswith(
        f"ratings.csv, line 2: {reason}; correct the line, or set such rows aside with"
    )
    assert rows_and_set_aside(f"{good}\n{line}\n{good}", bad_rows="quarantine") == (
        [("a", "x", 3.0), ("a", "x", 3.0)],
        [(3, reason, line)],
    )


def test_bytes_that_are_no_text_are_a_bad_row() -> None:
    good = b'{"user": "a", "item": "x", "rating": 3}\n'
    read, bad = rows_and_set_aside(good + good.replace(b'"a"', b'"\xe9"'), bad_rows="quarantine")
    assert read == [("a", "x", 3.0)]
    assert bad[0][:2] == (2, "it is not UTF-8 text (byte 0xe9), name the file's encoding, such as --encoding latin-1")
    assert rows_of(good + good.replace(b'"a"', b'"\xe9"'), encoding="latin-1") == [("a", "x", 3.0), ("é", "x", 3.0)]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            '[{"user": 1, "item": 2, "rating": 3}]',
            "is a JSON array; write each rating as an object on a line of its own",
        ),
        ("[[1, 2, 3]]", "is a JSON array"),
        (
            '{"user": 1,\n "item": 2,\n "rating": 3}\n',
            "is JSON, but has no object on each line; write each rating as an",
        ),
        ('{"ratings": [{"user": 1}]}', "is JSON, but has no object on each line"),
        ('{"user": {"0": 1}, "item": {"0": 2}, "rating": {"0": 5}}', "is JSON, but has no object on each line"),
    ],
)
def test_json_of_another_kind_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(BadRatings, match=sentence):
        rows_of(text)


def test_ids_of_several_kinds_are_read_as_text() -> None:
    assert rows_of('{"user":1,"item":2,"rating":3}\n{"user":"x","item":2,"rating":3.5}\n') == [
        ("1", 2, 3.0),
        ("x", 2, 3.5),
    ]
    assert rows_of('{"user":1,"item":2,"rating":3}\n{"user":12345678901234567890,"item":2,"rating":1}\n')[1][0] == (
        "12345678901234567890"
    )


VALUES = st.sampled_from(["1", "-7", "2.5", '"a"', '"4.5"', "null", '"é"', '"\\u00e9"', "true", "[1]", '"x\\ny"'])
OBJECTS = st.lists(
    st.lists(st.tuples(st.sampled_from(["user", "item", "rating", "timestamp", "more"]), VALUES), max_size=5),
    max_size=6,
)


@settings(deadline=None)
@given(OBJECTS, st.sampled_from(["\n", "\n\n", "\n \n"]))
def test_the_quick_and_the_exact_way_read_the_same(objects: list[list[tuple[str, str]]], end: str) -> None:
    text = "".join("{" + ", ".join(f'"{name}": {value}' for name, value in pairs) + "}" + end for pairs in objects)
    wanted: dict[Role, str] = {"user": "user", "item": "item", "rating": "rating", "timestamp": "timestamp"}
    for kind in ("1", '"a"', "true"):
        types = {role: _type(role, [_parsed(kind)]) for role in wanted}
        for block in blocks([text.encode()], "\n", "f", quotes=never):
            quick, exact = read_quickly(block, wanted, types), read_exactly(block, wanted, "UTF-8", LineCount())
            assert len(exact.lines) + len(exact.bad_rows) == len(objects)
            if quick is not None:
                assert exact.bad_rows == []
                assert quick == exact.fields
