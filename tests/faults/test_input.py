"""Whatever a good row looks like, it is in the parquet once, with its values; whatever is no good row is set aside."""

import bz2
import csv
import gzip
import io
import lzma
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys.data.encode import encode
from recsys.data.ingest import Ingested, ingest
from recsys.data.split import split
from recsys.errors import UserError
from recsys.settings import DataSettings, SplitSettings
from tests.faults.conftest import Tell

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

QUICKLY, THOROUGHLY = 60, 5000
"""Examples."""

MILLIONS = 3_000_000

SEPARATORS = {"comma": ",", "tab": "\t", "semicolon": ";", "pipe": "|"}

PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda content: bytes(pa.compress(content, "zstd", asbytes=True)),
}

whole_numbers = st.integers(-(2**63), 2**63 - 1) | st.integers(-(10**30), 10**30) | st.integers(-3, 3)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), min_size=1, max_size=12)
ids = st.one_of(
    st.lists(whole_numbers.map(str), min_size=1, max_size=4),
    st.lists(texts.filter(lambda text: bool(trimmed(text)) and trimmed(text) == text), min_size=1, max_size=4),
    st.just(["007", "7", "+7", " 7".strip(), "7.0", "0x7"]),
)
ratings = st.one_of(
    st.integers(-(10**15), 10**15).map(str),
    st.decimals(-1000, 1000, places=3).map(str),
    st.floats(-1e15, 1e15, allow_subnormal=False).map(repr),
    st.sampled_from(["5", "+5", "5.", ".5", "5e0", "-0", "0005", "1E2"]),
)
bad_ratings = st.sampled_from(
    ["", " ", "good", "NaN", "inf", "1'000", "1 000", "1.000,5", "٣", "５", "−1", "0x5", "1_0", "3/5", "80%", "1e400"]
)


def trimmed(text: str) -> str:
    """What the reader leaves of a text: Arrow's idea of blanks is not Python's."""
    return str(pa.compute.utf8_trim_whitespace(pa.scalar(text)).as_py())


def id_of(text: str) -> str:
    """The id that is read of a text: 7 and 7.0 are the same."""
    return re.sub(r"^(-?\d+)\.0+$", r"\1", text)


@dataclass(frozen=True)
class Table:
    """Rows of (user, item, rating, note), which of them are bad, and how they are written."""

    rows: list[tuple[str, ...]]
    bad: list[bool]
    separator: str
    quoting: Any
    line_end: str
    mark: bool
    packing: str
    ends_with_a_line: bool

    @property
    def lines(self) -> list[int]:
        """The line on which each row begins; the header is the first."""
        begins, line = [], 2
        for row in self.rows:
            begins.append(line)
            line += self._text([row]).count("\n")
        return begins

    @property
    def content(self) -> bytes:
        text = self._text([("user", "item", "rating", "note"), *self.rows])
        text = text if self.ends_with_a_line else text.removesuffix(self.line_end)
        return PACKINGS[self.packing](text.encode("utf-8-sig" if self.mark else "utf-8"))

    def _text(self, rows: list[tuple[str, ...]]) -> str:
        file = io.StringIO(newline="")
        csv.writer(
            file, delimiter=SEPARATORS[self.separator], quoting=self.quoting, lineterminator=self.line_end
        ).writerows(rows)
        return file.getvalue()


@st.composite
def tables(draw: st.DrawFn) -> Table:
    users, items = draw(ids), draw(ids)
    rows: list[tuple[str, ...]] = []
    bad: list[bool] = []
    for _ in range(draw(st.integers(0, 12))):
        row = [draw(st.sampled_from(users)), draw(st.sampled_from(items)), draw(ratings), draw(texts)]
        wrong = draw(st.sampled_from(["no", "no", "no", "rating", "user", "more", "fewer"]))
        if wrong == "rating":
            row[2] = draw(bad_ratings)
        elif wrong == "user":
            row[0] = ""
        elif wrong == "more":
            row.append("1")
        elif wrong == "fewer":
            row.pop()
        rows.append(tuple(row))
        bad.append(wrong != "no")
    return Table(
        rows,
        bad,
        draw(st.sampled_from(list(SEPARATORS))),
        draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
        draw(st.sampled_from(["\n", "\r\n"])),
        draw(st.booleans()),
        draw(st.sampled_from(list(PACKINGS))),
        draw(st.booleans()),
    )


def read(table: Table, folder: Path) -> Ingested:
    path = folder / "ratings"
    path.write_bytes(table.content)
    how = DataSettings(separator=table.separator, header="yes", bad_rows="quarantine", null_ids="keep")
    return ingest(path, how, folder)


