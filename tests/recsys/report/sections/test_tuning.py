"""The section on hyperparameter tuning: its findings, warnings, tables and files."""

import csv
import io
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from recsys.evaluation.results import Comparison, SearchedSetting, Trial, Tuning
from recsys.report.searches import MIN_FOR_IMPORTANCE
from recsys.report.section import Plot, Table
from recsys.report.sections.tuning import (
    MOST_TRIALS,
    budget_table,
    search_findings,
    search_warnings,
    section,
    trial_tables,
    trials_csv,
    trials_table,
)
from tests.made_searches import DNN_START, MF_START, Settings, dnn_search, family_search, mf_search, trial, tuning

Build = Callable[..., Comparison]


@pytest.fixture
def searched(with_mse: Build) -> Callable[..., Comparison]:
    """A comparison with the searches given, over 20,000 validation ratings of variance 1."""

    def build(*tunings: Tuning) -> Comparison:
        comparison = with_mse(mf=0.8, dnn_tuned=0.7)
        data = comparison.data.model_copy(update={"validation_rows": 20_000})
        return comparison.model_copy(update={"data": data, "tuning": list(tunings)})

    return build


def mf(*errors: float | None, **changes: Any) -> Tuning:
    return tuning("mf_tuned", [trial(number, error, MF_START) for number, error in enumerate(errors)], **changes)


def dnn(*errors: float | None, **changes: Any) -> Tuning:
    return tuning("dnn_tuned", [trial(number, error, DNN_START) for number, error in enumerate(errors)], **changes)


def said(comparison: Comparison, topic: str) -> list[str]:
    return [finding.text for finding in search_findings(comparison) if finding.topic == topic]


def warned(comparison: Comparison) -> dict[str, str]:
    return {finding.topic: finding.text for finding in search_warnings(comparison)}


def cells(table: Table) -> list[list[str]]:
    return [[cell.text for cell in row] for row in table.rows]


def test_without_searches_there_is_no_section(searched: Build) -> None:
    assert section(searched(), []) is None
    assert search_findings(searched()) == []
    assert search_warnings(searched()) == []


def test_the_section_has_findings_budgets_plots_warnings_shapes_and_folded_trials(searched: Build) -> None:
    plots = [Plot(name, name, "", "", "", b"") for name in ("search", "shape", "loss")]
    found = section(searched(mf_search(), dnn_search()), plots)
    assert found is not None
    assert found.anchor == "search"
    assert [finding.topic for finding in found.findings] == ["search winner", "search winner", "search cost"]
    assert [table.folded for table in found.tables] == [False, True, True]
    assert list(found.plots) == plots[:1]
    warnings, shape = found.parts
    assert warnings.tone == "warn"
    assert list(shape.plots) == plots[1:2]


AT_AN_EDGE: Settings = {"embedding_size": 200, "l2_factors": 1.0, "learning_rate": 0.0001, "item_bias": True}
NO_BUDGET = {"seconds_allowed": 0.0, "points": 1}


def test_where_nothing_was_searched_the_section_tells_what_was_tried_and_speaks_of_no_search(searched: Build) -> None:
    given = tuning("mf_tuned", [trial(0, 0.75, AT_AN_EDGE)], **NO_BUDGET)
    comparison = searched(given, dnn(0.8, **NO_BUDGET))
    found = section(comparison, [])
    assert found is not None
    assert not found.parts
    assert [finding.topic for finding in found.findings] == ["search budget", "search winner", "search winner"]
    assert "--budget 0" in found.findings[0].text
    assert "each of the 2 models was tried once" in found.findings[0].text
    assert [error in finding.text for error, finding in zip(("0.7500", "0.8000"), found.findings[1:], strict=True)]
    texts = [*(finding.text for finding in found.findings), *(row[0] for row in cells(found.tables[0]))]
    assert not [text for text in texts if "wider range" in text or "allowed" in text or "Improvement" in text]
    assert [table.title for table in found.tables[1:]] == ["The trial of tuned MF", "The trial of tuned DNN"]

    family = family_search()
    given_two = {"trials": family.trials[:2], "winner": 0, "seconds_allowed": 0.0, "points": 2}
    two = family.model_copy(update=given_two)
    (of_two, _) = said(searched(two, dnn(0.8, **NO_BUDGET)), "search winner")
    assert "has the lowest validation MSE, 0.7700" in of_two
    assert "0.7750" in of_two


def test_where_nothing_was_searched_failures_are_still_told(searched: Build) -> None:
    comparison = searched(mf(0.8, **NO_BUDGET), dnn(None, **NO_BUDGET))
    assert list(warned(comparison)) == ["failed trials"]
    assert len(said(comparison, "search winner")) == 1


