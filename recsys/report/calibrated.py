"""What the agreement of predictions and ratings says about a model, in a sentence."""

from recsys.evaluation.calibration import Bin, Calibration
from recsys.report.wording import inside, number, opening


def calibration_sentence(title: str, found: Calibration, step: float) -> str:
    """Whether a row is calibrated, and if not, in which way.

    Args:
        title: of the row.
        found: its calibration.
        step: the smallest difference of ratings that is worth writing, in rating units.
    """
    name = opening(inside(title))
    if found.slope is None or found.low is None or found.high is None:
        return f"{name}: whether it is calibrated cannot be told, as its predictions or their users are all the same."
    slope = f"slope {found.slope:.2f}, 95% interval {found.low:.2f} to {found.high:.2f}"
    if found.calibrated:
        return (
            f"{name} is calibrated as far as these ratings can tell: no gap between predictions and ratings is more "
            f"than noise ({slope})."
        )
    parts = []
    if found.high < 1:
        parts.append(f"predictions are too extreme, as ratings differ by {found.slope:.2f} where they differ by 1")
    elif found.low > 1:
        parts.append(f"predictions are too timid, as ratings differ by {found.slope:.2f} where they differ by 1")
    worst = max((entry for entry in found.bins if entry.off), key=lambda entry: abs(entry.gap), default=None)
    if worst is not None:
        parts.append(_told(worst, step))
    return f"{name} is not calibrated: {'; '.join(parts)} ({slope})."


def _told(worst: Bin, step: float) -> str:
    side = "above" if worst.gap > 0 else "below"
    return (
        f"where it predicts {number(worst.predicted, step)} on average, ratings lie {number(abs(worst.gap), step)} "
        f"{side} that"
    )