def check_round_trip(table: Table) -> None:
    good = [row for row, bad in zip(table.rows, table.bad, strict=True) if not bad]
    with TemporaryDirectory() as place:
        folder = Path(place)
        if not good:
            with pytest.raises(UserError):
                read(table, folder)
            return
        ingested = read(table, folder)
        written = pq.read_table(folder / "ratings.parquet")
        assert [str(user) for user in written["user"].to_pylist()] == [id_of(row[0]) for row in good]
        assert [str(item) for item in written["item"].to_pylist()] == [id_of(row[1]) for row in good]
        kind = np.float32 if written["rating"].type == pa.float32() else np.float64
        assert written["rating"].to_pylist() == [float(kind(row[2])) for row in good]
        assert ingested.rows == len(good)
        assert ingested.quarantined_rows == sum(table.bad)
        if any(table.bad):
            with (folder / "quarantine.csv").open(encoding="utf-8", newline="") as file:
                set_aside = [int(row["line"]) for row in csv.DictReader(file)]
            assert set_aside == [line for line, bad in zip(table.lines, table.bad, strict=True) if bad]


@pytest.mark.quick
@settings(max_examples=QUICKLY, deadline=None, suppress_health_check=list(HealthCheck))
@given(tables())
def test_some_tables_come_through(table: Table) -> None:
    check_round_trip(table)


def test_many_tables_come_through(tell: Tell) -> None:
    seen = {"tables": 0, "good": 0, "bad": 0}

    @settings(max_examples=THOROUGHLY, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(tables())
    def check(table: Table) -> None:
        check_round_trip(table)
        seen["tables"] += 1
        seen["bad"] += sum(table.bad)
        seen["good"] += len(table.bad) - sum(table.bad)

    check()
    tell(
        f"{seen['tables']:,} made tables: ids of any size and script, separators, quotes, line ends, packings",
        f"{seen['good']:,} good rows in the parquet once each, {seen['bad']:,} bad ones set aside by their lines",
    )


SHAPES: dict[str, tuple[list[int], list[int], list[float]]] = {
    "one user with everything": ([0] * 200 + [1] * 3, [*range(200), 0, 1, 2], [4.0] * 203),
    "an item with one rating": ([0, 1] * 50, [0] * 99 + [1], [1.0, 2.0] * 50),
    "one distinct rating": ([0, 1, 2, 3] * 25, [*range(50)] * 2, [3.5] * 100),
    "all rows the same but one": ([7] * 99 + [8], [9] * 99 + [10], [5.0] * 100),
    "each user once": ([*range(100)], [0, 1] * 50, [1.0, 5.0] * 50),
    "ids at the ends of 64 bits": ([-(2**63), 2**63 - 1] * 10, [2**63 - 1, -(2**63)] * 10, [1.0, 2.0] * 10),
}


@pytest.mark.quick
@pytest.mark.parametrize("shape", SHAPES)
def test_odd_shapes_come_through_to_the_split(shape: str, tmp_path: Path, tell: Tell) -> None:
    user, item, rating = SHAPES[shape]
    lines = [f"{u},{i},{r}" for u, i, r in zip(user, item, rating, strict=True)]
    (tmp_path / "ratings.csv").write_text("\n".join(["user,item,rating", *lines]))
    ingest(tmp_path / "ratings.csv", DataSettings(), tmp_path)
    encode(tmp_path / "ratings.parquet", None, "keep", tmp_path)
    codes = {name: np.load(tmp_path / f"{name}.npy") for name in ("user", "item", "rating")}
    for name, given_ids in (("user", user), ("item", item)):
        known = pq.read_table(tmp_path / f"{name}s.parquet")["id"].to_pylist()
        assert [known[code] for code in codes[name]] == given_ids
    assert codes["rating"].tolist() == rating
    made = split(len(user), SplitSettings(), "fair", tmp_path, user=codes["user"])
    rows = np.concatenate([np.load(tmp_path / f"{part}.npy") for part in ("train", "validation", "test")])
    assert sorted(rows.tolist()) == list(range(len(user)))
    tell(shape, f"encoded and split: {made}")


@pytest.mark.quick
def test_a_table_of_one_row_again_and_again_is_refused(tmp_path: Path, tell: Tell) -> None:
    (tmp_path / "ratings.csv").write_text("user,item,rating\n" + "1,1,5\n" * 50)
    ingest(tmp_path / "ratings.csv", DataSettings(), tmp_path)
    with pytest.raises(UserError, match="All ratings are of one user") as refused:
        encode(tmp_path / "ratings.parquet", None, "keep", tmp_path)
    tell("all rows the same", str(refused.value))


def test_millions_of_rows_come_through(tmp_path: Path, tell: Tell) -> None:
    random = np.random.default_rng(5)
    table = pa.table(
        {
            "user": random.integers(-(2**62), 2**62, MILLIONS),
            "item": random.integers(0, 70_000, MILLIONS),
            "rating": random.integers(1, 11, MILLIONS) / 2,
        }
    )
    pa.csv.write_csv(table, tmp_path / "ratings.csv")
    with zipfile.ZipFile(tmp_path / "ratings.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(tmp_path / "ratings.csv", "ratings.csv")
    for name in ("ratings.csv", "ratings.zip"):
        ingest(tmp_path / name, DataSettings(), tmp_path)
        written = pq.read_table(tmp_path / "ratings.parquet")
        for column in table.column_names:
            assert np.array_equal(written[column].to_numpy(), table[column].to_numpy())
    tell(f"{MILLIONS:,} rows, plain and in an archive", "all in the parquet, with their values, in their order")
