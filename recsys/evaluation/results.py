"""The results of a run, which every table, plot, sentence and file is made from."""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, computed_field

from recsys.energy import Unmeasured
from recsys.models.specs import Family
from recsys.settings import Protocol, SplitBy
from recsys.store.run_history import PastRun

DifferenceVerdict = Literal["better", "worse", "too small", "not certain"]
"""How a row compares with another; the last two are ties: of no practical size, or not significant."""


Better = Literal["yes", "no", "tie", "unknown"]
Worth = Literal["yes", "no", "unknown"]


class Result(BaseModel):
    """A frozen part of the comparison."""

    model_config = ConfigDict(frozen=True)


class Measured(Result):
    """A part with values of metrics: those declared, and whatever else `recsys.evaluation.metrics.METRICS` has."""

    model_config = ConfigDict(frozen=True, extra="allow")

    def metric(self, key: str) -> float | None:
        """Return the value of a metric, None where it is not known."""
        value: float | None = getattr(self, key, None)
        return value


class Score(Measured):
    """The metrics of predictions of `rows` test ratings; r2 is None where the ratings do not vary."""

    rows: int
    mse: float
    rmse: float
    mae: float
    r2: float | None


class LearningCurve(Result):
    """Mean squared error per epoch, in squared rating units; entry k belongs to epoch k + 1.

    `seconds` is how long the training took.
    """

    loss: list[float]
    val_loss: list[float]
    seconds: float | None = None


class Ranking(Measured):
    """The metrics of the ranked lists of `users`.

    `ndcg_at_10_error` is the standard error of the mean over the users, None for a single user. `tied_users` have
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
    """Whose lists were ranked: `users`, drawn from `eligible_users` if there are more of them.

    A test user is eligible with a relevant item: a test rating of at least `threshold`, in rating units, of an item
    without a training or validation rating of the user; `users_without` have none. `items` is the catalogue's size.
    """

    users: int
    eligible_users: int
    users_without: int
    items: int
    threshold: float


class BaselineResult(Measured):
    """One row of the table.

    `predict_microseconds` is the time of one prediction of many made together. `ranking` is None where none was ranked.
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
    """The metrics and fit time of one initialisation seed."""

    seed: int
    mse: float
    rmse: float
    mae: float
    fit_seconds: float


class Spread(Result):
    """Spread of the MSE over the seeds, in squared rating units.

    `sd` is the standard deviation; `low` and `high` are the ends of the 95% interval of the mean (Student's t).
    """

    sd: float
    low: float
    high: float


DENSE_LAYERS, DOT_PRODUCT = "dense layers", "dot product"


class Contribution(Result):
    """Ablation of one addend of a network's output sum, on the warm test ratings.

    `sd` is the standard deviation of the addend, in rating units; `mse_without` is the MSE on all test ratings with the
    addend replaced by its mean, without training again.
    """

    name: str
    sd: float
    mse_without: float


class Interval(Result):
    """Prediction intervals that are to hold a rating with probability `level`.

    `covered` is the share of the warm test ratings inside, `width` the mean width, in rating units.
    """

    level: float
    covered: float
    width: float


class ModelResult(BaselineResult):
    """The row of a trained model.

    Metrics are means over `seeds`; `spread` is None with a single seed. Everything else is of the first seed. `history`
    and `best_epoch`, the epoch (1-based) of the lowest validation loss, are of the fit that chose the number of epochs;
    the scored weights are those of `scored_epoch`, or where `refitted_rows` is a number, of a refit to so many training
    and validation ratings for that many epochs. `peak_mb` is the peak memory of the process, other work included,
    and `watt_hours` the energy of the fit, or `energy_unmeasured` says why it is not known.
    `clipped_rows` test predictions were outside of `Comparison.clipped_to`. `contributions` are those of a network
    whose output is a sum, `intervals` those of a model that knows its uncertainty. `chosen` is that of the models of
    its `family` which won the search, None where there was no such search.
    """

    family: Family | None = None
    chosen: bool | None = None
    seeds: list[SeedResult] = []
    spread: Spread | None = None
    refitted_rows: int | None = None
    file_bytes: int | None = None
    peak_mb: float | None = None
    watt_hours: float | None = None
    energy_unmeasured: Unmeasured | None = None
    contributions: list[Contribution] = []
    intervals: list[Interval] = []
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
    """An ensemble: a row whose predictions combine those of other rows.

    `kind` is "seeds" for the mean of one model's seeds, "blend" for a weighted sum of `members` (names of rows), whose
    `weights` were chosen on validation ratings and moved towards equal ones by `equal_share`, from 0 to 1. Its costs
    are the sums of its members'.
    """

    kind: Literal["seeds", "blend"]
    members: list[str]
    weights: list[float]
    equal_share: float = 0.0


