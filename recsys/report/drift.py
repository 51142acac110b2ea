"""In what two runs differ, and whether the ratings or the errors have moved by more than chance."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

from recsys.evaluation.results import Comparison
from recsys.report.outcomes import mse_step, tie_margin
from recsys.report.section import Finding
from recsys.store.run_history import PastRun, PastScore, moment
from recsys.text import count, inside, listing, number, opening, percent, short

MOST_NAMED = 3
"""Changed settings or versions that are named one by one."""

DEFAULT = "default"


def changes(before: PastRun, now: PastRun) -> list[str]:
    """What changed between two runs, a few words each; empty where nothing did that is on record."""
    return [*_ratings(before, now), *because(before, now)]


def because(before: PastRun, now: PastRun) -> list[str]:
    """The changes that somebody made: of settings, versions and code."""
    settings = [
        f"{name} {_told(old)} → {_told(new)}" for name, old, new in _pairs(before.settings, now.settings, DEFAULT)
    ]
    versions = [f"{name} {old} → {new}" for name, old, new in _pairs(before.versions, now.versions, "absent")]
    code = ["the code"] if before.code != now.code else []
    return [*_few(settings, "other settings"), *_few(versions, "other libraries"), *code]


def in_words(changed: list[str]) -> str:
    """What changed, as part of a sentence."""
    return listing(changed) if changed else "nothing that is on record"


def _ratings(before: PastRun, now: PastRun) -> Iterator[str]:
    if before.ratings != now.ratings:
        yield "the ratings" if before.rows == now.rows else f"the ratings ({before.rows:,} → {now.rows:,})"
    elif before.test != now.test:
        yield "which ratings are held out"


def _pairs(before: Mapping[str, Any], now: Mapping[str, Any], without: str) -> list[tuple[str, Any, Any]]:
    names = sorted({*before, *now})
    return [
        (name, before.get(name, without), now.get(name, without))
        for name in names
        if before.get(name) != now.get(name) or (name in before) != (name in now)
    ]


def _few(named: list[str], others: str) -> list[str]:
    if len(named) <= MOST_NAMED:
        return named
    return [*named[: MOST_NAMED - 1], f"{len(named) - MOST_NAMED + 1} {others}"]


def _told(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


STANDARD_ERRORS = 3.0

REFERENCE = 10
"""Results before this one that make up the median."""

COUNT_SHARE = 0.1
"""Smaller changes of the number of ratings, users or items are nothing to speak of."""

USUAL_STEPS = 2.0
"""Nor are changes below so many times the largest one between the runs before: some ratings just grow quickly."""

SD_SHARE = 0.1
"""Movements of the mean below this share of the standard deviation, or of that itself, matter to nobody."""

RANGE_SHARE = 0.1
"""A rating that lies further outside of the range before, as a share of that range, is on another scale, or wrong."""

COLD_SHARE = 0.02
"""The same for the share of cold test ratings."""


def drift_warnings(comparison: Comparison) -> list[Finding]:
    """What moved further than it should have, first of the ratings, then of the errors; empty without a history."""
    if len(comparison.history) < 2:
        return []
    return [Finding("drift", text) for text in (*data_drift(comparison.history), *accuracy_drift(comparison))]


def data_drift(history: Sequence[PastRun]) -> Iterator[str]:
    """Yield a sentence for each property of the ratings that moved.

    Args:
        history: results of one series, oldest first; the last is the one that is judged.
    """
    *before, now = history
    if now.ratings == before[-1].ratings:
        return
    earlier = _of_other_ratings(before[-REFERENCE:])
    yield from _counts(earlier, now)
    yield from _mean(earlier, now)
    yield from _sd(earlier, now)
    yield from _range(earlier, now)
    yield from _cold(earlier, now)


def accuracy_drift(comparison: Comparison) -> Iterator[str]:
    """Yield a sentence for each trained row that errs more than before, and one on what may be the reason."""
    moved = [movement for movement in movements(comparison) if movement.worse]
    rows = [movement for movement in moved if movement.score.kind != "baseline"]
    step = mse_step(comparison)
    for movement in rows:
        yield (
            f"{opening(inside(movement.score.title))} errs more than before: its MSE is "
            f"{number(movement.score.mse, step)}, and was {number(movement.usual, step)} {_before(movement.runs)}; "
            f"up to {number(movement.allowed, step)} more would be chance or too little to matter."
        )
    if rows:
        yield _reason(comparison.history, rows[0], moved)


@dataclass(frozen=True)
class Movement:
    """How the MSE of a row compares with the `runs` results before.

    `usual` is the median of theirs; a difference of up to `allowed` is chance or too small to matter. All are in
    squared rating units.
    """

    score: PastScore
    usual: float
    allowed: float
    runs: int

    @property
    def worse(self) -> bool:
        """Whether the row errs more than it should."""
        return self.score.mse - self.usual > self.allowed


def movements(comparison: Comparison) -> list[Movement]:
    """Each row that was scored before as well.

    With n test ratings, the standard error of an MSE is about MSE √(2/n), as it is for errors that are normal;
    it counts where other ratings were tested. That of a mean over k seeds is their standard deviation over √k.
    What would be a tie between two rows of the report does not matter whatever its standard error.
    """
    *before, now = comparison.history
    earlier = before[-REFERENCE:]
    others = any((run.ratings, run.test) != (now.ratings, now.test) for run in earlier)
    found = []
    for score in now.scores:
        past = [(run, old) for run in earlier if (old := run.score(score.name))]
        if not past:
            continue
        usual = median(old.mse for _, old in past)
        variance = _seed_variance(score) + median(_seed_variance(old) for _, old in past)
        if others:
            variance += 2 * score.mse**2 / max(1, now.test_rows)
            variance += 2 * usual**2 / max(1.0, median(run.test_rows for run, _ in past))
        allowed = max(tie_margin(comparison), STANDARD_ERRORS * math.sqrt(variance))
        found.append(Movement(score, usual, allowed, len(past)))
    return found


def _seed_variance(score: PastScore) -> float:
    return score.sd**2 / score.seeds if score.sd is not None else 0.0


def _reason(history: Sequence[PastRun], first: Movement, moved: Sequence[Movement]) -> str:
    *before, now = history
    good = [run for run in before if (old := run.score(first.score.name)) and old.mse - first.usual <= first.allowed]
    since = good[-1]
    if since.ratings == now.ratings and since.test == now.test:
        return (
            f"The ratings are those of {moment(since)}, when it was as usual, and so are those that are held out; what "
            f"has changed since then: {in_words(changes(since, now))}."
        )
    text = f"It was as usual on {moment(since)}; what has changed since then: {in_words(changes(since, now))}."
    bias = now.score("bias_only")
    if bias is None:
        return text
    if any(movement.score.name == bias.name for movement in moved):
        return f"{text} The baseline “{bias.title}” errs more as well: the ratings are harder to predict than before."
    return f"{text} The baseline “{bias.title}” does not err more: the ratings are no harder to predict than before."


def _of_other_ratings(runs: Sequence[PastRun]) -> list[PastRun]:
    """The runs without those that read the ratings of the run before them."""
    return [run for place, run in enumerate(runs) if not place or runs[place - 1].ratings != run.ratings]


def _before(results: int) -> str:
    return "before" if results == 1 else f"before (median of {results})"


def _counts(earlier: Sequence[PastRun], now: PastRun) -> Iterator[str]:
    told = []
    for name in ("rows", "users", "items"):
        counts = [getattr(run, name) for run in (*earlier, now)]
        old, new = counts[-2:]
        usual = max((abs(b - a) / max(1, a) for a, b in pairwise(counts[:-1])), default=0.0)
        if abs(new - old) > max(
            old * max(COUNT_SHARE, USUAL_STEPS * usual), STANDARD_ERRORS * math.sqrt(float(old + new))
        ):
            noun = {"rows": "rating", "users": "user", "items": "item"}[name]
            change = percent(abs(new - old) / max(1, old))
            told.append(f"{count(new, noun)} after {old:,} ({change} {'more' if new > old else 'fewer'})")
    if told:
        yield f"The ratings changed in number since the run before by more than usual: {listing(told)}."


def _mean(earlier: Sequence[PastRun], now: PastRun) -> Iterator[str]:
    usual, sd = median(run.rating_mean for run in earlier), median(run.rating_sd for run in earlier)
    rows = median(run.rows for run in earlier)
    chance = STANDARD_ERRORS * math.sqrt(now.rating_sd**2 / max(1, now.rows) + sd**2 / max(1.0, rows))
    gap, step = now.rating_mean - usual, SD_SHARE * sd
    if abs(gap) > max(chance, step):
        yield (
            f"The mean of the ratings is {number(now.rating_mean, step)}, and was {number(usual, step)} "
            f"{_before(len(earlier))}: {number(abs(gap), step)} {'higher' if gap > 0 else 'lower'}, where chance "
            f"explains {number(chance, step)}."
        )


def _sd(earlier: Sequence[PastRun], now: PastRun) -> Iterator[str]:
    """The standard error of the logarithm of a standard deviation of n normal values is about 1 / √(2n)."""
    usual, rows = median(run.rating_sd for run in earlier), median(run.rows for run in earlier)
    chance = STANDARD_ERRORS * math.sqrt(1 / (2 * max(1, now.rows)) + 1 / (2 * max(1.0, rows)))
    low, high = sorted((usual, now.rating_sd))
    if high > low * (1 + SD_SHARE) and (low == 0 or math.log(high / low) > chance):
        yield (
            f"The standard deviation of the ratings is {short(now.rating_sd)}, and was {short(usual)} "
            f"{_before(len(earlier))}: they are {'more' if now.rating_sd > usual else 'less'} spread out."
        )


def _range(earlier: Sequence[PastRun], now: PastRun) -> Iterator[str]:
    low, high = min(run.rating_min for run in earlier), max(run.rating_max for run in earlier)
    room = RANGE_SHARE * (high - low)
    told = [
        f"the {name} rating is {short(new)}, and was {short(old)}"
        for name, new, old, beyond in (
            ("lowest", now.rating_min, low, low - now.rating_min),
            ("highest", now.rating_max, high, now.rating_max - high),
        )
        if beyond > room
    ]
    if told:
        yield f"The scale of the ratings has changed, or some are wrong: {listing(told)} before."


def _cold(earlier: Sequence[PastRun], now: PastRun) -> Iterator[str]:
    shares = [run.cold_test_rows / max(1, run.test_rows) for run in earlier]
    usual, rows = median(shares), median(run.test_rows for run in earlier)
    share = now.cold_test_rows / max(1, now.test_rows)
    pooled = (share * now.test_rows + usual * rows) / max(1.0, now.test_rows + rows)
    chance = STANDARD_ERRORS * math.sqrt(pooled * (1 - pooled) * (1 / max(1, now.test_rows) + 1 / max(1.0, rows)))
    if abs(share - usual) > max(chance, COLD_SHARE):
        yield (
            f"{percent(share)} of the test ratings are of a user or an item without any training rating, and "
            f"{percent(usual)} were {_before(len(earlier))}."
        )
