"""Reading the ids that a winner is asked about, and writing what it answers, in parts of bounded size."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from recsys.data.columns import Role
from recsys.data.ingest import ingest
from recsys.errors import BadIds, BadRatings, BadSettings
from recsys.models.predictor import Codes
from recsys.progress import Progress, silent
from recsys.settings import DataSettings
from recsys.text import escape_cell, shown

SUFFIXES = (".parquet", ".csv")
Ids = Sequence[Any] | npt.NDArray[Any] | pd.Series | pd.Index
"""Ids as the ratings have them, integers or texts; integers may also be written as texts."""

PAIRS: tuple[Role, ...] = ("user", "item")


def as_ids(ids: Any, what: str) -> pd.Index:
    """Return ids as an index, whole numbers that were kept as floating ones as integers.

    Args:
        ids: see `Ids`; of shape (ids,) or (ids, 1).
        what: "user" or "item".

    Raises:
        BadIds: they are no such column, one is missing, or they are neither integers nor texts.
    """
    if isinstance(ids, np.ndarray | pd.DataFrame) and ids.ndim == 2 and ids.shape[1] == 1:
        ids = np.asarray(ids)[:, 0]
    if not pd.api.types.is_list_like(ids, allow_sets=False) or isinstance(ids, dict):
        raise BadIds(f"The {what} ids are {shown(ids)}: give a list, an array or a Series of ids.")
    try:
        given = ids if isinstance(ids, pd.Index) else pd.Index(ids)
    except (TypeError, ValueError) as error:
        raise BadIds(f"The {what} ids are no column: give a list, an array or a Series of ids.") from error
    if given.nlevels > 1:
        raise BadIds(f"The {what} ids are tuples, and must be integers or texts.")
    if isinstance(given, pd.CategoricalIndex):
        given = pd.Index(given.to_numpy())
    if given.hasnans:
        raise BadIds(f"The {what} id at position {int(np.argmax(given.isna())):,} is missing: leave that row out.")
    if given.inferred_type == "floating" and np.isfinite(numbers := given.to_numpy(np.float64)).all():
        given = given.astype("int64") if (np.trunc(numbers) == numbers).all() else given
    if len(given) and given.inferred_type not in ("integer", "string", "mixed-integer"):
        raise BadIds(f"The {what} ids are {given.inferred_type}, and must be integers or texts.")
    return given


def places(known: pd.Index, ids: Ids, what: str) -> Codes:
    """Return the places of ids among the known ones, -1 where there is none, int32 of shape (ids,).

    Raises:
        BadIds: as `as_ids`.
    """
    given = as_ids(ids, what)
    if not len(given):
        return np.empty(0, np.int32)
    if pd.api.types.is_integer_dtype(known.dtype) != pd.api.types.is_integer_dtype(given.dtype):
        known, given = known.astype(str), given.astype(str)
    return known.get_indexer(given).astype(np.int32)


def one_id(id: Any, what: str) -> list[Any]:
    """Return a list of one id of a user or an item.

    Raises:
        BadIds: it is no single value.
    """
    if not pd.api.types.is_scalar(id):
        raise BadIds(f"The {what} is {shown(id)}: give one id.")
    return [id]


@contextmanager
def read_parts(
    path: Path, settings: DataSettings, required: Sequence[Role], progress: Progress = silent
) -> Iterator[Iterator[pd.DataFrame]]:
    """Read a file of any format that `recsys.data.ingest` reads; yields its rows in parts, with the columns it has.

    Raises:
        BadRatings: it cannot be read, has a row that cannot be used, or has not the columns `required`.
    """
    with TemporaryDirectory(prefix="mf-or-dnn-") as folder:
        try:
            ingest(path, settings, Path(folder), progress, required)
        except BadRatings as error:
            raise BadRatings(str(error) if "rating" in required else _of_rows(str(error))) from error
        with pq.ParquetFile(Path(folder, "ratings.parquet")) as file:
            yield (file.read_row_group(number).to_pandas() for number in range(file.num_row_groups))


def _of_rows(said: str) -> str:
    """What is said of a file of ratings, of one that needs none."""
    for of_ratings, of_rows in (("one rating per line", "one row per line"), ("no ratings", "no rows")):
        said = said.replace(of_ratings, of_rows)
    return said.replace("your ratings file", "the file")


def read_whole(path: Path, settings: DataSettings, required: Sequence[Role]) -> pd.DataFrame:
    """Read such a file at once."""
    with read_parts(path, settings, required) as parts:
        return pd.concat(parts, ignore_index=True)


def require_output(path: Path) -> Path:
    """Return the path of a file that is to be written.

    Raises:
        BadSettings: it is neither a .parquet nor a .csv file, is a folder, or is in no folder.
    """
    if path.suffix not in SUFFIXES:
        raise BadSettings(f"{path} is neither a .parquet nor a .csv file: give the output one of these endings.")
    if not path.parent.is_dir() or path.is_dir():
        wrong = "is a folder" if path.is_dir() else "is in a folder that does not exist"
        raise BadSettings(f"{path} {wrong}: give the output the path of a file.")
    return path


def require_new_folder(path: Path) -> None:
    """Raise BadSettings if a folder cannot be made there: something exists, or is to be its parent and does not."""
    if path.exists() or not path.parent.is_dir():
        wrong = "exists" if path.exists() else "is in a folder that does not exist"
        raise BadSettings(f"{path} {wrong}: give the path of a new folder.")


class TableWriter:
    """A parquet or a CSV file that is written in parts, and has its name only once it is complete.

    As a context manager: on an error nothing is left.
    """

    def __init__(self, path: Path) -> None:
        """Write to `path`, whose ending says in which format; raises as `require_output` does."""
        self.path, self._unfinished = require_output(path), path.with_name(f".{path.name}.unfinished")
        self._parquet: pq.ParquetWriter | None = None
        self._begun = False

    def __enter__(self) -> Self:
        """Begin; nothing is written yet."""
        return self

    def add(self, part: pd.DataFrame) -> None:
        """Append rows; every part has the same columns."""
        if self.path.suffix == ".csv":
            texts = part.select_dtypes(["object", "string"]).columns
            part = part.assign(**{name: part[name].map(escape_cell, na_action="ignore") for name in texts})
            part.to_csv(self._unfinished, mode="a" if self._begun else "w", header=not self._begun, index=False)
        else:
            table = pa.Table.from_pandas(part, preserve_index=False).replace_schema_metadata()
            if self._parquet is None:
                self._parquet = pq.ParquetWriter(
                    self._unfinished, _without_null_types(table.schema), compression="zstd"
                )
            self._parquet.write_table(table.cast(self._parquet.schema))
        self._begun = True

    def __exit__(self, error: type[BaseException] | None, *others: object) -> None:
        """Give the file its name, or remove it after an error."""
        if self._parquet is not None:
            self._parquet.close()
        if error is None and self._begun:
            self._unfinished.replace(self.path)
        else:
            self._unfinished.unlink(missing_ok=True)


def _without_null_types(schema: pa.Schema) -> pa.Schema:
    """The schema with text in place of a column that has no value yet, such as titles."""
    return pa.schema(
        [pa.field(field.name, pa.string() if pa.types.is_null(field.type) else field.type) for field in schema]
    )
