"""All settings of a comparison.

The command-line options, the parameters of the flow (the form in the Prefect UI), the keys of a YAML file and the
option table in docs/configuration.md are derived from these models.
"""

import re
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal, Self

from cyclopts import Group, Parameter
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from recsys.store.remote import NO_SECRETS, anchored, has_secrets
from recsys.text import escaped, is_unicode

Protocol = Literal["fair", "notebook"]
Dataset = Literal["sample", "ml-latest-small", "ml-1m", "ml-10m", "ml-20m", "ml-25m", "ml-32m"]
Duplicates = Literal["keep", "error", "last", "mean"]
Engine = Literal["compiled", "keras"]
Activation = Literal["relu", "tanh", "gelu", "silu"]
Runner = Literal["threads", "processes", "dask", "ray"]
SplitBy = Literal["random", "user-last", "time", "leave-one-out", "kfold"]

SAMPLE_ROWS = 100_000
"""Ratings of the bundled sample that are read by default: the notebook's `head(100000)`."""


LIMITS = {
    "minimum": "at least",
    "exclusiveMinimum": "more than",
    "maximum": "at most",
    "exclusiveMaximum": "less than",
}
"""Keyword of JSON schema -> how a description writes it."""


def _with_limits(schema: dict[str, Any]) -> None:
    """Append the limits of each number to its description; the form of the Prefect UI does not show them otherwise."""
    for field in schema.get("properties", {}).values():
        forms = [field, *field.get("anyOf", [])]
        limits = [f"{word} {_plain(form[name])}" for form in forms for name, word in LIMITS.items() if name in form]
        if limits:
            field["description"] = f"{field['description']} [{', '.join(limits)}]"


def _plain(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:g}"


def _no_url(path: str | None) -> str | None:
    """Refuse a URL, without quoting it: it may contain a password."""
    if path is not None and "://" in path:
        raise ValueError("ratings, downloads and reports must be paths, not URLs: copy the file to this machine first")
    return path


