"""What the checks measure, where no section of the report says it: each a sentence with its numbers, or empty."""

from collections.abc import Callable, Iterable

from recsys.evaluation.results import Comparison, Tied, Ties
from recsys.report.answer import unanswered
from recsys.report.drift import drift_warnings
from recsys.report.outcomes import duel, in_order, sides
from recsys.report.sections.baselines import skipped_findings
from recsys.report.sections.cold_start import cold_share
from recsys.report.sections.discussion import failure_findings
from recsys.report.sections.methodology import optimism
from recsys.report.sections.overfitting import overfitting, past_its_best, still_learns
from recsys.report.sections.splits import keeps_repeats, pairs_in_one_part, split_name, what_stays_open
from recsys.report.sections.tuning import edges, failed_trials, unused_trials
from recsys.settings import SplitBy
from recsys.text import count, inside, listing, opening, percent, quoted, short

TIED_SHARE = 0.01
"""Where times leave no more of a split to the order in the file, they are as good as different."""

COLD_SHARE = 0.2
"""With a larger share of cold test ratings, the verdict is to a good part about ratings that only biases predict."""

FEW_VALIDATION_ROWS = 100


def no_answer(comparison: Comparison) -> str:
    """Why there is no verdict."""
    reason = unanswered(comparison)
    return f"There is no answer: {reason}." if reason else ""


def selected_on_test(comparison: Comparison) -> str:
    """That protocol notebook chooses on the test ratings."""
    return optimism(comparison) if comparison.protocol == "notebook" else ""


def repeated_pairs(comparison: Comparison) -> str:
    """How many ratings repeat a pair of user and item and were kept, and whether any pair is in two parts."""
    data = comparison.data
    if not keeps_repeats(comparison):
        return ""
    kept = (
        f"{count(data.repeated_pairs, 'rating')} of {data.rows:,} ({percent(data.repeated_pairs / data.rows)}) "
        f"{'repeats' if data.repeated_pairs == 1 else 'repeat'} an earlier pair of user and item, and all count."
    )
    return _joined([kept, pairs_in_one_part(comparison)])


def equal_times(comparison: Comparison) -> str:
    """How much of a split by time the order in the file decided, as times are equal at a cut, where that is much."""
    splits = [(comparison.split_by, comparison.data.ties, "")]
    splits += [(split.split_by, split.ties, f" under the {split_name(split)}") for split in comparison.other_splits]
    return _joined(_chosen_by_order(*split) for split in splits)


def _chosen_by_order(split_by: SplitBy, ties: Ties | None, where: str) -> str:
    def chosen(part: str, tied: Tied) -> str:
        ratings = f"{part} ratings"
        if split_by == "time":
            return f"{tied.tied:,} of {tied.of:,} {ratings} ({percent(tied.tied / tied.of)})"
        return f"the {ratings} of {tied.tied:,} of {count(tied.of, 'user')} ({percent(tied.tied / tied.of)})"

    parts = [("test", ties.test), ("validation", ties.validation)] if ties else []
    many = [(part, tied) for part, tied in parts if tied.tied > TIED_SHARE * tied.of]
    if not many:
        return ""
    found = [chosen(part, tied) for part, tied in many]
    was = "was" if split_by == "time" and sum(tied.tied for _, tied in many) == 1 else "were"
    return (
        f"{opening(listing(found))} {was} held out{where} by their order in the file: ratings that were not held out "
        f"have the same time."
    )


def rows_set_aside(comparison: Comparison) -> str:
    """How many rows were set aside as invalid."""
    data = comparison.data
    if not data.quarantined_rows:
        return ""
    was = "row was" if data.quarantined_rows == 1 else "rows were"
    return f"{data.quarantined_rows:,} {was} set aside as invalid, beside {count(data.rows, 'rating')} that are used."


def apart(comparison: Comparison) -> str:
    """Which rating is apart from the scale of the others."""
    found = comparison.data.apart
    if found is None:
        return ""
    return (
        f"The rating {short(found.value)} stands apart from the others, {short(found.low)} to {short(found.high)}: "
        f"{count(found.rows, 'rating')} ({percent(found.rows / comparison.data.rows)}) have it, and if it means that "
        f"there is no rating, --not-rated {found.value:g} leaves them out."
    )


