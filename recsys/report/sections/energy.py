"""The energy of the trainings: a column of the cost table where any was measured, and why it was not."""

from recsys.energy import Unmeasured
from recsys.evaluation.results import BaselineResult, Comparison, ModelResult
from recsys.report.section import Finding
from recsys.text import NOTHING, inside, listing, short

REASONS: dict[Unmeasured, str] = {
    "library": "the package zeus is not installed",
    "counters": "this machine cannot be read",
    "shared": "no training ran alone; with --workers 1 each does",
    "resumed": "the trainings were interrupted and resumed",
}


def energy_is_known(comparison: Comparison) -> bool:
    """Whether the energy of any training was measured."""
    return any(model.watt_hours is not None for model in comparison.models)


def energy_of(row: BaselineResult) -> str:
    """The energy of a row's first training, a dash where it is not known."""
    known = row.watt_hours if isinstance(row, ModelResult) else None
    return NOTHING if known is None else f"{short(known)} Wh"


def energy_findings(comparison: Comparison) -> list[Finding]:
    """What the energy is of, or why there is none; empty without models."""
    unmeasured = [model for model in comparison.models if model.watt_hours is None]
    if not comparison.models:
        return []
    if not energy_is_known(comparison):
        reasons = dict.fromkeys(REASONS[model.energy_unmeasured] for model in unmeasured if model.energy_unmeasured)
        why = f" ({'; '.join(reasons)})" if reasons else ""
        return [Finding("energy", f"Energy: not measured{why}.")]
    text = "Energy: of the whole machine's processors and memory, and of a graphics card that trained, for one fit"
    if unmeasured:
        others = listing([inside(model.title) for model in unmeasured])
        text += f"; not measured of {others}, which did not train alone and in one go"
    return [Finding("energy", f"{text}.")]
