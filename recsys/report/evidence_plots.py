"""The differences and their intervals, against nothing at all and against what is too small to matter."""

from recsys.evaluation.comparison import Comparison
from recsys.report.canvas import finished, label, plain_ticks, sheet
from recsys.report.evidence import difference_rows, interval, is_real, tested_differences
from recsys.report.palette import LIGHT, look_of
from recsys.report.picture import Plot
from recsys.report.standing import effect, mse_step
from recsys.report.wording import MINUS, number


def differences(comparison: Comparison) -> list[Plot]:
    """One picture, a line per tested difference; none where nothing was tested."""
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
