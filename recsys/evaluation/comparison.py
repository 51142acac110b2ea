"""What a run found: the one object that every table, plot, sentence and file is made from."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from recsys.settings import Protocol, SplitBy

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


class History(Result):
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
    `ranking` is None where nobody's list was ranked.
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
    warm: Score | None
    cold: Score | None
    ranking: Ranking | None


class ModelResult(BaselineResult):
    """One row of the table, with what a trained model has beside it.

    `best_epoch` is the epoch (1-based) of the lowest validation loss; the weights that were scored
    are those of `scored_epoch`. The training ran from `started` to `ended` on `device`. `clipped_rows`
    test predictions lay outside of `Comparison.clipped_to`.
    """

    history: History
    scored_epoch: int
    stopped_early: bool
    started: datetime
    ended: datetime
    clipped_rows: int
    settings: dict[str, int | float | str | list[int]]
    summary: str
    engine: str
    device: str


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


class Comparison(Result):
    """A whole comparison.

    `clipped_to` is the range of the training ratings that predictions were clipped to, None in
    protocol notebook, which does not clip. `folds` and `fold` count where `split_by` is kfold. `ranking` is None
    where ranking was turned off. `skipped` are baselines that these ratings are too many for. `min_effect`
    and `resamples` are the settings of the evidence; `differences` has each pair of models, and each model
    against bias_only.
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
    failed: list[FailedModel]
    skipped: list[FailedModel]
    min_effect: float | None
    resamples: int
    differences: list[Difference]
