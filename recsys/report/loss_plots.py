"""Training and held-out loss per epoch, as the notebook plots them: each model's, and all in one picture."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator

from recsys.evaluation.comparison import Comparison, ModelResult
from recsys.report.binning import thinned
from recsys.report.canvas import finished, label, legend, plain_ticks, sheet
from recsys.report.overfitting import held_out_name
from recsys.report.palette import LIGHT, look
from recsys.report.picture import Plot, file_name
from recsys.report.standing import in_order, mse_step
from recsys.report.wording import number, opening

MOST_MARKED_EPOCHS = 30
LOGARITHMIC_FROM = 6.0
"""Ratio of the largest to the smallest loss above which a linear axis hides what happens at the bottom."""


def losses(comparison: Comparison) -> list[Plot]:
    """One picture per trained model and, where there are several, one of them all."""
    models = [model for model in in_order(comparison.models) if model.history.loss and model.history.val_loss]
    plots = [_single(comparison, model) for model in models]
    return [*plots, _together(comparison, models)] if len(models) > 1 else plots


def _single(comparison: Comparison, model: ModelResult) -> Plot:
    figure, axes = sheet(3.1)
    kind, step = held_out_name(comparison), mse_step(comparison)
    handles = _curves(axes, model, kind)
    best = _best(model)
    axes.plot(best + 1, model.history.val_loss[best], "o", mfc="none", mec=LIGHT["ink"], ms=10, mew=1.1)
    _finish_axes(figure, axes, [model], handles)
    low = number(model.history.val_loss[best], step)
    alt = f"{model.title}: over {len(model.history.loss)} epochs training loss goes from "
    alt += f"{number(model.history.loss[0], step)} to {number(model.history.loss[-1], step)}; {kind} loss is lowest at "
    alt += f"epoch {best + 1} ({low}) and ends at {number(model.history.val_loss[-1], step)}."
    caption = f"{opening(model.title)}. The ring marks the lowest {kind} loss, {low} at epoch {best + 1}."
    return finished(figure, f"loss-{file_name(model.name)}", "loss", caption, alt)


def _together(comparison: Comparison, models: list[ModelResult]) -> Plot:
    figure, axes = sheet(3.1)
    kind = held_out_name(comparison)
    handles: list[tuple[Line2D, str]] = []
    for model in models:
        solid, _ = _curves(axes, model, kind)
        handles.append((solid[0], label(model.title)))
    handles += [(_sample("-"), "training"), (_sample("--"), kind)]
    _finish_axes(figure, axes, models, handles)
    step = mse_step(comparison)
    told = "; ".join(f"{model.title} {number(model.history.val_loss[_best(model)], step)}" for model in models)
    caption = f"All models: training loss solid, {kind} loss dashed."
    return finished(figure, "losses", "loss", caption, f"All losses in one picture; lowest {kind} loss: {told}.")


def _curves(axes: Axes, model: ModelResult, kind: str) -> list[tuple[Line2D, str]]:
    shape = look(model.name, baseline=False)
    epochs = min(len(model.history.loss), len(model.history.val_loss))
    shown = thinned(epochs, _best(model))
    marker = shape.marker if epochs <= MOST_MARKED_EPOCHS else None
    handles: list[tuple[Line2D, str]] = []
    for name, values, line in (("training", model.history.loss, "-"), (kind, model.history.val_loss, "--")):
        face = shape.colour if line == "-" else LIGHT["paper"]
        (drawn,) = axes.plot(
            shown + 1, [values[epoch] for epoch in shown], line, color=shape.colour, marker=marker, mfc=face
        )
        handles.append((drawn, name))
    return handles


def _sample(line: str) -> Line2D:
    (drawn,) = Figure().add_subplot().plot([], [], line, color=LIGHT["soft"])
    return drawn


def _finish_axes(figure: Figure, axes: Axes, models: list[ModelResult], handles: list[tuple[Line2D, str]]) -> None:
    values = [value for model in models for value in (*model.history.loss, *model.history.val_loss)]
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    scale = ""
    if min(values) > 0 and max(values) > LOGARITHMIC_FROM * min(values):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0), numticks=8))
        axes.minorticks_off()
        scale = ", log scale"
    plain_ticks(axes, x=True, y=True)
    axes.set_xlabel("epoch")
    axes.set_ylabel(f"MSE (rating units²{scale})")
    legend(figure, [handle for handle, _ in handles], [name for _, name in handles])


def _best(model: ModelResult) -> int:
    epochs = min(len(model.history.loss), len(model.history.val_loss))
    return min(range(epochs), key=lambda epoch: model.history.val_loss[epoch])
