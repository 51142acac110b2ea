"""Settings of the ratings: which file or data set, and how its values are written."""

import codecs
import re
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from recsys.config import SettingsModel
from recsys.data.datasets import DATASETS, SAMPLE
from recsys.text import quoted

Duplicates = Literal["keep", "error", "last", "mean"]
Decimal = Literal["auto", "point", "comma"]
Separator = Literal["auto", "comma", "tab", "semicolon", "pipe", "double-colon", "blank"]
Quoting = Literal["auto", "standard", "none"]

if TYPE_CHECKING:
    Dataset = str
else:  # with the names of the records as choices in --help and in the form of the Prefect UI
    Dataset = Literal[*DATASETS]

NO_ENCODINGS_OF_FILES = {"idna", "punycode", "unicode_escape", "raw_unicode_escape"}


def _known_encoding(name: str) -> str:
    """Refuse what Python cannot decode a file with; some of its codecs are none of files, such as that of URLs."""
    try:
        b"1,2".decode("ascii" if name == "auto" else name, "replace")
        known = name == "auto" or codecs.lookup(name).name.replace("-", "_") not in NO_ENCODINGS_OF_FILES
    except (LookupError, ValueError):
        known = False
    if not known:
        raise ValueError(f"encoding {quoted(name)} is none that Python knows: give one such as latin-1 or cp1252")
    return name


Encoding = Annotated[str, AfterValidator(_known_encoding)]


def no_url(path: str | None) -> str | None:
    """Refuse a URL, without quoting it: it may contain a password."""
    if path is not None and "://" in path:
        raise ValueError("ratings, downloads and reports must be paths, not URLs: copy the file to this machine first")
    return path


class WhichRatings(SettingsModel):
    """Where the ratings come from."""

    ratings: str | None = Field(
        None,
        description="path of a ratings file: .csv, .tsv, .dat, .txt or .jsonl (also as .gz, .bz2, .xz, .zst or .zip), "
        "or .parquet; or of a folder of parts, as Spark writes it",
    )
    dataset: Dataset | None = Field(
        None,
        description="public data set to use instead of a file: the bundled sample (default), or a MovieLens data set "
        "downloaded from GroupLens",
    )
    max_rows: int | None = Field(
        None,
        ge=1,
        description=f"read only the first N ratings (default: {SAMPLE.max_rows:,} of the sample, all of a file)",
    )


class ReadingSettings(SettingsModel):
    """How a table of users and items, with ratings or without, is written where that is not recognised."""

    user_column: str | None = Field(None, description="name of the user column, if not recognised")
    item_column: str | None = Field(None, description="name of the item column, if not recognised")
    rating_column: str | None = Field(None, description="name of the rating column, if not recognised")
    separator: Separator = Field("auto", description="field separator")
    header: Literal["auto", "yes", "no"] = Field("auto", description="whether the first line is a header")
    skip_lines: int | None = Field(
        None,
        ge=0,
        description="number of lines above the table to leave out (default: comments and notes are recognised)",
    )
    quoting: Quoting = Field(
        "auto",
        description="whether quotes enclose fields: auto stops where a quoted field seems to hold rows; standard: as "
        "in RFC 4180; none: quotes are ordinary characters",
    )
    encoding: Encoding = Field(
        "auto", description="encoding of a text file, such as latin-1 or cp1252 (auto: UTF-8, UTF-16 or UTF-32)"
    )
    null_ids: Literal["missing", "keep"] = Field(
        "missing",
        description="ids such as NULL, NA, nan and None: taken for missing, which makes a row invalid, or kept as ids",
    )
    decimal: Decimal = Field(
        "auto", description="decimal mark of the ratings; auto reads 4.5 and 4,5, and stops at 2,013"
    )


class DataSettings(ReadingSettings, WhichRatings):
    """Which ratings to read, and how."""

    timestamp_column: str | None = Field(None, description="name of the timestamp column, if not recognised")
    time_format: str = Field(
        "auto",
        description="form of the times: a format of strptime such as '%d.%m.%Y %H:%M', or day-first or month-first for "
        "dates such as 3/4/2015; auto reads seconds since 1970, ISO 8601 and common dates",
    )
    layout: Literal["auto", "list", "wide"] = Field(
        "auto",
        description="list: a line for each rating; wide: a line for each user, with a column for each item; auto: a "
        "list, and an error for what looks like a wide table",
    )
    not_rated: tuple[float, ...] = Field(
        (), description="ratings that mean that there is none, such as -1 or 99; rows or cells with them are left out"
    )
    min_rating: float | None = Field(
        None, allow_inf_nan=False, description="lowest rating of the scale; rows with a lower one are invalid"
    )
    max_rating: float | None = Field(
        None, allow_inf_nan=False, description="highest rating of the scale; rows with a higher one are invalid"
    )
    bad_rows: Literal["error", "quarantine"] = Field(
        "error", description="invalid rows: stop with an error, or set them aside in quarantine.csv and count them"
    )
    duplicates: Duplicates = Field(
        "keep",
        description="repeated ratings of an item by a user: keep all, stop with an error, or use the last or the mean",
    )
    downloads: str = Field("~/.cache/mf-or-dnn", description="folder of the downloaded data sets")

    @property
    def is_downloaded(self) -> bool:
        """Whether the ratings are downloaded: neither a local file nor the embedded sample."""
        return self.ratings is None and DATASETS[self.dataset or SAMPLE.name].url is not None

    _paths = field_validator("ratings", "downloads")(no_url)

    @field_validator("time_format")
    @classmethod
    def _form(cls, form: str) -> str:
        if form not in ("auto", "day-first", "month-first") and not re.search("%[YyscxDF]", form):
            raise ValueError(
                f"time_format {form!r} has no year: give a format of strptime such as %d.%m.%Y, or day-first or "
                "month-first"
            )
        return form

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.ratings is not None and self.dataset is not None:
            raise ValueError("ratings and dataset cannot both be given: choose a file or a public data set")
        if self.min_rating is not None and self.max_rating is not None and self.min_rating >= self.max_rating:
            raise ValueError(f"min_rating {self.min_rating:g} is not below max_rating {self.max_rating:g}")
        return self
