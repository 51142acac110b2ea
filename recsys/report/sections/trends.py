"""The results of a series of runs: a table, a plot, and what there is to say of how they moved."""

from collections.abc import Sequence
from itertools import pairwise, takewhile

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from recsys.evaluation.results import Comparison
from recsys.report.drift import changes
from recsys.report.outcomes import mse_step
from recsys.report.section import Finding, Plot
from recsys.report.style import LIGHT, look
from recsys.report.svg import finished, label, legend, plain_ticks, sheet, style
from recsys.store.run_history import PastRun, PastScore, minute, moment, verdict_changed
from recsys.text import NOTHING, count, inside, number, opening

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


MOST_LABELS = 4


def history_plot(comparison: Comparison) -> Plot:
    """Test MSE of the followed rows by run; a dotted line where the ratings changed, unless they always did."""
    history, rows = comparison.history, followed(comparison.history)
    with style():
        figure, axes = sheet(3.1)
        handles = [_line(axes, history, row) for row in rows]
        changed = [place for place, (old, new) in enumerate(pairwise(history)) if old.ratings != new.ratings]
        marked = changed if len(changed) < len(history) - 1 else []
        for place in marked:
            axes.axvline(place + 0.5, color=LIGHT["soft"], linewidth=0.9, linestyle=(0, (1.0, 2.0)))
        _time_axis(axes, history)
        axes.set_ylabel("test MSE (rating units²)")
        plain_ticks(axes, y=True)
        legend(figure, handles, [label(row.title) for row in rows])
        caption = "Test error of each result, oldest first, at even distances."
        if marked:
            caption += " Dotted: the ratings changed."
        return finished(figure, "history", "history", caption, _told(comparison, rows))


def _line(axes: Axes, history: Sequence[PastRun], row: PastScore) -> Line2D:
    scores = [run.score(row.name) for run in history]
    values = [score.mse if score else float("nan") for score in scores]
    shape = look(row.name, baseline=row.kind == "baseline")
    drawn: Line2D
    (drawn,) = axes.plot(range(len(values)), values, marker=shape.marker, color=shape.colour, linestyle=shape.line)
    return drawn


def _time_axis(axes: Axes, history: Sequence[PastRun]) -> None:
    last = len(history) - 1
    labelled = sorted({round(number * last / (MOST_LABELS - 1)) for number in range(MOST_LABELS)})
    axes.set_xticks(labelled, [minute(history[place]).replace(" ", "\n") for place in labelled])
    axes.set_xlim(-0.3, last + 0.3)
    axes.set_xlabel("run (UTC)")


def _told(comparison: Comparison, rows: Sequence[PastScore]) -> str:
    step, first = mse_step(comparison), comparison.history[0]
    told = []
    for row in rows:
        old = first.score(row.name)
        told.append(f"{row.title} from {number(old.mse if old else None, step)} to {number(row.mse, step)}")
    return f"Test MSE over {len(comparison.history)} results, the first and the last of them: {'; '.join(told)}."
