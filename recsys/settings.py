"""All settings of a comparison.

The command-line options, the parameters of the flow (the form in the Prefect UI), the keys of a YAML file and the
option table in docs/configuration.md are derived from these models.
"""

import re
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated, Literal, Self

from cyclopts import Group, Parameter
from pydantic import Field, field_validator, model_validator

from recsys.config import SettingsModel, section
from recsys.data.datasets import SAMPLE
from recsys.data.settings import DataSettings as DataSettings
from recsys.data.settings import no_url
from recsys.models.settings import BiasedMFSettings as BiasedMFSettings  # also for whoever uses the library
from recsys.models.settings import DNNSettings as DNNSettings
from recsys.models.settings import EmbeddingSettings as EmbeddingSettings
from recsys.models.settings import FitSettings as FitSettings
from recsys.models.settings import MFSettings as MFSettings
from recsys.models.settings import TunedDNNSettings as TunedDNNSettings
from recsys.models.specs import BLEND, MODELS, TUNED, ModelSections, ModelSpec
from recsys.store.remote import NO_SECRETS, anchored, has_secrets
from recsys.text import escaped, listed

Protocol = Literal["fair", "notebook"]
Engine = Literal["compiled", "keras"]
Runner = Literal["threads", "processes", "dask", "ray"]
SplitBy = Literal["random", "user-last", "time", "leave-one-out", "kfold"]


if TYPE_CHECKING:
    SearchedModel = str
    Usable = str
else:  # with the names of the records as choices in --help and in the form of the Prefect UI
    SearchedModel = Literal[*(spec.name for spec in TUNED)]
    Usable = Literal[*(spec.name for spec in MODELS), BLEND]


class SplitSettings(SettingsModel):
    """How training, validation and test ratings are split."""

    split_by: SplitBy = Field(
        "random",
        description="how test ratings are chosen: random; user-last: the last ratings of each user; time: the latest "
        "ratings of all users; leave-one-out: the last rating of each user; kfold: one of several random folds",
    )
    test_size: float = Field(
        0.2, gt=0, lt=1, description="share of the ratings in the test set (not used by leave-one-out and kfold)"
    )
    validation_size: float = Field(
        0.1, gt=0, lt=1, description="share of the training ratings held out for validation (protocol fair)"
    )
    split_seed: int = Field(42, ge=0, lt=2**32, description="seed of the split (random and kfold)")
    folds: int = Field(5, ge=2, description="number of folds (kfold)")
    fold: int = Field(0, ge=0, description="which fold is the test set, counted from 0 (kfold)")

    @property
    def by_time(self) -> bool:
        """Whether the split reads timestamps."""
        return self.split_by in ("user-last", "time", "leave-one-out")

    @property
    def missing_fold(self) -> str:
        """The error message for a fold that does not exist."""
        return f"fold {self.fold} does not exist: {self.folds} folds are counted from 0 to {self.folds - 1}"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        # without folds of its own, a --fold may belong to the folds of a YAML file that it is merged with later
        if "folds" in self.model_fields_set and self.fold >= self.folds:
            raise ValueError(self.missing_fold)
        return self


class TuningSettings(SettingsModel):
    """Budget of the hyperparameter search, the same for both families."""

    budget: float = Field(
        1,
        ge=0,
        le=10_000,
        description="budget of the hyperparameter search (protocol fair): 1 means 4 drawn trials each for MF and DNN "
        "after those of known settings; 10 means ten times as much, but none started after 1200 s of training (more on "
        "more than 100,000 ratings); 0: no search, each model is tried once with its settings as given",
    )
    trial_epochs: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="maximum number of epochs of a trial; those of the given settings have their own "
        "(default: as the model's search space says)",
    )

    models: tuple[SearchedModel, ...] | None = Field(
        None, description="searched models that take part, at least one of each family (default: all)"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        missing = {spec.family for spec in TUNED} - {spec.family for spec in TUNED if self.takes(spec)}
        if missing:
            names = listed(spec.name for spec in TUNED if spec.family in missing)
            raise ValueError(f"of one family no model takes part: choose at least one of {names}, too (--models)")
        return self

    def takes(self, model: ModelSpec) -> bool:
        """Whether a searched model takes part."""
        return self.models is None or model.name in self.models

    @property
    def draws(self) -> int:
        """Trials that are drawn, at least, after those of known settings."""
        return round(4 * self.budget)

    def seconds(self, ratings: int) -> float:
        """Seconds of training on so many ratings after which a family begins no trials that need not be."""
        return 120 * self.budget * max(1.0, ratings / 100_000)


class EvidenceSettings(SettingsModel):
    """Seeds, splits, combinations and significance tests."""

    seeds: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="number of seeds, counted up from the seed, that the winner of each search is trained with, and in "
        "protocol notebook every model (default: 5, and 1 in protocol notebook)",
    )
    splits: int = Field(
        1,
        ge=1,
        le=1000,
        description="number of split seeds for which the whole comparison is repeated, counted up from the split seed",
    )
    splits_also: tuple[SplitBy, ...] = Field(
        (), description="further split methods for which the whole comparison is repeated"
    )
    combine: bool = Field(
        True,
        description="add ensembles: the mean over the seeds of each tuned model, and a blend of models with weights "
        "fitted on validation ratings (protocol fair)",
    )
    min_effect: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="smallest difference in MSE that counts, in squared rating units; smaller ones are ties (default: "
        "0.45% of the variance of the ratings, which is 0.005 on the sample)",
    )
    learning_curve: bool = Field(
        False,
        description="train the winners on 10, 20, 40 and 70% of the training and validation ratings, too, and say "
        "whether more ratings would change the answer (protocol fair)",
    )
    resamples: int = Field(
        2000, ge=100, le=100_000, description="bootstrap resamples of the test users in the significance tests"
    )


