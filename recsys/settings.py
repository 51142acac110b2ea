"""Every setting, once.

The command line's options, the flow's parameters (the form in the Prefect UI), the YAML file and the
README's table of options are all made from these models.
"""

import re
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated, Literal, Self

from cyclopts import Group, Parameter
from pydantic import Field, field_validator, model_validator

from recsys.config import SettingsModel, section
from recsys.data.datasets import DATASETS, SAMPLE
from recsys.models.settings import BiasedMFSettings, DNNSettings, FitSettings, MFSettings, TunedDNNSettings
from recsys.models.specs import ModelSections, ModelSpec
from recsys.store.remote import NO_SECRETS, anchored, has_secrets
from recsys.text import escaped

__all__ = [  # the models' settings too, for whoever uses the library
    "BiasedMFSettings",
    "DNNSettings",
    "DataSettings",
    "Dataset",
    "Duplicates",
    "Engine",
    "EvidenceSettings",
    "FitSettings",
    "MFSettings",
    "OutputSettings",
    "Protocol",
    "RankingSettings",
    "ScalingSettings",
    "Settings",
    "SplitBy",
    "SplitSettings",
    "TunedDNNSettings",
    "TuningSettings",
]

Protocol = Literal["fair", "notebook"]
Duplicates = Literal["keep", "error", "last", "mean"]
Engine = Literal["compiled", "keras"]
Runner = Literal["threads", "processes", "dask", "ray"]
SplitBy = Literal["random", "user-last", "time", "leave-one-out", "kfold"]

if TYPE_CHECKING:
    Dataset = str
else:  # with the names of the records as choices in --help and in the form of the Prefect UI
    Dataset = Literal[*DATASETS]


def _no_url(path: str | None) -> str | None:
    """Refuse a URL without repeating it: it may hold a password."""
    if path is not None and "://" in path:
        raise ValueError("ratings, downloads and reports are paths and no URLs: copy the file to this machine first")
    return path


class DataSettings(SettingsModel):
    """Which ratings, and how to read them."""

    ratings: str | None = Field(
        None,
        description="path of your ratings file: .csv, .tsv, .dat or .txt, also as .gz, .bz2 or .zip, or .parquet",
    )
    dataset: Dataset | None = Field(
        None,
        description="a public data set instead of a file: the embedded sample (the default), or one that is "
        "downloaded from GroupLens",
    )
    max_rows: int | None = Field(
        None,
        ge=1,
        description=f"read only the first N ratings (default: {SAMPLE.max_rows:,} of the sample, all of a file)",
    )
    user_column: str | None = Field(None, description="column of the user ids, if not recognised")
    item_column: str | None = Field(None, description="column of the item ids, if not recognised")
    rating_column: str | None = Field(None, description="column of the ratings, if not recognised")
    timestamp_column: str | None = Field(None, description="column of the times of the ratings, if not recognised")
    separator: Literal["auto", "comma", "tab", "semicolon", "pipe", "double-colon"] = Field(
        "auto", description="what stands between two fields of a line"
    )
    header: Literal["auto", "yes", "no"] = Field("auto", description="whether the first line names the columns")
    min_rating: float | None = Field(
        None, allow_inf_nan=False, description="lowest rating of the scale; a lower one is a bad row"
    )
    max_rating: float | None = Field(
        None, allow_inf_nan=False, description="highest rating of the scale; a higher one is a bad row"
    )
    bad_rows: Literal["error", "quarantine"] = Field(
        "error", description="stop at a row that cannot be used, or set such rows aside in a file and count them"
    )
    duplicates: Duplicates = Field("keep", description="what to do where a user rated an item more than once")
    downloads: str = Field("~/.cache/mf-or-dnn", description="folder in which downloaded data sets are kept")

    @property
    def is_downloaded(self) -> bool:
        """Whether the ratings come from elsewhere: neither the user's file nor the embedded sample."""
        return self.ratings is None and DATASETS[self.dataset or SAMPLE.name].url is not None

    @field_validator("ratings", "downloads")
    @classmethod
    def _paths(cls, path: str | None) -> str | None:
        return _no_url(path)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.ratings is not None and self.dataset is not None:
            raise ValueError("ratings and dataset cannot both be given: choose a file or a public data set")
        if self.min_rating is not None and self.max_rating is not None and self.min_rating >= self.max_rating:
            raise ValueError(f"min_rating {self.min_rating:g} is not below max_rating {self.max_rating:g}")
        return self


