from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recsys.data.values import Columns, convert, read_rating, read_time


def converted(**texts: list[str]) -> tuple[Columns, dict[int, str]]:
    rows = len(next(iter(texts.values())))
    columns = {"user": ["u"] * rows, "item": ["i"] * rows, "rating": ["1"] * rows} | texts
    return convert({role: pa.array(text, pa.string()) for role, text in columns.items()}, None, None)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "value"),
    [("3.5", 3.5), (" 4 ", 4.0), ("-2", -2.0), ("+1.", 1.0), (".5", 0.5), ("1e2", 100.0), ("1E-1", 0.1), ("007", 7.0)],
)
def test_a_decimal_number_is_a_rating(text: str, value: float) -> None:
    assert read_rating(text, None, None) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the rating is missing"),
        ("  ", "the rating is missing"),
        ("abc", "rating 'abc' is not a number"),
        ("3,5", "rating '3,5' has a decimal comma, write it with a point (3.5)"),
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
    assert read_rating(text, 0.5, 5.0) == reason


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["1", "-2", "9223372036854775807"], [1, -2, 2**63 - 1]),
        (["1", "9223372036854775808"], ["1", "9223372036854775808"]),
        (["1", "007"], ["1", "007"]),
        (["1", "+2"], ["1", "+2"]),
        (["1", "-0"], ["1", "-0"]),
        (["1", "0x1F"], ["1", "0x1F"]),
        (["1", "2.0"], ["1", "2.0"]),
        ([" 1", "2 "], [1, 2]),
        ([" Łódź ", "東京"], ["Łódź", "東京"]),
        (["1", "\u0661"], ["1", "\u0661"]),
    ],
)
def test_ids_are_numbers_only_if_the_number_is_written_the_same(texts: list[str], values: list[int | str]) -> None:
    columns, _ = converted(item=texts)
    assert columns["item"].to_pylist() == values


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