class Trial(Result):
    """One configuration that a search tried.

    `model` is the name of the row whose model it is of, `settings` are those of the fields that are searched of this
    model. `val_mse` is the validation loss of the weights that its last training of `epochs` kept, `best_epoch` the
    epoch of the lowest one; None where it failed, for `reason`. A trial is "pruned" where others of its round were
    better after the first epochs, or on the ratings of a sample of the users; if `sampled`, it was trained on these
    alone, and `val_mse` cannot be compared with that of others. `seconds` is its whole training time.
    """

    number: int
    model: str = ""
    state: Literal["finished", "pruned", "failed"]
    settings: dict[str, int | float | bool | str | list[int]]
    epochs: int
    best_epoch: int | None
    val_mse: float | None
    seconds: float
    parameters: int | None
    sampled: bool = False
    reason: str | None = None


class SearchedSetting(Result):
    """A searched field of a model: between `low` and `high`, or one of `choices`, whose ends are edges if `ordered`."""

    name: str
    model: str = ""
    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: list[int | float | bool | str | list[int]] = []
    ordered: bool = False


class Tuning(Result):
    """The search of one family: `name` is the row that its winner became, or the family's first where all failed.

    The first `points` trials are of known settings: first those that were given for each model, then known points of
    their spaces. The others are drawn. `winner` is the number of the chosen trial, None where all failed; it is of a
    simple model where the trial of the `lowest` validation MSE is better than that by chance only.
    """

    name: str
    title: str
    family: Family | None = None
    points: int = 1
    trials_allowed: int
    seconds_allowed: float
    seconds_used: float
    searched: list[SearchedSetting]
    trials: list[Trial]
    winner: int | None
    lowest: int | None = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def searched_trials(self) -> int:
        """The number of drawn trials that did not fail: 0 where nothing could be searched."""
        return sum(trial.number >= self.points and trial.state != "failed" for trial in self.trials)


def winners_of(searches: Iterable[Tuning]) -> dict[Family, str]:
    """Return the row of each family's winner, where a trial won."""
    return {tuning.family: tuning.name for tuning in searches if tuning.family and tuning.winner is not None}


class FailedModel(Result):
    """A model or baseline without a row, and why."""

    name: str
    title: str
    reason: str


class RatingCount(Result):
    """Number of ratings of one value, or in [rating, upper) where values are binned."""

    rating: float
    upper: float | None
    rows: int


class RatingApart(Result):
    """A frequent rating apart from the scale of the others, which is `low` to `high`, and how many ratings have it."""

    value: float
    rows: int
    low: float
    high: float


class Tied(Result):
    """That times are equal at a cut between earlier and later ratings, so that the order in the file chose.

    It chose `tied` of the `of` held-out ratings under split_by `time`, or those of so many of `of` users under others.
    """

    tied: int
    of: int


class Ties(Result):
    """How much of a split by time the order in the file decided: which are test, and which are validation ratings."""

    test: Tied
    validation: Tied


class DataFacts(Result):
    """The ratings of the comparison, after bad rows were quarantined and repeated pairs resolved.

    `cold_test_rows` are test ratings whose user or item has no training rating; `period` has the first and the last
    time in ISO 8601 (UTC), None where no time is known. `repeated_pairs` are rows of the file of a user and an item
    that an earlier row is of; `repeated_test_rows` are test ratings of pairs with ratings that are fitted, and
    `repeated_validation_rows` ratings that choose of pairs with ratings that are fitted meanwhile, both None where that
    was not counted. `ties` are None unless times split the ratings. What was read is as in
    `recsys.data.ingest.Ingested`.
    """

    source: str
    licence: str | None
    period: tuple[str, str] | None = None
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
    repeated_test_rows: int | None = None
    repeated_validation_rows: int | None = None
    duplicates: str
    ties: Ties | None = None
    ignored_columns: list[str]
    source_columns: dict[str, str] = {}
    found_by: dict[str, str] = {}
    not_rated_rows: int = 0
    unreadable_timestamps: int = 0
    unreadable_time: str | None = None
    apart: RatingApart | None = None


class Difference(Result):
    """The difference of the test errors of two rows, and its significance.

    `mse_difference` is the MSE of `name` less that of `other`, in squared rating units: below 0, `name` is the better.
    `low` and `high` are the ends of its 95% interval, None where all test ratings are of one user. `p` is two-sided,
    `p_corrected` the same after Holm's correction over all differences.
    """

    name: str
    other: str
    mse_difference: float
    low: float | None
    high: float | None
    p: float
    p_corrected: float
    verdict: DifferenceVerdict


class Chances(Result):
    """How likely each answer is, by a bootstrap over users and seeds; the three sum to 1.

    `mf` is the chance that the factorisation that was chosen is better than the network that was, `dnn` that it is the
    other way round, and `equal` that their difference in MSE is below the smallest effect.
    """

    mf: float
    equal: float
    dnn: float


