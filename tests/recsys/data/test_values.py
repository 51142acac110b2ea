from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recsys.data.times import read_time
from recsys.data.values import Columns, Rules, convert, read_rating


def converted(**texts: list[str]) -> tuple[Columns, dict[int, str]]:
    rows = len(next(iter(texts.values())))
    columns = {"user": ["u"] * rows, "item": ["i"] * rows, "rating": ["1"] * rows} | texts
    values = convert({role: pa.array(text, pa.string()) for role, text in columns.items()})  # type: ignore[misc]
    return values.columns, values.bad


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3.5", 3.5),
        ("3,5", 3.5),
        ("True", 1.0),
        ("false", 0.0),
        ("0,125", 0.125),
        (" 4 ", 4.0),
        ("-2", -2.0),
        ("+1.", 1.0),
        (".5", 0.5),
        ("1e2", 100.0),
        ("1E-1", 0.1),
        ("007", 7.0),
    ],
)
def test_a_decimal_number_is_a_rating(text: str, value: float) -> None:
    assert read_rating(text) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the rating is missing"),
        ("  ", "the rating is missing"),
        ("abc", "rating 'abc' is not a number"),
        (
            "2,013",
            "rating '2,013' may have a decimal comma or separate the thousands: say --decimal comma if it "
            "is 2.013, or write it without the comma",
        ),
        ("NaN", "rating 'NaN' is not a number"),
        ("-inf", "rating '-inf' is not a number"),
        ("1e999", "rating '1e999' is beyond ±1e15, the largest that can be compared"),
        ("-3e38", "rating '-3e38' is beyond ±1e15, the largest that can be compared"),
        ("1_000", "rating '1_000' is not a number"),
        ("0x10", "rating '0x10' is not a number"),
        ("٣", "rating '٣' is not a number"),
        ("5\x1b[31m", r"rating '5\x1b[31m' is not a number"),
        ("x" * 100, f"rating '{'x' * 59}…' is not a number"),
        ("0", "rating '0' is below the scale's lowest, 0.5 (--min-rating)"),
        ("5.5", "rating '5.5' is above the scale's highest, 5 (--max-rating)"),
    ],
)
def test_what_is_wrong_with_a_rating_is_said(text: str, reason: str) -> None:
    assert read_rating(text, Rules(min_rating=0.5, max_rating=5.0)) == reason


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["1", "-2", "9223372036854775807"], [1, -2, 2**63 - 1]),
        (["1", "9223372036854775808"], ["1", "9223372036854775808"]),
        (["1", "007"], ["1", "007"]),
        (["1", "+2"], ["1", "+2"]),
        (["1", "-0"], ["1", "-0"]),
        (["1", "0x1F"], ["1", "0x1F"]),
        (["1", "2.0", "-3.00"], [1, 2, -3]),
        (["1.0", "x", "1.5"], ["1", "x", "1.5"]),
        ([" 1", "2 "], [1, 2]),
        ([" Łódź ", "東京"], ["Łódź", "東京"]),
        (["1", "\u0661"], ["1", "\u0661"]),
    ],
)
def test_ids_are_numbers_only_if_the_number_is_written_the_same(texts: list[str], values: list[int | str]) -> None:
    columns, _ = converted(item=texts)
    assert columns["item"].to_pylist() == values


@pytest.mark.parametrize("word", ["NULL", r"\N", "nan", "None", "NA", "n/a", "<NA>", " null "])
def test_an_id_that_stands_for_a_missing_value_is_none_unless_it_is_meant(word: str) -> None:
    columns, reasons = converted(user=["7", word, "8"])
    assert reasons.keys() == {1}
    assert columns["user"].to_pylist() == [7, 8]
    kept = convert(
        {"user": pa.array(["7", word]), "item": pa.array(["1", "2"]), "rating": pa.array(["3", "4"])},
        Rules(keep_null_ids=True),
    )
    assert not kept.bad
    assert kept.columns["user"].to_pylist() == ["7", word.strip()]


