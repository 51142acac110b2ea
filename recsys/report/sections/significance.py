"""Are the differences real: tested differences with their effect, interval and corrected p."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from recsys.evaluation.results import BaselineResult, Comparison, Difference
from recsys.report.outcomes import effect, every_row, mse_step
from recsys.report.section import Finding, Plot, Section, plots_of, text_table
from recsys.report.svg import LIGHT, finished, label, look_of, plain_ticks, sheet
from recsys.text import MINUS, NOTHING, inside, listing, number, opening

if TYPE_CHECKING:
    import pandas as pd

Tested = tuple[Difference, BaselineResult, BaselineResult]

DIFFERENCE_HEADINGS = ("Rows compared", "Difference in MSE", "95% interval", "p, corrected", "Verdict")
SMALLEST_P = 0.001
"""Smaller p values are not written out."""


def section(comparison: Comparison, plots: Sequence[Plot]) -> Section | None:
    """The tested differences; None where nothing was tested."""
    findings = evidence_findings(comparison)
    if not findings:
        return None
    caption = "Below 0, the row named first has the lower test error."
    table = text_table(caption, DIFFERENCE_HEADINGS, difference_rows(comparison))
    return Section("evidence", "Are the differences real?", findings, [table], plots_of(plots, "evidence"))


def tested_differences(comparison: Comparison) -> list[Tested]:
    """Each difference with its two rows, in the order they were tested."""
    rows = {row.name: row for row in every_row(comparison)}
    return [
        (tested, rows[tested.name], rows[tested.other])
        for tested in comparison.differences
        if tested.name in rows and tested.other in rows
    ]


def difference_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """One row a difference, a text for each of DIFFERENCE_HEADINGS."""
    step = mse_step(comparison)
    return [
        (
            f"{opening(inside(row.title))} against {inside(rival.title)}",
            number(tested.mse_difference, step),
            interval(tested, step),
            _shown_p(tested.p_corrected),
            _shown_verdict(tested, row, rival),
        )
        for tested, row, rival in tested_differences(comparison)
    ]


def interval(tested: Difference, step: float) -> str:
    """A difference's 95% interval, a dash where there is none."""
    if tested.low is None or tested.high is None:
        return NOTHING
    return f"{number(tested.low, step)} to {number(tested.high, step)}"


def is_real(tested: Difference) -> bool:
    """Whether a difference is both certain and large enough to matter."""
    return tested.verdict in ("better", "worse")


def evidence_findings(comparison: Comparison) -> list[Finding]:
    """How many differences are real and the largest of them, then the ties and what kind of tie they are."""
    differences = tested_differences(comparison)
    if not differences:
        return []
    texts = [_real(comparison, differences), _ties(differences)]
    return [Finding("evidence", text) for text in texts if text]


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
    size = f"{number(abs(tested.mse_difference), step)} (95% interval {_reach(tested, step)})"
    if total == 1:
        subject = "The one difference tested is"
    else:
        are = "is" if len(real) == 1 else "are"
        subject = (
            f"All {total} differences tested are" if len(real) == total else f"{len(real)} of {total} differences {are}"
        )
    largest = "it is" if len(real) == 1 else "the largest is"
    return f"{subject} {settled}: {largest} {size}, by which {inside(better.title)} beats {inside(worse.title)}."


def _reach(tested: Difference, step: float) -> str:
    """The interval of the size of a difference, whatever its sign."""
    if tested.low is None or tested.high is None:
        return NOTHING
    low, high = (tested.low, tested.high) if tested.mse_difference > 0 else (-tested.high, -tested.low)
    return f"{number(low, step)} to {number(high, step)}"


def _ties(differences: list[Tested]) -> str:
    uncertain = _pairs(differences, "not certain")
    small = _pairs(differences, "too small")
    parts = [
        f"not certain, as another sample of users may bring as much: {uncertain}" if uncertain else "",
        f"too small to matter: {small}" if small else "",
    ]
    return opening(f"{'; '.join(part for part in parts if part)}.") if uncertain or small else ""


def _pairs(differences: list[Tested], verdict: str) -> str:
    return listing(
        [
            f"{inside(row.title)} against {inside(rival.title)}"
            for tested, row, rival in differences
            if tested.verdict == verdict
        ]
    )


def _shown_p(p: float) -> str:
    return f"{p:.3f}" if p >= SMALLEST_P else f"under {SMALLEST_P}"


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
        axes.plot(
            [tested.mse_difference],
            [place],
            marker=shape.marker,
            color=shape.colour,
            markersize=7,
            mfc=shape.colour if is_real(tested) else LIGHT["paper"],
            linestyle="none",
        )
        text = number(tested.mse_difference, step)
        axes.annotate(
            text,
            (tested.mse_difference, place),
            xytext=(0, 7),
            textcoords="offset points",
            ha="center",
            fontsize=8.5,
        )
    names = [f"{label(row.title)} {MINUS}\n{label(rival.title)}" for _, row, rival in shown]
    axes.set_yticks(range(len(shown)), names, color=LIGHT["ink"], fontsize=8)
    axes.set_ylim(len(shown) - 0.4, -0.8)
    axes.margins(x=0.12)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("difference in test MSE (rating units²)")
    plain_ticks(axes, x=True)
    told = "; ".join(
        f"{name} {number(tested.mse_difference, step)} ({interval(tested, step)}), {verdict}"
        for (name, *_, verdict), (tested, _, _) in zip(difference_rows(comparison), shown, strict=True)
    )
    caption = "Each difference with its 95% interval; left of 0 the row named first is better. Hollow: a tie."
    if smallest > 0:
        caption += f" In the shaded band, {number(smallest, step)} to each side, it is too small to matter."
    return [finished(figure, "differences", "evidence", caption, f"Differences in test MSE: {told}.")]