class RankingSettings(SettingsModel):
    """For which users all items are ranked, and which items are relevant."""

    ranking_users: int = Field(
        200,
        ge=0,
        description="test users for whom all items are ranked, sampled if there are more; 0: no ranking metrics",
    )
    ranking_threshold: float | None = Field(
        None,
        allow_inf_nan=False,
        description="lowest test rating of a relevant item (default: mean of the training ratings)",
    )


class OutputSettings(SettingsModel):
    """Where reports and cached results are stored, and who is notified."""

    name: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
        description="name of the report folder (default: data set and protocol)",
    )
    reports: str = Field("reports", description="folder of the reports")
    plots: bool = Field(True, description="draw plots; --plots no saves a third of a second for each of some 30")
    mute: tuple[str, ...] = Field(
        (),
        description="checks to mute, by number or name, such as C07,overfitting; the report says which",
    )
    store: str = Field(
        ".recsys",
        description="folder of the cached results, or a URL shared by several machines, such as s3://bucket/name",
    )
    notify: tuple[str, ...] = Field(
        (),
        description="Prefect notification blocks to notify when a run fails, or when the verdict differs from the "
        "previous run, such as slack-webhook/team or custom-webhook/nightly",
    )

    @field_validator("name")
    @classmethod
    def _no_link(cls, name: str | None) -> str | None:
        if name == "latest":
            raise ValueError("the name latest is reserved for the newest report: choose another name")
        return name

    _path = field_validator("reports")(no_url)

    @field_validator("store")
    @classmethod
    def _no_password(cls, store: str) -> str:
        if "://" in store and has_secrets(store):
            raise ValueError(NO_SECRETS)
        return store

    @field_validator("mute")
    @classmethod
    def _split_at_commas(cls, mute: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name.strip() for part in mute for name in part.split(",") if name.strip())

    @field_validator("notify")
    @classmethod
    def _slugs(cls, notify: tuple[str, ...]) -> tuple[str, ...]:
        for block in notify:
            if not re.fullmatch(r"[a-z0-9-]+/[a-z0-9-]+", block):
                raise ValueError(f"notify {block!r} names no block: give its type and name, as in slack-webhook/team")
        return notify


class WinnerSettings(SettingsModel):
    """The model to use, in the folder winner of the report (protocol fair)."""

    use: Usable | None = Field(
        None,
        description="model to use, or the blend (default: the winner of a search with the lowest validation error, or "
        "in a tie the smaller one)",
    )
    refit: bool = Field(
        True,
        description="fit it to all ratings, the test ratings among them; --refit no keeps the fit that was scored",
    )


class ScalingSettings(SettingsModel):
    """Where tasks run, and for how long; the results do not depend on it."""

    runner: Runner = Field(
        "threads",
        description="what runs tasks in parallel: threads; processes, which take 0.6 GB each; dask or ray, on a local "
        "cluster or on the one at DASK_SCHEDULER_ADDRESS or RAY_ADDRESS",
    )
    workers: int | None = Field(
        None,
        ge=1,
        description="parallel tasks; an existing cluster has its own number (default: number of cores, at least 2)",
    )
    time_limit: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="time limit of a task, in minutes (default: none)"
    )

    @property
    def seconds(self) -> float | None:
        """The time limit of a task, in seconds."""
        return self.time_limit and 60 * self.time_limit

    @property
    def elsewhere(self) -> bool:
        """Whether tasks run in other processes than the flow."""
        return self.runner != "threads"


