"""How the test and the validation ratings were chosen, and whether the answer is the same where others are held out."""

from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Literal, get_args

from recsys.evaluation.results import Comparison, DataFacts, OtherSplit
from recsys.report.outcomes import Duel, duel, duel_under, every_row, mse_step
from recsys.report.searches import as_given
from recsys.report.section import Finding, Plot, Section, findings_on, text_table
from recsys.report.sections.seeds import seeds_in_words
from recsys.settings import SplitBy
from recsys.text import NOTHING, count, inside, listing, number, opening, percent, short

KINDS: dict[SplitBy, str] = {
    "random": "random split",
    "kfold": "random fold",
    "time": "cut in time",
    "user-last": "split by each user's last ratings",
    "leave-one-out": "split by each user's last rating",
}
"""Each kind of split as a noun."""

SEEDED: frozenset[SplitBy] = frozenset({"random", "kfold"})
"""The kinds of split in which a seed chooses the ratings."""

_LATER_RATINGS = (
    "Each user's ratings end at a different time, so a model may have been trained on ratings of other users that are "
    "later than the one it predicts."
)
_ROUNDED = "rounded to whole ratings"
_TOGETHER = "rounded so that the ratings of an item stay together"
_EARLIER_REPEATS = ", with the earlier ones of the same pairs of user and item"
_NOTHING_OF_TIME = "What is held out at random says nothing about predicting later ratings from earlier ones."


def keeps_repeats(comparison: Comparison) -> bool:
    """Whether some ratings are of a user and an item that another rating is of, too."""
    return comparison.data.duplicates == "keep" and comparison.data.repeated_pairs > 0


def manner(comparison: Comparison) -> str:
    """How the ratings were split, in a few words."""
    last_two = "each user's last two ratings"
    if keeps_repeats(comparison):
        last_two = "all ratings of each user's last two items"
    return {
        "random": "at random",
        "user-last": "each user's last ratings held out",
        "time": "the latest ratings of all held out",
        "leave-one-out": f"{last_two} held out",
        "kfold": f"fold {comparison.fold} of {comparison.folds} random ones, counted from 0",
    }[comparison.split_by]


def which_test(comparison: Comparison) -> str:
    """Which of all ratings are test ratings, and how many."""
    share, repeats = f"{short(100 * comparison.test_size)}%", keeps_repeats(comparison)
    last = "all of the last item of each user with 3 items" if repeats else "the last of each user with 3 ratings"
    which = {
        "random": f"{share} of all",
        "user-last": f"the last {share} of each user's ratings, {_TOGETHER if repeats else _ROUNDED}",
        "time": f"the latest {share} of all{_EARLIER_REPEATS if repeats else ''}",
        "leave-one-out": f"{last} or more",
        "kfold": manner(comparison),
    }[comparison.split_by]
    return f"{which} ({comparison.data.test_rows:,})"


def which_validation(comparison: Comparison) -> str:
    """Which of the other ratings are validation ratings, and how many."""
    share, repeats = f"{short(100 * comparison.validation_size)}%", keeps_repeats(comparison)
    which = {
        "random": f"{share} of the training ratings",
        "user-last": f"the last {share} of each user's other ratings, {_TOGETHER if repeats else _ROUNDED}",
        "time": f"the latest {share} of the others{_EARLIER_REPEATS if repeats else ''}",
        "leave-one-out": f"{'all of the last item' if repeats else 'the last'} but one of each of these users",
        "kfold": f"{share} of the training ratings",
    }[comparison.split_by]
    return f"{which} ({comparison.data.validation_rows:,})"