class SplitSettings(SettingsModel):
    """Which rows are kept away from the training."""

    split_by: SplitBy = Field(
        "random",
        description="random; user-last: the last share of each user's ratings is the test; time: the latest share of "
        "all; leave-one-out: each user's last rating; kfold: one of several random folds",
    )
    test_size: float = Field(
        0.2,
        gt=0,
        lt=1,
        description="share of all ratings that only the report reads (not with leave-one-out, nor with kfold)",
    )
    validation_size: float = Field(
        0.1, gt=0, lt=1, description="share of the training ratings held out for early stopping (protocol fair)"
    )
    split_seed: int = Field(42, ge=0, lt=2**32, description="random state of the split (random and kfold)")
    folds: int = Field(5, ge=2, description="number of folds (kfold)")
    fold: int = Field(0, ge=0, description="which fold is the test, counted from 0 (kfold)")

    @property
    def by_time(self) -> bool:
        """Whether the split reads the times of the ratings."""
        return self.split_by in ("user-last", "time", "leave-one-out")

    @property
    def missing_fold(self) -> str:
        """What is wrong with a fold that is not there."""
        return f"fold {self.fold} does not exist: {self.folds} folds are counted from 0 to {self.folds - 1}"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        # without folds of its own, a --fold may belong to the folds of a YAML file that it is merged with later
        if "folds" in self.model_fields_set and self.fold >= self.folds:
            raise ValueError(self.missing_fold)
        return self


class TuningSettings(SettingsModel):
    """How much is searched for better settings, for both families alike."""

    budget: float = Field(
        1,
        ge=0,
        le=10_000,
        description="how much is searched for better settings (protocol fair): 1 is 4 trials for MF and as "
        "many for DNN, none begun after 120 s of training; 10 is ten times that; 0 takes the settings as they are",
    )
    trial_epochs: int = Field(
        48,
        ge=1,
        le=10_000,
        description="passes over the training ratings of a trial, at most; the first trial has its own",
    )

    @property
    def trials(self) -> int:
        """Trials of a family, its default settings being the first."""
        return max(1, round(4 * self.budget))

    @property
    def seconds(self) -> float:
        """Seconds of training after which a family begins no more trials."""
        return 120 * self.budget


class EvidenceSettings(SettingsModel):
    """How often everything is repeated, and when a difference between two models counts."""

    seeds: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="how many initialisation seeds each model is trained with, counted up from the seed "
        "(default: 5, and 1 in protocol notebook)",
    )
    splits: int = Field(
        1,
        ge=1,
        le=1000,
        description="under how many split seeds all is tuned, trained and tested, counted up from the first",
    )
    splits_also: tuple[SplitBy, ...] = Field(
        (), description="further kinds of split under which all is tuned, trained and tested again"
    )
    combine: bool = Field(
        True,
        description="whether rows are added for the mean of a tuned model's seeds and for a blend of rows, its weights "
        "chosen on validation ratings (protocol fair)",
    )
    min_effect: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="smaller differences in MSE are called a tie, in squared rating units (default: 0.45% of the "
        "ratings' variance, which is 0.005 on the sample)",
    )
    resamples: int = Field(
        2000, ge=100, le=100_000, description="how often the test users are drawn anew to tell differences from chance"
    )


class RankingSettings(SettingsModel):
    """Whose lists of all items are ranked, and what should stand at their top."""

    ranking_users: int = Field(
        200,
        ge=0,
        description="test users whose lists of all items are ranked, drawn where there are more; 0: no ranking",
    )
    ranking_threshold: float | None = Field(
        None,
        allow_inf_nan=False,
        description="lowest test rating of an item that a list should begin with (default: the training ratings' mean)",
    )


class OutputSettings(SettingsModel):
    """Where things are kept, and who is told."""

    name: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
        description="name of the report's folder (default: data set and protocol)",
    )
    reports: str = Field("reports", description="folder of the reports")
    store: str = Field(
        ".recsys",
        description="folder of the cached artefacts, or a URL that several machines share, such as s3://bucket/name",
    )
    notify: tuple[str, ...] = Field(
        (),
        description="notification blocks of Prefect's that are told when a run fails, and when the verdict is another "
        "than in the run before, such as slack-webhook/team or custom-webhook/nightly",
    )

    @field_validator("name")
    @classmethod
    def _no_link(cls, name: str | None) -> str | None:
        if name == "latest":
            raise ValueError("the name latest leads to the newest report: choose another name")
        return name

    @field_validator("reports")
    @classmethod
    def _path(cls, path: str) -> str:
        return str(_no_url(path))

    @field_validator("store")
    @classmethod
    def _no_password(cls, store: str) -> str:
        if "://" in store and has_secrets(store):
            raise ValueError(NO_SECRETS)
        return store

    @field_validator("notify")
    @classmethod
    def _slugs(cls, notify: tuple[str, ...]) -> tuple[str, ...]:
        for block in notify:
            if not re.fullmatch(r"[a-z0-9-]+/[a-z0-9-]+", block):
                raise ValueError(f"notify {block!r} names no block: give its type and name, as in slack-webhook/team")
        return notify