class Question(SettingsModel):
    """What is compared on, and by which rules."""

    data: Annotated[DataSettings, section("Data", 1)] = DataSettings()
    protocol: Annotated[Protocol, Parameter(group=Group("Protocol", sort_key=2))] = Field(
        "fair",
        description="fair: models are selected on validation ratings; notebook: the procedure of the class notebook, "
        "which selects on the test ratings",
    )
    seed: Annotated[int, Parameter(group=Group("Protocol", sort_key=2))] = Field(
        42, ge=0, lt=2**32, description="seed of initial weights, dropout and shuffling"
    )
    split: Annotated[SplitSettings, section("Split", 3)] = SplitSettings()


class Settings(ModelSections, Question):
    """One comparison, whole: `Question`, a section for each model, and the rest."""

    engine: Annotated[Engine, Parameter(group=Group("Training", sort_key=3))] = Field(
        "compiled",
        description="compiled: the numbers of Keras at ten to a hundred times its speed; keras: fit of Keras itself",
    )
    tuning: Annotated[TuningSettings, section("Tuning", 6)] = TuningSettings()
    evidence: Annotated[EvidenceSettings, section("Evidence", 7)] = EvidenceSettings()
    ranking: Annotated[RankingSettings, section("Ranking", 8)] = RankingSettings()
    winner: Annotated[WinnerSettings, section("Winner", 9)] = WinnerSettings()
    output: Annotated[OutputSettings, section("Output", 9)] = OutputSettings()
    scaling: Annotated[ScalingSettings, section("Scaling out", 9)] = ScalingSettings()
    refresh: Annotated[bool, Parameter(group=Group("Output", sort_key=9))] = Field(
        False, description="recompute everything and ignore cached results"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        at_random = "protocol notebook splits at random, as the notebook does"
        if self.protocol == "notebook" and self.split.split_by != "random":
            wanted = self.split.split_by
            raise ValueError(f"{at_random}, and not by {wanted}: choose protocol fair, or split_by random")
        if self.protocol == "notebook" and self.evidence.splits_also:
            raise ValueError(f"{at_random}: choose protocol fair for splits_also")
        if self.protocol == "notebook" and self.evidence.learning_curve:
            raise ValueError("protocol notebook searches no winners: choose protocol fair for learning_curve")
        if self.evidence.splits > 1 and self.split.by_time:
            raise ValueError(
                f"splits counts split seeds, which a split by {self.split.split_by} does not read: "
                "choose split_by random or kfold"
            )
        used = self.winner.use
        if used and self.protocol == "notebook":
            raise ValueError("protocol notebook chooses no model to use: choose protocol fair for use")
        if used == BLEND and not self.evidence.combine:
            raise ValueError("use names the blend, and combine is no: choose combine yes")
        if used and any(spec.name == used and not self.tuning.takes(spec) for spec in TUNED):
            raise ValueError(f"use names {used}, which does not take part: add it to models")
        return self

    def of(self, model: ModelSpec) -> FitSettings:
        """Return the settings of a model as they were given."""
        found: FitSettings = getattr(self, model.name)
        return found

    @property
    def seeds(self) -> list[int]:
        """The seeds that winners are trained with, and every model of protocol notebook, `seed` first."""
        many = self.evidence.seeds or (5 if self.protocol == "fair" else 1)
        return [(self.seed + number) % 2**32 for number in range(many)]

    @property
    def other_splits(self) -> list[SplitSettings]:
        """The further splits for which the comparison is repeated."""
        seeds = [(self.split.split_seed + number) % 2**32 for number in range(1, self.evidence.splits)]
        kinds = [kind for kind in dict.fromkeys(self.evidence.splits_also) if kind != self.split.split_by]
        return [self.split.model_copy(update={"split_seed": seed}) for seed in seeds] + [
            self.split.model_copy(update={"split_by": kind}) for kind in kinds
        ]

    @property
    def anchored(self) -> Self:
        """A copy with absolute folders, for processes with another working directory."""
        reports = str(Path(self.output.reports).expanduser().absolute())
        places = {"reports": reports, "store": anchored(self.output.store)}
        return self.model_copy(update={"output": self.output.model_copy(update=places)})

    @property
    def title(self) -> str:
        """Name of the run: data set, protocol and seed."""
        data = (self.data.ratings and PurePath(self.data.ratings).name) or self.data.dataset or SAMPLE.name
        return f"{escaped(data)} · {self.protocol} · seed {self.seed}"
