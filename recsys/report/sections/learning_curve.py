"""Would more ratings change it: the errors of both winners by the number of ratings that they were fitted to."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from recsys.evaluation.results import Comparison, Estimate, Outlook, SizeCurve, SizePoint
from recsys.models.specs import MODEL
from recsys.report.outcomes import Outcome, duel, effect, mse_step
from recsys.report.section import Plot, Section, findings_on, plots_of, text_table
from recsys.report.svg import DASHED, finished, label, legend, look, plain_ticks, sheet
from recsys.text import count, inside, listing, number, opening, percent, seconds, short

if TYPE_CHECKING:
    import pandas as pd

TITLE = "Would more ratings change it?"
ANCHOR = "learning-curve"

RARELY = 0.5
"""Lines that meet in a smaller share of the resamples are not said to meet."""

STEPS = 40
"""Pieces that each half of a law is drawn in."""


def section(comparison: Comparison, plots: Sequence[Plot]) -> Section | None:
    """A row a share of the ratings, and what the points say; None where no learning curve was asked for."""
    curve = comparison.learning_curve
    if curve is None:
        return None
    mf, dnn = _titles(curve)
    step = mse_step(comparison)
    rows = [
        (
            f"{point.ratings:,} ({_share(point.share)})",
            *(_with_ends(one, step) for one in (point.mf, point.dnn, point.gap)),
        )
        for point in curve.points
    ]
    caption = (
        "Test MSE (and its 95% interval over test users) of both winners with their settings, fitted to random shares "
        "of the training and validation ratings, each a part of the next, with one seed; all with the seeds of the "
        "table. A share has fewer ratings of the same users and items: this says what more ratings by these users "
        "would bring, not what more users would."
    )
    headings = ("Ratings", opening(mf), opening(dnn), f"Gap ({dnn} less {mf})")
    texts = [answer(comparison), _course(curve, step), _meeting(curve), _missing(curve), _cost(curve)]
    table = text_table(caption, headings, rows)
    changes = would_change(comparison)
    result = "the points do not say" if changes is None else "yes" if changes else "no"
    findings = findings_on("more ratings", texts)
    return Section(ANCHOR, TITLE, findings, [table], plots_of(plots, ANCHOR), result=result)


def would_change(comparison: Comparison) -> bool | None:
    """Whether ten times as many ratings would change the answer; None where the points do not say."""
    curve, contest = comparison.learning_curve, duel(comparison)
    if curve is None or contest is None or curve.outlook is None or _unsound(curve):
        return None
    later = _outcome_with_more(comparison, curve, curve.outlook)
    return None if later is None else later != contest.outcome


def answer(comparison: Comparison) -> str:
    """Whether more ratings would change the answer, in one sentence; empty where there is no curve, or no answer."""
    curve, contest = comparison.learning_curve, duel(comparison)
    if curve is None or contest is None:
        return ""
    unknown = "The points do not say whether more ratings of this kind would change the answer"
    if unsound := _unsound(curve):
        return f"{unknown}: {unsound}."
    outlook = curve.outlook
    assert outlook is not None, "it is sound"
    many, gap = f"{short(outlook.times)} times as many", _with_ends(outlook.gap, mse_step(comparison))
    later = _outcome_with_more(comparison, curve, outlook)
    mf, dnn = _titles(curve)
    if later is None:
        return f"{unknown}: with {many}, the power laws through them predict a gap of {gap}."
    ahead = {"better": f"{dnn} ahead", "worse": f"{mf} ahead", "tie": "a tie"}[later]
    would = "would" if would_change(comparison) else "would not"
    return (
        f"More ratings of this kind {would} change the answer: with {many}, the power laws through the points predict "
        f"{ahead}, with a gap of {gap}."
    )


def _outcome_with_more(comparison: Comparison, curve: SizeCurve, outlook: Outlook) -> Outcome | None:
    """How the network comes out with more ratings; None where the laws do not say.

    A predicted gap within the smallest effect is a tie if its interval is, or if all points are ties.
    """
    gap, smallest = outlook.gap, effect(comparison)
    if not _is_tie(gap, smallest):
        return "better" if gap.value < 0 else "worse"
    inside_effect = gap.low is not None and gap.high is not None and -smallest <= gap.low <= gap.high <= smallest
    ties = all(_is_tie(point.gap, smallest) for point in curve.points)
    return "tie" if inside_effect or (ties and abs(gap.value) <= smallest) else None


def _is_tie(gap: Estimate, smallest: float) -> bool:
    """Whether a gap is too small to matter, or may be due to chance."""
    return abs(gap.value) <= smallest or (gap.low is not None and gap.high is not None and gap.low <= 0 <= gap.high)


def _unsound(curve: SizeCurve) -> str:
    """Why no power laws can be followed beyond the data; empty where they can."""
    if curve.outlook is None:
        return f"{count(len(curve.points), 'point')} are too few for power laws"
    laws = zip((curve.outlook.mf, curve.outlook.dnn), _titles(curve), strict=True)
    if rising := [title for law, title in laws if law.reducible <= 0]:
        return f"the error of {listing(rising)} does not fall with more of them"
    return ""


def _course(curve: SizeCurve, step: float) -> str:
    """How the errors and the gap went from the fewest ratings to all; empty of one point."""
    if len(curve.points) < 2:
        return ""
    first, last = curve.points[0], curve.points[-1]
    mf, dnn = _titles(curve)
    return (
        f"From {first.ratings:,} to {last.ratings:,} ratings, the test MSE of {mf} goes from "
        f"{_from_to(first.mf, last.mf, step)}, that of {dnn} from {_from_to(first.dnn, last.dnn, step)}; the gap "
        f"{_verb(first, last, step)}, from {_with_ends(first.gap, step)} to {_with_ends(last.gap, step)}."
    )


def _from_to(first: Estimate, last: Estimate, step: float) -> str:
    return f"{number(first.value, step)} to {number(last.value, step)}"


def _verb(first: SizePoint, last: SizePoint, step: float) -> str:
    before, now = first.gap.value, last.gap.value
    if before * now < 0 and min(abs(before), abs(now)) > step / 10:
        return "changes sides"
    if abs(abs(now) - abs(before)) <= step:
        return "hardly changes"
    return "narrows" if abs(now) < abs(before) else "widens"


def _meeting(curve: SizeCurve) -> str:
    """Where the lines meet beyond the data, and how certain that is; empty where there are no sound laws."""
    outlook = curve.outlook
    if outlook is None or _unsound(curve):
        return ""
    many = f"{percent(outlook.meet)} of the resamples of test users and trainings"
    where = "up to 100 times as many ratings"
    if outlook.meeting and outlook.meet >= RARELY:
        at = outlook.meeting
        assert at.low is not None
        assert at.high is not None
        ends = f"95% interval {_rounded(at.low)} to {_rounded(at.high)}, of the {many} in which they meet {where}"
        return f"The two lines meet at about {_rounded(at.value)} ratings ({ends})."
    if outlook.meet:
        return f"The points do not say where the two lines would meet: {where}, they do in {many}."
    return f"With {where}, the two lines meet in none of the resamples of test users and trainings."


def _missing(curve: SizeCurve) -> str:
    told = [f"{_share(one.share)} of the ratings ({one.reason.rstrip('.')})" for one in curve.missing]
    return f"There is no point for {listing(told)}." if told else ""


def _cost(curve: SizeCurve) -> str:
    spent = sum(point.seconds for point in curve.points)
    return f"The fits to shares of the ratings took {seconds(spent)} of training." if spent else ""


def _titles(curve: SizeCurve) -> tuple[str, str]:
    """The titles of both winners, as they stand inside a sentence."""
    return inside(_title(curve.mf)), inside(_title(curve.dnn))


def _title(name: str) -> str:
    """The title of a winner, whose model another version may not have."""
    return MODEL[name].title if name in MODEL else name


def _share(share: float) -> str:
    return f"{short(100 * share)}%"


def _with_ends(one: Estimate, step: float) -> str:
    if one.low is None or one.high is None:
        return number(one.value, step)
    return f"{number(one.value, step)} ({number(one.low, step)} to {number(one.high, step)})"


def _rounded(ratings: float) -> str:
    """A number of ratings with two significant digits."""
    return f"{int(float(f'{ratings:.1e}')):,}"


def draw(comparison: Comparison, predictions: "pd.DataFrame") -> list[Plot]:
    """The learning curve, if there is one of more than one point."""
    curve = comparison.learning_curve
    return [error_by_size(comparison, curve)] if curve and len(curve.points) > 1 else []


def error_by_size(comparison: Comparison, curve: SizeCurve) -> Plot:
    """Test MSE with intervals against the number of ratings, and the power laws, followed beyond the data."""
    figure, axes = sheet(3.6)
    axes.set_xscale("log")
    sizes, step = [point.ratings for point in curve.points], mse_step(comparison)
    sound = curve.outlook if curve.outlook and not _unsound(curve) else None
    handles, told = [], []
    for name, errors, law in (
        (curve.mf, [point.mf for point in curve.points], sound and sound.mf),
        (curve.dnn, [point.dnn for point in curve.points], sound and sound.dnn),
    ):
        shape, values = look(name), [one.value for one in errors]
        reach = [one.value - one.low if one.low is not None else 0.0 for one in errors]
        line = "none" if law else "-"
        axes.errorbar(sizes, values, reach, color=shape.colour, ls="none", capsize=3)
        handles += axes.plot(sizes, values, color=shape.colour, marker=shape.marker, ls=line)
        if law and sound:
            for start, end, dashes in ((sizes[0] / sizes[-1], 1.0, "-"), (1.0, sound.times, DASHED)):
                along = [start * (end / start) ** (place / STEPS) for place in range(STEPS + 1)]
                drawn = [size * sizes[-1] for size in along], [law.at(size) for size in along]
                axes.plot(*drawn, color=shape.colour, linestyle=dashes)
        points = zip(values, sizes, strict=True)
        told.append(f"{_title(name)} {listing([f'{number(mse, step)} with {size:,}' for mse, size in points])}")
    axes.minorticks_off()
    axes.set_xlabel("training and validation ratings (log scale)")
    axes.set_ylabel("test MSE (rating units²)")
    plain_ticks(axes, x=True, y=True)
    legend(figure, handles, [label(_title(name)) for name in (curve.mf, curve.dnn)])
    caption = "Test MSE by the number of ratings that were fitted, with 95% intervals over test users."
    if sound:
        caption += " Lines are power laws through the points, dashed where they are followed beyond the data."
    return finished(figure, "error-ratings", ANCHOR, caption, f"Test MSE by ratings: {'; '.join(told)}.")
