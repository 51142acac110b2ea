"""The rating data sets that GroupLens publishes.

Source:
    F. Maxwell Harper and Joseph A. Konstan, "The MovieLens Datasets: History and Context",
    ACM Transactions on Interactive Intelligent Systems 5(4), article 19, 2015,
    https://doi.org/10.1145/2827872
"""

import os
import shutil
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from recsys.data.download import download, exclusive, unwritable
from recsys.errors import DatasetUnavailable
from recsys.progress import Progress

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
