"""The section on earlier runs: a table and a plot of their scores, and what changed since the previous one."""

from collections.abc import Sequence
from itertools import chain, pairwise, takewhile
from typing import TYPE_CHECKING

from recsys.evaluation.results import Comparison
from recsys.report.drift import changes
from recsys.report.outcomes import mse_step
from recsys.report.section import Cell, Finding, Heading, Plot, Section, Table, plots_of
from recsys.report.svg import LIGHT, finished, label, legend, look, plain_ticks, sheet
from recsys.store.run_history import PastRun, PastScore, minute, moment, verdict_changed
from recsys.text import NOTHING, count, inside, number, opening

if TYPE_CHECKING:
    import pandas as pd

TITLE = "How the scores moved"
CAPTION = (
    "Test MSE of the trained models and of the baseline of biases, by run. Consecutive runs with the same numbers on "
    "the same ratings are shown once, with the time of the first."
)
MAX_SHOWN = 20  # runs in the table and the plot, the last ones
MAX_TICKS = 4


def section(comparison: Comparison, plots: Sequence[Plot]) -> Section | None:
    """Return the section; None where there is no earlier run to compare with."""
    if len(comparison.history) < 2:
        return None
    findings, shown = run_findings(comparison), plots_of(plots, "history")
    sides = [run.side for run in comparison.history]
    changes = sum(one != other for one, other in pairwise(sides))
    result = f"the verdict changed {count(changes, 'time')} in {count(len(sides), 'run')}"
    return Section("history", TITLE, findings, [run_table(comparison)], shown, beside="plots", result=result)


def run_findings(comparison: Comparison) -> list[Finding]:
    """How far back the runs go, whether the verdict changed, and which score changed most since the previous run."""
    runs = comparison.history
    if len(runs) < 2:
        return []
    found = [
        ("earlier runs", _span(runs)),
        ("past verdicts", _verdicts(runs)),
        ("score change", _largest_change(runs, mse_step(comparison))),
    ]
    return [Finding(topic, text) for topic, text in found if text]


def run_table(comparison: Comparison) -> Table:
    """The runs, the oldest first: verdict, test MSEs, and what changed since the run before."""
    runs, step = comparison.history, mse_step(comparison)
    shown, rows = scores_over_time(runs), []
    for run, before in zip(runs, [None, *runs], strict=False):
        scores = [run.score(latest.name) for latest in shown]
        better = "tie" if run.side == "tie" else inside(run.winner) if run.winner else NOTHING
        changed = ", ".join(changes(before, run)) or "nothing on record" if before else NOTHING
        mses = [number(score.mse if score else None, step) for score in scores]
        rows.append([Cell(text) for text in (minute(run), f"{run.rows:,}", better, *mses, changed)])
    headings = [
        Heading("Run (UTC)", kind="time"),
        *(Heading(text) for text in ("Ratings", "Better", *(opening(inside(score.title)) for score in shown))),
        Heading("Changed since the previous run", kind="prose"),
    ]
    return Table(CAPTION, headings, rows)


def scores_over_time(runs: Sequence[PastRun]) -> list[PastScore]:
    """The models and the baseline of biases that are followed, each as it is in the last run that has it."""
    latest: dict[str, PastScore] = {}
    for score in chain.from_iterable(run.scores for run in reversed(runs)):
        if score.kind == "model" or score.name == "bias_only":
            latest.setdefault(score.name, score)
    return list(latest.values())


def _span(runs: Sequence[PastRun]) -> str:
    ratings = len({run.ratings for run in runs})
    which = "all on the same ratings" if ratings == 1 else f"on {count(ratings, 'version')} of the ratings"
    return (
        f"These are the last {len(runs):,} results with the same data set, protocol and kind of split, {which}; the "
        f"oldest is of {moment(runs[0])}."
    )


def _verdicts(runs: Sequence[PastRun]) -> str:
    if changed := verdict_changed(*runs[-2:]):
        return changed
    same = len(list(takewhile(lambda run: run.side == runs[-1].side, reversed(runs))))
    if same == len(runs):
        return "The verdict has been the same in all of them."
    before = runs[-same - 1]
    verdict = f"{inside(before.winner)} was better" if before.winner else "there was no answer"
    verdict = "it was a tie" if before.side == "tie" else verdict
    return f"The verdict has been the same in the last {same:,} of them; before that, {verdict}."


def _largest_change(runs: Sequence[PastRun], step: float) -> str:
    last, now = runs[-2:]
    both = [(old, new) for new in scores_over_time([now]) if (old := last.score(new.name))]
    if not both:
        return ""
    old, new = max(both, key=lambda pair: abs(pair[1].mse - pair[0].mse))
    if old.mse == new.mse:
        return "No model's MSE has changed since the previous run."
    direction = "rose" if new.mse > old.mse else "fell"
    return (
        f"Since the previous run, the MSE of {inside(new.title)} changed most: it {direction} from "
        f"{number(old.mse, step)} to {number(new.mse, step)}."
    )


def draw(comparison: Comparison, predictions: "pd.DataFrame | None" = None) -> list[Plot]:
    """Draw test MSE by run, dotted lines where the ratings changed unless they always did; inside `svg.style`."""
    runs, shown = comparison.history, scores_over_time(comparison.history)
    if len(runs) < 2:
        return []
    figure, axes = sheet(3.1)
    lines, told, step = [], [], mse_step(comparison)
    for latest in shown:
        scores = [run.score(latest.name) for run in runs]
        mses = [score.mse if score else None for score in scores]
        shape = look(latest.name, baseline=latest.kind == "baseline")
        values = [float("nan") if mse is None else mse for mse in mses]
        lines += axes.plot(values, marker=shape.marker, color=shape.colour, linestyle=shape.line)
        told.append(f"{latest.title} from {number(mses[0], step)} to {number(latest.mse, step)}")
    changed = [at for at, (old, new) in enumerate(pairwise(runs)) if old.ratings != new.ratings]
    dotted = changed if len(changed) < len(runs) - 1 else []
    for at in dotted:
        axes.axvline(at + 0.5, color=LIGHT["soft"], linewidth=0.9, linestyle=(0, (1.0, 2.0)))
    last = len(runs) - 1
    ticks = sorted({round(tick * last / (MAX_TICKS - 1)) for tick in range(MAX_TICKS)})
    axes.set_xticks(ticks, [minute(runs[at]).replace(" ", "\n") for at in ticks])
    axes.set_xlim(-0.3, last + 0.3)
    axes.set_xlabel("run (UTC)")
    axes.set_ylabel("test MSE (rating units²)")
    plain_ticks(axes, y=True)
    legend(figure, lines, [label(latest.title) for latest in shown])
    caption = f"Test error of each run, oldest first, evenly spaced.{' Dotted: the ratings changed.' if dotted else ''}"
    alt = f"Test MSE over {len(runs)} runs, first and last: {'; '.join(told)}."
    return [finished(figure, "history", "history", caption, alt)]
