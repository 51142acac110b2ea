from collections.abc import Iterator

import pyarrow as pa
import pytest

from recsys.data.times import read_times, time_format

DAY = 1_427_414_400  # 27 March 2015


def seconds(*texts: str, wanted: str = "auto") -> list[int | None]:
    column = pa.array(texts, pa.string())
    read: list[int | None] = read_times(column, time_format([column], wanted)).to_pylist()
    return read


@pytest.mark.parametrize(
    ("text", "second"),
    [
        ("3/27/2015", DAY),
        ("27/03/2015", DAY),
        ("27.03.2015", DAY),
        ("27.3.15", DAY),
        ("27-03-2015", DAY),
        ("2015/3/27", DAY),
        ("2015-3-27", DAY),
        ("03 27, 2015", DAY),
        ("27 Mar 2015", DAY),
        ("March 27, 2015", DAY),
        ("3/27/2015 6:05 PM", DAY + 18 * 3600 + 300),
        ("27.03.2015, 18:05:09", DAY + 18 * 3600 + 309),
        ("Fri Mar 27 18:05:09 +0100 2015", DAY + 17 * 3600 + 309),
        ("Fri, 27 Mar 2015 18:05:09 GMT", DAY + 18 * 3600 + 309),
        ("20150327", DAY),
        ("201503271805", DAY + 18 * 3600 + 300),
        ("20150327180509", DAY + 18 * 3600 + 309),
        ("1427479509", DAY + 18 * 3600 + 309),
        ("1427479509000", DAY + 18 * 3600 + 309),
        ("2015-03-27 18:05:09", DAY + 18 * 3600 + 309),
    ],
)
def test_times_are_read_as_people_write_them(text: str, second: int) -> None:
    assert seconds(text, "", f" {text} ") == [second, None, second]


def test_one_value_decides_whether_the_day_or_the_month_is_first() -> None:
    pieces = [pa.array(["3/4/2015", "5/6/2015"]), pa.array(["12/12/2015", "13/4/2015"]), pa.array(["x"])]
    assert time_format(pieces) == "%d/%m/%Y"
    assert time_format([pa.array(["3/4/2015"]), pa.array(["4/13/2015"])]) == "%m/%d/%Y"


def test_what_nothing_decides_is_left_unread_unless_it_is_said() -> None:
    assert seconds("3/4/2015", "5/6/2015") == [None, None]
    assert seconds("27/3/2015", "3/4/2015", wanted="day-first") == [DAY, DAY + 7 * 86400]
    assert seconds("3/27/2015", "3/4/2015", wanted="month-first")[0] == DAY
    assert seconds("3/27/2015", "3/4/2015", wanted="day-first")[0] is None


def test_the_form_that_is_given_is_taken() -> None:
    assert seconds("27|03|2015", wanted="%d|%m|%Y") == [DAY]


def test_a_month_whose_name_has_no_short_form_hides_no_other() -> None:
    assert seconds("May 3, 2015") == [DAY + 37 * 86400]
    column = [pa.array(["May 3, 2015"]), pa.array(["June 3, 2015"])]
    assert time_format(column) == "%B %d, %Y"


def test_a_day_that_does_not_exist_is_no_time() -> None:
    assert seconds("31.02.2015", "27.03.2015") == [None, DAY]


def test_no_more_is_read_than_it_takes() -> None:
    def pieces() -> Iterator[pa.StringArray]:
        yield pa.array(["27.03.2015"])
        raise AssertionError

    assert time_format(pieces()) == "%d.%m.%Y"
