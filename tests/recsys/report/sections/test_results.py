import csv
import io
from collections.abc import Callable

import pytest

from recsys.evaluation.results import Comparison, FailedModel
from recsys.report.section import Cell
from recsys.report.sections.results import section, shown_columns, shown_rows, table_csv, table_rows

Build = Callable[..., Comparison]


def cells(comparison: Comparison) -> list[dict[str, Cell]]:
    """The shown rows, by the key of the column."""
    keys = [column.key for column in shown_columns(comparison)]
    return [dict(zip(keys, row, strict=True)) for row in shown_rows(comparison)]


def best(comparison: Comparison) -> list[set[str]]:
    """The columns that each shown row is marked in."""
    return [{key for key, cell in row.items() if cell.best} for row in cells(comparison)]


def test_rows_keep_their_order_whatever_the_errors(with_mse: Build) -> None:
    rows = table_rows(with_mse(mf=2.0, dnn_tuned=0.5, global_mean=0.1, bias_only=0.2, failed=("dnn",)))
    assert [row["name"] for row in rows] == ["mf", "dnn", "dnn_tuned", "bias_only", "global_mean"]


def test_all_rows_have_the_same_keys_and_a_failed_one_has_no_numbers(with_mse: Build) -> None:
    mf, dnn = table_rows(with_mse(mf=1.0, failed=("dnn",)))
    assert list(mf) == list(dnn)
    assert dnn["kind"] == "failed"
    assert dnn["failure"] == "its loss became NaN"
    assert not any(isinstance(value, int | float) for value in dnn.values())


def test_a_skipped_baseline_stands_among_the_baselines_and_is_not_shown(with_mse: Build) -> None:
    comparison = with_mse(mf=1.0, bias_only=0.7, skipped=("item_knn",))
    mf, knn, biases = table_rows(comparison)
    assert (knn["name"], knn["kind"], knn["failure"]) == ("item_knn", "skipped", "too many items")
    assert [mf["name"], biases["name"]] == ["mf", "bias_only"]
    assert [row[0].text for row in shown_rows(comparison)] == ["MF", "Bias only"]


def test_best_error_is_marked_in_each_column_and_nowhere_else(with_mse: Build) -> None:
    mf, dnn = best(with_mse(mf=1.0, dnn=0.8))
    assert not {"mse", "rmse"} & mf
    assert {"mse", "rmse"} <= dnn
    assert not {"parameters", "fit_seconds"} & (mf | dnn)


def test_nothing_is_best_alone_or_among_equals(with_mse: Build) -> None:
    for comparison in (with_mse(mf=1.0), with_mse(mf=1.0, dnn=1.0)):
        assert not any("mse" in keys for keys in best(comparison))


def test_spread_over_the_seeds_stands_beside_the_error_where_there_is_one(with_mse: Build, repeat: Build) -> None:
    once = with_mse(mf=0.8, dnn=0.9, bias_only=0.95)
    often = repeat(once, mf=[0.79, 0.80, 0.81], dnn=[0.89, 0.90, 0.91])
    before, columns = [column.heading for column in shown_columns(once)], shown_columns(often)
    added = [column for column in columns if column.heading not in before]
    assert [column.heading for column in added] == ["± sd, 3 seeds"]
    assert columns.index(added[0]) == [column.key for column in columns].index("mse") + 1
    assert [row[added[0].key].text for row in cells(often)] == ["0.0100", "0.0100", "–"]
    assert [row["mse_low"] for row in table_rows(often)] == [pytest.approx(0.79), pytest.approx(0.89), None]


def test_r2_of_ratings_that_do_not_vary_is_a_dash(with_mse: Build) -> None:
    comparison = with_mse(mf=1.0)
    model = comparison.models[0].model_copy(update={"r2": None})
    (row,) = cells(comparison.model_copy(update={"models": [model]}))
    assert row["r2"].text == "–"


@pytest.mark.parametrize("title", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_csv_text_is_no_formula(with_mse: Build, title: str) -> None:
    comparison = with_mse(mf=1.0)
    bad = comparison.model_copy(update={"failed": [FailedModel(name="dnn", title=title, reason=title)]})
    _, row = csv.DictReader(io.StringIO(table_csv(bad), newline=""))
    assert row["title"] == f"'{title.strip()}"
    assert row["failure"] == f"'{title.strip()}"


def test_csv_numbers_are_in_full_and_signed_numbers_stay_numbers(with_mse: Build) -> None:
    comparison = with_mse(mf=1.23456789)
    model = comparison.models[0].model_copy(update={"r2": -0.25})
    (row,) = csv.DictReader(io.StringIO(table_csv(comparison.model_copy(update={"models": [model]}))))
    assert float(row["mse"]) == 1.23456789
    assert row["r2"] == "-0.25"


def test_the_section_has_the_table_and_apart_from_it_the_rows_without_a_score(with_mse: Build) -> None:
    comparison = with_mse(mf=1.0, bias_only=0.7, failed=("dnn",), skipped=("item_knn",))
    found = section(comparison, [])
    (table,), (unscored,) = found.tables, found.parts
    assert (found.anchor, unscored.tone) == ("results", "warn")
    assert [heading.text for heading in table.headings] == [column.heading for column in shown_columns(comparison)]
    assert table.rows == shown_rows(comparison)
    assert unscored.facts == [("DNN", "its loss became NaN"), ("Item kNN", "too many items")]
    nothing = section(with_mse(failed=("mf",)), [])
    assert (nothing.tables, len(nothing.parts)) == ([], 1)
    assert not section(with_mse(mf=1.0), []).parts