def test_a_section_can_be_read_without_what_only_drawing_needs() -> None:
    heavy = "{'matplotlib', 'optuna', 'pandas', 'tensorflow'}"
    check = f"import sys, recsys.report.sections.tuning; print(*{heavy} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", check], check=True, capture_output=True, text=True)
    assert loaded.stdout == "\n"


def test_equal_budgets_are_stated_with_what_was_used_of_them_and_without_a_warning(searched: Build) -> None:
    comparison = searched(mf(0.8, 0.7), dnn(0.8, 0.75))
    (text,) = said(comparison, "search budget")
    assert "2 trials and 60 s of training" in text
    assert "tuned MF used 2 trials and 24 s and tuned DNN used 2 trials and 24 s" in text
    assert warned(comparison) == {}


def test_unequal_budgets_are_a_warning(searched: Build) -> None:
    comparison = searched(mf(0.8, 0.7), dnn(0.8, 0.75, 0.7))
    assert said(comparison, "search budget") == []
    text = warned(comparison)["unequal searches"]
    assert "tuned MF 2 trials and 60 s of training and tuned DNN 3 trials" in text


def test_a_single_search_is_a_warning(searched: Build) -> None:
    assert "Only tuned DNN" in warned(searched(dnn(0.8, 0.7)))["unequal searches"]


@pytest.mark.parametrize(
    ("used", "why"),
    [(60.0, "as its 60 s of training were used up"), (31.0, "although only 31 s of 60 s of training were used")],
)
def test_trials_that_did_not_run_are_a_warning(searched: Build, used: float, why: str) -> None:
    found = warned(searched(mf(0.8, 0.7, 0.7), dnn(0.8, 0.7, trials_allowed=3, seconds_used=used)))
    assert set(found) == {"unused trials"}
    assert found["unused trials"].startswith(f"Tuned DNN ran 2 of its 3 trials, {why}")
    assert found["unused trials"].endswith("fewer than tuned MF (3).")


def test_nobody_is_ahead_where_both_ran_out_of_time_alike(searched: Build) -> None:
    short = {"trials_allowed": 3, "seconds_used": 61.0}
    found = warned(searched(mf(0.8, 0.7, **short), dnn(0.8, 0.7, **short)))
    assert "fewer than" not in found["unused trials"]


def test_failed_trials_are_a_warning_with_their_reason(searched: Build) -> None:
    found = warned(searched(mf(0.8, None), dnn(0.8, 0.7)))
    assert set(found) == {"failed trials"}
    assert found["failed trials"] == "1 of the 2 trials of tuned MF failed: its loss became NaN."
    comparison = searched(mf(0.8, 0.7), dnn(None, None))
    assert warned(comparison)["failed trials"].startswith("Every trial of tuned DNN failed")
    assert not any("tuned DNN" in text for text in said(comparison, "search winner"))


def test_the_winner_is_named_with_its_improvement_and_what_changed(searched: Build) -> None:
    better: Settings = {**MF_START, "embedding_size": 50, "l2_factors": 0.2, "item_bias": False}
    comparison = searched(tuning("mf_tuned", [trial(0, 0.77, MF_START), trial(1, 0.74, better)]), dnn(0.8, 0.75))
    text = said(comparison, "search winner")[0]
    assert text.startswith("Trial 1 of tuned MF")
    for part in ("0.7400", "0.0300 below the 0.7700 of trial 0, the default settings."):
        assert part in text
    for part in ("embedding size 50 instead of 100", "l2 factors 0.2 instead of 0.12", "item bias no instead of yes"):
        assert part in text
    assert text.endswith("learning rate did not change.")


def test_an_improvement_that_may_be_chance_is_said_to_be(searched: Build) -> None:
    (small,), (large,) = (said(searched(mf(0.77, error)), "search winner") for error in (0.766, 0.76))
    assert "0.0040 below the 0.7700" in small
    assert "chance" in small
    assert "chance" not in large


def test_a_starting_point_that_won_is_said_to_have(searched: Build) -> None:
    (kept,) = said(searched(dnn(0.7, 0.8, 0.9)), "search winner")
    assert kept.startswith("Trial 0 of tuned DNN, the notebook's hand-tuned settings, won")
    assert "0.7000" in kept
    assert "none of the 2 others" in kept
    (kept,) = said(searched(mf(0.7, 0.8)), "search winner")
    assert "the other trial was not better" in kept
    (alone,) = said(searched(mf(0.7)), "search winner")
    assert alone.startswith("Only trial 0 of tuned MF, the default settings")


