"""What changed between two runs, and drift: changes of the ratings or of the errors that chance does not explain."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

from recsys.evaluation.results import Comparison
from recsys.models.specs import family_of
from recsys.report.outcomes import mse_step, tie_margin
from recsys.report.section import Finding
from recsys.store.run_history import PastRun, PastScore, moment
from recsys.text import count, inside, listing, number, percent, short

MAX_NAMED = 3  # changed settings or versions that are named one by one
MAX_REFERENCE = 10  # earlier runs that make up the median that a run is compared with
STANDARD_ERRORS = 3.0  # changes of up to so many standard errors are within chance
COUNT_SHARE = 0.1  # smaller changes of the number of ratings, users or items are no drift
USUAL_STEPS = 2.0  # nor are those below so many times the largest between earlier runs: some data sets grow quickly
SD_SHARE = 0.1  # changes of the mean below this share of the standard deviation are no drift, nor are such ones of that
RANGE_SHARE = 0.1  # a rating further outside of the earlier range, as a share of it, is on another scale, or wrong
COLD_SHARE = 0.02  # smaller changes of the share of cold test ratings are no drift


def changes(before: PastRun, now: PastRun) -> list[str]:
    """What changed between two runs as far as it is on record: ratings, split, settings, versions and code."""
    found = []
    if before.ratings != now.ratings:
        found = ["the ratings" if before.rows == now.rows else f"the ratings ({before.rows:,} → {now.rows:,})"]
    elif before.test != now.test:
        found = ["which ratings are held out"]
    found += _differences(before.settings, now.settings, "default", "other settings")
    found += _differences(before.versions, now.versions, "absent", "other libraries")
    return found if before.code == now.code else [*found, "the code"]


def _differences(before: Mapping[str, Any], now: Mapping[str, Any], missing: str, others: str) -> list[str]:
    """Names whose values differ, with both values; a longer list is cut, and its end counted as `others`."""
    named = []
    for name in sorted({*before, *now}):
        if before.get(name) != now.get(name) or (name in before) != (name in now):
            values = (run.get(name, missing) for run in (before, now))
            texts = (" ".join(map(str, value)) if isinstance(value, list) else str(value) for value in values)
            named.append(f"{name} {' → '.join(texts)}")
    if len(named) <= MAX_NAMED:
        return named
    return [*named[: MAX_NAMED - 1], f"{len(named) - MAX_NAMED + 1} {others}"]


def drift_warnings(comparison: Comparison) -> list[Finding]:
    """Data drift, other choices of models, and accuracy drift of the last run; empty where there is no earlier one."""
    if len(comparison.history) < 2:
        return []
    return [
        *(Finding("data drift", text) for text in data_drift(comparison.history)),
        *(Finding("chosen model", text) for text in other_choices(*comparison.history[-2:])),
        *(Finding("accuracy drift", text) for text in accuracy_drift(comparison)),
    ]


def data_drift(runs: Sequence[PastRun]) -> Iterator[str]:
    """Yield a sentence for each property of the ratings that drifted in the last of the runs of a series."""
    *before, now = runs
    if now.ratings == before[-1].ratings:
        return
    reference = before[-MAX_REFERENCE:]
    earlier = [run for at, run in enumerate(reference) if not at or reference[at - 1].ratings != run.ratings]
    for drift in (_count_drift, _mean_drift, _sd_drift, _range_drift, _cold_drift):
        yield from drift(earlier, now)


def _count_drift(earlier: Sequence[PastRun], now: PastRun) -> Iterator[str]:
    found = []
    for field, noun in (("rows", "rating"), ("users", "user"), ("items", "item")):
        counts = [getattr(run, field) for run in (*earlier, now)]
        old, new = counts[-2:]
        usual = max((abs(b - a) / max(1, a) for a, b in pairwise(counts[:-1])), default=0.0)
        chance = STANDARD_ERRORS * math.sqrt(float(old + new))
        if abs(new - old) > max(old * max(COUNT_SHARE, USUAL_STEPS * usual), chance):
            change = percent(abs(new - old) / max(1, old))
            found.append(f"{count(new, noun)} instead of {old:,} ({change} {'more' if new > old else 'fewer'})")
    if found:
        yield f"Since the previous run, the data set changed in size by more than usual: {listing(found)}."


def _mean_drift(earlier: Sequence[PastRun], now: PastRun) -> Iterator[str]:
    usual, sd = median(run.rating_mean for run in earlier), median(run.rating_sd for run in earlier)
    rows = median(run.rows for run in earlier)
    chance = STANDARD_ERRORS * math.sqrt(now.rating_sd**2 / max(1, now.rows) + sd**2 / max(1.0, rows))
    gap, step = now.rating_mean - usual, SD_SHARE * sd
    if abs(gap) > max(chance, step):
        yield (
            f"The mean rating is {number(now.rating_mean, step)}, {'up' if gap > 0 else 'down'} from "
            f"{number(usual, step)} {_reference(len(earlier))}: a change of {number(abs(gap), step)}, where chance "
            f"explains {number(chance, step)}."
        )


def _sd_drift(earlier: Sequence[PastRun], now: PastRun) -> Iterator[str]:
    """The standard error of the logarithm of a standard deviation of n normal values is about 1 / √(2n)."""
    usual, rows = median(run.rating_sd for run in earlier), median(run.rows for run in earlier)
    chance = STANDARD_ERRORS * math.sqrt(1 / (2 * max(1, now.rows)) + 1 / (2 * max(1.0, rows)))
    low, high = sorted((usual, now.rating_sd))
    if high > low * (1 + SD_SHARE) and (low == 0 or math.log(high / low) > chance):
        yield (
            f"The standard deviation of the ratings is {short(now.rating_sd)}, "
            f"{'up' if now.rating_sd > usual else 'down'} from {short(usual)} {_reference(len(earlier))}."
        )


def _range_drift(earlier: Sequence[PastRun], now: PastRun) -> Iterator[str]:
    low, high = min(run.rating_min for run in earlier), max(run.rating_max for run in earlier)
    found = [
        f"the {name} rating is {short(new)}, and was {short(old)}"
        for name, new, old, beyond in (
            ("lowest", now.rating_min, low, low - now.rating_min),
            ("highest", now.rating_max, high, now.rating_max - high),
        )
        if beyond > RANGE_SHARE * (high - low)
    ]
    if found:
        yield f"The rating scale has changed, or some ratings are wrong: {listing(found)} before."


def _cold_drift(earlier: Sequence[PastRun], now: PastRun) -> Iterator[str]:
    shares = [run.cold_test_rows / max(1, run.test_rows) for run in earlier]
    usual, rows = median(shares), median(run.test_rows for run in earlier)
    share = now.cold_test_rows / max(1, now.test_rows)
    pooled = (share * now.test_rows + usual * rows) / max(1.0, now.test_rows + rows)
    chance = STANDARD_ERRORS * math.sqrt(pooled * (1 - pooled) * (1 / max(1, now.test_rows) + 1 / max(1.0, rows)))
    if abs(share - usual) > max(chance, COLD_SHARE):
        yield (
            f"{percent(share)} of the test ratings are cold, as their user or item has no training rating: "
            f"{'up' if share > usual else 'down'} from {percent(usual)} {_reference(len(earlier))}."
        )


def other_choices(before: PastRun, now: PastRun) -> Iterator[str]:
    """Yield a sentence for each family whose search chose another model than in the run before."""
    then, found = (
        {family_of(score.name): score.title for score in run.scores if score.chosen} for run in (before, now)
    )
    for family in found:
        if family in then and found[family] != then[family]:
            yield (
                f"On validation ratings, {inside(found[family])} is the best of its family now, where "
                f"{inside(then[family])} was on {moment(before)}."
            )


def _reference(runs: int) -> str:
    return "before" if runs == 1 else f"before (median of {runs})"


@dataclass(frozen=True)
class MSEChange:
    """The MSE of a score compared with that of `runs` earlier runs, in squared rating units.

    `usual` is their median; an increase of up to `allowed` is within chance or too small to matter.
    """

    score: PastScore
    usual: float
    allowed: float
    runs: int

    @property
    def is_drift(self) -> bool:
        """Whether the MSE has increased by more than is allowed."""
        return self.score.mse - self.usual > self.allowed


def mse_changes(comparison: Comparison) -> list[MSEChange]:
    """The change of each score that an earlier run has as well.

    With n test ratings, the standard error of an MSE is about MSE √(2/n), as it is for normal errors; it counts
    where other ratings were tested. That of a mean over k seeds is their standard deviation over √k. A gap that would
    be a tie between two rows of the results is allowed whatever the standard error.
    """
    *before, now = comparison.history
    earlier = before[-MAX_REFERENCE:]
    other_test = any((run.ratings, run.test) != (now.ratings, now.test) for run in earlier)
    found = []
    for score in now.scores:
        past = [(run, old) for run in earlier if (old := run.score(score.name))]
        if not past:
            continue
        usual = median(old.mse for _, old in past)
        variance = _seed_variance(score) + median(_seed_variance(old) for _, old in past)
        if other_test:
            variance += 2 * score.mse**2 / max(1, now.test_rows)
            variance += 2 * usual**2 / max(1.0, median(run.test_rows for run, _ in past))
        allowed = max(tie_margin(comparison), STANDARD_ERRORS * math.sqrt(variance))
        found.append(MSEChange(score, usual, allowed, len(past)))
    return found


def _seed_variance(score: PastScore) -> float:
    return score.sd**2 / score.seeds if score.sd is not None else 0.0


def accuracy_drift(comparison: Comparison) -> Iterator[str]:
    """Yield a sentence for each model or combination whose error increased, and one on what may be the reason."""
    increased = [change for change in mse_changes(comparison) if change.is_drift]
    models = [change for change in increased if change.score.kind != "baseline"]
    step = mse_step(comparison)
    for change in models:
        yield (
            f"The error of {inside(change.score.title)} increased: its MSE is {number(change.score.mse, step)}, up "
            f"from {number(change.usual, step)} {_reference(change.runs)}, where up to {number(change.allowed, step)} "
            f"more is within chance or too small to matter."
        )
    if models:
        yield _reason(comparison.history, models[0], {change.score.name for change in increased})


def _reason(runs: Sequence[PastRun], drift: MSEChange, increased: set[str]) -> str:
    """What changed since the last run in which the error was as usual, and whether the baseline's increased too."""
    *before, now = runs
    earlier = ((run, old) for run in reversed(before) if (old := run.score(drift.score.name)))
    since = next(run for run, old in earlier if old.mse - drift.usual <= drift.allowed)
    changed = listing(changes(since, now)) or "nothing that is on record"
    if (since.ratings, since.test) == (now.ratings, now.test):
        return f"It was as usual on {moment(since)}, on the same training and test ratings; changed since: {changed}."
    text, bias = f"It was as usual on {moment(since)}; changed since: {changed}.", now.score("bias_only")
    if bias is None:
        return text
    how = "increased too: the ratings are harder" if bias.name in increased else "did not: the ratings are no harder"
    return f"{text} The error of the baseline “{bias.title}” {how} to predict."