def what_stays_open(comparison: Comparison) -> str:
    """How far these trainings and splits allow conclusions, in two sentences or three; empty without a training."""
    if not comparison.models:
        return ""
    several = any(len(model.seeds) > 1 for model in comparison.models)
    seeds = f"with {seeds_in_words(comparison)}, the first of them {comparison.seed}"
    seeds = seeds if several else f"once, with one seed ({comparison.seed})"
    split_seed = f"split seed {comparison.split_seed}"
    no_leak = "no test rating older than a training rating"
    if keeps_repeats(comparison):  # earlier ratings of pairs that are held out with their last
        no_leak = "no training rating later than the cut"
    where = {
        "random": f"one random split ({split_seed})",
        "kfold": f"one fold, number {comparison.fold} of {comparison.folds} counted from 0 ({split_seed})",
        "time": f"one cut in time, with {no_leak}",
        "user-last": "one split, which tests the last ratings of each user",
        "leave-one-out": "one split, which tests the last rating of each user",
    }[comparison.split_by]
    won = several and any(model.chosen for model in comparison.models)
    winner = "The chosen model of each family" if as_given(comparison) else "The winner of each search"
    told = f"{winner if won else 'Each model'} was trained {seeds}, on {where}"
    if not comparison.other_splits:
        return f"{told}, and on no other. {_one_split_alone(comparison.split_by, several)}"
    told += f", and again on {count(len(comparison.other_splits), 'other split')} of the same ratings."
    seeded_only = all(kind in SEEDED for kind in (comparison.split_by, *(s.split_by for s in comparison.other_splits)))
    return f"{told} {_NOTHING_OF_TIME}" if seeded_only else told


def pairs_in_two_parts(comparison: Comparison) -> str:
    """How many held-out ratings are of a pair of user and item that the fits know; empty where none is."""
    data = comparison.data
    held_out = [
        ("test", "", data.repeated_test_rows, data.test_rows),
        ("validation", "", data.repeated_validation_rows, data.validation_rows),
    ]
    held_out += [
        ("test", f" under the {split_name(split)}", split.repeated_test_rows, split.test_rows)
        for split in comparison.other_splits
    ]
    found = [
        f"{known:,} of {count(rows, f'{part} rating')} ({percent(known / rows)}){where}"
        for part, where, known, rows in held_out
        if known
    ]
    if not found:
        return ""
    are = "is" if sum(known or 0 for _, _, known, _ in held_out) == 1 else "are"
    row_by_row = " Protocol notebook splits row by row, as the notebook does." * (comparison.protocol == "notebook")
    return (
        f"{listing(found)} {are} of a pair of user and item that training ratings are of, too: a leak, as a model may "
        f"have seen the very rating that it is asked for.{row_by_row}"
    )


def pairs_in_one_part(comparison: Comparison) -> str:
    """That no held-out rating is of a pair that the fits know, though pairs repeat; empty where one is or none does."""
    data = comparison.data
    splits: list[DataFacts | OtherSplit] = [data, *comparison.other_splits]
    counted = [rows for split in splits for rows in (split.repeated_test_rows, split.repeated_validation_rows)]
    if not keeps_repeats(comparison) or any(rows is None or rows > 0 for rows in counted):
        return ""
    validation = f", and none of the {count(data.validation_rows, 'validation rating')} as a training rating"
    others = f"; so it is under {count(len(splits) - 1, 'other split')}" if len(splits) > 1 else ""
    return (
        f"Every pair is in one part of the split: none of the {count(data.test_rows, 'test rating')} is of the same "
        f"pair as a rating that a model is fitted to{validation if comparison.protocol == 'fair' else ''}{others}."
    )


def _one_split_alone(split_by: SplitBy, several_seeds: bool) -> str:
    seed = "" if several_seeds else "seed or "
    if split_by == "time":
        return f"Another {seed}moment of the cut changes every error."
    if split_by in SEEDED:
        another = "fold" if split_by == "kfold" else "split"
        return f"Another {seed}{another} changes every error a little. {_NOTHING_OF_TIME}"
    return _LATER_RATINGS if several_seeds else f"Another seed changes every error a little. {_LATER_RATINGS}"


CAPTION = (
    "Test MSE where all was chosen, trained and tested anew; the first line is the split of the rest of this page. "
    "Errors of different splits are of different ratings: only the verdicts can be compared."
)

Effect = Literal["holds", "becomes a tie", "is decided", "is reversed"]


def section(comparison: Comparison, plots: Sequence[Plot]) -> Section | None:
    """The comparison under other splits; None where there are none."""
    rows = split_rows(comparison)
    if not rows:
        return None
    table = text_table(CAPTION, split_headings(comparison), rows)
    found = by_effect(comparison)
    told = [f"under {len(splits):,} it {effect}" for effect, splits in found.items()]
    return Section(
        "splits",
        "Under other splits",
        other_split_findings(comparison),
        [table],
        result=listing(told),
    )


