"""What the losses per epoch say: overfitting, a training cut short, or neither."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from recsys.evaluation.results import Comparison, ModelResult
from recsys.report.outcomes import gap_by_chance, held_out_name, in_order, mse_step
from recsys.report.section import Finding, Plot, Section, plots_of
from recsys.report.svg import LIGHT, file_name, finished, legend, look, plain_ticks, sheet
from recsys.text import count, inside, listing, number, opening, percent

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from numpy.typing import NDArray


def section(comparison: Comparison, plots: Sequence[Plot]) -> Section | None:
    """The losses per epoch; None where no model has any."""
    shown, kind = plots_of(plots, "loss"), held_out_name(comparison)
    reason = ", as the notebook has no validation ratings" if kind == "test" else ""
    text = (
        f"Mean squared error (MSE) after each epoch: on the training ratings (solid) and on the {kind} ratings "
        f"(dashed){reason}. A dashed line that rises while the solid one falls shows overfitting."
    )
    if not shown:
        return None
    return Section("loss", "Loss per epoch", [Finding("loss", text)], plots=shown, result=_result(comparison))


def _result(comparison: Comparison) -> str:
    """Which models overfit, and from which epoch on."""
    found = [
        f"{inside(model.title)} from epoch {_losses(model)[2] + 2} on"
        for model in in_order(comparison.models)
        if overfits(comparison, model)
    ]
    return f"overfitting of {listing(found)}" if found else "no overfitting"


def overfitting_findings(comparison: Comparison) -> list[Finding]:
    """One finding per trained model."""
    return [Finding("overfitting", overfitting(comparison, model)) for model in in_order(comparison.models)]


def overfits(comparison: Comparison, model: ModelResult) -> bool:
    """Whether validation loss rose by more than a tie after its best epoch while training loss fell."""
    loss, held_out, best = _losses(model)
    if not held_out or best == len(held_out) - 1:
        return False
    return held_out[-1] - held_out[best] > _by_chance(comparison) and loss[-1] < loss[best]


def past_its_best(comparison: Comparison, model: ModelResult) -> bool:
    """Whether a model overfits and the weights that were scored are later ones than those of its best epoch."""
    best = _losses(model)[2]
    return overfits(comparison, model) and model.scored_epoch > best + 1


def still_learns(comparison: Comparison, model: ModelResult) -> bool:
    """Whether validation loss was lowest at the last epoch, and fell by more than a tie in it or has hardly fallen."""
    held_out, best = _losses(model)[1:]
    if len(held_out) < 2 or best < len(held_out) - 1:
        return False
    by_chance, mean_mse = _by_chance(comparison), comparison.data.rating_sd**2
    return held_out[-2] - held_out[-1] > by_chance or held_out[-1] > mean_mse + by_chance


def overfitting(comparison: Comparison, model: ModelResult) -> str:
    """What one model's losses say, as a sentence or two."""
    loss, held_out, best = _losses(model)
    step, kind, title = mse_step(comparison), held_out_name(comparison), opening(inside(model.title))
    if not held_out:
        return f"{title} has no recorded losses, so whether it overfits cannot be told."
    last = len(held_out) - 1
    if last == 0:
        return f"{title} ran a single epoch, so whether it overfits cannot be told."
    if overfits(comparison, model):
        rise = held_out[last] - held_out[best]
        return (
            f"{title} overfits from epoch {best + 2} on: by epoch {last + 1} its {kind} loss had risen by "
            f"{number(rise, step)} ({percent(rise / held_out[best])}) above its lowest value, "
            f"{number(held_out[best], step)} at epoch {best + 1}, while its training loss went on falling "
            f"from {number(loss[best], step)} to {number(loss[last], step)}. {_which_weights(model, best)}"
        )
    by_chance = _by_chance(comparison)
    if best == last:
        lowest = f"{title} shows no overfitting: its {kind} loss was lowest at its last epoch ({last + 1})"
        if not still_learns(comparison, model):
            return f"{lowest}, where it had almost stopped falling."
        fall, mean_mse = held_out[last - 1] - held_out[last], comparison.data.rating_sd**2
        if fall > by_chance:
            further = f"by {number(fall, step)} in that epoch, so more epochs might lower its error further"
            return f"{lowest} and still falling, {further}."
        return (
            f"{lowest} and fell by no more than a tie in that epoch, though it is still above "
            f"{number(mean_mse, step)}, the MSE of predicting the mean: it has hardly begun to learn, and more "
            f"epochs or a higher learning rate might lower its error."
        )
    rise = held_out[-1] - held_out[best]
    after = "ended no more than a tie above it" if rise > 0 else "ended no higher"
    if rise > by_chance:
        after = f"rose by {number(rise, step)} without a falling training loss"
    return (
        f"{title} shows no clear overfitting: after its lowest value, {number(held_out[best], step)} at epoch "
        f"{best + 1}, its {kind} loss {after} after the {count(last - best, 'epoch')} that followed. "
        f"{_which_weights(model, best)}".rstrip()
    )