class Verdict(Result):
    """Whether the best deep network predicts `better` than the best matrix factorisation, and is `worth` its cost.

    Attributes:
        better: "no" also where it is not better, and may be worse or as good; "unknown" where it may be.
        worth: "unknown" where that hangs on what is not known of `better`.
        headline: both in words.
        mf: row of the factorisation, None where there is none.
        dnn: row of the network.
        gap: MSE of the network less that of the factorisation, in squared rating units.
        low: lower end of the gap's 95% interval, None where there is none.
        high: upper end.
        time_ratio: seconds of fitting the network once, over those of the factorisation; None where not measurable.
        use: row that takes least time to fit of those in a tie with the lowest error.
    """

    better: Better
    worth: Worth
    headline: str
    mf: str | None = None
    dnn: str | None = None
    gap: float | None = None
    low: float | None = None
    high: float | None = None
    time_ratio: float | None = None
    use: str | None = None


class Tier(Result):
    """A row among all: the 95% interval of its MSE less the lowest one, and letters that it shares with rows in a tie.

    `low` and `high` are in squared rating units, by a bootstrap over test users and seeds; 0 for the lowest row.
    """

    name: str
    low: float
    high: float
    letters: str


class OtherScore(Result):
    """The MSE of a row under another split, in squared rating units; `chosen` is as in `ModelResult`."""

    name: str
    title: str
    mse: float
    chosen: bool | None = None


class OtherSplit(Result):
    """The same comparison under another split, with everything tuned, trained and tested again."""

    split_by: SplitBy
    split_seed: int
    test_rows: int
    cold_test_rows: int
    rating_sd: float
    repeated_test_rows: int | None = None
    repeated_validation_rows: int | None = None
    ties: Ties | None = None
    scores: list[OtherScore]
    differences: list[Difference]


class HistoryScore(Result):
    """The errors of a model that reads the histories of the "user", of "both" sides, or "none".

    `mse` is that of the test ratings, by a fit to the training ratings alone; `val_mse` is not clipped.
    """

    name: str
    title: str
    family: Family
    histories: str
    val_mse: float
    mse: float


class Estimate(Result):
    """A number and its 95% interval, whose ends are None where all test ratings are of one user."""

    value: float
    low: float | None
    high: float | None


class SizePoint(Result):
    """The test errors of both winners, fitted to so many training and validation `ratings`, a `share` of all.

    All in squared rating units; `gap` is the MSE of the network less that of the factorisation. `seconds` is what the
    fits took, 0 for all ratings, whose fits are those of the table.
    """

    share: float
    ratings: int
    mf: Estimate
    dnn: Estimate
    gap: Estimate
    seconds: float


class MissingPoint(Result):
    """A share of the ratings without errors, and why."""

    share: float
    reason: str


class PowerLaw(Result):
    """MSE = limit + reducible * size ** -exponent, in squared rating units; a size of 1 is all ratings."""

    limit: float
    reducible: float
    exponent: float

    def at(self, size: float) -> float:
        """Return the MSE with so many times all ratings."""
        return self.limit + self.reducible * float(size**-self.exponent)


class Outlook(Result):
    """What power laws through the points say of more ratings.

    `gap` is that of `SizePoint` at `times` the ratings, and `meeting` the number of ratings at which the errors are
    equal, looked for up to a hundred times those that there are, with the 95% interval of the resamples where they
    meet; None where the laws do not meet there. `meet` is the share of resamples in which they do.
    """

    mf: PowerLaw
    dnn: PowerLaw
    times: float
    gap: Estimate
    meeting: Estimate | None
    meet: float


class SizeCurve(Result):
    """The errors of both winners by the number of their training ratings, fewest first.

    `mf` and `dnn` are the names of their rows. `outlook` is None where the points are too few for a law.
    """

    mf: str
    dnn: str
    points: list[SizePoint]
    missing: list[MissingPoint]
    outlook: Outlook | None


Severity = Literal["error", "warning", "note"]
"""An error: the verdict cannot be trusted, or is about something else. A warning: more effort or other choices may
change it. A note: to know when reading it."""


class FiredCheck(Result):
    """A check of `recsys.report.checks` that fired: what was measured and what to do, each a sentence or more."""

    id: str
    name: str
    title: str
    severity: Severity
    measured: str
    tip: str
    muted: bool = False


class Comparison(Result):
    """A whole comparison.

    `clipped_to` is the range of the training ratings that predictions were clipped to, None in protocol notebook, which
    does not clip. `folds` and `fold` count where `split_by` is kfold. `ranking` is None where ranking was turned off.
    `skipped` are baselines that these ratings are too many for. `differences` has each pair of models, and each model
    against bias_only. `tuning` and `histories` are empty in protocol notebook. `learning_curve` is None where it was
    not asked for, or where one of the winners failed. `history` has what came out over time of runs that can be
    compared with this one, oldest first and this one last, each result once; empty where there is nothing to compare.
    `checks` are those that fired, None in the comparison of a report from before there were any.
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
    verdict: Verdict | None = None
    chances: Chances | None = None
    tiers: list[Tier] = []
    tuning: list[Tuning] = []
    other_splits: list[OtherSplit] = []
    histories: list[HistoryScore] = []
    learning_curve: SizeCurve | None = None
    history: list[PastRun] = []
    checks: list[FiredCheck] | None = None
