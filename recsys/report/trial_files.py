"""Every trial of every search for machines: a table with one row a trial and one column per searched setting."""

import csv
import io

import pyarrow as pa

from recsys.evaluation.comparison import Comparison
from recsys.legible import disarmed
from recsys.report.searched_settings import SettingValue, written
from recsys.report.standing import in_order

_FIXED = pa.schema(
    [
        ("family", pa.string()),
        ("number", pa.int64()),
        ("state", pa.string()),
        ("val_mse", pa.float64()),
        ("best_epoch", pa.int64()),
        ("epochs", pa.int64()),
        ("seconds", pa.float64()),
        ("parameters", pa.int64()),
        ("reason", pa.string()),
    ]
)


def trials_table(comparison: Comparison) -> pa.Table:
    """All trials in the order they were begun.

    Returns:
        Columns family (the name of the row that the search's winner became), number, state, val_mse (squared rating
        units), best_epoch, epochs, seconds, parameters, reason, and `settings.<name>` for each setting that
        any search varied, null where it was not varied in that family.
    """
    tried = [(tuning.name, trial) for tuning in in_order(comparison.tuning) for trial in tuning.trials]
    fixed = [{"family": family, **trial.model_dump(include=set(_FIXED.names))} for family, trial in tried]
    columns = {field.name: pa.array([row[field.name] for row in fixed], field.type) for field in _FIXED}
    for name in dict.fromkeys(setting.name for tuning in in_order(comparison.tuning) for setting in tuning.searched):
        columns[f"settings.{name}"] = _column([trial.settings.get(name) for _, trial in tried])
    return pa.table(columns)


def _column(values: list[SettingValue | None]) -> pa.Array:
    """Values of one type, integers among other numbers included, as they are; others as texts."""
    kinds = {type(value) for value in values if value is not None}
    if len(kinds) <= 1 or kinds == {int, float}:
        return pa.array(values)
    return pa.array([None if value is None else written(value) for value in values], pa.string())


def trials_csv(comparison: Comparison) -> str:
    """The same table as text, numbers in full, units of layers as 128-64."""
    table = trials_table(comparison)
    text = io.StringIO()
    lines = csv.DictWriter(text, fieldnames=table.column_names, lineterminator="\n")
    lines.writeheader()
    for row in table.to_pylist():
        lines.writerow(
            {name: disarmed(written(value) if isinstance(value, list) else value) for name, value in row.items()}
        )
    return text.getvalue()
