"""Whether the answer is the same where other ratings are held out."""

from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Literal, get_args

from recsys.evaluation.comparison import Comparison, OtherSplit
from recsys.report.duel import Duel, duel, duel_under
from recsys.report.held_out import KINDS, SEEDED
from recsys.report.standing import every_row, mse_step
from recsys.report.wording import NOTHING, Finding, inside, listing, number, opening, percent

OTHER_SPLITS_TITLE = "Under other splits"
OTHER_SPLITS_CAPTION = (
    "Test MSE where all was tuned, trained and tested anew; the first line is the split of the rest of this page. "
    "Errors of different splits are of different ratings: only the verdicts can be compared."
)

Contest = tuple[OtherSplit, Duel]
Effect = Literal["holds", "becomes a tie", "is decided", "turns round"]
EFFECTS: tuple[Effect, ...] = get_args(Effect)


def split_headings(comparison: Comparison) -> tuple[str, ...]:
    """The headings of the table of splits."""
    return (*("Split", "Verdict", "Test ratings", "Cold"), *_titles(comparison).values())


def split_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """One row a split, the comparison's own first, a text for each of `split_headings`; none without other splits."""
    if not comparison.other_splits:
        return []
    rows = [
        (split, {score.name: score.mse for score in split.scores}, duel_under(comparison, split))
        for split in comparison.other_splits
    ]
    own = {row.name: row.mse for row in every_row(comparison)}
    rows.insert(0, (_own_split(comparison), own, duel(comparison)))
    step = mse_step(comparison)
    return [
        (
            opening(split_name(split)),
            _verdict(contest),
            f"{split.test_rows:,}",
            percent(split.cold_test_rows / split.test_rows) if split.test_rows else NOTHING,
            *(number(mse.get(name), step) for name in _titles(comparison)),
        )
        for split, mse, contest in rows
    ]


def _own_split(comparison: Comparison) -> OtherSplit:
    data = comparison.data
    return OtherSplit(
        split_by=comparison.split_by,
        split_seed=comparison.split_seed,
        test_rows=data.test_rows,
        cold_test_rows=data.cold_test_rows,
        rating_sd=data.rating_sd,
        scores=[],
        differences=[],
    )


def _titles(comparison: Comparison) -> dict[str, str]:
    titles = {row.name: opening(inside(row.title)) for row in every_row(comparison)}
    for split in comparison.other_splits:
        titles |= {score.name: opening(inside(score.title)) for score in split.scores if score.name not in titles}
    return titles


def _verdict(contest: Duel | None) -> str:
    if contest is None:
        return NOTHING
    return "tie" if contest.outcome == "tie" else f"{inside(contest.better.title)} is better"


def split_name(split: OtherSplit) -> str:
    """A split in a few words, with its seed where the seed chose any rating."""
    seed = f" (seed {split.split_seed})" if split.split_by in SEEDED else ""
    return f"{KINDS[split.split_by]}{seed}"


def split_names(splits: Sequence[OtherSplit]) -> str:
    """Several splits in a clause, those of one kind together."""
    names = []
    for kind in dict.fromkeys(split.split_by for split in splits):
        alike = [split for split in splits if split.split_by == kind]
        seeds = listing([str(split.split_seed) for split in alike])
        several = kind in SEEDED and len(alike) > 1
        names.append(f"the {KINDS[kind]}s with seeds {seeds}" if several else f"the {split_name(alike[0])}")
    return listing(names)


def contests(comparison: Comparison) -> list[Contest]:
    """The other splits under which both sides were scored."""
    found = [(split, duel_under(comparison, split)) for split in comparison.other_splits]
    return [(split, contest) for split, contest in found if contest is not None]


def by_effect(comparison: Comparison) -> dict[Effect, list[Contest]]:
    """The other splits by what they do to the answer of the comparison's own split."""
    own, found = duel(comparison), dict[Effect, list[Contest]]()
    for split, contest in contests(comparison):
        if own is not None:
            found.setdefault(_effect(own, contest), []).append((split, contest))
    return found


def _effect(own: Duel, other: Duel) -> Effect:
    if own.outcome == other.outcome:
        return "holds"
    if other.outcome == "tie":
        return "becomes a tie"
    return "is decided" if own.outcome == "tie" else "turns round"


def other_split_findings(comparison: Comparison) -> list[Finding]:
    """Under which splits the answer holds, becomes a tie, is decided or turns round, and what the split seed moves."""
    own, found = duel(comparison), by_effect(comparison)
    if own is None or not found:
        return []
    answer = "a tie" if own.outcome == "tie" else _verdict(own)
    texts = []
    for effect in EFFECTS:
        if effect in found:
            names = split_names([split for split, _ in found[effect]])
            texts.append(_told(comparison, effect, names, answer, [contest for _, contest in found[effect]]))
    texts.append(over_random_splits(comparison))
    return [Finding("other splits", text) for text in texts if text]


def _told(comparison: Comparison, effect: Effect, names: str, answer: str, found: list[Duel]) -> str:
    if effect == "holds":
        return f"The answer ({answer}) is the same under {names}."
    if effect == "becomes a tie":
        return f"Under {names} it becomes a tie: the split decides whether there is a winner at all."
    step = mse_step(comparison)
    by = listing([f"{inside(contest.better.title)} by {number(abs(contest.gap), step)}" for contest in found])
    if effect == "is decided":
        return f"A tie here, it is decided under {names}, where the winner is {by}."
    return f"Under {names} the answer turns round: there the winner is {by}. No answer holds for every use."


def over_random_splits(comparison: Comparison) -> str:
    """Mean and standard deviation of the difference over the random splits; empty with fewer than two."""
    own = duel(comparison)
    gaps = [contest.gap for split, contest in contests(comparison) if split.split_by == "random"]
    if own is not None and comparison.split_by == "random":
        gaps.insert(0, own.gap)
    if len(gaps) < 2:
        return ""
    step, mean = mse_step(comparison), fmean(gaps)
    against = sum((gap < 0) != (mean < 0) for gap in gaps)
    signs = f"with the other sign in {against:,} of them" if against else "with the same sign in each of them"
    return (
        f"Over {len(gaps):,} random splits, the best network's MSE less the factorisation's is {number(mean, step)} on "
        f"average, with a standard deviation of {number(stdev(gaps), step)} between splits, {signs}."
    )
