"""What is asked of a winner: the options of the commands, and the parameters of the flows."""

from typing import Annotated, Literal

from cyclopts import Parameter
from pydantic import Field

from recsys.config import SettingsModel
from recsys.settings import (
    ENCODING,
    QUOTING,
    SKIP_LINES,
    DataSettings,
    Encoding,
    OutputSettings,
    Quoting,
    Separator,
    Settings,
)


class ReadingSettings(SettingsModel):
    """How the files of users, items and pairs are written, where that is not recognised."""

    user_column: str | None = Field(None, description="name of the user column, if not recognised")
    item_column: str | None = Field(None, description="name of the item column, if not recognised")
    rating_column: str | None = Field(None, description="name of the rating column, if there is one not recognised")
    separator: Separator = Field("auto", description="field separator")
    header: Literal["auto", "yes", "no"] = Field("auto", description="whether the first line is a header")
    skip_lines: int | None = Field(None, ge=0, description=SKIP_LINES)
    quoting: Quoting = Field("auto", description=QUOTING)
    encoding: Encoding = Field("auto", description=ENCODING)

    @property
    def data(self) -> DataSettings:
        """The same for the reader of ratings."""
        return DataSettings.model_validate(self.model_dump())


Reading = Annotated[ReadingSettings, Parameter(name="*")]


class PredictSettings(SettingsModel):
    """What is to be predicted."""

    winner: str = Field(description="folder winner of a report")
    pairs: str = Field(description="file with a column of users and one of items, in any format that ratings may have")
    out: str = Field(description="file to write, .parquet or .csv")
    ratings_of_new_users: str | None = Field(
        None, description="file of ratings of users who are not known yet, who are folded in without a new training"
    )
    reading: Reading = ReadingSettings()


class RecommendSettings(SettingsModel):
    """Whose lists are asked for."""

    winner: str = Field(description="folder winner of a report")
    out: str = Field(description="file to write, .parquet or .csv")
    users: str = Field(
        "all", description="file with a column of users, or ids separated by commas; all: every user with ratings"
    )
    top: int = Field(10, ge=1, description="how many items each list has")
    items: str | None = Field(None, description="file with a column of items, the only ones that may be listed")
    csv: bool = Field(False, description="write the lists as CSV, too, beside a .parquet file")
    exclude_rated: str | None = Field(
        None, description="file of further ratings whose pairs are left out, beside those that the model was fitted to"
    )
    ratings_of_new_users: str | None = Field(
        None, description="file of ratings of users who are not known yet, who are folded in without a new training"
    )
    reading: Reading = ReadingSettings()


class PredictRun(PredictSettings):
    """The parameters of the flow `predict`."""

    store: str = Field(OutputSettings().store, description="folder of the cached results")


class RecommendRun(RecommendSettings):
    """The parameters of the flow `recommend`."""

    store: str = Field(OutputSettings().store, description="folder of the cached results")


class NightlyRun(SettingsModel):
    """The parameters of the flow `recommend_nightly`."""

    comparison: Settings = Field(Settings(), description="settings of the comparison that the lists follow")
    top: int = Field(10, ge=1, description="how many items each list has")
