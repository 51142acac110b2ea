"""What is asked of a winner: the options of the commands, and the parameters of the flows."""

from typing import Annotated

from cyclopts import Parameter
from pydantic import Field

from recsys.config import SettingsModel
from recsys.data.settings import ReadingSettings
from recsys.settings import OutputSettings, Settings

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
