"""What the losses per epoch say: overfitting, a training cut short, or neither."""

import math

from recsys.evaluation.comparison import Comparison, ModelResult
from recsys.report.standing import gap_by_chance, in_order, mse_step
from recsys.report.wording import Finding, count, inside, number, opening, percent


def overfitting_findings(comparison: Comparison) -> list[Finding]:
    """One finding per trained model."""
    return [Finding("overfitting", overfitting(comparison, model)) for model in in_order(comparison.models)]


def overfits(comparison: Comparison, model: ModelResult) -> bool:
    """Whether validation loss rose by more than a tie after its best epoch while training loss fell."""
    loss, held_out, best = _losses(model)
    if not held_out or best == len(held_out) - 1:
        return False
    return held_out[-1] - held_out[best] > _by_chance(comparison) and loss[-1] < loss[best]


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
    if best == last:
        fall = held_out[last - 1] - held_out[last]
        if fall > _by_chance(comparison):
            return (
                f"{title} shows no overfitting: its {kind} loss was lowest at its last epoch ({last + 1}) and still "
                f"falling, by {number(fall, step)} in that epoch, so more epochs might lower its error further."
            )
        costs = comparison.data.rating_sd**2
        if held_out[last] > costs + _by_chance(comparison):
            return (
                f"{title} shows no overfitting: its {kind} loss was lowest at its last epoch ({last + 1}) and fell by "
                f"no more than a tie in that epoch, though it is still above {number(costs, step)}, what answering the "
                f"mean every time costs: it has hardly begun to learn, and more epochs or a higher learning rate might "
                f"lower its error."
            )
        return (
            f"{title} shows no overfitting: its {kind} loss was lowest at its last epoch ({last + 1}), "
            f"where it had all but stopped falling."
        )
    return (
        f"{title} shows no clear overfitting: after its lowest value, {number(held_out[best], step)} at epoch "
        f"{best + 1}, its {kind} loss {_after(comparison, held_out, best)} after the {count(last - best, 'epoch')} "
        f"that followed. {_which_weights(model, best)}".rstrip()
    )


def held_out_name(comparison: Comparison) -> str:
    """What the ratings behind `val_loss` are: in protocol notebook they are the test ratings."""
    return "test" if comparison.protocol == "notebook" else "validation"


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


def _after(comparison: Comparison, held_out: list[float], best: int) -> str:
    rise = held_out[-1] - held_out[best]
    if rise > _by_chance(comparison):
        return f"rose by {number(rise, mse_step(comparison))} without a falling training loss"
    return "ended no more than a tie above it" if rise > 0 else "ended no higher"


def _which_weights(model: ModelResult, best: int) -> str:
    if model.refitted_rows is not None:
        return (
            f"For its scores it was trained anew for {count(model.scored_epoch, 'epoch')}, "
            f"on training and validation ratings."
        )
    if model.scored_epoch == best + 1:
        return f"The weights of epoch {model.scored_epoch} were scored, so the test error is that of its best epoch."
    losses = model.history.val_loss
    if model.scored_epoch <= len(losses) and losses[model.scored_epoch - 1] == losses[best]:
        return ""
    return (
        f"The weights of epoch {model.scored_epoch} were scored, not those of its best epoch {best + 1}: "
        f"it was scored as it was left, not at its best."
    )
