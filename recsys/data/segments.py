"""Keeping the values of a column in the smallest type that holds them, when only the last row tells which it is."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from recsys.ahead import ahead
from recsys.data.columns import Role
from recsys.data.values import Columns

GROUP_ROWS = 2**19
"""Rows of a row group of the final file; it does not depend on how the rows came in."""
INTEGERS = (pa.int8(), pa.int16(), pa.int32(), pa.int64())
NAMES = {pa.float32(): "float32", pa.float64(): "float64"}  # Arrow says "float" and "double"


class Segments:
    """Rows written to disk as they come, and once more when all are there.

    An id column that turns to text late in the file begins a new segment. Nothing is lost: ids are kept as numbers
    only where the number is written as the id was.
    """

    def __init__(self, folder: Path) -> None:
        """Make room for segments in `folder`; they are removed at the end of the `with` block."""
        self.rows = 0
        self._folder = TemporaryDirectory(dir=folder, prefix=".segments-")
        self._paths: list[Path] = []
        self._writer: pa.RecordBatchStreamWriter | None = None
        self._schema = pa.schema([])
        self._text: set[Role] = set()
        self._ranges: dict[Role, tuple[int, int]] = {}
        self._single = True

    def __enter__(self) -> Self:
        """Return the segments themselves."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Remove what is not the final file."""
        self._close()
        self._folder.cleanup()

    def add(self, columns: Columns) -> None:
        """Append rows: ids int64 or string, ratings float64, times int64."""
        if not len(columns["rating"]):
            return
        columns = dict(columns)
        for role, values in columns.items():
            if values.type == pa.string():
                self._text.add(role)
            elif role in self._text:
                columns[role] = values.cast(pa.string())
            elif values.type == pa.int64() and len(values) > values.null_count:
                low, high = pc.min_max(values).as_py().values()
                old = self._ranges.get(role, (low, high))
                self._ranges[role] = min(low, old[0]), max(high, old[1])
        self._single = self._single and _survive(columns["rating"].unique().to_numpy())
        batch = pa.record_batch(columns)
        if self._writer is None or batch.schema != self._schema:
            self._close()
            self._schema = batch.schema
            self._paths.append(Path(self._folder.name) / f"{len(self._paths)}.arrow")
            options = pa.ipc.IpcWriteOptions(compression="lz4")
            self._writer = pa.ipc.new_stream(self._paths[-1], batch.schema, options=options)
        self._writer.write_batch(batch)
        self.rows += batch.num_rows

    def write(self, path: Path) -> dict[str, str]:
        """Write all rows as parquet, the same bytes for the same rows.

        Returns:
            The type of each column.
        """
        self._close()
        schema = pa.schema([(name, self._type(name)) for name in self._schema.names])
        few = [name for name in schema.names if name != "timestamp"]  # hardly any time stands there twice
        with pa.parquet.ParquetWriter(
            path, schema, compression="zstd", compression_level=1, store_schema=False, use_dictionary=few
        ) as to:
            for group in ahead(_regrouped(batch.cast(schema) for batch in self._batches())):
                to.write_table(group, row_group_size=GROUP_ROWS)
        return {field.name: NAMES.get(field.type, str(field.type)) for field in schema}

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _batches(self) -> Iterator[pa.RecordBatch]:
        for path in self._paths:
            with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as batches:
                yield from batches

    def _type(self, role: Role) -> pa.DataType:
        if role in self._text:
            return pa.string()
        if role == "rating":
            return pa.float32() if self._single else pa.float64()
        low, high = self._ranges.get(role, (0, 0))
        return next(
            kind for kind in INTEGERS if -(2 ** (kind.bit_width - 1)) <= low and high < 2 ** (kind.bit_width - 1)
        )


def _survive(values: npt.NDArray[np.float64]) -> bool:
    """Whether each of `values` is written in float32 with the same digits as in float64."""
    with np.errstate(over="ignore", under="ignore"):
        return bool((values.astype(np.float32).astype(str).astype(np.float64) == values).all())


def _regrouped(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    waiting: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        waiting.append(batch)
        count += batch.num_rows
        while count >= GROUP_ROWS:
            whole = pa.Table.from_batches(waiting)
            yield whole[:GROUP_ROWS].combine_chunks()
            waiting = whole[GROUP_ROWS:].to_batches()
            count -= GROUP_ROWS
    if count:
        yield pa.Table.from_batches(waiting).combine_chunks()