def unreadable_times(comparison: Comparison) -> str:
    """How many times could not be read."""
    data = comparison.data
    if not data.unreadable_timestamps:
        return ""
    such = f", such as {quoted(data.unreadable_time)}" if data.unreadable_time else ""
    was = "time is" if data.unreadable_timestamps == 1 else "times are"
    return f"{data.unreadable_timestamps:,} {was} missing or cannot be read{such}."


def few_validation_ratings(comparison: Comparison) -> str:
    """How few validation ratings chose models and settings."""
    rows = comparison.data.validation_rows
    if comparison.protocol == "notebook" or not comparison.models or rows >= FEW_VALIDATION_ROWS:
        return ""
    return f"Models, settings and epochs were chosen on {count(rows, 'validation rating')} only."


def few_training_ratings(comparison: Comparison) -> str:
    """Whether there are fewer training ratings than users and items."""
    data = comparison.data
    if data.train_rows >= data.users + data.items:
        return ""
    return (
        f"There {'is' if data.train_rows == 1 else 'are'} {count(data.train_rows, 'training rating')} for "
        f"{count(data.users, 'user')} and {count(data.items, 'item')}: fewer than one for each bias."
    )


def high_cold_share(comparison: Comparison) -> str:
    """How many test ratings are cold, where they are many."""
    data = comparison.data
    return cold_share(comparison) if data.cold_test_rows > COLD_SHARE * data.test_rows else ""


def searches_cut_short(comparison: Comparison) -> str:
    """Which searches did not run all of their trials, and why."""
    return _joined(unused_trials(comparison, tuning) for tuning in in_order(comparison.tuning))


def at_an_edge(comparison: Comparison) -> str:
    """Which settings that won a search lie at an end of their range."""
    return _joined(map(edges, in_order(comparison.tuning)))


def trials_that_failed(comparison: Comparison) -> str:
    """How many trials of the searches failed."""
    return _joined(map(failed_trials, in_order(comparison.tuning)))


def failed_models(comparison: Comparison) -> str:
    """Which models have no score."""
    return _joined(finding.text for finding in failure_findings(comparison))


def left_out(comparison: Comparison) -> str:
    """Which models and baselines did not take part."""
    return _joined(finding.text for finding in skipped_findings(comparison))


def overfitted(comparison: Comparison) -> str:
    """Which of the models compared overfit and were scored with weights past their best epoch."""
    return _joined(overfitting(comparison, model) for model in sides(comparison) if past_its_best(comparison, model))


def still_learning(comparison: Comparison) -> str:
    """Which of the models compared were still learning when their training ended."""
    return _joined(overfitting(comparison, model) for model in sides(comparison) if still_learns(comparison, model))


def one_seed(comparison: Comparison) -> str:
    """Which of the models compared were trained with one seed."""
    names = [inside(model.title) for model in sides(comparison) if len(model.seeds) < 2]
    if duel(comparison) is None or not names:
        return ""
    was, its = ("was", "its error") if len(names) == 1 else ("were", "their errors")
    return f"One seed is all that {listing(names)} {was} trained with: how much another moves {its} is not known."


def one_split(comparison: Comparison) -> str:
    """What one split alone leaves open."""
    return "" if comparison.other_splits else what_stays_open(comparison)


def test_read_before(comparison: Comparison) -> str:
    """How many other choices of settings were scored on the same test ratings before."""
    if not comparison.history:
        return ""
    *before, now = comparison.history
    same = [run for run in before if (run.ratings, run.test) == (now.ratings, now.test)]
    others = [run.settings for run in same if run.settings != now.settings]
    tried = sum(settings not in others[:at] for at, settings in enumerate(others))
    if not tried:
        return ""
    ways = "one other choice" if tried == 1 else f"{tried} other choices"
    return (
        f"In the history, {ways} of settings {'was' if tried == 1 else 'were'} scored on these same test ratings "
        f"before: whoever compares these scores chooses settings on the test."
    )


def drift(topic: str) -> Callable[[Comparison], str]:
    """Return the rule of the warnings on a topic."""
    return lambda comparison: _joined(found.text for found in drift_warnings(comparison) if found.topic == topic)


def _joined(texts: Iterable[str]) -> str:
    return " ".join(text for text in texts if text)
