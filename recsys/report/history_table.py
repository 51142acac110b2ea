"""The results of a series of runs as a table, and what there is to say of how they moved."""

from collections.abc import Sequence
from itertools import takewhile

from recsys.evaluation.comparison import Comparison
from recsys.history import PastRun, PastScore, minute, moment, verdict_changed
from recsys.report.history_changes import changes
from recsys.report.standing import mse_step
from recsys.report.wording import NOTHING, Finding, count, inside, number, opening

HISTORY_TITLE = "How the scores moved"
HISTORY_CAPTION = (
    "Test MSE of the trained models and of the baseline of biases, by the time of the run. Runs that gave the same "
    "numbers on the same ratings stand here once, with the time of the first of them."
)
MOST_SHOWN = 20
"""Results that fit into a table and a picture."""

Row = tuple[str, ...]


def history_headings(comparison: Comparison) -> Row:
    """The headings of the table of runs."""
    titles = (opening(inside(score.title)) for score in followed(comparison.history))
    return ("Run (UTC)", "Ratings", "Better", *titles, "Changed since the run before")


def history_rows(comparison: Comparison) -> list[Row]:
    """One row a result, oldest first, a text for each of `history_headings`; none where there is no history."""
    history, step = comparison.history, mse_step(comparison)
    names = [score.name for score in followed(history)]
    rows = []
    for place, run in enumerate(history):
        scores = [run.score(name) for name in names]
        changed = ", ".join(changes(history[place - 1], run)) or "nothing on record" if place else NOTHING
        rows.append(
            (
                minute(run),
                f"{run.rows:,}",
                _better(run),
                *(number(score.mse if score else None, step) for score in scores),
                changed,
            )
        )
    return rows


def followed(history: Sequence[PastRun]) -> list[PastScore]:
    """The rows that are shown over time, as they are in the last run that has them, in their order."""
    latest: dict[str, PastScore] = {}
    for run in reversed(history):
        for score in run.scores:
            if score.kind == "model" or score.name == "bias_only":
                latest.setdefault(score.name, score)
    return list(latest.values())


def history_findings(comparison: Comparison) -> list[Finding]:
    """How far the history goes back, what happened to the verdict, and what moved most since the run before."""
    history = comparison.history
    if len(history) < 2:
        return []
    texts = [_reach(history), _verdicts(history), _moved(history, mse_step(comparison))]
    return [Finding("history", text) for text in texts if text]


def _better(run: PastRun) -> str:
    return "tie" if run.side == "tie" else inside(run.winner) if run.winner else NOTHING


def _reach(history: Sequence[PastRun]) -> str:
    ratings = len({run.ratings for run in history})
    which = "all on the same ratings" if ratings == 1 else f"on {count(ratings, 'state')} of the ratings"
    return (
        f"These are the last {len(history):,} results of the same data set, protocol and kind of split, {which}; the "
        f"oldest is of {moment(history[0])}."
    )


def _verdicts(history: Sequence[PastRun]) -> str:
    if changed := verdict_changed(*history[-2:]):
        return changed
    same = len(list(takewhile(lambda run: run.side == history[-1].side, reversed(history))))
    if same == len(history):
        return "The verdict has been the same in all of them."
    return f"The verdict has been the same in the last {same:,} of them; before that, {_verdict(history[-same - 1])}."


def _verdict(run: PastRun) -> str:
    if run.side == "tie":
        return "it was a tie"
    return f"{inside(run.winner)} was better" if run.winner else "there was no answer"


def _moved(history: Sequence[PastRun], step: float) -> str:
    """The largest movement since the run before among the rows that are shown."""
    last, now = history[-2:]
    both = [(old, new) for new in followed([now]) if (old := last.score(new.name))]
    if not both:
        return ""
    old, new = max(both, key=lambda pair: abs(pair[1].mse - pair[0].mse))
    if old.mse == new.mse:
        return "No model's MSE has moved since the run before."
    way = "rose" if new.mse > old.mse else "fell"
    return (
        f"Since the run before, {inside(new.title)} moved most: its MSE {way} from {number(old.mse, step)} to "
        f"{number(new.mse, step)}."
    )
