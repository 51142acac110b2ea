"""A table of ratings as it is read: its columns, its rows in batches of text fields, and an account of all lines."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from recsys.data.columns import FoundBy, Role
from recsys.data.tokenizer import count_line_ends
from recsys.data.values import Fields
from recsys.errors import BadRatings


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be used: its line in the file (its row in a parquet file), what is wrong, and its text.

    In a folder, lines and rows are counted through all parts, in the order of their names.
    """

    line: int
    reason: str
    text: str


@dataclass(frozen=True)
class ExactBatch:
    """Fields, lines and whole texts of the rows that could be split into fields, and those that could not."""

    fields: Fields
    lines: Sequence[int]
    texts: Sequence[str]
    bad_rows: list[BadRow]


@dataclass(frozen=True)
class Batch:
    """Consecutive rows: the text of their fields, or None if they have to be read exactly.

    `read_exactly` reads at most so many of them (None for all); `bytes_read` counts the file's bytes up to their end.
    """

    fields: Fields | None
    read_exactly: Callable[[int | None], ExactBatch]
    bytes_read: int


@dataclass
class LineCount:
    """What became of the lines of a file, or rows of a parquet file: none may be lost.

    `lines` are those that were read from the disk so far, `skipped` those above the first row, and `blocks` has, by its
    first line, how many lines and rows each block has: the others of its lines are blank, or belong to the row before.
    `promised` is how many rows the file says that it has, if it does.
    """

    lines: int = 0
    skipped: int = 0
    promised: int | None = None
    blocks: dict[int, tuple[int, int]] = field(default_factory=dict)

    def counted(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield text and count its lines; what follows the last line end is a line, too."""
        last = b"\n"
        for chunk in chunks:
            self.lines += count_line_ends(chunk)
            last = chunk[-1:] or last
            yield chunk
        self.lines += last != b"\n"

    def check(self, file: str, rows: int) -> None:
        """Check that `rows`, all that were used or set aside, are those of the whole file.

        Raises:
            BadRatings: the file says that it has more or fewer.
            RuntimeError: a line was lost, by a mistake in this package.
        """
        lines = self.skipped + sum(lines for lines, _ in self.blocks.values())
        in_blocks = sum(rows for _, rows in self.blocks.values())
        if lines != self.lines or in_blocks != rows:
            raise RuntimeError(
                f"{file} has {self.lines:,} lines, of which {lines:,} were looked at, and {in_blocks:,} rows, of which "
                f"{rows:,} were used or set aside: this is a mistake of the program, please report it"
            )
        if self.promised is not None and rows != self.promised:
            raise BadRatings(
                f"{file} has {rows:,} rows, and {self.promised:,} according to its first lines; write or download it "
                "again."
            )


@dataclass(frozen=True)
class Table:
    """A ratings file whose columns are known.

    `columns` has the name of each role's column, its number from "1" without a header, `found_by` how it was found, and
    `ignored` the names of the others. `separator` is None where there is none, `header` says whether the columns' names
    are written in the file, and `unit` what its rows are called, "line" or "row". `count` is complete once all batches
    were read.
    """

    columns: dict[Role, str]
    found_by: dict[Role, FoundBy]
    ignored: list[str]
    separator: str | None
    header: bool
    unit: str
    batches: Iterator[Batch]
    count: LineCount
