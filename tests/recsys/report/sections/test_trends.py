"""The section on earlier runs."""

from collections.abc import Callable
from typing import Any

import pytest

from recsys.evaluation.results import Comparison
from recsys.report.section import Plot
from recsys.report.sections.trends import draw, run_findings, run_table, section
from recsys.report.svg import style
from recsys.store.run_history import PastRun
from tests.made_runs import past

Runs = Callable[..., Comparison]
MF_BETTER: dict[str, Any] = {"side": "factorisation", "winner": "MF", "headline": "MF is better"}
DNN_BETTER: dict[str, Any] = {"side": "network", "winner": "DNN", "headline": "DNN is better"}


@pytest.fixture
def runs(with_mse: Callable[..., Comparison]) -> Runs:
    """A comparison with these runs."""

    def build(*past_runs: PastRun) -> Comparison:
        return with_mse(mf=0.8, dnn=0.9).model_copy(update={"history": list(past_runs)})

    return build


def findings(comparison: Comparison) -> dict[str, str]:
    return {finding.topic: finding.text for finding in run_findings(comparison)}


def test_a_single_run_has_no_section(runs: Runs) -> None:
    for comparison in (runs(), runs(past())):
        assert section(comparison, []) is None
        assert draw(comparison) == []
        assert run_findings(comparison) == []


def test_the_section_has_findings_a_table_and_its_plot(runs: Runs) -> None:
    plots = [Plot(name, name, "", "", "", b"") for name in ("data", "history")]
    found = section(runs(past(), past(1)), plots)
    assert found is not None
    assert found.anchor == "history"
    assert [finding.topic for finding in found.findings] == ["earlier runs", "past verdicts", "score change"]
    assert list(found.plots) == plots[1:]
    (table,) = found.tables
    kinds = [heading.kind for heading in table.headings]
    assert (kinds[0], {*kinds[1:-1]}, kinds[-1]) == ("time", {""}, "prose")
    assert all(len(row) == len(kinds) for row in table.rows)


def test_a_model_that_failed_in_one_run_keeps_its_column(runs: Runs) -> None:
    table = run_table(runs(past(0, {"mf": 0.8, "dnn": 0.9}), past(1, {"mf": 0.81})))
    assert [heading.text for heading in table.headings[3:5]] == ["MF", "DNN"]
    assert [[cell.text for cell in row[3:5]] for row in table.rows] == [["0.8000", "0.9000"], ["0.8100", "–"]]


def test_each_run_is_shown_with_its_verdict_and_what_changed_since_the_one_before(runs: Runs) -> None:
    again = past(1, ratings="day 0", test="day 0", **DNN_BETTER)
    table = run_table(runs(past(0, **MF_BETTER), again, past(2, rows=5), past(3, side=None)))
    assert [row[0].text for row in table.rows][:2] == ["2026-11-03 03:00", "2026-11-04 03:00"]
    assert [row[2].text for row in table.rows] == ["MF", "DNN", "tie", "–"]
    changed = [row[-1].text for row in table.rows]
    assert changed == ["–", "nothing on record", "the ratings (100,000 → 5)", "the ratings (5 → 100,000)"]


@pytest.mark.parametrize(
    ("past_runs", "said"),
    [
        ([past(0, **DNN_BETTER), past(1, **MF_BETTER), past(2, **MF_BETTER)], "last 2 of them; before that, DNN was"),
        ([past(0), past(1, **MF_BETTER), past(2, **MF_BETTER)], "last 2 of them; before that, it was a tie"),
        ([past(0, side=None), past(1), past(2)], "last 2 of them; before that, there was no answer"),
        ([past(0, **MF_BETTER), past(1, **MF_BETTER)], "same in all of them"),
        ([past(0, **MF_BETTER), past(1, **DNN_BETTER)], "“MF is better”, and now it is “DNN is better”"),
    ],
    ids=["network before", "tie before", "no answer before", "always", "changed now"],
)
def test_how_long_the_verdict_has_been_the_same_is_counted(runs: Runs, past_runs: list[PastRun], said: str) -> None:
    assert said in findings(runs(*past_runs))["past verdicts"]


@pytest.mark.parametrize(("mse", "direction"), [(0.8, "fell from 0.9000 to 0.8000"), (1.1, "rose from 0.9000 to 1.1")])
def test_the_largest_change_is_named_with_its_direction(runs: Runs, mse: float, direction: str) -> None:
    text = findings(runs(past(0, {"mf": 0.8, "dnn": 0.9}), past(1, {"mf": 0.81, "dnn": mse})))["score change"]
    assert "DNN" in text
    assert direction in text


def test_scores_without_a_change_or_without_a_score_before_have_none(runs: Runs) -> None:
    assert "No model" in findings(runs(past(0), past(1)))["score change"]
    assert "score change" not in findings(runs(past(0, {"mf": 0.8}), past(1, {"dnn": 0.8})))


@pytest.mark.parametrize(
    ("ratings", "versions", "dotted"),
    [("aab", "2 versions", True), ("abc", "3 versions", False), ("aaa", "all", False)],
)
def test_where_the_ratings_changed_the_plot_has_dotted_lines_unless_they_always_did(
    runs: Runs, ratings: str, versions: str, dotted: bool
) -> None:
    comparison = runs(*(past(day, {"mf": 0.8 - day / 100}, ratings=name) for day, name in enumerate(ratings)))
    assert f"{versions} " in findings(comparison)["earlier runs"]
    with style():
        (plot,) = draw(comparison)
    assert (plot.name, plot.section) == ("history", "history")
    assert ("Dotted" in plot.caption) == dotted
    assert "3 runs" in plot.alt
    assert "MF from 0.8000 to 0.7800" in plot.alt