class ScalingSettings(SettingsModel):
    """Where the tasks run, and for how long; no number depends on it."""

    runner: Runner = Field(
        "threads",
        description="what runs the trainings side by side: threads; processes, each with 0.6 GB of its own; dask or "
        "ray, on a cluster of this machine, or on the one at DASK_SCHEDULER_ADDRESS or RAY_ADDRESS",
    )
    workers: int | None = Field(
        None,
        ge=1,
        description="how many tasks run at once, unless the cluster is one that was there before (default: as many "
        "as there are cores, at least 2)",
    )
    time_limit: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="minutes after which a task is given up (default: none)"
    )

    @property
    def seconds(self) -> float | None:
        """Seconds after which a task is given up."""
        return self.time_limit and 60 * self.time_limit

    @property
    def elsewhere(self) -> bool:
        """Whether the tasks run in other processes than the flow."""
        return self.runner != "threads"


class Question(SettingsModel):
    """What is compared on, and by which rules."""

    data: Annotated[DataSettings, section("Data", 1)] = DataSettings()
    protocol: Annotated[Protocol, Parameter(group=Group("Protocol", sort_key=2))] = Field(
        "fair",
        description="fair: every choice reads validation ratings only; notebook: the class notebook's procedure, "
        "which chooses on the test ratings",
    )
    seed: Annotated[int, Parameter(group=Group("Protocol", sort_key=2))] = Field(
        42, ge=0, lt=2**32, description="seed of initial weights, dropout and shuffling"
    )
    split: Annotated[SplitSettings, section("Split", 3)] = SplitSettings()


class Settings(ModelSections, Question):
    """One comparison, whole: `Question`, a section for each model, and the rest."""

    engine: Annotated[Engine, Parameter(group=Group("Training", sort_key=3))] = Field(
        "compiled",
        description="compiled: Keras's numbers at ten to a hundred times its speed; keras: Keras's own fit",
    )
    tuning: Annotated[TuningSettings, section("Tuning", 6)] = TuningSettings()
    evidence: Annotated[EvidenceSettings, section("Evidence", 7)] = EvidenceSettings()
    ranking: Annotated[RankingSettings, section("Ranking", 8)] = RankingSettings()
    output: Annotated[OutputSettings, section("Output", 9)] = OutputSettings()
    scaling: Annotated[ScalingSettings, section("Scaling out", 9)] = ScalingSettings()
    refresh: Annotated[bool, Parameter(group=Group("Output", sort_key=9))] = Field(
        False, description="recompute everything, whatever is cached"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.protocol == "notebook" and self.split.split_by != "random":
            raise ValueError(
                f"protocol notebook splits at random, as the notebook does, and not by {self.split.split_by}: "
                "choose protocol fair, or split_by random"
            )
        if self.protocol == "notebook" and self.evidence.splits_also:
            raise ValueError(
                "protocol notebook splits at random, as the notebook does: choose protocol fair for splits_also"
            )
        if self.evidence.splits > 1 and self.split.by_time:
            raise ValueError(
                f"splits counts split seeds, which a split by {self.split.split_by} does not read: "
                "choose split_by random or kfold"
            )
        return self

    def of(self, model: ModelSpec) -> FitSettings:
        """Return the settings of a model as they were given."""
        found: FitSettings = getattr(self, model.name)
        return found

    @property
    def seeds(self) -> list[int]:
        """The initialisation seeds of every model, the run's own first."""
        many = self.evidence.seeds or (5 if self.protocol == "fair" else 1)
        return [(self.seed + number) % 2**32 for number in range(many)]

    @property
    def other_splits(self) -> list[SplitSettings]:
        """The further splits under which all is compared again."""
        seeds = [(self.split.split_seed + number) % 2**32 for number in range(1, self.evidence.splits)]
        kinds = [kind for kind in dict.fromkeys(self.evidence.splits_also) if kind != self.split.split_by]
        return [self.split.model_copy(update={"split_seed": seed}) for seed in seeds] + [
            self.split.model_copy(update={"split_by": kind}) for kind in kinds
        ]

    @property
    def anchored(self) -> Self:
        """The same with absolute folders, so that processes that were started elsewhere find them too."""
        reports = str(Path(self.output.reports).expanduser().absolute())
        places = {"reports": reports, "store": anchored(self.output.store)}
        return self.model_copy(update={"output": self.output.model_copy(update=places)})

    @property
    def title(self) -> str:
        """What is compared, in a few words: the name of a run."""
        data = (self.data.ratings and PurePath(self.data.ratings).name) or self.data.dataset or SAMPLE.name
        return f"{escaped(data)} · {self.protocol} · seed {self.seed}"
