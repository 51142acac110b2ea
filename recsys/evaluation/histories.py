"""What brought what: the errors of one model a family by the histories that it reads.

All fits are to the training ratings alone, by one seed and with the settings that the search chose, so that between two
of them nothing differs but the inputs, and between the families with equal inputs nothing but the model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name

from recsys.blocks import TEMPORARY, Scratch
from recsys.evaluation.inputs import Made, Tested
from recsys.evaluation.metrics import mse
from recsys.evaluation.predictions import predict
from recsys.evaluation.results import HistoryScore
from recsys.models.fallback import BiasesWhereCold, Warm
from recsys.models.predictor import Predictor
from recsys.models.specs import MODEL
from recsys.store.store import Store


@dataclass(frozen=True)
class HistoryFit:
    """A fit of a model that reads these histories; `val_mse` is its validation error."""

    model: str
    histories: str
    path: Path
    val_mse: float


def load_history_fits(store: Store, fits: Mapping[str, Mapping[str, Made]]) -> list[HistoryFit]:
    """Return the fits, by model and histories, without those that failed."""
    found = []
    for name, of_model in fits.items():
        for which, fit in of_model.items():
            if not isinstance(fit, Exception):
                val_mse = fit["facts"]["val_loss"][fit["facts"]["scored_epoch"] - 1]
                found.append(HistoryFit(name, which, store.path(fit, MODEL[name].file), val_mse))
    return found


def history_scores(
    fits: Sequence[HistoryFit],
    test: Tested,
    biases: Predictor,
    warm: Warm,
    bounds: tuple[float, float] | None,
    scratch: Scratch = TEMPORARY,
) -> list[HistoryScore]:
    """Return the test errors of the fits, clipped to `bounds`; cold rows are those of `biases`, as in all rows."""
    found = []
    for fit in fits:
        spec = MODEL[fit.model]
        predictor = BiasesWhereCold(resolve_name(spec.load)(fit.path), biases, warm)
        error = mse(test.rating, predict(predictor, test, bounds, scratch), test.user)
        found.append(
            HistoryScore(
                name=fit.model,
                title=spec.title,
                family=spec.family,
                histories=fit.histories,
                val_mse=fit.val_mse,
                mse=error,
            )
        )
    return found
