import io

import pandas as pd
from rich.console import Console

from flows.screen import show_comparison
from recsys.evaluation.results import Comparison

Made = tuple[Comparison, pd.DataFrame]


def shown(comparison: Comparison) -> list[str]:
    console = Console(file=io.StringIO(), width=80, color_system=None)
    show_comparison(console, comparison)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def table(lines: list[str]) -> list[str]:
    """The lines of the table: they stand between the last two empty lines."""
    first, last = [place for place, line in enumerate(lines) if not line.strip()][-2:]
    return lines[first + 1 : last]


def test_table_with_seeds_and_combinations_fits_into_80_characters(whole: Made) -> None:
    long = whole[0].combinations[0].model_copy(update={"title": "the mean of the seeds of every model there is"})
    lines = [line.rstrip() for line in shown(whole[0].model_copy(update={"combinations": [long]}))]
    rows = table(lines)
    assert max(len(line) for line in rows) <= 80
    assert "…" not in " ".join(rows)
    headings = " ".join(rows[:2])
    for heading in ("MSE", "± sd, 5", "RMSE", "MAE", "R²", "Parameters", "Fit, s"):
        assert heading in headings
    assert any(line.endswith("65.2") for line in rows)


def test_table_of_single_trainings_has_no_spread(fair: Made) -> None:
    assert "± sd" not in " ".join(table(shown(fair[0])))