def split_headings(comparison: Comparison) -> tuple[str, ...]:
    """The headings of the table of splits."""
    return (*("Split", "Verdict", "Test ratings", "Cold"), *_titles(comparison).values())


def split_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """One row a split, the comparison's own first, a text for each of `split_headings`; none without other splits."""
    if not comparison.other_splits:
        return []
    data, step = comparison.data, mse_step(comparison)
    own = OtherSplit(
        split_by=comparison.split_by,
        split_seed=comparison.split_seed,
        test_rows=data.test_rows,
        cold_test_rows=data.cold_test_rows,
        rating_sd=data.rating_sd,
        scores=[],
        differences=[],
    )
    rows = [(own, {row.name: row.mse for row in every_row(comparison)}, duel(comparison))]
    rows += [
        (split, {score.name: score.mse for score in split.scores}, duel_under(comparison, split))
        for split in comparison.other_splits
    ]
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


def by_effect(comparison: Comparison) -> dict[Effect, list[tuple[OtherSplit, Duel]]]:
    """The other splits under which both sides were scored, by what they do to the answer of the comparison's own."""
    own, found = duel(comparison), dict[Effect, list[tuple[OtherSplit, Duel]]]()
    for split in comparison.other_splits:
        contest = duel_under(comparison, split)
        if own is not None and contest is not None:
            found.setdefault(_effect(own, contest), []).append((split, contest))
    return found


def _effect(own: Duel, other: Duel) -> Effect:
    if own.outcome == other.outcome:
        return "holds"
    if other.outcome == "tie":
        return "becomes a tie"
    return "is decided" if own.outcome == "tie" else "is reversed"


def other_split_findings(comparison: Comparison) -> list[Finding]:
    """Under which splits the answer holds, becomes a tie, is decided or is reversed; spread over random splits."""
    if not by_effect(comparison):
        return []
    texts = [_under_splits(comparison, effect) for effect in get_args(Effect)]
    return findings_on("other splits", [*texts, over_random_splits(comparison)])


def changed_by_splits(comparison: Comparison) -> str:
    """Under which splits the answer becomes a tie, is decided or is reversed; empty where under none."""
    texts = [_under_splits(comparison, effect) for effect in get_args(Effect) if effect != "holds"]
    return " ".join(text for text in texts if text)


def _under_splits(comparison: Comparison, effect: Effect) -> str:
    """Under which splits the answer meets this effect; empty where under none."""
    own, contests = duel(comparison), by_effect(comparison).get(effect, [])
    if own is None or not contests:
        return ""
    answer = "a tie" if own.outcome == "tie" else _verdict(own)
    step, names = mse_step(comparison), split_names([split for split, _ in contests])
    by = listing([f"{inside(other.better.title)} by {number(abs(other.gap), step)}" for _, other in contests])
    return {
        "holds": f"The answer ({answer}) is the same under {names}.",
        "becomes a tie": f"Under {names} it becomes a tie: the split decides whether there is a winner at all.",
        "is decided": f"A tie here, it is decided under {names}, where the winner is {by}.",
        "is reversed": f"Under {names} the answer is reversed: there the winner is {by}. The answer depends on the "
        f"split.",
    }[effect]


def over_random_splits(comparison: Comparison) -> str:
    """Mean and standard deviation of the difference over the random splits; empty with fewer than two."""
    own = duel(comparison)
    contests = [own] if comparison.split_by == "random" else []
    contests += [duel_under(comparison, split) for split in comparison.other_splits if split.split_by == "random"]
    gaps = [contest.gap for contest in contests if contest is not None]
    if len(gaps) < 2:
        return ""
    step, mean = mse_step(comparison), fmean(gaps)
    against = sum((gap < 0) != (mean < 0) for gap in gaps)
    signs = f"with the other sign in {against:,} of them" if against else "with the same sign in each of them"
    return (
        f"Over {len(gaps):,} random splits, the best network's MSE less the factorisation's is {number(mean, step)} on "
        f"average, with a standard deviation of {number(stdev(gaps), step)} between splits, {signs}."
    )
