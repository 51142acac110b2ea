"""Are the differences real: tested differences with their effect, interval and corrected p."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from recsys.evaluation.results import BaselineResult, Comparison, Difference
from recsys.report.outcomes import effect, every_row, mse_step
from recsys.report.section import Finding, Plot, Section, findings_on, plots_of, text_table
from recsys.report.svg import LIGHT, finished, label, look_of, plain_ticks, sheet
from recsys.text import MINUS, NOTHING, inside, listing, number, opening

if TYPE_CHECKING:
    import pandas as pd

Tested = tuple[Difference, BaselineResult, BaselineResult]

SMALLEST_P = 0.001
"""Smaller p values are not written out."""


def section(comparison: Comparison, plots: Sequence[Plot]) -> Section | None:
    """The tested differences; None where nothing was tested."""
    findings = evidence_findings(comparison)
    if not findings:
        return None
    caption = "Below 0, the row named first has the lower test error."
    headings = ("Rows compared", "Difference in MSE", "95% interval", "p, corrected", "Verdict")
    table = text_table(caption, headings, difference_rows(comparison))
    real = sum(is_real(tested) for tested in comparison.differences)
    result = f"{real:,} of {len(comparison.differences):,} are"
    shown = plots_of(plots, "evidence")
    return Section("evidence", "Are the differences real?", findings, [table], shown, result=result)


def tested_differences(comparison: Comparison) -> list[Tested]:
    """Each difference with its two rows, in the order they were tested."""
    rows = {row.name: row for row in every_row(comparison)}
    return [
        (tested, rows[tested.name], rows[tested.other])
        for tested in comparison.differences
        if tested.name in rows and tested.other in rows
    ]


def difference_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """One row a difference: the rows compared, difference in MSE, 95% interval, corrected p, and verdict."""
    step = mse_step(comparison)
    return [
        (
            opening(_names(row, rival)),
            number(tested.mse_difference, step),
            interval(tested.low, tested.high, step),
            f"{tested.p_corrected:.3f}" if tested.p_corrected >= SMALLEST_P else f"under {SMALLEST_P}",
            _shown_verdict(tested, row, rival),
        )
        for tested, row, rival in tested_differences(comparison)
    ]


def _names(row: BaselineResult, rival: BaselineResult) -> str:
    return f"{inside(row.title)} against {inside(rival.title)}"


def interval(low: float | None, high: float | None, step: float) -> str:
    """An interval from its ends, a dash where there is none."""
    return NOTHING if low is None or high is None else f"{number(low, step)} to {number(high, step)}"


def is_real(tested: Difference) -> bool:
    """Whether a difference is both certain and large enough to matter."""
    return tested.verdict in ("better", "worse")


def evidence_findings(comparison: Comparison) -> list[Finding]:
    """How many differences are real and the largest of them, then the ties and what kind of tie they are."""
    differences = tested_differences(comparison)
    if not differences:
        return []
    return findings_on("evidence", [_real(comparison, differences), _ties(differences)])


def _real(comparison: Comparison, differences: list[Tested]) -> str:
    real = [entry for entry in differences if is_real(entry[0])]
    step, total = mse_step(comparison), len(differences)
    settled = "certain"
    if effect(comparison) > 0:
        settled = f"both certain and large enough to matter (at least {number(effect(comparison), step)} of MSE)"
    if not real:
        subject = "The one difference tested is not" if total == 1 else f"None of the {total} differences tested is"
        return f"{subject} {settled}."
    tested, row, rival = max(real, key=lambda entry: abs(entry[0].mse_difference))
    better, worse = (row, rival) if tested.verdict == "better" else (rival, row)
    low, high = tested.low, tested.high
    if low is not None and high is not None and tested.mse_difference <= 0:
        low, high = -high, -low
    size = f"{number(abs(tested.mse_difference), step)} (95% interval {interval(low, high, step)})"
    subject = f"{len(real)} of {total} differences {'is' if len(real) == 1 else 'are'}"
    if len(real) == total:
        subject = "The one difference tested is" if total == 1 else f"All {total} differences tested are"
    largest = "it is" if len(real) == 1 else "the largest is"
    return f"{subject} {settled}: {largest} {size}, by which {inside(better.title)} beats {inside(worse.title)}."


def _ties(differences: list[Tested]) -> str:
    meanings = {
        "not certain": "not certain, as another sample of users may bring as much",
        "too small": "too small to matter",
    }
    pairs = {
        verdict: [_names(row, rival) for tested, row, rival in differences if tested.verdict == verdict]
        for verdict in meanings
    }
    text = "; ".join(f"{meanings[verdict]}: {listing(names)}" for verdict, names in pairs.items() if names)
    return opening(f"{text}.") if text else ""


def _shown_verdict(tested: Difference, row: BaselineResult, rival: BaselineResult) -> str:
    if is_real(tested):
        better = row if tested.verdict == "better" else rival
        return f"{inside(better.title)} is better"
    return "tie: too small to matter" if tested.verdict == "too small" else "tie: not certain"


def draw(comparison: Comparison, predictions: "pd.DataFrame") -> list[Plot]:
    """One plot, a line per tested difference; none where nothing was tested."""
    shown, step, smallest = tested_differences(comparison), mse_step(comparison), effect(comparison)
    if not shown:
        return []
    figure, axes = sheet(0.85 + 0.42 * len(shown))
    if smallest > 0:
        axes.axvspan(-smallest, smallest, color=LIGHT["soft"], alpha=0.13, linewidth=0)
    axes.axvline(0, color=LIGHT["soft"], linewidth=1)
    for place, (tested, row, _) in enumerate(shown):
        shape = look_of(row)
        if tested.low is not None and tested.high is not None:
            axes.plot([tested.low, tested.high], [place, place], color=shape.colour, solid_capstyle="butt")
        point, face = (tested.mse_difference, place), shape.colour if is_real(tested) else LIGHT["paper"]
        axes.plot(*point, marker=shape.marker, color=shape.colour, markersize=7, mfc=face, linestyle="none")
        text = number(tested.mse_difference, step)
        axes.annotate(text, point, xytext=(0, 7), textcoords="offset points", ha="center", fontsize=8.5)
    names = [f"{label(row.title)} {MINUS}\n{label(rival.title)}" for _, row, rival in shown]
    axes.set_yticks(range(len(shown)), names, color=LIGHT["ink"], fontsize=8)
    axes.set_ylim(len(shown) - 0.4, -0.8)
    axes.margins(x=0.12)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("difference in test MSE (rating units²)")
    plain_ticks(axes, x=True)
    told = "; ".join(
        f"{name} {size} ({reach}), {verdict}" for name, size, reach, _, verdict in difference_rows(comparison)
    )
    caption = "Each difference with its 95% interval; left of 0 the row named first is better. Hollow: a tie."
    if smallest > 0:
        caption += f" In the shaded band, {number(smallest, step)} to each side, it is too small to matter."
    return [finished(figure, "differences", "evidence", caption, f"Differences in test MSE: {told}.")]