def test_the_improvement_over_a_start_that_failed_or_was_pruned_is_unknown(searched: Build) -> None:
    pruned = tuning("mf_tuned", [trial(0, 0.9, MF_START, state="pruned"), trial(1, 0.8, MF_START)])
    for search, state in ((mf(None, 0.8), "failed"), (pruned, "was pruned")):
        (text,) = said(searched(search), "search winner")
        assert f"but trial 0 {state}, so the improvement is unknown." in text


def test_a_winner_at_the_end_of_a_range_is_flagged_and_others_are_not(searched: Build) -> None:
    high: Settings = {**MF_START, "l2_factors": 0.95}
    at_edge = tuning("mf_tuned", [trial(0, 0.8, MF_START), trial(1, 0.7, high)])
    (text,) = said(searched(at_edge), "search range")
    assert "l2 factors 0.95, at the upper end of the searched range (0.01 to 1, log scale)" in text
    lost = tuning("mf_tuned", [trial(0, 0.7, MF_START), trial(1, 0.8, high)])
    assert said(searched(lost), "search range") == []


def test_the_fastest_trial_that_ties_with_the_best_is_named(searched: Build) -> None:
    slow, fast, bad = trial(0, 0.70, seconds=20), trial(1, 0.704, seconds=2), trial(2, 0.9, seconds=1)
    (text,) = said(searched(tuning("mf_tuned", [slow, fast, bad])), "search cost")
    assert "0.7000, took 20 s of training (trial 0 of tuned MF); trial 1 of tuned MF took 2.0 s" in text
    assert "within 0.0045 of it" in text
    (text,) = said(searched(tuning("mf_tuned", [slow, trial(1, 0.71, seconds=2), bad])), "search cost")
    assert "no faster trial came within 0.0045 of it" in text


def test_too_few_trials_for_importance_are_counted(searched: Build) -> None:
    enough, few = [0.8] * MIN_FOR_IMPORTANCE, [0.8] * (MIN_FOR_IMPORTANCE - 1)
    (text,) = said(searched(mf(*enough), dnn(*few)), "importance")
    assert "20 finished trials: tuned DNN has 19" in text
    assert said(searched(mf(*enough), dnn(*enough)), "importance") == []


def test_the_best_trials_come_first_whatever_their_state(searched: Build) -> None:
    trials: list[Trial] = [trial(0, None), trial(1, 0.5, state="pruned"), trial(2, 0.9), trial(3, 0.8)]
    (table,) = trial_tables(searched(tuning("mf_tuned", trials)))
    assert [row[0] for row in cells(table)] == ["3", "2", "1", "0"]


def test_budget_has_a_column_a_search_and_counts_every_trial_once(searched: Build) -> None:
    trials = [trial(0, 0.8, MF_START), trial(1, 0.7), trial(2, 0.9, state="pruned"), trial(3, None)]
    comparison = searched(dnn_search(), tuning("mf_tuned", trials, trials_allowed=5))
    table = budget_table(comparison)
    assert [heading.text for heading in table.headings] == ["Search", "Tuned MF", "Tuned DNN"]
    rows = {row[0]: row[1] for row in cells(table)}
    assert [rows[name] for name in rows if name.startswith("of which")] == ["2", "1", "1", "3"]
    assert (rows["Trials allowed"], rows["Trials run"], rows["Winner"]) == ("5", "4", "trial 1 of tuned MF")
    assert (rows["Its validation MSE"], rows["Improvement over these"]) == ("0.7000", "0.1000")


def test_search_without_a_winner_has_dashes(searched: Build) -> None:
    rows = {row[0]: row[1] for row in cells(budget_table(searched(tuning("mf_tuned", [trial(0, None)]))))}
    assert (rows["Winner"], rows["Its validation MSE"], rows["Improvement over these"]) == ("–", "–", "–")


def test_tables_show_the_best_trials_and_say_how_many_there_are(searched: Build) -> None:
    many = MOST_TRIALS + 5
    (table,) = trial_tables(searched(mf_search(many)))
    assert len(table.rows) == MOST_TRIALS
    assert table.title == f"The best {MOST_TRIALS} of {many} trials of tuned MF, the best first"
    (few,) = trial_tables(searched(mf_search(4)))
    assert few.title == "All 4 trials of tuned MF, the best first"
    assert all(len(row) == len(few.headings) for row in few.rows)