class SettingsModel(BaseModel):
    """Base of all settings: frozen, and unknown names are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra=_with_limits)

    @field_validator("*")
    @classmethod
    def _text(cls, value: Any) -> Any:
        if isinstance(value, str):
            if "\0" in value:
                raise ValueError("settings cannot hold a NUL character")
            if not is_unicode(value):
                raise ValueError(f"settings must be UTF-8 text, as names of files have to be: rename {value!a}")
        return value


class DataSettings(SettingsModel):
    """Which ratings to read, and how."""

    ratings: str | None = Field(
        None,
        description="path of a ratings file: .csv, .tsv, .dat or .txt (also as .gz, .bz2 or .zip), or .parquet",
    )
    dataset: Dataset | None = Field(
        None,
        description="public data set to use instead of a file: the bundled sample (default), or a MovieLens data set "
        "downloaded from GroupLens",
    )
    max_rows: int | None = Field(
        None, ge=1, description="read only the first N ratings (default: 100,000 of the sample, all of a file)"
    )
    user_column: str | None = Field(None, description="name of the user column, if not recognised")
    item_column: str | None = Field(None, description="name of the item column, if not recognised")
    rating_column: str | None = Field(None, description="name of the rating column, if not recognised")
    timestamp_column: str | None = Field(None, description="name of the timestamp column, if not recognised")
    separator: Literal["auto", "comma", "tab", "semicolon", "pipe", "double-colon"] = Field(
        "auto", description="field separator"
    )
    header: Literal["auto", "yes", "no"] = Field("auto", description="whether the first line is a header")
    min_rating: float | None = Field(
        None, allow_inf_nan=False, description="lowest rating of the scale; rows with a lower one are invalid"
    )
    max_rating: float | None = Field(
        None, allow_inf_nan=False, description="highest rating of the scale; rows with a higher one are invalid"
    )
    bad_rows: Literal["error", "quarantine"] = Field(
        "error",
        description="invalid rows: stop with an error, or set them aside in quarantine.csv and count them",
    )
    duplicates: Duplicates = Field(
        "keep",
        description="repeated ratings of an item by a user: keep all, stop with an error, or use the last or the mean",
    )
    downloads: str = Field("~/.cache/mf-or-dnn", description="folder of the downloaded data sets")

    @property
    def is_downloaded(self) -> bool:
        """Whether the ratings are downloaded: neither a local file nor the bundled sample."""
        return self.ratings is None and self.dataset not in (None, "sample")

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
    """How training, validation and test ratings are split."""

    split_by: SplitBy = Field(
        "random",
        description="how test ratings are chosen: random; user-last: the last ratings of each user; time: the latest "
        "ratings of all users; leave-one-out: the last rating of each user; kfold: one of several random folds",
    )
    test_size: float = Field(
        0.2,
        gt=0,
        lt=1,
        description="share of the ratings in the test set (not used by leave-one-out and kfold)",
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


class FitSettings(SettingsModel):
    """Hyperparameters that every model has."""

    embedding_size: int = Field(
        50, ge=1, le=4096, description="embedding size (number of factors) of each user and item"
    )
    epochs: int = Field(10, ge=1, le=10_000, description="maximum number of epochs")
    batch_size: int = Field(64, ge=1, description="batch size, in ratings")
    learning_rate: float = Field(1e-3, gt=0, le=10, description="learning rate of Adam")
    patience: int = Field(
        0,
        ge=0,
        description="early stopping: epochs without a lower validation loss after which training stops and the best "
        "weights are restored; 0: no early stopping, the last weights are kept",
    )


class MFSettings(FitSettings):
    """Plain matrix factorisation: the dot product of the user and item embeddings."""


class BiasedMFSettings(FitSettings):
    """Matrix factorisation with global mean, biases and L2 regularisation; with 0 factors, the biases only."""

    embedding_size: int = Field(
        100, ge=0, le=4096, description="embedding size (number of factors) of each user and item"
    )
    batch_size: int = Field(256, ge=1, description="batch size, in ratings")
    epochs: int = Field(60, ge=1, le=10_000, description="maximum number of epochs")
    patience: int = Field(
        3,
        ge=0,
        description="early stopping: epochs without a lower validation loss after which training stops and the best "
        "weights are restored; 0: no early stopping, the last weights are kept",
    )
    user_bias: bool = Field(True, description="add a user bias")
    item_bias: bool = Field(True, description="add an item bias")
    l2_factors: float = Field(0.12, ge=0, le=100, description="L2 regularisation of the factors, per rating")
    l2_biases: float = Field(0.02, ge=0, le=100, description="L2 regularisation of the biases, per rating")
    initial_sd: float = Field(0.05, gt=0, le=10, description="standard deviation of the initial factors")
    history: int = Field(
        0,
        ge=0,
        le=1000,
        description="items per user read as implicit feedback (SVD++), at most; 0: plain matrix factorisation",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.history and not self.embedding_size:
            raise ValueError(
                f"history {self.history} needs factors, which embedding_size 0 leaves out: choose history 0 or an "
                "embedding_size of 1 or more"
            )
        return self


class DNNSettings(FitSettings):
    """Deep network (MLP) on the concatenated user and item embeddings."""

    units: tuple[Annotated[int, Field(ge=1, le=65_536)], ...] = Field(
        (128, 128), min_length=1, description="units of each hidden layer, first to last"
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout rate of the hidden layers")


class TunedDNNSettings(DNNSettings):
    """Deep network with optional biases, dot product and regularisation; by default the notebook's network."""

    dropout: float = Field(0.3, ge=0, lt=1, description="dropout rate of the hidden layers")
    epochs: int = Field(20, ge=1, le=10_000, description="maximum number of epochs")
    patience: int = Field(
        3,
        ge=0,
        description="early stopping: epochs without a lower validation loss after which training stops and the best "
        "weights are restored; 0: no early stopping, the last weights are kept",
    )
    activation: Activation = Field("relu", description="activation function of the hidden layers")
    input_dropout: float = Field(0.0, ge=0, lt=1, description="dropout rate of the concatenated embeddings")
    batch_normalisation: bool = Field(False, description="batch normalisation of the hidden layers")
    l2_embeddings: float = Field(0.0, ge=0, le=100, description="L2 regularisation of the embeddings, per rating")
    l2_kernels: float = Field(0.0, ge=0, le=100, description="L2 regularisation of the weights of the dense layers")
    biases: bool = Field(False, description="add the global mean, a user bias and an item bias to the output")
    l2_biases: float = Field(0.02, ge=0, le=100, description="L2 regularisation of the biases, per rating")
    dot_factors: int = Field(
        0,
        ge=0,
        le=4096,
        description="size of further embeddings whose dot product is added to the output (NeuMF); 0: none",
    )
    l2_dot: float = Field(
        0.12, ge=0, le=100, description="L2 regularisation of the embeddings of the dot product, per rating"
    )


