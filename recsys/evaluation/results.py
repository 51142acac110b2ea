"""What a run found: the one object that every table, plot, sentence and file is made from."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from recsys.settings import Protocol, SplitBy
from recsys.store.run_history import PastRun

DifferenceVerdict = Literal["better", "worse", "too small", "not certain"]
"""How a row compares with another; the last two are ties, for want of size and for want of evidence."""


class Result(BaseModel):
    """A frozen part of the comparison."""

    model_config = ConfigDict(frozen=True)


class Score(Result):
    """How far predictions are from ratings, over `rows` test ratings.

    mse is in squared rating units, rmse and mae in rating units; r2 is the share of the variance
    of the ratings that is explained, None where the ratings do not vary.
    """

    rows: int
    mse: float
    rmse: float
    mae: float
    r2: float | None


class LearningCurve(Result):
    """Mean squared error per epoch, in squared rating units; entry k belongs to epoch k + 1."""

    loss: list[float]
    val_loss: list[float]


class Ranking(Result):
    """How well the whole catalogue is ordered for the `users` whose lists were ranked.

    All but `users` and `tied_users` are from 0 to 1; higher is better. `ndcg_at_10`, `recall_at_10` and
    `mrr` are means over the users, `ndcg_at_10_error` is the standard error of the first, None for a
    single user. `coverage_at_10` is the share of the catalogue in anybody's first ten. `tied_users` have
    equal scores at the tenth and the eleventh place.
    """

    users: int
    ndcg_at_10: float
    ndcg_at_10_error: float | None
    recall_at_10: float
    mrr: float
    coverage_at_10: float
    tied_users: int


class RankedLists(Result):
    """Whose lists were ranked: `users`, drawn from the `eligible_users` where those are more.

    A test user is eligible with a test rating of at least `threshold`, in rating units, of an item that
    the user has no training or validation rating of; `users_without` have none. `items` is the
    size of the catalogue.
    """

    users: int
    eligible_users: int
    users_without: int
    items: int
    threshold: float


class BaselineResult(Result):
    """One row of the table.

    `user_rmse` is the RMSE of each user's test ratings, averaged over the users, in rating units.
    `predict_microseconds` is the time that one prediction took, of many made together. `ranking` is None where
    nobody's list was ranked.
    """

    name: str
    title: str
    mse: float
    rmse: float
    user_rmse: float
    mae: float
    r2: float | None
    parameters: int
    epochs: int
    best_epoch: int | None
    fit_seconds: float
    predict_microseconds: float | None = None
    warm: Score | None
    cold: Score | None
    ranking: Ranking | None


class SeedResult(Result):
    """What one initialisation seed gave: errors on the test ratings, and the seconds of its fit."""

    seed: int
    mse: float
    rmse: float
    mae: float
    fit_seconds: float


class Spread(Result):
    """How far the MSE moves with the seed, in squared rating units.

    `sd` is the standard deviation over the seeds; `low` and `high` are the ends of the 95% interval of their
    mean (Student's t).
    """

    sd: float
    low: float
    high: float


DENSE_LAYERS, DOT_PRODUCT = "dense layers", "dot product"


class Contribution(Result):
    """What one addend of a network's sum does to its predictions of the warm test ratings.

    `sd` is the standard deviation of the addend, in rating units; `mse_without` is the MSE of all test ratings with the
    addend's mean in its place, nothing being trained anew.
    """

    name: str
    sd: float
    mse_without: float


class ModelResult(BaselineResult):
    """One row of the table, with what a trained model has beside it.

    The errors are means over `seeds`; `spread` is None with a single one. Everything else is of the first seed.

    `history` and `best_epoch`, the epoch (1-based) of the lowest validation loss, are of the fit that chose
    the number of epochs; the weights that were scored are those of `scored_epoch`. Where `refitted_rows` is a
    number, these weights come from a fit of their own to so many ratings, training and validation, for that
    many epochs. The training ran from `started` to `ended` on `device`; `peak_mb` is the most memory that its
    process held meanwhile, whatever else it did. `file_bytes` is the size of the model's file. `clipped_rows`
    test predictions lay outside of `Comparison.clipped_to`. `contributions` are those of a network that is a sum.
    """

    seeds: list[SeedResult] = []
    spread: Spread | None = None
    refitted_rows: int | None = None
    file_bytes: int | None = None
    peak_mb: float | None = None
    contributions: list[Contribution] = []
    history: LearningCurve
    scored_epoch: int
    stopped_early: bool
    started: datetime
    ended: datetime
    clipped_rows: int
    settings: dict[str, int | float | str | list[int]]
    summary: str
    engine: str
    device: str


class Combination(BaselineResult):
    """A row whose predictions are made of other rows'.

    `kind` is "seeds" for the mean of one model's seeds, "blend" for a weighted sum of `members` (names of
    rows), whose `weights` were chosen on validation ratings. Its costs are the sums of its members'.
    """

    kind: Literal["seeds", "blend"]
    members: list[str]
    weights: list[float]


class Trial(Result):
    """One configuration that a search tried.

    `settings` are those of the searched fields. `val_mse` is the lowest validation loss that it reached in
    `epochs`, at `best_epoch`; None where it failed, for `reason`. A trial is "pruned" where others of its round
    were better after the first epochs. `seconds` counts all of its training.
    """

    number: int
    state: Literal["finished", "pruned", "failed"]
    settings: dict[str, int | float | bool | str | list[int]]
    epochs: int
    best_epoch: int | None
    val_mse: float | None
    seconds: float
    parameters: int | None
    reason: str | None = None


class SearchedSetting(Result):
    """A field that a search varied: either between `low` and `high`, or among `choices`.

    `ordered` choices are numbers or sizes, of which the first and the last are edges.
    """

    name: str
    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: list[int | float | bool | str | list[int]] = []
    ordered: bool = False


class Tuning(Result):
    """The search of one family: `name` is the row that its winner became.

    Trial 0 is the family's default configuration. `winner` is the number of the chosen trial, None where all
    failed.
    """

    name: str
    title: str
    trials_allowed: int
    seconds_allowed: float
    seconds_used: float
    searched: list[SearchedSetting]
    trials: list[Trial]
    winner: int | None


class FailedModel(Result):
    """A model or baseline without a row, and why."""

    name: str
    title: str
    reason: str


class RatingCount(Result):
    """How many ratings have one value, or lie in [rating, upper) where values are binned."""

    rating: float
    upper: float | None
    rows: int


class DataFacts(Result):
    """The ratings that were compared on.

    `rows` counts the ratings used, after bad rows were set aside and repeated ones resolved.
    `cold_test_rows` are test ratings whose user or item has no training rating.
    """

    source: str
    licence: str | None
    rows: int
    users: int
    items: int
    density: float
    train_rows: int
    validation_rows: int
    test_rows: int
    cold_test_rows: int
    rating_mean: float
    rating_sd: float
    rating_min: float
    rating_max: float
    histogram: list[RatingCount]
    quarantined_rows: int
    repeated_pairs: int
    duplicates: str
    ignored_columns: list[str]


class Difference(Result):
    """How far the test errors of two rows are apart, and whether that is real.

    `mse_difference` is the MSE of `name` less that of `other`, in squared rating units: below 0, `name`
    is the better. `low` and `high` are the ends of its 95% interval, None where all test ratings are of one
    user. `p` is two-sided, `p_corrected` the same after Holm's correction over all differences.
    """

    name: str
    other: str
    mse_difference: float
    low: float | None
    high: float | None
    p: float
    p_corrected: float
    verdict: DifferenceVerdict


class OtherScore(Result):
    """The MSE of a row under another split, in squared rating units."""

    name: str
    title: str
    mse: float


class OtherSplit(Result):
    """The same comparison under another split: everything was tuned, trained and tested anew."""

    split_by: SplitBy
    split_seed: int
    test_rows: int
    cold_test_rows: int
    rating_sd: float
    scores: list[OtherScore]
    differences: list[Difference]


class Comparison(Result):
    """A whole comparison.

    `clipped_to` is the range of the training ratings that predictions were clipped to, None in
    protocol notebook, which does not clip. `folds` and `fold` count where `split_by` is kfold. `ranking` is None
    where ranking was turned off. `skipped` are baselines that these ratings are too many for. `min_effect`
    and `resamples` are the settings of the evidence; `differences` has each pair of models, and each model
    against bias_only. `tuning` has the searches of the tuned rows, empty in protocol notebook. `other_splits` are
    further splits of the same ratings. `history` has what came out over time of runs that can be compared with
    this one, oldest first and this one last, each result once; empty where there is nothing to compare with.
    """

    protocol: Protocol
    seed: int
    split_by: SplitBy
    split_seed: int
    folds: int
    fold: int
    test_size: float
    validation_size: float
    clipped_to: tuple[float, float] | None
    data: DataFacts
    ranking: RankedLists | None
    models: list[ModelResult]
    baselines: list[BaselineResult]
    combinations: list[Combination] = []
    failed: list[FailedModel]
    skipped: list[FailedModel]
    min_effect: float | None
    resamples: int
    differences: list[Difference]
    tuning: list[Tuning] = []
    other_splits: list[OtherSplit] = []
    history: list[PastRun] = []