def test_a_search_of_several_models_is_called_by_its_family_and_names_the_model_of_each_trial(
    searched: Build,
) -> None:
    comparison = searched(family_search(), dnn(0.8, 0.75, seconds_used=60.0))
    (text,) = [text for text in said(comparison, "search winner") if "tuned MF" in text]
    assert text.startswith(
        "Trial 4 of tuned MF won with a validation MSE of 0.7600, 0.0100 below the 0.7700 of trial 0"
    )
    assert "l2 factors 0.14 instead of 0.1;" in text
    assert text.endswith("The lowest of the other models: histories 0.7680.")
    assert "Matrix factorisation" in [heading.text for heading in budget_table(comparison).headings]
    rows = {row[0]: row[1] for row in cells(budget_table(comparison))}
    assert (rows["Models"], rows["of which drawn"]) == ("tuned MF and histories", "3")
    table = trial_tables(comparison)[0]
    assert table.title == "All 7 trials of matrix factorisation, the best first"
    assert [row[:2] for row in cells(table)][:3] == [["4", "tuned MF"], ["3", "histories"], ["0", "tuned MF"]]
    assert "pruned on a sample of users" in [row[3] for row in cells(table)]
    assert "on a sample" in table.caption
    assert "tuned MF has 3, histories has 2 and tuned DNN has 2" in said(comparison, "importance")[0]
    assert {row["model"] for row in trials_table(comparison).to_pylist()} == {"mf_tuned", "histories", "dnn_tuned"}


def test_a_simple_model_that_was_beaten_by_chance_only_is_said_to_have_won_and_why(searched: Build) -> None:
    trials = [trial(0, 0.79, MF_START), trial(1, 0.8, MF_START | {"embedding_size": 0}), trial(2, 0.81, MF_START)]
    (text,) = said(searched(tuning("mf_tuned", trials, winner=1, lowest=0)), "search winner")
    assert text == (
        "Trial 1 of tuned MF, the settings of a simple model, won with a validation MSE of 0.8000: the 0.7900 of trial "
        "0 of tuned MF is lower, but by no more than one standard error of the difference."
    )


def test_failed_trial_is_shown_with_its_reason(searched: Build) -> None:
    (table,) = trial_tables(searched(tuning("mf_tuned", [trial(0, 0.8), trial(1, None)])))
    assert cells(table)[1][:4] == ["1", "tuned MF", "–", "failed: its loss became NaN."]


def test_files_have_every_trial_and_a_column_for_each_setting_of_either_search(searched: Build) -> None:
    comparison = searched(mf_search(40), dnn_search(35))
    table = trials_table(comparison)
    rows = table.to_pylist()
    assert [row["family"] for row in rows] == ["mf"] * 40 + ["dnn"] * 35
    assert [row["model"] for row in rows] == ["mf_tuned"] * 40 + ["dnn_tuned"] * 35
    for row, tried in zip(rows, [tried for search in comparison.tuning for tried in search.trials], strict=True):
        assert {name: row[f"settings.{name}"] for name in tried.settings} == tried.settings
        assert (row["val_mse"], row["state"], row["reason"]) == (tried.val_mse, tried.state, tried.reason)
    assert rows[0]["settings.dropout"] is None
    assert len(list(csv.DictReader(io.StringIO(trials_csv(comparison))))) == 75


def test_setting_of_several_types_becomes_text(searched: Build) -> None:
    penalty = [SearchedSetting(name="penalty", choices=[True, "heavy", 2])]
    trials = [trial(n, 0.8, {"penalty": value}) for n, value in enumerate(penalty[0].choices)]
    table = trials_table(searched(tuning("mf_tuned", trials, searched=penalty)))
    assert table["settings.penalty"].to_pylist() == ["yes", "heavy", "2"]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"])
def test_csv_text_is_no_formula(searched: Build, text: str) -> None:
    kind = [SearchedSetting(name="kind", choices=[text, "plain"])]
    bad = tuning("mf_tuned", [trial(0, None, {"kind": text}, reason=text)], searched=kind)
    (row,) = csv.DictReader(io.StringIO(trials_csv(searched(bad)), newline=""))
    assert row["reason"] == row["settings.kind"] == f"'{text.strip()}"


def test_csv_numbers_are_in_full_and_units_are_one_text(searched: Build) -> None:
    reader = csv.DictReader(io.StringIO(trials_csv(searched(dnn_search(3)))))
    rows, tried = list(reader), dnn_search(3).trials
    assert [float(row["settings.dropout"]) for row in rows] == [found.settings["dropout"] for found in tried]
    assert rows[0]["settings.units"] == "128-128"