class TuningSettings(SettingsModel):
    """Budget of the hyperparameter search, the same for both families."""

    budget: float = Field(
        1,
        ge=0,
        le=10_000,
        description="budget of the hyperparameter search (protocol fair): 1 means 4 trials each for MF and DNN, none "
        "started after 120 s of training; 10 means ten times as much; 0: no search, the settings are used as given",
    )
    trial_epochs: int = Field(
        48,
        ge=1,
        le=10_000,
        description="maximum number of epochs of a trial; trial 0 has the epochs of its model's settings",
    )

    @property
    def trials(self) -> int:
        """Trials of each family, including trial 0, the given settings."""
        return max(1, round(4 * self.budget))

    @property
    def seconds(self) -> float:
        """Seconds of training after which a family starts no further trials."""
        return 120 * self.budget


class EvidenceSettings(SettingsModel):
    """Seeds, splits, combinations and significance tests."""

    seeds: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="number of seeds each model is trained with, counted up from the seed "
        "(default: 5, and 1 in protocol notebook)",
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


def _section(title: str, order: int, *, flat: bool = True) -> Parameter:
    return Parameter(name="*" if flat else None, group=Group(title, sort_key=order))


class Settings(SettingsModel):
    """Settings of a whole comparison."""

    data: Annotated[DataSettings, _section("Data", 1)] = DataSettings()
    protocol: Annotated[Protocol, Parameter(group=Group("Protocol", sort_key=2))] = Field(
        "fair",
        description="fair: models are selected on validation ratings; notebook: the procedure of the class notebook, "
        "which selects on the test ratings",
    )
    seed: Annotated[int, Parameter(group=Group("Protocol", sort_key=2))] = Field(
        42, ge=0, lt=2**32, description="seed of initial weights, dropout and shuffling"
    )
    split: Annotated[SplitSettings, _section("Split", 3)] = SplitSettings()
    mf: Annotated[MFSettings, _section("Matrix factorisation", 4, flat=False)] = MFSettings()
    mf_tuned: Annotated[BiasedMFSettings, _section("Tuned matrix factorisation (protocol fair)", 4, flat=False)] = (
        BiasedMFSettings()
    )
    dnn: Annotated[DNNSettings, _section("Deep network", 5, flat=False)] = DNNSettings()
    dnn_tuned: Annotated[TunedDNNSettings, _section("Tuned deep network", 6, flat=False)] = TunedDNNSettings()
    engine: Annotated[Engine, Parameter(group=Group("Training", sort_key=3))] = Field(
        "compiled",
        description="compiled: the numbers of Keras at ten to a hundred times its speed; keras: fit of Keras itself",
    )
    tuning: Annotated[TuningSettings, _section("Tuning", 6)] = TuningSettings()
    evidence: Annotated[EvidenceSettings, _section("Evidence", 7)] = EvidenceSettings()
    ranking: Annotated[RankingSettings, _section("Ranking", 8)] = RankingSettings()
    output: Annotated[OutputSettings, _section("Output", 9)] = OutputSettings()
    scaling: Annotated[ScalingSettings, _section("Scaling out", 9)] = ScalingSettings()
    refresh: Annotated[bool, Parameter(group=Group("Output", sort_key=9))] = Field(
        False, description="recompute everything and ignore cached results"
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

    @property
    def seeds(self) -> list[int]:
        """The seeds every model is trained with, `seed` first."""
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
        data = (self.data.ratings and PurePath(self.data.ratings).name) or self.data.dataset or "sample"
        return f"{escaped(data)} · {self.protocol} · seed {self.seed}"
