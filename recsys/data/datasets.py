"""The public data sets, one record each: to add one, add its record to `DATASETS` and a test.

Settings, downloads, labels and licences are read from these records, so this module imports nothing of the package.

Source:
    F. Maxwell Harper and Joseph A. Konstan. 2015. The MovieLens Datasets: History and Context. ACM Transactions on
    Interactive Intelligent Systems 5(4), article 19. https://doi.org/10.1145/2827872
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Dataset:
    """A public data set of ratings.

    Attributes:
        name: what --dataset calls it; also its folder among the downloads.
        rows: number of ratings.
        licence: conditions of use in one sentence.
        ratings: name of the ratings file: inside the archive, or in the folder of the sample.
        titles: name of the file of item titles, as `recsys.data.source.read_titles` takes it; None without titles.
        digest: of the archive, or of the sample's file in its package: "md5:<hex>" or "sha256:<hex>".
        url: address of the zip archive; None for the sample, which is part of an installed package.
        reader: fields of `DataSettings` that say how the ratings are written, for what is not recognised by itself.
        max_rows: how many ratings are read unless --max-rows says otherwise; None for all.
    """

    name: str
    title: str
    rows: int
    licence: str
    ratings: str
    titles: str | None
    digest: str
    url: str | None = None
    reader: Mapping[str, str] = field(default_factory=dict)
    max_rows: int | None = None


GROUPLENS = "https://files.grouplens.org/datasets/movielens"


def _grouplens_licence(readme: str, *, share_alike: bool) -> str:
    """The conditions of a MovieLens data set; `share_alike` says that it may be redistributed."""
    conditions = "neither redistributed nor used commercially without permission"
    if share_alike:
        conditions = "redistributed under the same conditions, and used commercially with permission only"
    return (
        "The data are GroupLens', University of Minnesota, free to use in research that cites them; "
        f"they may be {conditions} (full text: {GROUPLENS}/{readme})."
    )


def _movielens(
    name: str, title: str, rows: int, digest: str, *, folder: str = "", dat: bool = False, share_alike: bool = False
) -> Dataset:
    """A release of MovieLens; `folder` is the one in its archive, `dat` the format of the older releases."""
    place, suffix = folder or name, "dat" if dat else "csv"
    return Dataset(
        name=name,
        title=title,
        rows=rows,
        licence=_grouplens_licence(f"{name}-README.{'txt' if name == 'ml-1m' else 'html'}", share_alike=share_alike),
        ratings=f"{place}/ratings.{suffix}",
        titles=f"{place}/movies.{suffix}",
        digest=digest,
        url=f"{GROUPLENS}/{name}.zip",
        reader={"separator": "double-colon", "header": "no"} if dat else {},
    )


SAMPLE = Dataset(
    name="sample",
    title="MovieLens small 2016",
    rows=100_004,
    licence=_grouplens_licence("ml-latest-small-README.html", share_alike=True),
    ratings="ratings.csv",
    titles="titles.csv",
    digest="sha256:f11eb406d322dbeff4445a4e4954b6a37b6c210af3f2142310e895d2ee15f3c5",
    max_rows=100_000,  # the notebook's head(100000)
)
"""The embedded sample, which is compared where neither a file nor a data set is given."""

# The MD5 digests are those that GroupLens publishes as NAME.zip.md5 beside each archive. The archive of
# ml-latest-small keeps its name when GroupLens updates it; its digest is of the release of September 2018.
_RECORDS = (
    SAMPLE,
    _movielens(
        "ml-latest-small",
        "MovieLens latest small",
        100_836,
        "sha256:696d65a3dfceac7c45750ad32df2c259311949efec81f0f144fdfb91ebc9e436",
        share_alike=True,
    ),
    _movielens("ml-1m", "MovieLens 1M", 1_000_209, "md5:c4d9eecfca2ab87c1945afe126590906", dat=True),
    _movielens(
        "ml-10m", "MovieLens 10M", 10_000_054, "md5:ce571fd55effeba0271552578f2648bd", folder="ml-10M100K", dat=True
    ),
    _movielens("ml-20m", "MovieLens 20M", 20_000_263, "md5:cd245b17a1ae2cc31bb14903e1204af3"),
    _movielens("ml-25m", "MovieLens 25M", 25_000_095, "md5:6b51fb2759a8657d3bfcbfc42b592ada"),
    _movielens("ml-32m", "MovieLens 32M", 32_000_204, "md5:d472be332d4daa821edc399621853b57", share_alike=True),
)

DATASETS = {dataset.name: dataset for dataset in _RECORDS}
"""Name -> record, in the order in which they are listed."""
