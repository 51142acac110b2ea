"""How the test and the validation ratings were chosen, in words."""

from recsys.evaluation.comparison import Comparison
from recsys.report.wording import short


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
    return comparison.split_by in ("random", "kfold")


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


def what_one_split_leaves_open(comparison: Comparison) -> str:
    """How far one training of each model on this one split carries, in two sentences."""
    once = f"This is one training of each model with one seed ({comparison.seed}) on "
    nothing_of_time = "says nothing about predicting later ratings from earlier ones."
    if comparison.split_by == "random":
        return (
            f"{once}one random split (split seed {comparison.split_seed}). Another seed or split moves every error a "
            f"little, and a random split {nothing_of_time}"
        )
    if comparison.split_by == "kfold":
        return (
            f"{once}one fold, number {comparison.fold} of {comparison.folds} counted from 0 (split seed "
            f"{comparison.split_seed}). Another seed or fold moves every error a little, and a random fold "
            f"{nothing_of_time}"
        )
    if comparison.split_by == "time":
        return (
            f"{once}one cut in time, with no test rating older than a training rating. Another seed or another moment "
            f"of the cut moves every error."
        )
    last = "the last rating" if comparison.split_by == "leave-one-out" else "the last ratings"
    return (
        f"{once}one split, which tests {last} of each user. Another seed moves every error a little, and as each "
        f"user's ratings end at another time, a model may have learnt from ratings of others that are later than the "
        f"one it predicts."
    )
