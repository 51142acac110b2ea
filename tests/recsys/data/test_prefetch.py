"""Making the next item while the last one is used."""

import threading
from collections.abc import Iterator

import pytest

from recsys.data.ingest import prefetch


def test_everything_comes_in_order() -> None:
    assert list(prefetch(iter(range(100)))) == list(range(100))
    assert list(prefetch(iter([None, None]))) == [None, None]
    assert list(prefetch(iter([]))) == []


def test_the_next_item_is_made_while_one_is_used() -> None:
    second = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        second.set()
        yield 2

    coming = prefetch(items())
    assert next(coming) == 1
    assert second.wait(10)
    assert list(coming) == [2]


def test_an_error_comes_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    coming = prefetch(items())
    assert next(coming) == 1
    with pytest.raises(ValueError, match="broken"):
        next(coming)


def test_a_reader_that_stops_stops_the_maker() -> None:
    made = []

    def items() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    coming = prefetch(items())
    next(coming)
    coming.close()  # type: ignore[attr-defined]
    assert len(made) == 2
    assert not any("ThreadPool" in t.name for t in threading.enumerate())
