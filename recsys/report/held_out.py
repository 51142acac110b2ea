"""How the test and the validation ratings were chosen, in words."""

from recsys.evaluation.comparison import Comparison
from recsys.report.wording import short
from recsys.settings import SplitBy

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

_NOTHING_OF_TIME = "What is held out at random says nothing about predicting later ratings from earlier ones."


def manner(comparison: Comparison) -> str:
    """How the ratings were split, in a few words."""
    return {
        "random": "at random",
        "user-last": "each user's last ratings held out",
        "time": "the latest ratings of all held out",
        "leave-one-out": "each user's last two ratings held out",
        "kfold": f"fold {comparison.fold} of {comparison.folds} random ones, counted from 0",
    }[comparison.split_by]


def seeded(comparison: Comparison) -> bool:
    """Whether the seed of the split chose any rating."""
    return comparison.split_by in SEEDED


def which_test(comparison: Comparison) -> str:
    """Which of all ratings are test ratings, and how many."""
    share = f"{short(100 * comparison.test_size)}%"
    which = {
        "random": f"{share} of all",
        "user-last": f"the last {share} of each user's ratings, rounded to whole ratings",
        "time": f"the latest {share} of all",
        "leave-one-out": "the last of each user with 3 ratings or more",
        "kfold": manner(comparison),
    }[comparison.split_by]
    return f"{which} ({comparison.data.test_rows:,})"


def which_validation(comparison: Comparison) -> str:
    """Which of the other ratings are validation ratings, and how many."""
    share = f"{short(100 * comparison.validation_size)}%"
    which = {
        "random": f"{share} of the training ratings",
        "user-last": f"the last {share} of each user's other ratings, rounded to whole ratings",
        "time": f"the latest {share} of the others",
        "leave-one-out": "the last but one of each of these users",
        "kfold": f"{share} of the training ratings",
    }[comparison.split_by]
    return f"{which} ({comparison.data.validation_rows:,})"


def what_stays_open(comparison: Comparison) -> str:
    """How far these trainings on these splits carry, in two sentences or three."""
    seeds, splits = _trainings(comparison), len(comparison.other_splits)
    where = _this_split(comparison)
    told = f"Each model was trained {seeds} on {where}"
    if not splits:
        return f"{told}, and on no other. {_one_split_alone(comparison)}"
    kinds = {comparison.split_by, *(split.split_by for split in comparison.other_splits)}
    also = "1 other split" if splits == 1 else f"{splits:,} other splits"
    told += f", and again on {also} of the same ratings."
    return f"{told} {_NOTHING_OF_TIME}" if kinds <= SEEDED else told


def _trainings(comparison: Comparison) -> str:
    """How often each model was trained, and with which seeds."""
    counts = sorted({max(1, len(model.seeds)) for model in comparison.models})
    if not counts or counts[-1] == 1:
        return f"once, with one seed ({comparison.seed}),"
    if len(counts) > 1:
        return f"with {counts[0]:,} to {counts[-1]:,} seeds, the first of them {comparison.seed},"
    return f"with {counts[0]:,} seeds, the first of them {comparison.seed},"


def _this_split(comparison: Comparison) -> str:
    return {
        "random": f"one random split (split seed {comparison.split_seed})",
        "kfold": f"one fold, number {comparison.fold} of {comparison.folds} counted from 0 (split seed "
        f"{comparison.split_seed})",
        "time": "one cut in time, with no test rating older than a training rating",
        "user-last": "one split, which tests the last ratings of each user",
        "leave-one-out": "one split, which tests the last rating of each user",
    }[comparison.split_by]


def _one_split_alone(comparison: Comparison) -> str:
    several = any(len(model.seeds) > 1 for model in comparison.models)
    seed = "" if several else "seed or "
    if comparison.split_by == "random":
        return f"Another {seed}split moves every error a little. {_NOTHING_OF_TIME}"
    if comparison.split_by == "kfold":
        return f"Another {seed}fold moves every error a little. {_NOTHING_OF_TIME}"
    if comparison.split_by == "time":
        return f"Another {seed}moment of the cut moves every error."
    later = (
        "As each user's ratings end at another time, a model may have learnt from ratings of others that are later "
        "than the one it predicts."
    )
    return later if several else f"Another seed moves every error a little. {later}"
