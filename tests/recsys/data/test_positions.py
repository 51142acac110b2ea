import random
from collections.abc import Callable

import pytest

from recsys.data.positions import amazon_order, by_position, looks_wide
from recsys.errors import BadRatings
from recsys.settings import DataSettings

Row = Callable[[random.Random, int], list[str]]

ROLES = {"user": 0, "item": 1, "rating": 2, "timestamp": 3}


def rows_of(row: Row, count: int = 400) -> list[list[str]]:
    chance = random.Random(7)
    return [row(chance, number) for number in range(count)]


def ids(chance: random.Random) -> list[str]:
    return [str(chance.randrange(1, 150)), str(chance.randrange(1, 90))]


def confirmed(rows: list[list[str]], **settings: str) -> dict[str, int]:
    roles = {role: index for role, index in ROLES.items() if index < len(rows[0])}
    found = by_position(roles, rows, DataSettings(**settings), "f.csv", "the first line")  # type: ignore[arg-type]
    return {role: index for role, (index, _) in found.items()}


@pytest.mark.parametrize(
    "row",
    [
        lambda chance, _: [*ids(chance), str(chance.randint(1, 5))],
        lambda chance, _: [*ids(chance), str(chance.randint(1, 10) / 2), str(chance.randrange(9 * 10**8, 10**9))],
        lambda chance, _: [*ids(chance), f"{chance.uniform(-10, 10):.2f}"],
        lambda chance, _: [*ids(chance), chance.choice(["true", "false"])],
        lambda chance, number: [str(number // 20), str(chance.randrange(10**6)), str(chance.randint(1, 5))],
        lambda chance, _: [
            f"A{chance.randrange(40)}",
            f"https://a/{chance.randrange(40)}",
            str(chance.randint(0, 100)),
        ],
    ],
)
def test_ratings_in_the_usual_order_are_taken(row: Row) -> None:
    rows = rows_of(row)
    assert confirmed(rows) == {role: index for role, index in ROLES.items() if index < len(rows[0])}


def test_a_fourth_column_without_times_is_not_taken() -> None:
    assert "timestamp" not in confirmed(rows_of(lambda chance, _: [*ids(chance), "3", str(chance.randint(1, 9))]))


@pytest.mark.parametrize(
    ("row", "number", "what"),
    [
        (lambda chance, _: [*ids(chance), str(chance.randrange(13 * 10**8, 14 * 10**8))], 3, "times"),
        (lambda chance, _: [*ids(chance), f"2010-10-{chance.randrange(10, 28)} 10:11:12"], 3, "times"),
        (lambda chance, _: [*ids(chance), f"{chance.randrange(1, 28)}.10.2010"], 3, "times"),
        (lambda chance, _: [*ids(chance), f"{chance.uniform(30, 60):.5f}"], 3, "different numbers from"),
        (lambda chance, _: [str(chance.randint(1, 5)), *ids(chance)], 1, "5 different values, as ratings do"),
        (lambda chance, _: [ids(chance)[0], str(chance.randint(1, 5)), ids(chance)[1]], 2, "5 different values"),
        (lambda chance, number: [*ids(chance), str(number)], 3, "numbers that grow from row to row"),
        (lambda chance, _: [*ids(chance), chance.choice(["good", "bad"])], 3, "text"),
        (lambda chance, number: [str(number), *ids(chance)], 1, "row numbers"),
        (lambda chance, _: [str(chance.random()), *ids(chance)], 1, "numbers with decimals"),
        (lambda chance, _: [ids(chance)[0], f"2010-10-{chance.randrange(10, 28)}T10:11:12Z", "4"], 2, "times"),
    ],
)
def test_a_column_that_cannot_be_what_its_place_says_stops_the_reading(row: Row, number: int, what: str) -> None:
    with pytest.raises(
        BadRatings, match=rf"has no header, and its column {number}, .* holds .*{what}.*'the first line'"
    ):
        confirmed(rows_of(row))


def test_in_a_list_of_pairs_each_may_have_another_user() -> None:
    rows = [[f"u{number}", str(number % 7)] for number in range(400)]
    assert confirmed(rows) == {"user": 0, "item": 1}


def test_a_column_that_is_named_is_taken_as_it_is() -> None:
    rows = rows_of(lambda chance, _: [*ids(chance), str(chance.randrange(13 * 10**8, 14 * 10**8))])
    assert confirmed(rows, rating_column="3")["rating"] == 2


def test_amazons_products_before_its_reviewers_are_the_items() -> None:
    rows = rows_of(lambda chance, _: [f"B00{chance.randrange(10**6, 10**7)}", f"A{chance.randrange(90):012d}X", "5.0"])
    assert amazon_order(rows, 0, 1)
    assert not amazon_order(rows, 1, 0)
    assert confirmed([[*row, "1400000000"] for row in rows]) == {"user": 1, "item": 0, "rating": 2, "timestamp": 3}


@pytest.mark.parametrize(
    ("row", "wide"),
    [
        (lambda chance, number: [str(number), *(str(chance.randint(0, 5)) for _ in range(20))], True),
        (lambda chance, _: ["7", *(chance.choice(["99", f"{chance.uniform(-10, 10):.2f}"]) for _ in range(20))], True),
        (lambda chance, number: [f"u{number}", *(chance.choice(["", "1", "5"]) for _ in range(20))], True),
        (lambda chance, number: [f"u{number}", *(chance.choice(["", "1,5", "5,0"]) for _ in range(20))], True),
        (lambda chance, _: [*ids(chance), "4", "1400000000", "x", "y", "z"], False),
        (lambda chance, _: [*ids(chance), "4", "1400000000", "17", "2"], False),
        (lambda chance, _: [*ids(chance), "4", "2"], False),
    ],
)
def test_a_table_of_users_by_items_is_recognised(row: Row, wide: bool) -> None:
    assert looks_wide(rows_of(row)) is wide