def test_rows_whose_rating_means_none_are_left_out_and_counted() -> None:
    fields = {
        "user": pa.array(["1", "2", "", "4"]),
        "item": pa.array(["5"] * 4),
        "rating": pa.array(["3", "-1", "-1", "99"]),
    }
    values = convert(fields, Rules(not_rated=(-1.0, 99.0), min_rating=1.0))  # type: ignore[arg-type]
    assert values.columns["rating"].to_pylist() == [3.0]
    assert values.bad == {2: "the user id is missing"}
    assert values.not_rated == 2


def test_true_and_false_are_ratings_but_not_among_numbers() -> None:
    assert converted(rating=["true", "False"])[0]["rating"].to_pylist() == [1.0, 0.0]
    columns, reasons = converted(rating=["true", "4"])
    assert columns["rating"].to_pylist() == [4.0]
    assert reasons == {0: "rating 'true' stands among numbers"}


def test_a_decimal_comma_is_read_where_it_cannot_separate_thousands() -> None:
    assert read_rating("2,013", Rules(decimal="comma")) == 2.013
    assert read_rating("2,5", Rules(decimal="point")) == "rating '2,5' is not a number"
    assert read_rating("1.234,5", Rules(decimal="comma")) == "rating '1.234,5' is not a number"


@settings(deadline=None)
@given(st.lists(st.integers(-(2**70), 2**70).map(str) | st.text("01-+xé", min_size=1), min_size=1))
def test_no_id_changes(ids: list[str]) -> None:
    columns, _ = converted(user=ids)
    assert [str(value) for value in columns["user"].to_pylist()] == ids


def test_each_bad_row_has_its_reason_and_the_good_ones_keep_their_order() -> None:
    columns, reasons = converted(user=["1", "", "3", "4"], item=["5", "", "7", " "], rating=["1", "2", "x", "4"])
    assert reasons == {1: "the user id is missing", 2: "rating 'x' is not a number", 3: "the item id is missing"}
    assert {role: values.to_pylist() for role, values in columns.items()} == {"user": [1], "item": [5], "rating": [1.0]}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("978300760", 978300760),
        ("978300760.9", 978300760),
        ("9.783e8", 978300000),
        ("-1.5", -2),
        ("978300760000", 978300760),
        ("978300760123456", 978300760),
        ("978300760123456789", 978300760),
        ("2000-12-31", 978220800),
        ("2000-12-31 22:12:40", 978300760),
        ("2000-12-31T22:12:40Z", 978300760),
        ("2000-12-31T23:12:40.5+01:00", 978300760),
        (" 978300760 ", 978300760),
        ("", None),
        ("yesterday", None),
        ("31/12/2000", None),
        ("nan", None),
        ("1e999", None),
        ("1" * 5000, None),
        ("0000-01-01", None),
    ],
)
def test_a_time_is_seconds_since_1970(text: str, seconds: int | None) -> None:
    assert read_time(text) == seconds
    assert converted(timestamp=[text])[0]["timestamp"].to_pylist() == [seconds]
    assert converted(timestamp=[text, "?"])[0]["timestamp"].to_pylist() == [seconds, None]


@settings(deadline=None)
@given(
    st.lists(st.integers(-(2**64), 2**64).map(str), min_size=1)
    | st.lists(st.datetimes().map(str), min_size=1)
    | st.lists(st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat), min_size=1)
    | st.lists(st.dates().map(str), min_size=1)
    | st.lists(
        st.from_regex(r"\d{4}-[01]\d-[0-3]\d[ T][012]\d(:?[0-6]\d){0,2}(\.\d{0,7})?(Z|[+-]\d\d(:?\d\d)?)?\Z"),
        min_size=1,
    )
)
@example(["-9223372036854775808"])
def test_times_read_in_bulk_are_those_read_one_by_one(texts: list[str]) -> None:
    columns, _ = converted(timestamp=texts)
    assert columns["timestamp"].to_pylist() == [read_time(text) for text in texts]
