"""Having the next piece of work ready when the last one is done."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield what `items` yields, while a thread already makes the one that follows.

    What making it raises is raised here, in its turn. Where the reader stops early, one item has been made in vain.
    """
    nothing = object()
    with ThreadPoolExecutor(1) as maker:
        coming = maker.submit(next, items, nothing)
        while (item := coming.result()) is not nothing:
            coming = maker.submit(next, items, nothing)
            yield item  # type: ignore[misc]
