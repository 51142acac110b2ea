import csv
import io
from collections.abc import Callable

import pytest

from recsys.evaluation.results import Comparison, SearchedSetting, Tuning
from recsys.report.sections.tuning_tables import (
    MOST_TRIALS,
    budget_headings,
    budget_rows,
    trial_tables,
    trials_csv,
    trials_table,
)
from tests.made_searches import MF_START, dnn_search, mf_search, trial, tuning

Build = Callable[..., Comparison]


def of(with_mse: Build, *tunings: Tuning) -> Comparison:
    return with_mse(mf=0.8).model_copy(update={"tuning": list(tunings)})


def test_budget_has_a_column_a_search_and_counts_every_trial_once(with_mse: Build) -> None:
    trials = [trial(0, 0.8, MF_START), trial(1, 0.7), trial(2, 0.9, state="pruned"), trial(3, None)]
    comparison = of(with_mse, dnn_search(), tuning("mf_tuned", trials, trials_allowed=5))
    assert budget_headings(comparison) == ["Search", "Tuned MF", "Tuned DNN"]
    rows = {row[0]: row[1] for row in budget_rows(comparison)}
    assert [rows[name] for name in rows if name.startswith("of which")] == ["2", "1", "1"]
    assert (rows["Trials allowed"], rows["Trials begun"], rows["Winner"]) == ("5", "4", "trial 1")
    assert (rows["Its validation MSE"], rows["What the search gained"]) == ("0.7000", "0.1000")


def test_search_without_a_winner_has_dashes(with_mse: Build) -> None:
    rows = {row[0]: row[1] for row in budget_rows(of(with_mse, tuning("mf_tuned", [trial(0, None)])))}
    assert (rows["Winner"], rows["Its validation MSE"], rows["What the search gained"]) == ("–", "–", "–")


def test_tables_show_the_best_trials_and_say_how_many_there_are(with_mse: Build) -> None:
    many = MOST_TRIALS + 5
    (table,) = trial_tables(of(with_mse, mf_search(many)))
    assert len(table.rows) == MOST_TRIALS
    assert table.title == f"The best {MOST_TRIALS} of {many} trials of tuned MF, the best first"
    (few,) = trial_tables(of(with_mse, mf_search(4)))
    assert few.title == "All 4 trials of tuned MF, the best first"
    assert all(len(row) == len(few.headings) for row in few.rows)


def test_failed_trial_is_shown_with_its_reason(with_mse: Build) -> None:
    (table,) = trial_tables(of(with_mse, tuning("mf_tuned", [trial(0, 0.8), trial(1, None)])))
    assert table.rows[1][:3] == ["1", "–", "failed: its loss became NaN."]


def test_files_have_every_trial_and_a_column_for_each_setting_of_either_search(with_mse: Build) -> None:
    comparison = of(with_mse, mf_search(40), dnn_search(35))
    table = trials_table(comparison)
    rows = table.to_pylist()
    assert [row["family"] for row in rows] == ["mf_tuned"] * 40 + ["dnn_tuned"] * 35
    for row, tried in zip(rows, [tried for search in comparison.tuning for tried in search.trials], strict=True):
        assert {name: row[f"settings.{name}"] for name in tried.settings} == tried.settings
        assert (row["val_mse"], row["state"], row["reason"]) == (tried.val_mse, tried.state, tried.reason)
    assert rows[0]["settings.dropout"] is None
    assert len(list(csv.DictReader(io.StringIO(trials_csv(comparison))))) == 75


def test_setting_of_several_types_becomes_text(with_mse: Build) -> None:
    searched = [SearchedSetting(name="penalty", choices=[True, "heavy", 2])]
    trials = [trial(n, 0.8, {"penalty": value}) for n, value in enumerate(searched[0].choices)]
    table = trials_table(of(with_mse, tuning("mf_tuned", trials, searched=searched)))
    assert table["settings.penalty"].to_pylist() == ["yes", "heavy", "2"]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"])
def test_csv_text_is_no_formula(with_mse: Build, text: str) -> None:
    searched = [SearchedSetting(name="kind", choices=[text, "plain"])]
    bad = tuning("mf_tuned", [trial(0, None, {"kind": text}, reason=text)], searched=searched)
    (row,) = csv.DictReader(io.StringIO(trials_csv(of(with_mse, bad)), newline=""))
    assert row["reason"] == row["settings.kind"] == f"'{text.strip()}"


def test_csv_numbers_are_in_full_and_units_are_one_text(with_mse: Build) -> None:
    reader = csv.DictReader(io.StringIO(trials_csv(of(with_mse, dnn_search(3)))))
    rows, tried = list(reader), dnn_search(3).trials
    assert [float(row["settings.dropout"]) for row in rows] == [found.settings["dropout"] for found in tried]
    assert rows[0]["settings.units"] == "128-128"
