import pytest

from recsys.text import count, inside, listing, number, percent, seconds, short, stopped, times


@pytest.mark.parametrize(
    ("value", "step", "written"),
    [
        (0.79631, 0.005, "0.7963"),
        (0.041234, 0.0003, "0.04123"),
        (1234.5678, 3.0, "1,234.6"),
        (5.357e10, 1.7e8, "5.357e10"),
        (1.12e9, 2.7e8, "1.12e9"),
        (6.277e-14, 5.9e-17, "6.2770e−14"),
        (2.5055e-7, 2.6e-10, "2.5055e−7"),
        (0, 5.9e-17, "0"),
        (-0.0002, 0.01, "0.000"),
        (-0.377, 0.01, "−0.377"),
        (0.5, 0, "0.5000"),
        (None, 0.005, "–"),
        (float("nan"), 0.005, "–"),
        (float("inf"), 0.005, "∞"),
    ],
)
def test_number_is_written_down_to_a_tenth_of_the_step(value: float | None, step: float, written: str) -> None:
    assert number(value, step) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.5, "0.5"),
        (3.0, "3"),
        (1_000_000, "1,000,000"),
        (0, "0"),
        (-2.5, "−2.5"),
        (3e10, "3e10"),
        (2e9, "2e9"),
        (-1.5e-7, "−1.5e−7"),
    ],
)
def test_rating_has_no_trailing_zeros(value: float, written: str) -> None:
    assert short(value) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [(0, "under 0.1 s"), (0.62, "0.6 s"), (65.2, "65 s"), (150, "2 min 30 s"), (7320, "2 h 2 min")],
)
def test_duration_is_written_as_one_would_say_it(value: float, written: str) -> None:
    assert seconds(value) == written


@pytest.mark.parametrize(
    ("share", "written"), [(0.3013, "30.1%"), (0.00042, "0.042%"), (0, "0%"), (1, "100.0%"), (3e-9, "under 0.0001%")]
)
def test_share_keeps_two_significant_digits(share: float, written: str) -> None:
    assert percent(share) == written


def test_ratio_of_almost_nothing_is_not_called_zero() -> None:
    assert times(0.004) == "0.0040 times"
    assert times(1.4) == "1.40 times"
    assert times(3400) == "3,400 times"


def test_words_agree_with_their_number() -> None:
    assert count(1, "row") == "1 row"
    assert count(2000, "row") == "2,000 rows"
    assert listing(["a"]) == "a"
    assert listing(["a", "b", "c"]) == "a, b and c"


def test_title_inside_a_sentence_keeps_acronyms_and_quotes_commas() -> None:
    assert inside("Matrix factorisation") == "matrix factorisation"
    assert inside("MF") == "MF"
    assert inside("DNN, tuned") == "“DNN, tuned”"


def test_reason_ends_with_one_full_stop() -> None:
    assert stopped("its loss\nbecame NaN") == "its loss became NaN."
    assert stopped("no memory.") == "no memory."