def _losses(model: ModelResult) -> tuple[list[float], list[float], int]:
    epochs = min(len(model.history.loss), len(model.history.val_loss))
    loss, held_out = model.history.loss[:epochs], model.history.val_loss[:epochs]
    finite = [epoch for epoch in range(epochs) if math.isfinite(held_out[epoch])]
    if not finite:
        return [], [], 0
    return loss, held_out, min(finite, key=lambda epoch: held_out[epoch])


def _by_chance(comparison: Comparison) -> float:
    data = comparison.data
    return gap_by_chance(comparison, data.test_rows if comparison.protocol == "notebook" else data.validation_rows)


def _which_weights(model: ModelResult, best: int) -> str:
    epoch, losses = model.scored_epoch, model.history.val_loss
    if model.refitted_rows is not None:
        return f"For its scores it was refitted for {count(epoch, 'epoch')}, on training and validation ratings."
    if epoch == best + 1:
        return f"The weights of epoch {epoch} were scored, so the test error is that of its best epoch."
    if epoch <= len(losses) and losses[epoch - 1] == losses[best]:
        return ""
    return (
        f"The weights of epoch {epoch} were scored, not those of its best epoch {best + 1}: "
        f"the test error is not that of its best epoch."
    )


MOST_MARKED_EPOCHS = 30
LOGARITHMIC_FROM = 6.0  # ratio of largest to smallest loss above which a linear axis hides what happens at the bottom


def draw(comparison: Comparison, predictions: "pd.DataFrame") -> list[Plot]:
    """One plot per trained model."""
    models = [model for model in in_order(comparison.models) if model.history.loss and model.history.val_loss]
    return [_single(comparison, model) for model in models]


def _single(comparison: Comparison, model: ModelResult) -> Plot:
    figure, axes = sheet(3.1)
    kind, step, best = held_out_name(comparison), mse_step(comparison), _best(model)
    loss, held_out = model.history.loss, model.history.val_loss
    handles = _curves(axes, model, kind)
    axes.plot(best + 1, held_out[best], "o", mfc="none", mec=LIGHT["ink"], ms=10, mew=1.1)
    _finish_axes(figure, axes, [model], handles)
    low = number(held_out[best], step)
    alt = f"{model.title}: over {count(len(loss), 'epoch')} training loss goes from {number(loss[0], step)} to "
    alt += f"{number(loss[-1], step)}; {kind} loss is lowest at epoch {best + 1} ({low}) and ends at "
    alt += f"{number(held_out[-1], step)}."
    caption = f"{opening(model.title)}. The ring marks the lowest {kind} loss, {low} at epoch {best + 1}."
    return finished(figure, f"loss-{file_name(model.name)}", "loss", caption, alt)


def _curves(axes: "Axes", model: ModelResult, kind: str) -> "list[tuple[Line2D, str]]":
    shape = look(model.name)
    epochs = min(len(model.history.loss), len(model.history.val_loss))
    shown = thinned(epochs, _best(model))
    marker = shape.marker if epochs <= MOST_MARKED_EPOCHS else None
    handles: list[tuple[Line2D, str]] = []
    for name, losses, line in (("training", model.history.loss, "-"), (kind, model.history.val_loss, "--")):
        face, values = shape.colour if line == "-" else LIGHT["paper"], [losses[epoch] for epoch in shown]
        (drawn,) = axes.plot(shown + 1, values, line, color=shape.colour, marker=marker, mfc=face)
        handles.append((drawn, name))
    return handles


def _finish_axes(figure: "Figure", axes: "Axes", models: list[ModelResult], named: "list[tuple[Line2D, str]]") -> None:
    from matplotlib.ticker import LogLocator, MaxNLocator

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
    legend(figure, [handle for handle, _ in named], [name for _, name in named])


def thinned(length: int, keep: int, most: int = 300) -> "NDArray[np.int64]":
    """Positions of at most about `most` of `length` points: evenly spread, with the ends and `keep` among them."""
    import numpy as np

    if length <= most:
        return np.arange(length, dtype=np.int64)
    return np.unique(np.append(np.linspace(0, length - 1, most).astype(np.int64), keep))


def _best(model: ModelResult) -> int:
    epochs = min(len(model.history.loss), len(model.history.val_loss))
    return min(range(epochs), key=lambda epoch: model.history.val_loss[epoch])
